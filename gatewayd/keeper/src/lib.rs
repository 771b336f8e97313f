//! The keeper: everything about twins that time decides.
//!
//! The only holder of twin timers.
//! It reads commits and ticks, decides with pure functions, and answers with changes: life-cycle transitions, command
//! dispatch, confirmation and expiry, entanglement.
//! It keeps nothing of its own that a restart would miss: what it knows is rebuilt from the store.
//!
//! Deliberately absent: adapters, links, configuration, any socket.

mod alarms;
mod commands;
mod decide;
mod keeper;
mod measure;

pub use commands::{Verdict, confirms};
pub use decide::{Fresh, Presence, trigger};
pub use keeper::Keeper;
pub use measure::Standing;
