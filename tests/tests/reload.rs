//! A reload changes one device of many on one line, and the others do not notice: by the plant's own log of requests.

#![cfg(test)]

use std::time::Duration;

use serde_json::{Value, json};
use tests::gateway::Gateway;
use tests::lab::Lab;
use tests::wait;

/// The period of every poll, in seconds.
const PERIOD: f64 = 1.0;
/// How long the plant is watched before the reload, and after it.
const WATCHED: Duration = Duration::from_secs(5);
/// The unit whose file changes.
const CHANGED: u64 = 7;

fn device(unit: u64, more: &str) -> String {
    format!(
        "[modbus]\nline = \"bus\"\nunit = {unit}\ntimeout = \"5s\"\n\
         [group.all]\ninterval = \"{PERIOD}s\"\n\
         [[point]]\nname = \"count/served\"\naddress = \"holding:0\"\ntype = \"u32\"\n{more}"
    )
}

/// Runs this many units on the line, changes one, and gives the plant's log and what the line counted.
fn reload(line: Value, reached: impl Fn(&Lab, u16) -> String, units: u64) -> (Vec<Value>, Value) {
    let lab = Lab::new();
    let unit =
        |unit| json!({ "unit": unit, "points": [{ "at": 0, "type": "u32", "kind": "served" }] });
    let mut line = line;
    line["name"] = "bus".into();
    line["units"] = (1..=units).map(unit).collect();
    if line.get("pty").is_some() {
        line["pty"] = lab.path("bus").display().to_string().into();
    }
    let tcp = line.get("tcp").is_some();
    let plant = lab.plant(&json!([line]));
    let port = if tcp { plant.port("bus") } else { 0 };
    let section = format!("[line.bus]\n{}\n", reached(&lab, port));
    let names: Vec<String> = (1..=units).map(|unit| format!("unit-{unit:03}")).collect();
    let files: Vec<(&str, String)> =
        names.iter().zip(1..).map(|(name, unit)| (name.as_str(), device(unit, ""))).collect();
    let mut gateway = Gateway::configure(&lab, "gw", &section, &files);
    gateway.start();
    wait::until("every unit is polled", Duration::from_secs(30), || {
        let log = lab.lines("plant.jsonl");
        let asked = |unit: u64| log.iter().filter(|e| e["unit"] == unit).count();
        (1..=units).all(|unit| asked(unit) >= 2).then_some(())
    });
    wait::pause(WATCHED);
    // A serial line begins with a quarantine, in which turns are missed.
    let missed = count(&gateway.ask(&["lines"])[0]["lines"][0], "missed");
    let more = "[[point]]\nname = \"count/other\"\naddress = \"holding:100\"\n";
    lab.write(&format!("etc/devices.d/unit-{CHANGED:03}.toml"), &device(CHANGED, more));
    let reloaded = gateway.ask(&["reload"]);
    assert_eq!(reloaded[0]["problems"].as_array().map_or(0, Vec::len), 0, "{reloaded:?}");
    wait::pause(WATCHED);
    let lines = gateway.ask(&["lines"]);
    gateway.stop();
    let log = lab.lines("plant.jsonl");
    let new = log.iter().any(|e| e["unit"] == CHANGED && e["at"] == 100);
    assert!(new, "the change was applied");
    let line = lines[0]["lines"][0].clone();
    // What the changed device missed at the beginning is forgotten with it.
    let now = count(&line, "missed");
    assert!(now <= missed, "no turn is missed: {missed} before, {line}");
    (log, line)
}

/// Every unchanged unit was asked once per period, never later than one period after its turn: a request too many moves
/// all that follow ahead of their turns, a missing one moves them behind.
fn judge(log: &[Value], units: u64) {
    for unit in (1..=units).filter(|unit| *unit != CHANGED) {
        let of = log.iter().filter(|e| e["unit"] == unit && e["fc"] == 3);
        let times: Vec<f64> = of.filter_map(|e| e["t"].as_f64()).collect();
        // The first request of all finds out whether the device is there.
        let times = &times[1..];
        let first = times[0];
        for (turn, at) in times.iter().enumerate() {
            let due = first + f64::from(u32::try_from(turn).unwrap()) * PERIOD;
            let off = at - due;
            let end = turn + 1 == times.len();
            let latest = if end { PERIOD / 2.0 } else { PERIOD };
            let kept = (-PERIOD / 2.0..latest).contains(&off);
            assert!(kept, "unit {unit}, request {turn}: {off:+.3} s off its turn");
        }
        let last = times[times.len() - 1];
        assert!(last - first > 8.0 * PERIOD, "unit {unit} was asked until the end: {times:?}");
    }
}

fn count(line: &Value, name: &str) -> u64 {
    let counts = line["counts"].as_array().unwrap();
    let found = counts.iter().find(|pair| pair[0] == name);
    found.and_then(|pair| pair[1].as_u64()).unwrap_or_else(|| panic!("no {name} in {line}"))
}

#[test]
fn one_of_31_units_on_a_serial_line() {
    let reached = |lab: &Lab, _| {
        format!("serial = \"{}\"\nbaud = 19200\nparity = \"none\"", lab.path("bus").display())
    };
    let (log, line) = reload(json!({ "pty": "" }), reached, 31);
    judge(&log, 31);
    assert_eq!(count(&line, "opened"), 1, "the port stays open: {line}");
}

#[test]
fn one_of_100_units_on_a_tcp_connection() {
    let reached = |_: &Lab, port| format!("tcp = \"127.0.0.1:{port}\"");
    let (log, line) = reload(json!({ "tcp": 0 }), reached, 100);
    judge(&log, 100);
    assert_eq!(count(&line, "opened"), 1, "the connection stays open: {line}");
    let connected = |made: bool| log.iter().filter(|e| e["connected"] == made).count();
    assert_eq!(connected(true), 1, "one connection, ever");
    // The plant may see the end of the daemon, and may log it before the last request.
    assert!(connected(false) <= 1);
}
