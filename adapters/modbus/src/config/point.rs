//! The Modbus keys of a point.

use adapter::over;
use schemars::JsonSchema;
use serde::Deserialize;
use settings::{Diagnostic, Place};

use super::format::format;
use super::words::{
    CharactersInWord, CharactersWord, FieldWord, LayoutWord, PackingWord, PadWord, PartialWord,
    TypeWord,
};
use crate::{Address, CodecError, Format, PointCodec};

/// Where a point stands and how it reads.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
pub struct PointKeys {
    /// Where it stands: "holding:107" (table and number from 0) or "40108" (a manual's reference, from 1). A file
    /// uses one of the two ways.
    pub address: Option<String>,
    /// What it is on the wire; "bool" for coils and discrete inputs, "u16" for registers, if absent.
    #[serde(rename = "type")]
    pub kind: Option<TypeWord>,
    /// The order of its bytes as they appear on the wire, A = most significant: "ABCD" (if absent), "CDAB", ...
    pub order: Option<String>,
    /// What one step of the raw number is worth: 0.1.
    pub scale: Option<f64>,
    /// What a raw 0 stands for.
    pub offset: Option<f64>,
    /// Where the device keeps the power of ten of this value (-3: thousandths), "holding:40075". Read each time with it.
    pub scale_at: Option<String>,
    /// One bit of the register (or of the two of a "u32") as true or false; 0 = least significant.
    pub bit: Option<u8>,
    /// The lowest and the highest bit of a number within the register: [4, 7].
    pub bits: Option<(u8, u8)>,
    /// How many registers a "text" or "bytes" takes.
    pub length: Option<u16>,
    /// What fills the rest of a "text"; "zero" if absent.
    pub pad: Option<PadWord>,
    /// How the bytes of a "text" become characters; "utf-8" (with ASCII) if absent.
    pub characters: Option<CharactersWord>,
    /// Where a register holds one character of a "text" only: "high" or "low" byte; "both" if absent.
    pub characters_in: Option<CharactersInWord>,
    /// The raw numbers that mean "no value here": [0x8000].
    pub not_a_value: Option<Vec<i64>>,
    /// How a "time" stands in its registers, where it is a known layout.
    pub layout: Option<LayoutWord>,
    /// The fields of a "time", in their order.
    pub fields: Option<Vec<FieldWord>>,
    /// What holds one of the fields; "registers" if absent.
    pub packing: Option<PackingWord>,
    /// The time zone in which the device counts: "Europe/Berlin", "+01:00"; UTC if absent.
    pub zone: Option<String>,
    /// How a bit or byte of a register is written; "refused" if absent.
    pub partial: Option<PartialWord>,
    /// Written by function 16 (15 for coils) even if it is one register; for devices without function 6 or 5.
    pub multiple: Option<bool>,
    /// Written by function 23, which also reads the registers back; for devices that want it so.
    pub read_write: Option<bool>,
}

over!(PointKeys: address, kind, order, scale, offset, scale_at, bit, bits, length, pad, characters, characters_in, not_a_value, layout, fields,
    packing, zone, partial, multiple, read_write);

/// Which of the two ways to write addresses a file uses.
#[derive(Debug, Clone, Default)]
pub struct Notation {
    /// `file:line` of the first address of each way, by file.
    seen: Vec<(String, bool, String)>,
}

impl Notation {
    /// Takes note of an address, and reports it where the same file has used the other way.
    fn check(&mut self, key: &str, text: &str, place: &Place, found: &mut Vec<Diagnostic>) {
        let typed = text.contains(':');
        let mention = place.mention(key);
        let file = mention.rsplit_once(':').map_or("", |(file, _)| file).to_owned();
        let other = self.seen.iter().find(|(f, way, _)| *f == file && *way != typed);
        match other {
            Some((_, _, first)) => {
                let error = place.error(key, "two ways to write addresses in one file");
                let help = "\"holding:107\" counts from 0, \"40108\" from 1: mixed, they are easily one off";
                found.push(error.help(format!("{help}; the other way is used at {first}")));
            }
            None if self.seen.iter().any(|(f, ..)| *f == file) => {}
            None => self.seen.push((file, typed, mention)),
        }
    }
}

/// Where the point stands and how it reads. `None` where that is wrong.
pub fn codec(
    keys: &PointKeys,
    writable: bool,
    place: &Place,
    notation: &mut Notation,
    found: &mut Vec<Diagnostic>,
) -> Option<PointCodec> {
    let Some(text) = &keys.address else {
        let error = place.whole("the point has no address");
        found.push(
            error.help(
                "give address = \"holding:107\" or \"40108\", or a profile that has this point",
            ),
        );
        return None;
    };
    notation.check("address", text, place, found);
    let address: Option<Address> = match text.parse() {
        Ok(address) => Some(address),
        Err(error) => {
            found.push(place.error("address", format!("{error}")));
            None
        }
    };
    let bits = address.is_some_and(|a| a.table.is_bits());
    let power = power(keys, address, writable, place, notation, found);
    let format = format(keys, bits, place, found);
    let (address, format) = (address?, Format { scale_at: power.ok()?, ..format? });
    if writable && !address.table.is_writable() {
        let error = place.error(
            "writable",
            format!("{} registers or bits cannot be written", address.table.word()),
        );
        found.push(error.help("only coils and holding registers can"));
    }
    PointCodec::new(address, format).map_err(|error| found.push(explain(&error, place))).ok()
}

/// The register of the power of ten; an error where it is wrong.
fn power(
    keys: &PointKeys,
    address: Option<Address>,
    writable: bool,
    place: &Place,
    notation: &mut Notation,
    found: &mut Vec<Diagnostic>,
) -> Result<Option<u16>, ()> {
    let Some(text) = keys.scale_at.as_deref() else { return Ok(None) };
    notation.check("scale_at", text, place, found);
    if writable {
        found.push(place.error("writable", "a value that the device scales can only be read"));
    }
    let error = match text.parse::<Address>() {
        Ok(at) if address.is_none_or(|address| address.table == at.table) => {
            return Ok(Some(at.number));
        }
        Ok(_) => "the power of ten is in another table than the value".to_owned(),
        Err(error) => error.to_string(),
    };
    found.push(place.error("scale_at", error));
    Err(())
}

/// The key that a mistake of the codec is about.
fn explain(error: &CodecError, place: &Place) -> Diagnostic {
    let key = match error {
        CodecError::Table(_) => "type",
        CodecError::End { .. } => "address",
        CodecError::Size(_) => "length",
        CodecError::Order { .. } | CodecError::NoOrder => "order",
        CodecError::Bits { .. } => "bits",
        CodecError::NotScalable | CodecError::Scale => "scale",
        CodecError::Sentinel(_) => "not_a_value",
        CodecError::Mask => "partial",
        CodecError::Power => "scale_at",
    };
    place.error(key, error.to_string())
}
