//! What links of one gateway may differ in: filters, batches, schedules, budgets. Against a real mosquitto, in both
//! versions of MQTT.

#![expect(clippy::unwrap_used, reason = "this is a test")]

mod harness;

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use base::{CancellationToken, Clock};
use dialects::{Batch, Budget, LinkSpec, Pattern, Phase, Window};
use harness::scripted::{Scripted, energies};
use harness::{Broker, Gateway, Heard, Subscriber, sample, spec, status, until};
use jiff::civil::Time;
use serde_json::{Value as Json, json};
use tokio::process::Command;
use twin::{Boottime, Event, Origin, TimeBase, What};
use wire::Version;

/// Runs a test in both versions.
macro_rules! both {
    ($name:ident, $test:ident) => {
        mod $name {
            #[tokio::test]
            async fn v311() {
                super::$test(wire::Version::V311).await;
            }
            #[tokio::test]
            async fn v5() {
                super::$test(wire::Version::V5).await;
            }
        }
    };
}

both!(what_does_not_match_is_nowhere, filtered);
both!(readings_go_together_and_alarms_by_themselves, batched);
both!(a_compressed_batch_says_so, compressed);
both!(alarms_go_now_and_the_rest_at_night, scheduled);
both!(what_waited_goes_by_priority_and_what_is_live_at_once, prioritized);
both!(a_budget_that_is_used_up_leaves_the_alarms_also_after_a_restart, budgeted);

async fn alarm(gateway: &Gateway, text: &str) {
    let event = Event {
        index: 6,
        instance: Arc::from([1]),
        severity: 900,
        state: twin::ConditionState::default(),
        occurred: TimeBase::gateway(Boottime(gateway.clock.boottime())),
        text: text.into(),
        fields: None,
        until: None,
    };
    gateway.change(Origin::Asset, What::Event(event)).await;
}

async fn alarm_arrives(heard: &Heard, text: &'static str) {
    heard
        .find(text, |all| {
            all.iter().find(|m| m.topic.ends_with("/events") && m.json["text"] == text).map(drop)
        })
        .await;
}

async fn filtered(version: Version) {
    let stop = CancellationToken::new();
    let gateway = Gateway::start(&stop).await;
    let broker = Broker::start().await;
    let subscriber = Subscriber::start(&broker, &gateway.scope).await;
    let points = vec![Pattern::new("meter-1/*/voltage"), Pattern::new("pump-9/*")];
    let watch = gateway.link(LinkSpec { points, ..spec(broker.port, version) }, &stop);
    status(&watch, |s| matches!(s.phase, Phase::Connected { .. })).await;
    gateway.report(2305, 1).await;
    gateway.report(2305, 2).await;
    alarm(&gateway, "not for this link").await;
    gateway.report(2307, 3).await;
    let heard = &subscriber.heard;
    heard
        .find("the state", |all| {
            let mut all = all.iter().filter(|m| m.topic.ends_with("/state/electrical"));
            all.find(|m| m.json["properties"]["voltage"]["value"] == 230.7).map(drop)
        })
        .await;
    let values: Vec<Json> = heard.on("/stream").iter().map(|m| m["values"].clone()).collect();
    let volts = |v: f64| json!({ "electrical/voltage": v });
    assert_eq!(values, [volts(230.5), volts(230.7)], "one that changed nothing else is none");
    assert!(heard.on("/events").is_empty());
    assert!(heard.on("/state/heating").is_empty(), "a feature of which nothing goes has no topic");
    for state in heard.on("/state/electrical") {
        assert_eq!(state["properties"].as_object().unwrap().len(), 1, "{state}");
    }
    let description = &heard.on("/description")[0]["features"];
    assert_eq!(description.as_object().unwrap().len(), 1, "{description}");
    assert!(description["electrical"]["voltage"].is_object());
    status(&watch, |s| s.values == 2).await;
    stop.cancel();
}

fn batch(changes: usize, gzip: bool) -> Option<Batch> {
    Some(Batch { changes, delay: Duration::from_millis(300), gzip })
}

/// The energies in a list of batches.
fn together(batches: &[Json]) -> Vec<u64> {
    let all = batches.iter().flat_map(|batch| batch.as_array().unwrap());
    all.map(|m| m["values"]["electrical/energy"].as_u64().unwrap()).collect()
}

async fn batched(version: Version) {
    let stop = CancellationToken::new();
    let gateway = Gateway::start(&stop).await;
    let broker = Broker::start().await;
    let subscriber = Subscriber::start(&broker, &gateway.scope).await;
    let batched = || LinkSpec { batch: batch(10, false), ..spec(broker.port, version) };
    let link = CancellationToken::new();
    let watch = gateway.link(batched(), &link);
    status(&watch, |s| matches!(s.phase, Phase::Connected { .. })).await;
    let heard = &subscriber.heard;
    gateway.report(2300, 1).await;
    alarm(&gateway, "at once").await;
    alarm_arrives(heard, "at once").await;
    assert!(heard.on("/batch").is_empty(), "the alarm did not wait for the batch");
    heard
        .find("what has waited", |all| all.iter().find(|m| m.topic.ends_with("/batch")).map(drop))
        .await;
    for energy in 2..=25 {
        gateway.report(2300, energy).await;
    }
    until("all 25", async || together(&heard.on("/batch")).len() == 25).await;
    let batches = heard.on("/batch");
    assert_eq!(together(&batches), (1..=25).collect::<Vec<_>>());
    assert!(batches.len() <= 6, "{} messages", batches.len());
    assert!(batches.iter().all(|batch| batch.as_array().unwrap().len() <= 10));
    assert!(heard.on("/stream").iter().all(|m| m.get("values").is_none()), "none comes twice");
    until("all settled", async || {
        gateway.store.statistics().lanes.iter().all(|lane| lane.inflight == 0)
    })
    .await;
    status(&watch, |s| s.values >= 25).await;

    // What waits when the link stops goes before the goodbye; what comes then is history in batches of its own.
    gateway.report(2300, 26).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    link.cancel();
    status(&watch, |s| s.phase == Phase::Stopped).await;
    until("the last one", async || together(&heard.on("/batch")).contains(&26)).await;
    for energy in 27..=50 {
        gateway.report(2300, energy).await;
    }
    gateway.link(batched(), &stop);
    until("all 50", async || together(&heard.on("/batch")).len() == 50).await;
    let batches = heard.on("/batch");
    for message in batches.iter().flat_map(|batch| batch.as_array().unwrap()) {
        let late = message["values"]["electrical/energy"].as_u64().unwrap() > 26;
        assert_eq!(message.get("hist").is_some(), late, "{message}");
    }
    stop.cancel();
}

async fn compressed(version: Version) {
    let stop = CancellationToken::new();
    let gateway = Gateway::start(&stop).await;
    let broker = Broker::start().await;
    let port = broker.port.to_string();
    let v5 = version == Version::V5;
    let mut subscriber = Command::new("mosquitto_sub");
    subscriber.args(["-h", "127.0.0.1", "-p", &port, "-t", "gatewayd/plant-7/batch/#", "-C", "1"]);
    subscriber.args(["-W", "20", "-V", if v5 { "5" } else { "311" }]);
    subscriber.args(["-F", if v5 { "%t %x %C %P" } else { "%t %x" }]).kill_on_drop(true);
    let heard = subscriber.stdout(std::process::Stdio::piped()).spawn().unwrap();
    // What is published before it has subscribed is not for it; so the batch is published again and again.
    let gzip = LinkSpec { batch: batch(20, true), ..spec(broker.port, version) };
    let watch = gateway.link(gzip, &stop);
    status(&watch, |s| matches!(s.phase, Phase::Connected { .. })).await;
    let mut output = std::pin::pin!(heard.wait_with_output());
    let mut energy = 0;
    let output = loop {
        for _ in 0..20 {
            energy += 1;
            gateway.report(2300, energy).await;
        }
        let wait = Duration::from_millis(200);
        if let Ok(output) = tokio::time::timeout(wait, &mut output).await {
            break output.unwrap();
        }
    };
    let line = String::from_utf8(output.stdout).unwrap();
    let mut words = line.split_whitespace();
    assert_eq!(words.next(), Some("gatewayd/plant-7/batch/gzip"));
    let hex = words.next().unwrap().as_bytes();
    let digit = |c: u8| u8::try_from(char::from(c).to_digit(16).unwrap()).unwrap();
    let bytes: Vec<u8> = hex.chunks(2).map(|d| digit(d[0]) << 4 | digit(d[1])).collect();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
    let batch: Json = serde_json::from_str(&text).unwrap();
    let got = together(&[batch]);
    assert!(got.len() <= 20 && got.windows(2).all(|pair| pair[1] == pair[0] + 1), "{got:?}");
    if v5 {
        let rest: Vec<&str> = words.collect();
        assert_eq!(rest[0], "application/json");
        assert_eq!(rest[1..].join(""), "content-encoding:gzip");
    }
    stop.cancel();
}

/// A batch that is refused as a whole goes again one by one, and only what is refused then is passed over.
#[tokio::test]
async fn a_refused_batch_is_taken_apart() {
    let stop = CancellationToken::new();
    let gateway = Gateway::start(&stop).await;
    let broker = Scripted::start(&gateway.scope, 5).await;
    broker.plan(|message| match &message.json {
        Json::Array(all) if all.len() > 1 => 0x99,
        json if json["values"]["electrical/energy"] == 3 => 0x90,
        _ => 0,
    });
    let refused = LinkSpec { batch: batch(5, false), ..spec(broker.port, Version::V5) };
    let watch = gateway.link(refused, &stop);
    status(&watch, |s| matches!(s.phase, Phase::Connected { .. })).await;
    for energy in 1..=12 {
        gateway.report(2300, energy).await;
    }
    let expected: Vec<u64> = (1..=12).filter(|energy| *energy != 3).collect();
    until("all but one", async || {
        let mut got = energies(&broker.taken);
        got.extend(together(&broker.taken.on("/batch")));
        got.sort_unstable();
        got.dedup();
        got == expected
    })
    .await;
    status(&watch, |s| s.passed_over == 1).await;
    until("all settled", async || {
        gateway.store.statistics().lanes.iter().all(|lane| lane.inflight == 0)
    })
    .await;
    stop.cancel();
}

/// One and a half seconds before ten at night in Berlin.
const BEFORE_TEN: &str = "2026-11-25T20:59:58.500Z";

async fn scheduled(version: Version) {
    let stop = CancellationToken::new();
    let utc = twin::Timestamp::parse(BEFORE_TEN).unwrap().0;
    let (clock, hand) = Clock::manual(0, Some(utc), sample::BOOT.0);
    let gateway = Gateway::open(Arc::new(tempfile::tempdir().unwrap()), &stop, clock).await;
    let broker = Broker::start().await;
    let subscriber = Subscriber::start(&broker, &gateway.scope).await;
    let night = Window {
        classes: [false, false, true],
        days: [true; 7],
        from: Time::constant(22, 0, 0, 0),
        to: Time::constant(6, 0, 0, 0),
    };
    let scheduled = LinkSpec {
        zone: jiff::tz::TimeZone::get("Europe/Berlin").unwrap(),
        schedule: vec![night],
        ..spec(broker.port, version)
    };
    let watch = gateway.link(scheduled, &stop);
    status(&watch, |s| matches!(s.phase, Phase::Connected { .. })).await;
    for energy in 1..=5 {
        gateway.report(2300, energy).await;
    }
    alarm(&gateway, "at any time").await;
    let heard = &subscriber.heard;
    alarm_arrives(heard, "at any time").await;
    let waits = watch.borrow().waits.clone().unwrap();
    assert_eq!(waits, "sample waits until Wed 22:00 Europe/Berlin");
    let turns = watch.borrow().turns;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(heard.on("/stream").is_empty() && heard.on("/state/electrical").is_empty());
    assert!(watch.borrow().turns < turns + 20, "what waits does not keep the link busy");
    hand.advance(Duration::from_secs(2));
    gateway.report(2400, 6).await;
    until("all six", async || energies(heard).len() == 6).await;
    status(&watch, |s| s.waits.is_none()).await;
    for message in heard.on("/stream") {
        let Some(energy) = message["values"]["electrical/energy"].as_u64() else { continue };
        assert!(energy == 6 || message["hist"] == true, "{message}");
    }
    heard
        .find("the state", |all| {
            let mut all = all.iter().filter(|m| m.topic.ends_with("/state/electrical"));
            all.find(|m| m.json["properties"]["voltage"]["value"] == 240.0).map(drop)
        })
        .await;
    stop.cancel();
}

async fn budgeted(version: Version) {
    let stop = CancellationToken::new();
    let gateway = Gateway::start(&stop).await;
    let broker = Broker::start().await;
    let outside = base::Scope::new("outside", &CancellationToken::new()).0;
    let subscriber = Subscriber::start(&broker, &outside).await;
    let heard = &subscriber.heard;
    let budget = Some(Budget { month: 20_000, exempt: [true, false, false] });
    let budgeted = || LinkSpec { budget: budget.clone(), ..spec(broker.port, version) };
    let link = CancellationToken::new();
    let watch = gateway.link(budgeted(), &link);
    status(&watch, |s| matches!(s.phase, Phase::Connected { .. })).await;
    let mut energy = 0;
    until("it is used up", async || {
        energy += 1;
        gateway.report(2300, energy).await;
        watch.borrow().waits.is_some()
    })
    .await;
    let used = watch.borrow().clone();
    assert!(used.waits.as_ref().unwrap().contains("used up"), "{:?}", used.waits);
    assert!((20_000..40_000).contains(&used.month_bytes), "{}", used.month_bytes);
    assert!(used.values >= 20 && used.bytes / used.values < 1000, "{used:?}");
    for _ in 0..20 {
        energy += 1;
        gateway.report(2300, energy).await;
    }
    alarm(&gateway, "all the same").await;
    alarm_arrives(heard, "all the same").await;
    assert!(energies(heard).len() < usize::try_from(energy).unwrap() - 15, "readings wait");
    link.cancel();
    status(&watch, |s| s.phase == Phase::Stopped).await;
    let used = watch.borrow().month_bytes;
    let dir = gateway.stop().await;

    let stop = CancellationToken::new();
    let gateway = Gateway::open(dir, &stop, Clock::system()).await;
    let arrived = energies(heard).len();
    let watch = gateway.link(budgeted(), &stop);
    status(&watch, |s| matches!(s.phase, Phase::Connected { .. })).await;
    status(&watch, |s| s.waits.is_some() && s.month_bytes >= used).await;
    alarm(&gateway, "after a restart").await;
    alarm_arrives(heard, "after a restart").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(energies(heard).len() <= arrived + 2, "a restart is no new month");
    stop.cancel();
}

/// Two links that were away: the one with the higher priority, though slow, is done before the other begins.
async fn prioritized(version: Version) {
    const WAITED: u16 = 400;
    let stop = CancellationToken::new();
    let gateway = Gateway::start(&stop).await;
    let (first, second) = (Broker::start().await, Broker::start().await);
    let urgent = || LinkSpec {
        name: "urgent".parse().unwrap(),
        client_id: "urgent".into(),
        priority: 1,
        backlog_rate: Some(200),
        ..spec(first.port, version)
    };
    let other = || spec(second.port, version);
    let away = CancellationToken::new();
    let watches = [urgent(), other()].map(|link| gateway.link(link, &away));
    for watch in &watches {
        status(watch, |s| matches!(s.phase, Phase::Connected { .. })).await;
    }
    away.cancel();
    for watch in &watches {
        status(watch, |s| s.phase == Phase::Stopped).await;
    }
    for n in 0..WAITED {
        gateway.report(1_000 + i64::from(n), n.into()).await;
    }
    let subscriber = Subscriber::start(&second, &gateway.scope).await;
    let urgent = gateway.link(urgent(), &stop);
    until("the urgent one is at it", async || urgent.borrow().historical > 0).await;
    let other = gateway.link(other(), &stop);
    until("the other waits for it", async || {
        other.borrow().yields_to.as_ref().is_some_and(|name| name.as_str() == "urgent")
    })
    .await;
    gateway.report(9_999, 9_999).await;
    subscriber
        .heard
        .find("what is live passes", |all| {
            all.iter().find(|m| m.json["values"]["electrical/voltage"] == 999.9).map(drop)
        })
        .await;
    assert!(urgent.borrow().historical < 300, "the urgent one is at it still");
    let all = u64::from(WAITED);
    until("both are done", async || {
        // Looked at in this order: a message of the second stands for all of the first having been sent.
        let (second, first) = (other.borrow().historical, urgent.borrow().historical);
        assert!(second == 0 || first + 64 >= all, "{second} before the last of {first}");
        second >= all && first >= all
    })
    .await;
    assert_eq!(other.borrow().yields_to, None);
    stop.cancel();
}
