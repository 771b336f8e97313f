//! One writer, one durable log; state, history and lanes are readings of it.
//!
//! Invariants:
//! - Nothing is seen that is not written. What a receipt told of is durable, and so is everything before it.
//! - `state == fold(snapshot + log)`. Nothing but a commit changes the state.
//! - Sequence numbers grow and never restart; `(gateway, epoch, seq)` names a commit for ever.
//! - A lane never skips: every commit above its position is handed out, or a gap says that it is gone.
//! - What the disk fails to keep is said by the log itself, not only in messages.
//!
//! The layers, lowest first: [`Disk`] · frames and records · segments and the log · the writer · ring, lanes, followers,
//! history. Deliberately absent: adapters, northbound words, JSON, configuration files.

mod admission;
mod age;
mod catalog;
mod codec;
mod core;
mod disk;
mod error;
mod filter;
mod follow;
mod footer;
mod frame;
mod freshness;
mod fuzz;
mod history;
mod hold;
mod job;
mod lanes;
mod links;
mod log;
mod maintenance;
mod merge;
mod options;
mod ranges;
mod reader;
mod record;
mod recovery;
mod retention;
mod ring;
mod segment;
mod shared;
mod snapshot;
mod statistics;
mod store;
mod thin;
mod thinning;
#[cfg(test)]
mod trial;
mod troubles;
mod tune;
mod writer;
mod written;

pub use disk::{Directory, Disk, File};
pub use error::{OpenError, ReadError};
pub use filter::LinkOptions;
pub use follow::Follower;
pub use frame::{Class, Frame, Kind};
pub use freshness::{Fresh, Freshness};
pub use fuzz::fuzz_one;
pub use history::{Effort, History, Query};
pub use lanes::{LaneId, Lanes, Limit, Resume, Want};
pub use options::{Budget, Options};
pub use record::reported::{Entries, EntryView, ReportedView};
pub use record::value::{Nested, ValueRef};
pub use recovery::Recovery;
pub use segment::{FORMAT, Family};
pub use statistics::{Counters, LaneStatistics, Statistics};
pub use store::{Opened, Store, open};
pub use troubles::{Part, Trouble};
pub use writer::Writer;
