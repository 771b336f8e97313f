//! When a group is due: `due += period`, never `now + period`, so that lateness does not add up.

use std::sync::Arc;

use crate::Seat;

/// The schedule of one polled group. Times are boottime in microseconds.
#[derive(Debug)]
pub struct Cycle {
    period: i64,
    due: i64,
    rush: bool,
    /// Keeps the line's place on the grid; never read.
    _seat: Option<Arc<Seat>>,
}

/// One turn of a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// When it was due.
    pub due: i64,
    /// How many turns were due since the last one taken, this one included.
    pub expected: u32,
    /// When the next one is due: the deadline of this one.
    pub deadline: i64,
}

/// The longest wait for the first turn, in microseconds, however long the period is.
const FIRST: i64 = 1_000_000;

impl Cycle {
    /// A cycle that starts at once and keeps its own time.
    #[must_use]
    pub fn off_grid(period: i64, now: i64) -> Self {
        Self { period: period.max(1), due: now, rush: false, _seat: None }
    }

    /// A cycle on the grid. `nth` tells apart the groups of one line with this period: their turns are spread over the
    /// period, so that a group waits for no other one, and a new group moves no old one.
    #[must_use]
    pub fn on_grid(period: i64, nth: u32, seat: Arc<Seat>, now: i64) -> Self {
        let period = period.max(1);
        let start = period.min(FIRST);
        let mut due = seat.first_within(start, now) + spread(nth, start, seat.width());
        if due - start >= now {
            due -= start;
        }
        Self { period, due, rush: false, _seat: Some(seat) }
    }

    /// Microseconds between two turns.
    #[must_use]
    pub fn period(&self) -> i64 {
        self.period
    }

    /// When the next turn can be taken.
    #[must_use]
    pub fn wake(&self) -> i64 {
        if self.rush { i64::MIN } else { self.due }
    }

    /// When the next turn is due by the schedule.
    #[must_use]
    pub fn due(&self) -> i64 {
        self.due
    }

    /// The deadline of the turn that could be taken now: earlier ones are served first.
    #[must_use]
    pub fn deadline(&self) -> i64 {
        self.due.saturating_add(self.period)
    }

    /// Lets the next turn be taken at once; the schedule stays as it is.
    pub fn rush(&mut self) {
        self.rush = true;
    }

    /// Takes the turn that is due. Turns that were missed are counted, not made up for.
    pub fn take(&mut self, now: i64) -> Option<Turn> {
        if now < self.due {
            let rushed = std::mem::take(&mut self.rush);
            return rushed.then_some(Turn { due: now, expected: 1, deadline: self.due });
        }
        self.rush = false;
        let missed = (now - self.due) / self.period;
        let due = self.due + missed * self.period;
        self.due = due + self.period;
        let expected = u32::try_from(missed).unwrap_or(u32::MAX).saturating_add(1);
        Some(Turn { due, expected, deadline: self.due })
    }
}

/// The place of the `nth` group in a period: 0, 1/2, 1/4, 3/4, 1/8, … of it (van der Corput), on the grid.
fn spread(nth: u32, period: i64, width: i64) -> i64 {
    let fraction = i64::from(nth.reverse_bits() >> 1);
    let micros = (i128::from(period) * i128::from(fraction)) >> 31;
    let micros = i64::try_from(micros).unwrap_or(0);
    micros - micros.rem_euclid(width)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Grid;

    fn cycle(period: i64, nth: u32, now: i64) -> Cycle {
        Cycle::on_grid(period, nth, Grid::default().seat(period).into(), now)
    }

    #[test]
    fn lateness_does_not_add_up() {
        let mut cycle = cycle(100_000, 0, 5);
        for turn in 1..50 {
            let due = turn * 100_000;
            assert_eq!(cycle.take(due - 1), None);
            let taken = cycle.take(due + 37_000).unwrap();
            assert_eq!((taken.due, taken.expected), (due, 1));
        }
    }

    #[test]
    fn missed_turns_are_counted_not_made_up_for() {
        let mut cycle = cycle(100_000, 0, 5);
        let turn = cycle.take(437_000).unwrap();
        assert_eq!(turn, Turn { due: 400_000, expected: 4, deadline: 500_000 });
        assert_eq!(cycle.take(437_001), None);
    }

    #[test]
    fn a_rushed_turn_leaves_the_schedule_alone() {
        let mut cycle = cycle(1_000_000, 0, 5);
        cycle.rush();
        assert_eq!(cycle.take(7).unwrap(), Turn { due: 7, expected: 1, deadline: 1_000_000 });
        assert_eq!(cycle.take(8), None);
        assert_eq!(cycle.take(1_000_000).unwrap().due, 1_000_000);
    }

    #[test]
    fn groups_of_one_line_are_spread_over_the_period() {
        let due: Vec<i64> = (0..5).map(|nth| cycle(1_000_000, nth, 5).due()).collect();
        assert_eq!(due, [1_000_000, 500_000, 250_000, 750_000, 120_000]);
        let mut all: Vec<i64> = (0..32).map(|nth| cycle(1_000_000, nth, 5).due()).collect();
        all.sort_unstable();
        assert!(all.windows(2).all(|w| w[1] - w[0] >= 30_000), "{all:?}");
    }

    #[test]
    fn a_long_period_does_not_delay_the_first_turn() {
        assert!(cycle(3_600_000_000, 0, 5).due() <= 1_000_000);
        assert_eq!(Cycle::off_grid(3_600_000_000, 5).due(), 5);
    }
}
