//! Scalars with a unit, written as text: `"500ms"`, `"64MiB"`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

/// The JSON schema formats that [`crate::parse`] checks.
pub(crate) const DURATION: &str = "gatewayd-duration";
pub(crate) const BYTE_SIZE: &str = "gatewayd-byte-size";

/// Why a text is no [`Duration`] or [`ByteSize`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScalarError {
    /// It is not a number followed by a unit.
    #[error("{0} is a number and a unit, as in {1}")]
    Form(&'static str, &'static str),
    /// It has another unit.
    #[error("the unit {0:?} is not known; use one of {1}")]
    Unit(String, &'static str),
    /// It does not fit.
    #[error("the value is too large")]
    Large,
}

/// A span of time, written as a whole number and `us`, `ms`, `s`, `min`, `h` or `d`: `"500ms"`; a bare `0` is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(u64);

/// A number of bytes, written as a whole number and `B`, `KiB`, `MiB`, `GiB`, `kB`, `MB` or `GB`: `"64MiB"`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

pub(crate) const TIMES: &[(&str, u64)] = &[
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("min", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
];

pub(crate) const SIZES: &[(&str, u64)] = &[
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

impl Duration {
    /// So many microseconds.
    #[must_use]
    pub const fn from_micros(n: u64) -> Self {
        Self(n)
    }

    /// So many milliseconds.
    #[must_use]
    pub const fn millis(n: u64) -> Self {
        Self(n * 1_000)
    }

    /// So many seconds.
    #[must_use]
    pub const fn seconds(n: u64) -> Self {
        Self(n * 1_000_000)
    }

    /// In microseconds; fits any `i64` clock.
    #[must_use]
    pub fn micros(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// As the standard library has it.
    #[must_use]
    pub const fn std(self) -> std::time::Duration {
        std::time::Duration::from_micros(self.0)
    }
}

impl ByteSize {
    /// So many bytes.
    #[must_use]
    pub const fn bytes(n: u64) -> Self {
        Self(n)
    }

    /// So many mebibytes.
    #[must_use]
    pub const fn mebibytes(n: u64) -> Self {
        Self(n << 20)
    }

    /// In bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// A thousand years in microseconds, so that sums of two never overflow an `i64`.
const LONGEST: u64 = 1_000 * 366 * 86_400_000_000;

/// A regular expression of what [`number_with_unit`] takes.
pub(crate) fn pattern(units: &[(&str, u64)]) -> String {
    let units: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
    format!(r"^\s*(0|[0-9]+\s*({}))\s*$", units.join("|"))
}

fn number_with_unit(
    text: &str,
    units: &[(&str, u64)],
    form: ScalarError,
    known: &'static str,
) -> Result<u64, ScalarError> {
    let text = text.trim();
    if text == "0" {
        return Ok(0);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start();
    if number.is_empty() || !unit.chars().all(char::is_alphabetic) || unit.is_empty() {
        return Err(form);
    }
    let number: u64 = number.parse().map_err(|_| ScalarError::Large)?;
    let short = || ScalarError::Unit(unit.chars().take(20).collect(), known);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit).ok_or_else(short)?;
    number.checked_mul(*factor).ok_or(ScalarError::Large)
}

impl FromStr for Duration {
    type Err = ScalarError;

    fn from_str(text: &str) -> Result<Self, ScalarError> {
        let form = ScalarError::Form("a duration", "\"500ms\", \"10s\", \"5min\"");
        let micros = number_with_unit(text, TIMES, form, "us, ms, s, min, h, d")?;
        if micros > LONGEST { Err(ScalarError::Large) } else { Ok(Self(micros)) }
    }
}

impl FromStr for ByteSize {
    type Err = ScalarError;

    fn from_str(text: &str) -> Result<Self, ScalarError> {
        let form = ScalarError::Form("a size", "\"64MiB\", \"2GiB\"");
        number_with_unit(text, SIZES, form, "B, KiB, MiB, GiB, TiB, kB, MB, GB").map(Self)
    }
}

fn show(f: &mut fmt::Formatter<'_>, n: u64, units: &[(&str, u64)]) -> fmt::Result {
    let divides = |(_, factor): &&(&str, u64)| n != 0 && n.is_multiple_of(*factor);
    let unit = units.iter().filter(divides).max_by_key(|(_, factor)| *factor);
    match unit {
        Some((name, factor)) => write!(f, "{}{name}", n / factor),
        None => f.write_str("0"),
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, self.0, TIMES)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, self.0, SIZES)
    }
}

macro_rules! text_scalar {
    ($name:ident, $format:expr, $description:expr) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": $format, "description": $description })
            }
        }
    };
}

text_scalar!(Duration, DURATION, "A number and a unit: us, ms, s, min, h, d.");
text_scalar!(ByteSize, BYTE_SIZE, "A number and a unit: B, KiB, MiB, GiB, kB, MB, GB.");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!("500ms".parse::<Duration>().unwrap().micros(), 500_000);
        assert_eq!("5 min".parse::<Duration>().unwrap(), Duration::seconds(300));
        assert_eq!("0".parse::<Duration>().unwrap(), Duration::default());
        assert!(matches!("5".parse::<Duration>(), Err(ScalarError::Form(..))));
        assert!(matches!("-5s".parse::<Duration>(), Err(ScalarError::Form(..))));
        assert!(matches!("1.5s".parse::<Duration>(), Err(ScalarError::Form(..))));
        assert!(matches!("5m".parse::<Duration>(), Err(ScalarError::Unit(..))));
        assert_eq!("99999999999999999999s".parse::<Duration>(), Err(ScalarError::Large));
        assert_eq!("18446744073709551615us".parse::<Duration>(), Err(ScalarError::Large));
        assert_eq!(Duration::seconds(90).to_string(), "90s");
        assert_eq!(Duration::millis(1_500).to_string(), "1500ms");
    }

    #[test]
    fn sizes() {
        assert_eq!("64MiB".parse::<ByteSize>().unwrap(), ByteSize::mebibytes(64));
        assert_eq!("64MB".parse::<ByteSize>().unwrap().get(), 64_000_000);
        assert!(matches!("64M".parse::<ByteSize>(), Err(ScalarError::Unit(..))));
        assert_eq!(ByteSize::mebibytes(2048).to_string(), "2GiB");
    }
}
