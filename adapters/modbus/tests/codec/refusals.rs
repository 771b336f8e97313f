use adapter_modbus::{
    Characters, CodecError, EncodeError, Format, Int, Kind, PartialWrite, PointCodec, Scale,
    TextPlace, Whole,
};
use twin::Value;

use super::codec;

fn at(address: &str, format: Format) -> CodecError {
    PointCodec::new(address.parse().unwrap(), format).unwrap_err()
}

fn error(format: Format) -> CodecError {
    at("holding:10", format)
}

#[test]
fn formats_that_describe_nothing() {
    let new = Format::new;
    let u16 = || new(Kind::Int(Int::U16));
    let scale = |factor: &str, offset: &str| {
        let parse = |text: &str| text.parse().unwrap();
        Some(Scale { factor: parse(factor), offset: parse(offset) })
    };
    assert_eq!(at("coil:1", u16()), CodecError::Table("coil"));
    assert_eq!(error(new(Kind::Bool)), CodecError::Table("holding"));
    let address = "holding:65533".parse().unwrap();
    let end = CodecError::End { address, count: 4 };
    assert_eq!(at("holding:65533", new(Kind::F64)), end);
    let text = |registers| {
        new(Kind::Text { registers, pad: 0, characters: Characters::Utf8, place: TextPlace::Both })
    };
    assert_eq!(error(text(126)), CodecError::Size(126));
    assert_eq!(error(text(0)), CodecError::Size(0));
    let order = "ABCD".parse().unwrap();
    let ordered = Format { order: Some(order), ..u16() };
    assert_eq!(error(ordered), CodecError::Order { order, bytes: 2 });
    let coil = Format { order: Some(order), ..new(Kind::Bool) };
    assert_eq!(at("coil:1", coil), CodecError::NoOrder);
    let (first, last, width) = (9, 16, 16);
    let bits = new(Kind::Bits { of: Whole::Bits16, first, last });
    assert_eq!(error(bits), CodecError::Bits { first, last, width });
    let (first, last) = (9, 8);
    let bits = new(Kind::Bits { of: Whole::Bits16, first, last });
    assert_eq!(error(bits), CodecError::Bits { first, last, width });
    assert_eq!(error(Format { scale: scale("0.1", "0"), ..text(2) }), CodecError::NotScalable);
    assert_eq!(error(Format { scale: scale("0", "0"), ..u16() }), CodecError::Scale);
    assert_eq!(error(Format { scale: scale("0", "0"), ..new(Kind::F32) }), CodecError::Scale);
    assert_eq!(error(Format { scale: scale("1e18", "1e-18"), ..u16() }), CodecError::Scale);
    let sentinel = Format { not_a_value: vec![0x1_0000], ..u16() };
    assert_eq!(error(sentinel), CodecError::Sentinel(0x1_0000));
    let kind = Kind::Bits { of: Whole::Bits32, first: 15, last: 16 };
    let mask = Format { partial: PartialWrite::Mask, ..new(kind) };
    assert_eq!(error(mask), CodecError::Mask);
}

#[test]
fn values_that_cannot_be_written() {
    let input = "input:10".parse().unwrap();
    let read_only = PointCodec::new(input, Format::new(Kind::Int(Int::U16))).unwrap();
    assert_eq!(read_only.encode(&Value::Unsigned(1)), Err(EncodeError::ReadOnly(input)));
    let holding = codec(Format::new(Kind::Int(Int::I16)));
    let range = Err(EncodeError::Range(holding.address()));
    assert_eq!(holding.encode(&Value::Signed(32_768)), range);
    assert_eq!(holding.encode(&Value::Signed(-32_769)), range);
    assert_eq!(holding.encode(&Value::Unsigned(1)), Err(EncodeError::Type));
    assert_eq!(holding.encode(&Value::Bool(true)), Err(EncodeError::Type));
    let single = codec(Format::new(Kind::F32));
    assert_eq!(single.encode(&Value::Float(1e39)), Err(EncodeError::Range(single.address())));
    assert_eq!(single.expected(&Value::Float(0.1)), Ok(Value::Float(f64::from(0.1f32))));
}
