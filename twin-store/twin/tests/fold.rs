//! What the fold promises, over arbitrary histories.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::sync::Arc;

use proptest::prelude::*;
use twin::{
    Access, Acquisition, Body, BootId, Boottime, Cause, Command, CommandId, Commit, Deadline,
    Declaration, Description, Entry, Group, Handle, IntKind, Kind, LifeCycle, Moment, Order,
    Origin, Outcome, PointSpec, Principal, PrincipalKind, Quality, Reason, Reported, Seq, Stage,
    State, Step, TimeBase, Trigger, Twin, TwinId, Value, ValueType, What, Writable, admit,
};

const POINTS: u16 = 6;
const AT: Boottime = Boottime(77);

fn description() -> Arc<Description> {
    let acquisition = Acquisition::Polled { interval: 1_000_000 };
    let group = Group { name: "main".parse().unwrap(), acquisition, max_age: 0, retired: false };
    let writable = Writable {
        range: Some((0.0, 100.0)),
        settle: 0,
        tolerance: 0.0,
        unsynchronised: false,
        hold: false,
    };
    let points = (0..POINTS).map(|i| PointSpec {
        access: Access { readable: true, writable: (i < 3).then(|| writable.clone()) },
        ..PointSpec::new(
            format!("f{}", i % 2).parse().unwrap(),
            format!("p{i}").parse().unwrap(),
            Kind::State,
            ValueType::Int(IntKind::U16),
        )
    });
    let declared =
        Declaration { groups: vec![group], points: points.collect(), ..Declaration::default() };
    Arc::new(Description::default().revise(&declared).unwrap().description)
}

fn somebody() -> Principal {
    Principal { kind: PrincipalKind::User, name: "ada".into() }
}

fn moment(at: i64) -> Moment {
    Moment { boottime: Boottime(at), boot: BootId([1; 16]), utc: None }
}

fn command(index: u16, value: u64) -> Command {
    let deadline = Deadline { boot: BootId([1; 16]), at: Boottime(1_000), utc: None };
    Command {
        key: format!("{index}-{value}").into(),
        index,
        order: Order::Write(Value::Unsigned(value)),
        deadline,
        asked: None,
    }
}

fn quality() -> impl Strategy<Value = Quality> {
    prop_oneof![
        Just(Quality::GOOD),
        Just(Quality::bad(Cause::Timeout)),
        Just(Quality::uncertain(Cause::Stale))
    ]
}

fn reported() -> impl Strategy<Value = Reported> {
    let entry = (0..POINTS + 2, quality(), proptest::option::of(0u64..4));
    (proptest::collection::vec(entry, 0..5), any::<bool>()).prop_map(|(mut entries, answers)| {
        entries.sort_by_key(|e| e.0);
        entries.dedup_by_key(|e| e.0);
        let entry = |(index, quality, value): (u16, Quality, Option<u64>)| Entry {
            index,
            quality,
            value: value.map(Value::Unsigned),
            offset: 0,
        };
        Reported {
            revision: 1,
            group: 0,
            source: TimeBase::gateway(Boottime(0)),
            server: None,
            command: answers.then_some(CommandId(1)),
            continued: false,
            entries: entries.into_iter().map(entry).collect(),
        }
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Sent { expected: Value::Unsigned(1) }),
        Just(Step::Acknowledged),
        Just(Step::Ended(Outcome::Confirmed)),
        Just(Step::Ended(Outcome::Unknown(Reason::NoAnswer, "".into()))),
    ]
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        4 => reported().prop_map(What::Reported),
        1 => reported().prop_map(What::Backfilled),
        2 => (0..POINTS, 0u64..4).prop_map(|(i, v)| What::Command(command(i, v))),
        2 => (1u64..40, step()).prop_map(|(c, step)| What::Step { command: CommandId(c), step }),
        1 => (0usize..LifeCycle::ALL.len(), 0usize..Trigger::ALL.len()).prop_map(|(f, t)| {
            let (from, trigger) = (LifeCycle::ALL[f], Trigger::ALL[t]);
            let to = from.after(trigger).unwrap_or(from);
            What::Transition { from, to, trigger, detail: None, entanglement: None }
        }),
    ]
}

fn described() -> Twin {
    let mut twin = Twin::new("t".parse().unwrap(), Handle(1));
    twin.apply(Seq(1), AT, &Origin::Configuration, &What::Described(description()));
    twin
}

/// What a reader of the reported state can tell apart: values and qualities.
fn shown(twin: &Twin) -> Vec<Option<(Option<Value>, Quality)>> {
    (0..POINTS).map(|i| twin.reading(i).map(|r| (r.value.clone(), r.quality))).collect()
}

proptest! {
    #[test]
    fn a_twin_takes_every_history(whats in proptest::collection::vec(what(), 0..40)) {
        let mut twin = described();
        for (i, what) in whats.iter().enumerate() {
            let seq = Seq(i as u64 + 2);
            if twin.check(what).is_err() {
                continue;
            }
            let before = twin.clone();
            let applied = twin.apply(seq, AT, &Origin::Principal(somebody()), what);
            prop_assert_eq!(twin.rev(), before.rev() + u64::from(applied.changed), "one commit, one rev at most");
            for f in 0..2 {
                let (old, new) = (before.feature(f), twin.feature(f));
                prop_assert!(new.rev == old.rev || (new.rev == old.rev + 1 && new.seq == seq), "one rev per feature");
                prop_assert!(new.rev == old.rev || applied.changed, "a feature changes with its twin");
            }
            if !matches!(what, What::Reported(_)) {
                prop_assert_eq!(shown(&twin), shown(&before), "only the asset changes what is reported");
            }
        }
    }

    #[test]
    fn what_reduction_leaves_out_changes_nothing(reports in proptest::collection::vec(reported(), 0..30)) {
        let (mut all, mut reduced) = (described(), described());
        for (i, report) in reports.into_iter().enumerate() {
            if all.check(&What::Reported(report.clone())).is_err() {
                continue;
            }
            let mut less = report.clone();
            reduced.reduce(&mut less, Seq(0));
            all.apply(Seq(i as u64 + 2), AT, &Origin::Asset, &What::Reported(report));
            reduced.apply(Seq(i as u64 + 2), AT, &Origin::Asset, &What::Reported(less));
            prop_assert_eq!(shown(&all), shown(&reduced));
        }
    }

    #[test]
    fn every_command_ends_once(steps in proptest::collection::vec(step(), 0..12)) {
        let mut twin = described();
        twin.apply(Seq(2), AT, &Origin::Principal(somebody()), &What::Command(command(0, 1)));
        let mut ends = 0;
        for (i, step) in steps.into_iter().enumerate() {
            let ending = matches!(step, Step::Ended(_));
            let what = What::Step { command: CommandId(2), step };
            if twin.check(&what).is_ok() {
                twin.apply(Seq(i as u64 + 3), AT, &Origin::Keeper, &what);
                ends += u32::from(ending);
            }
        }
        prop_assert!(ends <= 1);
        prop_assert_eq!(twin.commands().is_empty(), ends == 1);
        prop_assert_eq!(twin.desired()[&0].stage.ended(), ends == 1, "the outcome stays readable");
        prop_assert_eq!(twin.desired()[&0].at, AT, "and so does when it was asked");
    }
}

#[test]
fn a_bad_reading_keeps_the_last_value() {
    let mut twin = described();
    let report = |value: Option<u64>, quality| {
        let entry = Entry { index: 2, quality, value: value.map(Value::Unsigned), offset: 5 };
        What::Reported(Reported {
            revision: 1,
            group: 0,
            source: TimeBase::gateway(Boottime(10)),
            server: None,
            command: None,
            continued: false,
            entries: vec![entry],
        })
    };
    twin.apply(Seq(2), AT, &Origin::Asset, &report(Some(230), Quality::GOOD));
    twin.apply(Seq(3), AT, &Origin::Asset, &report(None, Quality::bad(Cause::Timeout)));
    let reading = twin.reading(2).unwrap();
    assert_eq!(reading.value, Some(Value::Unsigned(230)));
    assert_eq!(reading.quality, Quality::bad(Cause::Timeout));
    assert_eq!(reading.source.micros, 15, "an entry's offset counts from the base time");
    assert_eq!(twin.good(2), None);
}

fn state_with(life_cycle: &[(LifeCycle, Trigger, LifeCycle)]) -> State {
    let mut state = State::default();
    let id: TwinId = "t".parse().unwrap();
    let mut whats = vec![What::Described(description())];
    whats.extend(life_cycle.iter().map(|(from, trigger, to)| What::Transition {
        from: *from,
        to: *to,
        trigger: *trigger,
        detail: None,
        entanglement: None,
    }));
    for (i, what) in whats.into_iter().enumerate() {
        let body = Body::Twin { handle: Handle(1), twin: id.clone(), origin: Origin::Keeper, what };
        state.apply(&Commit { seq: Seq(i as u64 + 1), epoch: 1, at: Boottime(0), body });
    }
    state
}

const TO_SHADOWED: &[(LifeCycle, Trigger, LifeCycle)] = &[
    (LifeCycle::Created, Trigger::Configured, LifeCycle::Unbound),
    (LifeCycle::Unbound, Trigger::AssetBound, LifeCycle::Bound),
    (LifeCycle::Bound, Trigger::FirstCompletePoll, LifeCycle::Shadowed),
];

#[test]
fn equal_twins_share_one_description() {
    let mut state = State::default();
    for (n, handle) in (1..).zip([1, 2, 3]) {
        let mut description = Description::clone(&description());
        if handle == 3 {
            description.nameplate.serial = Some("4711".into());
        }
        let body = Body::Twin {
            handle: Handle(handle),
            twin: format!("t{handle}").parse().unwrap(),
            origin: Origin::Configuration,
            what: What::Described(Arc::new(description)),
        };
        state.apply(&Commit { seq: Seq(n), epoch: 1, at: AT, body });
    }
    for state in [&state, &State::from_parts(state.parts())] {
        let of = |handle| state.by_handle(Handle(handle)).unwrap().description();
        assert!(Arc::ptr_eq(of(1), of(2)));
        assert!(!Arc::ptr_eq(of(1), of(3)));
        assert_eq!(of(3).nameplate.serial.as_deref(), Some("4711"));
    }
}

#[test]
fn admission_says_what_is_wrong() {
    let shadowed = state_with(TO_SHADOWED);
    let ask = |state: &State, command: Command, now: i64| {
        let twin = state.twins().next().unwrap();
        admit(state, twin, &command, moment(now)).map_err(|(reason, _)| reason)
    };
    assert_eq!(ask(&shadowed, command(0, 100), 0), Ok(()));
    assert_eq!(ask(&shadowed, command(0, 101), 0), Err(Reason::OutOfRange));
    assert_eq!(ask(&shadowed, command(0, 70_000), 0), Err(Reason::WrongType));
    assert_eq!(ask(&shadowed, command(5, 1), 0), Err(Reason::NotWritable));
    assert_eq!(ask(&shadowed, command(9, 1), 0), Err(Reason::NoSuchPoint));
    assert_eq!(ask(&shadowed, command(0, 1), 1_000), Err(Reason::Late));
    assert_eq!(ask(&state_with(&TO_SHADOWED[..2]), command(0, 1), 0), Err(Reason::NotShadowed));
    let mut off = shadowed;
    let body = Body::Gateway(twin::GatewayEvent::Writes { on: false, by: somebody() });
    off.apply(&Commit { seq: Seq(9), epoch: 1, at: Boottime(0), body });
    assert_eq!(ask(&off, command(0, 1), 0), Err(Reason::WritesOff));
    assert_eq!(off.writes_off_by(), Some(&somebody()));
}

#[test]
fn a_key_is_remembered_with_its_outcome() {
    let mut state = state_with(TO_SHADOWED);
    let id: TwinId = "t".parse().unwrap();
    let mut apply = |seq, what| {
        let body = Body::Twin {
            handle: Handle(1),
            twin: id.clone(),
            origin: Origin::Principal(somebody()),
            what,
        };
        state.apply(&Commit { seq: Seq(seq), epoch: 1, at: Boottime(0), body });
    };
    apply(5, What::Command(command(0, 1)));
    apply(
        6,
        What::Step { command: CommandId(5), step: Step::Sent { expected: Value::Unsigned(1) } },
    );
    apply(7, What::Step { command: CommandId(5), step: Step::Ended(Outcome::Confirmed) });
    let known = state.ledger().find(&somebody(), &"0-1".into()).unwrap();
    assert_eq!((known.seq, &known.stage), (Seq(5), &Stage::Ended(Outcome::Confirmed)));
}

/// What may happen to one of two twins on the way of a command.
fn along() -> impl Strategy<Value = (u32, What)> {
    let what = prop_oneof![
        3 => (0..3u16, 0u64..9).prop_map(|(i, v)| What::Command(command(i, v))),
        4 => (1u64..40, step()).prop_map(|(c, step)| What::Step { command: CommandId(c), step }),
        1 => Just(What::Purged),
        1 => Just(What::Described(description())),
    ];
    (1..3u32, what)
}

proptest! {
    #[test]
    fn no_command_is_left_without_an_end(history in proptest::collection::vec(along(), 0..60)) {
        let mut state = State::default();
        for (i, (handle, what)) in history.into_iter().enumerate() {
            let seq = Seq(i as u64 + 1);
            let open = state.by_handle(Handle(handle)).map(|t| t.commands().clone());
            let purged = what == What::Purged;
            let twin = format!("t{handle}").parse().unwrap();
            let origin = Origin::Principal(somebody());
            let body = Body::Twin { handle: Handle(handle), twin, origin, what };
            state.apply(&Commit { seq, epoch: 1, at: AT, body });
            for (id, known) in open.unwrap_or_default().into_iter().filter(|_| purged) {
                let entry = state.ledger().find(&known.by, &known.command.key).unwrap();
                if entry.seq == Seq(id.0) {
                    let unsent = known.stage == Stage::Accepted;
                    let right = match &entry.stage {
                        Stage::Ended(Outcome::Rejected(Reason::Purged, _)) => unsent,
                        Stage::Ended(Outcome::Unknown(Reason::Purged, _)) => !unsent,
                        _ => false,
                    };
                    prop_assert!(right, "{:?} became {:?}", known.stage, entry.stage);
                }
            }
        }
        for (_, key, entry) in state.ledger().iter().filter(|(_, _, e)| !e.stage.ended()) {
            let twin = entry.twin.and_then(|handle| state.by_handle(handle));
            let open = twin.is_some_and(|t| t.commands().contains_key(&CommandId(entry.seq.0)));
            prop_assert!(open, "{key} waits for ever");
        }
    }
}

#[test]
fn proven_revs_only_rise_and_take_the_features_along() {
    let mut state = state_with(TO_SHADOWED);
    let before = state.by_handle(Handle(1)).unwrap().clone();
    let mut raise = |seq, least| {
        let least = vec![(Handle(1), least), (Handle(9), 7)];
        let body = Body::Gateway(twin::GatewayEvent::Revs { least });
        state.apply(&Commit { seq: Seq(seq), epoch: 1, at: AT, body });
        state.by_handle(Handle(1)).unwrap().clone()
    };
    assert_eq!(raise(10, before.rev() - 1).rev(), before.rev());
    let raised = raise(11, before.rev() + 5);
    assert_eq!(raised.rev(), before.rev() + 5);
    assert_eq!(raised.feature(1).rev, before.feature(1).rev + 5);
    assert_eq!(raised.feature(1).seq, before.feature(1).seq, "it is no change");
    assert_eq!(raise(12, before.rev() + 5), raised);
}
