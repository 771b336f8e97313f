//! Every other way in which a line is reached, against pymodbus: all functions, a dead unit, refusals, and every value
//! as it was served.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use adapter::LineState;
use adapter_modbus::spec::{
    IdentificationSpec, Parity, SerialPort, SerialSpec, TlsSpec, Transport,
};
use adapter_modbus::{
    Address, Extent, Format, Int, Kind, PartialWrite, PointCodec, SerialFraming, Table, Whole,
};
use base::{CancellationToken, Scope};
use serde_json::{Value as Json, json};
use tests::lab::{Lab, Plant};
use tls::{ClientSettings, Identity};
use twin::{Step, Value};

use crate::bus::UNITS;
use crate::peers::{DEAD, TIMEOUT, judge, points, read, write};
use crate::rig::{Rig, device};

const HOST: &str = "127.0.0.1";

/// A plant with one line like this.
fn plant(lab: &Lab, mut line: Json) -> Plant {
    let unit = |unit: u8| {
        json!({ "unit": unit, "refuse": { "at": 190, "code": 3 }, "points": [
            { "at": 0, "type": "u32", "kind": "served" },
            { "at": 2, "type": "u32", "kind": "clock" },
            { "at": 20, "count": 80, "kind": "fill" },
        ] })
    };
    line["name"] = "line".into();
    line["units"] = UNITS.map(unit).as_slice().into();
    lab.plant(&json!([line]))
}

async fn serve(lab: &Lab, transport: Transport) {
    let scope = Scope::new("test", &CancellationToken::new()).0;
    let mut rig = Rig::reached(&scope, transport);
    let points = points();
    let spec = |unit| device(unit, Duration::from_millis(100), TIMEOUT, &points);
    rig.devices.configure(UNITS.into_iter().chain([DEAD]).map(spec).collect());
    let mut readings = read(&mut rig, &points, 3_000).await;
    for unit in UNITS {
        write(&mut rig, unit).await;
    }
    readings.extend(read(&mut rig, &points, 1_000).await);
    scope.join().await;
    judge(&lab.lines("plant.jsonl"), &readings);
}

#[tokio::test]
async fn rtu_over_tcp() {
    over_tcp("rtu", SerialFraming::Rtu).await;
}

#[tokio::test]
async fn ascii_over_tcp() {
    over_tcp("ascii", SerialFraming::Ascii).await;
}

async fn over_tcp(word: &str, framing: SerialFraming) {
    let lab = Lab::new();
    let plant = plant(&lab, json!({ "tcp": 0, "framing": word }));
    let (host, port) = (HOST.into(), plant.port("line"));
    serve(&lab, Transport::SerialOverTcp { host, port, framing }).await;
}

#[tokio::test]
async fn ascii_on_a_serial_line() {
    let lab = Lab::new();
    let path = lab.path("bus");
    let _plant = plant(&lab, json!({ "pty": path, "framing": "ascii" }));
    let serial = SerialSpec {
        port: SerialPort::Path(path.display().to_string().into()),
        framing: SerialFraming::Ascii,
        baud: 38_400,
        data_bits: 7,
        parity: Parity::Even,
        stop_bits: 1,
        rs485: None,
        echo: false,
    };
    serve(&lab, Transport::Serial(serial)).await;
}

#[tokio::test]
async fn udp() {
    let lab = Lab::new();
    let plant = plant(&lab, json!({ "udp": 0 }));
    serve(&lab, Transport::Udp { host: HOST.into(), port: plant.port("line") }).await;
}

/// Runs openssl in `dir`.
fn openssl(dir: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .current_dir(dir)
        .args(arguments.split_whitespace())
        .output()
        .expect("openssl is missing: apt install openssl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A plant behind TLS that asks for a certificate of `ca`, and what a client needs.
fn secured(lab: &Lab) -> (Plant, TlsSpec) {
    const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    let dir = lab.path("");
    let file = |name: &str| lab.path(name);
    openssl(&dir, &format!("req -x509 {KEY} -days 30 -subj /CN=ca -keyout ca.key -out ca.crt"));
    lab.write("names", "subjectAltName = IP:127.0.0.1\n");
    for name in ["server", "client"] {
        openssl(&dir, &format!("req {KEY} -subj /CN={name} -keyout {name}.key -out {name}.csr"));
        openssl(
            &dir,
            &format!(
                "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile names \
                 -out {name}.crt"
            ),
        );
    }
    let tls = json!({
        "certificate": file("server.crt"), "key": file("server.key"), "ca": file("ca.crt")
    });
    let plant = plant(lab, json!({ "tcp": 0, "tls": tls }));
    let identity = Identity { certificate: file("client.crt"), key: file("client.key") };
    let settings = ClientSettings {
        ca_file: Some(file("ca.crt")),
        identity: Some(identity),
        ..ClientSettings::default()
    };
    let spec = TlsSpec { host: HOST.into(), port: plant.port("line"), settings };
    (plant, spec)
}

#[tokio::test]
async fn tls_with_certificates_on_both_sides() {
    let lab = Lab::new();
    let (_plant, spec) = secured(&lab);
    serve(&lab, Transport::Tls(spec)).await;
}

#[tokio::test]
async fn tls_says_what_is_wrong_with_the_certificates() {
    let lab = Lab::new();
    let (_plant, spec) = secured(&lab);
    let mut foreign = spec.clone();
    // A certificate that has signed nothing is an authority that has signed nothing.
    foreign.settings.ca_file = Some(lab.path("client.crt"));
    let mut missing = spec.clone();
    missing.settings.ca_file = Some(lab.path("nowhere.crt"));
    for (spec, words) in [(foreign, "ca_file"), (missing, "nowhere.crt")] {
        let scope = Scope::new("test", &CancellationToken::new()).0;
        let rig = Rig::reached(&scope, Transport::Tls(spec));
        let mut status = rig.status();
        let down = status.wait_for(|status| matches!(status.state, LineState::Down { .. }));
        let down = tokio::time::timeout(Duration::from_secs(10), down).await.unwrap().unwrap();
        let LineState::Down { cause, .. } = down.state.clone() else { panic!() };
        drop(down);
        assert!(cause.contains(words), "{cause}");
        scope.join().await;
    }
}

#[tokio::test]
async fn a_device_says_what_it_is_and_is_written_in_other_ways() {
    let lab = Lab::new();
    let long = "x".repeat(200);
    let identity = json!({
        "0": "ACME", "1": "P-100", "2": "1.7", "128": "SN-4711", "129": long, "130": "the last one"
    });
    let path = lab.path("bus");
    let _plant = plant(&lab, json!({ "pty": path, "identity": identity }));
    let scope = Scope::new("test", &CancellationToken::new()).0;
    let mut rig = Rig::start(&scope, &path);
    let format = |kind| Format { read_write: true, ..Format::new(kind) };
    let codec = |number, format| PointCodec::new(Address::new(Table::Holding, number), format);
    let bit = Kind::Bit { of: Whole::Bits16, bit: 3 };
    let mask = Format { partial: PartialWrite::Mask, ..Format::new(bit) };
    let points = [
        codec(110, format(Kind::Int(Int::U32))).unwrap(),
        codec(112, mask.clone()).unwrap(),
        codec(112, Format { kind: Kind::Bit { of: Whole::Bits16, bit: 5 }, ..mask }).unwrap(),
        codec(112, Format::new(Kind::Int(Int::U16))).unwrap(),
    ];
    let mut spec = device(1, Duration::from_millis(100), TIMEOUT, &points);
    spec.identification = Some(IdentificationSpec { extent: Extent::Extended, serial: Some(128) });
    spec.nameplate.serial = Some("SN-4712".into());
    rig.devices.configure(vec![spec]);
    let binding = rig.bound().await;
    assert_eq!(binding.asset.as_deref(), Some("SN-4711"));
    let cause = binding.cause.unwrap();
    assert!(cause.contains("should be \"SN-4712\" and is \"SN-4711\""), "{cause}");
    let remarks = rig.remarks(1).await.join("\n");
    for part in
        ["vendor \"ACME\"", "revision \"1.7\"", "object 130 \"the last one\"", "another asset"]
    {
        assert!(remarks.contains(part), "no {part} in {remarks}");
    }
    // Registers 110 to 112 are nobody's but ours.
    for (id, index, value) in [
        (1, 1, Value::Bool(true)),
        (2, 2, Value::Bool(true)),
        (3, 1, Value::Bool(false)),
        (4, 0, Value::Unsigned(0x0001_0203)),
    ] {
        rig.order(id, 1, index, value.clone()).await;
        assert_eq!(rig.step().await, Step::Sent { expected: value.clone() });
        assert_eq!(rig.step().await, Step::Acknowledged);
        let back = rig.back(id).await;
        assert_eq!(back.iter().find(|e| e.index == index).unwrap().value, Some(value));
    }
    let last = rig.values(1).await;
    assert_eq!(last[3].value, Some(Value::Unsigned(0x0020)), "each bit for itself");
    scope.join().await;
    let asked: Vec<_> = lab.lines("plant.jsonl").iter().filter_map(|e| e["fc"].as_u64()).collect();
    assert!(asked.contains(&22) && asked.contains(&23), "{asked:?}");
}
