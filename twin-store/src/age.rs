//! Whether the wall clock may say what is too old: one that leapt ahead is not believed at once.
//!
//! A wrong clock is set right within minutes where there is any time source; by then retention by age must not have
//! dropped what only seemed to be years old. Budgets of size go on meanwhile.

use twin::Timestamp;

use crate::core::Core;
use crate::segment::Family;
use crate::shared::Inner;

/// A smaller step ahead makes nothing too old that matters, in microseconds.
const LEAP: i64 = 3600 * 1_000_000;
/// How long a clock that leapt is not believed.
const DOUBT: i64 = 24 * LEAP;

impl Core {
    /// The store was opened, or the clock of this boot is set for the first time: it may have leapt since the last one.
    pub(crate) fn look_at_clock(&mut self, inner: &Inner) {
        let segments = Family::ALL.into_iter().flat_map(|family| inner.catalog.family(family));
        let footers = segments.filter_map(|segment| segment.footer());
        let last = |f: &crate::footer::Footer| inner.state.timeline().resolve(f.last, f.last_at);
        let newest: Option<Timestamp> = footers.filter_map(last).max();
        if let (Some(newest), Some(now)) = (newest, self.now().utc) {
            self.clock_moved(now.0.saturating_sub(newest.0));
        }
    }

    /// The wall clock went ahead by so many microseconds.
    pub(crate) fn clock_moved(&mut self, ahead: i64) {
        if ahead > LEAP {
            let now = self.now().boottime.0;
            self.ages_count_from = Some(now.saturating_add(DOUBT));
            tracing::warn!(
                "the clock is {} h ahead of the log: for a day nothing is dropped because of its age",
                ahead / LEAP
            );
        } else if ahead < -LEAP {
            // It was set right again.
            self.ages_count_from = None;
        }
    }

    /// Whether commits may be dropped because of their age.
    pub(crate) fn ages_count(&self) -> bool {
        self.ages_count_from.is_none_or(|from| self.now().boottime.0 >= from)
    }
}
