//! A format in words, for those who ask why a value is what it is.

use std::fmt;

use crate::format::{Format, Int, Kind, TimeLayout, TimeUnit, Whole};
use crate::{Decimal, Scale};

impl fmt::Display for Format {
    /// As the keys of a device file say it: `i16, scale 0.1`, `bit 3 of u16`, `u32, order CDAB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if let Some(order) = self.order {
            write!(f, ", order {order}")?;
        }
        if let Some(Scale { factor, offset }) = self.scale {
            write!(f, ", scale {factor}")?;
            if offset != Decimal::ZERO {
                write!(f, ", offset {offset}")?;
            }
        }
        if let Some(at) = self.scale_at {
            write!(f, ", power of ten in {at}")?;
        }
        if !self.not_a_value.is_empty() {
            let all: Vec<String> = self.not_a_value.iter().map(|n| format!("0x{n:X}")).collect();
            write!(f, ", not a value: {}", all.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::Int(int) => write!(f, "{int}"),
            Self::F32 => f.write_str("f32"),
            Self::F64 => f.write_str("f64"),
            Self::Bcd16 => f.write_str("bcd16"),
            Self::Bcd32 => f.write_str("bcd32"),
            Self::Bit { of, bit } => write!(f, "bit {bit} of {of}"),
            Self::Bits { of, first, last } => write!(f, "bits {first} to {last} of {of}"),
            Self::Text { registers, .. } => write!(f, "text of {registers} registers"),
            Self::Bytes { registers } => write!(f, "bytes of {registers} registers"),
            Self::Time { layout, zone } => {
                write!(f, "time, {layout}, zone {}", zone.iana_name().unwrap_or("of its own"))
            }
        }
    }
}

impl fmt::Display for Int {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::U8High => "u8-high",
            Self::U8Low => "u8-low",
            Self::I8High => "i8-high",
            Self::I8Low => "i8-low",
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32 => "u32",
            Self::I32 => "i32",
            Self::U48 => "u48",
            Self::I48 => "i48",
            Self::U64 => "u64",
            Self::I64 => "i64",
        })
    }
}

impl fmt::Display for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bits16 => "u16",
            Self::Bits32 => "u32",
        })
    }
}

impl fmt::Display for TimeLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = |unit: &TimeUnit| match unit {
            TimeUnit::Seconds => "seconds",
            TimeUnit::Milliseconds => "milliseconds",
            TimeUnit::Microseconds => "microseconds",
        };
        match self {
            Self::Unix32(of) => write!(f, "{} since 1970 in 32 bits", unit(of)),
            Self::Unix64(of) => write!(f, "{} since 1970 in 64 bits", unit(of)),
            Self::Registers(fields) => write!(f, "{} fields of one register each", fields.len()),
            Self::Bytes(fields) => write!(f, "{} fields of one byte each", fields.len()),
            Self::Iec870 => f.write_str("IEC 870-5-4"),
        }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = twin::ValueType::Decimal { raw: twin::IntKind::I64, exponent: self.exponent };
        write!(f, "{}", of.show(&twin::Value::Decimal(self.mantissa)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_reads_like_the_keys_that_make_it() {
        let scale = Scale { factor: "0.05".parse().unwrap(), offset: "-40".parse().unwrap() };
        let int = Format { scale: Some(scale), ..Format::new(Kind::Int(Int::I16)) };
        assert_eq!(int.to_string(), "i16, scale 0.05, offset -40");
        let order = Some("CDAB".parse().unwrap());
        let wide = Format { order, not_a_value: vec![0x8000], ..Format::new(Kind::F32) };
        assert_eq!(wide.to_string(), "f32, order CDAB, not a value: 0x8000");
        let bit = Format::new(Kind::Bit { of: Whole::Bits16, bit: 3 });
        assert_eq!(bit.to_string(), "bit 3 of u16");
    }
}
