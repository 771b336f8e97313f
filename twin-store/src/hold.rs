//! A pause after an attempt to read that failed: what may pass is tried again, not passed over.

use std::time::Duration;

use base::Clock;

/// How long nothing is tried.
const PAUSE: Duration = Duration::from_secs(1);

/// Whether to wait before the next attempt.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Hold {
    /// Until this boottime in microseconds.
    until: Option<i64>,
}

impl Hold {
    /// An attempt failed now.
    pub(crate) fn begin(&mut self, clock: &Clock) {
        let pause = i64::try_from(PAUSE.as_micros()).unwrap_or(i64::MAX);
        self.until = Some(clock.boottime().saturating_add(pause));
    }

    /// How long to wait still; `None` where nothing is held.
    pub(crate) fn left(&self, clock: &Clock) -> Option<Duration> {
        let left = self.until?.saturating_sub(clock.boottime());
        Some(Duration::from_micros(u64::try_from(left).unwrap_or(0)))
    }

    /// Whether it is too early for another attempt; ends the hold where it is not.
    pub(crate) fn holds(&mut self, clock: &Clock) -> bool {
        let holds = self.left(clock).is_some_and(|left| !left.is_zero());
        if !holds {
            self.until = None;
        }
        holds
    }
}
