//! The shared grid on which the polls of all lines start, so that one wake-up serves many lines.
//!
//! A period is cut into slots of `min(10 ms, period / 10)`. A slot is filled with several lines before the next one
//! is opened: measured, that costs a third of the CPU time of starts spread evenly.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The widest slot, in microseconds.
const WIDEST: i64 = 10_000;
/// How many lines share a slot before the next one is opened. More save little and make the last of them wait:
/// measured at 100 lines, 32 in a slot double the median delay of 10 and save a quarter of the CPU time.
const FILL: u16 = 16;
/// A difference between two clocks that is no measuring noise, in microseconds: the machine was suspended.
const SUSPENDED: i64 = 2_000;

/// Gives lines their places on the grid. Clones share one grid.
#[derive(Debug, Clone, Default)]
pub struct Grid(Arc<Mutex<HashMap<i64, Vec<u16>>>>);

/// A line's place on the grid for one period; free again when dropped.
#[derive(Debug)]
pub struct Seat {
    grid: Grid,
    period: i64,
    slot: usize,
}

impl Grid {
    /// A place for polls with this period, in microseconds.
    #[must_use]
    pub fn seat(&self, period: i64) -> Seat {
        let slots = usize::try_from(period / width(period)).unwrap_or(1).max(1);
        let mut grid = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let filled = grid.entry(period).or_default();
        let slot = match filled.iter().position(|n| *n < FILL) {
            Some(slot) => slot,
            None if filled.len() < slots => filled.len(),
            None => least(filled),
        };
        match filled.get_mut(slot) {
            Some(n) => *n += 1,
            None => filled.push(1),
        }
        Seat { grid: self.clone(), period, slot }
    }
}

impl Seat {
    /// Microseconds after each multiple of the period at which a poll starts.
    #[must_use]
    pub fn phase(&self) -> i64 {
        i64::try_from(self.slot).unwrap_or(0) * width(self.period)
    }

    /// The width of a slot, in microseconds.
    #[must_use]
    pub fn width(&self) -> i64 {
        width(self.period)
    }

    /// The first start at or after `now`, in microseconds since boot, for starts each `period`.
    #[must_use]
    pub fn first_within(&self, period: i64, now: i64) -> i64 {
        let phase = self.phase();
        phase + (now - phase + period - 1).div_euclid(period) * period
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut grid = self.grid.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(n) = grid.get_mut(&self.period).and_then(|filled| filled.get_mut(self.slot)) {
            *n = n.saturating_sub(1);
        }
    }
}

fn width(period: i64) -> i64 {
    (period / 10).clamp(1, WIDEST)
}

fn least(filled: &[u16]) -> usize {
    filled.iter().enumerate().min_by_key(|(_, n)| **n).map_or(0, |(slot, _)| slot)
}

/// Turns boottime into the timer's instants by one shared offset: two lines with one due time wake at one tick.
#[derive(Debug)]
pub struct Pace {
    start: Instant,
    /// Boottime at `start`, in microseconds.
    offset: AtomicI64,
}

impl Pace {
    /// A pace for clocks that read these times now.
    #[must_use]
    pub fn new(boottime: i64, instant: Instant) -> Self {
        Self { start: instant, offset: AtomicI64::new(boottime) }
    }

    /// The instant for the boottime `at`, where the clocks read `boottime` and `instant` now.
    #[must_use]
    pub fn instant(&self, at: i64, boottime: i64, instant: Instant) -> Instant {
        let elapsed = i64::try_from(instant.duration_since(self.start).as_micros());
        let measured = boottime - elapsed.unwrap_or(i64::MAX);
        let mut offset = self.offset.load(Ordering::Relaxed);
        if (measured - offset).abs() > SUSPENDED {
            self.offset.store(measured, Ordering::Relaxed);
            offset = measured;
        }
        self.start + Duration::from_micros(u64::try_from(at - offset).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_filled_before_the_next_is_opened() {
        let grid = Grid::default();
        let seats: Vec<Seat> = (0..160).map(|_| grid.seat(100_000)).collect();
        let phases: Vec<i64> = seats.iter().map(Seat::phase).collect();
        assert_eq!(phases[..16], [0; 16]);
        assert_eq!(phases[16..32], [10_000; 16]);
        assert_eq!(phases[144..], [90_000; 16]);
        let more: Vec<Seat> = (0..10).map(|_| grid.seat(100_000)).collect();
        assert_eq!(more[9].phase(), 90_000, "a full grid fills evenly");
        assert_eq!(grid.seat(1_000_000).phase(), 0, "each period has its own slots");
        assert_eq!(grid.seat(20_000).phase(), 0);
    }

    #[test]
    fn a_place_that_is_left_is_taken_again() {
        let grid = Grid::default();
        let mut seats: Vec<Seat> = (0..18).map(|_| grid.seat(50_000)).collect();
        assert_eq!(seats[17].phase(), 5_000);
        seats.remove(3);
        assert_eq!(grid.seat(50_000).phase(), 0);
    }

    #[test]
    fn starts_lie_on_the_grid() {
        let grid = Grid::default();
        let seat = Seat { grid, period: 100_000, slot: 3 };
        assert_eq!(seat.first_within(100_000, 0), 30_000);
        assert_eq!(seat.first_within(100_000, 30_000), 30_000);
        assert_eq!(seat.first_within(100_000, 30_001), 130_000);
    }

    #[test]
    fn one_due_time_is_one_instant_for_all() {
        let start = Instant::now();
        let pace = Pace::new(5_000, start);
        let wake = pace.instant(105_000, 5_000, start);
        let later = start + Duration::from_micros(777);
        assert_eq!(pace.instant(105_000, 5_775, later), wake, "two microseconds are noise");
        let after = pace.instant(200_000, 60_005_777, later);
        assert!(after < wake, "an hour of suspend moves the pace");
    }
}
