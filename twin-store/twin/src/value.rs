//! Values and their described types.

use std::sync::Arc;

use crate::{Name, Timestamp};

/// A value of a point. What it means (unit, scale, labels) is said once, in the description.
#[derive(Debug, Clone)]
pub enum Value {
    /// True or false.
    Bool(bool),
    /// A signed integer.
    Signed(i64),
    /// An unsigned integer.
    Unsigned(u64),
    /// A binary floating point number; 32-bit ones are held exactly.
    Float(f64),
    /// A decimal number: this many times ten to the exponent of its [`ValueType::Decimal`].
    Decimal(i64),
    /// An instant.
    Time(Timestamp),
    /// A text.
    Text(Arc<str>),
    /// Bytes without further meaning.
    Bytes(Arc<[u8]>),
    /// Values of one type.
    List(Arc<[Self]>),
    /// Values of the fields of a [`ValueType::Record`], in their order.
    Record(Arc<[Self]>),
}

impl PartialEq for Value {
    /// Floats are equal when their bits are: a NaN that stays a NaN is no change.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Signed(a), Self::Signed(b)) | (Self::Decimal(a), Self::Decimal(b)) => a == b,
            (Self::Unsigned(a), Self::Unsigned(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::Time(a), Self::Time(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::List(a), Self::List(b)) | (Self::Record(a), Self::Record(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}

impl Value {
    /// The value as a number for comparisons, deadbands and ranges; `None` where it is no number.
    ///
    /// `of` gives a decimal its exponent. Integers beyond 2^53 lose low bits here, never in the log.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "documented: for comparison only")]
    pub fn as_f64(&self, of: &ValueType) -> Option<f64> {
        match self {
            Self::Bool(b) => Some(f64::from(u8::from(*b))),
            Self::Signed(v) => Some(*v as f64),
            Self::Unsigned(v) => Some(*v as f64),
            Self::Float(v) => Some(*v),
            Self::Decimal(raw) => Some(scaled(*raw, of.exponent())),
            Self::Time(_) | Self::Text(_) | Self::Bytes(_) | Self::List(_) | Self::Record(_) => {
                None
            }
        }
    }
}

/// `raw × 10^exponent`, correctly rounded by dividing where the exponent is negative.
#[expect(clippy::cast_precision_loss, reason = "the nearest double is what is asked for")]
fn scaled(raw: i64, exponent: i8) -> f64 {
    let power = 10f64.powi(i32::from(exponent).abs());
    if exponent < 0 { raw as f64 / power } else { raw as f64 * power }
}

/// The width and sign of an integer as it is kept on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum IntKind {
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
}

impl IntKind {
    /// Bytes that a value of this kind takes on disk.
    #[must_use]
    pub fn width(self) -> usize {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::U32 => 4,
            Self::I64 | Self::U64 => 8,
        }
    }

    /// Whether values of this kind carry a sign.
    #[must_use]
    pub fn signed(self) -> bool {
        matches!(self, Self::I8 | Self::I16 | Self::I32 | Self::I64)
    }

    /// The smallest and the largest value of this kind.
    #[must_use]
    pub fn bounds(self) -> (i128, i128) {
        let bits = self.width() * 8;
        if self.signed() {
            (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
        } else {
            (0, (1 << bits) - 1)
        }
    }

    fn holds_unsigned(self, v: u64) -> bool {
        self.width() == 8 || v >> (8 * self.width()) == 0
    }

    fn holds_signed(self, v: i64) -> bool {
        let spare = 64 - 8 * self.width();
        v << spare >> spare == v
    }

    /// The narrowest kind that holds every value from `low` to `high`, if there is one.
    #[must_use]
    pub fn holding(low: i128, high: i128) -> Option<Self> {
        [Self::U8, Self::I8, Self::U16, Self::I16, Self::U32, Self::I32, Self::U64, Self::I64]
            .into_iter()
            .find(|kind| kind.bounds().0 <= low && high <= kind.bounds().1)
    }
}

/// The described type of a value. It decides how wide the value is on disk, so it never changes under an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueType {
    /// [`Value::Bool`].
    Bool,
    /// [`Value::Signed`] or [`Value::Unsigned`], by the kind's sign.
    Int(IntKind),
    /// [`Value::Float`] that fits in 32 bits.
    F32,
    /// [`Value::Float`].
    F64,
    /// [`Value::Decimal`]: an integer kept as `raw`, times `10^exponent`.
    Decimal {
        /// How the integer is kept.
        raw: IntKind,
        /// The power of ten.
        exponent: i8,
    },
    /// [`Value::Time`].
    Time,
    /// [`Value::Text`].
    Text,
    /// [`Value::Bytes`].
    Bytes,
    /// [`Value::List`] of this.
    List(Box<Self>),
    /// [`Value::Record`] with these fields.
    Record(Box<[(Name, Self)]>),
}

impl ValueType {
    /// The power of ten of a decimal, 0 for everything else.
    #[must_use]
    pub fn exponent(&self) -> i8 {
        if let Self::Decimal { exponent, .. } = self { *exponent } else { 0 }
    }

    /// Whether two values are the same, numbers within a tolerance in the point's unit.
    #[must_use]
    pub fn alike(&self, one: &Value, other: &Value, tolerance: f64) -> bool {
        let near = || {
            one.as_f64(self)
                .zip(other.as_f64(self))
                .is_some_and(|(a, b)| (a - b).abs() <= tolerance)
        };
        one == other || (tolerance > 0.0 && near())
    }

    /// Whether `value` is of this type and within its width.
    #[must_use]
    pub fn admits(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Bool, Value::Bool(_))
            | (Self::F64, Value::Float(_))
            | (Self::Time, Value::Time(_))
            | (Self::Text, Value::Text(_))
            | (Self::Bytes, Value::Bytes(_)) => true,
            (Self::Int(kind), Value::Signed(v)) => kind.signed() && kind.holds_signed(*v),
            (Self::Int(kind), Value::Unsigned(v)) => !kind.signed() && kind.holds_unsigned(*v),
            (Self::Decimal { raw, .. }, Value::Decimal(v)) if raw.signed() => raw.holds_signed(*v),
            (Self::Decimal { raw, .. }, Value::Decimal(v)) => {
                u64::try_from(*v).is_ok_and(|v| raw.holds_unsigned(v))
            }
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the point is to see whether it truncates"
            )]
            (Self::F32, Value::Float(v)) => {
                f64::from(*v as f32).to_bits() == v.to_bits() || v.is_nan()
            }
            (Self::List(of), Value::List(values)) => values.iter().all(|v| of.admits(v)),
            (Self::Record(fields), Value::Record(values)) => {
                fields.len() == values.len()
                    && fields.iter().zip(values.iter()).all(|((_, t), v)| t.admits(v))
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nan_that_stays_is_no_change() {
        assert_eq!(Value::Float(f64::NAN), Value::Float(f64::NAN));
        assert_ne!(Value::Float(0.0), Value::Float(-0.0));
        assert_ne!(Value::Signed(1), Value::Unsigned(1));
    }

    #[test]
    fn a_decimal_reads_as_written() {
        let tenth = ValueType::Decimal { raw: IntKind::I16, exponent: -1 };
        assert_eq!(Value::Decimal(3).as_f64(&tenth), Some(0.3));
        assert_eq!(Value::Decimal(-2305).as_f64(&tenth), Some(-230.5));
    }

    #[test]
    fn the_narrowest_kind_that_holds() {
        assert_eq!(IntKind::holding(0, 255), Some(IntKind::U8));
        assert_eq!(IntKind::holding(-1, 255), Some(IntKind::I16));
        assert_eq!(IntKind::holding(0, 65_536), Some(IntKind::U32));
        assert_eq!(IntKind::holding(-1, i128::from(u64::MAX)), None);
    }

    #[test]
    fn a_type_admits_its_width_and_no_more() {
        assert!(ValueType::Int(IntKind::U8).admits(&Value::Unsigned(255)));
        assert!(!ValueType::Int(IntKind::U8).admits(&Value::Unsigned(256)));
        assert!(!ValueType::Int(IntKind::U8).admits(&Value::Signed(1)));
        assert!(ValueType::F32.admits(&Value::Float(0.5)));
        assert!(!ValueType::F32.admits(&Value::Float(0.1)));
        assert!(ValueType::F32.admits(&Value::Float(f64::NAN)));
    }

    #[test]
    fn integers_are_held_within_the_bounds_of_their_kind() {
        use IntKind::{I8, I16, I32, I64, U8, U16, U32, U64};
        for kind in [I8, I16, I32, I64, U8, U16, U32, U64] {
            let (low, high) = kind.bounds();
            for v in [low - 1, low, -1, 0, 1, high, high + 1] {
                let within = low <= v && v <= high;
                if let Ok(v) = i64::try_from(v) {
                    let of = ValueType::Decimal { raw: kind, exponent: -1 };
                    assert_eq!(of.admits(&Value::Decimal(v)), within, "{kind:?} {v}");
                    let signed = ValueType::Int(kind).admits(&Value::Signed(v));
                    assert_eq!(signed, within && kind.signed(), "{kind:?} {v}");
                }
                if let Ok(v) = u64::try_from(v) {
                    let unsigned = ValueType::Int(kind).admits(&Value::Unsigned(v));
                    assert_eq!(unsigned, within && !kind.signed(), "{kind:?} {v}");
                }
            }
        }
    }
}
