//! What configuration may ask beyond the first form of a description: rules for a point, a policy for a twin.
//!
//! All of it is optional, and the default of each asks nothing.

use std::sync::Arc;

use crate::{Alarm, Condition, Hold, Name};

/// What is asked of one point.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    /// How often it reports, whatever it does.
    pub pace: Pace,
    /// It is an alarm: an event that the gateway raises by this rule.
    pub alarm: Option<Arc<Alarm>>,
    /// What else has to be so before it may be written.
    pub guard: Guard,
}

/// What has to be so before a point may be written, besides its range.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Guard {
    /// Conditions that must hold.
    pub interlocks: Arc<[Interlock]>,
    /// Microseconds between two commands that are accepted, whoever gives them; 0 = as they come.
    pub interval: i64,
    /// How often a value that is held is asserted again.
    pub hold: Hold,
}

/// A condition on a point of the twin that must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Interlock {
    /// The feature of the point.
    pub feature: Name,
    /// Its name.
    pub point: Name,
    /// What must be so; one that a value alone shows.
    pub when: Condition,
}

/// How often a point that is polled reports, in microseconds between two of its commits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pace {
    /// A change of value waits until this has passed; 0 = it never waits. The first reading that still differs then is
    /// committed. A change of quality does not wait.
    pub least: i64,
    /// It is committed no later than this though nothing changed, by the last reading that comes in time; 0 = never.
    pub most: i64,
}

/// What is asked of a twin as a whole.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policy {
    /// Lines that the twin can do without: one that is lost does not unbind it.
    pub optional: Vec<Arc<str>>,
    /// How its entanglement is measured, and what follows from it.
    pub entanglement: Measuring,
}

/// How the entanglement of a twin is measured, and what follows from it. Times are microseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measuring {
    /// The length of the sliding window; that of a group with an interval of over a tenth of it is ten intervals.
    pub window: i64,
    /// How long after the asset was asked its answer may be in the state to be in time.
    pub timeliness: i64,
    /// What moves the twin between shadowed and out of sync, besides silence; nothing without it.
    pub thresholds: Option<Thresholds>,
    /// Commands are refused unless it is [`crate::Closeness::Strong`].
    pub strong: bool,
}

impl Measuring {
    /// From which value on a twin counts as closely entangled where it has no threshold.
    pub const TARGET: f32 = 0.9;

    /// From which value on the twin counts as closely entangled.
    #[must_use]
    pub fn target(&self) -> f32 {
        self.thresholds.map_or(Self::TARGET, |thresholds| thresholds.enter)
    }
}

/// When entanglement moves a twin in its life cycle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// It is shadowed again from this value on.
    pub enter: f32,
    /// It is out of sync below this value; lower than `enter`, so that it does not flap.
    pub leave: f32,
    /// For how long it has to be that good, in microseconds.
    pub hold_in: i64,
    /// For how long it has to be that bad, in microseconds.
    pub hold_out: i64,
}

impl Default for Measuring {
    fn default() -> Self {
        Self { window: 60_000_000, timeliness: 1_000_000, thresholds: None, strong: false }
    }
}
