//! Every kind of record comes back as it was put, and no bytes harm the reader.

mod any;

use std::sync::Arc;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use twin::*;

use self::any::*;
use super::{Raw, put, take};

fn reported(description: &Description) -> impl Strategy<Value = Reported> + use<> {
    let types: Vec<ValueType> =
        description.points.iter().map(|p| p.spec.value_type.clone()).collect();
    let n = u16::try_from(types.len()).unwrap();
    let offset = prop_oneof![Just(0), any::<i64>()];
    let one =
        (option::weighted(0.8, any::<u64>()), prop_oneof![Just(Quality::GOOD), quality()], offset);
    let entries = btree_map(0..n.max(1), one, 0..=usize::from(n));
    let times = (time(), option::of(time()));
    let rest = (any::<u32>(), any::<u16>(), option::of(1..u64::MAX), any::<bool>());
    (entries, times, rest).prop_map(move |(entries, (source, server), rest)| Reported {
        revision: rest.0,
        group: rest.1,
        source,
        server,
        command: rest.2.map(CommandId),
        continued: rest.3,
        entries: entries
            .into_iter()
            .filter(|(index, _)| *index < n)
            .map(|(index, (bits, quality, offset))| Entry {
                index,
                quality,
                value: bits.map(|bits| value_of(&types[usize::from(index)], bits)),
                offset,
            })
            .collect(),
    })
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let why = || (prop::sample::select(Reason::ALL), text());
    prop_oneof![
        Just(Outcome::Confirmed),
        why().prop_map(|(reason, words)| Outcome::Rejected(reason, words)),
        Just(Outcome::Expired),
        why().prop_map(|(reason, words)| Outcome::Unknown(reason, words)),
    ]
}

fn deadline() -> impl Strategy<Value = Deadline> {
    let utc = option::of(any::<i64>().prop_map(Timestamp));
    (any::<[u8; 16]>(), any::<i64>(), utc).prop_map(|(boot, at, utc)| Deadline {
        boot: BootId(boot),
        at: Boottime(at),
        utc,
    })
}

fn command() -> impl Strategy<Value = Command> {
    let order =
        prop_oneof![value().prop_map(Order::Write), option::of(value()).prop_map(Order::Call)];
    let asked = option::of(any::<i64>().prop_map(Timestamp));
    (text(), any::<u16>(), order, deadline(), asked).prop_map(
        |(key, index, order, deadline, asked)| Command { key, index, order, deadline, asked },
    )
}

fn event() -> impl Strategy<Value = Event> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let instance = vec(any::<u8>(), 0..20);
    let words = (text(), option::of(value()), option::of(deadline()));
    (any::<u16>(), instance, any::<u16>(), flags, time(), words).prop_map(
        |(index, instance, severity, flags, occurred, (text, fields, until))| {
            let (active, acknowledged, confirmed, shelved) = flags;
            let state = ConditionState { active, acknowledged, confirmed, shelved };
            let instance = instance.into();
            Event { index, instance, severity, state, occurred, text, fields, until }
        },
    )
}

fn counts() -> impl Strategy<Value = GroupCounts> {
    let n = || any::<u32>();
    (any::<u16>(), n(), n(), n(), option::of(time())).prop_map(
        |(group, expected, received, on_time, last)| GroupCounts {
            group,
            expected,
            received,
            on_time,
            last,
        },
    )
}

fn envelope(description: &Description) -> impl Strategy<Value = Envelope> + use<> {
    let types: Vec<ValueType> =
        description.points.iter().map(|p| p.spec.value_type.clone()).collect();
    let n = u16::try_from(types.len()).unwrap();
    let range = option::of((any::<f64>(), any::<f64>(), any::<f64>()));
    let one = (any::<u32>(), any::<u32>(), option::of(any::<u64>()), range);
    let head = (any::<u32>(), any::<u64>(), any::<u64>(), any::<u8>(), time(), time());
    (head, btree_map(0..n.max(1), one, 0..=usize::from(n))).prop_map(move |(head, entries)| {
        let (revision, first, last, thin, from, until) = head;
        let entry = |(index, (count, not_good, bits, range)): (u16, _)| {
            let bits: Option<u64> = bits;
            let last = bits.map(|bits| value_of(&types[usize::from(index)], bits));
            EnvelopeEntry { index, count, not_good, last, range }
        };
        let entries = entries.into_iter().filter(|(index, _)| *index < n).map(entry).collect();
        Envelope { revision, first: Seq(first), last: Seq(last), thin, from, until, entries }
    })
}

fn what(description: &Description) -> impl Strategy<Value = What> + use<> {
    let states = || prop::sample::select(LifeCycle::ALL);
    let transition = (
        states(),
        states(),
        prop::sample::select(Trigger::ALL),
        option::of(text()),
        option::of(any::<[f32; 3]>()),
    );
    let relationship = || (name(), text()).prop_map(|(name, target)| Relationship { name, target });
    let step = prop_oneof![
        value().prop_map(|expected| Step::Sent { expected }),
        Just(Step::Acknowledged),
        outcome().prop_map(Step::Ended),
    ];
    let binding = (text(), any::<bool>(), option::of(text()), option::of(text()));
    let refused = (text(), option::of(any::<u16>()), prop::sample::select(Reason::ALL), text());
    let first = prop_oneof![
        reported(description).prop_map(What::Reported),
        reported(description).prop_map(What::Backfilled),
        envelope(description).prop_map(What::Thinned),
        super::tests::description().prop_map(|d| What::Described(Arc::new(d))),
        binding.prop_map(|(line, bound, asset, cause)| What::Binding(Binding {
            line,
            bound,
            asset,
            cause
        })),
        transition.prop_map(|(from, to, trigger, detail, entanglement)| What::Transition {
            from,
            to,
            trigger,
            detail,
            entanglement
        }),
    ];
    let second = prop_oneof![
        command().prop_map(What::Command),
        refused.prop_map(|(key, index, reason, detail)| What::Refused {
            key,
            index,
            reason,
            detail
        }),
        (any::<u64>(), step).prop_map(|(id, step)| What::Step { command: CommandId(id), step }),
        event().prop_map(What::Event),
        relationship().prop_map(What::Related),
        relationship().prop_map(What::Unrelated),
        vec(counts(), 0..4).prop_map(What::Heartbeat),
        [0f32..=1.0, 0f32..=1.0, 0f32..=1.0].prop_map(|[timeliness, reliability, availability]| {
            What::Entangled(Entangled { timeliness, reliability, availability })
        }),
        option::of((deadline(), text(), principal())).prop_map(|m| {
            What::Maintained(m.map(|(until, reason, by)| Maintenance { until, reason, by }))
        }),
        Just(What::Purged),
    ];
    prop_oneof![first, second]
}

fn gateway() -> impl Strategy<Value = GatewayEvent> {
    use GapCause::{Crash, Damage, Full, Retention, Thinned};
    let causes = vec![Crash, Damage, Retention, Full, Thinned];
    let opened = (any::<u32>(), any::<[u8; 16]>(), option::of(any::<i64>()), any::<u64>());
    prop_oneof![
        opened.prop_map(|(epoch, boot, offset, seq)| GatewayEvent::Opened {
            epoch,
            boot: BootId(boot),
            offset,
            surviving: Seq(seq)
        }),
        any::<i64>().prop_map(|offset| GatewayEvent::ClockSet { offset }),
        (any::<u64>(), any::<u64>(), prop::sample::select(causes)).prop_map(
            |(first, last, cause)| GatewayEvent::Gap { first: Seq(first), last: Seq(last), cause }
        ),
        (any::<bool>(), principal()).prop_map(|(on, by)| GatewayEvent::Writes { on, by }),
        vec((any::<u32>().prop_map(Handle), any::<u64>()), 0..5)
            .prop_map(|least| GatewayEvent::Revs { least }),
        any::<u64>().prop_map(|before| GatewayEvent::Forgotten { before: Seq(before) }),
        (name(), any::<u64>(), any::<u64>(), any::<u32>(), text()).prop_map(
            |(link, first, last, count, why)| GatewayEvent::PassedOver {
                link,
                first: Seq(first),
                last: Seq(last),
                count,
                why
            }
        ),
    ]
}

fn described_body() -> impl Strategy<Value = (Description, Body)> {
    let twin = description().prop_flat_map(|d| {
        let parts = (origin(), what(&d));
        parts.prop_map(move |(origin, what)| {
            let twin = "pump".parse().unwrap();
            (d.clone(), Body::Twin { handle: Handle(7), twin, origin, what })
        })
    });
    let gateway = gateway().prop_map(|event| (Description::default(), Body::Gateway(event)));
    prop_oneof![9 => twin, 1 => gateway]
}

/// Puts a body and takes it again, with `more` bytes that a later version may have appended.
fn again(description: &Description, body: &Body, at: i64, more: &[u8]) -> Option<Body> {
    let mut bytes = Vec::new();
    let (kind, _) = put(&mut bytes, Boottime(at), description, body);
    bytes.extend(more);
    let handle = match body {
        Body::Twin { handle, .. } => *handle,
        Body::Gateway(_) => Handle(0),
    };
    let id = "pump".parse().unwrap();
    let raw = Raw { kind, at: Boottime(at), handle, payload: &bytes };
    take(raw, Some((&id, description)))
}

/// Equal, where a NaN is equal to itself.
fn same(a: &Body, b: &Body) -> bool {
    format!("{a:?}") == format!("{b:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_kind_comes_back((description, body) in described_body(), at in any::<i64>()) {
        let back = again(&description, &body, at, &[]);
        prop_assert!(back.as_ref().is_some_and(|b| same(b, &body)), "{body:?}\n{back:?}");
    }

    #[test]
    fn what_a_later_version_appends_is_ignored((description, body) in described_body(), more in vec(any::<u8>(), 0..9)) {
        // A description grows by blocks, of which this one is unknown.
        let more = match &body {
            Body::Twin { what: What::Described(_), .. } => {
                [&[255, more.len().try_into().unwrap()], more.as_slice()].concat()
            }
            _ => more,
        };
        let back = again(&description, &body, 0, &more);
        prop_assert!(back.is_some_and(|b| same(&b, &body)));
    }

    #[test]
    fn no_part_of_a_record_harms((description, body) in described_body(), cut in any::<prop::sample::Index>(), flip in any::<prop::sample::Index>()) {
        let mut bytes = Vec::new();
        put(&mut bytes, Boottime(0), &description, &body);
        bytes.truncate(cut.index(bytes.len() + 1));
        crate::fuzz_one(&bytes);
        if !bytes.is_empty() {
            let at = flip.index(bytes.len() * 8);
            bytes[at / 8] ^= 1 << (at % 8);
            crate::fuzz_one(&bytes);
        }
    }

    #[test]
    fn no_bytes_harm(bytes in vec(any::<u8>(), 0..300)) {
        crate::fuzz_one(&bytes);
    }
}
