//! Whether the wall clock may say what is too old: one that leapt ahead is not believed at once.
//!
//! A wrong clock is set right within minutes where there is any time source; by then retention by age must not have
//! dropped what only seemed to be years old. Budgets of size go on meanwhile.

use twin::{Moment, Seq, Timestamp};

use crate::core::Core;
use crate::segment::Family;
use crate::shared::Inner;

/// A smaller step ahead makes nothing too old that matters, in microseconds.
const LEAP: i64 = 3600 * 1_000_000;
/// How long a clock that leapt is not believed.
const DOUBT: i64 = 24 * LEAP;

/// How long nobody ran before `now`: since the last commit that the log has.
pub(crate) fn away(inner: &Inner, now: Moment) -> Option<i64> {
    let segments = Family::ALL.into_iter().flat_map(|family| inner.catalog.family(family));
    let last = segments.filter_map(|segment| segment.footer()).max_by_key(|footer| footer.last)?;
    let timeline = inner.state.timeline();
    let same_boot = timeline.span_of(last.last).is_some_and(|span| span.boot == now.boot);
    let between = if same_boot {
        Some(now.boottime.0.saturating_sub(last.last_at.0))
    } else {
        let then = timeline.resolve(last.last, last.last_at);
        now.utc.zip(then).map(|(now, then)| now.0.saturating_sub(then.0))
    };
    Some(between.map_or(i64::MAX, |between| between.max(0)))
}

impl Core {
    /// The store was opened, or the clock of this boot is set for the first time: it may have leapt since the last one,
    /// or in a life before that was not long enough to believe it.
    pub(crate) fn look_at_clock(&mut self, inner: &Inner) {
        let Some(Timestamp(utc)) = self.now().utc else { return };
        let timeline = inner.state.timeline();
        let segments = Family::ALL.into_iter().flat_map(|family| inner.catalog.family(family));
        let ends = segments.filter_map(|segment| segment.footer());
        let ends = ends.flat_map(|f| [(f.first, f.first_at), (f.last, f.last_at)]);
        let ends = ends.filter_map(|(seq, at)| Some((seq, timeline.resolve(seq, at)?.0)));
        let mut ends: Vec<(Seq, i64)> = ends.collect();
        ends.sort_unstable();
        if let Some((_, newest)) = ends.last() {
            self.clock_moved(utc.saturating_sub(*newest));
        }
        let stretch = |seq| timeline.span_of(seq).map(|span| span.from);
        let mut leaps = ends.windows(2).filter_map(|pair| match pair {
            [(a, before), (b, after)] if stretch(*a) != stretch(*b) && after - before > LEAP => {
                Some(*after)
            }
            _ => None,
        });
        // What the clock says since it leapt last: how much of the doubt is over.
        let passed = leaps.next_back().map(|leapt| utc.saturating_sub(leapt));
        if let Some(passed) = passed.filter(|passed| (0..DOUBT).contains(passed)) {
            let until = self.now().boottime.0.saturating_add(DOUBT - passed);
            self.ages_count_from = Some(self.ages_count_from.map_or(until, |from| from.max(until)));
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
