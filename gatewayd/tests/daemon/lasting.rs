//! Relationships made and ended at run time, and the end of a twin.

use serde_json::json;

use crate::plant::Meter;
use crate::tool::{Gateway, eventually};

#[tokio::test]
async fn twins_are_related_while_they_run_and_for_as_long_as_they_are_there() {
    let meter = Meter::start().await;
    let mut gateway = Gateway::new();
    gateway.device("meter", meter.port());
    gateway.device("pump", meter.port());
    let second = gateway.read("devices.d/pump.toml").replace("[modbus]\n", "[modbus]\nunit = 2\n");
    gateway.write("devices.d/pump.toml", &second);
    gateway.start().await;
    let related = |gateway: &Gateway| gateway.twin("pump").unwrap()["relationships"].clone();

    let watch = gateway.background(&["watch", "pump"]);
    eventually("the watch has begun", || {
        gateway.run(&["relate", "pump", "tests", "meter"]);
        gateway.run(&["unrelate", "pump", "tests", "meter"]);
        watch.saw("tests meter").then_some(())
    })
    .await;
    assert_eq!(gateway.run(&["relate", "pump", "feeds", "meter"]).code, 0);
    let elsewhere = "https://plant-8.example/twins/tank";
    assert_eq!(gateway.run(&["relate", "pump", "feeds", elsewhere]).code, 0);
    let again = gateway.run(&["relate", "pump", "feeds", "meter"]);
    assert_eq!((again.code, again.out.lines().count()), (0, 2), "what is so stays so: {again:?}");
    let both = json!([
        { "name": "feeds", "target": "meter" },
        { "name": "feeds", "target": elsewhere },
    ]);
    assert_eq!(related(&gateway), both);
    eventually("it is told", || watch.saw("feeds meter").then_some(())).await;

    for (arguments, words) in [
        (["relate", "pump", "feeds", "metre"], "did you mean meter?"),
        (["relate", "pump", "feeds", "pump"], "itself"),
        (["relate", "pump", "fe eds", "meter"], "name of a relationship"),
        (["relate", "pmp", "feeds", "meter"], "did you mean pump?"),
        (["unrelate", "pump", "drains", "meter"], "no relationship drains"),
    ] {
        let refused = gateway.run(&arguments);
        assert_eq!(refused.code, 1, "{arguments:?}");
        assert!(refused.err.contains(words), "{arguments:?}: {}", refused.err);
    }

    // Neither a kill nor a reload takes them: no configuration says them.
    gateway.kill();
    gateway.start().await;
    assert_eq!(related(&gateway), both);
    assert_eq!(gateway.run(&["unrelate", "pump", "feeds", "meter"]).code, 0);
    assert_eq!(related(&gateway), json!([{ "name": "feeds", "target": elsewhere }]));
    gateway.stop().await;
}

#[tokio::test]
async fn only_a_twin_that_is_done_is_purged_and_then_its_id_is_free() {
    let meter = Meter::start().await;
    let mut gateway = Gateway::new();
    gateway.device("meter", meter.port());
    gateway.start().await;
    gateway.shadowed().await;
    assert_eq!(gateway.run(&["purge", "meter"]).code, 2, "not without --yes");
    let early = gateway.run(&["purge", "meter", "--yes"]);
    assert!(early.code == 1 && early.err.contains("only a twin that is done"), "{early:?}");
    assert!(early.err.contains("remove its file"), "{early:?}");

    let text = gateway.read("devices.d/meter.toml");
    gateway.remove("devices.d/meter.toml");
    assert_eq!(gateway.run(&["reload", "--no-window"]).code, 0);
    eventually("the twin is done", || {
        gateway.twin("meter").filter(|twin| twin["life_cycle"] == "done")
    })
    .await;
    let history = gateway.run(&["history", "meter/power", "--last", "5"]);
    assert!(history.code == 0 && history.out.contains("230.5"), "its past is served: {history:?}");
    let refused = gateway.run(&["set", "meter/setpoint", "5", "--wait"]);
    assert_eq!((refused.code, meter.register(1)), (1, 7), "{refused:?}");
    let purged = gateway.run(&["purge", "meter", "--yes"]);
    assert_eq!(purged.code, 0, "{purged:?}");
    assert!(gateway.twin("meter").is_none());

    gateway.write("devices.d/meter.toml", &text);
    assert_eq!(gateway.run(&["reload", "--no-window"]).code, 0);
    let heir = gateway.shadowed().await;
    assert_eq!(heir["relationships"], serde_json::Value::Null, "it has nothing of the old one");
    gateway.stop().await;
}

#[tokio::test]
async fn maintenance_refuses_commands_until_it_is_over() {
    let meter = Meter::start().await;
    let mut gateway = Gateway::new();
    gateway.device("meter", meter.port());
    let text = gateway.read("devices.d/meter.toml");
    gateway.write("devices.d/meter.toml", &format!("[entanglement]\nwindow = \"10s\"\n{text}"));
    gateway.start().await;
    let availability = |gateway: &Gateway| {
        gateway.twin("meter").and_then(|twin| twin["entanglement"]["availability"].as_f64())
    };
    eventually("it is measured", || availability(&gateway).filter(|a| *a == 1.0)).await;
    for (arguments, code, words) in [
        (&["maintain", "meter"][..], 2, "--for"),
        (&["maintain", "meter", "--for", "2h"][..], 2, "--reason"),
        (&["maintain", "meter", "--for", "2h", "--reason", " "][..], 1, "has a reason"),
        (&["maintain", "meter", "--for", "900h", "--reason", "x"][..], 1, "30 days"),
        (&["maintain", "meter", "--end"][..], 1, "not under maintenance"),
        (&["maintain", "metr", "--end"][..], 1, "did you mean meter?"),
    ] {
        let refused = gateway.run(arguments);
        assert_eq!(refused.code, code, "{arguments:?}: {refused:?}");
        assert!(refused.err.contains(words), "{arguments:?}: {}", refused.err);
    }

    let begun = gateway.run(&["maintain", "meter", "--for", "2h", "--reason", "new bearings"]);
    assert!(begun.code == 0 && begun.out.contains("new bearings"), "{begun:?}");
    let shown = gateway.twin("meter").unwrap()["maintenance"].clone();
    assert_eq!(shown["reason"], "new bearings");
    assert!(shown["until"].is_string() && shown["by"].as_str().unwrap().starts_with("user:"));
    let refused = gateway.run(&["set", "meter/setpoint", "42", "--wait"]);
    assert_eq!((refused.code, meter.register(1)), (1, 7), "{refused:?}");
    let said = format!("{}{}", refused.out, refused.err);
    assert!(said.contains("new bearings") && said.contains("--end"), "{said}");

    // Over a kill; and the asset that is away meanwhile was meant to be.
    gateway.kill();
    drop(meter);
    gateway.start().await;
    assert_eq!(gateway.twin("meter").unwrap()["maintenance"]["reason"], "new bearings");
    eventually("nothing comes any more", || {
        let twin = gateway.twin("meter")?;
        (twin["entanglement"]["reliability"] == 0.0).then_some(())
    })
    .await;
    assert!(availability(&gateway).unwrap() > 0.0, "planned work is no failure");
    assert!(gateway.run(&["why", "meter"]).out.contains("new bearings"));

    let again = gateway.run(&["maintain", "meter", "--for", "1s", "--reason", "almost done"]);
    assert_eq!(again.code, 0, "{again:?}");
    eventually("it ends by itself", || {
        gateway.twin("meter").filter(|twin| twin["maintenance"].is_null())
    })
    .await;
    let past = gateway.run(&["history", "meter", "--class", "record", "--last", "50"]).out;
    assert!(past.contains("new bearings") && past.contains("over"), "{past}");
    gateway.stop().await;
}
