//! What the writer and all readers share: one lock, held briefly, and one signal.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::Clock;
use tokio::sync::watch;
use twin::{Seq, State};

use crate::catalog::Catalog;
use crate::disk::Disk;
use crate::freshness::Freshness;
use crate::links::Links;
use crate::options::Options;
use crate::ring::Ring;
use crate::statistics::Counters;
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
    pub(crate) counters: Counters,
    /// Stretches that a reader could not read; the writer records them.
    pub(crate) damage: Vec<(Seq, Seq)>,
    /// All such stretches, so that each is recorded once.
    pub(crate) known_damage: BTreeSet<(Seq, Seq)>,
}

impl Inner {
    /// A reader could not read this stretch.
    pub(crate) fn damaged(&mut self, first: Seq, last: Seq) {
        if first <= last && self.known_damage.insert((first, last)) {
            self.damage.push((first, last));
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
