//! Two hundred answers that suffer on the way, and not one wrong value among the good ones.

use std::time::{Duration, Instant};

use adapter_modbus::Table;
use base::{CancellationToken, Scope};
use serde_json::Value as Json;
use twin::Value;

use crate::bus::{Bus, Peer, UNITS};
use crate::rig::{Rig, Said, device, double, word};
use crate::truth::{Reading, Truth};

/// Faulty exchanges that each peer has to give.
const FAULTS: u64 = 200;
/// Of each kind of fault.
const EACH: u64 = 15;
/// Good values that must come nevertheless; a hundred answers bring 800.
const GOOD: usize = 1_000;
const TIMEOUT: Duration = Duration::from_millis(100);
/// It takes 40 s; a machine that is busy with other tests stretches every timeout.
const LIMIT: Duration = Duration::from_secs(180);

#[tokio::test]
async fn nothing_wrong_is_taken_from_pymodbus() {
    suffer(Peer::Pymodbus).await;
}

#[tokio::test]
async fn nothing_wrong_is_taken_from_libmodbus() {
    suffer(Peer::Libmodbus).await;
}

async fn suffer(peer: Peer) {
    let bus = Bus::start(peer, 0.5, TIMEOUT);
    let scope = Scope::new("test", &CancellationToken::new()).0;
    let mut rig = Rig::start(&scope, &bus.near);
    // Five requests to each unit, four of them with answers of the same shape.
    let mut points = vec![double(0), double(2)];
    points.extend((20..52).map(|number| word(Table::Holding, number)));
    let spec = |unit| device(unit, Duration::from_millis(50), TIMEOUT, &points);
    rig.devices.configure(UNITS.map(spec).into());

    let (begin, mut looked, mut readings, mut bad) = (Instant::now(), Instant::now(), vec![], 0);
    let counts = loop {
        assert!(begin.elapsed() < LIMIT, "not {FAULTS} faults within {LIMIT:?}: {}", bus.counts());
        if looked.elapsed() > Duration::from_secs(1) {
            looked = Instant::now();
            let counts = bus.counts();
            if faults(&counts) >= FAULTS {
                break counts;
            }
        }
        let Said::Read { unit, entries, .. } = rig.said().await else { continue };
        let told = rig.context.now().0;
        for (entry, sent) in entries {
            let Some(Value::Unsigned(value)) = entry.value.filter(|_| entry.quality.is_good())
            else {
                bad += 1;
                continue;
            };
            let address = points[usize::from(entry.index)].address().number;
            readings.push(Reading { unit, address, value, sent, told });
        }
    };
    scope.join().await;

    let truth = Truth::new(&bus.log());
    let wrong: Vec<_> = readings.iter().filter(|reading| !truth.holds(reading)).collect();
    let (good, took) = (readings.len(), begin.elapsed());
    println!("{peer:?}: {counts}, {good} good values, {bad} bad entries, {took:.1?}");
    assert!(wrong.is_empty(), "{} wrong values: {:?}", wrong.len(), &wrong[..wrong.len().min(10)]);
    assert!(good >= GOOD, "only {good} good values");
    for (kind, count) in counts["faults"].as_object().unwrap() {
        assert!(count.as_u64() >= Some(EACH), "{kind}: {count}");
    }
}

fn faults(counts: &Json) -> u64 {
    counts["faults"].as_object().into_iter().flatten().filter_map(|(_, n)| n.as_u64()).sum()
}
