use super::*;

const TENTH: ValueType = ValueType::Decimal { raw: IntKind::I16, exponent: -1 };
const U8: ValueType = ValueType::Int(IntKind::U8);

#[test]
fn decimals_are_exact() {
    for (text, raw) in [("21.5", 215), ("-0.3", -3), ("2.15e1", 215), ("21.500", 215), ("0", 0)] {
        assert_eq!(TENTH.parse(text), Ok(Value::Decimal(raw)), "{text}");
    }
    assert_eq!(TENTH.parse("1e2"), Ok(Value::Decimal(1000)));
    assert_eq!(TENTH.parse("21.55"), Err(TextError::TooFine(-1)));
    assert_eq!(TENTH.parse("21.55").unwrap_err().to_string(), "the point has steps of 0.1");
    assert_eq!(TENTH.parse("4000").unwrap_err().to_string(), "the point holds -3276.8 to 3276.7");
    let tens = ValueType::Decimal { raw: IntKind::U16, exponent: 1 };
    assert_eq!(tens.parse("120"), Ok(Value::Decimal(12)));
    assert_eq!(tens.parse("125"), Err(TextError::TooFine(1)));
}

#[test]
fn what_is_no_number_is_refused() {
    for text in ["", "-", ".5", "1.2.3", "1e", "abc", "1,5", "NaN", "1e999999999999"] {
        assert!(TENTH.parse(text).is_err(), "{text}");
        assert!(U8.parse(text).is_err(), "{text}");
        assert!(ValueType::Bool.parse(text).is_err(), "{text}");
    }
    assert!(ValueType::F64.parse("NaN").is_err());
    assert!(ValueType::F32.parse("1e39").is_err());
    assert!(ValueType::Bytes.parse("abc").is_err());
    assert!(U8.parse("256").is_err());
    assert!(U8.parse("-1").is_err());
    assert!(U8.parse("1.5").is_err());
    assert!(U8.parse(&"9".repeat(60)).is_err());
    assert!(U8.parse("1e2147483647").is_err());
}

#[test]
fn every_type_reads_what_it_shows() {
    let cases = [
        (ValueType::Bool, Value::Bool(true), "true"),
        (U8, Value::Unsigned(255), "255"),
        (ValueType::Int(IntKind::I64), Value::Signed(i64::MIN), "-9223372036854775808"),
        (ValueType::Int(IntKind::U64), Value::Unsigned(u64::MAX), "18446744073709551615"),
        (TENTH, Value::Decimal(-5), "-0.5"),
        (TENTH, Value::Decimal(2300), "230.0"),
        (ValueType::Decimal { raw: IntKind::I64, exponent: 3 }, Value::Decimal(-7), "-7000"),
        (ValueType::F32, Value::Float(f64::from(0.1f32)), "0.1"),
        (ValueType::F64, Value::Float(1e300), "1e300"),
        (
            ValueType::Time,
            Value::Time(Timestamp(1_763_892_000_250_000)),
            "2025-11-23T10:00:00.250Z",
        ),
        (ValueType::Text, Value::Text("größe".into()), "größe"),
        (ValueType::Bytes, Value::Bytes([0x1f, 0xa0].into()), "1fa0"),
    ];
    for (of, value, text) in cases {
        assert_eq!(of.show(&value).to_string(), text);
        assert_eq!(of.parse(text), Ok(value), "{text}");
    }
    assert_eq!(U8.parse("0x1f"), Ok(Value::Unsigned(31)));
    assert_eq!(ValueType::Bool.parse("off"), Ok(Value::Bool(false)));
}

#[test]
fn structures_are_shown_with_their_names() {
    let of = ValueType::Record(Box::new([
        ("x".parse().unwrap(), TENTH),
        ("l".parse().unwrap(), ValueType::List(Box::new(U8))),
    ]));
    let list = Value::List([Value::Unsigned(1), Value::Unsigned(2)].into());
    let value = Value::Record([Value::Decimal(15), list].into());
    assert_eq!(of.show(&value).to_string(), "{x: 1.5, l: [1, 2]}");
    assert_eq!(of.parse("{}"), Err(TextError::NoText));
}
