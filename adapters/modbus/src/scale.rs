//! Scaled decimals in exact arithmetic: `value = raw × factor + offset`, kept as an integer and a power of ten.

use std::str::FromStr;

use twin::{IntKind, ValueType};

/// A decimal number as written: `mantissa × 10^exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decimal {
    /// The digits.
    pub mantissa: i64,
    /// The power of ten.
    pub exponent: i8,
}

/// Why a text is no decimal number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no decimal number that can be kept exactly: write digits with at most 18 of them, such as \"0.1\" or \"-40\""
)]
pub struct DecimalError(String);

impl Decimal {
    /// One.
    pub const ONE: Self = Self { mantissa: 1, exponent: 0 };
    /// Zero.
    pub const ZERO: Self = Self { mantissa: 0, exponent: 0 };

    /// The nearest double, for values that are floating point on the wire.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        twin::Value::Decimal(self.mantissa)
            .as_f64(&ValueType::Decimal { raw: IntKind::I64, exponent: self.exponent })
            .unwrap_or(0.0)
    }

    /// The mantissa that the same number has at another, not larger exponent.
    fn at(self, exponent: i8) -> Option<i64> {
        if self.mantissa == 0 {
            return Some(0);
        }
        let up = u32::try_from(i32::from(self.exponent) - i32::from(exponent)).ok()?;
        self.mantissa.checked_mul(10i64.checked_pow(up)?)
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let error = || DecimalError(text.into());
        let (number, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let power: i32 = power.parse().map_err(|_| error())?;
        let unsigned = number.strip_prefix(['-', '+']).unwrap_or(number);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || digits.len() > 18 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(error());
        }
        let mut mantissa: i64 = digits.parse().map_err(|_| error())?;
        let places = i32::try_from(fraction.len()).map_err(|_| error())?;
        let mut exponent = power.checked_sub(places).ok_or_else(error)?;
        while mantissa != 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            exponent = exponent.saturating_add(1);
        }
        if mantissa == 0 {
            return Ok(Self::ZERO);
        }
        let exponent =
            i8::try_from(exponent).ok().filter(|e| e.unsigned_abs() <= 18).ok_or_else(error)?;
        Ok(Self { mantissa: if number.starts_with('-') { -mantissa } else { mantissa }, exponent })
    }
}

/// `value = raw × factor + offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scale {
    /// What one step of the raw number is worth.
    pub factor: Decimal,
    /// What a raw 0 stands for.
    pub offset: Decimal,
}

impl Scale {
    /// The value is the raw number.
    pub const NONE: Self = Self { factor: Decimal::ONE, offset: Decimal::ZERO };
}

/// A scale made ready: `kept = raw × times + plus`, and the value is `kept × 10^exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exact {
    times: i64,
    plus: i64,
    exponent: i8,
}

impl Exact {
    /// `None` where the factor is zero or the two numbers are too far apart to be kept exactly in 64 bits.
    pub(crate) fn new(scale: Scale) -> Option<Self> {
        let Scale { factor, offset } = scale;
        if factor.mantissa == 0 {
            return None;
        }
        let exponent = if offset.mantissa == 0 {
            factor.exponent
        } else {
            factor.exponent.min(offset.exponent)
        };
        Some(Self { times: factor.at(exponent)?, plus: offset.at(exponent)?, exponent })
    }

    /// The type of the kept number for raw numbers from `low` to `high`: the narrowest integer that holds them all.
    pub(crate) fn value_type(self, low: i128, high: i128) -> ValueType {
        let ends = [low, high].map(|raw| raw * i128::from(self.times) + i128::from(self.plus));
        let (low, high) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
        // A kept number that 64 bits do not hold is not kept: its reading is bad.
        let raw = if i128::from(i64::MIN) <= low && high <= i128::from(i64::MAX) {
            IntKind::holding(low, high).unwrap_or(IntKind::I64)
        } else {
            IntKind::I64
        };
        ValueType::Decimal { raw, exponent: self.exponent }
    }

    /// The kept number of a raw one; `None` where 64 bits do not hold it.
    pub(crate) fn keep(self, raw: i128) -> Option<i64> {
        match i64::try_from(raw) {
            Ok(raw) => raw.checked_mul(self.times)?.checked_add(self.plus),
            Err(_) => i64::try_from(raw * i128::from(self.times) + i128::from(self.plus)).ok(),
        }
    }

    /// The raw number nearest to a kept one, halves away from zero.
    pub(crate) fn raw(self, kept: i64) -> i128 {
        let (steps, times) = (i128::from(kept) - i128::from(self.plus), i128::from(self.times));
        let (whole, rest) = (steps / times, steps % times);
        if rest.abs() * 2 >= times.abs() { whole + steps.signum() * times.signum() } else { whole }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(factor: &str, offset: &str) -> Exact {
        Exact::new(Scale { factor: factor.parse().unwrap(), offset: offset.parse().unwrap() })
            .unwrap()
    }

    #[test]
    fn a_decimal_is_read_as_written() {
        for (text, mantissa, exponent) in [
            ("0.1", 1, -1),
            ("0.05", 5, -2),
            ("-40", -4, 1),
            ("1e-3", 1, -3),
            ("2.50", 25, -1),
            ("0", 0, 0),
        ] {
            assert_eq!(text.parse(), Ok(Decimal { mantissa, exponent }), "{text}");
        }
        for text in
            ["", ".", "-", "1,5", "0x10", "1e400", "nan", "1234567890123456789", "1e99999999999"]
        {
            assert!(text.parse::<Decimal>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_tenth_keeps_the_raw_integer() {
        let tenth = exact("0.1", "0");
        assert_eq!(
            tenth.value_type(-32_768, 32_767),
            ValueType::Decimal { raw: IntKind::I16, exponent: -1 }
        );
        assert_eq!((tenth.keep(235), tenth.raw(235)), (Some(235), 235));
    }

    #[test]
    fn a_power_of_ten_keeps_the_raw_integer() {
        let kept = ValueType::Decimal { raw: IntKind::U16, exponent: 1 };
        assert_eq!(exact("10", "0").value_type(0, 65_535), kept);
    }

    #[test]
    fn a_step_and_an_offset_stay_exact() {
        let scale = exact("0.05", "-40");
        assert_eq!(scale.keep(1), Some(-3995));
        assert_eq!(
            scale.value_type(0, 65_535),
            ValueType::Decimal { raw: IntKind::I32, exponent: -2 }
        );
        assert_eq!(scale.raw(-3993), 1, "the nearest step");
        assert_eq!(scale.raw(-3992), 2, "the nearest step");
        assert_eq!(exact("-0.5", "0").raw(5), -1);
    }

    #[test]
    fn what_does_not_fit_is_not_kept() {
        let scale = exact("0.05", "0");
        assert_eq!(scale.keep(i128::from(u64::MAX)), None);
        assert_eq!(
            scale.value_type(0, i128::from(u64::MAX)),
            ValueType::Decimal { raw: IntKind::I64, exponent: -2 }
        );
        let far = Scale { factor: "1e18".parse().unwrap(), offset: "1e-18".parse().unwrap() };
        assert!(Exact::new(far).is_none());
        assert!(Exact::new(Scale { factor: Decimal::ZERO, offset: Decimal::ZERO }).is_none());
    }
}
