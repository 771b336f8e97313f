//! Patience: growing, jittered pauses that only a stable period resets.

use std::time::Duration;

/// Pauses between attempts: each up to twice as long as the one before, drawn at random so that many gateways that
/// lost one broker do not return at one instant, and short again only after a success that lasted.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    stable: Duration,
    current: Duration,
}

impl Backoff {
    /// Pauses from `first` to `longest`; a success that lasts `stable` begins anew.
    #[must_use]
    pub fn new(first: Duration, longest: Duration, stable: Duration) -> Self {
        Self { first, longest, stable, current: first }
    }

    /// The pause before the next attempt: between half and all of the current one, which then doubles.
    pub fn pause(&mut self) -> Duration {
        let pause = self.current.mul_f64(0.5 + fastrand::f64() / 2.0);
        self.current = self.current.saturating_mul(2).min(self.longest);
        pause
    }

    /// Tells how long the last success lasted. A connection that is kicked at once is a failure.
    pub fn lasted(&mut self, how_long: Duration) {
        if how_long >= self.stable {
            self.current = self.first;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut backoff = Backoff::new(S, 5 * S, 60 * S);
        let within =
            |pause: Duration, top: Duration| assert!(top / 2 <= pause && pause <= top, "{pause:?}");
        for top in [1, 2, 4, 5, 5] {
            within(backoff.pause(), top * S);
        }
    }

    #[test]
    fn a_kick_after_connect_is_a_failure() {
        let mut backoff = Backoff::new(S, 60 * S, 30 * S);
        backoff.pause();
        backoff.lasted(29 * S);
        assert!(backoff.pause() >= S);
        backoff.lasted(30 * S);
        assert!(backoff.pause() <= S);
    }
}
