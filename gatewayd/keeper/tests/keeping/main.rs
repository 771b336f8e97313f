//! The keeper over a real store: life cycle, commands to their end, and what a restart leaves.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod alarms;
mod entangled;
mod hold;
mod many;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use base::{CancellationToken, Clock, ManualClock, Scope};
use keeper::Keeper;
use tokio::sync::{mpsc, oneshot, watch};
use twin::{
    Accepted, Access, Acquisition, BootId, Boottime, Change, Command, CommandId, CommandOrder,
    Deadline, Declaration, Description, Entry, Group, Input, IntKind, Kind, LifeCycle, Moment,
    Order, Origin, Outcome, PointSpec, Principal, PrincipalKind, Quality, Reason, Receipt, Refusal,
    Reported, Seen, Seq, Stage, Step, Submission, TimeBase, Timestamp, TwinId, Value, ValueType,
    What, Writable,
};
use twin_store::{Directory, Opened, Options, Store, open};

const S: i64 = 1_000_000;

/// One run of the daemon, as far as the keeper sees it. The test plays adapter.
struct Run {
    store: Store,
    submit: mpsc::Sender<Submission>,
    orders: mpsc::Receiver<CommandOrder>,
    configured: watch::Sender<Arc<BTreeSet<TwinId>>>,
    keeper: Scope,
    writer: Scope,
    clock: Clock,
    hand: Arc<ManualClock>,
}

fn description() -> Description {
    let acquisition = Acquisition::Polled { interval: S };
    let group =
        Group { name: "main".parse().unwrap(), acquisition, max_age: 5 * S, retired: false };
    let writable =
        Writable { range: None, settle: 0, tolerance: 0.0, unsynchronised: false, hold: false };
    let point = PointSpec {
        access: Access { readable: true, writable: Some(writable) },
        ..PointSpec::new(
            "f".parse().unwrap(),
            "setpoint".parse().unwrap(),
            Kind::State,
            ValueType::Int(IntKind::U16),
        )
    };
    let declared =
        Declaration { groups: vec![group], points: vec![point], ..Declaration::default() };
    Description::default().revise(&declared).unwrap().description
}

fn id() -> TwinId {
    "pump".parse().unwrap()
}

/// What an asset says of its only point, as an answer to a poll or as the read-back of `command`.
fn reading(
    twin: TwinId,
    at: Boottime,
    (quality, value): (Quality, Option<u64>),
    command: Option<CommandId>,
) -> Change {
    let reported = Reported {
        revision: 1,
        group: 0,
        source: TimeBase::gateway(at),
        server: None,
        command,
        continued: false,
        entries: vec![Entry { index: 0, quality, value: value.map(Value::Unsigned), offset: 0 }],
    };
    Change { twin, origin: Origin::Asset, what: What::Reported(reported) }
}

impl Run {
    /// `at`: the boottime at which this run begins, in seconds.
    fn begin(dir: &std::path::Path, at: i64) -> Self {
        let (clock, hand) = Clock::manual(at * S, Some(1_800_000_000 * S + at * S), [1; 16]);
        let disk = Arc::new(Directory::take(dir).unwrap());
        let options = Options::new("gw".parse().unwrap());
        let Opened { writer: task, store, .. } = open(disk, options, clock.clone()).unwrap();
        let (writer, _) = Scope::new("writer", &CancellationToken::new());
        let (keeper, _) = Scope::new("keeper", &CancellationToken::new());
        let (submit, submissions) = mpsc::channel(64);
        let (send_orders, orders) = mpsc::channel(4);
        let (configured, wanted) = watch::channel(Arc::new(BTreeSet::from([id()])));
        writer.spawn("run", task.run(submissions, writer.clone()));
        let task = Keeper::new(store.clone(), submit.clone(), send_orders, wanted, clock.clone());
        keeper.spawn("run", task.run(keeper.stop().clone()));
        Self { store, submit, orders, configured, keeper, writer, clock, hand }
    }

    async fn end(self) {
        self.keeper.join().await;
        drop(self.submit);
        self.writer.join().await;
    }

    async fn tell(&self, origin: Origin, what: What) -> Result<Accepted, Refusal> {
        let (told, hear) = oneshot::channel();
        let receipt = Receipt::new(move |answer| told.send(answer).unwrap());
        let change = Submission::change(Change { twin: id(), origin, what });
        self.submit.send(change.with_receipt(receipt)).await.unwrap();
        tokio::time::timeout(Duration::from_secs(10), hear).await.unwrap().unwrap()
    }

    /// The asset answers a poll, or a read-back of `command`.
    async fn report(&self, value: u64, command: Option<CommandId>) {
        let now = Boottime(self.clock.boottime());
        let change = reading(id(), now, (Quality::GOOD, Some(value)), command);
        let seen = Seen { twin: id(), group: 0, ok: true, due: now, at: now, expected: 1 };
        let input = Input::Change(change, Some(seen));
        self.submit.send(Submission { input, receipt: None }).await.unwrap();
    }

    async fn ask(&self, key: &str, value: u64, seconds: i64) -> CommandId {
        let now = self.moment();
        let deadline = Deadline::after(now, seconds * S);
        let command = Command {
            key: key.into(),
            index: 0,
            order: Order::Write(Value::Unsigned(value)),
            deadline,
            asked: now.utc,
        };
        let ada = Principal { kind: PrincipalKind::User, name: "ada".into() };
        let accepted = self.tell(Origin::Principal(ada), What::Command(command)).await.unwrap();
        assert_eq!(accepted.refused, None);
        CommandId(accepted.seq.0)
    }

    async fn sent(&self, command: CommandId, expected: u64) -> Result<Accepted, Refusal> {
        let step = Step::Sent { expected: Value::Unsigned(expected) };
        self.tell(Origin::Asset, What::Step { command, step }).await
    }

    fn moment(&self) -> Moment {
        Moment {
            boottime: Boottime(self.clock.boottime()),
            boot: BootId(self.clock.boot()),
            utc: self.clock.utc().map(Timestamp),
        }
    }

    /// What happened to twins, from the beginning of the log.
    async fn happened(&self) -> Vec<(TwinId, What)> {
        let mut follower = self.store.follow(Seq(1));
        let mut all = Vec::new();
        while let Ok(frames) =
            tokio::time::timeout(Duration::from_millis(200), follower.next()).await
        {
            let commits = self.store.read(|state| {
                frames.iter().filter_map(|frame| frame.commit(state)).collect::<Vec<_>>()
            });
            all.extend(commits.into_iter().filter_map(|commit| match commit.body {
                twin::Body::Twin { twin, what, .. } => Some((twin, what)),
                twin::Body::Gateway(_) => None,
            }));
        }
        all
    }

    async fn log(&self) -> Vec<What> {
        self.happened().await.into_iter().map(|(_, what)| what).collect()
    }

    fn life(&self) -> Option<LifeCycle> {
        self.store.read(|state| state.twin(&id()).map(twin::Twin::life_cycle))
    }

    fn outcome(&self) -> Option<Stage> {
        self.store.read(|state| state.twin(&id())?.desired().get(&0).map(|d| d.stage.clone()))
    }

    async fn until(&self, what: &str, mut reached: impl FnMut(&Self) -> bool) {
        for _ in 0..400 {
            if reached(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("never: {what}; {:?}, {:?}", self.life(), self.outcome());
    }

    async fn shadowed(&self) {
        self.until("bound", |run| run.life() == Some(LifeCycle::Unbound)).await;
        self.report(1, None).await;
        self.until("bound", |run| run.life() == Some(LifeCycle::Bound)).await;
        self.hand.advance(Duration::from_secs(1));
        self.report(1, None).await;
        self.until("shadowed", |run| run.life() == Some(LifeCycle::Shadowed)).await;
    }

    /// As after every restart: out of sync until it is heard.
    async fn shadowed_again(&self) {
        self.until("restarted", |run| run.life() == Some(LifeCycle::OutOfSync)).await;
        self.hand.advance(Duration::from_secs(1));
        self.report(1, None).await;
        self.until("shadowed", |run| run.life() == Some(LifeCycle::Shadowed)).await;
    }

    async fn order(&mut self) -> CommandOrder {
        tokio::time::timeout(Duration::from_secs(10), self.orders.recv()).await.unwrap().unwrap()
    }
}

async fn first_run(dir: &std::path::Path) -> Run {
    let run = Run::begin(dir, 100);
    run.tell(Origin::Configuration, What::Described(Arc::new(description()))).await.unwrap();
    run.shadowed().await;
    run
}

#[tokio::test]
async fn a_twin_lives_by_what_is_heard_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let run = first_run(dir.path()).await;
    run.hand.advance(Duration::from_secs(6));
    run.until("silence", |run| run.life() == Some(LifeCycle::OutOfSync)).await;
    run.hand.advance(Duration::from_secs(1));
    run.report(1, None).await;
    run.until("heard again", |run| run.life() == Some(LifeCycle::Shadowed)).await;
    run.configured.send(Arc::default()).unwrap();
    run.until("given up", |run| run.life() == Some(LifeCycle::Done)).await;
    run.configured.send(Arc::new(BTreeSet::from([id()]))).unwrap();
    run.until("wanted again", |run| run.life() != Some(LifeCycle::Done)).await;
    run.end().await;
}

#[tokio::test]
async fn values_of_an_earlier_run_are_marked_until_they_are_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let run = first_run(dir.path()).await;
    run.report(7, None).await;
    let shown = |run: &Run| {
        run.store.read(|state| {
            let reading = state.twin(&id())?.reading(0)?.clone();
            Some((reading.value?, reading.quality, state.twin(&id())?.feature(0).rev))
        })
    };
    let good = |run: &Run| {
        shown(run).is_some_and(|(value, quality, _)| {
            value == Value::Unsigned(7) && quality == Quality::GOOD
        })
    };
    run.until("read", good).await;
    let (_, _, before) = shown(&run).unwrap();
    run.end().await;

    let run = Run::begin(dir.path(), 110);
    run.until("restarted", |run| run.life() == Some(LifeCycle::OutOfSync)).await;
    let (value, quality, rev) = shown(&run).unwrap();
    assert_eq!((value, quality), (Value::Unsigned(7), Quality::uncertain(twin::Cause::Restored)));
    assert_eq!(rev, before + 1, "nothing else is shown under the same rev");
    run.report(7, None).await;
    run.until("the same value, read now", good).await;
    run.end().await;
}

#[tokio::test]
async fn a_command_is_confirmed_by_what_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = first_run(dir.path()).await;
    let command = run.ask("k1", 20, 10).await;
    let order = run.order().await;
    assert_eq!((order.id, order.read_back_only), (command, false));
    run.sent(command, 20).await.unwrap();
    run.tell(Origin::Asset, What::Step { command, step: Step::Acknowledged }).await.unwrap();
    run.report(20, Some(command)).await;
    run.until("confirmed", |run| run.outcome() == Some(Stage::Ended(Outcome::Confirmed))).await;

    let command = run.ask("k2", 30, 10).await;
    run.order().await;
    run.sent(command, 30).await.unwrap();
    run.report(20, Some(command)).await;
    let differs = |run: &Run| {
        matches!(run.outcome(), Some(Stage::Ended(Outcome::Rejected(Reason::Differs, _))))
    };
    run.until("differs", differs).await;
    run.end().await;
}

/// Somebody turns the knob right after the read-back: the command had done its work.
#[tokio::test]
async fn a_poll_after_the_read_back_does_not_decide() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = first_run(dir.path()).await;
    let command = run.ask("k1", 20, 10).await;
    run.order().await;
    run.sent(command, 20).await.unwrap();
    run.report(20, Some(command)).await;
    run.report(21, None).await;
    run.until("ended", |run| run.outcome().is_some_and(|stage| stage.ended())).await;
    assert_eq!(run.outcome(), Some(Stage::Ended(Outcome::Confirmed)));
    run.end().await;
}

#[tokio::test]
async fn a_command_that_nobody_carries_out_ends_by_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = first_run(dir.path()).await;
    let command = run.ask("k1", 20, 4).await;
    run.order().await;
    run.hand.advance(Duration::from_secs(4));
    run.until("expired", |run| run.outcome() == Some(Stage::Ended(Outcome::Expired))).await;
    assert!(run.sent(command, 20).await.is_err(), "what has expired is never sent");
    run.hand.advance(Duration::from_secs(1));
    run.report(1, None).await;
    run.until("heard", |run| run.life() == Some(LifeCycle::Shadowed)).await;

    let command = run.ask("k2", 20, 4).await;
    run.order().await;
    run.sent(command, 20).await.unwrap();
    run.hand.advance(Duration::from_secs(20));
    let unknown = |run: &Run| {
        matches!(run.outcome(), Some(Stage::Ended(Outcome::Unknown(Reason::NoAnswer, _))))
    };
    run.until("unknown", unknown).await;
    run.end().await;
}

#[tokio::test]
async fn orders_that_find_no_room_are_rejected_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let run = first_run(dir.path()).await;
    for i in 0..5 {
        run.ask(&format!("k{i}"), i, 100).await;
    }
    let busy =
        |run: &Run| matches!(run.outcome(), Some(Stage::Ended(Outcome::Rejected(Reason::Busy, _))));
    run.until("busy", busy).await;
    run.end().await;
}

/// A kill between `sent` and the answer must never write again; one before `sent` proves that nothing left.
#[tokio::test]
async fn after_a_restart_what_was_sent_is_only_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = first_run(dir.path()).await;
    let sent = run.ask("sent", 20, 100).await;
    run.order().await;
    run.sent(sent, 20).await.unwrap();
    let accepted = run.ask("accepted", 30, 100).await;
    run.order().await;
    let over = run.ask("over", 40, 1).await;
    run.end().await;

    let mut run = Run::begin(dir.path(), 110);
    run.until("restarted", |run| run.life() == Some(LifeCycle::OutOfSync)).await;
    run.report(20, None).await;
    let orders = [run.order().await, run.order().await];
    let shown = orders.map(|order| (order.id, order.read_back_only));
    assert_eq!(shown, [(sent, true), (accepted, false)]);
    run.report(20, Some(sent)).await;
    let stage = |run: &Run, command: CommandId| {
        run.store.read(|state| {
            let mut known = state.ledger().iter();
            known
                .find(|(_, _, entry)| entry.seq.0 == command.0)
                .map(|(_, _, entry)| entry.stage.clone())
        })
    };
    run.until("confirmed", |run| stage(run, sent) == Some(Stage::Ended(Outcome::Confirmed))).await;
    run.until("expired", |run| stage(run, over) == Some(Stage::Ended(Outcome::Expired))).await;
    run.end().await;
}

/// A disk that is full for a moment must not leave a twin where it stands for ever.
#[tokio::test]
async fn a_transition_that_was_not_committed_is_submitted_again() {
    let dir = tempfile::tempdir().unwrap();
    let run = first_run(dir.path()).await;
    run.keeper.join().await;
    // This keeper's changes go to the test, which refuses them.
    let (submit, mut submissions) = mpsc::channel(64);
    let (orders, _) = mpsc::channel(4);
    let wanted = run.configured.subscribe();
    let keeper = Keeper::new(run.store.clone(), submit, orders, wanted, run.clock.clone());
    let (scope, _) = Scope::new("keeper", &CancellationToken::new());
    scope.spawn("run", keeper.run(scope.stop().clone()));
    run.configured.send(Arc::default()).unwrap();
    let mut again = 0;
    while again < 3 {
        let next = tokio::time::timeout(Duration::from_secs(10), submissions.recv());
        let submission = next.await.unwrap().unwrap();
        let Input::Change(change, _) = submission.input else { panic!("no change") };
        match change.what {
            What::Entangled(_) => continue,
            what => assert!(matches!(what, What::Transition { to: LifeCycle::Done, .. })),
        }
        again += 1;
        run.hand.advance(Duration::from_secs(3));
    }
    scope.join().await;
    run.end().await;
}

#[tokio::test]
async fn what_was_sent_is_read_back_though_its_deadline_passed_during_the_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = first_run(dir.path()).await;
    let command = run.ask("sent", 20, 2).await;
    run.order().await;
    run.sent(command, 20).await.unwrap();
    run.end().await;

    let mut run = Run::begin(dir.path(), 200);
    run.until("restarted", |run| run.life() == Some(LifeCycle::OutOfSync)).await;
    run.report(20, None).await;
    let order = run.order().await;
    assert_eq!((order.id, order.read_back_only), (command, true));
    run.report(20, Some(command)).await;
    run.until("confirmed", |run| run.outcome() == Some(Stage::Ended(Outcome::Confirmed))).await;
    run.end().await;

    // Whatever never answers is unknown in the end.
    let mut run = Run::begin(dir.path(), 300);
    run.shadowed_again().await;
    let command = run.ask("silent", 30, 2).await;
    run.order().await;
    run.sent(command, 30).await.unwrap();
    run.end().await;
    let run = Run::begin(dir.path(), 400);
    run.hand.advance(Duration::from_secs(61));
    let unknown = |run: &Run| {
        matches!(run.outcome(), Some(Stage::Ended(Outcome::Unknown(Reason::Restarted, _))))
    };
    run.until("unknown", unknown).await;
    run.end().await;
}
