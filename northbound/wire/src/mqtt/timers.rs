//! When to ping and when to give up. Times are microseconds of one monotonic clock.

use std::time::Duration;

use super::Closed;

/// The times that a session watches.
#[derive(Debug)]
pub(super) struct Timers {
    keep_alive: i64,
    ack: i64,
    received: i64,
    sent: i64,
    progress: i64,
    ping: Option<i64>,
}

/// What a due timer asks for.
#[derive(Debug)]
pub(super) enum Due {
    Ping,
    Close(Closed),
}

impl Timers {
    pub(super) fn new(keep_alive: u16, ack_timeout: Duration, now: i64) -> Self {
        Self {
            keep_alive: i64::from(keep_alive) * 1_000_000,
            ack: i64::try_from(ack_timeout.as_micros()).unwrap_or(i64::MAX / 8).min(i64::MAX / 8),
            received: now,
            sent: now,
            progress: now,
            ping: None,
        }
    }

    /// The broker asks for another keep-alive (5.0 §3.2.2.3.14).
    pub(super) fn set_keep_alive(&mut self, seconds: u16) {
        self.keep_alive = i64::from(seconds) * 1_000_000;
    }

    /// Any byte proves that the broker lives, also instead of the answer to a ping.
    pub(super) fn received(&mut self, now: i64) {
        self.received = now;
    }

    pub(super) fn sent(&mut self, now: i64) {
        self.sent = now;
    }

    /// Something was acknowledged.
    pub(super) fn progress(&mut self, now: i64) {
        self.progress = now;
    }

    pub(super) fn ponged(&mut self) {
        self.ping = None;
    }

    /// When to look next; `oldest` is when the longest unanswered packet was sent.
    pub(super) fn deadline(&self, oldest: Option<i64>) -> i64 {
        self.keep_alive_due().min(self.ack_due(oldest))
    }

    /// What is due now.
    pub(super) fn due(&mut self, oldest: Option<i64>, now: i64) -> Option<Due> {
        if now >= self.ack_due(oldest) {
            let waited = micros(now - oldest.unwrap_or(now));
            return Some(Due::Close(Closed::NoAck { waited }));
        }
        if now < self.keep_alive_due() {
            return None;
        }
        if self.ping.is_some() {
            return Some(Due::Close(Closed::NoPing { silent: micros(now - self.received) }));
        }
        self.ping = Some(now);
        Some(Due::Ping)
    }

    /// A ping goes out when either direction has been silent for the keep-alive; its answer may take half of it more.
    fn keep_alive_due(&self) -> i64 {
        match self.ping {
            _ if self.keep_alive == 0 => i64::MAX,
            None => self.sent.min(self.received).saturating_add(self.keep_alive),
            Some(ping) => ping.max(self.received).saturating_add(self.keep_alive / 2),
        }
    }

    /// While others are acknowledged a publication may wait longer, but not for ever.
    fn ack_due(&self, oldest: Option<i64>) -> i64 {
        oldest.map_or(i64::MAX, |at| {
            at.max(self.progress).saturating_add(self.ack).min(at.saturating_add(4 * self.ack))
        })
    }
}

fn micros(n: i64) -> Duration {
    Duration::from_micros(u64::try_from(n).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000;

    fn timers() -> Timers {
        Timers::new(10, Duration::from_secs(30), 0)
    }

    #[test]
    fn a_silent_broker_is_pinged_and_given_up_after_one_and_a_half_keep_alives() {
        let mut timers = timers();
        assert_eq!(timers.deadline(None), 10 * S);
        assert!(timers.due(None, 10 * S - 1).is_none());
        assert!(matches!(timers.due(None, 10 * S), Some(Due::Ping)));
        assert!(timers.due(None, 15 * S - 1).is_none());
        let Some(Due::Close(Closed::NoPing { silent })) = timers.due(None, 15 * S) else {
            panic!()
        };
        assert_eq!(silent, Duration::from_secs(15));
    }

    #[test]
    fn what_we_send_does_not_hide_a_silent_broker() {
        let mut timers = timers();
        timers.sent(9 * S);
        assert!(matches!(timers.due(None, 10 * S), Some(Due::Ping)));
    }

    #[test]
    fn what_we_receive_does_not_hide_our_own_silence() {
        let mut timers = timers();
        timers.received(9 * S);
        assert!(matches!(timers.due(None, 10 * S), Some(Due::Ping)));
        timers.ponged();
        timers.sent(10 * S);
        assert_eq!(timers.deadline(None), 19 * S);
    }

    #[test]
    fn bytes_without_a_pong_are_life() {
        let mut timers = timers();
        assert!(matches!(timers.due(None, 10 * S), Some(Due::Ping)));
        timers.received(14 * S);
        assert!(timers.due(None, 19 * S - 1).is_none());
        assert!(matches!(timers.due(None, 19 * S), Some(Due::Close(_))));
    }

    #[test]
    fn an_ack_may_wait_while_others_come_but_not_for_ever() {
        let mut timers = timers();
        timers.received(S);
        assert_eq!(timers.ack_due(Some(5 * S)), 35 * S);
        timers.progress(20 * S);
        assert_eq!(timers.ack_due(Some(5 * S)), 50 * S);
        timers.progress(120 * S);
        assert_eq!(timers.ack_due(Some(5 * S)), 125 * S);
        assert!(matches!(
            timers.due(Some(5 * S), 125 * S),
            Some(Due::Close(Closed::NoAck { waited })) if waited == Duration::from_secs(120)
        ));
    }

    #[test]
    fn keep_alive_zero_never_pings() {
        let timers = Timers::new(0, Duration::from_secs(30), 0);
        assert_eq!(timers.deadline(None), i64::MAX);
    }
}
