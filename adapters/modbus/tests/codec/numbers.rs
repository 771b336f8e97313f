use adapter_modbus::{Format, Int, Kind, PartialWrite, Request, Response, Whole, Write};
use twin::{Cause, IntKind, Value, ValueType};

use super::{bad, codec, good, ordered, scaled};

/// 123456.0 in the four orders, byte for byte as libmodbus keeps it (tests/unit-test.h, `UT_IREAL_*_SET`).
#[test]
fn a_single_in_the_four_orders_of_libmodbus() {
    for (order, wire) in [
        ("ABCD", [0x47, 0xF1, 0x20, 0x00]),
        ("DCBA", [0x00, 0x20, 0xF1, 0x47]),
        ("BADC", [0xF1, 0x47, 0x00, 0x20]),
        ("CDAB", [0x20, 0x00, 0x47, 0xF1]),
    ] {
        let single = ordered(Kind::F32, order);
        assert_eq!(good(&single, &wire), Value::Float(123_456.0), "{order}");
        let values: Box<[u16]> = wire.chunks(2).map(|w| u16::from_be_bytes([w[0], w[1]])).collect();
        let request = Request::WriteRegisters { start: 10, values };
        assert_eq!(single.encode(&Value::Float(123_456.0)), Ok(Write::Request(request)), "{order}");
    }
}

/// "51 24 45 B7 -> 45B75124 -> 5866,143": the word order of Modicon, from notes on the program mdbus.
#[test]
fn a_single_with_the_low_register_first() {
    let Value::Float(value) = good(&ordered(Kind::F32, "CDAB"), &[0x51, 0x24, 0x45, 0xB7]) else {
        panic!("no float")
    };
    assert!((value - 5866.143).abs() < 0.0005, "{value}");
}

#[test]
fn integers_of_every_width() {
    let wire = [0xFF, 0xFE, 0x00, 0x01, 0x80, 0x00, 0x00, 0x02];
    for (int, bytes, value, kind) in [
        (Int::U8High, 2, Value::Unsigned(0xFF), IntKind::U8),
        (Int::U8Low, 2, Value::Unsigned(0xFE), IntKind::U8),
        (Int::I8High, 2, Value::Signed(-1), IntKind::I8),
        (Int::I8Low, 2, Value::Signed(-2), IntKind::I8),
        (Int::U16, 2, Value::Unsigned(0xFFFE), IntKind::U16),
        (Int::I16, 2, Value::Signed(-2), IntKind::I16),
        (Int::U32, 4, Value::Unsigned(0xFFFE_0001), IntKind::U32),
        (Int::I32, 4, Value::Signed(-0x1_FFFF), IntKind::I32),
        (Int::U48, 6, Value::Unsigned(0xFFFE_0001_8000), IntKind::U64),
        (Int::I48, 6, Value::Signed(-0x1_FFFE_8000), IntKind::I64),
        (Int::U64, 8, Value::Unsigned(0xFFFE_0001_8000_0002), IntKind::U64),
        (Int::I64, 8, Value::Signed(-0x1_FFFE_7FFF_FFFE), IntKind::I64),
    ] {
        let codec = codec(Format::new(Kind::Int(int)));
        assert_eq!(good(&codec, &wire[..bytes]), value, "{int:?}");
        assert_eq!(codec.value_type(), &ValueType::Int(kind), "{int:?}");
        assert_eq!(usize::from(codec.count()) * 2, bytes, "{int:?}");
    }
    let double = good(&codec(Format::new(Kind::F64)), &1.5f64.to_be_bytes());
    assert_eq!(double, Value::Float(1.5));
    let swapped = ordered(Kind::Int(Int::U64), "GHEFCDAB");
    assert_eq!(good(&swapped, &[7, 8, 5, 6, 3, 4, 1, 2]), Value::Unsigned(0x0102_0304_0506_0708));
}

#[test]
fn decimals_are_exact() {
    let tenth = scaled(Kind::Int(Int::I16), "0.1", "0");
    assert_eq!(good(&tenth, &[0xFF, 0x19]), Value::Decimal(-231));
    assert_eq!(tenth.value_type(), &ValueType::Decimal { raw: IntKind::I16, exponent: -1 });
    let request = Request::WriteRegister { number: 10, value: 0xFF19 };
    assert_eq!(tenth.encode(&Value::Decimal(-231)), Ok(Write::Request(request)));

    // A step of 0.05 from -40: raw 1207 is 20.35, and what lies between two steps goes to the nearer.
    let twentieth = scaled(Kind::Int(Int::U16), "0.05", "-40");
    assert_eq!(good(&twentieth, &1207u16.to_be_bytes()), Value::Decimal(2035));
    assert_eq!(twentieth.expected(&Value::Decimal(2033)), Ok(Value::Decimal(2035)));
    assert_eq!(twentieth.expected(&Value::Decimal(2032)), Ok(Value::Decimal(2030)));

    // An energy counter of 64 bits in steps of 0.05 leaves what 64 bits keep: that is no value, not a wrong one.
    let counter = scaled(Kind::Int(Int::U64), "0.05", "0");
    assert_eq!(bad(&counter, &[0xFF; 8]), Cause::OutOfRange);
    assert_eq!(good(&counter, &1_000_000u64.to_be_bytes()), Value::Decimal(5_000_000));

    let floating = scaled(Kind::F32, "0.001", "1");
    assert_eq!(good(&floating, &500f32.to_be_bytes()), Value::Float(1.5));
    assert_eq!(floating.value_type(), &ValueType::F64);
}

#[test]
fn binary_coded_decimals() {
    let two = codec(Format::new(Kind::Bcd32));
    assert_eq!(good(&two, &[0x12, 0x34, 0x56, 0x78]), Value::Unsigned(12_345_678));
    let one = codec(Format::new(Kind::Bcd16));
    assert_eq!(good(&one, &[0x09, 0x75]), Value::Unsigned(975));
    assert_eq!(bad(&one, &[0x0A, 0x00]), Cause::Malformed);
    let request = Request::WriteRegister { number: 10, value: 0x0975 };
    assert_eq!(one.encode(&Value::Unsigned(975)), Ok(Write::Request(request)));
    assert!(one.encode(&Value::Unsigned(10_000)).is_err());
    assert_eq!(good(&scaled(Kind::Bcd16, "0.01", "0"), &[0x12, 0x34]), Value::Decimal(1234));
}

#[test]
fn bits_of_registers() {
    let bit = |of, bit| codec(Format::new(Kind::Bit { of, bit }));
    assert_eq!(good(&bit(Whole::Bits16, 0), &[0x00, 0x01]), Value::Bool(true));
    assert_eq!(good(&bit(Whole::Bits16, 15), &[0x7F, 0xFF]), Value::Bool(false));
    assert_eq!(good(&bit(Whole::Bits32, 16), &[0x00, 0x01, 0x00, 0x00]), Value::Bool(true));
    let bits = codec(Format::new(Kind::Bits { of: Whole::Bits16, first: 4, last: 7 }));
    assert_eq!(good(&bits, &[0xAB, 0xCD]), Value::Unsigned(0xC));
    let swapped = ordered(Kind::Bits { of: Whole::Bits32, first: 0, last: 15 }, "CDAB");
    assert_eq!(good(&swapped, &[0x12, 0x34, 0x00, 0x00]), Value::Unsigned(0x1234));
    let coil = codec(Format::new(Kind::Bool));
    assert_eq!((good(&coil, &[1]), good(&coil, &[0])), (Value::Bool(true), Value::Bool(false)));
    let request = Request::WriteCoil { number: 10, on: true };
    assert_eq!(coil.encode(&Value::Bool(true)), Ok(Write::Request(request)));
}

#[test]
fn a_part_of_a_register_is_written_as_declared() {
    let with = |kind, partial| codec(Format { partial, ..Format::new(kind) });
    let kind = Kind::Bits { of: Whole::Bits16, first: 4, last: 7 };
    let refused = with(kind.clone(), PartialWrite::Refused).encode(&Value::Unsigned(5));
    assert!(refused.unwrap_err().to_string().contains("declare how to write a part"));

    let Ok(Write::Modify(modify)) =
        with(kind.clone(), PartialWrite::ReadModifyWrite).encode(&Value::Unsigned(5))
    else {
        panic!("not in two steps")
    };
    let current = modify.read().accept(&[3, 2, 0xAB, 0xCD]).unwrap();
    let request = Request::WriteRegister { number: 10, value: 0xAB5D };
    assert_eq!(modify.write(&current), Some(request));
    assert_eq!(modify.write(&Response::Written), None);

    let request = Request::MaskRegister { number: 10, keep: 0xFF0F, set: 0x0050 };
    let masked = with(kind, PartialWrite::Mask).encode(&Value::Unsigned(5));
    assert_eq!(masked, Ok(Write::Request(request)));
    // Bit 3 of 32 stands in the second register.
    let second = with(Kind::Bit { of: Whole::Bits32, bit: 3 }, PartialWrite::Mask);
    let request = Request::MaskRegister { number: 11, keep: 0xFFF7, set: 8 };
    assert_eq!(second.encode(&Value::Bool(true)), Ok(Write::Request(request)));
}

#[test]
fn what_means_no_value_is_none() {
    let format = Format { not_a_value: vec![0x8000], ..Format::new(Kind::Int(Int::I16)) };
    let signed = codec(format);
    assert_eq!(bad(&signed, &[0x80, 0x00]), Cause::NotAValue);
    assert_eq!(good(&signed, &[0x80, 0x01]), Value::Signed(-32_767));
    assert!(signed.encode(&Value::Signed(-32_768)).is_err(), "it would be read as no value");
    let single = codec(Format::new(Kind::F32));
    assert_eq!(bad(&single, &f32::NAN.to_be_bytes()), Cause::NotAValue);
    assert_eq!(bad(&single, &[0xFF, 0xC0, 0x00, 0x01]), Cause::NotAValue);
    assert!(single.encode(&Value::Float(f64::NAN)).is_err());
    let order = Some("CDAB".parse().unwrap());
    let format =
        Format { not_a_value: vec![0x8000_0000], order, ..Format::new(Kind::Int(Int::U32)) };
    assert_eq!(bad(&codec(format), &[0x00, 0x00, 0x80, 0x00]), Cause::NotAValue);
}

#[test]
fn the_wrong_number_of_bytes_is_no_value() {
    let single = codec(Format::new(Kind::F32));
    for length in [0, 1, 2, 3, 5, 8] {
        assert_eq!(bad(&single, &vec![0; length]), Cause::Malformed);
    }
    assert_eq!(bad(&codec(Format::new(Kind::Bool)), &[]), Cause::Malformed);
}
