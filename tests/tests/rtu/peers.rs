//! The line against each peer, nothing in the way: every function, a dead unit, refusals, silence.

use std::time::{Duration, Instant};

use adapter_modbus::{Kind, PointCodec, Table};
use base::{CancellationToken, Scope};
use serde_json::Value as Json;
use twin::{Cause, CommandId, Step, Value};

use crate::bus::{Bus, Peer, UNITS};
use crate::rig::{Rig, Said, device, double, point, word};
use crate::truth::{Reading, Truth};

/// A unit that is not on the bus.
pub(crate) const DEAD: u8 = 6;
/// 3.5 characters of 11 bits at 19200 baud, in microseconds.
const SILENCE: u64 = 2_006;
/// On a machine that is busy with other tests a peer may take its time; the silence is what is asserted.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(300);

/// Places of the points that are written, and of those that are refused.
const ONE: u16 = 0;
const TWO: u16 = 1;
const WIDE: u16 = 2;
const COIL: u16 = 3;
const COILS: u16 = 4;
const VALUE: u16 = 5;
const ADDRESS: u16 = 6;
/// From here on stand points that are only read.
const READ: usize = 7;

pub(crate) fn points() -> Vec<PointCodec> {
    let mut points = vec![
        word(Table::Holding, 10),
        point(Table::Holding, 11, Kind::Int(adapter_modbus::Int::U16), true),
        double(12),
        point(Table::Coil, 5, Kind::Bool, false),
        point(Table::Coil, 6, Kind::Bool, true),
        word(Table::Holding, 190),
        word(Table::Holding, 60_000),
        double(0),
        double(2),
    ];
    points.extend((20..36).map(|number| word(Table::Holding, number)));
    points.extend((30..44).map(|number| word(Table::Input, number)));
    points.extend((0..12).map(|number| point(Table::Discrete, number, Kind::Bool, false)));
    points
}

#[tokio::test]
async fn pymodbus_is_read_and_written() {
    let bus = Bus::start(Peer::Pymodbus, 0.0, TIMEOUT);
    serve(&bus).await;
    // What comes and goes in the slave itself; it notes an answer before it hands it to the system.
    let log = bus.log();
    let traced = log.iter().filter(|entry| entry.get("tx").or(entry.get("rx")).is_some());
    let traced: Vec<_> = traced.collect();
    let pauses =
        traced.windows(2).filter(|pair| pair[0].get("tx").is_some() && pair[1].get("rx").is_some());
    let pauses = pauses.map(|pair| pair[1]["t"].as_f64().unwrap() - pair[0]["t"].as_f64().unwrap());
    let pauses: Vec<f64> = pauses.map(|pause| pause * 1e6).collect();
    assert!(pauses.len() > 100, "only {} pauses", pauses.len());
    let shortest = pauses.into_iter().fold(f64::MAX, f64::min);
    #[expect(clippy::cast_precision_loss, reason = "two milliseconds")]
    let least = SILENCE as f64;
    assert!(shortest >= least, "only {shortest} us of silence before a request");
}

#[tokio::test]
async fn libmodbus_is_read_and_written() {
    let bus = Bus::start(Peer::Libmodbus, 0.0, TIMEOUT);
    serve(&bus).await;
}

async fn serve(bus: &Bus) {
    let scope = Scope::new("test", &CancellationToken::new()).0;
    let mut rig = Rig::start(&scope, &bus.near);
    let points = points();
    let spec = |unit| device(unit, Duration::from_millis(100), TIMEOUT, &points);
    rig.devices.configure(UNITS.into_iter().chain([DEAD]).map(spec).collect());

    let mut readings = read(&mut rig, &points, 3_000).await;
    for unit in UNITS {
        write(&mut rig, unit).await;
    }
    readings.extend(read(&mut rig, &points, 1_000).await);
    let counts = {
        // The bus tells its counts twice a second.
        tokio::time::sleep(Duration::from_millis(700)).await;
        bus.counts()
    };
    scope.join().await;

    judge(&bus.log(), &readings);
    let (silence, answers) = (counts["silence"].as_u64().unwrap(), &counts["answers"]);
    println!("{counts}, {} good values", readings.len());
    assert!(silence >= SILENCE, "only {silence} us of silence before a request");
    assert!(silence < 4 * SILENCE, "but no time is lost: {silence} us");
    assert!(answers.as_u64() > Some(200), "{answers} answers");
}

/// All readings are true, and every function was used on every unit, by the peer's own log.
pub(crate) fn judge(log: &[Json], readings: &[Reading]) {
    let truth = Truth::new(log);
    let wrong: Vec<_> = readings.iter().filter(|reading| !truth.holds(reading)).collect();
    assert!(wrong.is_empty(), "{} wrong values: {:?}", wrong.len(), &wrong[..wrong.len().min(10)]);
    for unit in UNITS {
        assert!(
            readings.iter().filter(|reading| reading.unit == unit).count() > 300,
            "unit {unit}"
        );
        for function in [1, 2, 3, 4, 5, 6, 15, 16] {
            // pymodbus and the slave on libmodbus log the same words.
            let asked = log.iter().any(|e| e["unit"] == unit && e["fc"] == function);
            assert!(asked, "unit {unit} was never asked by function {function}");
        }
    }
}

/// The readings of registers, until there are so many; everything else about them is judged here.
pub(crate) async fn read(rig: &mut Rig, points: &[PointCodec], wanted: usize) -> Vec<Reading> {
    let begin = Instant::now();
    let mut readings = Vec::new();
    while readings.len() < wanted {
        assert!(begin.elapsed() < Duration::from_secs(30), "only {} readings", readings.len());
        let Said::Read { unit, entries, command: None } = rig.said().await else { continue };
        let told = rig.context.now().0;
        for (entry, sent) in entries {
            let (quality, at) = (entry.quality, usize::from(entry.index));
            let expected = match entry.index {
                _ if unit == DEAD => (Cause::Timeout, None),
                VALUE => (Cause::Refused, Some(3)),
                ADDRESS => (Cause::Refused, Some(2)),
                _ => {
                    assert!(quality.is_good(), "unit {unit}, {}: {quality}", points[at].address());
                    if at >= READ
                        && let Some(Value::Unsigned(value)) = entry.value
                    {
                        let address = points[at].address().number;
                        readings.push(Reading { unit, address, value, sent, told });
                    }
                    continue;
                }
            };
            assert_eq!(
                (quality.cause, quality.code),
                expected,
                "unit {unit}, {}",
                points[at].address()
            );
        }
    }
    readings
}

/// Writes each of the writable points by its function, and sees it read back.
pub(crate) async fn write(rig: &mut Rig, unit: u8) {
    let own = u64::from(unit);
    let orders = [
        (ONE, Value::Unsigned(4_000 + own)),
        (TWO, Value::Unsigned(5_000 + own)),
        (WIDE, Value::Unsigned(0x0102_0300 + own)),
        (COIL, Value::Bool(true)),
        (COILS, Value::Bool(true)),
        (COIL, Value::Bool(false)),
    ];
    for ((index, value), id) in orders.into_iter().zip(1..) {
        rig.order(id, unit, index, value.clone()).await;
        assert_eq!(rig.step().await, Step::Sent { expected: value.clone() });
        assert_eq!(rig.step().await, Step::Acknowledged);
        let entries = loop {
            let said = rig.said().await;
            if let Said::Read { entries, command: Some(command), .. } = said {
                assert_eq!(command, CommandId(id));
                break entries;
            }
        };
        let back = entries.iter().find(|(entry, _)| entry.index == index).map(|(entry, _)| entry);
        let back = back.unwrap_or_else(|| panic!("unit {unit}: {entries:?}"));
        assert!(back.quality.is_good(), "unit {unit}: {back:?}");
        assert_eq!(back.value, Some(value), "unit {unit}");
    }
}
