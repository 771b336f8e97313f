//! From a format to what the hot path needs.

use twin::{IntKind, ValueType};

use super::{CodecError, Field, Powered, Ready, bounds};
use crate::format::{Format, Int, Kind, Whole};
use crate::scale::Exact;
use crate::{Address, MAX_READ_REGISTERS, Order, calendar};

/// Bytes of the registers that a value stands in.
pub(super) fn bytes_of(kind: &Kind) -> usize {
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
pub(super) fn order_of(format: &Format, bytes: usize) -> Result<Order, CodecError> {
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

/// The run's first register, its length, and in it the number and its power of ten where it has one.
type Span = (Address, u16, Option<(u8, u8)>);

/// The run of registers that holds a number and its power of ten, and where in it they stand.
pub(super) fn span(address: Address, count: u16, power: Option<u16>) -> Result<Span, CodecError> {
    let Some(power) = power else { return Ok((address, count, None)) };
    let number = address.number;
    let first = number.min(power);
    let end = (u32::from(number) + u32::from(count)).max(u32::from(power) + 1);
    let within = number <= power && u32::from(power) < u32::from(number) + u32::from(count);
    let run = u16::try_from(end - u32::from(first)).ok().filter(|run| *run <= MAX_READ_REGISTERS);
    let run = run.filter(|_| !within && !address.table.is_bits()).ok_or(CodecError::Power)?;
    let at = |register: u16| u8::try_from(register - first).map_err(|_| CodecError::Power);
    Ok((Address::new(address.table, first), run, Some((at(number)?, at(power)?))))
}

/// A number with a power of ten: what it is worth is known with each reading only, so it is a floating point number.
pub(super) fn powered(format: &Format, at: (u8, u8)) -> Result<(Ready, ValueType), CodecError> {
    match (&format.kind, ready(format)?.0) {
        (Kind::Int(_), Ready::Field(field)) if field.exact.is_none() && field.width >= 16 => {
            let (number, power) = at;
            Ok((Ready::Powered(Powered { field, number, power }), ValueType::F64))
        }
        _ => Err(CodecError::Power),
    }
}

pub(super) fn ready(format: &Format) -> Result<(Ready, ValueType), CodecError> {
    let exact = match (format.scale, &format.kind) {
        (None, _) => None,
        (Some(scale), Kind::Int(_) | Kind::Bits { .. } | Kind::Bcd16 | Kind::Bcd32) => {
            Some(Exact::new(scale).ok_or(CodecError::Scale)?)
        }
        (Some(scale), Kind::F32 | Kind::F64) if scale.factor.mantissa != 0 => None,
        (Some(_), Kind::F32 | Kind::F64) => return Err(CodecError::Scale),
        (Some(_), _) => return Err(CodecError::NotScalable),
    };
    let float = |wide| Ready::Float { wide, scaled: format.scale.is_some() };
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
        fits.then(|| last - first + 1).ok_or(CodecError::Bits { first, last, width })
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
        Kind::F32 if format.scale.is_none() => (float(false), ValueType::F32),
        Kind::F32 => (float(false), ValueType::F64),
        Kind::F64 => (float(true), ValueType::F64),
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
