//! Commands: durable before they leave, written once, read back, always ended.

use twin::{
    CommandId, CommandOrder, Deadline, Order, Outcome, Principal, PrincipalKind, Reason, Refusal,
    Step, Value, What,
};

use adapter::Work;

use crate::sim::{MS, Manner, S, Sim, name, unit};

fn order(sim: &Sim, value: i64, patience: i64) -> CommandOrder {
    CommandOrder {
        id: CommandId(9),
        by: twin::Origin::Configuration.principal(),
        twin: name(0),
        index: 0,
        order: Order::Write(Value::Signed(value)),
        deadline: Deadline::after(sim.moment(), patience),
        read_back_only: false,
    }
}

/// An order with this id of this user.
fn asked(sim: &Sim, id: u64, user: &str) -> CommandOrder {
    let by = Principal { kind: PrincipalKind::User, name: user.into() };
    CommandOrder { id: CommandId(id), by, ..order(sim, 5, 60 * S) }
}

fn sim() -> Sim {
    let mut sim = Sim::new(vec![unit(0, S), unit(1, S)]);
    sim.run(3200 * MS);
    sim
}

fn steps(sim: &Sim) -> Vec<Step> {
    let steps = sim.changes.iter().filter_map(|change| match &change.what {
        What::Step { command: CommandId(9), step } => Some(step.clone()),
        _ => None,
    });
    steps.collect()
}

fn writes(sim: &Sim) -> usize {
    sim.carried.iter().filter(|c| matches!(c.work, Work::Write(_))).count()
}

#[test]
fn a_command_is_recorded_written_and_read_back() {
    let mut sim = sim();
    sim.agenda.order(order(&sim, 5, S), sim.moment());
    sim.run(4 * S);
    assert_eq!(steps(&sim), [Step::Sent { expected: Value::Signed(5) }, Step::Acknowledged]);
    let back: Vec<_> =
        sim.reports(&name(0)).into_iter().filter(|r| r.command == Some(CommandId(9))).collect();
    assert_eq!(back.len(), 1);
    assert_eq!(back[0].entries[0].value, Some(Value::Signed(5)));
    let write = sim.carried.iter().find(|c| matches!(c.work, Work::Write(_))).unwrap();
    let then = sim.carried.iter().find(|c| c.twin == name(0) && c.at >= write.free + 50 * MS);
    assert_eq!(then.unwrap().work, Work::Read(vec![0]), "after the settle time");
}

#[test]
fn nothing_leaves_before_the_record_is_durable_and_the_line_goes_on() {
    let mut sim = sim();
    sim.disk = false;
    sim.agenda.order(order(&sim, 5, 60 * S), sim.moment());
    let carried = sim.carried.len();
    sim.run(10 * S);
    assert_eq!(writes(&sim), 0);
    assert!(sim.carried.len() >= carried + 12, "polls go on");
    sim.sync(Ok(()));
    sim.run(11 * S);
    assert_eq!(writes(&sim), 1);
}

#[test]
fn between_callers_the_newest_wins_and_each_is_answered() {
    let mut sim = sim();
    sim.disk = false;
    for (id, user) in [(1, "ada"), (2, "ada"), (3, "bob"), (4, "bob")] {
        sim.agenda.order(asked(&sim, id, user), sim.moment());
    }
    sim.agenda.order(CommandOrder { twin: name(1), ..asked(&sim, 5, "ada") }, sim.moment());
    sim.run(4 * S);
    sim.sync(Ok(()));
    sim.run(10 * S);
    let ended = |id: u64| {
        let mut steps = sim.changes.iter().filter_map(|change| match &change.what {
            What::Step { command, step } if command.0 == id => Some(step.clone()),
            _ => None,
        });
        steps.next_back()
    };
    for id in [1, 2] {
        let end = ended(id);
        let Some(Step::Ended(Outcome::Rejected(Reason::Superseded, words))) = &end else {
            panic!("command {id}: {end:?}")
        };
        assert!(words.contains("bob"), "{words}");
    }
    for id in [3, 4, 5] {
        assert_eq!(ended(id), Some(Step::Acknowledged), "one caller's commands are a sequence");
    }
    assert_eq!(writes(&sim), 3);
}

#[test]
fn newest_is_what_was_accepted_last_not_what_came_last() {
    let mut sim = sim();
    sim.agenda.order(asked(&sim, 9, "bob"), sim.moment());
    sim.agenda.order(CommandOrder { id: CommandId(3), ..asked(&sim, 3, "ada") }, sim.moment());
    sim.run(10 * S);
    assert_eq!(steps(&sim).last(), Some(&Step::Acknowledged));
    assert_eq!(writes(&sim), 1);
    let superseded = sim.changes.iter().any(|change| match &change.what {
        What::Step { command: CommandId(3), step: Step::Ended(outcome) } => {
            matches!(outcome, Outcome::Rejected(Reason::Superseded, _))
        }
        _ => false,
    });
    assert!(superseded, "an older one that comes late, as after a restart");
}

#[test]
fn a_late_disk_makes_a_command_expire_instead_of_leaving_late() {
    let mut sim = sim();
    sim.disk = false;
    sim.agenda.order(order(&sim, 5, S), sim.moment());
    sim.run(6 * S);
    sim.sync(Ok(()));
    sim.run(10 * S);
    assert_eq!(writes(&sim), 0);
    assert_eq!(steps(&sim).last(), Some(&Step::Ended(Outcome::Expired)));
}

#[test]
fn what_cannot_be_recorded_does_not_leave() {
    let mut sim = sim();
    sim.disk = false;
    sim.agenda.order(order(&sim, 5, S), sim.moment());
    sim.run(3300 * MS);
    sim.sync(Err(Refusal::Storage("full".into())));
    sim.run(10 * S);
    assert_eq!(writes(&sim), 0);
    let last = steps(&sim).pop();
    assert!(matches!(last, Some(Step::Ended(Outcome::Rejected(Reason::Storage, _)))), "{last:?}");
}

#[test]
fn an_unanswered_write_is_never_repeated_but_read_back() {
    let mut sim = sim();
    sim.manners.insert(name(0), Manner::DeafToWrites);
    sim.agenda.order(order(&sim, 5, S), sim.moment());
    sim.run(10 * S);
    assert_eq!(writes(&sim), 1);
    assert_eq!(steps(&sim), [Step::Sent { expected: Value::Signed(5) }], "keeper decides");
    let back = sim.reports(&name(0)).into_iter().find(|r| r.command == Some(CommandId(9)));
    assert_eq!(back.unwrap().entries[0].value, Some(Value::Signed(0)));
}

#[test]
fn a_command_to_an_asset_that_falls_silent_ends_unknown() {
    let mut sim = sim();
    sim.agenda.order(order(&sim, 5, S), sim.moment());
    sim.manners.insert(name(0), Manner::Dead);
    sim.run(60 * S);
    let last = steps(&sim).pop();
    assert!(matches!(last, Some(Step::Ended(Outcome::Unknown(Reason::NoAnswer, _)))), "{last:?}");
    assert_eq!(writes(&sim), 1);
    sim.agenda.order(order(&sim, 6, S), sim.moment());
    sim.run(61 * S);
    let last = steps(&sim).pop();
    assert!(matches!(last, Some(Step::Ended(Outcome::Rejected(Reason::NoAnswer, _)))), "{last:?}");
}

#[test]
fn a_line_that_is_down_rejects_at_once() {
    let mut sim = sim();
    sim.agenda.line_down(sim.now, &"pulled out".into());
    sim.agenda.order(order(&sim, 5, S), sim.moment());
    sim.run(4 * S);
    let last = steps(&sim).pop();
    assert!(matches!(last, Some(Step::Ended(Outcome::Rejected(Reason::LineDown, _)))), "{last:?}");
}

#[test]
fn after_a_restart_a_command_is_only_read_back() {
    let mut sim = sim();
    let read_back = CommandOrder { read_back_only: true, ..order(&sim, 5, S) };
    sim.agenda.order(read_back, sim.moment());
    sim.run(4 * S);
    assert_eq!(writes(&sim), 0);
    assert_eq!(steps(&sim), []);
    let reports = sim.reports(&name(0));
    assert_eq!(reports.iter().filter(|r| r.command == Some(CommandId(9))).count(), 1);
}
