//! The daemon as a process: a device served by bytes written by hand becomes a twin, is commanded, and is remembered.
#![cfg(test)]

mod alarms;
mod bad_day;
mod conditioning;
mod entangled;
mod faults;
mod lasting;
mod logged;
mod plant;
mod reload;
mod report;
mod tool;

use serde_json::{Value, json};

use plant::Meter;
use tool::{Gateway, eventually};

#[tokio::test]
async fn a_device_becomes_a_twin_and_a_setpoint_is_confirmed() {
    let meter = Meter::start().await;
    let mut gateway = Gateway::new();
    gateway.device("meter", meter.port());
    gateway.start().await;
    let twin = gateway.shadowed().await;
    let power = &twin["points"][0];
    assert_eq!((&power["value"], &power["unit"]), (&json!(230.5), &json!("W")));
    assert_eq!((&power["text"], &power["quality"]), (&json!("230.5"), &json!("good")));
    assert!(power["age_ms"].as_u64().unwrap() < 5_000, "{power}");

    let steps = gateway.lines(&["set", "meter/setpoint", "42", "--wait"]);
    let stages: Vec<&str> = steps.iter().filter_map(|step| step["stage"].as_str()).collect();
    assert_eq!(stages, ["accepted", "sent", "acknowledged", "confirmed"]);
    assert_eq!(meter.register(1), 42, "the asset has it");
    let desired = gateway.twin("meter").unwrap()["points"][1].clone();
    assert_eq!((&desired["desired"], &desired["command"]), (&json!("42"), &json!("confirmed")));

    let people = gateway.run(&["set", "meter/relay/setpoint", "43", "--wait"]);
    assert_eq!(people.code, 0, "{people:?}");
    assert!(people.out.contains("confirmed") && people.out.contains(" ms"), "{people:?}");
    let known = gateway.lines(&["set", "meter/setpoint", "44", "--wait", "--key", "k"]);
    assert_eq!(known.last().unwrap()["stage"], "confirmed");
    let again = gateway.lines(&["set", "meter/setpoint", "45", "--wait", "--key", "k"]);
    assert_eq!((again.len(), &again[0]["known"]), (1, &json!(true)), "{again:?}");
    assert_eq!(meter.register(1), 44, "a repeat repeats nothing");
    gateway.stop().await;
}

#[tokio::test]
async fn what_may_not_be_written_is_refused_with_words() {
    let meter = Meter::start().await;
    let mut gateway = Gateway::new();
    gateway.device("meter", meter.port());
    gateway.start().await;
    gateway.shadowed().await;
    let refused = |arguments: &[&str], words: &str| {
        let output = gateway.run(arguments);
        assert_eq!(output.code, 1, "{arguments:?}: {output:?}");
        let all = format!("{}{}", output.out, output.err);
        assert!(all.contains(words), "{arguments:?}: {all}");
    };
    refused(&["set", "meter/power", "1", "--wait"], "not declared `writable = true`");
    refused(&["set", "meter/setpoint", "1001", "--wait"], "outside 0 to 1000");
    refused(&["set", "meter/setpoint", "warm"], "not a number");
    refused(&["set", "meter/setpont", "1"], "did you mean meter/");
    refused(&["read", "metre"], "did you mean meter");
    assert_eq!(gateway.run(&["writes", "off"]).code, 0);
    refused(&["set", "meter/setpoint", "1", "--wait"], "writes are off");
    gateway.kill();
    gateway.start().await;
    let writes = gateway.run(&["writes"]);
    assert!(writes.out.contains("off, switched off by user:"), "the switch is latched: {writes:?}");
    assert_eq!(meter.register(1), 7, "nothing was written");
    gateway.stop().await;
}

#[tokio::test]
async fn a_kill_keeps_what_was_known() {
    let meter = Meter::start().await;
    let mut gateway = Gateway::new();
    gateway.device("meter", meter.port());
    gateway.start().await;
    let twin = gateway.shadowed().await;
    assert_eq!(twin["points"][0]["value"], json!(230.5));
    gateway.kill();
    drop(meter);
    gateway.start().await;
    let twin = eventually("the twin is out of sync", || {
        gateway.twin("meter").filter(|twin| twin["life_cycle"] == "out of sync")
    })
    .await;
    let power = &twin["points"][0];
    assert_eq!(power["value"], json!(230.5), "the last value is kept");
    let status = gateway.lines(&["status"]).remove(0);
    assert_eq!(status["store"]["epoch"], json!(2));
    let why = gateway.run(&["why", "meter/power"]);
    assert!(why.out.contains("line") && why.out.contains("refused"), "{why:?}");
    gateway.stop().await;
}

#[tokio::test]
async fn reload_applies_what_changed_and_a_broken_file_changes_nothing_else() {
    let (first, second) = (Meter::start().await, Meter::start().await);
    let mut gateway = Gateway::new();
    gateway.device("first", first.port());
    gateway.start().await;
    gateway.device("second", second.port());
    let done = gateway.lines(&["reload", "--no-window"]).remove(0);
    assert_eq!((done["added"].as_array().unwrap().len(), &done["same"]), (1, &json!(1)), "{done}");
    eventually("both are shadowed", || {
        let shadowed = |id: &str| gateway.twin(id).is_some_and(|t| t["life_cycle"] == "shadowed");
        (shadowed("first") && shadowed("second")).then_some(())
    })
    .await;
    let connections = first.connections();
    gateway.write("devices.d/second.toml", "nonsense = 1\n");
    let broken = gateway.run(&["reload", "--no-window"]);
    assert_eq!(broken.code, 1);
    assert!(broken.out.contains("second.toml:1:1"), "{broken:?}");
    let twins = gateway.run(&["twins", "--brief"]);
    assert!(twins.out.contains("disabled"), "{twins:?}");
    gateway.remove("devices.d/second.toml");
    assert_eq!(gateway.run(&["reload", "--no-window"]).code, 0);
    eventually("the twin is done", || {
        gateway.twin("second").filter(|twin| twin["life_cycle"] == "done")
    })
    .await;
    let config = gateway.read("gatewayd.toml");
    gateway.write("gatewayd.toml", "[gatewy]\n");
    let refused = gateway.run(&["reload", "--no-window"]);
    assert!(refused.code == 1 && refused.err.contains("nothing was changed"), "{refused:?}");
    assert!(gateway.run(&["status"]).out.contains("the last good one is in force"));
    gateway.stop().await;
    gateway.start().await;
    assert!(
        gateway.run(&["status"]).out.contains("state/config/"),
        "it starts by the last good file"
    );
    gateway.write("gatewayd.toml", &config);
    assert_eq!(gateway.run(&["reload", "--no-window"]).code, 0);
    assert!(!gateway.run(&["status"]).out.contains('!'), "the alarm is over");
    assert!(first.connections() <= connections + 1, "its line was left alone by every reload");
    gateway.stop().await;
}

#[tokio::test]
async fn what_was_given_up_is_tried_again_at_a_reload() {
    let mut gateway = Gateway::new();
    let (config, port) = (gateway.read("gatewayd.toml"), gateway.path("port"));
    // A terminal that cannot switch the direction of RS-485.
    std::os::unix::fs::symlink("/dev/ptmx", &port).unwrap();
    gateway.write(
        "gatewayd.toml",
        &format!(
            "{config}[line.bus]\nserial = {port:?}\nbaud = 9600\nparity = \"none\"\n\
             rs485 = {{ invert_rts = false }}\n"
        ),
    );
    let device =
        "[modbus]\nline = \"bus\"\nunit = 1\n[[point]]\nname = \"a/b\"\naddress = \"holding:0\"\n";
    gateway.write("devices.d/meter.toml", device);
    gateway.start().await;
    let parked = || gateway.run(&["status"]).out.contains("parked");
    eventually("the line is parked", || parked().then_some(())).await;
    assert!(gateway.run(&["lines"]).out.contains("offline"));
    gateway.remove("port");
    let done = gateway.run(&["reload", "--no-window"]);
    assert!(done.code == 0 && done.out.contains("changed: line bus"), "{done:?}");
    assert!(!parked(), "a port that is not there now may come: the line waits for it");
    gateway.stop().await;
}

#[tokio::test]
async fn watch_tells_what_happens_and_health_and_metrics_are_served() {
    let meter = Meter::start().await;
    let mut gateway = Gateway::new();
    gateway.device("meter", meter.port());
    gateway.start().await;
    let mut watch = gateway.background(&["watch", "meter/power"]);
    eventually("the watch sees a change", || {
        meter.set(0, meter.register(0) + 1);
        watch.saw("grid/power").then_some(())
    })
    .await;
    eventually("the device is shown online", || {
        let lines = gateway.lines(&["lines"]).remove(0);
        (lines["lines"][0]["devices"][0]["state"] == "online").then_some(())
    })
    .await;
    let metrics = gateway.http("/metrics").await;
    assert!(metrics.contains("gatewayd_device_online{twin=\"meter\"} 1"), "{metrics}");
    assert!(metrics.contains("# EOF"), "{metrics}");
    assert!(gateway.http("/health").await.contains("\"healthy\":true"));
    let lines = gateway.run(&["lines"]);
    assert!(lines.out.contains("up") && lines.out.contains("unit 1"), "{lines:?}");
    let read = gateway.lines(&["read", "meter"]).remove(0);
    assert_eq!(read["points"].as_array().unwrap().len(), 2, "{read}");
    gateway.stop().await;
    eventually("the watch ends with the daemon", || watch.ended().then_some(())).await;
}

#[tokio::test]
async fn history_shows_what_was_in_every_form() {
    let meter = Meter::start().await;
    let mut gateway = Gateway::new();
    gateway.device("meter", meter.port());
    gateway.start().await;
    let rows = |arguments: &[&str]| -> Vec<Value> {
        let pages = gateway.lines(arguments);
        assert!(pages.last().is_some_and(|page| page["ended"] == json!(true)), "{pages:?}");
        pages.iter().flat_map(|page| page["rows"].as_array().unwrap().clone()).collect()
    };
    let point = "meter/grid/power";
    for n in 1..5 {
        eventually("the reading is kept", || {
            (rows(&["history", point, "--since", "1h"]).len() >= n).then_some(())
        })
        .await;
        // After the last one nothing changes any more.
        if n < 4 {
            meter.set(0, meter.register(0) + 10);
        }
    }
    let all = rows(&["history", point]);
    assert!(all.iter().all(|row| row["point"] == "grid/power" && row["what"] == "reported"));
    assert!(all.is_sorted_by_key(|row| row["seq"].as_u64()));
    assert_eq!(all[0]["value"], json!(230.5));
    let last = rows(&["history", point, "--last", "2"]);
    assert_eq!(last, all[all.len() - 2..]);
    let (from, to) = (all[1]["seq"].to_string(), all[2]["seq"].to_string());
    assert_eq!(rows(&["history", point, "--from", &from, "--to", &to]), all[1..3]);
    assert_eq!(rows(&["history", point, "--until", "1h"]), Vec::<Value>::new());
    let bucket = rows(&["history", point, "--every", "24h"]);
    let count: u64 = bucket.iter().map(|b| b["summary"]["count"].as_u64().unwrap()).sum();
    assert_eq!(count, all.len() as u64);
    assert_eq!(bucket.last().unwrap()["value"], all.last().unwrap()["value"]);
    let records = rows(&["history", "meter", "--class", "record"]);
    assert!(records.iter().any(|row| row["what"] == "transition" && row.get("point").is_none()));
    assert!(rows(&["history"]).iter().any(|row| row["what"] == "opened"), "the gateway's own");
    let csv = gateway.run(&["history", point, "--csv"]).out;
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("time,epoch,seq,twin,what,point,value,unit,quality"));
    assert_eq!(lines.len(), 1 + all.len());
    assert!(lines[1].contains(",meter,reported,grid/power,230.5,"), "{csv}");
    assert!(gateway.run(&["history", point]).out.contains("grid/power 230.5"));
    let wrong = |arguments: &[&str], code: i32, words: &str| {
        let output = gateway.run(arguments);
        assert!(output.code == code && output.err.contains(words), "{output:?}");
    };
    wrong(&["history", "meter/powr"], 1, "did you mean meter/");
    wrong(&["history", "--every", "1h"], 1, "name it");
    wrong(&["history", point, "--every", "1ms"], 1, "1s to 366d");
    wrong(&["history", point, "--since", "yesterday"], 2, "2026-11-23T10:00:00Z");
    gateway.stop().await;
}

#[tokio::test]
async fn without_a_daemon_every_error_says_what_to_do() {
    let gateway = Gateway::new();
    let output = gateway.run(&["twins"]);
    assert_eq!(output.code, 69);
    assert!(output.err.contains("systemctl start gatewayd"), "{output:?}");
    assert_eq!(gateway.run(&["twinz"]).code, 2);
}

#[tokio::test]
async fn check_says_what_start_would_do() {
    let gateway = Gateway::new();
    gateway.device("meter", 1502);
    assert_eq!(gateway.check().code, 0);
    gateway.write("devices.d/bad.toml", "[modbus]\ntcp = 5\n");
    let output = gateway.check();
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.out.contains("bad.toml:2:"), "{output:?}");
    gateway.write("gatewayd.toml", "[gateway]\nnaem = \"x\"\n");
    let output = gateway.check();
    assert_eq!(output.code, 78, "{output:?}");
    assert!(output.out.contains("name"), "{output:?}");
    assert_eq!(gateway.daemon().code, 78, "without a last good file it does not start");
}

#[tokio::test]
async fn a_device_is_probed_and_calibrated_with_and_without_the_daemon() {
    let meter = Meter::start().await;
    let mut gateway = Gateway::new();
    gateway.device("meter", meter.port());
    let address = format!("127.0.0.1:{}", meter.port());
    let probe = ["modbus", "probe", &address, "1", "holding:0-1"];
    let alone = gateway.run(&probe);
    assert_eq!(alone.code, 0, "{alone:?}");
    assert!(alone.out.contains("holding:0  0x0901"), "{alone:?}");
    assert!(alone.out.contains("* u16 "), "{alone:?}");
    assert_eq!(meter.connections(), 1, "nobody else is there");

    gateway.start().await;
    gateway.shadowed().await;
    let before = meter.connections();
    let through = gateway.lines(&probe);
    let value = through.iter().find(|one| one["format"] == "u16" && one["address"] == "holding:0");
    assert_eq!(
        (&value.unwrap()["value"], &value.unwrap()["plausible"]),
        (&json!("2305"), &json!(true))
    );
    // The meter has eight registers: each is asked alone where they are not had together.
    let beyond = gateway.run(&["modbus", "probe", &address, "1", "holding:7-9"]);
    assert!(beyond.out.contains("holding:7  0x0000"), "{beyond:?}");
    assert!(
        beyond.out.contains("holding:9  the device refused: illegal data address"),
        "{beyond:?}"
    );
    let found = gateway.lines(&["modbus", "calibrate", &address, "1", "holding:0-19"]);
    assert_eq!(
        (&found[0]["most"], &found[0]["unlimited"]),
        (&json!(8), &json!(false)),
        "{found:?}"
    );
    assert_eq!(meter.connections(), before, "all of it over the daemon's own connection");
    let nothing = gateway.run(&["modbus", "probe", &address, "1", "holding:5-4"]);
    assert!(nothing.code == 1 && nothing.err.contains("no range of registers"), "{nothing:?}");
    gateway.stop().await;

    let found = gateway.run(&["modbus", "calibrate", &address, "1", "holding:0-19"]);
    assert!(
        found.out.contains("max_registers = 8") && found.out.contains("timeout = "),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_line_is_tapped_recorded_and_replayed() {
    let meter = Meter::start().await;
    let mut gateway = Gateway::new();
    gateway.device("meter", meter.port());
    gateway.start().await;
    let line = format!("tcp:127.0.0.1:{}", meter.port());
    let tap = gateway.background(&["tap", &line]);
    eventually("a request and its answer are shown", || {
        let both = tap.saw("→ #") && tap.saw("unit 1: read 2 of holding from 0");
        (both && tap.saw("unit 1: 4 bytes: 09 01 00 07")).then_some(())
    })
    .await;
    drop(tap);
    let wrong = gateway.run(&["tap", "tcp:nowhere"]);
    assert!(wrong.code == 1 && wrong.err.contains("there is no line"), "{wrong:?}");

    let file = gateway.path("meter.recording");
    let record = gateway.background(&["record", &line, file.to_str().unwrap()]);
    eventually("something is recorded", || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        (text.lines().count() > 6).then_some(())
    })
    .await;
    drop(record);
    gateway.stop().await;
    let again = gateway.run(&["record", &line, file.to_str().unwrap()]);
    assert_eq!(again.code, 69, "without a daemon there is nothing to record: {again:?}");

    // A recording that was cut off in the middle of a line is still one.
    let replay = gateway.background(&["replay", file.to_str().unwrap()]);
    let address = eventually("it listens", || {
        let text = gateway.read("background");
        let rest = text.split_once(" at ")?.1;
        Some(rest.split_once(": ")?.0.to_owned())
    })
    .await;
    let probed = gateway.run(&["modbus", "probe", &address, "1", "holding:0-1"]);
    assert_eq!(probed.code, 0, "{probed:?}");
    assert!(probed.out.contains("holding:0  0x0901") && probed.out.contains("holding:1  0x0007"));
    let unknown = gateway.run(&["modbus", "probe", &address, "1", "holding:3"]);
    assert!(unknown.code == 1 && unknown.out.contains("illegal data address"), "{unknown:?}");
    drop(replay);
    for way in ["rtu", "ascii"] {
        let replay = gateway.background(&["replay", file.to_str().unwrap(), "--way", way]);
        let address = eventually("it listens", || {
            let text = gateway.read("background");
            let rest = text.split_once(" at ")?.1;
            Some(rest.split_once(": ")?.0.to_owned())
        })
        .await;
        let probed = gateway.run(&["modbus", "probe", &address, "1", "holding:0-1", "--way", way]);
        assert_eq!(probed.code, 0, "{way}: {probed:?}");
        assert!(probed.out.contains("holding:0  0x0901"), "{way}: {probed:?}");
        drop(replay);
    }
}
