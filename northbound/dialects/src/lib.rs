//! Links: the lanes of the log in the words of a platform, and commands back.
//!
//! A [`Link`] owns one upstream connection: patience, window, lanes, what the broker has of the retained documents.
//! A [`Dialect`] owns the words: it turns commits into messages and messages into commands, and gets no handle to
//! anything. [`Twins`] is our own dialect; its topics and JSON are in `TOPICS.md`, whose examples a test compares with
//! what the code prints.
//!
//! ```text
//! gatewayd/plant-7/twins/meter-1/stream
//! {"gateway":"plant-7","twin":"meter-1","epoch":3,"seq":15512,"time":"2026-11-23T10:00:00.250Z",
//!  "values":{"electrical/voltage":230.5,"electrical/current":0.1}}
//! ```
//!
//! Promises, and where they are kept:
//! - No message stands for a commit that is not in the log, and none is forgotten before the broker has acknowledged it:
//!   only an acknowledgement, or a refusal on record, settles a lane (`link/serve.rs`).
//! - Retained documents are written from the state when they are sent, so they never go back (`link/mirror.rs`).
//! - A command is acknowledged to the broker after it is durable, accepted or refused (`link/inbox.rs`).
//! - On the hot path a reading goes from its record into the session's buffer without an allocation
//!   (`twins/readings.rs`).
//!
//! Deliberately absent: any buffer beside the log, any clock of its own, sockets (they are `wire`'s).

pub mod config;
mod dialect;
mod json;
mod link;
#[cfg(test)]
mod sample;
mod spec;
mod twins;
pub mod value;

pub use dialect::{Answer, Asked, Dialect, Document, Envelope, Incoming, Message, Said};
pub use jiff::tz::TimeZone;
pub use link::{LastError, Link, LinkStatus, Phase, Precedence, Surroundings};
pub use spec::{Batch, Budget, LinkSpec, Pattern, SpecError, Window};
pub use twins::{Twins, fuzz_command};
