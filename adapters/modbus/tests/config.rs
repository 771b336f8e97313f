//! What the keys of points, devices and lines make of them, and what is said where they are wrong.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use adapter_modbus::config::{
    DeviceKeys, LineKeys, Notation, PointKeys, codec, fuzz_one, line, units,
};
use adapter_modbus::spec::{Parity, SerialPort, Transport};
use adapter_modbus::{Kind, PointCodec, SerialFraming, TimeLayout};
use proptest::prelude::*;
use settings::{KeyPath, Place, Source};
use twin::{IntKind, Value, ValueType};

fn messages(found: Vec<settings::Diagnostic>) -> Vec<String> {
    found.into_iter().map(|d| format!("{}: {}", d.key, d.message)).collect()
}

/// The codec of a point with these keys.
fn point(text: &str) -> Result<PointCodec, Vec<String>> {
    let source = Source::from_text("test", text);
    let keys: PointKeys = settings::parse(&source).map_err(messages)?;
    let place = Place::new(&source, KeyPath::root());
    let mut found = Vec::new();
    let codec = codec(&keys, false, &place, &mut Notation::default(), &mut found);
    codec.ok_or_else(|| messages(found))
}

fn value_type(text: &str) -> ValueType {
    point(text).unwrap().value_type().clone()
}

fn wrong(text: &str) -> String {
    point(text).unwrap_err().join("; ")
}

#[test]
fn what_is_not_said_is_plain() {
    assert_eq!(value_type("address = '40001'"), ValueType::Int(IntKind::U16));
    assert_eq!(value_type("address = 'coil:7'"), ValueType::Bool);
    let decimal = ValueType::Decimal { raw: IntKind::I16, exponent: -1 };
    assert_eq!(value_type("address = 'holding:0'\ntype = 'i16'\nscale = 0.1"), decimal);
    assert_eq!(value_type("address = 'holding:0'\nbit = 3"), ValueType::Bool);
    assert_eq!(value_type("address = 'input:9'\ntype = 'text'\nlength = 4"), ValueType::Text);
}

#[test]
fn a_scale_is_the_decimal_that_was_written() {
    for (scale, exponent) in [("0.1", -1), ("0.001", -3), ("1e-3", -3), ("10", 1), ("2.5e-2", -3)] {
        let text = format!("address = 'holding:0'\nscale = {scale}");
        let ValueType::Decimal { exponent: found, .. } = value_type(&text) else {
            panic!("{text}")
        };
        assert_eq!(found, exponent, "{text}");
    }
    assert!(wrong("address = 'holding:0'\nscale = 0").contains("scale"));
    assert!(wrong("address = 'holding:0'\nscale = nan").contains("scale"));
    assert!(wrong("address = 'holding:0'\nscale = 1e-300").contains("scale"));
    assert!(wrong("address = 'holding:0'\nscale = 2.0283788210083205e-112").contains("scale"));
}

#[test]
fn a_negative_sentinel_is_the_bits_of_its_type() {
    let codec =
        point("address = 'holding:0'\ntype = 'i16'\nnot_a_value = [-32768, 0x7fff]").unwrap();
    assert_eq!(codec.format().not_a_value, [0x8000, 0x7fff]);
    assert_eq!(codec.decode(&[0x80, 0x00]).0, None);
    assert_eq!(codec.decode(&[0x00, 0x05]).0, Some(Value::Signed(5)));
    let wide = point("address = 'holding:0'\ntype = 'u64'\nnot_a_value = [-1]").unwrap();
    assert_eq!(wide.format().not_a_value, [u64::MAX]);
}

#[test]
fn times_have_a_layout_or_fields_and_a_zone() {
    let codec = point(
        "address = 'holding:0'\ntype = 'time'\nfields = ['year', 'month', 'day']\nzone = '+02:00'",
    );
    let Kind::Time { layout, .. } = &codec.unwrap().format().kind.clone() else { panic!() };
    assert!(matches!(layout, TimeLayout::Registers(fields) if fields.len() == 3));
    assert!(
        point("address = 'holding:0'\ntype = 'time'\nlayout = 'unix32'\nzone = 'Europe/Berlin'")
            .is_ok()
    );
    let both = wrong("address = 'holding:0'\ntype = 'time'\nlayout = 'unix32'\nfields = ['year']");
    assert!(both.contains("fields: a time has a known layout or fields"), "{both}");
    let zone =
        wrong("address = 'holding:0'\ntype = 'time'\nlayout = 'unix32'\nzone = 'Mars/Phobos'");
    assert!(zone.contains("zone: the time zone \"Mars/Phobos\" is not known"), "{zone}");
}

#[test]
fn every_mistake_names_its_key() {
    for (text, key) in [
        ("address = 'holdin:1'", "address"),
        ("address = '50001'", "address"),
        ("address = 40001", "address"),
        ("address = 'holding:65535'\ntype = 'u32'", "address"),
        ("address = 'coil:1'\ntype = 'u16'", "type"),
        ("address = 'holding:1'\ntype = 'f32'\norder = 'AB'", "order"),
        ("address = 'holding:1'\ntype = 'f32'\norder = 'ABCE'", "order"),
        ("address = 'holding:1'\nbits = [9, 20]", "bits"),
        ("address = 'holding:1'\nbit = 1\nbits = [0, 1]", "bit"),
        ("address = 'holding:1'\nlength = 4", "length"),
        ("address = 'holding:1'\ncharacters_in = 'low'", "characters_in"),
        ("address = 'holding:1'\nmultiple = true\nread_write = true", "read_write"),
        ("address = 'coil:1'\nread_write = true", "read_write"),
        ("address = 'holding:1'\ntype = 'text'\nlength = 200", "length"),
        ("address = 'holding:1'\ntype = 'text'\nlength = 2\nscale = 2", "scale"),
        ("address = 'holding:1'\nnot_a_value = [0x10000]", "not_a_value"),
        ("address = 'holding:1'\ntype = 'uint16'", "type"),
    ] {
        let said = wrong(text);
        assert!(said.split("; ").any(|m| m.starts_with(key)), "{text}: {said}");
    }
}

fn read_line(text: &str) -> Result<Transport, Vec<String>> {
    let source = Source::from_text("test", text);
    let keys: LineKeys = settings::parse(&source).map_err(messages)?;
    let place = Place::new(&source, KeyPath::root());
    let mut found = Vec::new();
    let line = line("bus", &keys, &place, &mut found);
    assert_eq!(line.is_some(), found.is_empty(), "{found:?}");
    line.map(|line| line.transport).ok_or_else(|| messages(found))
}

#[test]
fn addresses_of_hosts() {
    let at = |text: &str| match read_line(&format!("tcp = '{text}'")) {
        Ok(Transport::Tcp { host, port }) => Ok((host.to_string(), port)),
        other => Err(format!("{other:?}")),
    };
    assert_eq!(at("10.0.0.5"), Ok(("10.0.0.5".to_owned(), 502)));
    assert_eq!(at("PLC.example:1502"), Ok(("plc.example".to_owned(), 1502)));
    assert_eq!(at("[fd00::5]"), Ok(("fd00::5".to_owned(), 502)));
    for bad in ["", ":502", "host:", "host:0", "host:65536", "fd00::5", "[x]:1", "a b", "tcp://h"] {
        assert!(at(bad).is_err(), "{bad}");
    }
    assert!(read_line("rtu_over_tcp = 'moxa'").is_err(), "there is no usual port for it");
}

#[test]
fn a_serial_line_is_named_by_its_hardware() {
    let Ok(Transport::Serial(serial)) = read_line("serial = '/dev/ttyAMA0'\nbaud = 9600") else {
        panic!()
    };
    assert_eq!((serial.parity, serial.stop_bits, serial.baud), (Parity::Even, 1, 9600));
    let Ok(Transport::Serial(usb)) = read_line("usb = '0403:6001'\nbaud = 9600") else { panic!() };
    assert!(matches!(usb.port, SerialPort::Usb { vendor: 0x403, product: 0x6001, .. }));
    for (text, part) in [
        ("serial = '/dev/ttyUSB0'\nbaud = 9600", "whichever adapter is found first"),
        ("serial = 'ttyS0'\nbaud = 9600", "an absolute path"),
        ("serial = '/dev/ttyS0'", "needs baud"),
        ("usb = '403:6001'\nbaud = 9600", "four hexadecimal digits"),
        ("usb = '0403:6001'\ntcp = 'h'\nbaud = 9600", "already reached by tcp"),
        ("tcp = 'h'\nbaud = 9600", "only for serial lines"),
        ("tcp = 'h'\nusb_port = '1-1'", "goes with usb"),
        ("tcp = 'h'\nsilence = '5ms'", "silence"),
        ("serial = '/dev/ttyS0'\nbaud = 9600\nmax_connections = 2", "no connection"),
        ("pause = '5ms'", "does not say how it is reached"),
    ] {
        let said = read_line(text).unwrap_err().join("; ");
        assert!(said.contains(part), "{text}: {said}");
    }
}

#[test]
fn a_line_is_framed_as_it_says() {
    let framing = |text: &str| read_line(text).unwrap().serial_framing();
    assert_eq!(framing("tcp = 'h'"), None);
    assert_eq!(framing("udp = 'h'"), None);
    assert_eq!(framing("rtu_over_tcp = 'h:4001'"), Some(SerialFraming::Rtu));
    assert_eq!(framing("ascii_over_tcp = 'h:4001'"), Some(SerialFraming::Ascii));
    let serial = |text: &str| match read_line(&format!("serial = '/dev/x'\nbaud = 9600\n{text}")) {
        Ok(Transport::Serial(serial)) => (serial.framing, serial.data_bits),
        other => panic!("{other:?}"),
    };
    assert_eq!(serial(""), (SerialFraming::Rtu, 8));
    assert_eq!(serial("framing = 'ascii'"), (SerialFraming::Ascii, 7));
    assert_eq!(serial("framing = 'ascii'\ndata_bits = 8"), (SerialFraming::Ascii, 8));
    for (text, part) in [
        ("serial = '/dev/x'\nbaud = 9600\ndata_bits = 7", "data_bits: RTU frames are bytes"),
        ("tcp = 'h'\nframing = 'ascii'", "framing: this key is only for serial lines"),
        ("ascii_over_tcp = 'h'", "a number from 1 to 65535"),
        ("udp = 'h'\nidle_close = '1s'", "idle_close: datagrams have no connection"),
        ("udp = 'h'\ntcp = 'h'", "already reached by tcp"),
        ("udp = 'h'\nsilence = '5ms'", "silence: only serial frames"),
    ] {
        let said = read_line(text).unwrap_err().join("; ");
        assert!(said.contains(part), "{text}: {said}");
    }
}

#[test]
fn tls_has_a_port_of_its_own_and_files() {
    let tls = |text: &str| match read_line(text) {
        Ok(Transport::Tls(tls)) => Ok((tls.port, tls.settings)),
        Err(messages) => Err(messages.join("; ")),
        other => panic!("{other:?}"),
    };
    assert_eq!(tls("tcp = 'h'\ntls = {}"), Ok((802, tls::ClientSettings::default())));
    let text = "tcp = 'h:9802'\ntls = { ca_file = '/a', certificate = '/c', key = '/k', server_name = 'n' }";
    let (port, settings) = tls(text).unwrap();
    assert_eq!((port, settings.server_name.as_deref()), (9802, Some("n")));
    let identity = settings.identity.unwrap();
    assert_eq!((identity.certificate, identity.key), ("/c".into(), "/k".into()));
    let half = tls("tcp = 'h'\ntls = { key = '/k' }").unwrap_err();
    assert!(half.contains("tls: there is no certificate"), "{half}");
    let alone = tls("udp = 'h'\ntls = {}").unwrap_err();
    assert!(alone.contains("goes with tcp"), "{alone}");
}

#[test]
fn units_in_runs() {
    let source = Source::from_text("test", "");
    let place = Place::new(&source, KeyPath::root());
    let read = |keys: DeviceKeys, serial| {
        let mut found = Vec::new();
        let units = units(&keys, serial, &place, &mut found);
        if found.is_empty() { Some(units) } else { None }
    };
    let many = |text: &str| DeviceKeys { units: Some(text.to_owned()), ..DeviceKeys::default() };
    assert_eq!(read(many("1-3, 9"), true), Some(vec![1, 2, 3, 9]));
    for bad in ["", "3-1", "1-3,2", "1-", "x", "0-300"] {
        assert_eq!(read(many(bad), false), None, "{bad}");
    }
    assert_eq!(read(DeviceKeys::default(), false), Some(vec![1]), "the unit of a TCP device");
    assert_eq!(read(DeviceKeys::default(), true), None, "a serial device says its unit");
    let broadcast = DeviceKeys { unit: Some(0), ..DeviceKeys::default() };
    assert_eq!(read(broadcast, true), None);
}

const SEED: &str = "[modbus]\nunit = 3\ntcp = 'h:502'\nholes = ['holding:1-2']\nidentity = ['a/b']\n\
    [line]\nserial = '/dev/x'\nbaud = 9600\n[[point]]\nname = 'a/b'\naddress = 'holding:9'\ntype = 'u32'\n\
    order = 'CDAB'\nscale = 0.5\noffset = -3\n[[point]]\nname = 'a/c'\naddress = 'holding:65535'\nbits = [2, 5]\n\
    [[point]]\nname = 'a/t'\naddress = 'input:4'\ntype = 'time'\nlayout = 'iec870'\nzone = '+01:00'\n";

proptest! {
    #[test]
    fn a_mutated_file_never_panics(cuts in proptest::collection::vec((0..SEED.len(), any::<u8>(), 0..3_u8), 1..6)) {
        let mut bytes = SEED.as_bytes().to_vec();
        for (at, byte, how) in cuts {
            let at = at.min(bytes.len() - 1);
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => { bytes.remove(at); }
            }
        }
        fuzz_one(&bytes);
    }

    #[test]
    fn any_keys_build_or_are_reported(
        address in "(holding|input|coil|discrete|x):[0-9]{1,6}|[0-9]{5,6}",
        kind in "u16|i16|u32|i32|u48|u64|f32|f64|bcd16|bcd32|text|bytes|time|bool|u8-high",
        order in proptest::option::of("[ABCDEFGH]{1,8}"),
        scale in proptest::option::of(any::<f64>()),
        bits in proptest::option::of((0..70_u8, 0..70_u8)),
        length in proptest::option::of(any::<u16>()),
        sentinel in proptest::option::of(any::<i64>()),
    ) {
        let mut text = format!("[modbus]\n[[point]]\nname = 'a/b'\naddress = '{address}'\ntype = '{kind}'\n");
        if let Some(order) = order { text += &format!("order = '{order}'\n"); }
        if let Some(scale) = scale.filter(|s| s.is_finite()) { text += &format!("scale = {scale:e}\n"); }
        if let Some((a, b)) = bits { text += &format!("bits = [{a}, {b}]\n"); }
        if let Some(length) = length { text += &format!("length = {length}\n"); }
        if let Some(sentinel) = sentinel { text += &format!("not_a_value = [{sentinel}]\n"); }
        fuzz_one(text.as_bytes());
    }
}

#[test]
fn a_power_of_ten_is_in_a_register_of_the_same_table() {
    let codec = point("address = 'holding:83'\ntype = 'i16'\nscale_at = 'holding:84'").unwrap();
    assert_eq!((codec.count(), codec.value_type()), (2, &ValueType::F64));
    assert_eq!(codec.decode(&[0xFF, 0x38, 0xFF, 0xFF]).0, Some(Value::Float(-20.0)));
    let wrong = |more: &str| wrong(&format!("address = 'holding:83'\ntype = 'i16'\n{more}"));
    assert!(wrong("scale_at = 'input:84'").contains("another table"));
    assert!(wrong("scale_at = 'here'").starts_with("scale_at: "));
    assert!(wrong("scale_at = 'holding:300'").starts_with("scale_at: "));
    assert!(wrong("scale_at = 'holding:84'\nscale = 0.1").starts_with("scale_at: "));
}
