//! How a value stands in registers, as declared: plain data that [`crate::PointCodec::new`] checks and makes ready.

use jiff::tz::TimeZone;

use crate::{Order, Scale};

/// How a value stands in its registers or bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// What it is.
    pub kind: Kind,
    /// The order of its bytes; `None` = most significant first.
    pub order: Option<Order>,
    /// What one step of the raw number is worth; `None` = the raw number is the value, an integer stays an integer.
    pub scale: Option<Scale>,
    /// The register of the same table that holds a power of ten by which the device itself scales the raw number; it
    /// is read together with the value each time.
    pub scale_at: Option<u16>,
    /// Raw numbers that mean "no value here", compared with the raw bits in the value's width: `0x8000`.
    pub not_a_value: Vec<u64>,
    /// How a part of a register is written.
    pub partial: PartialWrite,
    /// A single register or coil is written with function 16 or 15 too, for devices without 6 and 5.
    pub multiple: bool,
    /// Registers are written with function 23, which reads them in the same request.
    pub read_write: bool,
}

impl Format {
    /// The kind with everything else left at its default.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            order: None,
            scale: None,
            scale_at: None,
            not_a_value: Vec::new(),
            partial: PartialWrite::Refused,
            multiple: false,
            read_write: false,
        }
    }
}

/// What a value is on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// One coil or discrete input.
    Bool,
    /// An integer, labelled or not.
    Int(Int),
    /// An IEEE 754 single. A NaN is never a value.
    F32,
    /// An IEEE 754 double. A NaN is never a value.
    F64,
    /// A binary coded decimal of four digits in one register.
    Bcd16,
    /// A binary coded decimal of eight digits in two registers.
    Bcd32,
    /// One bit of one or two registers as a boolean; bit 0 is the least significant of the ordered value.
    Bit {
        /// The value that the bit is a part of.
        of: Whole,
        /// Which bit.
        bit: u8,
    },
    /// Several bits of one or two registers as an unsigned integer; the lowest bit becomes bit 0.
    Bits {
        /// The value that the bits are a part of.
        of: Whole,
        /// The lowest bit.
        first: u8,
        /// The highest bit.
        last: u8,
    },
    /// Text, two characters to a register or one.
    Text {
        /// How many registers.
        registers: u16,
        /// What fills the rest: 0 or a space.
        pad: u8,
        /// How bytes become characters.
        characters: Characters,
        /// Which bytes of a register hold a character.
        place: TextPlace,
    },
    /// Bytes without further meaning.
    Bytes {
        /// How many registers.
        registers: u16,
    },
    /// An instant.
    Time {
        /// How it stands in the registers.
        layout: TimeLayout,
        /// The zone in which the device counts.
        zone: TimeZone,
    },
}

/// The integers that stand in registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Int {
    /// The more significant byte of a register.
    U8High,
    /// The less significant byte of a register.
    U8Low,
    /// The more significant byte of a register, signed.
    I8High,
    /// The less significant byte of a register, signed.
    I8Low,
    U16,
    I16,
    U32,
    I32,
    U48,
    I48,
    U64,
    I64,
}

/// The value that bits are a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whole {
    /// One register.
    Bits16,
    /// Two registers.
    Bits32,
}

/// How bytes become characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Characters {
    /// UTF-8, of which ASCII is a part; other bytes make the reading bad.
    #[default]
    Utf8,
    /// Latin 1: every byte is a character.
    Latin1,
}

/// Which bytes of a register hold a character of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TextPlace {
    /// Both, the more significant one first.
    #[default]
    Both,
    /// The more significant one; the other one means nothing and is written as 0.
    High,
    /// The less significant one; the other one means nothing and is written as 0.
    Low,
}

/// How a part of a register (a bit, a byte) is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PartialWrite {
    /// Not at all: writing the register would also write its other bits.
    #[default]
    Refused,
    /// Read the register, change the part, write the register; a change by others in between is undone.
    ReadModifyWrite,
    /// By function 22, in one step inside the device; one register only.
    Mask,
}

/// How an instant stands in registers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TimeLayout {
    /// Time since 1970-01-01 00:00 of the zone as an unsigned integer of two registers.
    Unix32(TimeUnit),
    /// The same of four registers, signed.
    Unix64(TimeUnit),
    /// One register per field, in this order.
    Registers(Vec<TimeField>),
    /// One byte per field, in this order, the more significant byte of a register first.
    Bytes(Vec<TimeField>),
    /// Four registers after IEC 870-5-4, as Schneider Electric's meters have them ("TI081", `DATETIME`):
    /// year; month, weekday and day; summer time, hour, invalid and minute; milliseconds of the minute.
    Iec870,
}

/// What a time counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum TimeUnit {
    Seconds,
    Milliseconds,
    Microseconds,
}

/// One field of a date and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeField {
    /// The year in full.
    Year,
    /// The year since 2000.
    YearOfCentury,
    /// 1 to 12.
    Month,
    /// Day of the month, 1 to 31.
    Day,
    /// 0 to 23.
    Hour,
    /// 0 to 59.
    Minute,
    /// 0 to 59.
    Second,
    /// 0 to 99.
    Hundredth,
    /// 0 to 999.
    Millisecond,
    /// Not looked at; written as 0.
    Ignored,
}
