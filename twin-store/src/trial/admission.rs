//! What the writer refuses, whoever asks for it.

use std::sync::{Arc, Mutex};

use twin::{
    Accepted, Change, Command, CommandId, Deadline, Description, GatewayEvent, Input, LifeCycle,
    Order, Origin, Outcome, Principal, PrincipalKind, Reason, Receipt, Refusal, Stage, Step,
    Submission, Trigger, Value, ValueType, What,
};

use super::check::read_all;
use super::model::{Life, TWINS, description, options};
use super::sim::{Faults, Sim};
use crate::frame::Kind;

fn begin() -> Life {
    let (mut life, _) = Life::begin(Sim::default(), options(false), 1, 1);
    life.found();
    life
}

fn ada() -> Principal {
    Principal { kind: PrincipalKind::User, name: "ada".into() }
}

/// What the writer answers.
fn tell(life: &mut Life, input: Input) -> Result<Accepted, Refusal> {
    let told = Arc::new(Mutex::new(None));
    let hear = told.clone();
    let receipt = Receipt::new(move |answer| *told.lock().unwrap() = Some(answer));
    life.core.accept(&mut vec![Submission { input, receipt: Some(receipt) }]);
    if let Some(job) = life.core.begin_job(false) {
        let done = job.run();
        life.core.finish_job(done);
    }
    let answer = hear.lock().unwrap().take();
    answer.unwrap()
}

fn change(life: &mut Life, twin: &str, what: What) -> Result<Accepted, Refusal> {
    let origin = Origin::Principal(ada());
    tell(life, Input::Change(Change { twin: twin.parse().unwrap(), origin, what }, None))
}

/// A pump that takes commands, and a command that it has accepted.
fn commanded(life: &mut Life) -> CommandId {
    let what = What::Transition {
        from: LifeCycle::Created,
        to: LifeCycle::Unbound,
        trigger: Trigger::Configured,
        detail: None,
        entanglement: None,
    };
    change(life, TWINS[0], what).unwrap();
    let command = Command {
        key: "k1".into(),
        index: 0,
        order: Order::Write(Value::Unsigned(7)),
        deadline: Deadline::after(life.core.now(), 60_000_000),
        asked: None,
    };
    let accepted = change(life, TWINS[0], What::Command(command)).unwrap();
    assert_eq!((accepted.refused, accepted.known), (None, None));
    CommandId(accepted.seq.0)
}

#[test]
fn what_could_not_be_read_back_is_not_accepted() {
    let mut life = begin();
    let mut deep = description(1);
    let nest = |of: ValueType, _| ValueType::List(Box::new(of));
    deep.points[3].spec.value_type = (0..40).fold(ValueType::Bool, nest);
    let answer = change(&mut life, "deep", What::Described(Arc::new(deep)));
    assert!(matches!(answer, Err(Refusal::Invalid(_))), "{answer:?}");
    assert!(life.store.read(|s| s.twin(&"deep".parse().unwrap()).is_none()));
}

#[test]
fn an_index_stays_the_points_that_has_it() {
    let mut life = begin();
    let mut renamed: Description = description(2);
    renamed.points[0].spec.name = "other".parse().unwrap();
    let answer = change(&mut life, TWINS[0], What::Described(Arc::new(renamed)));
    assert!(matches!(answer, Err(Refusal::Invalid(_))), "{answer:?}");
    let mut moved = description(2);
    moved.features.swap(0, 1);
    moved.points.iter_mut().for_each(|p| p.feature = 1 - p.feature);
    let answer = change(&mut life, TWINS[0], What::Described(Arc::new(moved)));
    assert!(matches!(answer, Err(Refusal::Invalid(_))), "{answer:?}");
    assert!(change(&mut life, TWINS[0], What::Described(Arc::new(description(2)))).is_ok());
}

/// The switch is a stop: what was accepted before and has not left stays here.
#[test]
fn nothing_leaves_while_writes_are_off() {
    let mut life = begin();
    let command = commanded(&mut life);
    let switch = |on| Input::Gateway(GatewayEvent::Writes { on, by: ada() });
    tell(&mut life, switch(false)).unwrap();
    let sent = || What::Step { command, step: Step::Sent { expected: Value::Unsigned(7) } };
    let answer = change(&mut life, TWINS[0], sent());
    assert!(matches!(answer, Err(Refusal::Invalid(_))), "{answer:?}");
    tell(&mut life, switch(true)).unwrap();
    assert!(change(&mut life, TWINS[0], sent()).is_ok());
}

#[test]
fn a_refusal_does_not_replace_what_is_known_of_a_key() {
    let mut life = begin();
    let command = commanded(&mut life);
    let what = What::Refused {
        key: "k1".into(),
        index: None,
        reason: Reason::Malformed,
        detail: "the repeat was cut short".into(),
    };
    let known = change(&mut life, TWINS[0], what).unwrap().known.unwrap();
    assert_eq!((known.seq.0, known.stage), (command.0, Stage::Accepted));
}

/// Whoever waits for a command of a twin that goes hears how it ended, before the twin is gone.
#[test]
fn the_commands_of_a_purged_twin_end_on_record() {
    let mut life = begin();
    let sent = commanded(&mut life);
    let step = What::Step { command: sent, step: Step::Sent { expected: Value::Unsigned(7) } };
    change(&mut life, TWINS[0], step).unwrap();
    let ask = |key: &str| Command {
        key: key.into(),
        index: 0,
        order: Order::Write(Value::Unsigned(8)),
        deadline: Deadline { boot: twin::BootId([1; 16]), at: twin::Boottime(i64::MAX), utc: None },
        asked: None,
    };
    let accepted = change(&mut life, TWINS[0], What::Command(ask("k2"))).unwrap();
    let accepted = CommandId(accepted.seq.0);

    // A purge whose record does not fit leaves everything as it is.
    life.disk.fail(Faults { refused: Some("records"), ..Faults::default() });
    let refused = change(&mut life, TWINS[0], What::Purged);
    assert!(matches!(refused, Err(Refusal::Storage(_))), "{refused:?}");
    life.disk.fail(Faults::default());
    life.core.tick();
    let id = TWINS[0].parse().unwrap();
    let open = life.store.read(|s| s.twin(&id).map(|t| t.commands().len()));
    assert_eq!(open, Some(2));

    change(&mut life, TWINS[0], What::Purged).unwrap();
    let known = |life: &mut Life, key: &str| {
        life.store.read(|s| s.ledger().find(&ada(), &key.into()).unwrap().stage.clone())
    };
    let unknown =
        |stage: &Stage| matches!(stage, Stage::Ended(Outcome::Unknown(Reason::Purged, _)));
    let rejected =
        |stage: &Stage| matches!(stage, Stage::Ended(Outcome::Rejected(Reason::Purged, _)));
    assert!(unknown(&known(&mut life, "k1")) && rejected(&known(&mut life, "k2")));
    let kinds: Vec<Kind> = read_all(&life).values().map(|f| f.kind).collect();
    assert_eq!(kinds[kinds.len() - 3..], [Kind::Step, Kind::Step, Kind::Purged]);
    assert!(accepted > sent);
}
