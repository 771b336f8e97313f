use adapter_modbus::{Characters, Format, Kind, Request, TextPlace, Write};
use twin::{Cause, Value};

use super::{bad, codec, good, ordered};

fn text(registers: u16, pad: u8, characters: Characters) -> Kind {
    Kind::Text { registers, pad, characters, place: TextPlace::Both }
}

fn value(text: &str) -> Value {
    Value::Text(text.into())
}

#[test]
fn texts_end_where_their_padding_begins() {
    let zeros = codec(Format::new(text(4, 0, Characters::Utf8)));
    assert_eq!(good(&zeros, b"PM5560\0\0"), value("PM5560"));
    assert_eq!(good(&zeros, b"PM55\0xyz"), value("PM55"), "a terminator ends it");
    assert_eq!(good(&zeros, &[0; 8]), value(""));
    let spaces = codec(Format::new(text(4, b' ', Characters::Utf8)));
    assert_eq!(good(&spaces, b"PM 556  "), value("PM 556"));
    let swapped = ordered(text(3, 0, Characters::Utf8), "BA");
    assert_eq!(good(&swapped, b"MP5506"), value("PM5560"));
}

#[test]
fn characters_are_what_they_are_said_to_be() {
    let utf8 = codec(Format::new(text(2, 0, Characters::Utf8)));
    assert_eq!(good(&utf8, "m³\0".as_bytes()), value("m³"));
    assert_eq!(bad(&utf8, &[b'm', 0xB3, 0, 0]), Cause::Malformed);
    let latin = codec(Format::new(text(2, 0, Characters::Latin1)));
    assert_eq!(good(&latin, &[b'm', 0xB3, 0, 0]), value("m³"));
    assert!(latin.encode(&value("ω")).is_err());
}

#[test]
fn a_text_is_written_whole_or_not() {
    let codec = codec(Format::new(text(2, b' ', Characters::Utf8)));
    let request = Request::WriteRegisters { start: 10, values: [0x6162, 0x6320].into() };
    assert_eq!(codec.encode(&value("abc")), Ok(Write::Request(request)));
    for refused in ["abcde", "abc ", "a\0b"] {
        assert!(codec.encode(&value(refused)).is_err(), "{refused:?}");
    }
}

#[test]
fn a_register_may_hold_one_character() {
    let place = |place| {
        let kind = Kind::Text { registers: 3, pad: 0, characters: Characters::Utf8, place };
        codec(Format::new(kind))
    };
    let low = place(TextPlace::Low);
    assert_eq!(good(&low, b"\0P\0M\0\0"), value("PM"));
    assert_eq!(good(&low, b"xPyMz5"), value("PM5"), "the other byte means nothing");
    assert_eq!(good(&place(TextPlace::High), b"P\0M\0\0\0"), value("PM"));
    let request = Request::WriteRegisters { start: 10, values: [0x50, 0x4D, 0].into() };
    assert_eq!(low.encode(&value("PM")), Ok(Write::Request(request)));
    assert!(low.encode(&value("PM55")).is_err(), "four characters do not fit");
    let request = Request::WriteRegisters { start: 10, values: [0x5000, 0, 0].into() };
    assert_eq!(place(TextPlace::High).encode(&value("P")), Ok(Write::Request(request)));
}

#[test]
fn bytes_are_taken_as_they_are() {
    let codec = codec(Format::new(Kind::Bytes { registers: 2 }));
    assert_eq!(good(&codec, &[1, 2, 3, 4]), Value::Bytes([1, 2, 3, 4].into()));
    assert!(codec.encode(&Value::Bytes([1, 2, 3].into())).is_err());
}
