//! How a line and the devices on it are doing.

use std::sync::Arc;

use twin::{Boottime, TwinId};

/// How a line is doing. Counters move silently; state changes wake those who watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineStatus {
    /// Its name, unique in the daemon.
    pub name: Arc<str>,
    /// Where it stands.
    pub state: LineState,
    /// Since when.
    pub since: Boottime,
    /// How often it was opened or connected.
    pub opened: u64,
    /// Microseconds of line time spent on devices that do not answer: probes, timeouts and quarantines.
    pub wasted: u64,
    /// The devices on it, in the order of their configuration.
    pub devices: Vec<DeviceStatus>,
}

/// Where a line stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineState {
    /// Nothing has been tried yet.
    Starting,
    /// It works.
    Up,
    /// It is closed because nothing is to do; the next request opens it.
    Idle,
    /// It cannot be reached or is not there.
    Down {
        /// Why.
        cause: Arc<str>,
        /// When it is tried again.
        next: Option<Boottime>,
    },
    /// It has ended.
    Ended {
        /// Why, where that was not the operator's wish.
        cause: Option<Arc<str>>,
    },
}

/// How a device is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceStatus {
    /// Its twin.
    pub twin: TwinId,
    /// Whether it is asked at all.
    pub breaker: BreakerState,
    /// It was silent, and is not polled before somebody says that it is the device that it was.
    pub doubted: bool,
    /// Since when.
    pub since: Boottime,
    /// The last trouble with it, which may be over.
    pub trouble: Option<Trouble>,
    /// When it last answered.
    pub answered: Option<Boottime>,
    /// When it is asked again, where that is later than its schedule says.
    pub next: Option<Boottime>,
    /// What was counted.
    pub counters: Counters,
}

/// Whether a device is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BreakerState {
    /// It is asked as scheduled.
    Closed,
    /// It answered a probe; the next real request decides.
    HalfOpen,
    /// It does not answer and is only probed.
    Open,
}

/// What went wrong, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// When.
    pub at: Boottime,
    /// What, in words.
    pub words: Arc<str>,
}

/// Transactions with one device since its line started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests sent, probes and writes included.
    pub requests: u64,
    /// Sound answers with what was asked for.
    pub answers: u64,
    /// Requests without an answer in time.
    pub timeouts: u64,
    /// Answers that were refusals.
    pub refusals: u64,
    /// Answers that the protocol does not allow.
    pub malformed: u64,
    /// Requests that a broken connection took.
    pub lost: u64,
    /// Scheduled acquisitions that were skipped.
    pub missed: u64,
}

impl BreakerState {
    /// The word used in CLI and messages.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Open => "open",
        }
    }
}

impl LineState {
    /// The word used in CLI and messages.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Up => "up",
            Self::Idle => "idle",
            Self::Down { .. } => "down",
            Self::Ended { .. } => "ended",
        }
    }
}

impl LineStatus {
    /// A line that has not begun.
    #[must_use]
    pub fn starting(name: Arc<str>, now: Boottime) -> Self {
        Self {
            name,
            state: LineState::Starting,
            since: now,
            opened: 0,
            wasted: 0,
            devices: Vec::new(),
        }
    }
}
