//! A budget per second.

/// Tokens that fill at a rate up to a burst. Time is an argument: boottime in microseconds.
#[derive(Debug, Clone)]
pub struct TokenBucket {
    per_second: f64,
    burst: f64,
    tokens: f64,
    at: i64,
}

impl TokenBucket {
    /// A full bucket.
    #[must_use]
    pub fn new(per_second: f64, burst: f64, now: i64) -> Self {
        Self { per_second, burst, tokens: burst, at: now }
    }

    fn fill(&mut self, now: i64) {
        #[expect(clippy::cast_precision_loss, reason = "microseconds of an idle hour fit")]
        let elapsed = now.saturating_sub(self.at).max(0) as f64 / 1e6;
        self.tokens = (self.tokens + elapsed * self.per_second).min(self.burst);
        self.at = now;
    }

    /// Takes `n` tokens if they are there.
    pub fn take(&mut self, n: f64, now: i64) -> bool {
        self.fill(now);
        // A billionth of a token forgives the rounding of many small fills.
        let enough = self.tokens + 1e-9 >= n;
        if enough {
            self.tokens -= n;
        }
        enough
    }

    /// Takes `n` tokens even where they are not there yet: the debt is paid by later refusals.
    pub fn spend(&mut self, n: f64, now: i64) {
        self.fill(now);
        self.tokens -= n;
    }

    /// Microseconds until `n` tokens are there.
    #[must_use]
    pub fn until(&self, n: f64, now: i64) -> i64 {
        let mut then = self.clone();
        then.fill(now);
        let missing = (n.min(self.burst) - then.tokens).max(0.0);
        #[expect(clippy::cast_possible_truncation, reason = "a saturating cast is meant")]
        let micros = (missing / self.per_second * 1e6).ceil() as i64;
        micros
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fills_at_its_rate_up_to_its_burst() {
        let mut bucket = TokenBucket::new(10.0, 5.0, 0);
        for _ in 0..5 {
            assert!(bucket.take(1.0, 0));
        }
        assert!(!bucket.take(1.0, 0));
        assert_eq!(bucket.until(1.0, 0), 100_000);
        assert!(bucket.take(1.0, 100_000));
        assert!(!bucket.take(6.0, 100_000_000), "never more than the burst");
    }

    #[test]
    fn a_debt_is_paid_before_the_next_token() {
        let mut bucket = TokenBucket::new(1.0, 1.0, 0);
        bucket.spend(3.0, 0);
        assert!(!bucket.take(1.0, 2_900_000));
        assert!(bucket.take(1.0, 3_000_000));
    }
}
