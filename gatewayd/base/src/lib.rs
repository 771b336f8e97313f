//! The ground that every other crate stands on: time, tasks, patience.
//!
//! The only place that reads the system clock and the only place that starts tasks and threads.
//! Deliberately absent: the twin model, any protocol, any configuration.

mod backoff;
mod bucket;
mod clock;
mod scope;
mod thread;

pub use backoff::Backoff;
pub use bucket::TokenBucket;
pub use clock::{Clock, ManualClock};
pub use scope::{Ended, Ending, Scope};
pub use thread::Thread;
pub use tokio_util::sync::CancellationToken;
