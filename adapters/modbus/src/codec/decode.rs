//! From bytes to a value.

use twin::{Cause, Quality, Value};

use super::{Field, PointCodec, Powered, Ready, mask};
use crate::calendar;
use crate::format::{Characters, Kind, TextPlace};

/// The powers of ten that a device may choose.
const TENS: [f64; 11] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10];

impl PointCodec {
    /// The value that stands in these bytes: exactly the point's registers as they travelled, or one byte 0 or 1.
    ///
    /// Without a value the quality says why; a value is never invented.
    #[must_use]
    pub fn decode(&self, wire: &[u8]) -> (Option<Value>, Quality) {
        // By far the most frequent cases, without the detour over `Bad`.
        if !self.sentinels && wire.len() == usize::from(self.count) * 2 {
            let value = match self.ready {
                Ready::Field(field) => {
                    integer(field, self.order.read(wire) >> field.shift & mask(field.width))
                }
                Ready::Float { wide, scaled: false } => float(wide, self.order.read(wire)),
                _ => None,
            };
            if let Some(value) = value {
                return (Some(value), Quality::GOOD);
            }
        }
        match self.value(wire) {
            Ok(value) => (Some(value), Quality::GOOD),
            Err(Bad::Uncertain(value)) => (Some(value), Quality::uncertain(Cause::Other)),
            Err(Bad::Cause(cause)) => (None, Quality::bad(cause)),
        }
    }

    fn value(&self, wire: &[u8]) -> Result<Value, Bad> {
        if let Ready::Bool = self.ready {
            return match wire {
                [bit] => Ok(Value::Bool(*bit != 0)),
                _ => Err(Bad::Cause(Cause::Malformed)),
            };
        }
        if wire.len() != usize::from(self.count) * 2 {
            return Err(Bad::Cause(Cause::Malformed));
        }
        match self.ready {
            Ready::Field(field) => kept(integer(field, self.field(field, wire)?)),
            Ready::Flag(field) => Ok(Value::Bool(self.field(field, wire)? != 0)),
            Ready::Bcd(exact) => {
                let digits = from_bcd(self.number(wire)?).ok_or(Bad::Cause(Cause::Malformed))?;
                let field = Field { shift: 0, width: 64, signed: false, exact };
                kept(integer(field, digits))
            }
            Ready::Float { wide, scaled } => {
                let value = float(wide, self.number(wire)?).ok_or(Bad::Cause(Cause::NotAValue))?;
                Ok(if scaled { self.scaled(value) } else { value })
            }
            Ready::Powered(powered) => self.powered(powered, wire),
            Ready::Text => self.text(wire).ok_or(Bad::Cause(Cause::Malformed)),
            Ready::Bytes => Ok(Value::Bytes(self.swapped(wire).into())),
            Ready::Time => self.time(wire),
            Ready::Bool => Err(Bad::Cause(Cause::Malformed)),
        }
    }

    /// The number times its power of ten. 8000h is SunSpec's "not implemented"; no device needs more than ten digits.
    fn powered(&self, powered: Powered, wire: &[u8]) -> Result<Value, Bad> {
        let Powered { field, number, power } = powered;
        let part = |at: u8, bytes: usize| {
            let from = usize::from(at) * 2;
            wire.get(from..from + bytes).ok_or(Bad::Cause(Cause::Malformed))
        };
        let raw = self.field(field, part(number, usize::from(field.width) / 8)?)?;
        let power = match part(power, 2)? {
            [high, low] => i16::from_be_bytes([*high, *low]),
            _ => return Err(Bad::Cause(Cause::Malformed)),
        };
        if power == i16::MIN {
            return Err(Bad::Cause(Cause::NotAValue));
        }
        let ten =
            TENS.get(usize::from(power.unsigned_abs())).ok_or(Bad::Cause(Cause::Malformed))?;
        #[expect(clippy::cast_precision_loss, reason = "a double is what such a value is")]
        let raw = match kept(integer(field, raw))? {
            Value::Signed(raw) => raw as f64,
            Value::Unsigned(raw) => raw as f64,
            _ => return Err(Bad::Cause(Cause::Malformed)),
        };
        // A division by a power of ten gives the double nearest to the decimal number, a product with 0.1 would not.
        Ok(Value::Float(if power < 0 { raw / ten } else { raw * ten }))
    }

    /// The ordered number, unless it says that there is none.
    fn number(&self, wire: &[u8]) -> Result<u64, Bad> {
        let raw = self.order.read(wire);
        if self.format.not_a_value.contains(&raw) {
            return Err(Bad::Cause(Cause::NotAValue));
        }
        Ok(raw)
    }

    fn field(&self, field: Field, wire: &[u8]) -> Result<u64, Bad> {
        let raw = self.order.read(wire) >> field.shift & mask(field.width);
        if self.format.not_a_value.contains(&raw) {
            return Err(Bad::Cause(Cause::NotAValue));
        }
        Ok(raw)
    }

    fn scaled(&self, value: Value) -> Value {
        match (value, self.format.scale) {
            (Value::Float(raw), Some(scale)) => {
                Value::Float(raw * scale.factor.as_f64() + scale.offset.as_f64())
            }
            (value, _) => value,
        }
    }

    fn text(&self, wire: &[u8]) -> Option<Value> {
        let Kind::Text { pad, characters, place, .. } = &self.format.kind else { return None };
        let mut bytes = self.swapped(wire);
        if *place != TextPlace::Both {
            let skip = usize::from(*place == TextPlace::Low);
            bytes = bytes.into_iter().skip(skip).step_by(2).collect();
        }
        // A terminator ends the text whatever fills the rest.
        let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
        let text = bytes.get(..end)?;
        let end = text.iter().rposition(|b| b != pad).map_or(0, |last| last + 1);
        let text = text.get(..end)?;
        match characters {
            Characters::Utf8 => std::str::from_utf8(text).ok().map(|s| Value::Text(s.into())),
            Characters::Latin1 => {
                let text: String = text.iter().map(|b| char::from(*b)).collect();
                Some(Value::Text(text.into()))
            }
        }
    }

    fn time(&self, wire: &[u8]) -> Result<Value, Bad> {
        let Kind::Time { layout, zone } = &self.format.kind else {
            return Err(Bad::Cause(Cause::Malformed));
        };
        if self.count <= 4 {
            self.number(wire)?;
        }
        match calendar::read(layout, zone, self.order, wire) {
            calendar::Read::At(at) => Ok(Value::Time(at)),
            calendar::Read::Doubtful(at) => Err(Bad::Uncertain(Value::Time(at))),
            calendar::Read::Unset => Err(Bad::Cause(Cause::NotAValue)),
            calendar::Read::Impossible => Err(Bad::Cause(Cause::Malformed)),
        }
    }
}

/// The value of a field's bits; `None` where 64 bits do not hold it once scaled.
#[expect(clippy::cast_possible_wrap, reason = "the sign is what the shift puts there")]
fn integer(field: Field, raw: u64) -> Option<Value> {
    let spare = 64 - u32::from(field.width);
    let signed = (raw << spare) as i64 >> spare;
    match field.exact {
        None if field.signed => Some(Value::Signed(signed)),
        None => Some(Value::Unsigned(raw)),
        Some(exact) if field.signed => exact.keep(i128::from(signed)).map(Value::Decimal),
        Some(exact) => exact.keep(i128::from(raw)).map(Value::Decimal),
    }
}

/// A floating point number; `None` where it is not one.
#[expect(clippy::cast_possible_truncation, reason = "two registers are 32 bits")]
fn float(wide: bool, raw: u64) -> Option<Value> {
    let value = if wide { f64::from_bits(raw) } else { f64::from(f32::from_bits(raw as u32)) };
    (!value.is_nan()).then_some(Value::Float(value))
}

fn kept(value: Option<Value>) -> Result<Value, Bad> {
    value.ok_or(Bad::Cause(Cause::OutOfRange))
}

/// Why there is no good value.
enum Bad {
    Uncertain(Value),
    Cause(Cause),
}

fn from_bcd(raw: u64) -> Option<u64> {
    (0..8).rev().try_fold(0, |sum, at| {
        let digit = raw >> (at * 4) & 0xF;
        (digit <= 9).then_some(sum * 10 + digit)
    })
}

/// Decodes arbitrary bytes by formats chosen by the first of them, and encodes what came out; must never panic.
pub fn fuzz_one(data: &[u8]) {
    use crate::format::{Format, Int, TimeField, TimeLayout, TimeUnit, Whole};
    let (seed, wire) = data.split_at(data.len().min(4));
    let [choice, order, scale, count] = [0, 1, 2, 3].map(|at| seed.get(at).copied().unwrap_or(0));
    let zone = jiff::tz::TimeZone::UTC;
    let whole = if scale % 2 == 0 { Whole::Bits16 } else { Whole::Bits32 };
    let kind = match choice % 14 {
        0 => Kind::Bool,
        1 => Kind::Int(Int::I8High),
        2 => Kind::Int(Int::U16),
        3 => Kind::Int(Int::I48),
        4 => Kind::Int(Int::U64),
        5 => Kind::F32,
        6 => Kind::F64,
        7 => Kind::Bcd32,
        8 => Kind::Bit { of: whole, bit: count },
        9 => Kind::Bits { of: whole, first: count % 32, last: count / 8 },
        10 => Kind::Text {
            registers: u16::from(count),
            pad: scale,
            characters: Characters::Utf8,
            place: [TextPlace::Both, TextPlace::High, TextPlace::Low][usize::from(order % 3)],
        },
        11 => Kind::Time { layout: TimeLayout::Unix64(TimeUnit::Seconds), zone },
        12 => Kind::Time { layout: TimeLayout::Iec870, zone },
        _ => {
            let fields =
                vec![TimeField::Year, TimeField::Month, TimeField::Day, TimeField::Hundredth];
            Kind::Time { layout: TimeLayout::Registers(fields), zone }
        }
    };
    let scale = crate::Scale {
        factor: crate::Decimal { mantissa: i64::from(scale) - 9, exponent: -1 },
        offset: crate::Decimal { mantissa: i64::from(order), exponent: -2 },
    };
    let order = ["AB", "BA", "CDAB", "FEDCBA", "BADCFEHG"].get(usize::from(order % 8));
    let order = order.and_then(|letters| letters.parse().ok());
    for scale in [None, Some(scale)] {
        let table = if kind == Kind::Bool { crate::Table::Coil } else { crate::Table::Holding };
        let scale_at = (choice % 3 == 0).then_some(u16::from(count));
        let format = Format { order, scale, scale_at, ..Format::new(kind.clone()) };
        let Ok(codec) = PointCodec::new(crate::Address::new(table, 0), format) else { continue };
        let length = usize::from(codec.count()) * if table.is_bits() { 1 } else { 2 };
        for wire in [wire, wire.get(..length).unwrap_or_default()] {
            let (value, _) = codec.decode(wire);
            if let Some(value) = value {
                assert!(codec.value_type().admits(&value), "{codec:?} {value:?}");
                // What was read may be refused, never panic.
                codec.encode(&value).ok();
            }
        }
    }
}
