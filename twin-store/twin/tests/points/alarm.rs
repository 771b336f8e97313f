//! Alarms: when a rule shows that its cause is present, and what becomes of what the keeper and operators say.
use std::sync::Arc;

use proptest::prelude::*;
use twin::{
    Acquisition, Alarm, BootId, Boottime, Care, Command, Condition, ConditionState, Deadline,
    Event, IntKind, Kind, Maintenance, Moment, Order, Origin, PointSpec, Principal, PrincipalKind,
    Reason, Rules, Seq, State, TimeBase, Timestamp, Twin, Value, ValueType, What, admit,
};

use crate::one_point;

const S: i64 = 1_000_000;
/// The index of the alarm; that of the point is 0.
const ALARM: u16 = 1;

fn twin(acknowledge: bool) -> Twin {
    let rule = Alarm {
        feature: "f".parse().unwrap(),
        point: "p".parse().unwrap(),
        when: Condition::Above { limit: 90.0, hysteresis: 3.0 },
        severity: 700,
        delay: 0,
        clear_delay: 0,
        acknowledge,
        text: "too hot".into(),
    };
    let alarm = PointSpec {
        kind: Kind::Event,
        value_type: ValueType::Bool,
        rules: Rules { alarm: Some(Arc::new(rule)), ..Rules::default() },
        ..one_point::point("hot")
    };
    let acquisition = Acquisition::Polled { interval: S };
    one_point::described(acquisition, vec![one_point::point("p"), alarm])
}

fn now(seconds: i64) -> Moment {
    let boottime = Boottime(seconds * S);
    Moment { boottime, boot: BootId([1; 16]), utc: Some(Timestamp(1_800_000_000 * S + boottime.0)) }
}

fn ada() -> Principal {
    Principal { kind: PrincipalKind::User, name: "ada".into() }
}

/// What the keeper says: the cause is present or not, in this occurrence.
fn said(active: bool, occurrence: u8) -> Event {
    Event {
        index: ALARM,
        instance: Arc::from([occurrence]),
        severity: 0,
        state: ConditionState { active, ..ConditionState::default() },
        occurred: TimeBase::gateway(Boottime(0)),
        text: "too hot".into(),
        fields: None,
        until: None,
    }
}

/// Lets somebody say something; whether that became a commit.
fn tell(
    twin: &mut Twin,
    seq: u64,
    origin: &Origin,
    mut event: Event,
    now: Moment,
) -> Result<bool, String> {
    let news = twin.settle(origin, &mut event, now)?;
    if news {
        twin.apply(Seq(seq), now.boottime, origin, &What::Event(event));
    }
    Ok(news)
}

fn keeper(twin: &mut Twin, seq: u64, active: bool, occurrence: u8, now: Moment) -> bool {
    tell(twin, seq, &Origin::Keeper, said(active, occurrence), now).unwrap()
}

fn care(twin: &mut Twin, seq: u64, care: &Care, now: Moment) -> Result<bool, String> {
    let event = twin.care(ALARM, care, now)?;
    tell(twin, seq, &Origin::Principal(ada()), event, now)
}

fn state(twin: &Twin) -> Option<ConditionState> {
    twin.alarms().get(&ALARM).map(|standing| standing.event.state)
}

#[test]
fn a_limit_is_left_by_its_hysteresis() {
    let tenth = ValueType::Decimal { raw: IntKind::I16, exponent: -1 };
    let above = Condition::Above { limit: 90.0, hysteresis: 3.0 };
    let below = Condition::Below { limit: 5.0, hysteresis: 0.5 };
    for (when, raw, from_normal, from_active) in [
        (&above, 900, false, true),
        (&above, 901, true, true),
        (&above, 871, false, true),
        (&above, 870, false, false),
        (&below, 50, false, true),
        (&below, 49, true, true),
        (&below, 54, false, true),
        (&below, 55, false, false),
    ] {
        let shows = |active| when.shows(&tenth, &Value::Decimal(raw), active);
        assert_eq!(shows(false), Some(from_normal), "{when:?} at {raw} tenths");
        assert_eq!(shows(true), Some(from_active), "{when:?} at {raw} tenths, active");
    }
    assert_eq!(above.shows(&ValueType::F64, &Value::Float(f64::NAN), true), None);
    assert_eq!(above.shows(&ValueType::F64, &Value::Float(f64::INFINITY), false), Some(true));
    assert_eq!(above.shows(&ValueType::Text, &Value::Text("91".into()), false), None);
}

#[test]
fn bits_and_codes() {
    let bits = Condition::Bits(0x8000_0000_0000_000C);
    let u16 = ValueType::Int(IntKind::U16);
    assert_eq!(bits.shows(&u16, &Value::Unsigned(0x08), false), Some(true));
    assert_eq!(bits.shows(&u16, &Value::Unsigned(0xF3), false), Some(false));
    assert_eq!(bits.shows(&ValueType::Int(IntKind::I16), &Value::Signed(-1), false), Some(true));
    assert_eq!(bits.shows(&ValueType::F64, &Value::Float(8.0), false), None, "a float has no bits");
    let codes = Condition::Is(Arc::new([3.0, 7.0]));
    assert_eq!(codes.shows(&u16, &Value::Unsigned(7), false), Some(true));
    assert_eq!(codes.shows(&u16, &Value::Unsigned(4), false), Some(false));
    let on = Condition::Is(Arc::new([1.0]));
    assert_eq!(on.shows(&ValueType::Bool, &Value::Bool(true), false), Some(true));
}

#[test]
fn it_stands_until_it_is_over_and_was_seen() {
    let mut twin = twin(true);
    assert!(!keeper(&mut twin, 2, false, 1, now(1)), "what is well is not worth a word");
    assert!(keeper(&mut twin, 2, true, 1, now(1)));
    assert!(!keeper(&mut twin, 3, true, 2, now(2)), "it is active already");
    let standing = &twin.alarms()[&ALARM];
    assert_eq!((&*standing.event.instance, standing.event.severity), (&[1][..], 700));
    assert_eq!(standing.raised, (Seq(2), TimeBase::gateway(Boottime(0))));

    assert!(keeper(&mut twin, 4, false, 9, now(3)));
    let over = state(&twin).unwrap();
    assert!(!over.active && !over.acknowledged, "over, and nobody has seen it");
    assert_eq!(&*twin.alarms()[&ALARM].event.instance, [1], "still the same occurrence");
    assert!(care(&mut twin, 5, &Care::Acknowledge(None), now(4)).unwrap());
    assert_eq!((state(&twin), twin.alarmed()), (None, Seq(5)));
    let again = care(&mut twin, 6, &Care::Acknowledge(None), now(5));
    assert!(again.unwrap_err().contains("does not stand"));

    assert!(keeper(&mut twin, 7, true, 2, now(6)));
    assert!(care(&mut twin, 8, &Care::Acknowledge(Some(Arc::from([2]))), now(6)).unwrap());
    assert!(state(&twin).unwrap().active && state(&twin).unwrap().acknowledged);
    assert!(!care(&mut twin, 9, &Care::Acknowledge(None), now(6)).unwrap(), "it was seen already");
    assert!(keeper(&mut twin, 10, false, 2, now(7)));
    assert_eq!(state(&twin), None, "over and seen");
}

#[test]
fn an_alarm_that_nobody_need_see_is_gone_when_it_is_over() {
    let mut twin = twin(false);
    assert!(keeper(&mut twin, 2, true, 1, now(1)));
    assert!(state(&twin).unwrap().acknowledged);
    assert!(keeper(&mut twin, 3, false, 1, now(2)));
    assert_eq!(state(&twin), None);
}

#[test]
fn a_word_on_an_earlier_occurrence_says_nothing_of_a_later_one() {
    let mut twin = twin(true);
    assert!(keeper(&mut twin, 2, true, 1, now(1)));
    let seen = twin.care(ALARM, &Care::Acknowledge(None), now(1)).unwrap();
    assert!(keeper(&mut twin, 3, false, 1, now(2)));
    assert!(keeper(&mut twin, 4, true, 2, now(3)), "raised again before anybody saw it");
    assert_eq!(twin.alarms()[&ALARM].raised.0, Seq(4));
    let late = tell(&mut twin, 5, &Origin::Principal(ada()), seen, now(3));
    assert!(late.unwrap_err().contains("raised again"));
    let late = care(&mut twin, 5, &Care::Acknowledge(Some(Arc::from([1]))), now(3));
    assert!(late.unwrap_err().contains("another occurrence"));
    assert!(!state(&twin).unwrap().acknowledged);
}

#[test]
fn nobody_speaks_for_another() {
    let mut twin = twin(true);
    let stranger = tell(&mut twin, 2, &Origin::Asset, said(true, 1), now(1));
    assert!(stranger.unwrap_err().contains("not said by others"));
    assert!(keeper(&mut twin, 2, true, 1, now(1)));
    // An operator looked before it was over; the keeper's word stands.
    let seen = twin.care(ALARM, &Care::Acknowledge(None), now(1)).unwrap();
    assert!(keeper(&mut twin, 3, false, 1, now(2)));
    assert!(tell(&mut twin, 4, &Origin::Principal(ada()), seen, now(2)).unwrap());
    assert_eq!(state(&twin), None, "it was over, and now it was seen");
    // The keeper looked before an operator silenced it.
    assert!(keeper(&mut twin, 5, true, 2, now(3)));
    assert!(care(&mut twin, 6, &Care::Shelve(60 * S), now(3)).unwrap());
    assert!(keeper(&mut twin, 7, false, 2, now(4)));
    assert!(state(&twin).unwrap().shelved, "silence outlives what the keeper says");
}

#[test]
fn silence_ends_by_itself_by_word_and_with_planned_work() {
    let mut twin = twin(true);
    assert!(care(&mut twin, 2, &Care::Shelve(60 * S), now(0)).unwrap(), "before it is raised");
    assert!(keeper(&mut twin, 3, true, 1, now(10)));
    let shelved = state(&twin).unwrap();
    assert!(shelved.active && shelved.shelved && !shelved.acknowledged);
    assert_eq!(twin.alarms()[&ALARM].raised.0, Seq(3), "raised when it was, not when shelved");
    assert!(!keeper(&mut twin, 4, true, 1, now(59)), "it is still silent");
    assert!(keeper(&mut twin, 4, true, 1, now(60)), "the time is over");
    assert!(!state(&twin).unwrap().shelved);

    assert!(care(&mut twin, 5, &Care::Shelve(0), now(61)).unwrap_err().contains("not shelved"));
    assert!(care(&mut twin, 5, &Care::Shelve(60 * S), now(61)).unwrap());
    assert!(care(&mut twin, 6, &Care::Shelve(120 * S), now(61)).unwrap(), "for longer");
    assert!(care(&mut twin, 7, &Care::Shelve(0), now(62)).unwrap());
    assert!(!state(&twin).unwrap().shelved && twin.alarms()[&ALARM].event.until.is_none());

    let until = Deadline::after(now(70), 10 * S);
    let planned = Maintenance { until, reason: "bearings".into(), by: ada() };
    twin.apply(Seq(8), Boottime(0), &Origin::Principal(ada()), &What::Maintained(Some(planned)));
    assert!(keeper(&mut twin, 9, true, 1, now(70)));
    assert!(state(&twin).unwrap().shelved);
    assert!(keeper(&mut twin, 10, true, 1, now(80)));
    assert!(!state(&twin).unwrap().shelved, "planned work ends by itself");
}

#[test]
fn a_point_that_is_gone_takes_its_alarm_along() {
    for retired in [true, false] {
        let mut twin = twin(true);
        assert!(keeper(&mut twin, 2, true, 1, now(1)));
        let mut next = (**twin.description()).clone();
        let point = &mut next.points[usize::from(ALARM)];
        if retired {
            point.retired = true;
        } else {
            // A state of the same name and type takes the index over.
            (point.spec.kind, point.spec.rules) = (Kind::State, Rules::default());
        }
        next.revision += 1;
        twin.apply(Seq(3), Boottime(0), &Origin::Configuration, &What::Described(Arc::new(next)));
        assert!(twin.alarms().is_empty() && twin.rule(ALARM).is_none());
        assert_eq!(twin.alarmed(), Seq(3), "whoever mirrors it has to hear of that");
    }
}

#[test]
fn events_of_others_stay_as_they_are() {
    let rule_free = PointSpec { kind: Kind::Event, ..one_point::point("tripped") };
    let acquisition = Acquisition::Polled { interval: S };
    let mut twin = one_point::described(acquisition, vec![one_point::point("p"), rule_free]);
    for index in [0, 9] {
        let other = What::Event(Event { index, ..said(true, 1) });
        assert!(twin.check(&other).is_err(), "{index} is no event");
    }
    let plain = Event { state: ConditionState::default(), ..said(false, 1) };
    let mut settled = plain.clone();
    assert!(twin.settle(&Origin::Asset, &mut settled, now(0)).unwrap());
    assert_eq!(settled, plain);
    twin.apply(Seq(2), Boottime(0), &Origin::Asset, &What::Event(plain));
    assert!(twin.alarms().is_empty(), "what has no state stands nowhere");
    twin.apply(Seq(3), Boottime(0), &Origin::Asset, &What::Event(said(true, 2)));
    assert!(state(&twin).unwrap().active, "an asset may have alarms of its own");
}

/// A command for an alarm asks nothing of the asset: neither writes nor the life cycle matter.
#[test]
fn a_command_looks_after_an_alarm() {
    let mut twin = twin(true);
    let state = State::default();
    let command = |order| Command {
        key: "a".into(),
        index: ALARM,
        order,
        deadline: Deadline::after(now(1), S),
        asked: None,
    };
    let ask = |twin: &Twin, order| {
        admit(&state, twin, &command(order), now(1)).map_err(|(reason, _)| reason)
    };
    let acknowledge = || Care::Acknowledge(None).order();
    assert_eq!(ask(&twin, acknowledge()), Err(Reason::NotStanding));
    assert!(keeper(&mut twin, 2, true, 1, now(1)));
    assert_eq!(ask(&twin, acknowledge()), Ok(()));
    let other = Care::Acknowledge(Some(Arc::from([2])));
    assert_eq!(ask(&twin, other.order()), Err(Reason::NotStanding));
    assert_eq!(ask(&twin, Care::Shelve(S).order()), Ok(()));
    assert_eq!(ask(&twin, Order::Write(Value::Bool(true))), Err(Reason::WrongType));
    let late = admit(&state, &twin, &command(acknowledge()), now(2));
    assert_eq!(late.map_err(|(reason, _)| reason), Err(Reason::Late));
    for of in [Care::Acknowledge(None), other, Care::Shelve(0), Care::Shelve(Care::LONGEST)] {
        assert_eq!(Care::of(&of.order()), Ok(of));
    }
    assert!(Care::of(&Order::Call(Some(Value::Float(-1.0)))).is_err());
    assert!(Care::of(&Order::Call(Some(Value::Float(f64::NAN)))).is_err());
}

/// What somebody does in a random story.
#[derive(Debug, Clone, Copy)]
enum Act {
    Active(bool),
    Acknowledge,
    Shelve(i64),
    Maintain(i64),
    Wait(i64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        any::<bool>().prop_map(Act::Active),
        Just(Act::Acknowledge),
        (0i64..5).prop_map(Act::Shelve),
        (0i64..5).prop_map(Act::Maintain),
        (1i64..4).prop_map(Act::Wait),
    ]
}

/// An alarm in the words of the documentation.
#[derive(Debug, Default)]
struct Reference {
    active: bool,
    unseen: bool,
    silent_until: i64,
    planned_until: i64,
}

proptest! {
    /// Whatever happens in whatever order, what stands is what a slow reference says, and the keeper's look each second
    /// is all that time needs.
    #[test]
    fn what_stands_is_what_was_said(acts in prop::collection::vec(act(), 0..60)) {
        let mut twin = twin(true);
        let (mut is, mut second, mut seq) = (Reference::default(), 0, 1);
        for act in acts {
            seq += 1;
            match act {
                Act::Active(active) => {
                    is.unseen |= active && !is.active;
                    is.active = active;
                }
                Act::Acknowledge => {
                    let done = care(&mut twin, seq, &Care::Acknowledge(None), now(second));
                    let stands = is.active || is.unseen || is.silent_until > second;
                    prop_assert!(done.is_ok() || !stands, "{done:?}, {is:?}");
                    is.unseen = false;
                }
                Act::Shelve(seconds) => {
                    let done = care(&mut twin, seq, &Care::Shelve(seconds * S), now(second));
                    prop_assert_eq!(done.is_ok(), seconds > 0 || is.silent_until > second);
                    is.silent_until = if seconds > 0 { second + seconds } else { second };
                }
                Act::Maintain(seconds) => {
                    let until = Deadline::after(now(second), seconds * S);
                    let planned = Maintenance { until, reason: "r".into(), by: ada() };
                    let what = What::Maintained((seconds > 0).then_some(planned));
                    twin.apply(Seq(seq), Boottime(0), &Origin::Keeper, &what);
                    is.planned_until = second + seconds;
                }
                Act::Wait(seconds) => second += seconds,
            }
            seq += 1;
            keeper(&mut twin, seq, is.active, seq as u8, now(second));
            let silent = is.silent_until > second;
            let stands = is.active || is.unseen || silent;
            let planned = is.planned_until > second;
            let expected = stands.then_some(ConditionState {
                active: is.active,
                acknowledged: !is.unseen,
                confirmed: false,
                shelved: silent || planned,
            });
            prop_assert_eq!(state(&twin), expected, "{:?}", is);
            prop_assert!(!keeper(&mut twin, seq + 1, is.active, 0, now(second)), "said twice");
        }
    }

    /// Whatever somebody says in whatever event, whether its cause is present is the keeper's word alone.
    #[test]
    fn any_event_is_settled(
        index in 0u16..4,
        instance in prop::collection::vec(any::<u8>(), 0..3),
        bits in 0u8..16,
        by in 0u8..3,
    ) {
        let mut twin = twin(true);
        keeper(&mut twin, 2, true, 1, now(0));
        let on = |bit: u8| bits & 1 << bit != 0;
        let (active, acknowledged, confirmed, shelved) = (on(0), on(1), on(2), on(3));
        let state = ConditionState { active, acknowledged, confirmed, shelved };
        let event = Event { index, instance: instance.into(), state, ..said(false, 0) };
        let origin = [Origin::Asset, Origin::Keeper, Origin::Principal(ada())];
        let by = &origin[usize::from(by)];
        let told = tell(&mut twin, 3, by, event, now(1));
        let expected = *by != Origin::Keeper || index != ALARM || active;
        prop_assert_eq!(self::state(&twin).unwrap().active, expected, "{:?}", told);
    }
}
