//! What a link passes over, what it owes, and what it waits for without turning: a broker that misbehaves by plan.

#![expect(clippy::panic, reason = "this is a test")]

mod harness;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base::{CancellationToken, Clock, Thread};
use dialects::{LinkSpec, Phase};
use harness::scripted::{BREAK, SILENCE, Scene, Scripted, energies};
use harness::{Gateway, Message, spec, status, until};
use settings::Secret;
use twin::{Body, Boottime, GatewayEvent, Origin, TimeBase, What};
use twin_store::{Budget, Kind, Options};
use wire::Version;

#[tokio::test]
async fn a_message_that_is_wrong_itself_is_passed_over_on_record() {
    let scene = Scene::new().await;
    scene.broker.plan(|m| if m.json["values"]["electrical/energy"] == 3 { 0x90 } else { 0 });
    scene.report(1..=20).await;
    scene.all(19).await;
    status(&scene.watch, |s| s.passed_over == 1).await;
    let watch = scene.watch.borrow().clone();
    assert!(watch.last_error.unwrap().words.contains("0x90"));
    assert_eq!(watch.alarm, None);
    let [passed] = &*scene.gateway.logged(Kind::PassedOver) else { panic!("one record") };
    let Body::Gateway(GatewayEvent::PassedOver { link, first, last, count, why }) = &passed.body
    else {
        panic!("{passed:?}");
    };
    assert_eq!((link.as_str(), first, *count), ("cloud", last, 1));
    assert!(why.contains("0x90"), "{why}");
    let told = scene.broker.taken.find("what was passed over", |all| {
        all.iter().find(|m| m.topic.ends_with("/gaps")).map(|m| m.json.clone())
    });
    let told = told.await;
    assert_eq!((&told["cause"], &told["first"]), (&"refused".into(), &first.0.into()));
    assert_eq!(energies(&scene.broker.taken).len(), 19, "and nothing else comes twice for it");
    scene.stop.cancel();
}

/// Also where the very record of it is refused, and in few records.
#[tokio::test]
async fn what_no_broker_takes_for_its_size_is_passed_over_on_record() {
    let stop = CancellationToken::new();
    let gateway = Gateway::start(&stop).await;
    // Maximum packet size (5.0 §3.2.2.3.6): 600 bytes, and no word of what was passed over.
    let broker = Scripted::with(&gateway.scope, vec![0x27, 0, 0, 2, 88]).await;
    broker.plan(|message| if message.topic.ends_with("/gaps") { 0x99 } else { 0 });
    let watch = gateway.link(spec(broker.port, Version::V5), &stop);
    status(&watch, |s| matches!(s.phase, Phase::Connected { .. })).await;
    let event = twin::Event {
        index: 6,
        instance: Arc::from([1]),
        severity: 900,
        state: twin::ConditionState::default(),
        occurred: TimeBase::gateway(Boottime(gateway.clock.boottime())),
        text: "too hot ".repeat(99).into(),
        fields: None,
        until: None,
    };
    for energy in 0..50 {
        gateway.change(Origin::Asset, What::Event(event.clone())).await;
        gateway.report(2300, energy).await;
    }
    let taken = &broker.taken;
    until("50 reports", async || energies(taken).len() == 50).await;
    status(&watch, |s| s.passed_over == 50).await;
    let refused = || {
        let count = |commit: &twin::Commit| match &commit.body {
            Body::Gateway(GatewayEvent::PassedOver { count, .. }) => *count,
            other => panic!("{other:?}"),
        };
        let records = gateway.logged(Kind::PassedOver);
        (records.len(), records.iter().map(count).sum::<u32>())
    };
    until("all on record", async || refused().1 == 50).await;
    assert!(refused().0 <= 4, "{} records", refused().0);
    assert_eq!(watch.borrow().passed_over, 50, "the record itself is not passed over on record");
    let lanes = || gateway.store.statistics().lanes;
    until("the lanes move on", async || lanes().iter().all(|lane| lane.inflight == 0)).await;
    stop.cancel();
}

#[tokio::test]
async fn the_topics_of_a_purged_twin_are_cleared_even_if_the_connection_breaks_first() {
    let scene = Scene::new().await;
    scene.report(1..=3).await;
    scene.all(3).await;
    let mut breaks = 2;
    scene.broker.plan(move |message| {
        let clears = message.retained && message.json.is_null();
        breaks -= i32::from(clears && breaks > 0);
        if clears && breaks > 0 { BREAK } else { 0 }
    });
    scene.gateway.change(Origin::Configuration, What::Purged).await;
    for level in ["description", "state/electrical", "state/heating"] {
        let topic = format!("gatewayd/plant-7/twins/meter-1/{level}");
        let cleared = scene.broker.taken.find(&topic, |all| {
            all.iter().find(|m| m.topic == topic && m.json.is_null() && m.retained).map(drop)
        });
        cleared.await;
    }
    let purged = |m: &Message| m.json["purged"] == true;
    assert!(scene.broker.taken.all().iter().any(purged));
    until("the lane has passed it", async || {
        let head = scene.gateway.store.head();
        let lanes = scene.gateway.store.statistics().lanes;
        lanes.iter().all(|lane| lane.inflight == 0 && (lane.historical || lane.next > head))
    })
    .await;
    scene.stop.cancel();
}

#[tokio::test]
async fn a_notice_of_what_is_gone_is_told_until_it_has_arrived_and_not_again() {
    let stop = CancellationToken::new();
    let budget = Budget { bytes: 32 << 10, age: None, segment: 4 << 10 };
    let options = Options {
        samples: budget,
        ring: 4 << 10,
        snapshot: 4 << 10,
        flush: Duration::ZERO,
        thin: Duration::ZERO,
        ..Options::new("plant-7".parse().unwrap())
    };
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let gateway = Gateway::with(dir, &stop, Clock::system(), options).await;
    let broker = Scripted::start(&gateway.scope, 5).await;
    let first = CancellationToken::new();
    let watch = gateway.link(spec(broker.port, Version::V5), &first);
    status(&watch, |s| matches!(s.phase, Phase::Connected { .. })).await;
    first.cancel();
    status(&watch, |s| s.phase == Phase::Stopped).await;
    until("retention was quicker", async || {
        for energy in 0..100 {
            gateway.report(2300 + energy, u64::MAX - energy.unsigned_abs()).await;
        }
        gateway.store.statistics().counters.dropped_segments > 2
    })
    .await;
    let notice = |m: &Message| m.topic.ends_with("/gaps") && m.json.get("seq").is_none();
    let mut breaks = 3;
    broker.plan(move |message| {
        breaks -= i32::from(notice(message) && breaks > 0);
        if notice(message) && breaks > 0 { BREAK } else { 0 }
    });
    let watch = gateway.link(spec(broker.port, Version::V5), &stop);
    let told = broker.taken.find("what is gone", |all| all.iter().find(|m| notice(m)).cloned());
    assert_eq!(told.await.json["cause"], "retention");
    until("nothing waits", async || {
        gateway.store.statistics().lanes.iter().all(|lane| lane.inflight == 0 && !lane.historical)
    })
    .await;
    let connections = watch.borrow().connections;
    *broker.say.lock().unwrap() = vec![0xE0, 0];
    status(&watch, |s| s.connections > connections).await;
    gateway.report(1, 1).await;
    until("what follows", async || energies(&broker.taken).contains(&1)).await;
    assert_eq!(broker.taken.all().iter().filter(|m| notice(m)).count(), 1, "told once");
    stop.cancel();
}

#[tokio::test]
async fn a_link_whose_window_is_full_sleeps_whatever_its_rate() {
    let stop = CancellationToken::new();
    let gateway = Gateway::start(&stop).await;
    let broker = Scripted::start(&gateway.scope, 5).await;
    let spec = || LinkSpec { backlog_rate: Some(1000), ..spec(broker.port, Version::V5) };
    let first = CancellationToken::new();
    let watch = gateway.link(spec(), &first);
    status(&watch, |s| matches!(s.phase, Phase::Connected { .. })).await;
    first.cancel();
    status(&watch, |s| s.phase == Phase::Stopped).await;
    for energy in 1..=100 {
        gateway.report(2300, energy).await;
    }
    broker.plan(|message| if message.topic.ends_with("/stream") { SILENCE } else { 0 });
    let watch = gateway.link(spec(), &stop);
    status(&watch, |s| s.in_flight >= 4).await;
    let before = watch.borrow().turns;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let turns = watch.borrow().turns - before;
    assert!(turns < 50, "{turns} turns with nothing to do");
    stop.cancel();
}

/// A disk that does not answer: a pipe into which nobody has written yet.
#[tokio::test]
async fn a_password_that_takes_its_time_holds_up_nobody_else() {
    let stop = CancellationToken::new();
    let gateway = Gateway::start(&stop).await;
    let broker = Scripted::start(&gateway.scope, 5).await;
    let pipe = gateway.dir.path().join("password");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let password = Some(Secret::File(pipe.clone()));
    let spec = LinkSpec { user: Some("u".into()), password, ..spec(broker.port, Version::V5) };
    let written = Arc::new(AtomicBool::new(false));
    let disk = {
        let written = written.clone();
        Thread::start("disk", move || async move {
            tokio::time::sleep(Duration::from_secs(2)).await;
            written.store(true, Ordering::SeqCst);
            std::fs::write(pipe, "secret\n").unwrap();
        })
        .unwrap()
    };
    let watch = gateway.link(spec, &stop);
    for energy in 0..20 {
        gateway.report(2300, energy).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!written.load(Ordering::SeqCst), "everybody waited for the password");
    assert_eq!(watch.borrow().connections, 0);
    status(&watch, |s| matches!(s.phase, Phase::Connected { .. })).await;
    assert!(disk.join().await);
    stop.cancel();
}
