//! Values as people write and read them: `21.5`, `on`, `0x1f`, `auto`, `2026-11-23T10:00:00.250Z`.
//!
//! Exact: a decimal is never taken through a binary float, and what does not fit a type is said in words.

use std::fmt;
use std::sync::Arc;

use crate::{IntKind, PointSpec, Timestamp, Value, ValueType};

/// Why a text is no value of a type. Its words say what would be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextError {
    /// It is something else than this.
    Not(&'static str),
    /// It lies outside what the type holds.
    Outside {
        /// The smallest value, as text.
        low: Arc<str>,
        /// The largest value, as text.
        high: Arc<str>,
    },
    /// It is finer than the type's step of ten to this power.
    TooFine(i8),
    /// Values of this type have no text form.
    NoText,
    /// It is none of these labels and no number.
    NoLabel(Arc<str>),
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Not(what) => write!(f, "this is not {what}"),
            Self::Outside { low, high } => write!(f, "the point holds {low} to {high}"),
            Self::TooFine(exponent) => {
                let step = ValueType::Decimal { raw: IntKind::I64, exponent: *exponent };
                write!(f, "the point has steps of {}", step.show(&Value::Decimal(1)))
            }
            Self::NoText => f.write_str("values of this type cannot be given as text"),
            Self::NoLabel(labels) => write!(f, "this is neither a number nor one of {labels}"),
        }
    }
}

impl std::error::Error for TextError {}

impl ValueType {
    /// The value that a text stands for.
    ///
    /// # Errors
    /// What the text should have been.
    pub fn parse(&self, text: &str) -> Result<Value, TextError> {
        match self {
            Self::Bool => match text {
                "true" | "on" | "1" => Ok(Value::Bool(true)),
                "false" | "off" | "0" => Ok(Value::Bool(false)),
                _ => Err(TextError::Not("true or false")),
            },
            Self::Int(kind) => {
                let hex = text.strip_prefix("0x").map(|digits| i128::from_str_radix(digits, 16));
                let raw = match hex {
                    Some(parsed) => parsed.map_err(|_| TextError::Not("a whole number"))?,
                    None => exact(text, 0)?,
                };
                let raw = within(self, *kind, raw)?;
                Ok(if kind.signed() {
                    Value::Signed(i64::try_from(raw).unwrap_or_default())
                } else {
                    Value::Unsigned(u64::try_from(raw).unwrap_or_default())
                })
            }
            Self::Decimal { raw, exponent } => {
                let exact = within(self, *raw, exact(text, *exponent)?)?;
                // A raw u64 beyond i64 cannot be held; `within` already bounds it by the value's own width.
                i64::try_from(exact)
                    .map(Value::Decimal)
                    .map_err(|_| TextError::Not("a number that fits 64 bits"))
            }
            Self::F32 => match text.parse::<f32>() {
                Ok(v) if v.is_finite() => Ok(Value::Float(f64::from(v))),
                _ => Err(TextError::Not("a finite 32-bit number")),
            },
            Self::F64 => match text.parse::<f64>() {
                Ok(v) if v.is_finite() => Ok(Value::Float(v)),
                _ => Err(TextError::Not("a finite number")),
            },
            Self::Time => Timestamp::parse(text)
                .map(Value::Time)
                .ok_or(TextError::Not("a UTC time such as 2026-11-23T10:00:00Z")),
            Self::Text => Ok(Value::Text(text.into())),
            Self::Bytes => {
                bytes(text).map(Value::Bytes).ok_or(TextError::Not("pairs of hex digits"))
            }
            Self::List(_) | Self::Record(_) => Err(TextError::NoText),
        }
    }

    /// The value as people read it, without unit.
    #[must_use]
    pub fn show<'a>(&'a self, value: &'a Value) -> Shown<'a> {
        Shown { of: self, value, labels: &[] }
    }
}

impl PointSpec {
    /// The value that a text stands for: one of the point's labels, or as [`ValueType::parse`] reads it.
    ///
    /// # Errors
    /// What the text should have been.
    pub fn parse(&self, text: &str) -> Result<Value, TextError> {
        if let Some((raw, _)) = self.labels.iter().find(|(_, label)| **label == *text)
            && let Some(value) = numbered(&self.value_type, *raw)
        {
            return Ok(value);
        }
        self.value_type.parse(text).map_err(|error| {
            if self.labels.is_empty() || !matches!(error, TextError::Not(_)) {
                return error;
            }
            let labels: Vec<&str> = self.labels.iter().map(|(_, label)| &**label).collect();
            TextError::NoLabel(labels.join(", ").into())
        })
    }

    /// The value as people read it, with its label and without its unit.
    #[must_use]
    pub fn show<'a>(&'a self, value: &'a Value) -> Shown<'a> {
        Shown { of: &self.value_type, value, labels: &self.labels }
    }

    /// The label of a value of this point, if it has one.
    #[must_use]
    pub fn label(&self, value: &Value) -> Option<&Arc<str>> {
        label(&self.labels, value)
    }
}

/// A value on its way to a reader.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    of: &'a ValueType,
    value: &'a Value,
    labels: &'a [(i64, Arc<str>)],
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(label) = label(self.labels, self.value) {
            return write!(f, "{label} ({})", self.of.show(self.value));
        }
        match (self.value, self.of) {
            (Value::Bool(v), _) => write!(f, "{v}"),
            (Value::Signed(v), _) => write!(f, "{v}"),
            (Value::Unsigned(v), _) => write!(f, "{v}"),
            (Value::Decimal(raw), of) => decimal(f, *raw, of.exponent()),
            #[expect(clippy::cast_possible_truncation, reason = "32-bit values are held exactly")]
            (Value::Float(v), ValueType::F32) => write!(f, "{:?}", *v as f32),
            (Value::Float(v), _) => write!(f, "{v:?}"),
            (Value::Time(v), _) => write!(f, "{v}"),
            (Value::Text(v), _) => f.write_str(v),
            (Value::Bytes(v), _) => v.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            (Value::List(values), ValueType::List(of)) => {
                f.write_str("[")?;
                for (i, value) in values.iter().enumerate() {
                    write!(f, "{}{}", if i == 0 { "" } else { ", " }, of.show(value))?;
                }
                f.write_str("]")
            }
            (Value::Record(values), ValueType::Record(fields)) => {
                f.write_str("{")?;
                for (i, ((name, of), value)) in fields.iter().zip(values.iter()).enumerate() {
                    write!(f, "{}{name}: {}", if i == 0 { "" } else { ", " }, of.show(value))?;
                }
                f.write_str("}")
            }
            (Value::List(_) | Value::Record(_), _) => f.write_str("?"),
        }
    }
}

/// `raw × 10^exponent` with all its digits: 2300 and -1 are `230.0`.
fn decimal(f: &mut fmt::Formatter<'_>, raw: i64, exponent: i8) -> fmt::Result {
    let (sign, digits) = (if raw < 0 { "-" } else { "" }, raw.unsigned_abs());
    let Ok(places) = usize::try_from(-i32::from(exponent)) else {
        let zeros = if raw == 0 { 0 } else { usize::from(exponent.unsigned_abs()) };
        return write!(f, "{sign}{digits}{:0<zeros$}", "");
    };
    if places == 0 {
        return write!(f, "{sign}{digits}");
    }
    let text = format!("{digits:0>width$}", width = places + 1);
    let (whole, fraction) = text.split_at(text.len() - places);
    write!(f, "{sign}{whole}.{fraction}")
}

fn label<'a>(labels: &'a [(i64, Arc<str>)], value: &Value) -> Option<&'a Arc<str>> {
    let raw = match value {
        Value::Bool(v) => i64::from(*v),
        Value::Signed(v) | Value::Decimal(v) => *v,
        Value::Unsigned(v) => i64::try_from(*v).ok()?,
        _ => return None,
    };
    labels.iter().find(|(number, _)| *number == raw).map(|(_, label)| label)
}

fn numbered(of: &ValueType, raw: i64) -> Option<Value> {
    let value = match of {
        ValueType::Bool => Value::Bool(raw != 0),
        ValueType::Int(kind) if kind.signed() => Value::Signed(raw),
        ValueType::Int(_) => Value::Unsigned(u64::try_from(raw).ok()?),
        ValueType::Decimal { .. } => Value::Decimal(raw),
        _ => return None,
    };
    of.admits(&value).then_some(value)
}

fn within(of: &ValueType, kind: IntKind, raw: i128) -> Result<i128, TextError> {
    let (low, high) = kind.bounds();
    if low <= raw && raw <= high {
        return Ok(raw);
    }
    let text = |raw: i128| -> Arc<str> {
        match (of, i64::try_from(raw)) {
            (ValueType::Decimal { .. }, Ok(raw)) => of.show(&Value::Decimal(raw)).to_string(),
            _ => raw.to_string(),
        }
        .into()
    };
    Err(TextError::Outside { low: text(low), high: text(high) })
}

/// The integer that, times `10^exponent`, is exactly the number written in `text`.
fn exact(text: &str, exponent: i8) -> Result<i128, TextError> {
    const NOT: TextError = TextError::Not("a number");
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, power) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let power: i32 = power.parse().map_err(|_| NOT)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return Err(NOT);
    }
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return Ok(0);
    }
    let trailing = digits.len() - digits.trim_end_matches('0').len();
    let scale = power
        .saturating_add(i32::try_from(trailing).unwrap_or(i32::MAX))
        .saturating_sub(i32::try_from(fraction.len()).unwrap_or(i32::MAX));
    let shift = scale.saturating_sub(i32::from(exponent));
    let shift = u32::try_from(shift).map_err(|_| TextError::TooFine(exponent))?;
    let huge = TextError::Not("a number that fits 64 bits");
    if significant.len() > 38 {
        return Err(huge);
    }
    let number: i128 = significant.parse().map_err(|_| NOT)?;
    let number = 10i128.checked_pow(shift).and_then(|p| number.checked_mul(p)).ok_or(huge)?;
    Ok(if negative { -number } else { number })
}

fn bytes(text: &str) -> Option<Arc<[u8]>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let digits = digits.filter(|d| d.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |sum, d| sum << 4 | d)).collect())
}

#[cfg(test)]
mod tests;
