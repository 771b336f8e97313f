//! Which values are plausible: those within the range of their point, whatever their type.
use twin::{
    Acquisition, Cause, Class, IntKind, PointSpec, Quality, Reported, Twin, Value, ValueType,
};

use crate::one_point;

fn twin(value_type: ValueType, range: Option<(f64, f64)>) -> Twin {
    let acquisition = Acquisition::Polled { interval: 1_000_000 };
    one_point::described(
        acquisition,
        vec![PointSpec { value_type, range, ..one_point::point("p") }],
    )
}

fn reading(index: u16, quality: Quality, value: Option<Value>) -> Reported {
    one_point::reading(1, index, quality, value)
}

/// What becomes of the quality of a good value; the value itself never changes.
fn judged(twin: &Twin, value: Value) -> Quality {
    let mut reported = reading(0, Quality::GOOD, Some(value.clone()));
    twin.condition(&mut reported);
    let after = format!("{:?}", reported.entries[0].value);
    assert_eq!(after, format!("{:?}", Some(value)), "the value stays what the asset said");
    reported.entries[0].quality
}

const OUTSIDE: Quality = Quality::uncertain(Cause::OutOfRange);

#[test]
fn both_ends_belong_to_the_range() {
    let float = twin(ValueType::F64, Some((-1.0, 1.0)));
    for (value, quality) in [
        (-1.0, Quality::GOOD),
        (0.3, Quality::GOOD),
        (1.0, Quality::GOOD),
        (1.0 + f64::EPSILON, OUTSIDE),
        (-1.5, OUTSIDE),
        (f64::INFINITY, OUTSIDE),
        (f64::NAN, OUTSIDE),
    ] {
        assert_eq!(judged(&float, Value::Float(value)), quality, "{value}");
    }
}

#[test]
fn the_range_is_in_the_unit_of_the_point() {
    let tenths = ValueType::Decimal { raw: IntKind::I16, exponent: -1 };
    let decimal = twin(tenths, Some((0.0, 60.1)));
    assert_eq!(judged(&decimal, Value::Decimal(601)), Quality::GOOD);
    assert_eq!(judged(&decimal, Value::Decimal(602)), OUTSIDE);
    assert_eq!(judged(&decimal, Value::Decimal(-1)), OUTSIDE);
    let signed = twin(ValueType::Int(IntKind::I32), Some((-5.0, 5.0)));
    assert_eq!(judged(&signed, Value::Signed(-5)), Quality::GOOD);
    assert_eq!(judged(&signed, Value::Signed(-6)), OUTSIDE);
    let unsigned = twin(ValueType::Int(IntKind::U64), Some((0.0, 9.0)));
    assert_eq!(judged(&unsigned, Value::Unsigned(u64::MAX)), OUTSIDE);
}

#[test]
fn what_has_no_range_or_is_no_number_is_not_judged() {
    assert_eq!(judged(&twin(ValueType::F64, None), Value::Float(1e300)), Quality::GOOD);
    let text = twin(ValueType::Text, Some((0.0, 1.0)));
    assert_eq!(judged(&text, Value::Text("2".into())), Quality::GOOD);
}

#[test]
fn what_was_not_good_keeps_its_own_cause() {
    let twin = twin(ValueType::F64, Some((0.0, 1.0)));
    for quality in [
        Quality::bad(Cause::Timeout),
        Quality::uncertain(Cause::DeviceFault).with_code(7),
        Quality { class: Class::Good, cause: Cause::None, code: Some(3) },
    ] {
        for value in [None, Some(Value::Float(2.0))] {
            let mut reported = reading(0, quality, value);
            twin.condition(&mut reported);
            assert_eq!(reported.entries[0].quality, quality);
        }
    }
    let mut unknown = reading(9, Quality::GOOD, Some(Value::Float(2.0)));
    twin.condition(&mut unknown);
    assert_eq!(unknown.entries[0].quality, Quality::GOOD, "there is no such point");
}
