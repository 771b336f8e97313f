//! Numbers whose power of ten the device itself keeps in another register, as SunSpec devices do.

use adapter_modbus::{CodecError, EncodeError, Format, Int, Kind, PointCodec};
use twin::{Cause, Value, ValueType};

use crate::{bad, codec, good};

/// A number at holding register 10 with its power at `at`.
fn powered(int: Int, at: u16, not_a_value: &[u64]) -> PointCodec {
    let not_a_value = not_a_value.to_vec();
    codec(Format { scale_at: Some(at), not_a_value, ..Format::new(Kind::Int(int)) })
}

fn wire(registers: &[u16]) -> Vec<u8> {
    registers.iter().flat_map(|register| register.to_be_bytes()).collect()
}

#[test]
fn the_power_stands_behind_or_before_the_number() {
    let behind = powered(Int::U16, 12, &[]);
    assert_eq!((behind.address().to_string(), behind.count()), ("holding:10".into(), 3));
    assert_eq!(good(&behind, &wire(&[2305, 9, 0xFFFF])), Value::Float(230.5));
    let before = powered(Int::I32, 7, &[]);
    assert_eq!((before.address().to_string(), before.count()), ("holding:7".into(), 5));
    assert_eq!(good(&before, &wire(&[2, 9, 9, 0xFFFF, 0xFF85])), Value::Float(-12_300.0));
    assert_eq!(*before.value_type(), ValueType::F64);
    let wide = powered(Int::U64, 14, &[]);
    let wide = good(&wide, &wire(&[0, 0, 1, 0, 0xFFF6]));
    assert_eq!(wide, Value::Float(0.000_006_553_6));
}

/// What people would write is what comes out: 0.1 has no exact double, but one that is nearest to it.
#[test]
fn a_power_below_zero_gives_the_nearest_double() {
    let codec = powered(Int::I16, 11, &[]);
    for raw in -2_000..2_000_i16 {
        for places in 0..=4_u16 {
            let registers = [raw.cast_unsigned(), 0_u16.wrapping_sub(places)];
            let text = format!("{raw}e-{places}");
            let said: f64 = text.parse().unwrap();
            let Value::Float(value) = good(&codec, &wire(&registers)) else { panic!("{text}") };
            assert_eq!(value.to_bits(), (said + 0.0).to_bits(), "{text}");
        }
    }
}

#[test]
fn what_is_not_implemented_is_no_value() {
    let codec = powered(Int::I16, 11, &[0x8000]);
    assert_eq!(bad(&codec, &wire(&[0x8000, 0])), Cause::NotAValue);
    assert_eq!(bad(&codec, &wire(&[5, 0x8000])), Cause::NotAValue, "it has no power of ten");
    assert_eq!(bad(&codec, &wire(&[5, 11])), Cause::Malformed, "no power of ten of a device");
    assert_eq!(bad(&codec, &wire(&[5, 0xFFF5])), Cause::Malformed);
    assert_eq!(bad(&codec, &wire(&[5])), Cause::Malformed);
    assert_eq!(good(&codec, &wire(&[5, 10])), Value::Float(5e10));
}

#[test]
fn it_is_never_written() {
    let codec = powered(Int::U16, 11, &[]);
    assert_eq!(codec.encode(&Value::Float(1.0)), Err(EncodeError::Power(codec.address())));
    assert!(codec.expected(&Value::Float(1.0)).is_err());
}

#[test]
fn where_it_makes_no_sense_it_is_refused() {
    let make = |kind, at, scale: Option<&str>| {
        let scale = scale.map(|factor| adapter_modbus::Scale {
            factor: factor.parse().unwrap(),
            offset: adapter_modbus::Decimal::ZERO,
        });
        let format = Format { scale_at: Some(at), scale, ..Format::new(kind) };
        PointCodec::new("holding:10".parse().unwrap(), format).map(|codec| codec.count())
    };
    let int = Kind::Int(Int::U32);
    assert_eq!(make(int.clone(), 134, None), Ok(125), "the longest request");
    for (kind, at, scale) in [
        (int.clone(), 135, None),
        (int.clone(), 11, None),
        (int, 20, Some("0.1")),
        (Kind::F32, 20, None),
        (Kind::Int(Int::U8Low), 20, None),
        (
            Kind::Text {
                registers: 2,
                pad: 0,
                characters: adapter_modbus::Characters::Utf8,
                place: adapter_modbus::TextPlace::default(),
            },
            20,
            None,
        ),
    ] {
        assert_eq!(make(kind.clone(), at, scale), Err(CodecError::Power), "{kind:?} {at}");
    }
}
