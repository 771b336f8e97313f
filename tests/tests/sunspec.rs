//! A SunSpec device tells what it consists of and becomes a twin; its map is laid out by the SunSpec Alliance's own
//! library and served by pymodbus.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::symlink;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tests::gateway::Gateway;
use tests::lab::Lab;
use tests::process::Process;
use tests::{tree, wait};

const SOON: Duration = Duration::from_secs(30);

/// Starts the device with these maps; `port` 0 takes a free one.
fn device(lab: &Lab, name: &str, base: u16, port: u16, maps: &Value) -> (Process, u16) {
    let log = lab.path(&format!("{name}.jsonl"));
    let plan = json!({ "port": port, "base": base, "log": log, "maps": maps });
    let plan = lab.write(&format!("{name}.json"), &plan.to_string());
    let mut process = lab.python(name, "sunspec_device.py", &[&plan.display().to_string()]);
    let port = process.says("it serves", |text| {
        let line = serde_json::from_str::<Value>(text.lines().next()?).ok()?;
        line["ready"].as_u64()
    });
    (process, u16::try_from(port).unwrap())
}

fn gateway(lab: &Lab, port: u16, more: &str) -> Gateway {
    let text = format!(
        "profile = \"sunspec\"\nmodbus = {{ tcp = \"127.0.0.1:{port}\", unit = 1, timeout = \"300ms\" }}\n\
         [group.fast]\ninterval = \"200ms\"\n[group.slow]\ninterval = \"200ms\"\n{more}"
    );
    let gateway = Gateway::configure(lab, "sun", "", &[("roof", text)]);
    symlink(tree::root().join("etc/profiles"), lab.path("etc/profiles")).unwrap();
    gateway
}

/// The twin, once it is there.
fn twin(gateway: &Gateway) -> Option<Value> {
    let answer = gateway.ctl(&["twins", "roof", "--json"]);
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    let answer: Value = text.lines().find_map(|line| serde_json::from_str(line).ok())?;
    let twin = if answer["twins"].is_array() { answer["twins"][0].clone() } else { answer };
    twin["points"].as_array().is_some_and(|points| !points.is_empty()).then_some(twin)
}

fn names(twin: &Value) -> Vec<String> {
    let name = |p: &Value| {
        format!("{}/{}", p["feature"].as_str().unwrap_or(""), p["name"].as_str().unwrap_or(""))
    };
    twin["points"].as_array().into_iter().flatten().map(name).collect()
}

fn point(twin: &Value, name: &str) -> Value {
    let at = names(twin).iter().position(|n| n == name);
    at.map_or(Value::Null, |at| twin["points"][at].clone())
}

/// Waits until the point has this value, and it is good.
fn reads(gateway: &Gateway, name: &str, value: &Value) {
    wait::until(&format!("{name} is {value}"), SOON, || {
        let point = point(&twin(gateway)?, name);
        (point["value"] == *value && point["quality"] == "good").then_some(())
    });
}

fn common() -> Value {
    json!({ "ID": 1, "Mn": "Acme", "Md": "X 1", "SN": "S-4711", "Vr": "1.2" })
}

#[test]
fn what_a_device_says_of_itself_becomes_a_twin() {
    let lab = Lab::new();
    let inverter = |power: i32, scale: i32| {
        json!({ "ID": 103, "A_SF": -2, "A": 1234, "AphA": 411, "V_SF": -1, "PhVphA": 2305, "W_SF": scale,
                "W": power, "Hz_SF": -2, "Hz": 4998, "WH_SF": 0, "WH": 1_234_567, "St": 4 })
    };
    let maps = json!([[common(), inverter(432, 1)], [common(), inverter(-4321, -1)]]);
    let (mut first, port) = device(&lab, "first", 40_000, 0, &maps);
    let more = "[[point]]\nname = \"inverter/frequency\"\nused = false\n";
    let mut gateway = gateway(&lab, port, more);
    gateway.start();

    reads(&gateway, "inverter/power", &json!(4320.0));
    reads(&gateway, "inverter/energy", &json!(1_234_567.0));
    let roof = twin(&gateway).unwrap();
    for (name, value) in [("current", 12.34), ("current_a", 4.11), ("voltage_a", 230.5)] {
        assert_eq!(point(&roof, &format!("inverter/{name}"))["value"], json!(value), "{name}");
    }
    assert_eq!(point(&roof, "inverter/state")["label"], "tracking");
    assert_eq!(point(&roof, "inverter/frequency"), Value::Null, "the device file left it out");
    let missing = point(&roof, "inverter/current_b");
    assert_eq!((&missing["value"], &missing["cause"]), (&Value::Null, &json!("not-a-value")));
    wait::until("the asset has said which one it is", SOON, || {
        (twin(&gateway)?["asset"] == "S-4711").then_some(())
    });

    // The device changes the power of ten while it runs: it is read with each value.
    first.signal(Signal::USR1);
    reads(&gateway, "inverter/power", &json!(-432.1));

    // It comes back with new firmware and another model between the two that it had.
    first.stop(SOON);
    wait::until("its silence was noticed", SOON, || {
        let lines = gateway.ctl(&["lines"]);
        String::from_utf8_lossy(&lines.stdout).contains("down").then_some(())
    });
    let tracker = json!({ "ID": 160, "DCA_SF": -2, "DCV_SF": 0, "DCW_SF": 0, "DCWH_SF": 0, "N": 2,
        "module": [{ "ID": 1, "DCA": 512, "DCV": 640, "DCW": 3277 }, { "ID": 2, "DCA": 431 }] });
    let maps = json!([[common(), tracker, inverter(100, 0)]]);
    let (mut second, _) = device(&lab, "second", 40_000, port, &maps);
    reads(&gateway, "tracker/power", &json!(3277.0));
    reads(&gateway, "tracker-2/current", &json!(4.31));
    reads(&gateway, "inverter/power", &json!(100.0));
    let later = twin(&gateway).unwrap();
    let past = gateway.ctl(&["history", "roof/inverter/current", "--json"]).stdout;
    let pages = String::from_utf8_lossy(&past).into_owned();
    let pages = pages.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let rows: Vec<Value> =
        pages.flat_map(|page| page["rows"].as_array().unwrap().clone()).collect();
    let mut good = rows.iter().filter(|row| row["quality"] == "good").peekable();
    assert!(
        good.peek().is_some() && good.all(|row| row["value"] == 12.34),
        "by the old map: {rows:?}"
    );
    let (before, after) = (names(&roof), names(&later));
    assert_eq!(after[..before.len()], before, "no point has another index than it had");

    // A restart while the device is away takes nothing from the twin.
    gateway.stop();
    second.stop(SOON);
    gateway.start();
    let kept = names(&twin(&gateway).unwrap());
    assert_eq!(kept, after);
    gateway.stop();
}

#[test]
fn models_of_all_kinds_are_read_from_a_map_at_register_0() {
    let lab = Lab::new();
    let maps = json!([[
        common(),
        { "ID": 113, "W": -12.5, "DCV": 640.25, "St": 2 },
        { "ID": 120, "DERTyp": 82, "WRtg_SF": 1, "WRtg": 1000 },
        { "ID": 124, "ChaState_SF": -1, "ChaState": 875, "ChaSt": 4, "WChaMax_SF": 0, "WChaMax": 5000 },
        { "ID": 213, "A": 3.5, "PhV": 230.25, "W": -1500.5, "TotWhExp": 10.5, "TotWhImp": 250_000.0 },
        common(),
        { "ID": 203, "W_SF": 0, "W": -2000, "WphC": -700, "TotWh_SF": 2, "TotWhImp": 123_456, "PF_SF": -1, "PF": -985 },
        { "ID": 802, "SoC_SF": -1, "SoC": 421, "V_SF": -1, "V": 5127, "A_SF": -2, "A": -1550, "State": 3 },
    ]]);
    let (_device, port) = device(&lab, "many", 0, 0, &maps);
    let mut gateway =
        gateway(&lab, port, "[group.plate]\non_demand = false\ninterval = \"200ms\"\n");
    gateway.start();
    for (name, value) in [
        ("inverter/power", json!(-12.5)),
        ("inverter/dc_voltage", json!(640.25)),
        ("rating/power", json!(10_000.0)),
        ("rating/type", json!(82)),
        ("storage/charge", json!(87.5)),
        ("storage/state", json!(4)),
        ("meter/power", json!(-1500.5)),
        ("meter/energy_import", json!(250_000.0)),
        ("plate-2/serial", json!("S-4711")),
        ("meter-2/power", json!(-2000.0)),
        ("meter-2/power_c", json!(-700.0)),
        ("meter-2/energy_import", json!(12_345_600.0)),
        ("meter-2/power_factor", json!(-98.5)),
        ("battery/charge", json!(42.1)),
        ("battery/voltage", json!(512.7)),
        ("battery/current", json!(-15.5)),
        ("battery/state", json!(3)),
    ] {
        reads(&gateway, name, &value);
    }
    let twin = twin(&gateway).unwrap();
    assert_eq!(point(&twin, "storage/state")["label"], "charging");
    assert_eq!(twin["model"], "sunspec");
    gateway.stop();
}

#[test]
fn a_device_that_is_none_raises_an_alarm_with_the_reason() {
    let lab = Lab::new();
    let mut plant =
        lab.plant(&json!([{ "name": "plc", "tcp": 0, "units": [{ "unit": 1, "points": [] }] }]));
    let mut gateway = gateway(&lab, plant.port("plc"), "");
    gateway.start();
    wait::until("the alarm", SOON, || {
        let status = gateway.ctl(&["status"]);
        String::from_utf8_lossy(&status.stdout).contains("no \"SunS\"").then_some(())
    });
    // Its file goes, and with it its line and what was said of it.
    std::fs::remove_file(lab.path("etc/devices.d/roof.toml")).unwrap();
    assert!(gateway.ctl(&["reload"]).status.success());
    let status = gateway.ctl(&["status"]);
    assert!(!String::from_utf8_lossy(&status.stdout).contains("SunS"), "{status:?}");
    gateway.stop();
    plant.process.stop(SOON);
}
