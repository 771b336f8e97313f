//! Requests and answers of the local API as plain types with one versioned JSON encoding.
//!
//! One JSON object per line over a Unix socket. A line to the daemon is an [`Ask`], a line back is a [`Reply`].
//! A request gets one reply, with exceptions: [`Request::Watch`] and [`Request::Tap`] get replies until the caller hangs up,
//! [`Request::Set`] with `wait` gets one [`Command`] per step until one has `ended`, [`Request::Reload`] gets a
//! [`Verdict`] after a [`Reloaded`] with `watched_ms`, and [`Request::History`] gets one [`Page`] after the other until
//! one has `ended`.
//! A caller may send the next request on the same connection after the last reply.
//!
//! Deliberately absent: logic, sockets, tables for people.

mod answer;
mod history;
mod plan;
mod request;
mod twins;
mod works;

pub use answer::{Answer, Code, Failure, Reply};
pub use history::{Effort, Page, Past, Row, Summary, When};
pub use plan::{
    Action, Applies, DeviceAction, Outcome, Plan, PlannedDevice, PlannedLine, PlannedLink,
    PlannedSetting, Reloaded, Verdict,
};
pub use request::{Ask, Request};
pub use twins::{
    Command, Entanglement, Maintenance, Point, Relationship, Section, Twin, TwinAlarm, Update, Why,
};
pub use works::{
    Alarm, Asked, Device, Lane, Line, Link, Pending, Status, Store, Tapped, Traffic, Unit,
    UnitState, Version, Writes,
};

/// The version of this encoding. A daemon answers a request of another version with [`Code::Version`].
///
/// Fields may be added without a new version: whoever reads ignores what it does not know.
pub const VERSION: u32 = 1;

/// The longest request line in bytes, the newline included.
pub const LONGEST_REQUEST: usize = 64 * 1024;

/// Where the daemon listens unless told otherwise.
pub const SOCKET: &str = "/run/gatewayd/control.sock";
