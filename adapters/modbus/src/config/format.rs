//! From the keys of a point to its [`Format`].

use jiff::tz::{Offset, TimeZone};
use settings::{Diagnostic, Place};

use super::point::PointKeys;
use super::words::{LayoutWord, PackingWord, PadWord, TypeWord};
use crate::{
    Characters, Decimal, Format, Int, Kind, Order, PartialWrite, Scale, TextPlace, TimeLayout,
    TimeUnit, Whole,
};

/// How the value stands in its registers; `bits` where it stands in a table of bits. `None` where that is wrong.
pub(super) fn format(
    keys: &PointKeys,
    bits: bool,
    place: &Place,
    found: &mut Vec<Diagnostic>,
) -> Option<Format> {
    let before = found.len();
    let word = keys.kind.unwrap_or(if bits { TypeWord::Bool } else { TypeWord::U16 });
    foreign(keys, word, place, found);
    let kind = kind(keys, word, place, found);
    if keys.read_write == Some(true) && (bits || keys.multiple == Some(true)) {
        let error =
            place.error("read_write", "function 23 writes registers, and it is one way of several");
        found.push(error.help("leave out multiple; coils are written by function 5 or 15"));
    }
    let order = keys.order.as_deref().and_then(|text| {
        let parsed = text.parse::<Order>();
        parsed.map_err(|e| found.push(place.error("order", e.to_string()))).ok()
    });
    let scale = scale(keys, place, found);
    let kind = kind?;
    let width = bits_of(word);
    let masked = |n: &i64| {
        if *n < 0 && width < 64 {
            n.cast_unsigned() & ((1 << width) - 1)
        } else {
            n.cast_unsigned()
        }
    };
    let format = Format {
        kind,
        order,
        scale,
        scale_at: None,
        not_a_value: keys.not_a_value.iter().flatten().map(masked).collect(),
        partial: keys.partial.map_or(PartialWrite::Refused, Into::into),
        multiple: keys.multiple == Some(true),
        read_write: keys.read_write == Some(true),
    };
    (found.len() == before).then_some(format)
}

/// Keys that mean nothing for this type.
fn foreign(keys: &PointKeys, word: TypeWord, place: &Place, found: &mut Vec<Diagnostic>) {
    let text = word == TypeWord::Text;
    let sized = text || word == TypeWord::Bytes;
    let time = word == TypeWord::Time;
    let whole = matches!(word, TypeWord::U16 | TypeWord::U32);
    let checks = [
        ("length", keys.length.is_some(), sized, "\"text\" or \"bytes\""),
        ("pad", keys.pad.is_some(), text, "\"text\""),
        ("characters", keys.characters.is_some(), text, "\"text\""),
        ("characters_in", keys.characters_in.is_some(), text, "\"text\""),
        ("layout", keys.layout.is_some(), time, "\"time\""),
        ("fields", keys.fields.is_some(), time, "\"time\""),
        ("packing", keys.packing.is_some(), time, "\"time\""),
        ("zone", keys.zone.is_some(), time, "\"time\""),
        ("bit", keys.bit.is_some(), whole, "\"u16\" or \"u32\""),
        ("bits", keys.bits.is_some(), whole, "\"u16\" or \"u32\""),
    ];
    for (key, said, fits, types) in checks {
        if said && !fits {
            found.push(place.error(key, format!("this key is only for points of type {types}")));
        }
    }
    if keys.bit.is_some() && keys.bits.is_some() {
        let error = place.error("bit", "a point is one bit or several, not both");
        found.push(error.help("leave out either bit or bits"));
    }
}

fn kind(
    keys: &PointKeys,
    word: TypeWord,
    place: &Place,
    found: &mut Vec<Diagnostic>,
) -> Option<Kind> {
    let int = |int: Int| Some(Kind::Int(int));
    let part = |of: Whole, int: Int| match (keys.bit, keys.bits) {
        (Some(bit), _) => Kind::Bit { of, bit },
        (None, Some((first, last))) => Kind::Bits { of, first, last },
        (None, None) => Kind::Int(int),
    };
    let length = |found: &mut Vec<Diagnostic>| {
        if keys.length.is_none() {
            found.push(place.whole("the point needs length, its number of registers"));
        }
        keys.length
    };
    match word {
        TypeWord::Bool => Some(Kind::Bool),
        TypeWord::U8High => int(Int::U8High),
        TypeWord::U8Low => int(Int::U8Low),
        TypeWord::I8High => int(Int::I8High),
        TypeWord::I8Low => int(Int::I8Low),
        TypeWord::U16 => Some(part(Whole::Bits16, Int::U16)),
        TypeWord::U32 => Some(part(Whole::Bits32, Int::U32)),
        TypeWord::I16 => int(Int::I16),
        TypeWord::I32 => int(Int::I32),
        TypeWord::U48 => int(Int::U48),
        TypeWord::I48 => int(Int::I48),
        TypeWord::U64 => int(Int::U64),
        TypeWord::I64 => int(Int::I64),
        TypeWord::F32 => Some(Kind::F32),
        TypeWord::F64 => Some(Kind::F64),
        TypeWord::Bcd16 => Some(Kind::Bcd16),
        TypeWord::Bcd32 => Some(Kind::Bcd32),
        TypeWord::Bytes => Some(Kind::Bytes { registers: length(found)? }),
        TypeWord::Text => Some(Kind::Text {
            registers: length(found)?,
            pad: if keys.pad == Some(PadWord::Space) { b' ' } else { 0 },
            characters: keys.characters.map_or(Characters::Utf8, Into::into),
            place: keys.characters_in.map_or(TextPlace::Both, Into::into),
        }),
        TypeWord::Time => {
            let (layout, zone) = (layout(keys, place, found), zone(keys, place, found));
            Some(Kind::Time { layout: layout?, zone: zone? })
        }
    }
}

fn layout(keys: &PointKeys, place: &Place, found: &mut Vec<Diagnostic>) -> Option<TimeLayout> {
    match (keys.layout, &keys.fields) {
        (Some(_), Some(_)) => {
            let error = place.error("fields", "a time has a known layout or fields, not both");
            found.push(error.help("leave out either layout or fields"));
            None
        }
        (None, None) => {
            let error = place.whole("the point needs layout or fields");
            found.push(
                error.help(
                    "give layout = \"unix32\" or fields = [\"year\", \"month\", \"day\", ...]",
                ),
            );
            None
        }
        (None, Some(fields)) => {
            let fields = fields.iter().copied().map(Into::into).collect();
            Some(match keys.packing {
                Some(PackingWord::Bytes) => TimeLayout::Bytes(fields),
                Some(PackingWord::Registers) | None => TimeLayout::Registers(fields),
            })
        }
        (Some(word), None) => Some(match word {
            LayoutWord::Unix32 => TimeLayout::Unix32(TimeUnit::Seconds),
            LayoutWord::Unix32Ms => TimeLayout::Unix32(TimeUnit::Milliseconds),
            LayoutWord::Unix64 => TimeLayout::Unix64(TimeUnit::Seconds),
            LayoutWord::Unix64Ms => TimeLayout::Unix64(TimeUnit::Milliseconds),
            LayoutWord::Unix64Us => TimeLayout::Unix64(TimeUnit::Microseconds),
            LayoutWord::Iec870 => TimeLayout::Iec870,
        }),
    }
}

fn zone(keys: &PointKeys, place: &Place, found: &mut Vec<Diagnostic>) -> Option<TimeZone> {
    let Some(text) = keys.zone.as_deref() else { return Some(TimeZone::UTC) };
    let zone = fixed(text).map(TimeZone::fixed).or_else(|| TimeZone::get(text).ok());
    if zone.is_none() {
        let error = place.error("zone", format!("the time zone {text:?} is not known"));
        found.push(error.help(
            "give a name as in /usr/share/zoneinfo, \"Europe/Berlin\", or an offset, \"+01:00\"",
        ));
    }
    zone
}

/// The offset that `+01:00` is.
fn fixed(text: &str) -> Option<Offset> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = text.strip_prefix(['+', '-'])?.split_once(':')?;
    let number = |digits: &str| {
        let plain = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| digits.parse::<i32>().ok()).flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    if minutes > 59 {
        return None;
    }
    Offset::from_seconds(sign * (hours * 3_600 + minutes * 60)).ok()
}

fn scale(keys: &PointKeys, place: &Place, found: &mut Vec<Diagnostic>) -> Option<Scale> {
    if keys.scale.is_none() && keys.offset.is_none() {
        return None;
    }
    // The shortest text of a double is what the operator wrote, up to 15 digits.
    let mut decimal = |key: &str, said: Option<f64>, absent: Decimal| match said {
        None => Some(absent),
        Some(number) => match format!("{number:e}").parse::<Decimal>() {
            Ok(decimal) => Some(decimal),
            Err(error) => {
                found.push(place.error(key, error.to_string()));
                None
            }
        },
    };
    let factor = decimal("scale", keys.scale, Decimal::ONE);
    let offset = decimal("offset", keys.offset, Decimal::ZERO);
    Some(Scale { factor: factor?, offset: offset? })
}

/// How many bits the raw number has.
fn bits_of(word: TypeWord) -> u32 {
    match word {
        TypeWord::U8High | TypeWord::U8Low | TypeWord::I8High | TypeWord::I8Low => 8,
        TypeWord::U32 | TypeWord::I32 | TypeWord::F32 | TypeWord::Bcd32 => 32,
        TypeWord::U48 | TypeWord::I48 => 48,
        TypeWord::U64 | TypeWord::I64 | TypeWord::F64 => 64,
        _ => 16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_of_zones() {
        let seconds = |text: &str| fixed(text).map(Offset::seconds);
        assert_eq!(seconds("+01:00"), Some(3_600));
        assert_eq!(seconds("-03:30"), Some(-12_600));
        for text in ["01:00", "+1:00", "+01:60", "+99:00", "+01", "Z", "+aa:00"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
