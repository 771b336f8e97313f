//! Commands over a real mosquitto, in both versions of MQTT: accepted, repeated, refused, and told how they end.

#![expect(clippy::unwrap_used, reason = "this is a test")]

mod harness;

use base::CancellationToken;
use dialects::{LinkSpec, Phase};
use harness::{Broker, Gateway, Heard, Subscriber, publish, spec, status};
use serde_json::Value as Json;
use twin::{CommandId, Origin, Outcome, Step, Value, What};
use wire::Version;

const TOPIC: &str = "gatewayd/plant-7/twins/meter-1/commands";

struct Scene {
    gateway: Gateway,
    broker: Broker,
    subscriber: Subscriber,
    link: CancellationToken,
    stop: CancellationToken,
}

impl Scene {
    async fn new(version: Version) -> Self {
        let stop = CancellationToken::new();
        let gateway = Gateway::start(&stop).await;
        gateway.shadow().await;
        let broker = Broker::start().await;
        let subscriber = Subscriber::start(&broker, &gateway.scope).await;
        let scene = Self { gateway, broker, subscriber, link: stop.child_token(), stop };
        scene.connect(version).await;
        scene
    }

    async fn connect(&self, version: Version) {
        let watch = self.gateway.link(spec(self.broker.port, version), &self.link);
        status(&watch, |s| matches!(s.phase, Phase::Connected { .. })).await;
    }

    async fn send(&self, payload: &str) {
        publish(&self.broker, TOPIC, payload, false).await;
    }

    async fn outcome(&self, is: impl Fn(&Json) -> bool) -> Json {
        outcome(&self.subscriber.heard, is).await
    }

    /// How many commands and refusals the log has.
    fn logged(&self) -> usize {
        self.gateway.store.read(|state| state.ledger().iter().count())
    }
}

async fn outcome(heard: &Heard, is: impl Fn(&Json) -> bool) -> Json {
    heard
        .find("the outcome", |all| {
            let outcomes = all.iter().filter(|m| m.topic.ends_with("/outcomes"));
            outcomes.map(|m| &m.json).find(|json| is(json)).cloned()
        })
        .await
}

/// A flood of ever-new ids neither fills the log nor the memory of ids, and those beyond may be repeated.
async fn flood(version: Version) {
    let stop = CancellationToken::new();
    let gateway = Gateway::start(&stop).await;
    gateway.shadow().await;
    let broker = Broker::start().await;
    let subscriber = Subscriber::start(&broker, &gateway.scope).await;
    let spec = LinkSpec { command_rate: 1, ..spec(broker.port, version) };
    let watch = gateway.link(spec, &stop);
    status(&watch, |s| matches!(s.phase, Phase::Connected { .. })).await;
    let began = std::time::Instant::now();
    for n in 0..40 {
        let payload = format!(r#"{{"id":"f-{n}","property":"heating/none","value":1}}"#);
        publish(&broker, TOPIC, &payload, false).await;
    }
    subscriber
        .heard
        .find("40 answers", |all| {
            let answered = all.iter().filter(|m| m.topic.ends_with("/outcomes"));
            (answered.count() == 40).then_some(())
        })
        .await;
    let most = 10 + usize::try_from(began.elapsed().as_secs()).unwrap() + 1;
    let recorded = gateway.store.read(|state| state.ledger().iter().count());
    assert!((10..=most).contains(&recorded), "{recorded} of at most {most}");
    let refused = subscriber.heard.on("/outcomes");
    let refused: Vec<&Json> = refused.iter().filter(|o| o["reason"] == "rate").collect();
    assert_eq!(refused.len(), 40 - recorded);
    assert!(refused.iter().all(|o| o["detail"].as_str().unwrap().contains("command_rate")));
    stop.cancel();
}

#[tokio::test]
async fn flood_v311() {
    flood(Version::V311).await;
}

#[tokio::test]
async fn flood_v5() {
    flood(Version::V5).await;
}

#[tokio::test]
async fn v311() {
    commands(Version::V311).await;
}

#[tokio::test]
async fn v5() {
    commands(Version::V5).await;
}

async fn commands(version: Version) {
    let mut scene = Scene::new(version).await;
    // Accepted, and every stage told.
    scene.send(r#"{"id":"c-1","property":"heating/setpoint","value":21.5,"timeout":"60s"}"#).await;
    let accepted = scene.outcome(|o| o["id"] == "c-1" && o["stage"] == "accepted").await;
    assert_eq!(
        (&accepted["property"], &accepted["value"]),
        (&"heating/setpoint".into(), &21.5.into())
    );
    let id = CommandId(accepted["command"].as_u64().unwrap());
    let open = scene
        .gateway
        .store
        .read(|state| state.twins().next().unwrap().commands().get(&id).map(|c| c.by.to_string()));
    assert_eq!(open.as_deref(), Some("link:cloud"));
    let ended = Step::Ended(Outcome::Confirmed);
    for step in [Step::Sent { expected: Value::Decimal(215) }, Step::Acknowledged, ended] {
        scene.gateway.change(Origin::Keeper, What::Step { command: id, step }).await;
    }
    scene.outcome(|o| o["stage"] == "sent" && o["expected"] == 21.5).await;
    scene.outcome(|o| o["stage"] == "acknowledged").await;
    let confirmed = scene.outcome(|o| o["stage"] == "confirmed").await;
    assert_eq!(
        (&confirmed["id"], &confirmed["property"]),
        (&"c-1".into(), &"heating/setpoint".into())
    );

    // A repeat, even with another value, is the same command.
    let logged = scene.logged();
    scene.send(r#"{"id":"c-1","property":"heating/setpoint","value":29}"#).await;
    let repeat = scene.outcome(|o| o["repeat"] == true).await;
    assert_eq!((&repeat["stage"], &repeat["differs"]), (&"confirmed".into(), &true.into()));
    scene.send(r#"{"id":"c-1","property":"heating/setpoint","value":21.5}"#).await;
    scene.outcome(|o| o["repeat"] == true && o.get("differs").is_none()).await;
    assert_eq!(scene.logged(), logged, "a repeat is no commit");

    // What is refused is refused for good, in the log, and says why.
    for (payload, reason) in [
        (r#"{"id":"r-1","property":"heating/mode","value":1}"#, "not-allowed"),
        (r#"{"id":"r-2","property":"heating/setpoint","value":99}"#, "out-of-range"),
        (r#"{"id":"r-3","property":"heating/setpoint","value":"warm"}"#, "wrong-type"),
        (r#"{"id":"r-4","property":"heating/none","value":1}"#, "no-such-point"),
        (r#"{"id":"r-5","property":"heating/setpoint","value":21,"when":"now"}"#, "malformed"),
    ] {
        let id = payload.split('"').nth(3).unwrap();
        let logged = scene.logged();
        scene.send(payload).await;
        let refused = scene.outcome(|o| o["id"] == id).await;
        assert_eq!((&refused["stage"], &refused["reason"]), (&"rejected".into(), &reason.into()));
        assert!(!refused["detail"].as_str().unwrap().is_empty());
        assert_eq!(scene.logged(), logged + 1, "{reason} is on record");
    }
    let logged = scene.logged();
    scene.send(r#"{"property":"heating/setpoint","value":21}"#).await;
    scene.outcome(|o| o["reason"] == "no-id").await;
    scene.send("warmer!").await;
    scene.outcome(|o| o["reason"] == "malformed" && o.get("id").is_none()).await;
    let topic = TOPIC.replace("meter-1", "meter-9");
    publish(&scene.broker, &topic, r#"{"id":"x","property":"a/b","value":1}"#, false).await;
    scene.outcome(|o| o["reason"] == "no-such-twin" && o["id"] == "x").await;
    assert_eq!(scene.logged(), logged, "nothing of these could be recorded");

    // MQTT 5 shows the flag to those who are there, too; and what clears the topic again asks for nothing.
    if version == Version::V5 {
        let retained = r#"{"id":"now","property":"heating/setpoint","value":25}"#;
        publish(&scene.broker, TOPIC, retained, true).await;
        assert_eq!(scene.outcome(|o| o["id"] == "now").await["reason"], "retained");
        let senseless = || {
            let all = scene.subscriber.heard.on("/outcomes");
            all.iter().filter(|o| o["reason"] == "malformed" && o.get("id").is_none()).count()
        };
        let before = senseless();
        publish(&scene.broker, TOPIC, "", true).await;
        scene.send(r#"{"id":"after","property":"heating/none","value":1}"#).await;
        scene.outcome(|o| o["id"] == "after").await;
        assert_eq!(senseless(), before);
    }

    // A retained command meets every new connection: refused, and never carried out.
    scene.link.cancel();
    let retained = r#"{"id":"old","property":"heating/setpoint","value":25,"timeout":"60s"}"#;
    publish(&scene.broker, TOPIC, retained, true).await;
    scene.link = scene.stop.child_token();
    scene.connect(version).await;
    let refused = scene.outcome(|o| o["id"] == "old").await;
    assert_eq!(refused["reason"], "retained");
    let desired = scene.gateway.store.read(|state| {
        state.twins().next().unwrap().desired().get(&3).map(|desired| desired.command)
    });
    assert_eq!(desired, Some(id), "only the first command ever asked for anything");
    scene.stop.cancel();
}
