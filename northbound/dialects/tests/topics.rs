//! TOPICS.md shows exactly what the code prints: its examples are the messages of one small story.
//!
//! `TOPICS=write cargo test -p dialects --test topics` writes them anew.

#![expect(clippy::unwrap_used, clippy::string_slice, clippy::panic, reason = "this is a test")]

mod harness;

use std::sync::Arc;
use std::time::Duration;

use base::{CancellationToken, Clock, ManualClock};
use dialects::{Answer, Dialect, Document, Message, Said, Twins};
use harness::{Gateway, sample};
use twin::{
    Body, Boottime, Cause, Command, CommandId, Commit, ConditionState, Deadline, Entry, Envelope,
    EnvelopeEntry, Event, GapCause, GatewayEvent, LifeCycle, Order, Origin, Outcome, Principal,
    PrincipalKind, Quality, Reason, Reported, Seq, Step, TimeBase, Trigger, Value, What,
};
use twin_store::{Frame, Kind};

struct Story {
    gateway: Gateway,
    hand: Arc<ManualClock>,
    dialect: Twins,
    examples: Vec<(&'static str, Message)>,
}

impl Story {
    async fn begin(utc: Option<i64>, stop: &CancellationToken) -> Self {
        let (clock, hand) = Clock::manual(0, utc, sample::BOOT.0);
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let gateway = Gateway::open(dir, stop, clock).await;
        let dialect = Twins::new("plant-7", "gatewayd/plant-7", "cloud", true);
        Self { gateway, hand, dialect, examples: Vec::new() }
    }

    /// Something happens 250 ms later. Returns its commit's number.
    async fn then(&mut self, origin: Origin, what: What) -> Seq {
        self.hand.advance(Duration::from_millis(250));
        self.gateway.change(origin, what).await.seq
    }

    fn frame(&self, seq: Seq) -> Frame {
        let mut follower = self.gateway.store.follow(seq);
        follower.ready().into_iter().find(|frame| frame.seq == seq).unwrap()
    }

    /// What the link sends for this commit.
    fn message(&mut self, seq: Seq, historical: bool) -> Message {
        let frame = self.frame(seq);
        let dialect = &mut self.dialect;
        self.gateway.store.read(|state| {
            if frame.kind != Kind::Reported {
                return dialect.record(state, &frame.commit(state).unwrap(), historical).unwrap();
            }
            let twin = state.by_handle(frame.handle).unwrap();
            let (mut topic, mut payload) = (String::new(), Vec::new());
            assert!(dialect.stream(twin, &mut topic));
            dialect.readings(state, twin, &frame, historical, &mut payload);
            Message { topic, payload, retain: false }
        })
    }

    fn show(&mut self, name: &'static str, seq: Seq) {
        let message = self.message(seq, false);
        self.examples.push((name, message));
    }

    fn document(&mut self, name: &'static str, document: Document) {
        let dialect = &mut self.dialect;
        let (mut topic, mut payload) = (String::new(), Vec::new());
        self.gateway.store.read(|state| {
            let twin = state.twins().next().unwrap();
            assert!(dialect.document(state, twin, document, &mut topic, &mut payload));
        });
        self.examples.push((name, Message { topic, payload, retain: true }));
    }

    async fn transition(&mut self, from: LifeCycle, trigger: Trigger) -> Seq {
        let to = from.after(trigger).unwrap();
        let what = What::Transition { from, to, trigger, detail: None, entanglement: None };
        self.then(Origin::Keeper, what).await
    }
}

fn reported(source: i64, command: Option<CommandId>, entries: Vec<Entry>) -> What {
    What::Reported(Reported {
        revision: 1,
        group: 0,
        source: TimeBase::gateway(Boottime(source)),
        server: None,
        command,
        continued: false,
        entries,
    })
}

fn good(index: u16, value: Value) -> Entry {
    Entry { index, quality: Quality::GOOD, value: Some(value), offset: 0 }
}

fn command(key: &str, tenths: i64) -> What {
    What::Command(Command {
        key: key.into(),
        index: 3,
        order: Order::Write(Value::Decimal(tenths)),
        deadline: Deadline::after(sample::now(), 60_000_000),
        asked: Some(sample::now().utc.unwrap()),
    })
}

async fn story() -> Vec<(&'static str, Message)> {
    let stop = CancellationToken::new();
    let mut story = Story::begin(Some(sample::OFFSET), &stop).await;
    let cloud = || {
        let kind = PrincipalKind::Link;
        Origin::Principal(Principal { kind, name: "cloud".into() })
    };
    story.transition(LifeCycle::Created, Trigger::Configured).await;
    story.transition(LifeCycle::Unbound, Trigger::AssetBound).await;
    let readings = vec![
        good(0, Value::Decimal(2305)),
        good(1, Value::Float(f64::from(0.1f32))),
        good(2, Value::Unsigned(9_007_199_254_740_993)),
        good(3, Value::Decimal(210)),
        good(4, Value::Unsigned(1)),
    ];
    let seq = story.then(Origin::Asset, reported(740_500, None, readings)).await;
    story.show("stream", seq);
    let seq = story.transition(LifeCycle::Bound, Trigger::FirstCompletePoll).await;
    story.show("stream-lifecycle", seq);
    story.document("lifecycle", Document::LifeCycle);
    let timeout = Quality::bad(Cause::Timeout);
    let readings = vec![
        Entry { index: 0, quality: timeout, value: None, offset: 0 },
        Entry { offset: 1_500, ..good(1, Value::Float(f64::NAN)) },
    ];
    let seq = story.then(Origin::Asset, reported(1_000_000, None, readings)).await;
    story.show("stream-bad", seq);

    let id = story.then(cloud(), command("c-1", 225)).await;
    story.show("outcome-accepted", id);
    let id = CommandId(id.0);
    let step = |step| What::Step { command: id, step };
    let sent = Step::Sent { expected: Value::Decimal(225) };
    let seq = story.then(Origin::Asset, step(sent)).await;
    story.show("outcome-sent", seq);
    story.then(Origin::Asset, step(Step::Acknowledged)).await;
    let readings = vec![good(3, Value::Decimal(225))];
    let seq = story.then(Origin::Asset, reported(2_100_000, Some(id), readings)).await;
    story.show("stream-command", seq);
    let seq = story.then(Origin::Keeper, step(Step::Ended(Outcome::Confirmed))).await;
    story.show("outcome-confirmed", seq);
    let seq = story.then(cloud(), command("c-2", 990)).await;
    story.show("outcome-rejected", seq);
    story.document("state", Document::Feature(1));
    story.document("state-bad", Document::Feature(0));
    story.document("description", Document::Description);

    let event = Event {
        index: 6,
        instance: Arc::from([0x2a, 0x01]),
        severity: 700,
        state: ConditionState { active: true, ..ConditionState::default() },
        occurred: TimeBase::gateway(Boottime(2_500_000)),
        text: "flow temperature above 95 °C".into(),
        fields: None,
        until: None,
    };
    let seq = story.then(Origin::Asset, What::Event(event)).await;
    story.show("event", seq);
    let alarm = |active, acknowledged| Event {
        index: 7,
        instance: Arc::from([0, 0, 0, 1, 0, 0, 0, 1]),
        severity: 800,
        state: ConditionState { active, acknowledged, ..ConditionState::default() },
        occurred: TimeBase::gateway(Boottime(2_600_000)),
        text: "voltage above the limit: 254.1 V".into(),
        fields: None,
        until: None,
    };
    let raised = story.then(Origin::Keeper, What::Event(alarm(true, false))).await;
    story.show("event-alarm", raised);
    let care = |key: &str, care: &twin::Care| {
        let deadline = Deadline::after(sample::now(), 60_000_000);
        let asked = Some(sample::now().utc.unwrap());
        What::Command(Command { key: key.into(), index: 7, order: care.order(), deadline, asked })
    };
    let seq = story.then(cloud(), care("a-1", &twin::Care::Acknowledge(None))).await;
    story.show("outcome-alarm", seq);
    let seq = story.then(cloud(), What::Event(alarm(true, true))).await;
    story.show("event-acknowledged", seq);
    let until = Some(Deadline::after(sample::now(), 7_200_000_000));
    story.then(cloud(), What::Event(Event { until, ..alarm(true, true) })).await;
    story.document("alarms", Document::Alarms);
    let historical = story.message(Seq(11), true);
    story.examples.push(("stream-hist", historical));
    let entangled = twin::Entangled { timeliness: 1.0, reliability: 0.75, availability: 1.0 };
    let seq = story.then(Origin::Keeper, What::Entangled(entangled)).await;
    story.show("stream-entanglement", seq);
    story.document("entanglement", Document::Entanglement);
    let maintenance = twin::Maintenance {
        until: Deadline::after(sample::now(), 7_200_000_000),
        reason: "new bearings".into(),
        by: Principal { kind: PrincipalKind::User, name: "ada".into() },
    };
    let seq = story.then(cloud(), What::Maintained(Some(maintenance))).await;
    story.show("stream-maintenance", seq);
    story.document("lifecycle-maintenance", Document::LifeCycle);
    let envelope = story.dialect.envelope().unwrap();
    let parts: Vec<Vec<u8>> = [Seq(5), Seq(7)].map(|seq| story.message(seq, false).payload).into();
    let inside = parts.join(envelope.between.as_bytes());
    let payload = [envelope.begin.as_bytes(), &inside, envelope.end.as_bytes()].concat();
    story.examples.push(("batch", Message { topic: envelope.topic, payload, retain: false }));
    pure(&mut story);

    let unset = CancellationToken::new();
    let mut young = Story::begin(None, &unset).await;
    let seq =
        young.then(Origin::Asset, reported(250_000, None, vec![good(0, Value::Decimal(2305))]));
    let seq = seq.await;
    young.show("stream-unset", seq);
    let mut examples = std::mem::take(&mut story.examples);
    examples.append(&mut young.examples);
    stop.cancel();
    unset.cancel();
    examples
}

/// Messages that need no log.
fn pure(story: &mut Story) {
    let Story { gateway, dialect, examples, .. } = story;
    let twin = "meter-1".parse().unwrap();
    gateway.store.read(|state| {
        let at = Boottime(3_000_000);
        let mut gateway = |event| {
            let commit = Commit { seq: Seq(40), epoch: 1, at, body: Body::Gateway(event) };
            dialect.record(state, &commit, false).unwrap()
        };
        let (first, last, cause) = (Seq(21), Seq(34), GapCause::Crash);
        examples.push(("gap", gateway(GatewayEvent::Gap { first, last, cause })));
        let passed = GatewayEvent::PassedOver {
            link: "cloud".parse().unwrap(),
            first: Seq(17),
            last: Seq(35),
            count: 2,
            why: "the broker refuses it: packet too large (0x95)".into(),
        };
        examples.push(("gap-refused", gateway(passed)));
        let (first, last, cause) = (Seq(20_100), Seq(31_400), GapCause::Thinned);
        examples.push(("gap-thinned", gateway(GatewayEvent::Gap { first, last, cause })));
        examples.push(("clock", gateway(GatewayEvent::ClockSet { offset: sample::OFFSET })));
        let entry = EnvelopeEntry {
            index: 0,
            count: 60,
            not_good: 1,
            last: Some(Value::Decimal(2311)),
            range: Some((229.8, 231.4, 230.55)),
        };
        let envelope = Envelope {
            revision: 1,
            first: Seq(100),
            last: Seq(220),
            thin: 1,
            from: TimeBase::gateway(Boottime(0)),
            until: TimeBase::gateway(Boottime(60_000_000)),
            entries: vec![entry],
        };
        let commit = Commit { epoch: 1, ..sample::twin(220, What::Thinned(envelope)) };
        examples.push(("stream-envelope", dialect.record(state, &commit, true).unwrap()));
        let by = Principal { kind: PrincipalKind::Link, name: "cloud".into() };
        let entry = state.ledger().find(&by, &"c-1".into()).unwrap();
        let repeat = Answer { twin: &twin, key: Some("c-1"), said: Said::Known(entry, false) };
        examples.push(("outcome-repeat", dialect.answer(state, &repeat).unwrap()));
        let differs = Answer { said: Said::Known(entry, true), ..repeat };
        examples.push(("outcome-differs", dialect.answer(state, &differs).unwrap()));
        let words = "more than 20 commands per second came through this link (`command_rate`); repeat it later";
        let said = Said::Refused(Reason::Rate, words);
        let flood = Answer { twin: &twin, key: Some("c-99"), said };
        examples.push(("outcome-rate", dialect.answer(state, &flood).unwrap()));
        let words = "give each command an `id` of its own, so that a repeat acts once";
        let said = Said::Refused(Reason::NoId, words);
        let no_id = Answer { twin: &twin, key: None, said };
        examples.push(("outcome-no-id", dialect.answer(state, &no_id).unwrap()));
        examples.push(("status", dialect.online(state).unwrap()));
        examples.push(("status-offline", dialect.offline().unwrap()));
    });
}

/// An example as it stands in the page.
fn block(name: &str, message: &Message) -> String {
    let text = std::str::from_utf8(&message.payload).unwrap();
    let json: serde_json::Value =
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}: {text}"));
    assert_eq!(json.to_string(), text, "the page would show something else than what is sent");
    let pretty = serde_json::to_string_pretty(&json).unwrap();
    let retained = if message.retain { " (retained)" } else { "" };
    format!("<!-- {name} -->\n`{}`{retained}\n\n```json\n{pretty}\n```\n\n", message.topic)
}

#[tokio::test]
async fn the_page_shows_what_the_code_prints() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/TOPICS.md");
    let mut page = std::fs::read_to_string(path).unwrap();
    let examples = story().await;
    let write = std::env::var("TOPICS").is_ok_and(|how| how == "write");
    for (name, message) in &examples {
        let marker = format!("<!-- {name} -->\n");
        let block = block(name, message);
        let start =
            page.find(&marker).unwrap_or_else(|| panic!("TOPICS.md has no {name}:\n{block}"));
        let after = &page[start + marker.len()..];
        let there = after.starts_with("`gatewayd/").then(|| after.find("\n```\n\n")).flatten();
        let end = start + marker.len() + there.map_or(0, |at| at + 6);
        if write {
            page.replace_range(start..end, &block);
        } else {
            assert_eq!(page[start..end], block, "TOPICS.md is behind: TOPICS=write");
        }
    }
    assert_eq!(page.matches("<!-- ").count(), examples.len(), "an example that nothing checks");
    if write {
        std::fs::write(path, page).unwrap();
    }
}
