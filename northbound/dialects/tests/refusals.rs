//! What a link does when a broker refuses messages: a broker of this test's own, which refuses by plan (MQTT 5).

mod harness;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base::CancellationToken;
use dialects::Phase;
use harness::scripted::{Scene, Scripted, energies};
use harness::{Gateway, spec, status, until};
use wire::Version;

#[tokio::test]
async fn access_denied_holds_everything_until_it_is_granted() {
    let scene = Scene::new().await;
    scene.report(1..=5).await;
    scene.all(5).await;
    scene.broker.plan(|message| if message.topic.ends_with("/stream") { 0x87 } else { 0 });
    scene.report(6..=50).await;
    status(&scene.watch, |s| s.alarm.as_ref().is_some_and(|a| a.contains("0x87"))).await;
    assert_eq!(scene.watch.borrow().passed_over, 0, "nothing is skipped on a wrong access list");
    // Held: one message tries now and then, not a window of them.
    let tries = Arc::new(Mutex::new(0));
    let counted = tries.clone();
    scene.broker.plan(move |message| {
        let stream = message.topic.ends_with("/stream");
        *counted.lock().unwrap() += usize::from(stream);
        if stream { 0x87 } else { 0 }
    });
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let tries = *tries.lock().unwrap();
    assert!((1..=4).contains(&tries), "{tries} tries in one and a half seconds");
    scene.broker.plan(|_| 0);
    scene.all(50).await;
    assert!(energies(&scene.broker.taken).is_sorted(), "in order");
    status(&scene.watch, |s| s.alarm.is_none()).await;
    assert_eq!(*scene.broker.most.lock().unwrap(), 5, "the broker's receive maximum is used up");
    scene.stop.cancel();
}

#[tokio::test]
async fn state_topics_denied_do_not_hold_the_stream() {
    let scene = Scene::new().await;
    scene.broker.plan(|message| if message.topic.contains("/state/") { 0x87 } else { 0 });
    scene.report(1..=30).await;
    scene.all(30).await;
    status(&scene.watch, |s| s.alarm.as_ref().is_some_and(|a| a.contains("state topics"))).await;
    scene.broker.plan(|_| 0);
    let taken = &scene.broker.taken;
    taken
        .find("the state at last", |all| {
            let states = all.iter().filter(|m| m.topic.ends_with("/state/electrical"));
            states.map(|m| &m.json).find(|j| j["properties"]["energy"]["value"] == 30).map(drop)
        })
        .await;
    status(&scene.watch, |s| s.alarm.is_none()).await;
    scene.stop.cancel();
}

#[tokio::test]
async fn a_command_is_acknowledged_when_it_is_durable_and_not_before() {
    let stop = CancellationToken::new();
    let gateway = Gateway::start(&stop).await;
    gateway.shadow().await;
    let broker = Scripted::start(&gateway.scope, 5).await;
    // This test is the writer.
    let (submissions, mut queue) = tokio::sync::mpsc::channel(8);
    let watch = gateway.link_to(spec(broker.port, Version::V5), submissions, &stop);
    status(&watch, |s| matches!(s.phase, Phase::Connected { .. })).await;
    let command = |id: u8, key: &str| {
        let topic = b"gatewayd/plant-7/twins/meter-1/commands";
        let payload = format!(r#"{{"id":"{key}","property":"heating/setpoint","value":21}}"#);
        let mut body = vec![0, u8::try_from(topic.len()).unwrap()];
        body.extend_from_slice(topic);
        body.extend_from_slice(&[0, id, 0]);
        body.extend_from_slice(payload.as_bytes());
        let mut packet = vec![0x32, u8::try_from(body.len()).unwrap()];
        packet.append(&mut body);
        packet
    };
    broker.say.lock().unwrap().extend(command(7, "c"));
    let submission = queue.recv().await.unwrap();
    // A repeat on the way: nothing else is submitted, and it waits for the same disk.
    broker.say.lock().unwrap().extend(command(8, "c"));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(queue.try_recv().is_err());
    assert_eq!(*broker.acknowledged.lock().unwrap(), [0; 0], "nothing is durable yet");
    let accepted = twin::Accepted { seq: twin::Seq(9), known: None, refused: None };
    submission.receipt.unwrap().tell(Ok(accepted));
    until("acknowledged", async || *broker.acknowledged.lock().unwrap() == [7, 8]).await;

    // A writer that stopped has promised nothing: the broker keeps the command.
    broker.say.lock().unwrap().extend(command(9, "d"));
    let submission = queue.recv().await.unwrap();
    submission.receipt.unwrap().tell(Err(twin::Refusal::Stopped));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(*broker.acknowledged.lock().unwrap(), [7, 8]);
    stop.cancel();
}

#[tokio::test]
async fn a_kick_is_told_in_words_and_not_answered_with_a_storm() {
    let scene = Scene::new().await;
    let connections = Arc::new(Mutex::new(0));
    let counted = connections.clone();
    // Session taken over, as soon as the link has said that it is online.
    let say = scene.broker.say.clone();
    scene.broker.plan(move |message| {
        if message.json["online"] == true {
            *counted.lock().unwrap() += 1;
            say.lock().unwrap().extend([0xe0, 1, 0x8e]);
        }
        0
    });
    scene.broker.say.lock().unwrap().extend([0xe0, 1, 0x8e]);
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let error = scene.watch.borrow().last_error.clone().unwrap();
    assert!(error.words.contains("client id"), "{}", error.words);
    let connections = *connections.lock().unwrap();
    assert!((1..=3).contains(&connections), "{connections} connections in 2.5 seconds");
    scene.stop.cancel();
}

#[tokio::test]
async fn a_broker_that_cannot_confirm_gets_nothing_and_nothing_is_passed_over() {
    let stop = CancellationToken::new();
    let gateway = Gateway::start(&stop).await;
    // Maximum QoS 0 (5.0 §3.2.2.3.4).
    let broker = Scripted::with(&gateway.scope, vec![0x24, 0]).await;
    gateway.report(2300, 1).await;
    let watch = gateway.link(spec(broker.port, Version::V5), &stop);
    status(&watch, |s| s.last_error.as_ref().is_some_and(|e| e.words.contains("QoS 1"))).await;
    assert_eq!(watch.borrow().passed_over, 0, "what nobody confirms is kept");
    stop.cancel();
}

#[tokio::test]
async fn a_broker_that_retains_nothing_gets_states_all_the_same() {
    let stop = CancellationToken::new();
    let gateway = Gateway::start(&stop).await;
    // Retain available: no (5.0 §3.2.2.3.5).
    let broker = Scripted::with(&gateway.scope, vec![0x25, 0]).await;
    let watch = gateway.link(spec(broker.port, Version::V5), &stop);
    gateway.report(2300, 1).await;
    let state = broker.taken.find("the state", |all| {
        all.iter().find(|m| m.topic.ends_with("/state/electrical")).cloned()
    });
    assert!(!state.await.retained);
    assert!(watch.borrow().alarm.as_ref().is_some_and(|alarm| alarm.contains("retained")));
    stop.cancel();
}

#[tokio::test]
async fn a_refusal_stands_until_a_message_is_taken_whatever_happens_to_the_connection() {
    let scene = Scene::new().await;
    scene.broker.plan(|message| if message.topic.ends_with("/stream") { 0x87 } else { 0 });
    scene.report(1..=3).await;
    status(&scene.watch, |s| s.alarm.is_some()).await;
    *scene.broker.say.lock().unwrap() = vec![0xE0, 0];
    status(&scene.watch, |s| s.connections == 2).await;
    assert!(scene.watch.borrow().alarm.as_ref().is_some_and(|alarm| alarm.contains("0x87")));
    scene.broker.plan(|_| 0);
    scene.all(3).await;
    status(&scene.watch, |s| s.alarm.is_none()).await;
    scene.stop.cancel();
}
