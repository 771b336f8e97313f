//! Arbitrary values, descriptions and their parts.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use twin::*;
pub(super) fn text() -> impl Strategy<Value = Arc<str>> {
    "[a-zäö ]{0,12}".prop_map(Into::into)
}

pub(super) fn name() -> impl Strategy<Value = Name> {
    "[a-z][a-z0-9.-]{0,8}".prop_map(|n| n.parse().unwrap())
}

pub(super) fn int_kind() -> impl Strategy<Value = IntKind> {
    use IntKind::{I8, I16, I32, I64, U8, U16, U32, U64};
    prop::sample::select(vec![I8, I16, I32, I64, U8, U16, U32, U64])
}

pub(super) fn value_type() -> impl Strategy<Value = ValueType> {
    let leaf = prop_oneof![
        Just(ValueType::Bool),
        int_kind().prop_map(ValueType::Int),
        Just(ValueType::F32),
        Just(ValueType::F64),
        (int_kind(), any::<i8>()).prop_map(|(raw, exponent)| ValueType::Decimal { raw, exponent }),
        Just(ValueType::Time),
        Just(ValueType::Text),
        Just(ValueType::Bytes),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|of| ValueType::List(Box::new(of))),
            vec((name(), inner), 0..3).prop_map(|fields| ValueType::Record(fields.into())),
        ]
    })
}

pub(super) fn within(kind: IntKind, raw: u64) -> i128 {
    let (low, high) = kind.bounds();
    low + i128::from(raw) % (high - low + 1)
}

/// A value of this type out of arbitrary bits.
pub(super) fn value_of(of: &ValueType, bits: u64) -> Value {
    match of {
        ValueType::Bool => Value::Bool(bits & 1 == 1),
        ValueType::Int(kind) if kind.signed() => {
            Value::Signed(within(*kind, bits).try_into().unwrap())
        }
        ValueType::Int(kind) => Value::Unsigned(within(*kind, bits).try_into().unwrap()),
        ValueType::Decimal { raw, .. } if raw.signed() => {
            Value::Decimal(within(*raw, bits).try_into().unwrap())
        }
        ValueType::Decimal { raw, .. } => {
            Value::Decimal(within(*raw, bits >> 1).try_into().unwrap_or(i64::MAX))
        }
        ValueType::F32 => Value::Float(f64::from(f32::from_bits(bits as u32 & 0x7f7f_ffff))),
        ValueType::F64 => Value::Float(f64::from_bits(bits)),
        ValueType::Time => Value::Time(Timestamp(bits.cast_signed())),
        ValueType::Text => Value::Text("ä".repeat(bits as usize % 5).into()),
        ValueType::Bytes => Value::Bytes(bits.to_le_bytes()[..bits as usize % 8].into()),
        ValueType::List(of) => {
            Value::List((0..bits % 4).map(|i| value_of(of, bits.rotate_left(9) ^ i)).collect())
        }
        ValueType::Record(fields) => Value::Record(
            (0..).zip(fields).map(|(i, (_, of))| value_of(of, bits.rotate_left(i))).collect(),
        ),
    }
}

pub(super) fn value() -> impl Strategy<Value = Value> {
    (value_type(), any::<u64>()).prop_map(|(of, bits)| value_of(&of, bits))
}

pub(super) fn quality() -> impl Strategy<Value = Quality> {
    let class = prop::sample::select(vec![Class::Good, Class::Uncertain, Class::Bad]);
    (class, prop::sample::select(Cause::ALL), option::of(any::<u32>()))
        .prop_map(|(class, cause, code)| Quality { class, cause, code })
}

pub(super) fn time() -> impl Strategy<Value = TimeBase> {
    let clock = prop::sample::select(vec![SourceClock::Gateway, SourceClock::Device]);
    (clock, any::<i64>()).prop_map(|(clock, micros)| TimeBase { clock, micros })
}

pub(super) fn principal() -> impl Strategy<Value = Principal> {
    let kinds = vec![PrincipalKind::Link, PrincipalKind::User, PrincipalKind::Application];
    (prop::sample::select(kinds), text()).prop_map(|(kind, name)| Principal { kind, name })
}

pub(super) fn origin() -> impl Strategy<Value = Origin> {
    prop_oneof![
        Just(Origin::Asset),
        Just(Origin::Keeper),
        Just(Origin::Configuration),
        principal().prop_map(Origin::Principal),
        (name(), any::<u32>(), any::<u64>()).prop_map(|(gateway, epoch, seq)| Origin::Foreign {
            gateway,
            epoch,
            seq: Seq(seq)
        }),
    ]
}

pub(super) fn access() -> impl Strategy<Value = Access> {
    let range = option::of((any::<f64>(), any::<f64>()));
    let writable = (range, any::<i64>(), any::<f64>(), any::<bool>(), any::<bool>()).prop_map(
        |(range, settle, tolerance, unsynchronised, hold)| Writable {
            range,
            settle,
            tolerance,
            unsynchronised,
            hold,
        },
    );
    (any::<bool>(), option::of(writable))
        .prop_map(|(readable, writable)| Access { readable, writable })
}

pub(super) fn group() -> impl Strategy<Value = Group> {
    let acquisition = prop_oneof![
        any::<i64>().prop_map(|interval| Acquisition::Polled { interval }),
        (any::<i64>(), any::<u8>())
            .prop_map(|(interval, reception)| Acquisition::Pushed { interval, reception }),
        Just(Acquisition::OnDemand),
    ];
    (name(), acquisition, any::<i64>()).prop_map(|(name, acquisition, max_age)| Group {
        name,
        acquisition,
        max_age,
        retired: false,
    })
}

fn condition() -> impl Strategy<Value = Condition> {
    let f64 = any::<f64>;
    prop_oneof![
        (f64(), f64()).prop_map(|(limit, hysteresis)| Condition::Above { limit, hysteresis }),
        (f64(), f64()).prop_map(|(limit, hysteresis)| Condition::Below { limit, hysteresis }),
        any::<u64>().prop_map(Condition::Bits),
        vec(f64(), 0..3).prop_map(|codes| Condition::Is(codes.into())),
        (f64(), any::<i64>()).prop_map(|(change, time)| Condition::Rate { change, time }),
        any::<i64>().prop_map(Condition::Stale),
    ]
}

fn guard() -> impl Strategy<Value = Guard> {
    let interlock = (name(), name(), condition());
    let interlocks = vec(interlock, 0..3);
    let hold = (any::<i64>(), any::<u16>()).prop_map(|(interval, times)| Hold { interval, times });
    let hold = option::of(hold).prop_map(Option::unwrap_or_default);
    (interlocks, any::<i64>(), hold).prop_map(|(interlocks, interval, hold)| {
        let of = |(feature, point, when)| Interlock { feature, point, when };
        Guard { interlocks: interlocks.into_iter().map(of).collect(), interval, hold }
    })
}

fn alarm() -> impl Strategy<Value = Alarm> {
    let delays = (any::<i64>(), any::<i64>(), any::<bool>());
    ((name(), name()), condition(), any::<u16>(), delays, text()).prop_map(
        |((feature, point), when, severity, (delay, clear_delay, acknowledge), text)| Alarm {
            feature,
            point,
            when,
            severity,
            delay,
            clear_delay,
            acknowledge,
            text,
        },
    )
}

pub(super) fn point() -> impl Strategy<Value = PointSpec> {
    let kinds = vec![Kind::State, Kind::Telemetry, Kind::Event, Kind::Action];
    let report = prop_oneof![
        Just(Report::Change),
        any::<f64>().prop_map(Report::Deadband),
        any::<f64>().prop_map(Report::Percent),
        Just(Report::Always)
    ];
    let pace = (any::<i64>(), any::<i64>()).prop_map(|(least, most)| Pace { least, most });
    let parts = (option::of(pace), option::of(alarm()), option::of(guard()));
    let rules = parts.prop_map(|(pace, alarm, guard)| Rules {
        pace: pace.unwrap_or_default(),
        alarm: alarm.map(Arc::new),
        guard: guard.unwrap_or_default(),
    });
    let reporting = (report, rules);
    let said = (option::of(text()), vec((any::<i64>(), text()), 0..3), vec(text(), 0..3));
    let range = option::of((any::<f64>(), any::<f64>()));
    let kind = prop::sample::select(kinds);
    (name(), name(), kind, value_type(), said, range, access(), reporting).prop_map(
        |(
            feature,
            name,
            kind,
            value_type,
            (unit, labels, semantics),
            range,
            access,
            (report, rules),
        )| {
            PointSpec {
                feature,
                name,
                kind,
                value_type,
                title: unit.clone(),
                unit,
                range,
                labels: labels.into(),
                semantics: semantics.into(),
                group: 0,
                access,
                report,
                rules,
            }
        },
    )
}

pub(super) fn description() -> impl Strategy<Value = Description> {
    let nameplate = (option::of(text()), option::of(text()))
        .prop_map(|(serial, model)| Nameplate { serial, model, ..Nameplate::default() });
    let thresholds = (0f32..1.0, 0f32..1.0, any::<i64>(), any::<i64>()).prop_map(
        |(enter, leave, hold_in, hold_out)| Thresholds { enter, leave, hold_in, hold_out },
    );
    let measuring = (any::<i64>(), any::<i64>(), option::of(thresholds), any::<bool>()).prop_map(
        |(window, timeliness, thresholds, strong)| Measuring {
            window,
            timeliness,
            thresholds,
            strong,
        },
    );
    let policy = (vec(text(), 0..3), prop_oneof![Just(Measuring::default()), measuring])
        .prop_map(|(optional, entanglement)| Policy { optional, entanglement });
    let words = (option::of(text()), vec(text(), 0..2));
    (vec(point(), 0..12), vec(group(), 1..3), nameplate, words, policy).prop_map(
        |(points, groups, nameplate, (model, semantics), policy)| {
            let declared = Declaration { model, nameplate, groups, points, semantics, policy };
            Description::default().revise(&declared).unwrap().description
        },
    )
}
