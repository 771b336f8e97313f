//! The hot path: what it writes is what was reported, and it allocates nothing per value.

#![expect(clippy::unwrap_used, reason = "this is a test")]

mod harness;

use std::sync::Arc;

use base::CancellationToken;
use dialects::{Dialect, Twins};
use harness::{Gateway, sample};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::Value as Json;
use twin::{
    Cause, Declaration, Description, Entry, IntKind, Kind, Origin, Quality, Report, Reported, Seq,
    TimeBase, Timestamp, Value, ValueType, What,
};
use twin_store::Frame;

fn types() -> Vec<ValueType> {
    let kinds = [IntKind::I8, IntKind::I16, IntKind::I32, IntKind::I64, IntKind::U8, IntKind::U64];
    let mut all: Vec<ValueType> = kinds.into_iter().map(ValueType::Int).collect();
    all.extend([-3, 0, 2].map(|exponent| ValueType::Decimal { raw: IntKind::I64, exponent }));
    all.extend([
        ValueType::Bool,
        ValueType::F32,
        ValueType::F64,
        ValueType::Time,
        ValueType::Text,
        ValueType::Bytes,
        ValueType::List(Box::new(ValueType::F64)),
        ValueType::Record(Box::new([
            ("a".parse().unwrap(), ValueType::Text),
            ("b".parse().unwrap(), ValueType::Decimal { raw: IntKind::I16, exponent: -1 }),
        ])),
    ]);
    all
}

/// Any value of a type.
fn values(of: &ValueType) -> BoxedStrategy<Value> {
    let int = |kind: IntKind| {
        let (low, high) = kind.bounds();
        prop_oneof![low..=high, Just(low), Just(high)]
    };
    let clock = -60_000_000_000_000_000_i64..250_000_000_000_000_000;
    match of {
        ValueType::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        ValueType::Int(kind) if kind.signed() => {
            int(*kind).prop_map(|v| Value::Signed(v.try_into().unwrap())).boxed()
        }
        ValueType::Int(kind) => {
            int(*kind).prop_map(|v| Value::Unsigned(v.try_into().unwrap())).boxed()
        }
        ValueType::Decimal { raw, .. } => {
            int(*raw).prop_map(|v| Value::Decimal(v.try_into().unwrap())).boxed()
        }
        ValueType::F32 => any::<f32>().prop_map(|v| Value::Float(f64::from(v))).boxed(),
        ValueType::F64 => any::<f64>().prop_map(Value::Float).boxed(),
        ValueType::Time => clock.prop_map(|t| Value::Time(Timestamp(t))).boxed(),
        ValueType::Text => any::<String>().prop_map(|s| Value::Text(s.into())).boxed(),
        ValueType::Bytes => vec(any::<u8>(), 0..20).prop_map(|b| Value::Bytes(b.into())).boxed(),
        ValueType::List(of) => vec(values(of), 0..4).prop_map(|v| Value::List(v.into())).boxed(),
        ValueType::Record(fields) => {
            let fields: Vec<_> = fields.iter().map(|(_, of)| values(of)).collect();
            fields.prop_map(|v| Value::Record(v.into())).boxed()
        }
    }
}

/// Whether the JSON says this value; by another way than the one that wrote it.
fn says(json: &Json, of: &ValueType, value: &Value) -> bool {
    let shown = of.show(value).to_string();
    match (value, of) {
        (Value::Bool(v), _) => json.as_bool() == Some(*v),
        (Value::Float(v), _) if !v.is_finite() => json.is_null(),
        (Value::Float(v), ValueType::F32) => json.as_f64().unwrap() as f32 == *v as f32,
        (Value::Float(v), _) => json.as_f64() == Some(*v),
        (Value::Signed(_) | Value::Unsigned(_) | Value::Decimal(_), _) => match json {
            Json::String(digits) => *digits == shown,
            number => number.as_f64().unwrap() == shown.parse::<f64>().unwrap(),
        },
        (Value::Time(_) | Value::Text(_) | Value::Bytes(_), _) => json.as_str() == Some(&*shown),
        (Value::List(values), ValueType::List(of)) => {
            let items = json.as_array().unwrap();
            items.len() == values.len()
                && items.iter().zip(values.iter()).all(|(j, v)| says(j, of, v))
        }
        (Value::Record(values), ValueType::Record(fields)) => {
            let all = json.as_object().unwrap();
            all.len() == fields.len()
                && fields
                    .iter()
                    .zip(values.iter())
                    .all(|((n, of), v)| says(&all[n.as_str()], of, v))
        }
        _ => false,
    }
}

fn declared(types: &[ValueType]) -> Arc<Description> {
    let like = sample::declaration().points[0].clone();
    let point = |(n, of): (usize, &ValueType)| twin::PointSpec {
        name: format!("p{n}").parse().unwrap(),
        kind: Kind::Telemetry,
        value_type: of.clone(),
        report: Report::Always,
        rules: twin::Rules::default(),
        ..like.clone()
    };
    let points = types.iter().enumerate().map(point).collect();
    let declaration = Declaration { points, ..sample::declaration() };
    let known = sample::description();
    Arc::new(known.revise(&declaration).unwrap().description)
}

fn reported(entries: Vec<Entry>) -> Reported {
    let source = TimeBase::device(Timestamp(sample::OFFSET));
    let (server, command) = (None, None);
    Reported { revision: 2, group: 0, source, server, command, continued: false, entries }
}

fn frame(gateway: &Gateway, seq: Seq) -> Frame {
    gateway.store.follow(seq).ready().into_iter().find(|frame| frame.seq == seq).unwrap()
}

fn rendered(gateway: &Gateway, dialect: &mut Twins, frame: &Frame, out: &mut Vec<u8>) {
    out.clear();
    let mut topic = String::new();
    gateway.store.read(|state| {
        let twin = state.by_handle(frame.handle).unwrap();
        assert!(dialect.stream(twin, &mut topic));
        dialect.readings(state, twin, frame, false, out);
    });
}

#[tokio::test]
async fn what_is_written_is_what_was_reported() {
    let stop = CancellationToken::new();
    let gateway = Gateway::start(&stop).await;
    let types = types();
    let description = declared(&types);
    let first = u16::try_from(description.points.len() - types.len()).unwrap();
    gateway.change(Origin::Configuration, What::Described(description.clone())).await;
    let mut dialect = Twins::new("plant-7", "g", "cloud", false);
    let mut runner = TestRunner::deterministic();
    let mut draw =
        |strategy: BoxedStrategy<Value>| strategy.new_tree(&mut runner).unwrap().current();
    let mut out = Vec::new();
    for round in 0..200_u16 {
        let mut entries = Vec::new();
        for (n, of) in (0u16..).zip(&types) {
            if (round + n) % 3 == 2 {
                continue;
            }
            let bad = (round + n) % 7 == 3;
            let quality = if bad { Quality::bad(Cause::Timeout) } else { Quality::GOOD };
            let offset = if round % 5 == 4 { i64::from(n) * 1000 } else { 0 };
            let value = (!bad || n % 2 == 0).then(|| draw(values(of)));
            entries.push(Entry { index: first + n, quality, value, offset });
        }
        let what = What::Reported(reported(entries.clone()));
        let seq = gateway.change(Origin::Asset, what).await.seq;
        rendered(&gateway, &mut dialect, &frame(&gateway, seq), &mut out);
        let json: Json = serde_json::from_slice(&out).unwrap();
        let all = json["values"].as_object().unwrap();
        assert_eq!(all.len(), entries.len());
        for entry in entries {
            let point = description.point(entry.index).unwrap();
            let key = format!("{}/{}", point.spec.feature, point.spec.name);
            match &entry.value {
                Some(value) => {
                    assert!(says(&all[&key], &point.spec.value_type, value), "{value:?}: {json}")
                }
                None => assert!(all[&key].is_null()),
            }
            let none = matches!(entry.value, Some(Value::Float(v)) if !v.is_finite());
            assert_eq!(json["quality"].get(&key).is_some(), none || !entry.quality.is_good());
            let time = json.get("times").and_then(|times| times[&key].as_str());
            let expected = Timestamp(sample::OFFSET + entry.offset).to_string();
            assert_eq!(time, (entry.offset != 0).then_some(&*expected));
        }
        assert_eq!(json["clock"], "device");
    }
    stop.cancel();
}

#[tokio::test]
async fn a_value_costs_no_allocation() {
    let stop = CancellationToken::new();
    let gateway = Gateway::start(&stop).await;
    let types: Vec<ValueType> = types().into_iter().cycle().take(120).collect();
    let description = declared(&types);
    let first = description.points.len() - types.len();
    gateway.change(Origin::Configuration, What::Described(description.clone())).await;
    let mut runner = TestRunner::deterministic();
    let entries = types.iter().enumerate().map(|(n, of)| Entry {
        index: u16::try_from(first + n).unwrap(),
        quality: if n % 10 == 0 { Quality::bad(Cause::Stale) } else { Quality::GOOD },
        value: Some(values(of).new_tree(&mut runner).unwrap().current()),
        offset: i64::try_from(n % 4).unwrap(),
    });
    let what = What::Reported(reported(entries.collect()));
    let seq = gateway.change(Origin::Asset, what).await.seq;
    let frame = frame(&gateway, seq);
    let mut dialect = Twins::new("plant-7", "g", "cloud", false);
    let (mut topic, mut out) = (String::new(), Vec::new());
    gateway.store.read(|state| {
        let twin = state.by_handle(frame.handle).unwrap();
        let mut once = |out: &mut Vec<u8>| {
            assert!(dialect.stream(twin, &mut topic));
            dialect.readings(state, twin, &frame, false, out);
        };
        once(&mut out);
        let size = out.len();
        out.clear();
        let cost = allocation_counter::measure(|| once(&mut out));
        assert_eq!((out.len(), cost.count_total), (size, 0), "{cost:?}");
    });
    stop.cancel();
}
