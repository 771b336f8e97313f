//! A value that is not plausible is kept and says so, in the twin, in the log and in `why`; commands still end well.

use serde_json::{Value, json};

use crate::plant::Meter;
use crate::tool::{Gateway, eventually};

fn point(gateway: &Gateway) -> Option<Value> {
    gateway.twin("meter").map(|twin| twin["points"][0].clone())
}

#[tokio::test]
async fn a_value_outside_its_range_is_uncertain() {
    let meter = Meter::start().await;
    let mut gateway = Gateway::new();
    let text = format!(
        "[modbus]\ntcp = \"127.0.0.1:{}\"\n[group.main]\ninterval = \"100ms\"\n\
         [[point]]\nname = \"flow/rate\"\naddress = \"holding:1\"\ntype = \"u16\"\nrange = [0, 100]\n\
         writable = true\nwrite_range = [0, 200]\nsettle = \"0s\"\n",
        meter.port()
    );
    gateway.write("devices.d/meter.toml", &text);
    gateway.start().await;
    eventually("a plausible value is good", || {
        point(&gateway).filter(|p| p["value"] == 7 && p["quality"] == "good")
    })
    .await;

    meter.set(1, 60_000);
    let outside = eventually("one outside is kept and uncertain", || {
        point(&gateway).filter(|p| p["value"] == 60_000)
    })
    .await;
    assert_eq!(
        (&outside["quality"], &outside["cause"]),
        (&json!("uncertain"), &json!("out-of-range"))
    );
    let why = gateway.lines(&["why", "meter/flow/rate"]).remove(0).to_string();
    assert!(why.contains("from 0 to 100; a value outside is uncertain"), "{why}");
    let rows = gateway.lines(&["history", "meter/flow/rate", "--last", "1"]).remove(0);
    assert_eq!(rows["rows"][0]["quality"], "uncertain", "{rows}");
    eventually("the twin is shadowed: the device answers", || {
        gateway.twin("meter").filter(|twin| twin["life_cycle"] == "shadowed").map(drop)
    })
    .await;

    // Whoever may write beyond what is plausible sees the value confirmed.
    let set = gateway.run(&["set", "meter/flow/rate", "150", "--wait"]);
    assert_eq!(set.code, 0, "{set:?}");
    assert_eq!(meter.register(1), 150);
    meter.set(1, 100);
    eventually("it is good again", || {
        point(&gateway).filter(|p| p["value"] == 100 && p["quality"] == "good")
    })
    .await;
    gateway.stop().await;
}
