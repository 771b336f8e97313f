//! One object reads and writes a point: what it makes of bytes is what it makes into bytes.

mod decode;
mod encode;
mod ready;

pub use decode::fuzz_one;
use std::sync::Arc;

use twin::ValueType;

use crate::format::{Format, Kind, PartialWrite};
use crate::scale::Exact;
use crate::{Address, MAX_READ_REGISTERS, Order, Request};
use ready::{bytes_of, order_of, powered, ready, span};

/// Where a point stands and how its bytes become a value and back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointCodec {
    address: Address,
    count: u16,
    /// Behind a pointer: what the hot path needs stays close together.
    format: Arc<Format>,
    /// Some raw numbers mean "no value".
    sentinels: bool,
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
    Float {
        wide: bool,
        scaled: bool,
    },
    /// A number and, elsewhere in the same run of registers, its power of ten.
    Powered(Powered),
    Text,
    Bytes,
    Time,
}

/// Where number and power stand in the run, in registers from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Powered {
    field: Field,
    number: u8,
    power: u8,
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
    /// The power of ten is not usable.
    #[error(
        "a power of ten scales a whole number of 16 to 64 bits without a scale or offset of its own; its register is \
         none of the number's, and one request reads both"
    )]
    Power,
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
    /// The device chooses the power of ten.
    #[error("the scale of {0} is for the device to choose: the point can only be read")]
    Power(Address),
    /// The asset would take it for no value at all.
    #[error("what would be written means \"no value\" to the asset")]
    NotAValue,
    /// Its wall-clock time occurs twice.
    #[error("the device counts local time, and this hour occurs twice: write it outside that hour")]
    Ambiguous,
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
        let (address, count, at) = span(address, count, format.scale_at)?;
        if u32::from(address.number) + u32::from(count) > 65_536 {
            return Err(CodecError::End { address, count });
        }
        let order = order_of(&format, bytes)?;
        let (ready, value_type) = match at {
            None => ready(&format)?,
            Some(at) => powered(&format, at)?,
        };
        let sentinels = !format.not_a_value.is_empty();
        let format = Arc::new(format);
        let codec = Self { address, count, format, sentinels, value_type, order, ready };
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
            Ready::Powered(powered) => powered.field.width,
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

fn mask(width: u8) -> u64 {
    if width >= 64 { u64::MAX } else { (1 << width) - 1 }
}

fn bounds(width: u8, signed: bool) -> (i128, i128) {
    if signed { (-(1 << (width - 1)), (1 << (width - 1)) - 1) } else { (0, (1 << width) - 1) }
}

fn words(wire: &[u8]) -> Box<[u16]> {
    wire.chunks_exact(2).filter_map(|p| p.try_into().ok()).map(u16::from_be_bytes).collect()
}
