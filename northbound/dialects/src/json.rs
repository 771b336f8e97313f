//! JSON straight into a byte buffer: what the hot path writes. No map, no allocation, no `fmt` per value.

use std::io::Write as _;

use twin::{Timestamp, Value, ValueType};

/// The largest integer that every JSON reader holds exactly: 2^53 - 1 (RFC 7493 §2.2).
pub(crate) const SAFE: u64 = (1 << 53) - 1;

/// A text between quotes, escaped (RFC 8259 §7).
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut plain = 0;
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..0x20 => b"",
            _ => continue,
        };
        out.extend_from_slice(bytes.get(plain..at).unwrap_or_default());
        match escape {
            b"" => out.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(*byte)]),
            _ => out.extend_from_slice(escape),
        }
        plain = at + 1;
    }
    out.extend_from_slice(bytes.get(plain..).unwrap_or_default());
    out.push(b'"');
}

/// An integer; a string of its digits beyond 2^53 - 1.
pub(crate) fn unsigned(out: &mut Vec<u8>, v: u64) {
    quoted(out, v > SAFE, |out| {
        out.extend_from_slice(itoa::Buffer::new().format(v).as_bytes());
    });
}

/// An integer; a string of its digits beyond ±(2^53 - 1).
pub(crate) fn signed(out: &mut Vec<u8>, v: i64) {
    quoted(out, v.unsigned_abs() > SAFE, |out| {
        out.extend_from_slice(itoa::Buffer::new().format(v).as_bytes());
    });
}

/// An integer that is known to be small: an epoch, a sequence number, microseconds since boot.
pub(crate) fn number(out: &mut Vec<u8>, v: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(v).as_bytes());
}

/// `raw × 10^exponent` with all its digits: 2300 and -1 are `230.0`. A string where `raw` is beyond ±(2^53 - 1).
pub(crate) fn decimal(out: &mut Vec<u8>, raw: i64, exponent: i8) {
    quoted(out, raw.unsigned_abs() > SAFE, |out| {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(raw.unsigned_abs()).as_bytes();
        if raw < 0 {
            out.push(b'-');
        }
        let places = usize::from(exponent.unsigned_abs());
        if exponent >= 0 {
            out.extend_from_slice(digits);
            out.resize(out.len() + if raw == 0 { 0 } else { places }, b'0');
        } else if let Some((whole, fraction)) =
            digits.len().checked_sub(places).and_then(|at| digits.split_at_checked(at))
        {
            out.extend_from_slice(if whole.is_empty() { b"0" } else { whole });
            out.push(b'.');
            out.extend_from_slice(fraction);
        } else {
            out.extend_from_slice(b"0.");
            out.resize(out.len() + places - digits.len(), b'0');
            out.extend_from_slice(digits);
        }
    });
}

/// The shortest digits that read back as this number; `null` and `false` where it is none.
pub(crate) fn float(out: &mut Vec<u8>, of: &ValueType, v: f64) -> bool {
    if !v.is_finite() {
        out.extend_from_slice(b"null");
        return false;
    }
    let mut buffer = zmij::Buffer::new();
    #[expect(clippy::cast_possible_truncation, reason = "32-bit values are held exactly")]
    let digits = match of {
        ValueType::F32 => buffer.format_finite(v as f32),
        _ => buffer.format_finite(v),
    };
    out.extend_from_slice(digits.as_bytes());
    true
}

/// An instant in UTC (RFC 3339) between quotes.
pub(crate) fn time(out: &mut Vec<u8>, at: Timestamp) {
    out.push(b'"');
    match at.text() {
        Some(text) => out.extend_from_slice(text.as_bytes()),
        // Writing into a Vec cannot fail.
        None => {
            write!(out, "{at}").ok();
        }
    }
    out.push(b'"');
}

/// Bytes as pairs of hex digits between quotes.
pub(crate) fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    out.extend(bytes.iter().flat_map(|byte| [hex(byte >> 4), hex(*byte)]));
    out.push(b'"');
}

/// A value of this type; `false` where a number in it is none and `null` stands in its place.
pub(crate) fn value(out: &mut Vec<u8>, of: &ValueType, value: &Value) -> bool {
    match (value, of) {
        (Value::Bool(v), _) => out.extend_from_slice(if *v { b"true" } else { b"false" }),
        (Value::Signed(v), _) => signed(out, *v),
        (Value::Unsigned(v), _) => unsigned(out, *v),
        (Value::Decimal(raw), of) => decimal(out, *raw, of.exponent()),
        (Value::Float(v), of) => return float(out, of, *v),
        (Value::Time(v), _) => time(out, *v),
        (Value::Text(v), _) => string(out, v),
        (Value::Bytes(v), _) => bytes(out, v),
        (Value::List(values), ValueType::List(of)) => {
            return list(out, *b"[]", values.iter(), |out, v| self::value(out, of, v));
        }
        (Value::Record(values), ValueType::Record(fields)) => {
            return list(out, *b"{}", fields.iter().zip(values.iter()), |out, ((name, of), v)| {
                string(out, name.as_str());
                out.push(b':');
                self::value(out, of, v)
            });
        }
        (Value::List(_) | Value::Record(_), _) => {
            out.extend_from_slice(b"null");
            return false;
        }
    }
    true
}

/// Items between brackets, separated by commas; `false` where an item said so.
pub(crate) fn list<T>(
    out: &mut Vec<u8>,
    [open, close]: [u8; 2],
    items: impl Iterator<Item = T>,
    mut item: impl FnMut(&mut Vec<u8>, T) -> bool,
) -> bool {
    let mut whole = true;
    out.push(open);
    for (n, it) in items.enumerate() {
        if n > 0 {
            out.push(b',');
        }
        whole &= item(out, it);
    }
    out.push(close);
    whole
}

fn quoted(out: &mut Vec<u8>, quote: bool, write: impl FnOnce(&mut Vec<u8>)) {
    if quote {
        out.push(b'"');
    }
    write(out);
    if quote {
        out.push(b'"');
    }
}

fn hex(nibble: u8) -> u8 {
    let nibble = nibble & 15;
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use twin::IntKind;

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn decimals_keep_their_digits() {
        for (raw, exponent, text) in [
            (2300, -1, "230.0"),
            (-5, -1, "-0.5"),
            (5, -3, "0.005"),
            (-123, -3, "-0.123"),
            (0, -2, "0.00"),
            (7, 2, "700"),
            (0, 5, "0"),
            (42, 0, "42"),
            (i64::MIN, -2, "\"-92233720368547758.08\""),
        ] {
            assert_eq!(written(|out| decimal(out, raw, exponent)), text);
        }
    }

    #[test]
    fn integers_beyond_what_json_readers_hold_are_strings() {
        assert_eq!(written(|out| unsigned(out, SAFE)), "9007199254740991");
        assert_eq!(written(|out| unsigned(out, SAFE + 1)), "\"9007199254740992\"");
        assert_eq!(written(|out| signed(out, i64::MIN)), "\"-9223372036854775808\"");
    }

    #[test]
    fn a_number_that_is_none_is_null() {
        let mut out = Vec::new();
        assert!(!float(&mut out, &ValueType::F64, f64::NAN));
        assert!(!float(&mut out, &ValueType::F32, f64::INFINITY));
        assert!(float(&mut out, &ValueType::F32, f64::from(0.1f32)));
        assert_eq!(out, b"nullnull0.1");
    }

    proptest! {
        #[test]
        fn texts_read_back(text in any::<String>()) {
            let json = written(|out| string(out, &text));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }

        #[test]
        fn floats_read_back(v in any::<f64>()) {
            let json = written(|out| { float(out, &ValueType::F64, v); });
            match v.is_finite() {
                true => prop_assert_eq!(json.parse::<f64>().unwrap().to_bits(), v.to_bits()),
                false => prop_assert_eq!(json, "null"),
            }
            let single = v as f32;
            let json = written(|out| { float(out, &ValueType::F32, f64::from(single)); });
            if single.is_finite() {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&json).unwrap().is_number());
                prop_assert_eq!(json.parse::<f32>().unwrap().to_bits(), single.to_bits());
            }
        }

        #[test]
        fn decimals_read_back(raw in any::<i64>(), exponent in -20i8..20) {
            let of = ValueType::Decimal { raw: IntKind::I64, exponent };
            let json = written(|out| decimal(out, raw, exponent));
            let parsed: serde_json::Value = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(parsed.is_string(), raw.unsigned_abs() > SAFE);
            prop_assert_eq!(of.parse(json.trim_matches('"')), Ok(Value::Decimal(raw)));
        }
    }
}
