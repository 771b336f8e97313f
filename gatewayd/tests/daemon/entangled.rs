//! How closely a twin follows its asset, seen from outside: figures, their decay, restarts, and commands that need it.

use std::time::Duration;

use serde_json::Value;

use crate::plant::Meter;
use crate::tool::{Gateway, eventually};

const STRICT: &str = "[entanglement]\nwindow = \"10s\"\nenter = 0.9\nleave = 0.3\nhold_in = \"0\"\n\
    hold_out = \"1s\"\ncommands = \"strong\"\n";

/// A gateway whose meter has to be followed closely.
async fn strict() -> (Gateway, Meter) {
    let meter = Meter::start().await;
    let mut gateway = Gateway::new();
    gateway.device("meter", meter.port());
    let text = gateway.read("devices.d/meter.toml");
    gateway.write("devices.d/meter.toml", &format!("{STRICT}{text}"));
    gateway.start().await;
    (gateway, meter)
}

fn entanglement(gateway: &Gateway) -> Option<Value> {
    gateway.twin("meter").map(|twin| twin["entanglement"].clone()).filter(Value::is_object)
}

async fn strong(gateway: &Gateway) -> Value {
    eventually("it is wholly entangled", || {
        entanglement(gateway).filter(|e| e["value"] == 1.0 && e["class"] == "strong")
    })
    .await
}

#[tokio::test]
async fn a_twin_says_how_closely_it_follows_its_asset() {
    let (mut gateway, meter) = strict().await;
    let figures = strong(&gateway).await;
    assert_eq!((&figures["timeliness"], &figures["window_ms"]), (&1.0.into(), &10_000.into()));
    let why = gateway.run(&["why", "meter"]).out;
    assert!(why.contains("entanglement") && why.contains("1.00, strong from 0.90 on"), "{why}");
    let metrics = gateway.http("/metrics").await;
    let gauge = |factor: &str, value: &str| {
        format!("gatewayd_twin_entanglement{{twin=\"meter\",factor=\"{factor}\"}} {value}")
    };
    assert!(metrics.contains(&gauge("value", "1.0")), "{metrics}");
    assert!(metrics.contains("gatewayd_twin_life_cycle{twin=\"meter\"} 3"), "{metrics}");

    // Its asset is gone: what is left is contact that was, and soon nothing.
    let watch = gateway.background(&["watch", "meter"]);
    drop(meter);
    eventually("nothing is left", || {
        entanglement(&gateway).filter(|e| e["value"] == 0.0 && e["availability"] == 0.0)
    })
    .await;
    assert!(watch.saw("entangled"), "it was said on the way");
    assert!(gateway.http("/metrics").await.contains(&gauge("reliability", "0.0")));
    gateway.stop().await;
}

#[tokio::test]
async fn commands_may_need_a_twin_that_follows_closely() {
    let (mut gateway, meter) = strict().await;
    strong(&gateway).await;
    let set = gateway.run(&["set", "meter/setpoint", "41", "--wait"]);
    assert_eq!((set.code, meter.register(1)), (0, 41), "{set:?}");
    gateway.stop().await;
    tokio::time::sleep(Duration::from_secs(5)).await;

    // The time in which nobody ran is time without contact, though the asset answers at once.
    gateway.start().await;
    let weak = eventually("it was measured again", || {
        let twin = gateway.twin("meter")?;
        let value = twin["entanglement"]["value"].as_f64()?;
        (value < 0.9).then(|| twin["entanglement"].clone())
    })
    .await;
    assert_eq!(weak["class"], "weak", "{weak}");
    let refused = gateway.run(&["set", "meter/setpoint", "42", "--wait"]);
    assert_eq!((refused.code, meter.register(1)), (1, 41), "{refused:?}");
    strong(&gateway).await;
    let set = gateway.run(&["set", "meter/setpoint", "43", "--wait"]);
    assert_eq!((set.code, meter.register(1)), (0, 43), "{set:?}");
    gateway.stop().await;
}

#[tokio::test]
async fn what_a_policy_cannot_be_is_said_with_its_line() {
    let gateway = Gateway::new();
    gateway.device("meter", 5);
    let text = gateway.read("devices.d/meter.toml");
    for (keys, key) in [
        ("window = \"1s\"", "entanglement.window"),
        ("timeliness = \"0\"", "entanglement.timeliness"),
        ("enter = 0.5", "entanglement.enter"),
        ("enter = 0.5\nleave = 0.5", "entanglement.leave"),
        ("enter = 1.5\nleave = 0.5", "entanglement.enter"),
        ("hold_out = \"1s\"", "entanglement.hold_out"),
        ("commands = \"wek\"", "entanglement.commands"),
    ] {
        gateway.write("devices.d/meter.toml", &format!("[entanglement]\n{keys}\n{text}"));
        let check = gateway.check();
        let said = format!("{}{}", check.out, check.err);
        assert!(check.code != 0 && said.contains(key), "{keys}: {said}");
        assert!(said.contains("meter.toml:2") || said.contains("meter.toml:3"), "{keys}: {said}");
    }
}
