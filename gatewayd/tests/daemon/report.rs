//! Report by change, deadband, and the pace of reports, seen from outside.

use serde_json::{Value, json};
use twin::Timestamp;

use crate::plant::Meter;
use crate::tool::{Gateway, eventually};

/// What the log has of one point: when the asset had the value (µs), and the value.
fn rows(gateway: &Gateway, point: &str) -> Vec<(i64, f64)> {
    let rows = gateway.lines(&["history", point, "--last", "1000"]).remove(0);
    let row = |row: &Value| {
        let time = Timestamp::parse(row["time"].as_str()?)?;
        Some((time.0, row["value"].as_f64()?))
    };
    rows["rows"].as_array().unwrap().iter().filter_map(row).collect()
}

fn section<'a>(why: &'a Value, title: &str) -> &'a Value {
    let sections = why["sections"].as_array().unwrap();
    &sections.iter().find(|section| section["title"] == title).unwrap()["rows"]
}

#[tokio::test]
async fn what_is_not_worth_a_report_is_seen_and_not_sent() {
    let meter = Meter::start().await;
    let mut gateway = Gateway::new();
    let text = format!(
        "[modbus]\ntcp = \"127.0.0.1:{}\"\n[group.main]\ninterval = \"100ms\"\n\
         [[point]]\nname = \"a/percent\"\naddress = \"holding:0\"\ntype = \"u16\"\ndeadband = \"10 %\"\n\
         [[point]]\nname = \"a/least\"\naddress = \"holding:1\"\ntype = \"u16\"\nmin_interval = \"1s\"\n\
         [[point]]\nname = \"a/most\"\naddress = \"holding:2\"\ntype = \"u16\"\nmax_interval = \"500ms\"\n",
        meter.port()
    );
    gateway.write("devices.d/meter.toml", &text);
    meter.set(0, 1_000);
    gateway.start().await;
    eventually("the first values are there", || {
        (rows(&gateway, "meter/a/percent").len() == 1).then_some(())
    })
    .await;

    // The first drifts within its band and the second changes with every poll, until the third, which rests, was
    // reported five times more.
    let mut n = 0;
    let rested = eventually("what rests is reported all the same", || {
        n += 1;
        meter.set(0, 1_000 + n % 100);
        meter.set(1, n);
        Some(rows(&gateway, "meter/a/most")).filter(|rows| rows.len() > 5)
    })
    .await;
    assert!(rested.iter().all(|(_, value)| *value == 0.0), "{rested:?}");
    meter.set(1, 60_000);
    let paced = eventually("the last value is told in the end", || {
        Some(rows(&gateway, "meter/a/least")).filter(|rows| rows.last().unwrap().1 == 60_000.0)
    })
    .await;
    let apart = paced.windows(2).map(|pair| pair[1].0 - pair[0].0).min().unwrap();
    assert!(apart >= 990_000, "the shortest time between two is {apart} µs: {paced:?}");
    assert_eq!(
        rows(&gateway, "meter/a/percent"),
        [(rows(&gateway, "meter/a/percent")[0].0, 1_000.0)]
    );

    // The twin is as fresh as its polls, whatever was sent.
    let twin = gateway.twin("meter").unwrap();
    let percent = &twin["points"][0];
    let (told, seen) =
        (rows(&gateway, "meter/a/percent")[0].0, percent["age_ms"].as_i64().unwrap());
    let since = rows(&gateway, "meter/a/most").last().unwrap().0 - told;
    assert!(seen * 1_000 < since, "{seen} ms old, and told {since} µs before the last: {percent}");
    let why = gateway.lines(&["why", "meter/a/percent"]).remove(0);
    let words = json!(["report", "when it changes by more than 10 %"]);
    assert!(section(&why, "point").as_array().unwrap().contains(&words), "{why}");
    let acquired = section(&why, "acquisition").to_string();
    assert!(acquired.contains("complete, in time"), "{acquired}");

    // Beyond the band it is told, and a rule that changes is in the plan.
    meter.set(0, 1_101);
    eventually("it left its band", || {
        (rows(&gateway, "meter/a/percent").last().unwrap().1 == 1_101.0).then_some(())
    })
    .await;
    gateway.write("devices.d/meter.toml", &text.replace("10 %", "5 %"));
    let plan = gateway.lines(&["plan"]).remove(0).to_string();
    assert!(plan.contains("point changed: a/percent"), "{plan}");
    gateway.stop().await;
}
