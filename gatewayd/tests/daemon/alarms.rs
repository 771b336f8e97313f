//! Alarms from the device file to the operator: raised, shown, acknowledged, silenced, explained, remembered.

use serde_json::{Value, json};

use crate::plant::Meter;
use crate::tool::{Gateway, eventually};

fn alarm(gateway: &Gateway) -> Option<Value> {
    let shown = gateway.lines(&["alarms", "meter", "--all"]).remove(0);
    shown["alarms"].as_array()?.first().cloned()
}

fn is(gateway: &Gateway, active: bool, acknowledged: bool) -> Option<Value> {
    alarm(gateway)
        .filter(|a| (&a["active"], &a["acknowledged"]) == (&json!(active), &json!(acknowledged)))
}

async fn scene() -> (Meter, Gateway) {
    let meter = Meter::start().await;
    let mut gateway = Gateway::new();
    let text = format!(
        "[modbus]\ntcp = \"127.0.0.1:{}\"\n[group.main]\ninterval = \"100ms\"\n\
         [[point]]\nname = \"pump/power\"\naddress = \"holding:0\"\nscale = 0.1\nunit = \"W\"\n\
         [[alarm]]\nname = \"pump/overload\"\npoint = \"pump/power\"\nabove = 300\nhysteresis = 20\n\
         severity = 700\ntext = \"pump overloaded\"\n",
        meter.port()
    );
    gateway.write("devices.d/meter.toml", &text);
    gateway.start().await;
    gateway.shadowed().await;
    (meter, gateway)
}

#[tokio::test]
async fn an_alarm_is_raised_seen_and_over() {
    let (meter, mut gateway) = scene().await;
    let none = gateway.run(&["alarms"]);
    assert!(none.code == 0 && none.out.contains("No alarm stands"), "{none:?}");
    let normal = is(&gateway, false, true).unwrap();
    assert_eq!(normal["when"], "pump/power is above 300 W");
    let points = gateway.twin("meter").unwrap()["points"].clone();
    assert_eq!(points.as_array().unwrap().len(), 1, "an alarm is no point with a value: {points}");

    meter.set(0, 3_105);
    let raised = eventually("raised", || is(&gateway, true, false)).await;
    assert_eq!(
        (&raised["text"], &raised["severity"]),
        (&json!("pump overloaded: 310.5 W"), &json!(700))
    );
    assert!(raised["since"].is_string() && raised["for_ms"].is_u64(), "{raised}");
    let people = gateway.run(&["alarms"]);
    assert!(
        people.out.contains("meter/pump/overload") && people.out.contains("310.5 W"),
        "{people:?}"
    );
    assert!(gateway.run(&["twins", "meter"]).out.contains("! pump/overload  active"));
    let why = gateway.run(&["why", "meter/pump/power"]).out;
    assert!(why.contains("raised while pump/power is above 300 W"), "{why}");
    let why = gateway.run(&["why", "meter/pump/overload"]).out;
    assert!(why.contains("active: pump overloaded: 310.5 W; twin shadowed"), "{why}");
    assert!(why.contains("decoded"), "why tells of the point that is watched: {why}");
    let metrics = gateway.http("/metrics").await;
    for gauge in ["active", "waiting"] {
        let line =
            format!("gatewayd_twin_alarm_{gauge}{{twin=\"meter\",alarm=\"pump/overload\"}} 1");
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }

    // It outlives a kill, and what is read afterwards clears it.
    gateway.kill();
    meter.set(0, 2_790);
    gateway.start().await;
    let over = eventually("over, and nobody has seen it", || is(&gateway, false, false)).await;
    assert_eq!((&over["since"], &over["instance"]), (&raised["since"], &raised["instance"]));
    assert!(gateway.run(&["alarms"]).out.contains("over, not acknowledged"));
    let seen = gateway.run(&["ack", "meter/overload"]);
    assert!(seen.code == 0 && seen.out.contains("normal"), "{seen:?}");
    assert!(gateway.run(&["alarms"]).out.contains("No alarm stands"));
    let history = gateway.run(&["history", "meter", "--class", "alarm", "--last", "9"]).out;
    for words in ["is active: pump overloaded: 310.5 W", "is over", "is over and acknowledged"] {
        assert!(history.contains(words), "{words}: {history}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn an_alarm_is_silenced_for_a_while() {
    let (meter, mut gateway) = scene().await;
    for (arguments, code, words) in [
        (&["ack", "meter"][..], 1, "no alarm that is not acknowledged"),
        (&["ack", "meter/overload"][..], 1, "does not stand"),
        (&["ack", "meter/overlaod"][..], 1, "has no alarm"),
        (&["ack", "metr"][..], 1, "did you mean meter?"),
        (&["shelve", "meter/overload"][..], 2, "--for"),
        (&["shelve", "meter/overload", "--for", "900h"][..], 1, "30 days"),
        (&["unshelve", "meter/overload"][..], 1, "not shelved"),
        (&["alarms", "nobody"][..], 1, "there is no twin"),
        (&["set", "meter/pump/overload", "1"][..], 1, "acknowledged or shelved"),
    ] {
        let refused = gateway.run(arguments);
        assert_eq!(refused.code, code, "{arguments:?}: {refused:?}");
        let said = format!("{}{}", refused.out, refused.err);
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    let shelved = gateway.run(&["shelve", "meter/overload", "--for", "2h"]);
    assert!(shelved.code == 0 && shelved.out.contains("shelved until"), "{shelved:?}");
    meter.set(0, 3_105);
    let raised = eventually("raised in silence", || is(&gateway, true, false)).await;
    assert_eq!(raised["shelved"], true);
    let metrics = gateway.http("/metrics").await;
    assert!(
        metrics.contains("twin_alarm_waiting{twin=\"meter\",alarm=\"pump/overload\"} 0"),
        "{metrics}"
    );
    assert_eq!(gateway.run(&["unshelve", "meter/overload"]).code, 0);
    assert_eq!(alarm(&gateway).unwrap()["shelved"], Value::Null);
    let again = gateway.run(&["shelve", "meter/pump/overload", "--for", "1s"]);
    assert_eq!(again.code, 0, "{again:?}");
    eventually("the silence ends by itself", || {
        alarm(&gateway).filter(|alarm| alarm["shelved"].is_null())
    })
    .await;

    let begun = gateway.run(&["maintain", "meter", "--for", "2h", "--reason", "bearings"]);
    assert_eq!(begun.code, 0, "{begun:?}");
    eventually("planned work silences it", || {
        alarm(&gateway).filter(|alarm| alarm["shelved"] == true)
    })
    .await;
    assert_eq!(gateway.run(&["maintain", "meter", "--end"]).code, 0);
    eventually("until it is over", || alarm(&gateway).filter(|alarm| alarm["shelved"].is_null()))
        .await;
    let all = gateway.run(&["ack", "meter"]);
    assert!(all.code == 0 && all.out.contains("active, acknowledged"), "{all:?}");

    // An alarm that is configured away stands no longer.
    let text = gateway.read("devices.d/meter.toml").replace("above = 300", "above = 400");
    gateway.write("devices.d/meter.toml", &text);
    let plan = gateway.run(&["plan"]).out;
    assert!(plan.contains("alarm changed: pump/overload"), "{plan}");
    assert_eq!(gateway.run(&["reload", "--no-window"]).code, 0);
    eventually("the limit is higher now", || is(&gateway, false, true)).await;
    gateway.stop().await;
}
