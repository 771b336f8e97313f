//! Time: since boot, of day, and of which boot. Settable in tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Wall-clock times before this are a clock that was never set: 2025-01-01 UTC, in microseconds.
const PLAUSIBLE: i64 = 1_735_689_600_000_000;

/// Where time comes from.
///
/// Times are microseconds. `boottime` counts since the machine booted, sleep included, and goes on over restarts of
/// the daemon; it is what the log stores. `utc` is `None` until the wall clock is plausible.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System { boot: [u8; 16] },
    Manual(Arc<ManualClock>),
}

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub struct ManualClock {
    boottime: AtomicI64,
    /// UTC minus boottime; `i64::MIN` = unset.
    offset: AtomicI64,
    boot: [u8; 16],
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System { boot: boot_id() })
    }

    /// A manual clock at this boottime and wall-clock time, and the handle that moves it.
    #[must_use]
    pub fn manual(boottime: i64, utc: Option<i64>, boot: [u8; 16]) -> (Self, Arc<ManualClock>) {
        let offset = utc.map_or(i64::MIN, |utc| utc - boottime);
        let manual = ManualClock {
            boottime: AtomicI64::new(boottime),
            offset: AtomicI64::new(offset),
            boot,
        };
        let manual = Arc::new(manual);
        (Self(Source::Manual(manual.clone())), manual)
    }

    /// Microseconds since boot.
    #[must_use]
    pub fn boottime(&self) -> i64 {
        match &self.0 {
            Source::System { .. } => {
                let t = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
                t.tv_sec * 1_000_000 + t.tv_nsec / 1_000
            }
            Source::Manual(manual) => manual.boottime.load(Ordering::Relaxed),
        }
    }

    /// Microseconds since 1970 UTC; `None` while the clock is not set.
    #[must_use]
    pub fn utc(&self) -> Option<i64> {
        self.offset().map(|offset| self.boottime() + offset)
    }

    /// UTC minus boottime; `None` while the clock is not set.
    #[must_use]
    pub fn offset(&self) -> Option<i64> {
        match &self.0 {
            Source::System { .. } => {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "this is the one place that reads it"
                )]
                let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
                let wall = i64::try_from(wall.as_micros()).unwrap_or(i64::MAX);
                (wall >= PLAUSIBLE).then(|| wall - self.boottime())
            }
            Source::Manual(manual) => {
                Some(manual.offset.load(Ordering::Relaxed)).filter(|offset| *offset != i64::MIN)
            }
        }
    }

    /// Which boot of the machine this is.
    #[must_use]
    pub fn boot(&self) -> [u8; 16] {
        match &self.0 {
            Source::System { boot } => *boot,
            Source::Manual(manual) => manual.boot,
        }
    }
}

impl ManualClock {
    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.boottime.fetch_add(micros, Ordering::Relaxed);
    }

    /// Sets the wall clock; `None` makes it unset.
    pub fn set_utc(&self, utc: Option<i64>) {
        let now = self.boottime.load(Ordering::Relaxed);
        self.offset.store(utc.map_or(i64::MIN, |utc| utc - now), Ordering::Relaxed);
    }
}

/// The kernel's id of this boot; zeros where there is none to read.
fn boot_id() -> [u8; 16] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: Vec<u8> =
        text.chars().filter_map(|c| c.to_digit(16)).filter_map(|d| u8::try_from(d).ok()).collect();
    let mut id = [0; 16];
    for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair.iter().fold(0, |sum, digit| sum << 4 | digit);
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_runs_and_names_its_boot() {
        let clock = Clock::system();
        assert!(clock.boottime() > 0);
        assert!(clock.utc().is_some(), "the machine that runs the tests has its clock set");
        assert_eq!(clock.boot(), Clock::system().boot());
    }

    #[test]
    fn a_manual_clock_stands_until_moved() {
        let (clock, hand) = Clock::manual(100, None, [7; 16]);
        assert_eq!((clock.boottime(), clock.utc()), (100, None));
        hand.advance(Duration::from_micros(50));
        hand.set_utc(Some(1_000_150));
        assert_eq!(
            (clock.boottime(), clock.utc(), clock.offset()),
            (150, Some(1_000_150), Some(1_000_000))
        );
    }
}
