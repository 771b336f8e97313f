//! The words that stand for kinds of things in Modbus sections.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::spec::Parity;
use crate::{Characters, Extent, PartialWrite, SerialFraming, TextPlace, TimeField};

/// What a value is on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum TypeWord {
    Bool,
    U8High,
    U8Low,
    I8High,
    I8Low,
    U16,
    I16,
    U32,
    I32,
    U48,
    I48,
    U64,
    I64,
    F32,
    F64,
    Bcd16,
    Bcd32,
    Text,
    Bytes,
    Time,
}

/// How an instant stands in registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum LayoutWord {
    Unix32,
    Unix32Ms,
    Unix64,
    Unix64Ms,
    Unix64Us,
    Iec870,
}

/// One field of a date and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum FieldWord {
    Year,
    YearOfCentury,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Hundredth,
    Millisecond,
    Ignored,
}

/// What holds one field of a date and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum PackingWord {
    Registers,
    Bytes,
}

/// What fills the rest of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum PadWord {
    Zero,
    Space,
}

/// How bytes become characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum CharactersWord {
    #[serde(rename = "utf-8")]
    Utf8,
    #[serde(rename = "latin-1")]
    Latin1,
}

/// Which bytes of a register hold a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum CharactersInWord {
    Both,
    High,
    Low,
}

/// How much a device is asked to say of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum ExtentWord {
    Basic,
    Regular,
    Extended,
}

/// How a part of a register is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum PartialWord {
    Refused,
    ReadModifyWrite,
    Mask,
}

/// How frames look on a serial line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum FramingWord {
    Rtu,
    Ascii,
}

/// The parity bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum ParityWord {
    None,
    Even,
    Odd,
}

impl From<FieldWord> for TimeField {
    fn from(word: FieldWord) -> Self {
        match word {
            FieldWord::Year => Self::Year,
            FieldWord::YearOfCentury => Self::YearOfCentury,
            FieldWord::Month => Self::Month,
            FieldWord::Day => Self::Day,
            FieldWord::Hour => Self::Hour,
            FieldWord::Minute => Self::Minute,
            FieldWord::Second => Self::Second,
            FieldWord::Hundredth => Self::Hundredth,
            FieldWord::Millisecond => Self::Millisecond,
            FieldWord::Ignored => Self::Ignored,
        }
    }
}

impl From<CharactersWord> for Characters {
    fn from(word: CharactersWord) -> Self {
        match word {
            CharactersWord::Utf8 => Self::Utf8,
            CharactersWord::Latin1 => Self::Latin1,
        }
    }
}

impl From<CharactersInWord> for TextPlace {
    fn from(word: CharactersInWord) -> Self {
        match word {
            CharactersInWord::Both => Self::Both,
            CharactersInWord::High => Self::High,
            CharactersInWord::Low => Self::Low,
        }
    }
}

impl From<ExtentWord> for Extent {
    fn from(word: ExtentWord) -> Self {
        match word {
            ExtentWord::Basic => Self::Basic,
            ExtentWord::Regular => Self::Regular,
            ExtentWord::Extended => Self::Extended,
        }
    }
}

impl From<PartialWord> for PartialWrite {
    fn from(word: PartialWord) -> Self {
        match word {
            PartialWord::Refused => Self::Refused,
            PartialWord::ReadModifyWrite => Self::ReadModifyWrite,
            PartialWord::Mask => Self::Mask,
        }
    }
}

impl From<FramingWord> for SerialFraming {
    fn from(word: FramingWord) -> Self {
        match word {
            FramingWord::Rtu => Self::Rtu,
            FramingWord::Ascii => Self::Ascii,
        }
    }
}

impl From<ParityWord> for Parity {
    fn from(word: ParityWord) -> Self {
        match word {
            ParityWord::None => Self::None,
            ParityWord::Even => Self::Even,
            ParityWord::Odd => Self::Odd,
        }
    }
}
