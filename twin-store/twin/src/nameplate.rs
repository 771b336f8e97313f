//! What is written on the asset's plate.

use std::sync::Arc;

/// Who made the asset and which one it is, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub struct Nameplate {
    pub manufacturer: Option<Arc<str>>,
    pub model: Option<Arc<str>>,
    pub serial: Option<Arc<str>>,
    pub hardware: Option<Arc<str>>,
    pub software: Option<Arc<str>>,
}
