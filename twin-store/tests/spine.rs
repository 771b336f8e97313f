//! The store as its users see it: a real directory, the writer's task, receipts, followers, lanes, restarts.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;
use std::time::Duration;

use base::{CancellationToken, Clock, ManualClock, Scope};
use tokio::sync::{mpsc, oneshot};
use twin::{
    Accepted, Access, Acquisition, Boottime, Change, Command, Deadline, Declaration, Description,
    Entry, Group, Handle, Input, IntKind, Kind, LifeCycle, Moment, Order, Origin, Outcome,
    PointSpec, Principal, PrincipalKind, Quality, Reason, Receipt, Refusal, Reported, Seen, Seq,
    Submission, TimeBase, Trigger, Value, ValueType, What, Writable,
};
use twin_store::{
    Class, Directory, Frame, Limit, LinkOptions, Opened, Options, Query, Store, Want, open,
};

const POINTS: u16 = 20;
const ALL: Limit = Limit { frames: 1000, bytes: usize::MAX };

struct Rig {
    dir: tempfile::TempDir,
    clock: Clock,
    hand: Arc<ManualClock>,
    options: Options,
}

struct Life {
    store: Store,
    submit: mpsc::Sender<Submission>,
    scope: Scope,
}

fn description() -> Description {
    let acquisition = Acquisition::Polled { interval: 1_000_000 };
    let group = Group { name: "main".parse().unwrap(), acquisition, max_age: 0, retired: false };
    let writable = Writable {
        range: Some((0.0, 100.0)),
        settle: 0,
        tolerance: 0.0,
        unsynchronised: true,
        hold: false,
    };
    let point = |i| PointSpec {
        access: Access { readable: true, writable: (i < 3).then(|| writable.clone()) },
        ..PointSpec::new(
            format!("f{}", i % 2).parse().unwrap(),
            format!("p{i}").parse().unwrap(),
            Kind::State,
            ValueType::Int(IntKind::U16),
        )
    };
    let points = (0..POINTS).map(point).collect();
    let declared = Declaration { groups: vec![group], points, ..Declaration::default() };
    Description::default().revise(&declared).unwrap().description
}

fn change(twin: &str, origin: Origin, what: What) -> Submission {
    Submission::change(Change { twin: twin.parse().unwrap(), origin, what })
}

fn described(twin: &str) -> Submission {
    change(twin, Origin::Configuration, What::Described(Arc::new(description())))
}

fn reading(twin: &str, at: i64, value: u64) -> Submission {
    let entries = (0..POINTS).map(|index| Entry {
        index,
        quality: Quality::GOOD,
        value: Some(Value::Unsigned(value + u64::from(index))),
        offset: 0,
    });
    let reported = Reported {
        revision: 1,
        group: 0,
        source: TimeBase::gateway(Boottime(at)),
        server: None,
        command: None,
        continued: false,
        entries: entries.collect(),
    };
    let twin: twin::TwinId = twin.parse().unwrap();
    let (due, at) = (Boottime(at), Boottime(at));
    let seen = Seen { twin: twin.clone(), group: 0, ok: true, due, at, expected: 1 };
    let change = Change { twin, origin: Origin::Asset, what: What::Reported(reported) };
    Submission { input: Input::Change(change, Some(seen)), receipt: None }
}

impl Rig {
    fn new() -> Self {
        let (clock, hand) = Clock::manual(1_000_000, Some(1_800_000_000_000_000), [1; 16]);
        let options = Options::new("gw".parse().unwrap());
        let small = |mut options: Options| {
            options.samples.segment = 64 << 10;
            options.records.segment = 64 << 10;
            options.flush = Duration::from_millis(20);
            options
        };
        Self { dir: tempfile::tempdir().unwrap(), clock, hand, options: small(options) }
    }

    fn open(&self) -> Life {
        let disk = Arc::new(Directory::take(self.dir.path()).unwrap());
        let Opened { writer, store, .. } =
            open(disk, self.options.clone(), self.clock.clone()).unwrap();
        let (scope, _) = Scope::new("test", &CancellationToken::new());
        let (submit, submissions) = mpsc::channel(1024);
        scope.spawn("writer", writer.run(submissions, scope.clone()));
        Life { store, submit, scope }
    }
}

impl Life {
    async fn tell(&self, submission: Submission) -> Result<Accepted, Refusal> {
        let (told, hear) = oneshot::channel();
        let receipt = Receipt::new(move |answer| told.send(answer).unwrap());
        self.submit.send(submission.with_receipt(receipt)).await.unwrap();
        tokio::time::timeout(Duration::from_secs(10), hear).await.unwrap().unwrap()
    }

    async fn end(self) {
        drop(self.submit);
        self.scope.join().await;
    }
}

fn first_value(store: &Store, frame: &Frame) -> u64 {
    store.read(|state| {
        let description = state.by_handle(frame.handle).unwrap().description().clone();
        let view = frame.reported(&description).unwrap();
        match view.iter().next().unwrap().value.unwrap().to_value() {
            Value::Unsigned(v) => v,
            other => panic!("{other:?}"),
        }
    })
}

#[tokio::test]
async fn what_is_told_is_there_after_a_restart() {
    let rig = Rig::new();
    let life = rig.open();
    let told = life.tell(described("pump")).await.unwrap();
    let told = life.tell(reading("pump", 5, 100)).await.unwrap().seq.max(told.seq);
    assert!(life.store.statistics().durable >= told);
    let before = life.store.read(Clone::clone);
    let epoch = life.store.epoch();
    life.end().await;

    let life = rig.open();
    assert_eq!(life.store.epoch(), epoch + 1);
    let after = life.store.read(Clone::clone);
    assert_eq!(after.by_handle(Handle(1)), before.by_handle(Handle(1)));
    assert_eq!(after.head(), before.head().next(), "one record more: the store was opened");
    life.end().await;
}

#[tokio::test]
async fn a_poll_without_change_is_no_commit() {
    let rig = Rig::new();
    let life = rig.open();
    life.tell(described("pump")).await.unwrap();
    let first = life.tell(reading("pump", 5, 100)).await.unwrap();
    let again = life.tell(reading("pump", 6, 100)).await.unwrap();
    assert_eq!((again.seq, life.store.head()), (first.seq, first.seq));
    let fresh = life.store.freshness(|f| *f.group(Handle(1), 0).unwrap());
    assert_eq!((fresh.received, fresh.last_ok), (2, Some(Boottime(6))));
    life.end().await;
}

#[tokio::test]
async fn a_follower_sees_every_commit_from_disk_and_memory() {
    let mut rig = Rig::new();
    rig.options.ring = 4 << 10;
    let life = rig.open();
    life.tell(described("pump")).await.unwrap();
    for i in 0..2_000 {
        life.submit.send(reading("pump", i, i.unsigned_abs())).await.unwrap();
    }
    let last = life.tell(reading("pump", 2_000, 2_000)).await.unwrap().seq;
    assert!(life.store.statistics().ring.0 < 1_000);
    assert!(life.store.statistics().families[0].2 > 1, "several segments");
    let mut follower = life.store.follow(Seq(1));
    let mut values = Vec::new();
    while follower.position() <= last {
        for frame in follower.next().await {
            if frame.class == Class::Sample {
                values.push(first_value(&life.store, &frame));
            }
        }
    }
    assert_eq!(values, (0..=2_000).collect::<Vec<_>>());

    let query = Query { twin: Some(Handle(1)), class: Some(Class::Sample), ..Query::default() };
    let (some, next) = life.store.history(&query, 700).unwrap();
    let (rest, end) = life.store.history(&Query { from: next.unwrap(), ..query }, 5_000).unwrap();
    assert_eq!((some.len(), rest.len(), end), (700, 1_301, None));
    life.end().await;
}

#[tokio::test]
async fn a_link_delivers_everything_once_and_the_past_as_backlog() {
    let mut rig = Rig::new();
    rig.options.ring = 8 << 10;
    let life = rig.open();
    life.tell(described("pump")).await.unwrap();
    let name = "north".parse().unwrap();
    let mut lanes = life.store.link(&name, LinkOptions::default());
    assert!(lanes.connected().first);
    let mut got = Vec::new();
    let mut out = Vec::new();
    life.tell(reading("pump", 0, 0)).await.unwrap();
    lanes.changed().await;
    while let Some(lane) = lanes.next(Want::Live, None, ALL, &mut out) {
        assert!(!lane.historical);
        for frame in out.drain(..) {
            lanes.settled(lane, frame.seq);
            got.push(frame.seq);
        }
    }
    lanes.disconnected();
    for i in 1..500 {
        life.submit.send(reading("pump", i, i.unsigned_abs())).await.unwrap();
    }
    life.tell(reading("pump", 500, 500)).await.unwrap();
    life.end().await;
    drop(lanes);

    let life = rig.open();
    let mut lanes = life.store.link(&name, LinkOptions::default());
    let resume = lanes.connected();
    assert_eq!((resume.first, resume.overtaken), (false, None));
    assert_eq!(resume.changed, [(Handle(1), vec![0, 1])]);
    life.tell(reading("pump", 501, 501)).await.unwrap();
    let mut live = Vec::new();
    while let Some(lane) = lanes.next(Want::Live, None, ALL, &mut out) {
        for frame in out.drain(..) {
            lanes.settled(lane, frame.seq);
            live.push(frame.seq);
        }
    }
    assert_eq!(live.len(), 1, "live first, and only what is new");
    let some = Limit { frames: 7, bytes: usize::MAX };
    while let Some(lane) = lanes.next(Want::Backlog, Some(Class::Sample), some, &mut out) {
        assert!(lane.historical && out.len() <= 7);
        for frame in out.drain(..) {
            lanes.settled(lane, frame.seq);
            got.push(frame.seq);
        }
    }
    assert!(got.is_sorted());
    let samples =
        life.store.history(&Query { class: Some(Class::Sample), ..Query::default() }, 999);
    let mut expected: Vec<Seq> = samples.unwrap().0.iter().map(|f| f.seq).collect();
    expected.retain(|seq| !live.contains(seq));
    assert_eq!(got, expected);
    assert!(lanes.next(Want::Backlog, Some(Class::Sample), some, &mut out).is_none());
    life.end().await;
}

#[tokio::test]
async fn commands_are_admitted_once_and_refusals_are_on_record() {
    let rig = Rig::new();
    let life = rig.open();
    life.tell(described("pump")).await.unwrap();
    let moment =
        Moment { boottime: Boottime(rig.clock.boottime()), boot: twin::BootId([1; 16]), utc: None };
    let command = |key: &str, value| {
        let by = Principal { kind: PrincipalKind::Link, name: "north".into() };
        let command = Command {
            key: key.into(),
            index: 0,
            order: Order::Write(Value::Unsigned(value)),
            deadline: Deadline::after(moment, 60_000_000),
            asked: None,
        };
        change("pump", Origin::Principal(by), What::Command(command))
    };
    life.tell(change(
        "pump",
        Origin::Keeper,
        What::Transition {
            from: LifeCycle::Created,
            to: LifeCycle::Unbound,
            trigger: Trigger::Configured,
            detail: None,
            entanglement: None,
        },
    ))
    .await
    .unwrap();
    let accepted = life.tell(command("a", 5)).await.unwrap();
    assert_eq!((accepted.known, accepted.refused), (None, None));
    let refused = life.tell(command("b", 500)).await.unwrap();
    assert!(
        matches!(refused.refused, Some(Outcome::Rejected(Reason::OutOfRange, _))),
        "{refused:?}"
    );
    life.end().await;
    let life = rig.open();
    let repeat = life.tell(command("a", 5)).await.unwrap();
    assert_eq!((repeat.seq, repeat.known.map(|k| k.seq)), (accepted.seq, Some(accepted.seq)));
    let repeat = life.tell(command("b", 5)).await.unwrap();
    assert!(repeat.known.unwrap().stage.ended());
    life.end().await;
}

#[tokio::test]
async fn an_idle_gateway_writes_nothing() {
    let rig = Rig::new();
    let life = rig.open();
    life.tell(described("pump")).await.unwrap();
    let name = "north".parse().unwrap();
    let mut lanes = life.store.link(&name, LinkOptions::default());
    lanes.connected();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (head, writes) = (life.store.head(), life.store.statistics().counters.writes);
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(40)).await;
        assert!(lanes.next(Want::Live, None, ALL, &mut Vec::new()).is_none());
    }
    assert_eq!((life.store.head(), life.store.statistics().counters.writes), (head, writes));
    rig.hand.advance(Duration::from_secs(60));
    life.end().await;
}
