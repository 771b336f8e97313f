//! What the slaves served, by their own logs, and whether a reading is exactly that.

use std::collections::HashMap;

use rustix::time::{ClockId, Timespec, clock_gettime};
use serde_json::Value;

/// How much later than on the master's clock a slave's clock may show the same moment, in microseconds.
const SLACK: i64 = 200;

/// One request for registers as a slave served it.
#[derive(Debug)]
struct Served {
    unit: u64,
    /// Boottime, microseconds.
    at: i64,
    first: u64,
    count: u64,
    /// How often register 0 had been read.
    served: u64,
    /// What registers 2 and 3 showed.
    clock: u64,
}

/// One good reading of registers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) unit: u8,
    pub(crate) address: u16,
    pub(crate) value: u64,
    /// When it was asked for, boottime in microseconds.
    pub(crate) sent: i64,
    /// When it was told, boottime in microseconds.
    pub(crate) told: i64,
}

/// All that was served.
pub(crate) struct Truth(Vec<Served>);

impl Truth {
    pub(crate) fn new(log: &[Value]) -> Self {
        let ahead =
            micros(clock_gettime(ClockId::Boottime)) - micros(clock_gettime(ClockId::Monotonic));
        let mut counts: HashMap<u64, u64> = HashMap::new();
        let reads = log.iter().filter(|entry| matches!(entry["fc"].as_u64(), Some(3 | 4)));
        let served = reads.filter_map(|entry| {
            let number = |key: &str| entry[key].as_u64();
            let unit = number("unit")?;
            let served = counts.entry(unit).or_default();
            *served = number("served").unwrap_or(*served);
            #[expect(clippy::cast_possible_truncation, reason = "seconds since boot")]
            let at = (entry["t"].as_f64()? * 1e6).round() as i64 + ahead;
            let (first, count, clock) = (number("at")?, number("count")?, number("clock")?);
            Some(Served { unit, at, first, count, served: *served, clock })
        });
        Self(served.collect())
    }

    /// Whether the unit served this value of this register, and in answer to this very request.
    pub(crate) fn holds(&self, reading: &Reading) -> bool {
        let Reading { unit, address, value, sent, told } = *reading;
        let address = u64::from(address);
        self.0.iter().any(|one| {
            one.unit == u64::from(unit)
                && (one.first..one.first + one.count).contains(&address)
                && (sent - SLACK..=told + SLACK).contains(&one.at)
                && value == one.shows(address)
        })
    }
}

impl Served {
    fn shows(&self, address: u64) -> u64 {
        match address {
            0 => self.served,
            2 => self.clock,
            _ => (self.unit * 1000 + address + self.served) % 65_536,
        }
    }
}

fn micros(t: Timespec) -> i64 {
    t.tv_sec * 1_000_000 + t.tv_nsec / 1_000
}
