//! Patience with a broker that refuses: pause, then try one message, and go on when it is taken.

use std::time::Duration;

use base::Backoff;
use tokio::time::Instant;

/// Whether something is held back, and until when.
#[derive(Debug)]
pub(super) struct Hold {
    backoff: Backoff,
    until: Option<Instant>,
    probing: bool,
}

impl Default for Hold {
    fn default() -> Self {
        let second = Duration::from_secs(1);
        Self { backoff: Backoff::new(second, 60 * second, second), until: None, probing: false }
    }
}

impl Hold {
    /// It was refused: pause. Refusals of what was under way with it change nothing.
    pub(super) fn refused(&mut self, now: Instant) {
        if self.until.is_none() {
            self.until = Some(now + self.backoff.pause());
            self.probing = true;
        }
    }

    /// It was taken: no more reason to hold back. Says whether there had been one.
    pub(super) fn taken(&mut self) -> bool {
        if self.until.is_some() {
            return false;
        }
        if self.probing {
            self.backoff.lasted(Duration::MAX);
        }
        std::mem::take(&mut self.probing)
    }

    /// Whether the pause has just ended.
    pub(super) fn ended(&mut self, now: Instant) -> bool {
        let over = self.until.is_some_and(|until| until <= now);
        if over {
            self.until = None;
        }
        over
    }

    /// Whether it pauses, or tries.
    pub(super) fn holds(&self) -> bool {
        self.until.is_some() || self.probing
    }

    /// When the pause ends.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// How many messages may be under way, of `window`: none, one to try, or all.
    pub(super) fn limit(&self, window: usize) -> usize {
        match (self.until, self.probing) {
            (Some(_), _) => 0,
            (None, true) => window.min(1),
            (None, false) => window,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_a_pause_one_message_tries() {
        let mut hold = Hold::default();
        assert_eq!(hold.limit(9), 9);
        hold.refused(Instant::now());
        assert_eq!(hold.limit(9), 0);
        assert!(!hold.taken(), "what was taken before the refusal says nothing");
        assert!(!hold.ended(Instant::now()));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(hold.ended(Instant::now()));
        assert_eq!(hold.limit(9), 1);
        assert!(hold.holds() && hold.taken() && !hold.holds());
        assert_eq!(hold.limit(9), 9);
    }
}
