//! What an asset said: dense by index, with one source time per acquisition.

use crate::{CommandId, Quality, Seq, TimeBase, Value};

/// One completed acquisition of a group: one change, one atom, one message upstream.
///
/// Invariant (checked by [`crate::Twin::check`]): `entries` is sorted by index and no index occurs twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// The description revision whose indexes are used.
    pub revision: u32,
    /// The acquisition group, by its index in the description.
    pub group: u16,
    /// When the asset had these values: the request time of the group's first transaction, or the pushed time.
    pub source: TimeBase,
    /// When the asset's server handled them, where the protocol says so.
    pub server: Option<TimeBase>,
    /// The command that this reading answers.
    pub command: Option<CommandId>,
    /// The next change of this twin belongs to the same atom (several samples of one index arrived together).
    pub continued: bool,
    /// The readings.
    pub entries: Vec<Entry>,
}

/// One reading of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which point.
    pub index: u16,
    /// How far it can be trusted.
    pub quality: Quality,
    /// The value; `None` where none was had, and the state keeps the last one.
    pub value: Option<Value>,
    /// Microseconds after the change's source time.
    pub offset: i64,
}

/// What the state knows of one point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The last value had; kept when the quality falls, never invented.
    pub value: Option<Value>,
    /// How far it can be trusted now.
    pub quality: Quality,
    /// When the asset had it.
    pub source: TimeBase,
    /// When the asset's server handled it, where the protocol says so.
    pub server: Option<TimeBase>,
    /// The commit that brought it; resolves `source` through the timeline.
    pub seq: Seq,
    /// The command that it answered.
    pub command: Option<CommandId>,
}

/// Samples of one twin summarised over an interval, in place of the samples themselves.
///
/// An envelope stands for the sequence numbers `first..=last`, takes the place of `last` in the order, and its
/// identity carries `thin`, so that it is never taken for the sample that it replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The description revision whose indexes are used; an envelope never straddles two.
    pub revision: u32,
    /// The first sequence number that it stands for.
    pub first: Seq,
    /// The last sequence number that it stands for.
    pub last: Seq,
    /// How often this stretch has been thinned, from 1.
    pub thin: u8,
    /// Source time of the first sample.
    pub from: TimeBase,
    /// Source time of the last sample.
    pub until: TimeBase,
    /// One per point that had samples, sorted by index.
    pub entries: Vec<EnvelopeEntry>,
}

/// The summary of one point.
#[derive(Debug, Clone, PartialEq)]
pub struct EnvelopeEntry {
    /// Which point.
    pub index: u16,
    /// Samples that it stands for, bad ones included.
    pub count: u32,
    /// Of these, samples that were not good.
    pub not_good: u32,
    /// The last value, as a sample would have it.
    pub last: Option<Value>,
    /// Smallest, largest and mean value, where the point is a number.
    pub range: Option<(f64, f64, f64)>,
}

impl Eq for EnvelopeEntry {}
