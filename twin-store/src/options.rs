//! What an operator may choose about the store.

use std::time::Duration;

use twin::Name;

use crate::segment::Family;

/// What an operator may choose. Nothing here deletes or renames a store.
#[derive(Debug, Clone)]
pub struct Options {
    /// The gateway's name: with epoch and sequence number it names every commit for ever.
    pub gateway: Name,
    /// Samples are made durable this often; 0 = each batch. What a power cut may take.
    pub flush: Duration,
    /// While little is written and every lane has passed, this seldom.
    pub stretch: Duration,
    /// For readings.
    pub samples: Budget,
    /// Readings that are over their budget become envelopes of this interval before any are dropped; 0 = never.
    pub thin: Duration,
    /// Readings older than this become envelopes though there is room.
    pub thin_age: Option<Duration>,
    /// For everything else that happens.
    pub records: Budget,
    /// For what applications keep.
    pub application: Budget,
    /// Bytes of the newest commits that stay in memory.
    pub ring: usize,
    /// A snapshot of the state is taken after this many bytes of log.
    pub snapshot: u64,
    /// A heartbeat per twin is logged this often.
    pub heartbeat: Duration,
}

/// How much of a family is kept.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Bytes of all segments together.
    pub bytes: u64,
    /// Commits older than this go; `None` = only the size decides.
    pub age: Option<Duration>,
    /// Bytes of one segment.
    pub segment: u64,
}

impl Options {
    /// What is right for a small gateway: 256 MiB of readings, 64 MiB of records, 4 MiB of memory, a second of loss.
    #[must_use]
    pub fn new(gateway: Name) -> Self {
        let budget = |megabytes: u64, segment: u64| Budget {
            bytes: megabytes << 20,
            age: None,
            segment: segment << 20,
        };
        Self {
            gateway,
            flush: Duration::from_secs(1),
            stretch: Duration::from_secs(10),
            samples: budget(256, 4),
            thin: Duration::from_secs(60),
            thin_age: None,
            records: budget(64, 1),
            application: budget(64, 1),
            ring: 4 << 20,
            snapshot: 8 << 20,
            heartbeat: Duration::from_secs(60),
        }
    }

    pub(crate) fn budget(&self, family: Family) -> Budget {
        match family {
            Family::Samples => self.samples,
            Family::Records => self.records,
            Family::Application => self.application,
        }
    }
}
