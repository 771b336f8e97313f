//! What a link does when a broker refuses messages: a broker of this test's own, which refuses by plan (MQTT 5).

#![expect(clippy::unwrap_used, reason = "this is a test")]

mod harness;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base::{CancellationToken, Scope};
use dialects::{LinkStatus, Phase};
use harness::{Gateway, Heard, Message, spec, status, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use wire::Version;

type Plan = Arc<Mutex<Box<dyn FnMut(&Message) -> u8 + Send>>>;

/// A broker that takes what its plan answers with 0 and refuses the rest with the reason that it answers with.
#[derive(Clone)]
struct Scripted {
    port: u16,
    taken: Heard,
    plan: Plan,
    most: Arc<Mutex<usize>>,
    /// Bytes to send as they are.
    say: Arc<Mutex<Vec<u8>>>,
    /// Packet ids that the link has acknowledged.
    acknowledged: Arc<Mutex<Vec<u16>>>,
}

impl Scripted {
    async fn start(scope: &Scope, receive_maximum: u16) -> Self {
        let [high, low] = receive_maximum.to_be_bytes();
        Self::with(scope, vec![0x21, high, low]).await
    }

    /// With these properties of CONNACK.
    async fn with(scope: &Scope, properties: Vec<u8>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let plan: Plan = Arc::new(Mutex::new(Box::new(|_| 0)));
        let broker = Self {
            port,
            taken: Heard::default(),
            plan,
            most: Arc::default(),
            say: Arc::default(),
            acknowledged: Arc::default(),
        };
        let of = broker.clone();
        let (stop, inner) = (scope.stop().clone(), scope.clone());
        scope.spawn("broker", async move {
            while let Some(Ok((stream, _))) = stop.run_until_cancelled(listener.accept()).await {
                let serve = of.clone().serve(stream, properties.clone());
                inner.spawn("connection", async move { drop(serve.await) });
            }
        });
        broker
    }

    fn plan(&self, plan: impl FnMut(&Message) -> u8 + Send + 'static) {
        *self.plan.lock().unwrap() = Box::new(plan);
    }

    async fn serve(self, mut stream: TcpStream, properties: Vec<u8>) -> std::io::Result<()> {
        let mut unanswered: Vec<(u16, u8)> = Vec::new();
        loop {
            // Answers late, so that as many are under way as may be.
            let next = tokio::time::timeout(Duration::from_millis(5), stream.read_u8()).await;
            let Ok(first) = next else {
                for (id, reason) in unanswered.drain(..) {
                    let [high, low] = id.to_be_bytes();
                    stream.write_all(&[0x40, 3, high, low, reason]).await?;
                }
                let say = std::mem::take(&mut *self.say.lock().unwrap());
                stream.write_all(&say).await?;
                continue;
            };
            let (first, mut length, mut shift) = (first?, 0_usize, 0);
            loop {
                let byte = stream.read_u8().await?;
                length |= usize::from(byte & 127) << shift;
                shift += 7;
                if byte < 128 {
                    break;
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await?;
            match first >> 4 {
                1 => {
                    let length = u8::try_from(properties.len()).unwrap();
                    stream.write_all(&[0x20, 3 + length, 0, 0, length]).await?;
                    stream.write_all(&properties).await?;
                }
                8 => stream.write_all(&[0x90, 4, body[0], body[1], 0, 1]).await?,
                4 => {
                    let id = u16::from_be_bytes([body[0], body[1]]);
                    self.acknowledged.lock().unwrap().push(id);
                }
                12 => stream.write_all(&[0xd0, 0]).await?,
                3 => {
                    let end = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
                    let topic = String::from_utf8(body[2..end].to_vec()).unwrap();
                    let id = u16::from_be_bytes([body[end], body[end + 1]]);
                    let properties = usize::from(body[end + 2]);
                    let payload = &body[end + 3 + properties..];
                    let json = serde_json::from_slice(payload).unwrap_or_default();
                    let message = Message { topic, retained: first & 1 == 1, json };
                    let reason = (self.plan.lock().unwrap())(&message);
                    if reason == 0 {
                        self.taken.push(message);
                    }
                    unanswered.push((id, reason));
                    let mut most = self.most.lock().unwrap();
                    *most = unanswered.len().max(*most);
                }
                _ => return Ok(()),
            }
        }
    }
}

fn energies(heard: &Heard) -> Vec<u64> {
    let all = heard.on("/stream");
    all.iter().filter_map(|json| json["values"]["electrical/energy"].as_u64()).collect()
}

struct Scene {
    gateway: Gateway,
    broker: Scripted,
    watch: watch::Receiver<LinkStatus>,
    stop: CancellationToken,
}

impl Scene {
    async fn new() -> Self {
        let stop = CancellationToken::new();
        let gateway = Gateway::start(&stop).await;
        let broker = Scripted::start(&gateway.scope, 5).await;
        let watch = gateway.link(spec(broker.port, Version::V5), &stop);
        status(&watch, |s| matches!(s.phase, Phase::Connected { .. })).await;
        Self { gateway, broker, watch, stop }
    }

    async fn report(&self, energies: std::ops::RangeInclusive<u64>) {
        for energy in energies {
            self.gateway.report(2300, energy).await;
        }
    }

    async fn all(&self, n: u64) {
        let taken = &self.broker.taken;
        let what = format!("{n} reports");
        until(&what, async || energies(taken).iter().collect::<BTreeSet<_>>().len() as u64 == n)
            .await;
    }
}

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
async fn a_message_that_is_wrong_itself_is_passed_over_on_record() {
    let scene = Scene::new().await;
    scene.broker.plan(|m| if m.json["values"]["electrical/energy"] == 3 { 0x90 } else { 0 });
    scene.report(1..=20).await;
    scene.all(19).await;
    status(&scene.watch, |s| s.passed_over == 1).await;
    let watch = scene.watch.borrow().clone();
    assert!(watch.last_error.unwrap().words.contains("0x90"));
    assert_eq!(watch.alarm, None);
    assert_eq!(energies(&scene.broker.taken).len(), 19, "and nothing else comes twice for it");
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
