//! Commands from MQTT and from the tool: the device gets the value once, and what it reads back is told.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tests::gateway::Gateway;
use tests::lab::{Lab, Plant, Upstream};
use tests::{meter, wait};

const SOON: Duration = Duration::from_secs(20);

fn scene() -> (Lab, Plant, Upstream, Gateway) {
    let lab = Lab::new();
    let plant = lab.plant(&json!([{ "name": "plc", "tcp": 0, "units": [meter::unit(1)] }]));
    let north = Upstream::new(&lab, "north", "5");
    let line = format!("[line.plc]\ntcp = \"127.0.0.1:{}\"\n\n", plant.port("plc"));
    let sections = line + &north.section("commands = [\"meter-1/control/*\"]");
    let alarm = "[[alarm]]\nname = \"control/hot\"\npoint = \"control/setpoint\"\nabove = 60\nseverity = 900\n";
    let devices = [("meter-1", meter::device("plc", 1, "200ms", 4) + alarm)];
    let mut gateway = Gateway::configure(&lab, "cmd", &sections, &devices);
    gateway.start();
    wait::until("the twin is in step with its asset", SOON, || {
        let text = String::from_utf8_lossy(&gateway.ctl(&["twins", "meter-1"]).stdout).into_owned();
        text.contains("shadowed").then_some(())
    });
    (lab, plant, north, gateway)
}

/// What was written to the setpoint's register, in order.
fn written(lab: &Lab) -> Vec<u64> {
    let text = std::fs::read_to_string(lab.path("plant.jsonl")).unwrap_or_default();
    let entries = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    entries.filter(|e| e["at"] == 10).filter_map(|e| e["wrote"][0].as_u64()).collect()
}

fn publish(north: &Upstream, prefix: &str, payload: &Value) {
    let status = Command::new("mosquitto_pub")
        .args(["-p", &north.proxy.port.to_string(), "-q", "1", "-t"])
        .arg(format!("{prefix}/twins/meter-1/commands"))
        .args(["-m", &payload.to_string()])
        .status();
    assert!(status.is_ok_and(|status| status.success()), "mosquitto_pub");
}

/// Where the gateway's topics begin.
fn prefix(north: &Upstream) -> String {
    wait::until("the twin's topics", SOON, || {
        north.sink.messages().iter().find_map(|m| {
            let topic = m["topic"].as_str()?;
            Some(topic.strip_suffix("/twins/meter-1/stream")?.to_owned())
        })
    })
}

fn outcome(north: &Upstream, prefix: &str, id: &str, stage: &str) -> Value {
    north.sink.gets(&format!("{prefix}/twins/meter-1/outcomes"), SOON, |payload| {
        (payload["id"] == id && payload["stage"] == stage).then(|| payload.clone())
    })
}

#[test]
fn the_tool_sets_a_value_and_sees_it_confirmed() {
    let (lab, _plant, _north, mut gateway) = scene();
    let output = gateway.ctl(&["set", "meter-1/control/setpoint", "21.5", "--wait"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("confirmed"), "{text}{output:?}");
    assert_eq!(written(&lab), [215]);

    let output = gateway.ctl(&["set", "meter-1/control/setpoint", "99", "--wait"]);
    assert_eq!(output.status.code(), Some(1), "out of range: {output:?}");
    let output = gateway.ctl(&["set", "meter-1/grid/voltage", "1", "--wait"]);
    assert_eq!(output.status.code(), Some(1), "not writable: {output:?}");
    let output = gateway.ctl(&["writes", "off"]);
    assert!(output.status.success(), "{output:?}");
    let output = gateway.ctl(&["set", "meter-1/control/setpoint", "22", "--wait"]);
    assert_eq!(output.status.code(), Some(1), "writes are off: {output:?}");
    // The latch outlives the daemon.
    gateway.kill();
    gateway.start();
    let output = gateway.ctl(&["set", "meter-1/control/setpoint", "22", "--wait"]);
    assert_eq!(output.status.code(), Some(1), "writes are still off: {output:?}");
    assert_eq!(written(&lab), [215]);
    gateway.stop();
}

#[test]
fn a_command_by_mqtt_acts_once_and_is_answered() {
    let (lab, _plant, north, mut gateway) = scene();
    let prefix = prefix(&north);
    let command = json!({ "id": "c-1", "property": "control/setpoint", "value": 40.5 });
    publish(&north, &prefix, &command);
    outcome(&north, &prefix, "c-1", "confirmed");
    assert_eq!(written(&lab), [405]);

    // The same id again, also after a restart: the stored outcome, and no second write.
    publish(&north, &prefix, &command);
    wait::pause(Duration::from_secs(1));
    gateway.kill();
    gateway.start();
    wait::pause(Duration::from_secs(1));
    publish(&north, &prefix, &command);
    let repeats = || {
        let messages = north.sink.messages();
        messages.iter().filter(|m| m["payload"]["repeat"] == true).count()
    };
    wait::until("two repeats were answered", SOON, || (repeats() >= 2).then_some(()));
    assert_eq!(written(&lab), [405]);

    // What may not be commanded, what is no command, and what is late.
    let refused = [
        ("c-2", json!({ "id": "c-2", "property": "test/served", "value": 1 })),
        ("c-3", json!({ "id": "c-3", "property": "control/setpoint", "value": "warm" })),
        ("c-4", json!({ "id": "c-4", "property": "control/setpoint", "value": 1.0 })),
        ("c-5", json!({ "id": "c-5", "property": "control/nothing", "value": 1.0 })),
    ];
    for (id, command) in &refused {
        publish(&north, &prefix, command);
        outcome(&north, &prefix, id, "rejected");
    }
    assert_eq!(written(&lab), [405]);
    gateway.stop();
}

#[test]
fn an_alarm_reaches_the_platform_and_is_acknowledged_from_there() {
    let (_lab, _plant, north, mut gateway) = scene();
    let prefix = prefix(&north);
    let early = json!({ "id": "a-0", "alarm": "control/hot", "acknowledge": true });
    publish(&north, &prefix, &early);
    let refused = outcome(&north, &prefix, "a-0", "rejected");
    assert_eq!(refused["reason"], "not-standing", "{refused}");
    publish(&north, &prefix, &json!({ "id": "c-1", "property": "control/setpoint", "value": 70 }));
    let event = |states: &[&str]| {
        let states = json!(states);
        north.sink.gets(&format!("{prefix}/twins/meter-1/events"), SOON, |payload| {
            (payload["state"] == states).then(|| payload.clone())
        })
    };
    let raised = event(&["active"]);
    assert_eq!((&raised["event"], &raised["severity"]), (&json!("control/hot"), &json!(900)));
    let document = |states: &Value| {
        north.sink.gets(&format!("{prefix}/twins/meter-1/alarms"), SOON, |payload| {
            (payload["alarms"]["control/hot"]["state"] == *states).then(|| payload.clone())
        })
    };
    document(&json!(["active"]));

    // Nothing of it asks the asset.
    assert!(gateway.ctl(&["writes", "off"]).status.success());
    let other = json!({ "id": "a-1", "alarm": "control/hot", "acknowledge": "00" });
    publish(&north, &prefix, &other);
    assert_eq!(outcome(&north, &prefix, "a-1", "rejected")["reason"], "not-standing");
    let seen = json!({ "id": "a-2", "alarm": "control/hot", "acknowledge": raised["instance"] });
    publish(&north, &prefix, &seen);
    let accepted = outcome(&north, &prefix, "a-2", "accepted");
    assert_eq!(
        (&accepted["alarm"], &accepted["acknowledge"]),
        (&seen["alarm"], &raised["instance"])
    );
    outcome(&north, &prefix, "a-2", "confirmed");
    assert_eq!(event(&["active", "acknowledged"])["by"], "link:north");
    publish(&north, &prefix, &json!({ "id": "a-3", "alarm": "control/hot", "shelve": "2h" }));
    outcome(&north, &prefix, "a-3", "confirmed");
    let shelved = event(&["active", "acknowledged", "shelved"]);
    assert!(shelved["shelved_until"].is_string(), "{shelved}");
    publish(&north, &prefix, &json!({ "id": "a-4", "alarm": "control/hot", "shelve": 0 }));
    outcome(&north, &prefix, "a-4", "confirmed");

    // It is over while the gateway is off and is told so afterwards; then nothing stands.
    assert!(gateway.ctl(&["writes", "on"]).status.success());
    publish(&north, &prefix, &json!({ "id": "c-2", "property": "control/setpoint", "value": 40 }));
    event(&["acknowledged"]);
    document(&Value::Null);
    gateway.stop();
}
