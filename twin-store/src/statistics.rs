//! What the store can say of itself, for metrics and `links`.

use twin::{Name, Seq};

use crate::frame::Class;
use crate::segment::Family;
use crate::troubles::Trouble;

/// How the store does.
#[derive(Debug, Clone)]
pub struct Statistics {
    /// The last commit.
    pub head: Seq,
    /// The last commit that is durable.
    pub durable: Seq,
    /// The epoch.
    pub epoch: u32,
    /// Sums since the store was opened.
    pub counters: Counters,
    /// What stands between the store and its disk.
    pub troubles: Vec<Trouble>,
    /// Bytes on disk and number of segments, per family.
    pub families: [(Family, u64, usize); 3],
    /// Commits and bytes in memory.
    pub ring: (usize, usize),
    /// Every link's lanes.
    pub lanes: Vec<LaneStatistics>,
}

/// Sums since the store was opened, and standing alarms.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    /// Commits written.
    pub commits: u64,
    /// Acquisitions that changed nothing.
    pub unchanged: u64,
    /// Bytes written into segments.
    pub bytes: u64,
    /// Writes of batches and records.
    pub writes: u64,
    /// Calls of fsync and fdatasync.
    pub syncs: u64,
    /// Calls of them that failed.
    pub sync_failures: u64,
    /// Microseconds that the last round of disk work took.
    pub last_sync_micros: u64,
    /// Submissions refused.
    pub refused: u64,
    /// Transitions among them: somebody was mistaken about where a twin stood.
    pub refused_transitions: u64,
    /// Submissions refused because they could not be recorded.
    pub unrecorded: u64,
    /// Samples that are in memory only, because the disk takes no more.
    pub memory_only: u64,
    /// Snapshots taken.
    pub snapshots: u64,
    /// The last commit that a snapshot on disk holds.
    pub snapshot: Seq,
    /// Segments of samples that became segments of envelopes.
    pub thinned_segments: u64,
    /// Segments dropped by retention.
    pub dropped_segments: u64,
    /// Standing: the disk takes no more samples.
    pub full: bool,
    /// Standing: records cannot be written.
    pub read_only: bool,
    /// Standing: so many segments cannot be opened or read now.
    pub unreadable: usize,
    pub(crate) durable: Seq,
}

/// Where one lane stands.
#[derive(Debug, Clone)]
pub struct LaneStatistics {
    /// Of this link.
    pub link: Name,
    /// Of this class.
    pub class: Class,
    /// Its number.
    pub number: u32,
    /// It is a backlog.
    pub historical: bool,
    /// The lowest commit that is not settled.
    pub next: Seq,
    /// The last commit of a backlog; the head for a live lane.
    pub end: Seq,
    /// Commits handed out and not settled.
    pub inflight: usize,
    /// Commits of the link's classes that may lie in the range, at most.
    pub pending: u64,
    /// Somebody serves the link.
    pub attached: bool,
}
