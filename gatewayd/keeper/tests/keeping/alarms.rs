//! Alarms of twins over a real store: raised and cleared in their time, looked after by operators, kept over restarts.

use std::sync::Arc;
use std::time::Duration;

use twin::{
    Access, Alarm, Care, Cause, Command, CommandId, Condition, ConditionState, Deadline, Event,
    Kind, LifeCycle, Maintenance, Origin, PointSpec, Principal, PrincipalKind, Quality, Rules,
    Stage, Submission, ValueType, What,
};

use crate::{Run, S, description, first_run, id};

/// The index of the alarm; that of the point is 0.
const ALARM: u16 = 1;

fn rule(when: Condition) -> Alarm {
    Alarm {
        feature: "f".parse().unwrap(),
        point: "setpoint".parse().unwrap(),
        when,
        severity: 700,
        delay: 0,
        clear_delay: 0,
        acknowledge: true,
        text: "too hot".into(),
    }
}

fn above() -> Condition {
    Condition::Above { limit: 90.0, hysteresis: 3.0 }
}

fn link() -> Origin {
    Origin::Principal(Principal { kind: PrincipalKind::Link, name: "cloud".into() })
}

impl Run {
    /// The twin has this alarm from now on.
    async fn watched(&self, rule: Alarm) {
        let mut described = description();
        described.revision = 2;
        let point = PointSpec {
            name: "hot".parse().unwrap(),
            kind: Kind::Event,
            value_type: ValueType::Bool,
            access: Access::default(),
            rules: Rules { alarm: Some(Arc::new(rule)), ..Rules::default() },
            ..described.points[0].spec.clone()
        };
        described.points.push(twin::Point { spec: point, feature: 0, retired: false });
        self.tell(Origin::Configuration, What::Described(Arc::new(described))).await.unwrap();
        // Watched from the keeper's next look on.
        tokio::time::sleep(Duration::from_millis(600)).await;
    }

    fn alarm(&self) -> Option<Event> {
        self.store.read(|state| Some(state.twin(&id())?.alarms().get(&ALARM)?.event.clone()))
    }

    fn stands(&self) -> ConditionState {
        self.alarm().map(|event| event.state).unwrap_or_default()
    }

    /// The keeper has looked at least once more.
    async fn look(&self) {
        tokio::time::sleep(Duration::from_millis(600)).await;
    }

    async fn care(&self, care: &Care) {
        let now = self.moment();
        let event = self.store.read(|state| state.twin(&id()).unwrap().care(ALARM, care, now));
        self.tell(link(), What::Event(event.unwrap())).await.unwrap();
    }

    /// Asks by a command, as MQTT does.
    async fn command(&self, key: &str, care: &Care) -> Result<CommandId, twin::Outcome> {
        let command = Command {
            key: key.into(),
            index: ALARM,
            order: care.order(),
            deadline: Deadline::after(self.moment(), 60 * S),
            asked: None,
        };
        let accepted = self.tell(link(), What::Command(command)).await.unwrap();
        accepted.refused.map_or(Ok(CommandId(accepted.seq.0)), Err)
    }

    fn ended(&self, key: &str) -> Option<Stage> {
        let Origin::Principal(by) = link() else { return None };
        self.store.read(|state| Some(state.ledger().find(&by, &key.into())?.stage.clone()))
    }

    /// How many times the alarm was spoken of.
    async fn sayings(&self) -> usize {
        self.log().await.iter().filter(|what| matches!(what, What::Event(_))).count()
    }
}

#[tokio::test]
async fn it_is_raised_at_once_and_cleared_by_its_hysteresis() {
    let dir = tempfile::tempdir().unwrap();
    let run = first_run(dir.path()).await;
    run.watched(rule(above())).await;
    run.report(90, None).await;
    run.look().await;
    assert_eq!(run.alarm(), None, "the limit itself is well");
    run.report(91, None).await;
    run.until("raised", |run| run.stands().active).await;
    let raised = run.alarm().unwrap();
    assert_eq!((&*raised.text, raised.severity), ("too hot: 91", 700));
    assert!(!raised.state.acknowledged && raised.instance.len() == 8);
    run.report(88, None).await;
    run.look().await;
    assert!(run.stands().active, "88 is above 87");
    run.report(87, None).await;
    run.until("cleared", |run| !run.stands().active).await;
    assert_eq!(&*run.alarm().unwrap().text, "too hot: 87");
    run.care(&Care::Acknowledge(None)).await;
    assert_eq!(run.alarm(), None);
    assert_eq!(run.sayings().await, 3, "raised, cleared, acknowledged; nothing twice");
    run.end().await;
}

#[tokio::test]
async fn what_is_short_raises_and_clears_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let run = first_run(dir.path()).await;
    run.watched(Alarm { delay: 3 * S, clear_delay: 5 * S, ..rule(above()) }).await;
    run.report(99, None).await;
    run.look().await;
    run.hand.advance(Duration::from_secs(2));
    run.report(50, None).await;
    run.look().await;
    run.hand.advance(Duration::from_secs(2));
    run.report(99, None).await;
    run.look().await;
    assert_eq!(run.alarm(), None, "neither time was it long enough, and times do not add up");
    run.hand.advance(Duration::from_secs(3));
    run.until("raised by time alone", |run| run.stands().active).await;
    run.report(50, None).await;
    run.look().await;
    run.hand.advance(Duration::from_secs(4));
    run.look().await;
    assert!(run.stands().active);
    run.hand.advance(Duration::from_secs(1));
    run.until("cleared by time alone", |run| !run.stands().active).await;
    run.end().await;
}

#[tokio::test]
async fn what_is_not_known_neither_raises_nor_clears() {
    let dir = tempfile::tempdir().unwrap();
    let run = first_run(dir.path()).await;
    run.watched(rule(above())).await;
    run.report(99, None).await;
    run.until("raised", |run| run.stands().active).await;
    run.bad(Cause::Timeout, None).await;
    run.look().await;
    assert!(run.stands().active, "nobody knows that it is over");
    run.report(99, None).await;
    run.bad(Cause::OutOfRange, Some(5)).await;
    run.until("an implausible value is still one", |run| !run.stands().active).await;
    run.end().await;
}

#[tokio::test]
async fn a_point_without_a_good_value_for_too_long() {
    let dir = tempfile::tempdir().unwrap();
    let run = first_run(dir.path()).await;
    run.watched(rule(Condition::Stale(10 * S))).await;
    run.report(5, None).await;
    run.look().await;
    run.hand.advance(Duration::from_secs(9));
    run.report(5, None).await;
    run.look().await;
    run.hand.advance(Duration::from_secs(9));
    run.look().await;
    assert_eq!(run.alarm(), None, "an unchanged value was confirmed nine seconds ago");
    run.hand.advance(Duration::from_secs(2));
    run.until("silence raises it", |run| run.stands().active).await;
    run.report(5, None).await;
    run.until("an answer clears it", |run| !run.stands().active).await;
    run.end().await;
}

#[tokio::test]
async fn a_value_that_moves_too_fast() {
    let dir = tempfile::tempdir().unwrap();
    let run = first_run(dir.path()).await;
    run.watched(rule(Condition::Rate { change: 10.0, time: 60 * S })).await;
    for (value, active) in [(5, false), (10, false), (12, true)] {
        run.report(value, None).await;
        run.look().await;
        assert_eq!(run.stands().active, active, "{value}");
        run.hand.advance(Duration::from_secs(4));
    }
    run.report(12, None).await;
    run.hand.advance(Duration::from_secs(61));
    run.until("a minute at rest", |run| !run.stands().active).await;
    run.end().await;
}

#[tokio::test]
async fn a_platform_acknowledges_and_silences_by_commands() {
    let dir = tempfile::tempdir().unwrap();
    let run = first_run(dir.path()).await;
    run.watched(rule(above())).await;
    let early = run.command("c-0", &Care::Acknowledge(None)).await;
    assert_eq!(early.unwrap_err().word(), "rejected", "nothing stands");
    run.report(99, None).await;
    run.until("raised", |run| run.stands().active).await;
    let seen = run.alarm().unwrap().instance;
    run.command("c-1", &Care::Acknowledge(Some(seen))).await.unwrap();
    let confirmed = Stage::Ended(twin::Outcome::Confirmed);
    run.until("confirmed", |run| run.ended("c-1") == Some(confirmed.clone())).await;
    assert!(run.stands().acknowledged);
    run.command("c-2", &Care::Acknowledge(None)).await.unwrap();
    run.until("so already", |run| run.ended("c-2") == Some(confirmed.clone())).await;
    run.command("c-3", &Care::Shelve(60 * S)).await.unwrap();
    run.until("silent", |run| run.ended("c-3") == Some(confirmed.clone())).await;
    assert!(run.stands().shelved);
    run.hand.advance(Duration::from_secs(61));
    run.until("the silence is over", |run| !run.stands().shelved).await;
    assert!(run.orders.is_empty(), "nothing of it is an adapter's business");
    run.end().await;
}

#[tokio::test]
async fn planned_work_silences_and_ends() {
    let dir = tempfile::tempdir().unwrap();
    let run = first_run(dir.path()).await;
    run.watched(rule(above())).await;
    let until = Deadline::after(run.moment(), 30 * S);
    let by = Principal { kind: PrincipalKind::User, name: "ada".into() };
    let planned = Maintenance { until, reason: "bearings".into(), by };
    run.tell(link(), What::Maintained(Some(planned))).await.unwrap();
    run.look().await;
    assert_eq!(run.alarm(), None, "what is well is not spoken of");
    run.report(99, None).await;
    run.until("raised, silently", |run| run.stands().active && run.stands().shelved).await;
    run.hand.advance(Duration::from_secs(31));
    run.until("loud again", |run| run.stands().active && !run.stands().shelved).await;
    run.end().await;
}

#[tokio::test]
async fn it_outlives_a_restart_and_ends_with_its_twin() {
    let dir = tempfile::tempdir().unwrap();
    let run = first_run(dir.path()).await;
    run.watched(rule(above())).await;
    run.report(99, None).await;
    run.until("raised", |run| run.stands().active).await;
    run.care(&Care::Shelve(1_000 * S)).await;
    let before = run.alarm().unwrap();
    run.end().await;

    let run = Run::begin(dir.path(), 400);
    run.look().await;
    assert_eq!(run.alarm().unwrap(), before, "nothing was read yet");
    run.shadowed_again().await;
    run.until("what is read now counts", |run| !run.stands().active).await;
    let after = run.alarm().unwrap();
    assert!(after.state.shelved && after.instance == before.instance);
    run.report(99, None).await;
    run.until("raised", |run| run.stands().active).await;
    assert_ne!(run.alarm().unwrap().instance, before.instance);
    run.configured.send_replace(Arc::default());
    run.until("done", |run| run.life() == Some(LifeCycle::Done)).await;
    run.until("nobody looks any more", |run| !run.stands().active).await;
    run.end().await;
}

impl Run {
    /// The asset's answer was not good.
    async fn bad(&self, cause: Cause, value: Option<u64>) {
        let quality = match value {
            Some(_) => Quality::uncertain(cause),
            None => Quality::bad(cause),
        };
        let change = crate::reading(id(), self.moment().boottime, (quality, value), None);
        self.submit.send(Submission::change(change)).await.unwrap();
    }
}
