//! The link against a real mosquitto, in both versions of MQTT, with a real store on disk.

#![expect(clippy::unwrap_used, reason = "this is a test")]

mod harness;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{CancellationToken, Scope};
use dialects::{LinkSpec, Phase};
use harness::{Broker, Gateway, Message, Proxy, Subscriber, Way, spec, status, until};
use serde_json::json;
use twin::{Boottime, Origin, TimeBase, What};
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

both!(a_change_reaches_a_subscriber, reaches);
both!(nothing_is_lost_over_cuts, cuts);
both!(nothing_is_lost_over_restarts, restarts);
both!(alarms_and_what_is_live_pass_what_waited, priorities);
both!(a_broker_that_lost_its_memory_is_told_everything_again, forgetful);

async fn reaches(version: Version) {
    let stop = CancellationToken::new();
    let gateway = Gateway::start(&stop).await;
    let broker = Broker::start().await;
    let subscriber = Subscriber::start(&broker, &gateway.scope).await;
    let link = CancellationToken::new();
    let watch = gateway.link(spec(broker.port, version), &link);
    status(&watch, |s| matches!(s.phase, Phase::Connected { .. })).await;
    gateway.report(2305, 9_007_199_254_740_993).await;
    let heard = &subscriber.heard;
    let stream = heard.find("a stream message", |all| {
        all.iter().find(|m| m.topic == "gatewayd/plant-7/twins/meter-1/stream").cloned()
    });
    let stream = stream.await;
    assert!(!stream.retained);
    assert_eq!(stream.json["gateway"], "plant-7");
    assert_eq!(stream.json["epoch"], 1);
    assert_eq!(
        stream.json["values"],
        json!({ "electrical/voltage": 230.5, "electrical/energy": "9007199254740993" })
    );
    assert!(stream.json.get("hist").is_none());
    let state = heard.find("the state", |all| {
        let all = all.iter().filter(|m| m.topic.ends_with("/state/electrical"));
        all.map(|m| m.json.clone()).find(|json| json["properties"]["voltage"]["value"] == 230.5)
    });
    let state = state.await;
    assert_eq!(state["properties"]["voltage"]["unit"], "V");
    assert_eq!(state["properties"]["current"]["quality"]["cause"], "not-read");
    assert_eq!(state["seq"], stream.json["seq"]);
    assert_eq!(heard.on("plant-7/status")[0]["online"], true);
    assert_eq!(heard.on("meter-1/description")[0]["revision"], 1);
    link.cancel();
    heard
        .find("the goodbye", |all| {
            all.iter().find(|m| m.topic.ends_with("/status") && m.json["online"] == false).cloned()
        })
        .await;
    stop.cancel();
}

/// Every report arrives, whatever happens to the connection; in order per lane; state topics end right.
async fn cuts(version: Version) {
    let stop = CancellationToken::new();
    let gateway = Gateway::start(&stop).await;
    let broker = Broker::start().await;
    let subscriber = Subscriber::start(&broker, &gateway.scope).await;
    let proxy = Proxy::start(broker.port, &gateway.scope).await;
    let watch = gateway.link(spec(proxy.port, version), &stop);
    status(&watch, |s| matches!(s.phase, Phase::Connected { .. })).await;
    let mut n = 0_u64;
    for round in 0..6 {
        for _ in 0..150 {
            n += 1;
            gateway.report(2000 + i64::try_from(n % 1000).unwrap(), n).await;
            if n.is_multiple_of(7) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            if n % 100 == 50 {
                proxy.set(if round == 3 { Way::Hole } else { Way::Cut });
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        if round == 3 {
            let failures = watch.borrow().connections;
            until("the hole is noticed", async || {
                watch.borrow().failures > 0 || watch.borrow().connections > failures
            })
            .await;
        }
        proxy.set(Way::Open);
        if round % 2 == 0 {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
    let heard = &subscriber.heard;
    heard
        .find("every report", |all| {
            let got: BTreeSet<u64> = all
                .iter()
                .filter(|m| m.topic.ends_with("/stream"))
                .filter_map(|m| m.json["values"]["electrical/energy"].as_u64())
                .collect();
            (got.len() as u64 == n).then_some(())
        })
        .await;
    // In order per lane; what comes again carries the same identity and the same content.
    let mut known = BTreeMap::new();
    let (mut live, mut repeats) = (0, 0);
    for message in heard.on("/stream") {
        let Some(energy) = message["values"]["electrical/energy"].as_u64() else { continue };
        let seq = message["seq"].as_u64().unwrap();
        match known.insert(seq, energy) {
            Some(before) => {
                assert_eq!(before, energy, "one identity, two contents");
                repeats += 1;
            }
            None if message.get("hist").is_none() => {
                assert!(seq > live, "live data went back from {live} to {seq}");
                live = seq;
            }
            None => {}
        }
    }
    assert_eq!(known.len() as u64, n, "an identity for each report");
    assert!(repeats < n, "{repeats} repeats of {n}");
    let last = 2000 + i64::try_from(n % 1000).unwrap();
    heard
        .find("the last state", |all| {
            let last_state = all.iter().rev().find(|m| m.topic.ends_with("/state/electrical"))?;
            (last_state.json["properties"]["voltage"]["value"] == json!(last as f64 / 10.0))
                .then_some(())
        })
        .await;
    let revs: Vec<u64> =
        heard.on("/state/electrical").iter().map(|s| s["rev"].as_u64().unwrap()).collect();
    assert!(revs.is_sorted(), "a state topic went back: {revs:?}");
    stop.cancel();
}

/// The broker restarts under load; then the gateway restarts with a backlog.
async fn restarts(version: Version) {
    let stop = CancellationToken::new();
    let gateway = Gateway::start(&stop).await;
    let mut broker = Broker::start().await;
    let outside = Scope::new("outside", &stop).0;
    let subscriber = Subscriber::start(&broker, &outside).await;
    let link = CancellationToken::new();
    let watch = gateway.link(spec(broker.port, version), &link);
    status(&watch, |s| matches!(s.phase, Phase::Connected { .. })).await;
    for energy in 1..=100 {
        gateway.report(2300, energy).await;
    }
    broker.stop().await;
    for energy in 101..=200 {
        gateway.report(2301, energy).await;
    }
    broker.resume().await;
    status(&watch, |s| s.connections > 1 && matches!(s.phase, Phase::Connected { .. })).await;
    for energy in 201..=300 {
        gateway.report(2302, energy).await;
    }
    let heard = &subscriber.heard;
    heard.find("300 reports", |all| (energies(all).len() == 300).then_some(())).await;

    link.cancel();
    status(&watch, |s| s.phase == Phase::Stopped).await;
    for energy in 301..=400 {
        gateway.report(2400, energy).await;
    }
    let dir = gateway.stop().await;
    let before = heard.all().len();
    let stop = CancellationToken::new();
    let gateway = Gateway::open(dir, &stop, base::Clock::system()).await;
    assert_eq!(gateway.store.epoch(), 2);
    gateway.link(spec(broker.port, version), &stop);
    heard.find("400 reports", |all| (energies(all).len() == 400).then_some(())).await;
    let after = heard.all().split_off(before);
    let state = after.iter().position(|m| m.topic.ends_with("/state/electrical")).unwrap();
    let stream = after.iter().position(|m| !energies(std::slice::from_ref(m)).is_empty()).unwrap();
    assert_eq!(after[state].json["properties"]["voltage"]["value"], 240.0);
    assert!(state < stream, "the state comes before what waited");
    let waited = after.iter().filter(|m| !energies(std::slice::from_ref(m)).is_empty());
    assert!(waited.clone().all(|m| m.json["hist"] == true), "what waited is historical");
    assert!(waited.clone().all(|m| m.json["epoch"] == 1), "and keeps its identity");
    assert!((100..110).contains(&waited.count()), "few come twice");
    stop.cancel();
}

fn energies(all: &[Message]) -> BTreeSet<u64> {
    let stream = all.iter().filter(|m| m.topic.ends_with("/stream"));
    stream.filter_map(|m| m.json["values"]["electrical/energy"].as_u64()).collect()
}

/// With a backlog at a set rate, alarms and what is live go first; `order = "strict"` keeps the order instead.
async fn priorities(version: Version) {
    let stop = CancellationToken::new();
    let gateway = Gateway::start(&stop).await;
    let broker = Broker::start().await;
    let subscriber = Subscriber::start(&broker, &gateway.scope).await;
    let slow = || LinkSpec { backlog_rate: Some(200), ..spec(broker.port, version) };
    let strict = || LinkSpec {
        name: "strict".parse().unwrap(),
        client_id: "strict".into(),
        prefix: "strict".into(),
        strict: true,
        ..spec(broker.port, version)
    };
    for spec in [slow(), strict()] {
        let first = CancellationToken::new();
        let watch = gateway.link(spec, &first);
        status(&watch, |s| matches!(s.phase, Phase::Connected { .. })).await;
        first.cancel();
        status(&watch, |s| s.phase == Phase::Stopped).await;
    }
    for energy in 1..=400 {
        gateway.report(2300, energy).await;
    }
    let event = twin::Event {
        index: 6,
        instance: Arc::from([1]),
        severity: 900,
        state: twin::ConditionState::default(),
        occurred: TimeBase::gateway(Boottime(gateway.clock.boottime())),
        text: "too hot".into(),
        fields: None,
        until: None,
    };
    gateway.change(Origin::Asset, What::Event(event)).await;
    let watch = gateway.link(slow(), &stop);
    gateway.link(strict(), &stop);
    status(&watch, |s| matches!(s.phase, Phase::Connected { .. })).await;
    let began = Instant::now();
    gateway.report(2400, 401).await;
    let heard = &subscriber.heard;
    let of = |prefix: &'static str| move |m: &&Message| m.topic.starts_with(prefix);
    heard
        .find("all by the slow link", |all| {
            let all: Vec<Message> = all.iter().filter(of("gatewayd/")).cloned().collect();
            (energies(&all).len() == 401).then_some(())
        })
        .await;
    assert!(began.elapsed() > Duration::from_millis(1500), "400 at 200 a second");
    let all = heard.all();
    let slow: Vec<&Message> = all.iter().filter(of("gatewayd/")).collect();
    let at = |found: &dyn Fn(&Message) -> bool| slow.iter().position(|m| found(m)).unwrap();
    let alarm = at(&|m| m.topic.ends_with("/events"));
    let live = at(&|m| m.json["values"]["electrical/energy"] == 401);
    let last = at(&|m| m.json["values"]["electrical/energy"] == 400);
    assert!(alarm + 100 < last, "the alarm passes the readings: {alarm}, {last}");
    assert!(live + 100 < last, "what is live passes what waited: {live}, {last}");
    assert_eq!(slow[alarm].json["hist"], true);
    heard
        .find("all by the strict link", |all| {
            let all: Vec<Message> = all.iter().filter(of("strict/")).cloned().collect();
            (energies(&all).len() == 401).then_some(())
        })
        .await;
    let all = heard.all();
    let strict = all.iter().filter(of("strict/"));
    let order: Vec<u64> =
        strict.filter_map(|m| m.json["values"]["electrical/energy"].as_u64()).collect();
    assert!(order.is_sorted(), "{order:?}");
    stop.cancel();
}

/// What did not change meanwhile is retained again: a later subscriber would never see it.
async fn forgetful(version: Version) {
    let stop = CancellationToken::new();
    let gateway = Gateway::start(&stop).await;
    let mut broker = Broker::start().await;
    let watch = gateway.link(spec(broker.port, version), &stop);
    gateway.report(2305, 1).await;
    let before = Subscriber::start(&broker, &gateway.scope).await;
    let state = |all: &[Message]| {
        let mut all = all.iter().filter(|m| m.topic.ends_with("/state/electrical"));
        all.find(|m| m.json["properties"]["voltage"]["value"] == 230.5).map(drop)
    };
    before.heard.find("the state", state).await;
    broker.stop().await;
    broker.forget();
    broker.resume().await;
    status(&watch, |s| matches!(s.phase, Phase::Connected { .. }) && s.connections > 1).await;
    let after = Subscriber::start(&broker, &gateway.scope).await;
    after.heard.find("the state once more", state).await;
    after
        .heard
        .find("the description once more", |all| {
            all.iter().find(|m| m.topic.ends_with("/description")).map(drop)
        })
        .await;
    stop.cancel();
}
