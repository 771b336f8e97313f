//! Things that happen to an asset, as opposed to values that it has.

use std::sync::Arc;

use crate::{Deadline, TimeBase, Value};

/// One occurrence of a declared event, or a step of a stateful one (an alarm).
///
/// Never thinned and never reduced by report-by-change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Which declared event; events share the index space of points.
    pub index: u16,
    /// The occurrence's own identity, as its source gave it (OPC UA EventId) or as we made it.
    pub instance: EventInstance,
    /// 0 (nothing) to 1000 (worst).
    pub severity: u16,
    /// Where a stateful event stands; all `false` for a plain one.
    pub state: ConditionState,
    /// When it occurred.
    pub occurred: TimeBase,
    /// What an operator reads.
    pub text: Arc<str>,
    /// Further fields, as the description declares them.
    pub fields: Option<Value>,
    /// Until when an operator silenced it; `None` where nobody did.
    pub until: Option<Deadline>,
}

/// The identity of one occurrence; at most 255 bytes.
pub type EventInstance = Arc<[u8]>;

/// Where a stateful event stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ConditionState {
    /// The cause is present.
    pub active: bool,
    /// An operator has seen it.
    pub acknowledged: bool,
    /// An operator has dealt with it.
    pub confirmed: bool,
    /// It is silenced for a while.
    pub shelved: bool,
}
