//! The value of a command: JSON to the point's own type, exact, or words that say what it should have been.

use serde_json::value::RawValue;
use twin::{PointSpec, Value, ValueType};

/// The value that a JSON text stands for at this point.
///
/// Numbers are read from their digits, never through a binary float; they may also come as strings of digits.
///
/// # Errors
/// What it should have been, in words that can follow the point's name.
pub fn parse(json: &str, of: &PointSpec) -> Result<Value, String> {
    if let Some(text) = text(json)
        && !matches!(of.value_type, ValueType::List(_) | ValueType::Record(_))
    {
        return of.parse(&text).map_err(|error| error.to_string());
    }
    typed(json.trim(), &of.value_type)
}

fn typed(json: &str, of: &ValueType) -> Result<Value, String> {
    let words = |error: twin::TextError| error.to_string();
    if let Some(text) = text(json) {
        return match of {
            ValueType::List(_) | ValueType::Record(_) => Err(wanted(of)),
            _ => of.parse(&text).map_err(words),
        };
    }
    let number = json.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    match of {
        ValueType::Bool if matches!(json, "true" | "false") => of.parse(json).map_err(words),
        ValueType::Int(_) | ValueType::Decimal { .. } | ValueType::F32 | ValueType::F64
            if number =>
        {
            of.parse(json).map_err(words)
        }
        ValueType::List(item) => {
            let items: Vec<&RawValue> = serde_json::from_str(json).map_err(|_| wanted(of))?;
            let items: Result<Vec<Value>, String> =
                items.iter().map(|raw| typed(raw.get(), item)).collect();
            Ok(Value::List(items?.into()))
        }
        ValueType::Record(fields) => {
            let mut given: std::collections::BTreeMap<String, &RawValue> =
                serde_json::from_str(json).map_err(|_| wanted(of))?;
            let mut values = Vec::with_capacity(fields.len());
            for (name, of) in fields {
                let raw = given.remove(name.as_str());
                let raw = raw.ok_or_else(|| format!("the field `{name}` is missing"))?;
                values.push(typed(raw.get(), of).map_err(|error| format!("`{name}`: {error}"))?);
            }
            match given.keys().next() {
                Some(unknown) => Err(format!("there is no field `{unknown}`")),
                None => Ok(Value::Record(values.into())),
            }
        }
        _ => Err(wanted(of)),
    }
}

fn text(json: &str) -> Option<String> {
    json.trim_start().starts_with('"').then(|| serde_json::from_str(json).ok()).flatten()
}

fn wanted(of: &ValueType) -> String {
    let what = match of {
        ValueType::Bool => "true or false",
        ValueType::Int(_) => "a whole number",
        ValueType::Decimal { .. } | ValueType::F32 | ValueType::F64 => "a number",
        ValueType::Time => "a text such as \"2026-11-23T10:00:00Z\"",
        ValueType::Text => "a text",
        ValueType::Bytes => "a text of pairs of hex digits",
        ValueType::List(_) => "a list",
        ValueType::Record(_) => "an object with the point's fields",
    };
    format!("this is not {what}")
}

/// Reads hostile bytes as a value of every kind of type; must never panic.
#[doc(hidden)]
pub fn fuzz_one(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for of in [
        ValueType::Bool,
        ValueType::Int(twin::IntKind::I64),
        ValueType::Decimal { raw: twin::IntKind::I16, exponent: -2 },
        ValueType::F32,
        ValueType::F64,
        ValueType::Time,
        ValueType::Text,
        ValueType::Bytes,
        ValueType::List(Box::new(ValueType::F64)),
    ] {
        if let Ok(value) = typed(text, &of) {
            assert!(of.admits(&value), "{text} became {value:?}, which is not {of:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use twin::IntKind;

    use super::*;

    const TENTH: ValueType = ValueType::Decimal { raw: IntKind::I16, exponent: -1 };

    #[test]
    fn json_becomes_exactly_the_type() {
        let cases = [
            ("21.5", TENTH, Value::Decimal(215)),
            ("\"21.5\"", TENTH, Value::Decimal(215)),
            ("2.15e1", TENTH, Value::Decimal(215)),
            ("\"18446744073709551615\"", ValueType::Int(IntKind::U64), Value::Unsigned(u64::MAX)),
            ("true", ValueType::Bool, Value::Bool(true)),
            ("\"a\\n\"", ValueType::Text, Value::Text("a\n".into())),
            (
                "[1, 2]",
                ValueType::List(Box::new(TENTH)),
                Value::List([10, 20].map(Value::Decimal).into()),
            ),
        ];
        for (json, of, value) in cases {
            assert_eq!(typed(json, &of), Ok(value), "{json}");
        }
    }

    #[test]
    fn what_does_not_fit_is_said_in_words() {
        let words = |json, of| typed(json, &of).unwrap_err();
        assert_eq!(words("21.55", TENTH), "the point has steps of 0.1");
        assert_eq!(words("true", TENTH), "this is not a number");
        assert_eq!(words("1", ValueType::Bool), "this is not true or false");
        assert_eq!(words("null", ValueType::Text), "this is not a text");
        assert_eq!(words("300", ValueType::Int(IntKind::U8)), "the point holds 0 to 255");
        let of = ValueType::Record(Box::new([("x".parse().unwrap(), TENTH)]));
        assert_eq!(words("{}", of.clone()), "the field `x` is missing");
        assert_eq!(words("{\"x\":1,\"y\":2}", of.clone()), "there is no field `y`");
        assert_eq!(words("{\"x\":0.01}", of), "`x`: the point has steps of 0.1");
    }

    proptest! {
        #[test]
        fn hostile_bytes_do_not_panic(data in proptest::collection::vec(any::<u8>(), 0..64)) {
            fuzz_one(&data);
        }

        #[test]
        fn nearly_json_does_not_panic(text in "[-+0-9eE.\\[\\]{}\", a-f:]{0,40}") {
            fuzz_one(text.as_bytes());
        }

        #[test]
        fn what_is_written_is_read(raw in any::<i16>(), v in any::<f64>()) {
            let mut out = Vec::new();
            crate::json::value(&mut out, &TENTH, &Value::Decimal(i64::from(raw)));
            let json = String::from_utf8(out).unwrap();
            prop_assert_eq!(typed(&json, &TENTH), Ok(Value::Decimal(i64::from(raw))));
            if v.is_finite() {
                let mut out = Vec::new();
                crate::json::value(&mut out, &ValueType::F64, &Value::Float(v));
                prop_assert_eq!(typed(std::str::from_utf8(&out).unwrap(), &ValueType::F64), Ok(Value::Float(v)));
            }
        }
    }
}
