//! Typed links between twins.

use std::sync::Arc;

use crate::Name;

/// A typed link from a twin to another, possibly on another gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relationship {
    /// What the link means: `feeds`, `partOf`, `monitors`.
    pub name: Name,
    /// The twin's id on this gateway, or the URI of a twin elsewhere.
    pub target: Arc<str>,
}
