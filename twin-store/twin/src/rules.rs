//! What configuration may ask beyond the first form of a description: rules for a point, a policy for a twin.
//!
//! All of it is optional, and the default of each asks nothing.

use std::sync::Arc;

/// What is asked of one point.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    /// How often it reports, whatever it does.
    pub pace: Pace,
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
}
