//! What every protocol adapter shares.
//!
//! The seam between an adapter and the daemon: [`Context`] in, [`Request`]s in, [`twin::Submission`]s and a
//! [`LineStatus`] out. One task owns one line and everything on it.
//! Deliberately absent: the store, anything northbound, any protocol, any I/O but reading `/sys` for port names
//! and profile files.

mod breaker;
mod context;
mod cycle;
pub mod device;
mod grid;
mod handle;
mod inspection;
mod polled;
pub mod profile;
mod request;
mod status;
pub mod units;

pub use breaker::{Breaker, ProbeBudget, Turned};
pub use context::{Context, Fault};
pub use cycle::{Cycle, Turn};
pub use grid::{Grid, Pace, Seat};
pub use handle::{Devices, LineEnd, LineHandle, line};
pub use inspection::{Exchange, Inspection};
pub use polled::{
    Agenda, Durable, Encoded, Failed, FailedKind, Identity, Polled, PolledGroup, Shown, Task,
    Timing, Work,
};
pub use request::{Ask, Asked, NotRead, Raw, ReadNow, Request, Tapped};
pub use status::{BreakerState, Counters, DeviceStatus, LineState, LineStatus, Trouble};
