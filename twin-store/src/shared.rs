//! What the writer and all readers share: one lock, held briefly, and one signal.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::Clock;
use tokio::sync::watch;
use twin::{Seq, State};

use crate::catalog::Catalog;
use crate::disk::Disk;
use crate::error::ReadError;
use crate::freshness::Freshness;
use crate::links::Links;
use crate::options::Options;
use crate::ranges::Ranges;
use crate::ring::Ring;
use crate::statistics::Counters;
use crate::troubles::{Part, Troubles};
use crate::tune::Tunable;

/// What writer and readers share.
pub(crate) struct Shared {
    pub(crate) options: Tunable,
    pub(crate) clock: Clock,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) epoch: u32,
    inner: Mutex<Inner>,
    /// The last commit that followers and lanes may want to see.
    pub(crate) head: watch::Sender<u64>,
}

/// What the lock guards. The writer holds it over a whole batch: nobody sees what is not written.
pub(crate) struct Inner {
    pub(crate) state: State,
    /// The last sequence number given.
    pub(crate) head: Seq,
    pub(crate) ring: Ring,
    pub(crate) catalog: Catalog,
    pub(crate) links: Links,
    pub(crate) freshness: Freshness,
    /// How long nobody ran before this opening, in microseconds; `None` where the store is new.
    pub(crate) away: Option<i64>,
    pub(crate) counters: Counters,
    /// Commits that a reader found destroyed; the writer records them.
    pub(crate) damage: Vec<(Seq, Seq)>,
    /// Holes that were looked at, and all that is known to be gone: it is recorded once.
    pub(crate) known_damage: Ranges,
    /// Segments that cannot be read just now.
    pub(crate) unreadable: BTreeSet<String>,
    pub(crate) troubles: Troubles,
}

impl Inner {
    /// A reader found a hole in a segment: of its numbers, these are there all the same.
    pub(crate) fn damaged(&mut self, (first, last): (Seq, Seq), there: &Ranges) {
        for (a, b) in there.without(first, last) {
            self.damage.extend(self.known_damage.without(a, b));
        }
        self.known_damage.add(first, last);
    }

    /// A segment cannot be opened or read now. That says nothing of what it holds.
    pub(crate) fn held_by(&mut self, error: &ReadError, now: i64) {
        self.troubles.begin(Part::Reading, &error.source, now);
        if self.unreadable.insert(error.name.clone()) {
            tracing::error!("{error}: {}", error.source);
        }
        self.counters.unreadable = self.unreadable.len();
    }

    /// A segment was read, or is gone.
    pub(crate) fn readable(&mut self, name: &str) {
        if !self.unreadable.is_empty() && self.unreadable.remove(name) {
            tracing::info!("{name} of the store can be read again");
            self.counters.unreadable = self.unreadable.len();
            if self.unreadable.is_empty() {
                self.troubles.over(Part::Reading);
            }
        }
    }
}

impl Shared {
    pub(crate) fn new(
        options: Options,
        clock: Clock,
        disk: Arc<dyn Disk>,
        epoch: u32,
        inner: Inner,
    ) -> Self {
        let head = watch::Sender::new(inner.head.0);
        let (options, inner) = (Tunable::new(options), Mutex::new(inner));
        Self { options, clock, disk, epoch, inner, head }
    }

    /// A panic of another holder leaves nothing half done that matters: commits are applied whole.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
