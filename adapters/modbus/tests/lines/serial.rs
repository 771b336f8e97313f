//! The serial line over a pseudo terminal.

use std::path::Path;
use std::time::Duration;

use adapter::LineState;
use adapter_modbus::SerialFraming;
use adapter_modbus::spec::{Parity, SerialPort, SerialSpec, Timing, Transport};
use base::Scope;
use twin::{Cause, Reported, Step, TwinId, Value};

use crate::bus::Bus;
use crate::rig::{Rig, Said, device, good, scope};

const MS: Duration = Duration::from_millis(1);
/// 3.5 characters of 11 bits at 9600 baud.
const SILENCE: Duration = Duration::from_micros(4_010);

fn line(scope: &Scope, path: &Path) -> Rig {
    let serial = SerialSpec {
        port: SerialPort::Path(path.to_str().unwrap().into()),
        framing: SerialFraming::Rtu,
        baud: 9600,
        data_bits: 8,
        parity: Parity::Even,
        stop_bits: 1,
        rs485: None,
        echo: false,
    };
    Rig::start(scope, Transport::Serial(serial), Timing::default())
}

fn values(twin: &TwinId, reported: &Reported) {
    let unit: u64 = twin.as_str().trim_start_matches("unit-").parse().unwrap();
    for entry in reported.entries.iter().filter(|entry| entry.quality.is_good()) {
        let expected = Value::Unsigned(unit * 1000 + u64::from(entry.index));
        assert_eq!(entry.value, Some(expected), "{twin} point {}", entry.index);
    }
}

#[tokio::test]
async fn units_share_a_bus_with_silence_between_frames() {
    let (scope, dir) = (scope(), tempfile::tempdir().unwrap());
    let path = dir.path().join("bus");
    let bus = Bus::plug(&scope, &path);
    bus.kill(3);
    let mut rig = line(&scope, &path);
    let units = (1..=4).map(|unit| device(&format!("unit-{unit}"), unit, 20 * MS, 3));
    rig.devices.configure(units.collect());
    let mut reports = 0;
    while reports < 150 {
        if let Said::Reported(twin, reported, _) = rig.said().await {
            values(&twin, &reported);
            assert_eq!(good(&reported), twin.as_str() != "unit-3");
            reports += 1;
        }
    }
    let frames = bus.frames();
    let pauses =
        frames.windows(2).filter(|pair| pair[1].request).map(|pair| pair[1].at - pair[0].at);
    let shortest = pauses.min().unwrap();
    assert!(shortest >= SILENCE, "only {shortest:?} between two frames");
    let quick =
        frames.windows(2).filter(|pair| !pair[0].request && pair[1].at - pair[0].at < 8 * MS);
    assert!(quick.count() > 50, "but no time is lost");
    scope.join().await;
}

#[tokio::test]
async fn a_late_answer_is_taken_for_no_other() {
    let (scope, dir) = (scope(), tempfile::tempdir().unwrap());
    let path = dir.path().join("bus");
    let bus = Bus::plug(&scope, &path);
    let mut rig = line(&scope, &path);
    let mut units: Vec<_> =
        (1..=2).map(|unit| device(&format!("unit-{unit}"), unit, 50 * MS, 4)).collect();
    // One register to a request: answers of one unit look alike.
    units.iter_mut().for_each(|unit| unit.limits.max_registers = 2);
    rig.devices.configure(units);
    rig.report(|_, reported| good(reported)).await;
    for n in 0..6_u8 {
        bus.delay(1 + n % 2, Duration::from_millis(170 + u64::from(n) * 20));
        for _ in 0..12 {
            if let Said::Reported(twin, reported, _) = rig.said().await {
                values(&twin, &reported);
            }
        }
    }
    rig.report(|twin, reported| twin.as_str() == "unit-1" && good(reported)).await;
    scope.join().await;
}

#[tokio::test]
async fn a_port_that_vanishes_is_let_go_and_found_again() {
    let (scope, dir) = (scope(), tempfile::tempdir().unwrap());
    let path = dir.path().join("bus");
    let bus = Bus::plug(&scope, &path);
    let mut rig = line(&scope, &path);
    rig.devices.configure(vec![device("unit-1", 1, 50 * MS, 1)]);
    rig.report(|_, reported| good(reported)).await;
    bus.unplug();
    std::fs::remove_file(&path).unwrap();
    let bad = rig.report(|_, reported| !good(reported)).await;
    assert_eq!(bad.entries[0].quality.cause, Cause::NotConnected);
    assert!(matches!(rig.handle.status().borrow().state, LineState::Down { .. }));
    Bus::plug(&scope, &path);
    rig.report(|_, reported| good(reported)).await;
    assert_eq!(rig.handle.status().borrow().state, LineState::Up);
    assert_eq!(rig.handle.status().borrow().opened, 2);
    scope.join().await;
}

#[tokio::test]
async fn a_port_belongs_to_one_line() {
    let (scope, dir) = (scope(), tempfile::tempdir().unwrap());
    let path = dir.path().join("bus");
    let _bus = Bus::plug(&scope, &path);
    let mut first = line(&scope, &path);
    first.devices.configure(vec![device("unit-1", 1, 50 * MS, 1)]);
    first.report(|_, reported| good(reported)).await;
    let mut second = line(&scope, &path);
    second.devices.configure(vec![device("unit-1", 1, 50 * MS, 1)]);
    second.report(|_, reported| !good(reported)).await;
    let state = second.handle.status().borrow().state.clone();
    let LineState::Down { cause, .. } = state else { panic!("{state:?}") };
    assert!(cause.contains("another program uses it") || cause.contains("busy"), "{cause}");
    for _ in 0..5 {
        let Said::Reported(_, reported, _) = first.said().await else { continue };
        assert!(good(&reported), "the first one does not notice");
    }
    scope.join().await;
}

#[tokio::test]
async fn a_command_goes_over_the_bus() {
    let (scope, dir) = (scope(), tempfile::tempdir().unwrap());
    let path = dir.path().join("bus");
    let _bus = Bus::plug(&scope, &path);
    let mut rig = line(&scope, &path);
    rig.devices.configure(vec![device("unit-1", 1, 50 * MS, 2)]);
    rig.report(|_, reported| good(reported)).await;
    rig.handle.order(rig.order("unit-1", 5)).await;
    assert_eq!(rig.step().await, Step::Sent { expected: Value::Unsigned(5) });
    assert_eq!(rig.step().await, Step::Acknowledged);
    let back = rig.report(|_, reported| reported.command.is_some()).await;
    assert_eq!(back.entries[0].value, Some(Value::Unsigned(5)));
    scope.join().await;
}
