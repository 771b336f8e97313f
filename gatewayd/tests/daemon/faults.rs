//! A disk that confirms nothing, bits that flip between two runs, and clocks that are wrong, lost or set.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::plant::Meter;
use crate::tool::{Gateway, eventually};

/// A gateway under the shim, with a meter that is not started yet.
async fn shimmed() -> (Gateway, Meter) {
    let meter = Meter::start().await;
    let mut gateway = Gateway::new();
    gateway.shim();
    gateway.device("meter", meter.port());
    (gateway, meter)
}

/// What the log has of the power: its time, where it is known, and its value.
fn history(gateway: &Gateway) -> Vec<(Option<String>, String)> {
    let answer = gateway.lines(&["history", "meter/power", "--last", "10000"]).remove(0);
    let row = |row: &Value| (row["time"].as_str().map(str::to_owned), row["value"].to_string());
    answer["rows"].as_array().unwrap().iter().map(row).collect()
}

/// Has the meter serve each of these values until the twin shows it.
async fn serve(gateway: &Gateway, meter: &Meter, values: std::ops::Range<u16>) {
    for value in values {
        meter.set(0, value);
        let shown = f64::from(value) / 10.0;
        eventually("the twin shows it", || {
            gateway.twin("meter").filter(|twin| twin["points"][0]["value"] == shown)
        })
        .await;
    }
}

fn said(gateway: &Gateway, words: &str) -> usize {
    gateway.read("log").matches(words).count()
}

#[tokio::test]
async fn a_disk_that_confirms_nothing_loses_nothing_that_was_told() {
    let (mut gateway, meter) = shimmed().await;
    gateway.start().await;
    gateway.shadowed().await;
    let set = gateway.run(&["set", "meter/setpoint", "41", "--wait"]);
    assert_eq!(set.code, 0, "{set:?}");

    gateway.write("shim/sync", "");
    eventually("the alarm stands", || {
        meter.set(0, meter.register(0) + 1);
        let status = gateway.run(&["status"]).out;
        (status.contains("does not confirm what was written") && status.contains("dmesg"))
            .then_some(())
    })
    .await;
    let health = gateway.http("/health").await;
    assert!(health.starts_with("HTTP/1.1 503"), "{health}");
    let metrics = gateway.http("/metrics").await;
    assert!(metrics.contains("part=\"durability\"} 1"), "{metrics}");
    let mut refused = gateway.background(&["set", "meter/setpoint", "42", "--wait"]);
    serve(&gateway, &meter, 3_000..3_010).await;
    assert_eq!(meter.register(1), 41, "what is not durable is not carried out");
    assert!(!refused.saw("accepted"), "nothing is told before it is durable");

    gateway.remove("shim/sync");
    eventually("the alarm is over", || {
        (!gateway.run(&["status"]).out.contains("does not confirm")).then_some(())
    })
    .await;
    eventually("the command ends", || refused.ended().then_some(())).await;
    assert_eq!(said(&gateway, "does not confirm"), 2, "begun and over: {}", gateway.read("log"));
    let set = gateway.run(&["set", "meter/setpoint", "43", "--wait"]);
    assert_eq!((set.code, meter.register(1)), (0, 43), "{set:?}");
    let before = history(&gateway);
    gateway.kill();
    gateway.start().await;
    let after = history(&gateway);
    assert!(after.starts_with(&before), "lost: {before:?}\n{after:?}");
    for value in 3_000..3_010 {
        let value = (f64::from(value) / 10.0).to_string();
        assert!(after.iter().any(|(_, told)| told.trim_end_matches(".0") == value), "{value}");
    }
    gateway.stop().await;
}

/// The newest segment with readings.
fn newest_samples(store: &Path) -> PathBuf {
    let files = fs::read_dir(store).unwrap().map(|entry| entry.unwrap().path());
    let samples = |path: &PathBuf| {
        path.file_name().unwrap().to_str().unwrap().starts_with("samples-")
            && path.extension().is_some_and(|e| e == "seg")
    };
    files.filter(samples).max().unwrap()
}

/// A gateway that was killed with some readings in its log, and what it told of them.
async fn killed() -> (Gateway, Meter, Vec<(Option<String>, String)>) {
    let meter = Meter::start().await;
    let mut gateway = Gateway::new();
    gateway.device("meter", meter.port());
    gateway.start().await;
    gateway.shadowed().await;
    serve(&gateway, &meter, 1_000..1_030).await;
    // A confirmed command came after all of them, and is durable.
    let set = gateway.run(&["set", "meter/setpoint", "41", "--wait"]);
    assert_eq!(set.code, 0, "{set:?}");
    let told = history(&gateway);
    gateway.kill();
    (gateway, meter, told)
}

/// Starts it on a damaged store: exactly these many of what was told are lost, which is said once, and all goes on.
async fn costs(
    gateway: &mut Gateway,
    meter: &Meter,
    told: &[(Option<String>, String)],
    lost: usize,
) {
    gateway.start().await;
    gateway.shadowed().await;
    let after = history(gateway);
    let kept = told.iter().filter(|row| after.contains(row)).count();
    assert_eq!(kept, told.len() - lost, "{told:?}\n{after:?}");
    assert_eq!(said(gateway, "did not survive the last stop"), 1, "{}", gateway.read("log"));
    assert_eq!(meter.register(1), 41);
    serve(gateway, meter, 2_000..2_003).await;
    let set = gateway.run(&["set", "meter/setpoint", "42", "--wait"]);
    assert_eq!(set.code, 0, "{set:?}");
    gateway.stop().await;
    gateway.start().await;
    assert_eq!(gateway.read("log").matches("did not survive").count(), 0, "it is said once");
    assert!(history(gateway).starts_with(&after), "nothing more is lost");
    gateway.stop().await;
}

#[tokio::test]
async fn a_torn_tail_costs_what_was_torn() {
    let (mut gateway, meter, told) = killed().await;
    let path = newest_samples(&gateway.path("store"));
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end - 8..].fill(0);
    fs::write(&path, &bytes).unwrap();
    // The torn one is the read-back of the command, not of the power.
    costs(&mut gateway, &meter, &told, 0).await;
}

#[tokio::test]
async fn a_flipped_bit_costs_the_commit_it_hits() {
    let (mut gateway, meter, told) = killed().await;
    let path = newest_samples(&gateway.path("store"));
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end / 2] ^= 0x10;
    fs::write(&path, &bytes).unwrap();
    costs(&mut gateway, &meter, &told, 1).await;
}

/// Seconds that bring the wall clock to the year 1970, or away from it to 2099.
fn to_1970() -> String {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    format!("-{now}")
}

const TO_2099: &str = "2303596800";

/// Seconds since 1970 of an instant.
fn seconds(time: &str) -> i64 {
    twin::Timestamp::parse(time).unwrap().0 / 1_000_000
}

/// Now, by a clock that is right.
fn now() -> i64 {
    i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap()
}

#[tokio::test]
async fn a_boot_without_time_gets_its_times_when_the_clock_is_set() {
    let (mut gateway, meter) = shimmed().await;
    gateway.write("shim/clock", &to_1970());
    let begun = now();
    gateway.start().await;
    gateway.shadowed().await;
    serve(&gateway, &meter, 1_000..1_005).await;
    let status = gateway.run(&["status"]).out;
    assert!(status.contains("not set: times are missing"), "{status}");
    let rows = history(&gateway);
    assert!(rows.len() >= 6 && rows.iter().all(|(time, _)| time.is_none()), "{rows:?}");
    let set = gateway.run(&["set", "meter/setpoint", "41", "--wait"]);
    assert_eq!(set.code, 0, "commands need no time of day: {set:?}");

    gateway.remove("shim/clock");
    let known = eventually("all that was read has its time", || {
        Some(history(&gateway)).filter(|rows| rows.iter().all(|(time, _)| time.is_some()))
    })
    .await;
    assert!(!gateway.run(&["status"]).out.contains("times are missing"));
    assert_eq!(known.len(), rows.len());
    for (time, value) in &known {
        let time = seconds(time.as_ref().unwrap());
        assert!((begun..=now()).contains(&time), "{value} at {time}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_clock_in_2099_that_is_set_right_falsifies_nothing() {
    let (mut gateway, meter) = shimmed().await;
    let begun = now();
    gateway.start().await;
    gateway.shadowed().await;
    serve(&gateway, &meter, 1_000..1_005).await;
    let right = history(&gateway);
    gateway.write("shim/clock", TO_2099);
    eventually("the leap is said", || {
        (said(&gateway, "for a day nothing is dropped because of its age") == 1).then_some(())
    })
    .await;
    serve(&gateway, &meter, 2_000..2_005).await;
    let wrong = history(&gateway);
    assert!(wrong.starts_with(&right), "{right:?}\n{wrong:?}");
    assert!(wrong.last().unwrap().0.as_ref().unwrap().starts_with("2099"), "{wrong:?}");

    // Over a restart with the wrong clock, and set right while it runs.
    gateway.stop().await;
    gateway.start().await;
    serve(&gateway, &meter, 3_000..3_005).await;
    gateway.remove("shim/clock");
    eventually("the clock is right again", || {
        meter.set(0, meter.register(0) + 1);
        history(&gateway).pop().and_then(|row| row.0).filter(|time| seconds(time) <= now())
    })
    .await;
    serve(&gateway, &meter, 4_000..4_005).await;
    let rows = history(&gateway);
    assert!(rows.starts_with(&wrong), "{wrong:?}\n{rows:?}");
    for (time, value) in &rows {
        let time = seconds(time.as_ref().unwrap());
        let true_time = if time > now() { time - 2_303_596_800 } else { time };
        assert!((begun..=now() + 1).contains(&true_time), "{value} at {time}");
    }
    let status = gateway.lines(&["status"]).remove(0);
    assert!(status.to_string().contains("\"dropped_segments\""), "{status}");
    gateway.stop().await;
}
