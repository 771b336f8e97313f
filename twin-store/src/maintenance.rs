//! What the writer does between batches: the clock, heartbeats, positions, gaps, and the rounds of disk work.

use std::time::Duration;

use twin::{Boottime, GapCause, GatewayEvent, Origin, Refusal, Seq, What};

use crate::core::Core;
use crate::job::{Done, Job, SnapshotFile};
use crate::segment::Family;
use crate::shared::Inner;
use crate::snapshot;
use crate::troubles::Part;

/// A wall clock that moved by less than this, in microseconds, was not set but disciplined.
const STEP: i64 = 1_000_000;
/// Fewer unsynced bytes than this are "little": the flush may wait.
const LITTLE: u64 = 16 << 10;

impl Core {
    /// What is due by time. Called at least every second while anything is going on.
    pub(crate) fn tick(&mut self) {
        let shared = self.shared.clone();
        let now = self.now();
        let mut inner = shared.lock();
        self.sulking = [false; 3];
        self.crowded |= self.log.reserve_refused();
        self.removal_failed = false;
        self.log.ask_again();
        self.snapshot_due |= std::mem::take(&mut self.snapshot_failed);
        self.wait_for_tick = false;
        self.notice_clock(&mut inner);
        let every = micros(shared.options.heartbeat);
        for (handle, counts) in inner.freshness.beat(now.boottime, every) {
            let Some(twin) = inner.state.by_handle(handle) else { continue };
            let twin = (handle, twin.id().clone());
            self.change(&mut inner, twin, Origin::Keeper, What::Heartbeat(counts), now).ok();
        }
        self.write_samples(&mut inner);
        for range in std::mem::take(&mut inner.damage) {
            if !self.gap(&mut inner, range, GapCause::Damage) {
                inner.damage.push(range);
            }
        }
        if !self.lost.is_empty() && self.takes_again(&mut inner) {
            self.tell_lost(&mut inner);
        } else if let Some(first) = self.memory_from {
            // A life that ends before the disk takes samples again could not say any more what they showed.
            let open = (first, Seq(first.0 - 1));
            if self.gap(&mut inner, open, GapCause::Full) {
                self.memory_from = None;
            }
        }
        self.retain(&mut inner);
        self.tell_dropped(&mut inner);
        self.tell_positions(&mut inner);
        self.publish(&inner);
    }

    /// Records what was lost, each stretch by itself. The alarm stands until all of it is said.
    fn tell_lost(&mut self, inner: &mut Inner) {
        let lost: Vec<_> = self.lost.iter().collect();
        for (first, last) in lost {
            // Where that fails, the gap's own number is lost as well.
            if !self.gap(inner, (first, last), GapCause::Full) {
                return;
            }
            self.lost.remove(first, last);
        }
        inner.counters.full = false;
        inner.troubles.over(Part::Samples);
        self.memory_from = None;
    }

    fn tell_positions(&mut self, inner: &mut Inner) {
        if inner.links.dirty() && self.positions_wait <= inner.counters.durable {
            self.write_positions(inner, false);
        }
    }

    /// Whether the disk takes samples again, after it did not.
    fn takes_again(&mut self, inner: &mut Inner) -> bool {
        self.log.ensure(&mut inner.catalog, Family::Samples, inner.head.next()).is_ok()
    }

    /// The wall clock was set where it no longer runs as the log says.
    fn notice_clock(&mut self, inner: &mut Inner) {
        let Some(offset) = self.shared.clock.offset() else { return };
        let known = inner.state.timeline().spans().last().and_then(|span| span.offset);
        if known.is_none_or(|known| (known - offset).abs() > STEP) {
            let now = self.now();
            self.gateway(inner, GatewayEvent::ClockSet { offset }, now).ok();
        }
    }

    /// The next round of disk work, where one is due; `force` takes whatever there is.
    pub(crate) fn begin_job(&mut self, force: bool) -> Option<Job> {
        let shared = self.shared.clone();
        let mut inner = shared.lock();
        let now = Boottime(shared.clock.boottime());
        self.snapshot_due |= self.unsnapshotted >= shared.options.snapshot;
        if std::mem::take(&mut self.crowded) && self.make_room(&mut inner) {
            self.log.ask_again();
        }
        let removal = !self.removing.is_empty() && !self.removal_failed;
        let work = removal || self.snapshot_due || self.log.spare_missing();
        if !(force || work || self.flush_due(&inner, now)) {
            return None;
        }
        self.write_samples(&mut inner);
        let mut job = self.log.job(inner.head, &inner.state);
        // A snapshot stands on a log that has everything before it.
        if self.snapshot_due && self.lost.is_empty() && self.rescues.is_empty() {
            job.snapshot = Some(snapshot_file(&mut inner, false));
            self.snapshot_due = false;
            self.unsnapshotted = 0;
        }
        job.remove.clone_from(&self.removing);
        self.unsynced_since = None;
        let idle = job.is_idle() && self.waiting.is_empty();
        (!idle).then_some(job)
    }

    fn flush_due(&self, inner: &Inner, now: Boottime) -> bool {
        if !self.waiting.is_empty() {
            return true;
        }
        let Some(since) = self.unsynced_since.filter(|_| !self.wait_for_tick) else { return false };
        let waited = now.0.saturating_sub(since.0);
        let options = &self.shared.options;
        let quiet =
            self.log.unsynced() < LITTLE && inner.links.passed(Seq(*self.shared.head.borrow()));
        let flush = options.flush;
        let patience = if quiet && !flush.is_zero() { options.stretch.max(flush) } else { flush };
        waited >= micros(patience)
    }

    /// Takes in what came of a round of disk work, and tells those who wait for it.
    pub(crate) fn finish_job(&mut self, done: Done) {
        let shared = self.shared.clone();
        let mut inner = shared.lock();
        inner.counters.syncs += done.syncs;
        let durable = done.durable();
        for (segment, end) in &done.synced {
            self.log.synced(segment, *end);
        }
        if !done.removed.is_empty() {
            // There is room now.
            self.sulking = [false; 3];
        }
        self.removing.retain(|name| !done.removed.contains(name));
        self.removal_failed = done.asked_to_remove > done.removed.len();
        for (family, prepared) in done.spares {
            self.log.spared(family, &prepared);
        }
        let at = shared.clock.boottime();
        if let Some(error) = done.dir {
            inner.troubles.begin(Part::Durability, &error, at);
            self.log.dir_failed();
            inner.counters.sync_failures += 1;
        }
        for (file, error) in done.failed {
            inner.troubles.begin(Part::Durability, &error, at);
            inner.counters.sync_failures += 1;
            self.rescues.push(file);
        }
        let rescued = self.rescue(&mut inner);
        match done.snapshot {
            Some(Ok(seq)) => self.snapshot_kept(&mut inner, seq),
            Some(Err(error)) => {
                inner.troubles.begin(Part::Snapshot, &error, at);
                self.snapshot_failed = true;
            }
            None => {}
        }
        if durable && self.rescues.is_empty() {
            inner.counters.durable = inner.counters.durable.max(done.upto);
            inner.troubles.over(Part::Durability);
        } else {
            self.unsynced_since.get_or_insert(Boottime(shared.clock.boottime()));
            self.wait_for_tick = true;
        }
        let durable_to = inner.counters.durable;
        if self.unsettled_positions.iter().any(|seq| *seq <= durable_to) {
            self.unsettled_positions.retain(|seq| *seq > durable_to);
            inner.links.links.values_mut().for_each(|link| link.kept(durable_to));
        }
        drop(inner);
        self.tell(durable_to, (!rescued).then_some(done.upto));
    }

    /// Tells those whose commits are durable; those up to `given_up` that they cannot be made so.
    fn tell(&mut self, durable: Seq, given_up: Option<Seq>) {
        for (seq, receipt, accepted) in std::mem::take(&mut self.waiting) {
            if seq <= durable {
                receipt.tell(Ok(accepted));
            } else if given_up.is_some_and(|upto| seq <= upto) {
                receipt
                    .tell(Err(Refusal::Storage("the disk does not keep what is written".into())));
            } else {
                self.waiting.push((seq, receipt, accepted));
            }
        }
    }

    /// Writes what failed files may have lost into new segments; says whether all of it worked.
    fn rescue(&mut self, inner: &mut Inner) -> bool {
        let mut failed = std::mem::take(&mut self.rescues);
        let at = self.shared.clock.boottime();
        let Inner { catalog, state, troubles, .. } = inner;
        failed.retain_mut(|file| match self.log.rescue(catalog, state, file) {
            Ok(()) => false,
            Err(error) => {
                troubles.begin(Part::Durability, &error, at);
                true
            }
        });
        self.rescues = failed;
        self.removing.extend(self.log.failed());
        self.rescues.is_empty()
    }

    fn snapshot_kept(&mut self, inner: &mut Inner, seq: Seq) {
        inner.counters.snapshots += 1;
        inner.troubles.over(Part::Snapshot);
        inner.counters.snapshot = seq;
        self.snapshots.push(seq);
        // Two are kept: the one before serves if the newest is damaged.
        while self.snapshots.len() > 2 {
            self.removing.push(snapshot::file_name(self.snapshots.remove(0)));
        }
    }

    /// The last round: everything is sealed and the state is kept, so that the next start replays nothing.
    pub(crate) fn last_job(&mut self) -> Job {
        let shared = self.shared.clone();
        let mut inner = shared.lock();
        self.write_samples(&mut inner);
        self.tell_positions(&mut inner);
        self.log.close_all();
        let mut job = self.log.job(inner.head, &inner.state);
        job.spares.clear();
        self.unsynced_since = None;
        if self.lost.is_empty() && self.rescues.is_empty() {
            job.snapshot = Some(snapshot_file(&mut inner, true));
        }
        job.remove.clone_from(&self.removing);
        job
    }

    /// Everything is durable and nobody waits.
    pub(crate) fn settled(&self) -> bool {
        self.waiting.is_empty() && self.rescues.is_empty() && self.unsynced_since.is_none()
    }

    /// A round of disk work came to nothing: what it was to make durable is written anew.
    pub(crate) fn lost_job(&mut self) {
        self.removal_failed = true;
        self.unsynced_since.get_or_insert(Boottime(self.shared.clock.boottime()));
        self.log.dir_failed();
        self.tell(Seq(0), Some(Seq(u64::MAX)));
    }

    /// The writer has ended: whoever still waits is told so.
    pub(crate) fn abandon(&mut self) {
        for (_, receipt, _) in self.waiting.drain(..) {
            receipt.tell(Err(Refusal::Stopped));
        }
    }
}

fn snapshot_file(inner: &mut Inner, clean: bool) -> SnapshotFile {
    let seq = inner.head;
    inner.links.links.values_mut().for_each(|link| link.snapped(seq));
    let floors = inner.catalog.floors;
    let known = &inner.known_damage;
    let bytes = snapshot::encode(seq, clean, &inner.state, &inner.links, floors, known);
    SnapshotFile { name: snapshot::file_name(seq), seq, bytes }
}

pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
