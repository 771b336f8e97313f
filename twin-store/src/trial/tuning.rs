//! Budgets and memory that change while the store is open.

use std::time::Duration;

use twin::{Boottime, Change, Entry, Origin, Quality, Reported, Submission, TimeBase, Value, What};

use super::check::{gaps, read_all};
use super::model::{Life, TWINS, options};
use super::sim::Sim;
use crate::options::{Budget, Options};

fn reading(value: u64) -> Submission {
    let value = Value::Text(format!("{value:0100}").into());
    let entry = Entry { index: 2, quality: Quality::GOOD, value: Some(value), offset: 0 };
    let reported = Reported {
        revision: 1,
        group: 0,
        source: TimeBase::gateway(Boottime(0)),
        server: None,
        command: None,
        continued: false,
        entries: vec![entry],
    };
    let (twin, what) = (TWINS[0].parse().unwrap(), What::Reported(reported));
    Submission::change(Change { twin, origin: Origin::Asset, what })
}

fn write(life: &mut Life, readings: std::ops::Range<u64>) {
    for n in readings {
        life.core.accept(&mut vec![reading(n)]);
        if n % 10 == 0 {
            life.hand.advance(Duration::from_secs(20));
            life.core.tick();
            while let Some(job) = life.core.begin_job(false) {
                let done = job.run();
                life.core.finish_job(done);
            }
        }
    }
}

#[test]
fn a_smaller_budget_and_a_smaller_ring_hold_without_a_restart() {
    let wide = Options {
        samples: Budget { bytes: 1 << 20, age: None, segment: 2 << 10 },
        ring: 16 << 10,
        ..options(true)
    };
    let (mut life, _) = Life::begin(Sim::default(), wide.clone(), 1, 1);
    life.found();
    write(&mut life, 0..600);
    let before = life.store.statistics();
    assert!(before.families[0].1 > 50 << 10 && before.ring.1 > 8 << 10, "{before:?}");
    assert_eq!(before.counters.dropped_segments, 0);
    life.store.retune(Options {
        samples: Budget { bytes: 10 << 10, age: None, segment: 1 << 30 },
        ring: 4 << 10,
        ..wide
    });
    assert!(life.store.statistics().ring.1 <= 4 << 10, "memory is given back at once");
    write(&mut life, 600..700);
    let after = life.store.statistics();
    assert!(after.families[0].1 < 20 << 10, "the budget holds: {after:?}");
    let log = read_all(&life);
    assert!(!gaps(&life, &log).is_empty(), "what went was said");
}
