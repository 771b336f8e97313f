//! From a value to bytes and requests.

use twin::Value;

use super::{EncodeError, Field, PointCodec, Ready, bounds, mask, words};
use crate::Request;
use crate::calendar;
use crate::format::{Characters, Kind, PartialWrite, TextPlace};
use crate::write::{Modify, Write};

impl PointCodec {
    /// What the read-back of this value will give.
    pub fn expected(&self, value: &Value) -> Result<Value, EncodeError> {
        match self.decode(&self.wire(value)?) {
            (Some(value), quality) if quality.is_good() => Ok(value),
            (Some(_), _) => Err(EncodeError::Ambiguous),
            (None, _) => Err(EncodeError::NotAValue),
        }
    }

    /// What to send so that the point has this value. Pure: nothing is sent, and `expected` says what will be read.
    pub fn encode(&self, value: &Value) -> Result<Write, EncodeError> {
        if !self.address.table.is_writable() {
            return Err(EncodeError::ReadOnly(self.address));
        }
        if let Ready::Powered(_) = self.ready {
            return Err(EncodeError::Power(self.address));
        }
        self.expected(value)?;
        let number = self.address.number;
        if let (Ready::Bool, Value::Bool(on)) = (self.ready, value) {
            return Ok(Write::Request(if self.format.multiple {
                Request::WriteCoils { start: number, values: [*on].into() }
            } else {
                Request::WriteCoil { number, on: *on }
            }));
        }
        let values = words(&self.wire(value)?);
        if let Ready::Field(field) | Ready::Flag(field) = self.ready
            && self.partial(field)
        {
            let modify = Modify { read: self.read(), masks: self.masks(field), values };
            return match self.format.partial {
                PartialWrite::Refused => Err(EncodeError::Partial(self.address)),
                PartialWrite::ReadModifyWrite => Ok(Write::Modify(modify)),
                PartialWrite::Mask => modify.mask(number).ok_or(EncodeError::Partial(self.address)),
            };
        }
        Ok(Write::Request(match &*values {
            _ if self.format.read_write => {
                Request::ReadWrite { read: number, count: self.count, write: number, values }
            }
            [value] if !self.format.multiple => Request::WriteRegister { number, value: *value },
            _ => Request::WriteRegisters { start: number, values },
        }))
    }

    /// The bytes that the point's registers have with this value; other parts of them are 0.
    fn wire(&self, value: &Value) -> Result<Vec<u8>, EncodeError> {
        let mut wire = Vec::with_capacity(usize::from(self.count) * 2);
        let number = match (self.ready, value) {
            (Ready::Bool, Value::Bool(on)) => return Ok(vec![u8::from(*on)]),
            (Ready::Flag(field), Value::Bool(on)) => u64::from(*on) << field.shift,
            (Ready::Field(field), _) => self.raw_integer(field, value)? << field.shift,
            (Ready::Bcd(exact), _) => {
                let field = Field { shift: 0, width: 64, signed: false, exact };
                let limit = if self.count == 1 { 9_999 } else { 99_999_999 };
                let raw = Some(self.raw_integer(field, value)?).filter(|raw| *raw <= limit);
                to_bcd(raw.ok_or(EncodeError::Range(self.address))?)
            }
            (Ready::Float { wide, .. }, Value::Float(value)) => self.raw_float(wide, *value)?,
            (Ready::Text, Value::Text(text)) => return self.text_bytes(text),
            (Ready::Bytes, Value::Bytes(bytes)) => {
                let fits = bytes.len() == usize::from(self.count) * 2;
                let bytes = fits.then(|| self.swapped(bytes));
                return bytes.ok_or(EncodeError::Range(self.address));
            }
            (Ready::Time, Value::Time(at)) => {
                let Kind::Time { layout, zone } = &self.format.kind else {
                    return Err(EncodeError::Type);
                };
                let written = calendar::write(layout, zone, self.order, *at);
                return written.ok_or(EncodeError::Range(self.address));
            }
            (Ready::Powered(_), _) => return Err(EncodeError::Power(self.address)),
            _ => return Err(EncodeError::Type),
        };
        self.order.write(number, &mut wire);
        Ok(wire)
    }

    fn raw_integer(&self, field: Field, value: &Value) -> Result<u64, EncodeError> {
        let raw = match (value, field.exact) {
            (Value::Signed(v), None) if field.signed => i128::from(*v),
            (Value::Unsigned(v), None) if !field.signed => i128::from(*v),
            (Value::Decimal(kept), Some(exact)) => exact.raw(*kept),
            _ => return Err(EncodeError::Type),
        };
        let (low, high) = bounds(field.width, field.signed);
        if !(low..=high).contains(&raw) {
            return Err(EncodeError::Range(self.address));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "two's complement of a checked width"
        )]
        Ok(raw as u64 & mask(field.width))
    }

    fn raw_float(&self, wide: bool, value: f64) -> Result<u64, EncodeError> {
        let raw = self.format.scale;
        let raw = raw.map_or(value, |s| (value - s.offset.as_f64()) / s.factor.as_f64());
        if wide {
            return Ok(raw.to_bits());
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the nearest single is what is written"
        )]
        let single = raw as f32;
        if single.is_infinite() && raw.is_finite() {
            return Err(EncodeError::Range(self.address));
        }
        Ok(u64::from(single.to_bits()))
    }

    fn text_bytes(&self, text: &str) -> Result<Vec<u8>, EncodeError> {
        let Kind::Text { pad, characters, place, .. } = &self.format.kind else {
            return Err(EncodeError::Type);
        };
        let range = || EncodeError::Range(self.address);
        let mut bytes: Vec<u8> = match characters {
            Characters::Utf8 => text.as_bytes().to_vec(),
            Characters::Latin1 => {
                text.chars().map(u8::try_from).collect::<Result<_, _>>().map_err(|_| range())?
            }
        };
        let each = if *place == TextPlace::Both { 2 } else { 1 };
        let size = usize::from(self.count) * each;
        if bytes.len() > size || bytes.contains(&0) || bytes.last() == Some(pad) {
            return Err(range());
        }
        bytes.resize(size, *pad);
        let bytes = match place {
            TextPlace::Both => bytes,
            TextPlace::High => bytes.into_iter().flat_map(|byte| [byte, 0]).collect(),
            TextPlace::Low => bytes.into_iter().flat_map(|byte| [0, byte]).collect(),
        };
        Ok(self.swapped(&bytes))
    }
}

fn to_bcd(mut number: u64) -> u64 {
    (0..8).fold(0, |raw, at| {
        let digit = number % 10;
        number /= 10;
        raw | digit << (at * 4)
    })
}
