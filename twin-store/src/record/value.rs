//! Values on disk: of a described type in its fixed width, or tagged where no description says what it is.

use std::sync::Arc;

use twin::{IntKind, Timestamp, Value, ValueType};

use crate::codec::{Put, Take};

/// How deep lists and records may nest; deeper bytes make no sense.
const DEPTH: u8 = 16;

/// Puts a value of a described type: as wide as the type says, or length first.
///
/// The value has been checked against the type; one that is not of it is put as zero.
pub(crate) fn put(out: &mut impl Put, of: &ValueType, value: &Value) {
    match (of, value) {
        (ValueType::Bool, Value::Bool(v)) => out.put_bool(*v),
        (ValueType::Int(kind), Value::Signed(v)) => put_int(out, *kind, v.cast_unsigned()),
        (ValueType::Int(kind), Value::Unsigned(v)) => put_int(out, *kind, *v),
        (ValueType::Decimal { raw, .. }, Value::Decimal(v)) => {
            put_int(out, *raw, v.cast_unsigned());
        }
        #[expect(clippy::cast_possible_truncation, reason = "checked: it fits in 32 bits")]
        (ValueType::F32, Value::Float(v)) => out.put_u32((*v as f32).to_bits()),
        (ValueType::F64, Value::Float(v)) => out.put_f64(*v),
        (ValueType::Time, Value::Time(v)) => out.put_i64(v.0),
        (ValueType::Text, Value::Text(v)) => out.put_text(v),
        (ValueType::Bytes, Value::Bytes(v)) => out.put_bytes(v),
        (ValueType::List(of), Value::List(values)) => {
            out.put_len(values.len());
            values.iter().for_each(|v| put(out, of, v));
        }
        // Every value takes a byte at least, so that a count can be checked against the bytes.
        (ValueType::Record(fields), Value::Record(_)) if fields.is_empty() => out.put_u8(0),
        (ValueType::Record(fields), Value::Record(values)) => {
            fields.iter().zip(values.iter()).for_each(|((_, of), v)| put(out, of, v));
        }
        (of, _) => put_zero(out, of),
    }
}

fn put_zero(out: &mut impl Put, of: &ValueType) {
    match of {
        ValueType::Record(fields) if !fields.is_empty() => {
            fields.iter().for_each(|(_, of)| put_zero(out, of));
        }
        _ => out.put(&[0; 8][..fixed_width(of).unwrap_or(1)]),
    }
}

/// Bytes of a value of this type; `None` where they vary.
pub(crate) fn fixed_width(of: &ValueType) -> Option<usize> {
    match of {
        ValueType::Bool => Some(1),
        ValueType::Int(kind) | ValueType::Decimal { raw: kind, .. } => Some(kind.width()),
        ValueType::F32 => Some(4),
        ValueType::F64 | ValueType::Time => Some(8),
        ValueType::Text | ValueType::Bytes | ValueType::List(_) | ValueType::Record(_) => None,
    }
}

#[inline]
fn put_int(out: &mut impl Put, kind: IntKind, v: u64) {
    let bytes = v.to_le_bytes();
    match kind.width() {
        1 => out.put(&bytes[..1]),
        2 => out.put(&bytes[..2]),
        4 => out.put(&bytes[..4]),
        _ => out.put(&bytes),
    }
}

/// The integer in the low bytes of `raw`, with its sign.
#[inline]
fn take_int(take: &mut Take<'_>, kind: IntKind) -> Option<u64> {
    Some(match kind {
        IntKind::U8 => u64::from(take.u8()?),
        IntKind::U16 => u64::from(take.u16()?),
        IntKind::U32 => u64::from(take.u32()?),
        IntKind::U64 | IntKind::I64 => take.u64()?,
        IntKind::I8 => i64::from(take.u8()?.cast_signed()).cast_unsigned(),
        IntKind::I16 => i64::from(take.u16()?.cast_signed()).cast_unsigned(),
        IntKind::I32 => i64::from(take.u32()?.cast_signed()).cast_unsigned(),
    })
}

/// A value of a record as it lies there: nothing is copied.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ValueRef<'a> {
    /// See [`Value::Bool`].
    Bool(bool),
    /// See [`Value::Signed`].
    Signed(i64),
    /// See [`Value::Unsigned`].
    Unsigned(u64),
    /// See [`Value::Float`].
    Float(f64),
    /// See [`Value::Decimal`].
    Decimal(i64),
    /// See [`Value::Time`].
    Time(Timestamp),
    /// See [`Value::Text`].
    Text(&'a str),
    /// See [`Value::Bytes`].
    Bytes(&'a [u8]),
    /// A list or record: its elements come one by one.
    Nested(Nested<'a>),
}

/// The elements of a list or the fields of a record.
#[derive(Debug, Clone, Copy)]
pub struct Nested<'a> {
    of: &'a ValueType,
    count: usize,
    bytes: Take<'a>,
}

impl PartialEq for Nested<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.of == other.of && self.iter().eq(other.iter())
    }
}

impl<'a> Nested<'a> {
    /// Whether it is a record, whose fields the type names, and not a list.
    #[must_use]
    pub fn is_record(&self) -> bool {
        matches!(self.of, ValueType::Record(_))
    }

    /// Its elements, each with its type.
    pub fn iter(&self) -> impl Iterator<Item = (&'a ValueType, ValueRef<'a>)> + use<'a> {
        let (of, mut bytes) = (self.of, self.bytes);
        (0..self.count).map_while(move |i| {
            let of = element_type(of, i)?;
            Some((of, take(&mut bytes, of)?))
        })
    }

    /// How many elements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

fn element_type(of: &ValueType, i: usize) -> Option<&ValueType> {
    match of {
        ValueType::List(of) => Some(of),
        ValueType::Record(fields) => fields.get(i).map(|(_, of)| of),
        _ => None,
    }
}

/// Takes a value of a described type without copying it.
#[inline]
pub(crate) fn take<'a>(bytes: &mut Take<'a>, of: &'a ValueType) -> Option<ValueRef<'a>> {
    Some(match of {
        ValueType::Bool => ValueRef::Bool(bytes.bool()?),
        ValueType::Int(kind) if kind.signed() => {
            ValueRef::Signed(take_int(bytes, *kind)?.cast_signed())
        }
        ValueType::Int(kind) => ValueRef::Unsigned(take_int(bytes, *kind)?),
        ValueType::Decimal { raw, .. } => ValueRef::Decimal(take_int(bytes, *raw)?.cast_signed()),
        ValueType::F32 => ValueRef::Float(f64::from(f32::from_bits(bytes.u32()?))),
        ValueType::F64 => ValueRef::Float(bytes.f64()?),
        ValueType::Time => ValueRef::Time(Timestamp(bytes.i64()?)),
        ValueType::Text => ValueRef::Text(bytes.str()?),
        ValueType::Bytes => ValueRef::Bytes(bytes.bytes()?),
        ValueType::List(_) => {
            let count = bytes.len()?;
            nested(bytes, of, count)?
        }
        ValueType::Record(fields) => {
            if fields.is_empty() {
                bytes.u8()?;
            }
            nested(bytes, of, fields.len())?
        }
    })
}

fn nested<'a>(bytes: &mut Take<'a>, of: &'a ValueType, count: usize) -> Option<ValueRef<'a>> {
    let start = *bytes;
    for i in 0..count {
        take(bytes, element_type(of, i)?)?;
    }
    Some(ValueRef::Nested(Nested { of, count, bytes: start }))
}

impl ValueRef<'_> {
    /// The value as the model holds it.
    #[must_use]
    pub fn to_value(self) -> Value {
        match self {
            Self::Bool(v) => Value::Bool(v),
            Self::Signed(v) => Value::Signed(v),
            Self::Unsigned(v) => Value::Unsigned(v),
            Self::Float(v) => Value::Float(v),
            Self::Decimal(v) => Value::Decimal(v),
            Self::Time(v) => Value::Time(v),
            Self::Text(v) => Value::Text(v.into()),
            Self::Bytes(v) => Value::Bytes(v.into()),
            Self::Nested(v) => {
                let values: Arc<[Value]> = v.iter().map(|(_, v)| v.to_value()).collect();
                if v.is_record() { Value::Record(values) } else { Value::List(values) }
            }
        }
    }
}

/// Puts a value that says itself what it is.
pub(crate) fn put_tagged(out: &mut impl Put, value: &Value) {
    match value {
        Value::Bool(v) => {
            out.put_u8(0);
            out.put_bool(*v);
        }
        Value::Signed(v) => {
            out.put_u8(1);
            out.put_zigzag(*v);
        }
        Value::Unsigned(v) => {
            out.put_u8(2);
            out.put_varint(*v);
        }
        Value::Float(v) => {
            out.put_u8(3);
            out.put_f64(*v);
        }
        Value::Decimal(v) => {
            out.put_u8(4);
            out.put_zigzag(*v);
        }
        Value::Time(v) => {
            out.put_u8(5);
            out.put_i64(v.0);
        }
        Value::Text(v) => {
            out.put_u8(6);
            out.put_text(v);
        }
        Value::Bytes(v) => {
            out.put_u8(7);
            out.put_bytes(v);
        }
        Value::List(values) => {
            out.put_u8(8);
            out.put_len(values.len());
            values.iter().for_each(|v| put_tagged(out, v));
        }
        Value::Record(values) => {
            out.put_u8(9);
            out.put_len(values.len());
            values.iter().for_each(|v| put_tagged(out, v));
        }
    }
}

/// Takes a value that says itself what it is.
pub(crate) fn take_tagged(take: &mut Take<'_>) -> Option<Value> {
    tagged(take, DEPTH)
}

fn tagged(take: &mut Take<'_>, depth: u8) -> Option<Value> {
    let deeper = depth.checked_sub(1)?;
    Some(match take.u8()? {
        0 => Value::Bool(take.bool()?),
        1 => Value::Signed(take.zigzag()?),
        2 => Value::Unsigned(take.varint()?),
        3 => Value::Float(take.f64()?),
        4 => Value::Decimal(take.zigzag()?),
        5 => Value::Time(Timestamp(take.i64()?)),
        6 => Value::Text(take.text()?),
        7 => Value::Bytes(take.bytes()?.into()),
        8 => Value::List(take.list(|t| tagged(t, deeper))?.into()),
        9 => Value::Record(take.list(|t| tagged(t, deeper))?.into()),
        _ => return None,
    })
}

const INT_KINDS: [IntKind; 8] = [
    IntKind::I8,
    IntKind::I16,
    IntKind::I32,
    IntKind::I64,
    IntKind::U8,
    IntKind::U16,
    IntKind::U32,
    IntKind::U64,
];

fn put_int_kind(out: &mut impl Put, kind: IntKind) {
    let code = INT_KINDS.iter().position(|k| *k == kind).unwrap_or(0);
    out.put_u8(u8::try_from(code).unwrap_or(0));
}

fn take_int_kind(take: &mut Take<'_>) -> Option<IntKind> {
    INT_KINDS.get(usize::from(take.u8()?)).copied()
}

/// Puts a value type.
pub(crate) fn put_type(out: &mut impl Put, of: &ValueType) {
    match of {
        ValueType::Bool => out.put_u8(0),
        ValueType::Int(kind) => {
            out.put_u8(1);
            put_int_kind(out, *kind);
        }
        ValueType::F32 => out.put_u8(2),
        ValueType::F64 => out.put_u8(3),
        ValueType::Decimal { raw, exponent } => {
            out.put_u8(4);
            put_int_kind(out, *raw);
            out.put_u8(exponent.cast_unsigned());
        }
        ValueType::Time => out.put_u8(5),
        ValueType::Text => out.put_u8(6),
        ValueType::Bytes => out.put_u8(7),
        ValueType::List(of) => {
            out.put_u8(8);
            put_type(out, of);
        }
        ValueType::Record(fields) => {
            out.put_u8(9);
            out.put_len(fields.len());
            for (name, of) in fields {
                out.put_text(name.as_str());
                put_type(out, of);
            }
        }
    }
}

/// Takes a value type.
pub(crate) fn take_type(take: &mut Take<'_>) -> Option<ValueType> {
    type_within(take, DEPTH)
}

fn type_within(take: &mut Take<'_>, depth: u8) -> Option<ValueType> {
    let deeper = depth.checked_sub(1)?;
    Some(match take.u8()? {
        0 => ValueType::Bool,
        1 => ValueType::Int(take_int_kind(take)?),
        2 => ValueType::F32,
        3 => ValueType::F64,
        4 => ValueType::Decimal { raw: take_int_kind(take)?, exponent: take.u8()?.cast_signed() },
        5 => ValueType::Time,
        6 => ValueType::Text,
        7 => ValueType::Bytes,
        8 => ValueType::List(Box::new(type_within(take, deeper)?)),
        9 => ValueType::Record(take.list(|t| Some((t.parsed()?, type_within(t, deeper)?)))?.into()),
        _ => return None,
    })
}
