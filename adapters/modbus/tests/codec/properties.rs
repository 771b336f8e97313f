use adapter_modbus::{
    Characters, Format, Int, Kind, PartialWrite, PointCodec, Response, Scale, TextPlace, TimeField,
    TimeLayout, TimeUnit, Whole, Write,
};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use proptest::sample::select;
use twin::{IntKind, Timestamp, Value, ValueType};

use super::codec;

const INTS: [Int; 12] = [
    Int::U8High,
    Int::U8Low,
    Int::I8High,
    Int::I8Low,
    Int::U16,
    Int::I16,
    Int::U32,
    Int::I32,
    Int::U48,
    Int::I48,
    Int::U64,
    Int::I64,
];

fn kinds() -> impl Strategy<Value = Kind> {
    use TimeField::{Day, Hour, Minute, Month, Second, Year};
    let whole = || select(vec![Whole::Bits16, Whole::Bits32]);
    let layouts = vec![
        TimeLayout::Unix32(TimeUnit::Seconds),
        TimeLayout::Unix64(TimeUnit::Seconds),
        TimeLayout::Iec870,
        TimeLayout::Registers(vec![Year, Month, Day, Hour, Minute, Second]),
    ];
    prop_oneof![
        4 => select(INTS.to_vec()).prop_map(Kind::Int),
        2 => select(vec![Kind::F32, Kind::F64, Kind::Bcd16, Kind::Bcd32, Kind::Bool]),
        1 => (whole(), 0u8..16).prop_map(|(of, bit)| Kind::Bit { of, bit }),
        1 => (whole(), 0u8..8, 0u8..8).prop_map(|(of, first, more)| {
            Kind::Bits { of, first, last: first + more }
        }),
        1 => (1u16..20, select(vec![0, b' '])).prop_map(|(registers, pad)| {
            Kind::Text { registers, pad, characters: Characters::Utf8, place: TextPlace::Both }
        }),
        1 => select(layouts)
            .prop_map(|layout| Kind::Time { layout, zone: TimeZone::UTC }),
    ]
}

/// Every order of the letters that the kind has.
fn orders(kind: &Kind) -> BoxedStrategy<Option<String>> {
    let bytes = match kind {
        Kind::Bool => return Just(None).boxed(),
        Kind::Text { .. } => 2,
        Kind::Time { layout: TimeLayout::Unix32(_), .. } => 4,
        Kind::Time { layout: TimeLayout::Unix64(_), .. } => 8,
        Kind::Time { .. } => 2,
        kind => usize::from(codec(Format::new(kind.clone())).count()) * 2,
    };
    let letters: Vec<char> = "ABCDEFGH".chars().take(bytes).collect();
    Just(letters).prop_shuffle().prop_map(|letters| Some(letters.into_iter().collect())).boxed()
}

fn codecs() -> impl Strategy<Value = PointCodec> {
    let kinds = kinds().prop_flat_map(|kind| (orders(&kind), Just(kind)));
    let factors = select(vec!["0.1", "0.05", "1", "10", "-0.001", "3"]);
    let scales = (factors, select(vec!["0", "-40", "0.5", "273.15"]), any::<bool>());
    (kinds, scales).prop_map(|((order, kind), (factor, offset, scaled))| {
        let scalable = matches!(kind, Kind::Int(_) | Kind::Bits { .. } | Kind::Bcd16 | Kind::Bcd32);
        let scale = Scale { factor: factor.parse().unwrap(), offset: offset.parse().unwrap() };
        let order = order.map(|letters: String| letters.parse().unwrap());
        let scale = (scaled && scalable).then_some(scale);
        let partial = PartialWrite::ReadModifyWrite;
        codec(Format { order, scale, partial, ..Format::new(kind) })
    })
}

/// A value of the codec's type, not always one that fits.
fn values(codec: &PointCodec) -> BoxedStrategy<Value> {
    match codec.value_type() {
        ValueType::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        ValueType::Int(kind) if kind.signed() => {
            any::<i64>().prop_map(narrow(*kind)).prop_map(Value::Signed).boxed()
        }
        ValueType::Int(kind) => {
            let narrow = narrow(*kind);
            any::<i64>().prop_map(move |v| Value::Unsigned(narrow(v) as u64)).boxed()
        }
        ValueType::Decimal { raw, .. } => {
            any::<i64>().prop_map(narrow(*raw)).prop_map(Value::Decimal).boxed()
        }
        ValueType::F32 => any::<f32>().prop_map(|v| Value::Float(f64::from(v))).boxed(),
        ValueType::F64 => any::<f64>().prop_map(Value::Float).boxed(),
        ValueType::Text => "[a-z m³]{0,12}".prop_map(|v| Value::Text(v.into())).boxed(),
        ValueType::Time => {
            (0i64..4_000_000_000).prop_map(|s| Value::Time(Timestamp(s * 1_000_000))).boxed()
        }
        other => panic!("{other:?}"),
    }
}

fn narrow(kind: IntKind) -> impl Fn(i64) -> i64 + Copy {
    let spare = 64 - kind.width() * 8;
    move |v| if kind.signed() { v << spare >> spare } else { ((v as u64) << spare >> spare) as i64 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    /// What is written is what is read, for every kind, order and scale: bytes → value → bytes → the same value.
    #[test]
    fn a_value_that_was_read_can_be_written_and_read_again(
        codec in codecs(),
        bytes in proptest::collection::vec(any::<u8>(), 40),
    ) {
        let length = if codec.format().kind == Kind::Bool { 1 } else { usize::from(codec.count()) * 2 };
        let (Some(value), quality) = codec.decode(&bytes[..length]) else { return Ok(()) };
        prop_assert!(codec.value_type().admits(&value));
        if quality.is_good() {
            match codec.expected(&value) {
                Ok(again) => prop_assert_eq!(again, value),
                // Fractions that a text or time has beyond what the layout writes do not exist.
                Err(error) => prop_assert!(matches!(codec.value_type(), ValueType::Text), "{error}"),
            }
        }
    }

    /// A value is refused, or what the device then holds reads as expected; where nothing is rounded, as given.
    #[test]
    fn what_is_written_is_what_is_read(
        (codec, value) in codecs().prop_flat_map(|c| (values(&c), Just(c)).prop_map(|(v, c)| (c, v))),
        before in proptest::collection::vec(any::<u8>(), 40),
    ) {
        let Ok(write) = codec.encode(&value) else { return Ok(()) };
        let mut device = before[..usize::from(codec.count()) * 2].to_vec();
        let request = match write {
            Write::Request(request) => request,
            Write::Modify(modify) => {
                modify.write(&Response::Registers(device.clone().into())).unwrap()
            }
        };
        prop_assert!(request.check().is_ok());
        let mut pdu = Vec::new();
        request.encode(&mut pdu);
        device = match pdu[0] {
            5 => vec![pdu[3] / 0xFF],
            6 => pdu[3..].to_vec(),
            _ => pdu[6..].to_vec(),
        };
        let (read, quality) = codec.decode(&device);
        prop_assert!(quality.is_good());
        let read = read.unwrap();
        prop_assert_eq!(&read, &codec.expected(&value).unwrap());
        if codec.format().scale.is_none() {
            prop_assert_eq!(read, value);
        }
    }
}
