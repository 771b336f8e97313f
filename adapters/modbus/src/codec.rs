//! One object reads and writes a point: what it makes of bytes is what it makes into bytes.

use twin::{Cause, IntKind, Quality, Value, ValueType};

use crate::calendar;
use crate::format::{Characters, Format, Int, Kind, PartialWrite, Whole};
use crate::scale::Exact;
use crate::write::{Modify, Write};
use crate::{Address, MAX_READ_REGISTERS, Order, Request};

/// Where a point stands and how its bytes become a value and back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointCodec {
    address: Address,
    count: u16,
    format: Format,
    value_type: ValueType,
    order: Order,
    ready: Ready,
}

/// The format made ready for the hot path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ready {
    Bool,
    /// A run of bits of the ordered number.
    Field(Field),
    /// The same as a boolean.
    Flag(Field),
    Bcd(Option<Exact>),
    F32,
    F64,
    Text,
    Bytes,
    Time,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Field {
    shift: u8,
    width: u8,
    signed: bool,
    exact: Option<Exact>,
}

/// Why a format does not describe a value at an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Bits hold booleans, registers everything else.
    #[error(
        "the table {0} does not hold this kind of value: coils and discrete inputs hold booleans, registers hold everything else"
    )]
    Table(&'static str),
    /// The value would go beyond the table's last item.
    #[error("the value takes {count} items from {address}, beyond the end of the table at 65535")]
    End {
        /// Where it begins.
        address: Address,
        /// How many items it takes.
        count: u16,
    },
    /// One request must be able to read it.
    #[error(
        "the value takes {0} registers: one request reads 1 to 125, and a value is never read in parts"
    )]
    Size(usize),
    /// The letters do not fit the value.
    #[error("the byte order {order} has {} letters, the value has {bytes} bytes on the wire", order.width())]
    Order {
        /// The order.
        order: Order,
        /// What the value has.
        bytes: u8,
    },
    /// This kind has no order of bytes.
    #[error("this kind of value has no byte order to choose")]
    NoOrder,
    /// The bits lie outside the value.
    #[error("bits {first} to {last} do not lie, in this order, within a value of {width} bits")]
    Bits {
        /// The lowest bit.
        first: u8,
        /// The highest bit.
        last: u8,
        /// What there is.
        width: u8,
    },
    /// This kind is no number.
    #[error("only a number can be scaled")]
    NotScalable,
    /// 64 bits do not hold it, or the factor is 0.
    #[error("factor and offset cannot be kept exactly in 64 bits, or the factor is 0")]
    Scale,
    /// The sentinel cannot occur.
    #[error("{0:#x} cannot mean \"no value\": it does not fit into the value's bits")]
    Sentinel(u64),
    /// Function 22 writes one register.
    #[error("function 22 changes one register, these bits lie in two: use read-modify-write")]
    Mask,
}

/// Why a value cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Discrete inputs and input registers are read-only.
    #[error("{0} can only be read")]
    ReadOnly(Address),
    /// The value has another type than the point.
    #[error("the value is not of the point's type")]
    Type,
    /// The registers do not hold it.
    #[error("the value does not fit into the registers of {0}")]
    Range(Address),
    /// The asset would take it for no value at all.
    #[error("what would be written means \"no value\" to the asset")]
    NotAValue,
    /// A part of a register, and nobody said how to write it.
    #[error("{0} shares its register with other values: declare how to write a part of it")]
    Partial(Address),
}

impl PointCodec {
    /// Checks the format and makes it ready.
    pub fn new(address: Address, format: Format) -> Result<Self, CodecError> {
        if address.table.is_bits() != (format.kind == Kind::Bool) {
            return Err(CodecError::Table(address.table.word()));
        }
        let bytes = bytes_of(&format.kind);
        let count = if address.table.is_bits() { 1 } else { bytes.div_ceil(2) };
        let limit = usize::from(MAX_READ_REGISTERS);
        let count = u16::try_from(count).ok().filter(|n| (1..=limit).contains(&usize::from(*n)));
        let count = count.ok_or(CodecError::Size(bytes.div_ceil(2)))?;
        if u32::from(address.number) + u32::from(count) > 65_536 {
            return Err(CodecError::End { address, count });
        }
        let order = order_of(&format, bytes)?;
        let (ready, value_type) = ready(&format)?;
        let codec = Self { address, count, format, value_type, order, ready };
        codec.check()?;
        Ok(codec)
    }

    fn check(&self) -> Result<(), CodecError> {
        let width = match self.ready {
            Ready::Field(field) | Ready::Flag(field) => {
                if self.partial(field)
                    && self.format.partial == PartialWrite::Mask
                    && self.masks(field).iter().filter(|mask| **mask != 0).count() != 1
                {
                    return Err(CodecError::Mask);
                }
                field.width
            }
            Ready::Bool | Ready::Text | Ready::Bytes => 0,
            _ if self.count <= 4 => u8::try_from(self.count * 16).unwrap_or(0),
            _ => 0,
        };
        let beyond = |sentinel: &&u64| width < 64 && **sentinel >> width != 0;
        match self.format.not_a_value.iter().find(beyond) {
            Some(sentinel) => Err(CodecError::Sentinel(*sentinel)),
            None => Ok(()),
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn address(&self) -> Address {
        self.address
    }

    /// How many registers or bits it takes. They are always read and written by one request.
    #[must_use]
    pub fn count(&self) -> u16 {
        self.count
    }

    /// What it was made from.
    #[must_use]
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// The type of its values.
    #[must_use]
    pub fn value_type(&self) -> &ValueType {
        &self.value_type
    }

    /// The request that reads this point alone.
    #[must_use]
    pub fn read(&self) -> Request {
        let Address { table, number } = self.address;
        Request::Read { table, start: number, count: self.count }
    }

    /// The value that stands in these bytes: exactly the point's registers as they travelled, or one byte 0 or 1.
    ///
    /// Without a value the quality says why; a value is never invented.
    #[must_use]
    pub fn decode(&self, wire: &[u8]) -> (Option<Value>, Quality) {
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
            Ready::Field(field) => self.integer(field, self.field(field, wire)?),
            Ready::Flag(field) => Ok(Value::Bool(self.field(field, wire)? != 0)),
            Ready::Bcd(exact) => {
                let digits = from_bcd(self.number(wire)?).ok_or(Bad::Cause(Cause::Malformed))?;
                let field = Field { shift: 0, width: 64, signed: false, exact };
                self.integer(field, digits)
            }
            Ready::F32 =>
            {
                #[expect(clippy::cast_possible_truncation, reason = "two registers are 32 bits")]
                self.float(f64::from(f32::from_bits(self.number(wire)? as u32)))
            }
            Ready::F64 => self.float(f64::from_bits(self.number(wire)?)),
            Ready::Text => self.text(wire).ok_or(Bad::Cause(Cause::Malformed)),
            Ready::Bytes => Ok(Value::Bytes(self.swapped(wire).into())),
            Ready::Time => self.time(wire),
            Ready::Bool => Err(Bad::Cause(Cause::Malformed)),
        }
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

    #[expect(clippy::cast_possible_wrap, reason = "the sign is what the shift puts there")]
    fn integer(&self, field: Field, raw: u64) -> Result<Value, Bad> {
        let spare = 64 - u32::from(field.width);
        let signed = (raw << spare) as i64 >> spare;
        match field.exact {
            None if field.signed => Ok(Value::Signed(signed)),
            None => Ok(Value::Unsigned(raw)),
            Some(exact) => {
                let raw = if field.signed { i128::from(signed) } else { i128::from(raw) };
                exact.keep(raw).map(Value::Decimal).ok_or(Bad::Cause(Cause::OutOfRange))
            }
        }
    }

    fn float(&self, value: f64) -> Result<Value, Bad> {
        if value.is_nan() {
            return Err(Bad::Cause(Cause::NotAValue));
        }
        let scaled = |s: crate::Scale| value * s.factor.as_f64() + s.offset.as_f64();
        Ok(Value::Float(self.format.scale.map_or(value, scaled)))
    }

    fn text(&self, wire: &[u8]) -> Option<Value> {
        let Kind::Text { pad, characters, .. } = &self.format.kind else { return None };
        let bytes = self.swapped(wire);
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

    /// What the read-back of this value will give.
    pub fn expected(&self, value: &Value) -> Result<Value, EncodeError> {
        self.decode(&self.wire(value)?).0.ok_or(EncodeError::NotAValue)
    }

    /// What to send so that the point has this value. Pure: nothing is sent, and `expected` says what will be read.
    pub fn encode(&self, value: &Value) -> Result<Write, EncodeError> {
        if !self.address.table.is_writable() {
            return Err(EncodeError::ReadOnly(self.address));
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
            (Ready::F32 | Ready::F64, Value::Float(value)) => self.raw_float(*value)?,
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

    fn raw_float(&self, value: f64) -> Result<u64, EncodeError> {
        let raw = self.format.scale;
        let raw = raw.map_or(value, |s| (value - s.offset.as_f64()) / s.factor.as_f64());
        if self.ready == Ready::F64 {
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
        let Kind::Text { pad, characters, .. } = &self.format.kind else {
            return Err(EncodeError::Type);
        };
        let range = || EncodeError::Range(self.address);
        let mut bytes: Vec<u8> = match characters {
            Characters::Utf8 => text.as_bytes().to_vec(),
            Characters::Latin1 => {
                text.chars().map(u8::try_from).collect::<Result<_, _>>().map_err(|_| range())?
            }
        };
        let size = usize::from(self.count) * 2;
        if bytes.len() > size || bytes.contains(&0) || bytes.last() == Some(pad) {
            return Err(range());
        }
        bytes.resize(size, *pad);
        Ok(self.swapped(&bytes))
    }

    /// Bytes with the order of two letters done to each register.
    fn swapped(&self, bytes: &[u8]) -> Vec<u8> {
        let swap = self.order != Order::big(2);
        let pair = |p: &[u8]| match p {
            [a, b] if swap => [*b, *a],
            [a, b] => [*a, *b],
            _ => [0, 0],
        };
        bytes.chunks(2).flat_map(pair).collect()
    }

    fn partial(&self, field: Field) -> bool {
        u16::from(field.width) != self.count * 16
    }

    /// For each register the bits that are the point's.
    fn masks(&self, field: Field) -> Box<[u16]> {
        let mut wire = Vec::new();
        self.order.write(mask(field.width) << field.shift, &mut wire);
        words(&wire)
    }
}

/// Why there is no good value.
enum Bad {
    Uncertain(Value),
    Cause(Cause),
}

fn mask(width: u8) -> u64 {
    if width >= 64 { u64::MAX } else { (1 << width) - 1 }
}

fn bounds(width: u8, signed: bool) -> (i128, i128) {
    if signed { (-(1 << (width - 1)), (1 << (width - 1)) - 1) } else { (0, (1 << width) - 1) }
}

fn words(wire: &[u8]) -> Box<[u16]> {
    wire.chunks_exact(2).filter_map(|p| p.try_into().ok()).map(u16::from_be_bytes).collect()
}

fn from_bcd(raw: u64) -> Option<u64> {
    (0..8).rev().try_fold(0, |sum, at| {
        let digit = raw >> (at * 4) & 0xF;
        (digit <= 9).then_some(sum * 10 + digit)
    })
}

fn to_bcd(mut number: u64) -> u64 {
    (0..8).fold(0, |raw, at| {
        let digit = number % 10;
        number /= 10;
        raw | digit << (at * 4)
    })
}

/// Bytes of the registers that a value stands in.
fn bytes_of(kind: &Kind) -> usize {
    match kind {
        Kind::Bool | Kind::Bcd16 | Kind::Bit { of: Whole::Bits16, .. } => 2,
        Kind::Bits { of: Whole::Bits16, .. } => 2,
        Kind::F32 | Kind::Bcd32 => 4,
        Kind::Bit { of: Whole::Bits32, .. } | Kind::Bits { of: Whole::Bits32, .. } => 4,
        Kind::F64 => 8,
        Kind::Int(int) => match int {
            Int::U8High | Int::U8Low | Int::I8High | Int::I8Low | Int::U16 | Int::I16 => 2,
            Int::U32 | Int::I32 => 4,
            Int::U48 | Int::I48 => 6,
            Int::U64 | Int::I64 => 8,
        },
        Kind::Text { registers, .. } | Kind::Bytes { registers } => usize::from(*registers) * 2,
        Kind::Time { layout, .. } => calendar::bytes_of(layout),
    }
}

/// The order that applies: of the whole value for numbers, of each register for what has no most significant byte.
fn order_of(format: &Format, bytes: usize) -> Result<Order, CodecError> {
    let bytes = match &format.kind {
        Kind::Bool => 0,
        Kind::Text { .. } | Kind::Bytes { .. } => 2,
        Kind::Time { layout, .. } if !calendar::is_number(layout) => 2,
        _ => u8::try_from(bytes).unwrap_or(0),
    };
    match format.order {
        None => Ok(Order::big(bytes)),
        Some(_) if bytes == 0 => Err(CodecError::NoOrder),
        Some(order) if order.width() == bytes => Ok(order),
        Some(order) => Err(CodecError::Order { order, bytes }),
    }
}

fn ready(format: &Format) -> Result<(Ready, ValueType), CodecError> {
    let exact = match (format.scale, &format.kind) {
        (None, _) => None,
        (Some(scale), Kind::Int(_) | Kind::Bits { .. } | Kind::Bcd16 | Kind::Bcd32) => {
            Some(Exact::new(scale).ok_or(CodecError::Scale)?)
        }
        (Some(scale), Kind::F32 | Kind::F64) if scale.factor.mantissa != 0 => None,
        (Some(_), Kind::F32 | Kind::F64) => return Err(CodecError::Scale),
        (Some(_), _) => return Err(CodecError::NotScalable),
    };
    let number = |shift: u8, width: u8, signed: bool| {
        let (low, high) = bounds(width, signed);
        let kind = IntKind::holding(low, high).unwrap_or(IntKind::U64);
        let value_type = exact.map_or(ValueType::Int(kind), |e| e.value_type(low, high));
        (Ready::Field(Field { shift, width, signed, exact }), value_type)
    };
    let bcd = |high: i128, kind: IntKind| {
        let value_type = exact.map_or(ValueType::Int(kind), |e| e.value_type(0, high));
        (Ready::Bcd(exact), value_type)
    };
    let bits = |first: u8, last: u8, of: Whole| {
        let width = if of == Whole::Bits16 { 16 } else { 32 };
        let fits = first <= last && last < width;
        fits.then_some(last - first + 1).ok_or(CodecError::Bits { first, last, width })
    };
    Ok(match &format.kind {
        Kind::Bool => (Ready::Bool, ValueType::Bool),
        Kind::Int(int) => match int {
            Int::U8High => number(8, 8, false),
            Int::U8Low => number(0, 8, false),
            Int::I8High => number(8, 8, true),
            Int::I8Low => number(0, 8, true),
            Int::U16 => number(0, 16, false),
            Int::I16 => number(0, 16, true),
            Int::U32 => number(0, 32, false),
            Int::I32 => number(0, 32, true),
            Int::U48 => number(0, 48, false),
            Int::I48 => number(0, 48, true),
            Int::U64 => number(0, 64, false),
            Int::I64 => number(0, 64, true),
        },
        Kind::F32 if format.scale.is_none() => (Ready::F32, ValueType::F32),
        Kind::F32 => (Ready::F32, ValueType::F64),
        Kind::F64 => (Ready::F64, ValueType::F64),
        Kind::Bcd16 => bcd(9_999, IntKind::U16),
        Kind::Bcd32 => bcd(99_999_999, IntKind::U32),
        Kind::Bit { of, bit } => {
            let width = bits(*bit, *bit, *of)?;
            let field = Field { shift: *bit, width, signed: false, exact: None };
            (Ready::Flag(field), ValueType::Bool)
        }
        Kind::Bits { of, first, last } => number(*first, bits(*first, *last, *of)?, false),
        Kind::Text { .. } => (Ready::Text, ValueType::Text),
        Kind::Bytes { .. } => (Ready::Bytes, ValueType::Bytes),
        Kind::Time { .. } => (Ready::Time, ValueType::Time),
    })
}
