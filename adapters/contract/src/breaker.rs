//! One breaker per device: who does not answer is not asked, only probed.

use std::time::Duration;

use base::Backoff;

use crate::BreakerState;

/// Unanswered requests in a row that open the breaker of a device that has answered before.
const PATIENCE: u32 = 3;
/// The first pause before a probe.
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause between two probes.
const LONGEST: Duration = Duration::from_secs(30);
/// A device that answered for this long is trusted again: its next outage begins with short pauses.
const STABLE: Duration = Duration::from_secs(60);

/// Whether a device is asked. Times are boottime in microseconds.
#[derive(Debug)]
pub struct Breaker {
    state: State,
    since: i64,
    backoff: Backoff,
    /// When the outage began that has not been reported as over.
    lost: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has never been asked: one unanswered request is enough.
    New,
    Closed {
        unanswered: u32,
    },
    Open {
        probe: i64,
    },
    HalfOpen,
}

/// What a breaker has to say; each outage is said once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turned {
    /// The device does not answer any more.
    Lost,
    /// The device answered a probe: ask it.
    Probed,
    /// The device is back after this many microseconds.
    Back(i64),
}

impl Breaker {
    /// The breaker of a device that has not been asked yet.
    #[must_use]
    pub fn new(now: i64) -> Self {
        let backoff = Backoff::new(FIRST, LONGEST, STABLE);
        Self { state: State::New, since: now, backoff, lost: None }
    }

    /// Whether the device is asked as scheduled.
    #[must_use]
    pub fn lets_through(&self) -> bool {
        !matches!(self.state, State::Open { .. })
    }

    /// Whether an unanswered request may be repeated at once.
    #[must_use]
    pub fn patient(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// When the device is probed next, where its breaker is open.
    #[must_use]
    pub fn probe_at(&self) -> Option<i64> {
        if let State::Open { probe } = self.state { Some(probe) } else { None }
    }

    /// Since when the device has not answered, where it does not.
    #[must_use]
    pub fn lost_since(&self) -> Option<i64> {
        self.lost
    }

    /// The state as it is shown.
    #[must_use]
    pub fn shown(&self) -> BreakerState {
        match self.state {
            State::New | State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen => BreakerState::HalfOpen,
        }
    }

    /// Since when it is in its state.
    #[must_use]
    pub fn since(&self) -> i64 {
        self.since
    }

    /// Somebody asks for the device: the next probe need not wait longer, the line's budget for probes apart.
    pub fn hurry(&mut self, now: i64) {
        if let State::Open { probe } = &mut self.state {
            *probe = now.min(*probe);
        }
    }

    /// The device answered, be it with a refusal.
    pub fn answered(&mut self, now: i64) -> Option<Turned> {
        match self.state {
            State::Closed { ref mut unanswered } => {
                *unanswered = 0;
                None
            }
            State::Open { .. } => {
                self.enter(State::HalfOpen, now);
                Some(Turned::Probed)
            }
            State::New | State::HalfOpen => {
                self.enter(State::Closed { unanswered: 0 }, now);
                self.lost.take().map(|lost| Turned::Back(now - lost))
            }
        }
    }

    /// The device did not answer.
    pub fn unanswered(&mut self, now: i64) -> Option<Turned> {
        if let State::Closed { unanswered } = &mut self.state {
            *unanswered += 1;
            if *unanswered < PATIENCE {
                return None;
            }
            let lasted = u64::try_from(now - self.since).unwrap_or(0);
            self.backoff.lasted(Duration::from_micros(lasted));
        }
        let pause = i64::try_from(self.backoff.pause().as_micros()).unwrap_or(i64::MAX);
        self.enter(State::Open { probe: now.saturating_add(pause) }, now);
        let first = self.lost.is_none();
        self.lost.get_or_insert(now);
        first.then_some(Turned::Lost)
    }

    fn enter(&mut self, state: State, now: i64) {
        if std::mem::discriminant(&self.state) != std::mem::discriminant(&state) {
            self.since = now;
        }
        self.state = state;
    }
}

/// What probes may cost the devices that do answer: one part in twenty of line time, quarantines included.
#[derive(Debug, Default)]
pub struct ProbeBudget {
    free: i64,
}

impl ProbeBudget {
    /// Microseconds of line time per microsecond of probing.
    const PARTS: i64 = 20;

    /// When the next probe may leave.
    #[must_use]
    pub fn free_at(&self) -> i64 {
        self.free
    }

    /// A probe that began at `from` kept the line busy until `until`.
    pub fn spend(&mut self, from: i64, until: i64) {
        let cost = (until - from).max(0);
        self.free = from.saturating_add(cost.saturating_mul(Self::PARTS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000;

    #[test]
    fn a_device_that_answered_gets_three_chances() {
        let mut breaker = Breaker::new(0);
        assert_eq!(breaker.answered(S), None);
        assert_eq!(breaker.unanswered(2 * S), None);
        assert_eq!(breaker.answered(3 * S), None, "any answer counts");
        assert_eq!(breaker.unanswered(4 * S), None);
        assert_eq!(breaker.unanswered(5 * S), None);
        assert_eq!(breaker.unanswered(6 * S), Some(Turned::Lost));
        assert!(!breaker.lets_through());
    }

    #[test]
    fn a_device_that_never_answered_gets_one() {
        let mut breaker = Breaker::new(0);
        assert_eq!(breaker.unanswered(S), Some(Turned::Lost));
        let probe = breaker.probe_at().unwrap();
        assert!((S + S / 2..=2 * S).contains(&probe));
    }

    #[test]
    fn an_outage_is_said_once_however_often_it_is_probed() {
        let mut breaker = Breaker::new(0);
        assert_eq!(breaker.unanswered(S), Some(Turned::Lost));
        for n in 2..20 {
            assert_eq!(breaker.unanswered(n * 40 * S), None);
        }
        assert_eq!(breaker.answered(900 * S), Some(Turned::Probed));
        assert_eq!(breaker.unanswered(901 * S), None, "one answer is not back yet");
        assert_eq!(breaker.answered(990 * S), Some(Turned::Probed));
        assert_eq!(breaker.answered(991 * S), Some(Turned::Back(990 * S)));
    }

    #[test]
    fn only_a_stable_period_shortens_the_pauses_again() {
        let mut breaker = Breaker::new(0);
        let mut pause = |from: i64, good: i64| {
            breaker.answered(from);
            breaker.answered(from);
            let at = from + good;
            for _ in 0..3 {
                breaker.unanswered(at);
            }
            breaker.probe_at().unwrap() - at
        };
        assert!(pause(0, S) <= S);
        assert!(pause(100 * S, S) >= S, "a device that falls again at once waits longer");
        assert!(pause(200 * S, S) >= 2 * S);
        assert!(pause(300 * S, 61 * S) <= S);
    }

    #[test]
    fn probes_take_a_twentieth() {
        let mut budget = ProbeBudget::default();
        budget.spend(100 * S, 103 * S);
        assert_eq!(budget.free_at(), 160 * S);
    }
}
