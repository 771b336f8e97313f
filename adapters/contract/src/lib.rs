//! What every protocol adapter shares.
//!
//! The seam between an adapter and the daemon: [`Context`] in, [`Request`]s in, [`twin::Submission`]s and a
//! [`LineStatus`] out. One task owns one line and everything on it.
//! Deliberately absent: the store, anything northbound, any protocol, any I/O but reading `/sys` for port names
//! and profile files.

mod context;
pub mod device;
mod grid;
mod handle;
mod inspection;
pub mod profile;
mod request;
mod status;
pub mod units;

pub use context::{Context, Fault};
pub use grid::{Grid, Pace, Seat};
pub use handle::{Devices, LineEnd, LineHandle, line};
pub use inspection::{Exchange, Inspection};
pub use request::{NotRead, ReadNow, Request};
pub use status::{BreakerState, Counters, DeviceStatus, LineState, LineStatus, Trouble};
