//! What becomes of what is read of a point: conditioned, reported by change, held against alarms.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod alarm;
mod conditioning;
mod guard;
mod held;
mod one_point;
mod report;
