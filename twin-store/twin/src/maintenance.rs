//! Planned work on an asset: commands wait, and time without contact was meant to be.

use std::sync::Arc;

use crate::{Deadline, Moment, Principal};

/// Planned work on an asset, which ends by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maintenance {
    /// Until when.
    pub until: Deadline,
    /// Why, in words.
    pub reason: Arc<str>,
    /// Who said so.
    pub by: Principal,
}

impl Maintenance {
    /// Whether it goes on.
    #[must_use]
    pub fn lasts(&self, now: Moment) -> bool {
        !self.until.passed(now)
    }
}
