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

#[tokio::test]
async fn a_setpoint_is_written_only_while_it_may_be() {
    let meter = Meter::start().await;
    let mut gateway = Gateway::new();
    let text = format!(
        "[modbus]\ntcp = \"127.0.0.1:{}\"\n[group.main]\ninterval = \"100ms\"\n\
         [[point]]\nname = \"flow/setpoint\"\naddress = \"holding:1\"\nwritable = true\nsettle = \"0s\"\n\
         requires = [{{ point = \"flow/mode\", is = \"automatic\" }}]\nwrite_interval = \"1h\"\n\
         [[point]]\nname = \"flow/mode\"\naddress = \"holding:2\"\nlabels = {{ 0 = \"manual\", 2 = \"automatic\" }}\n",
        meter.port()
    );
    gateway.write("devices.d/meter.toml", &text);
    gateway.start().await;
    gateway.shadowed().await;
    let refused = gateway.run(&["set", "meter/setpoint", "9", "--wait"]);
    let said = format!("{}{}", refused.out, refused.err);
    assert!(
        refused.code == 1 && said.contains("only while flow/mode is automatic; it is manual"),
        "{said}"
    );
    let why = gateway.run(&["why", "meter/flow/setpoint"]).out;
    assert!(why.contains("flow/mode is automatic") && why.contains("1h apart"), "{why}");
    meter.set(2, 2);
    eventually("the mode is read", || {
        gateway.twin("meter").filter(|twin| twin["points"][1]["label"] == "automatic")
    })
    .await;
    let set = gateway.run(&["set", "meter/setpoint", "9", "--wait"]);
    assert_eq!((set.code, meter.register(1)), (0, 9), "{set:?}");
    let again = gateway.run(&["set", "meter/setpoint", "10", "--wait"]);
    let said = format!("{}{}", again.out, again.err);
    assert!(again.code == 1 && said.contains("too recently; wait"), "{said}");
    assert_eq!(meter.register(1), 9);
    gateway.stop().await;
}

#[tokio::test]
async fn a_setpoint_that_is_held_is_written_again() {
    let meter = Meter::start().await;
    let mut gateway = Gateway::new();
    let text = format!(
        "[modbus]\ntcp = \"127.0.0.1:{}\"\n[group.main]\ninterval = \"100ms\"\n\
         [[point]]\nname = \"flow/setpoint\"\naddress = \"holding:1\"\nwritable = true\nsettle = \"0s\"\n\
         hold = true\nhold_interval = \"1s\"\nhold_times = 2\n",
        meter.port()
    );
    gateway.write("devices.d/meter.toml", &text);
    gateway.start().await;
    gateway.shadowed().await;
    let set = gateway.run(&["set", "meter/setpoint", "50", "--wait"]);
    assert_eq!((set.code, meter.register(1)), (0, 50), "{set:?}");
    let held = |gateway: &Gateway, words: &str| {
        let why = gateway.run(&["why", "meter/flow/setpoint"]).out;
        why.contains(words).then_some(())
    };
    eventually("it is said", || held(&gateway, "1s apart, 2 times in a row at most")).await;
    for n in 1..=2 {
        meter.set(1, 40);
        eventually("it is written again", || (meter.register(1) == 50).then_some(())).await;
        eventually("it is counted", || held(&gateway, &format!("{n} times in a row"))).await;
    }
    meter.set(1, 40);
    eventually("the gateway gives up", || held(&gateway, "a new command begins anew")).await;
    eventually("the twin shows what is", || point(&gateway).filter(|p| p["value"] == 40)).await;
    assert_eq!(meter.register(1), 40);
    gateway.stop().await;
}
