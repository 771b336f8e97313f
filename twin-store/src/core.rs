//! The writer without its task: what becomes of a batch. Time passes only where it is asked of the clock.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use twin::{
    Accepted, Body, Boottime, Commit, GapCause, GatewayEvent, Handle, Moment, Origin, Outcome,
    Receipt, Refusal, Seq, Submission, Timestamp, What,
};

use crate::disk::full;
use crate::frame::{self, Class, Frame, Header, Kind};
use crate::job::SyncFile;
use crate::log::Log;
use crate::ranges::Ranges;
use crate::retention::Dropped;
use crate::segment::{Family, Segment};
use crate::shared::{Inner, Shared};
use crate::troubles::Part;
use crate::written::{encode, readable};

/// The longest body of one commit; more is refused.
const LONGEST_BODY: usize = 16 << 20;
/// So many separate losses are told apart; beyond that the nearest become one.
const LOSSES: usize = 256;

/// The one writer.
pub(crate) struct Core {
    pub(crate) shared: Arc<Shared>,
    pub(crate) log: Log,
    /// Samples of the current batch, as frames.
    batch: Vec<u8>,
    first: Seq,
    /// Receipts in the order of what they wait for.
    pub(crate) waiting: Vec<(Seq, Receipt, Accepted)>,
    /// Files that failed and whose unsynced part is not in another segment yet.
    pub(crate) rescues: Vec<SyncFile>,
    /// Commits that are on no disk: samples that only memory has, records that were refused.
    pub(crate) lost: Ranges,
    /// From this commit on memory alone may have samples, and no record says so yet.
    pub(crate) memory_from: Option<Seq>,
    /// Since this boottime on the wall clock may say again what is too old.
    pub(crate) ages_count_from: Option<i64>,
    /// Since when something is not durable.
    pub(crate) unsynced_since: Option<Boottime>,
    /// Bytes of log since the last snapshot.
    pub(crate) unsnapshotted: u64,
    /// Files to be removed; what goes with them is on record. They stay here until they are gone.
    pub(crate) removing: Vec<String>,
    /// Some of them could not be removed: no further attempt before the next tick.
    pub(crate) removal_failed: bool,
    /// Segments that retention dropped and that no record tells of yet: their files stay until one does.
    pub(crate) dropped: Vec<Dropped>,
    /// The disk had no room for a write.
    pub(crate) crowded: bool,
    /// Samples to be thinned next.
    pub(crate) thin_due: Option<Arc<Segment>>,
    /// A thinning is under way.
    pub(crate) thinning: bool,
    /// The last thinning found no room: something has to be dropped first.
    pub(crate) too_full_to_thin: bool,
    /// How often thinning a segment of samples came to nothing; so often that it is not tried again where it would make
    /// nothing smaller, or cannot read.
    pub(crate) spent: BTreeMap<u64, u8>,
    /// Positions are not written before this commit is durable: lanes that have moved past what went, or into what came
    /// in its place, must not be found there after a crash that undid it.
    pub(crate) positions_wait: Seq,
    /// Records of positions that are not durable yet.
    pub(crate) unsettled_positions: Vec<Seq>,
    /// Snapshots on disk, oldest first.
    pub(crate) snapshots: Vec<Seq>,
    pub(crate) snapshot_due: bool,
    pub(crate) snapshot_failed: bool,
    /// The disk failed: it is not asked again before the next tick unless somebody waits.
    pub(crate) wait_for_tick: bool,
    /// Until the next tick a disk that refused is not asked again.
    pub(crate) sulking: [bool; 3],
    visible: bool,
}

/// What became of a submission.
pub(crate) type Answer = Result<Accepted, Refusal>;

impl Core {
    pub(crate) fn new(shared: Arc<Shared>, log: Log, snapshots: Vec<Seq>) -> Self {
        Self {
            shared,
            log,
            batch: Vec::new(),
            first: Seq(0),
            waiting: Vec::new(),
            rescues: Vec::new(),
            lost: Ranges::default(),
            memory_from: None,
            ages_count_from: None,
            unsynced_since: None,
            unsnapshotted: 0,
            removing: Vec::new(),
            removal_failed: false,
            dropped: Vec::new(),
            crowded: false,
            thin_due: None,
            thinning: false,
            too_full_to_thin: false,
            spent: BTreeMap::new(),
            positions_wait: Seq(0),
            unsettled_positions: Vec::new(),
            snapshots,
            snapshot_due: false,
            snapshot_failed: false,
            wait_for_tick: false,
            sulking: [false; 3],
            visible: false,
        }
    }

    pub(crate) fn now(&self) -> Moment {
        let clock = &self.shared.clock;
        Moment {
            boottime: Boottime(clock.boottime()),
            boot: twin::BootId(clock.boot()),
            utc: clock.utc().map(Timestamp),
        }
    }

    /// Takes a batch in: everything that it becomes is written before anybody sees any of it.
    pub(crate) fn accept(&mut self, batch: &mut Vec<Submission>) {
        let shared = self.shared.clone();
        let now = self.now();
        let mut inner = shared.lock();
        for submission in batch.drain(..) {
            self.one(&mut inner, submission, now);
        }
        self.write_samples(&mut inner);
        self.tell_dropped(&mut inner);
        self.publish(&inner);
    }

    /// Wakes whoever waits for commits, where there are any that somebody may want to see.
    pub(crate) fn publish(&mut self, inner: &Inner) {
        if std::mem::take(&mut self.visible) {
            self.shared.head.send_replace(inner.head.0);
        }
    }

    fn one(&mut self, inner: &mut Inner, submission: Submission, now: Moment) {
        let Submission { input, receipt } = submission;
        let answer = self.input(inner, input, now);
        if answer.is_err() {
            inner.counters.refused += 1;
        }
        match (receipt, answer) {
            (Some(receipt), Ok(accepted)) => self.waiting.push((inner.head, receipt, accepted)),
            (Some(receipt), Err(refusal)) => receipt.tell(Err(refusal)),
            (None, Err(refusal)) => tracing::warn!("a change was refused: {refusal:?}"),
            (None, Ok(_)) => {}
        }
    }

    /// A change of a twin that the model allows.
    pub(crate) fn change(
        &mut self,
        inner: &mut Inner,
        (handle, twin): (Handle, twin::TwinId),
        origin: Origin,
        what: What,
        now: Moment,
    ) -> Answer {
        let sample = matches!(
            what,
            What::Reported(_)
                | What::Backfilled(_)
                | What::Thinned(_)
                | What::Heartbeat(_)
                | What::Entangled(_)
        );
        let body = Body::Twin { handle, twin, origin, what };
        if sample {
            return self.sample(inner, body, now).map(accepted);
        }
        self.record(inner, body, now).map(accepted)
    }

    /// Appends a sample to the batch. It is applied at once: what an asset said is true, whatever the disk does.
    fn sample(&mut self, inner: &mut Inner, body: Body, now: Moment) -> Result<Seq, Refusal> {
        let commit = next(&self.shared, inner, body, now);
        let before = self.batch.len();
        encode(&mut self.batch, &inner.state, &commit);
        if self.batch.len() - before > LONGEST_BODY {
            self.batch.truncate(before);
            return Err(Refusal::Invalid("it is longer than 16 MiB".into()));
        }
        if before == 0 {
            self.first = commit.seq;
        }
        inner.head = commit.seq;
        inner.state.apply(&commit);
        Ok(commit.seq)
    }

    /// Writes what is not a sample, and applies it only if that worked: a record that is not written did not happen.
    pub(crate) fn record(
        &mut self,
        inner: &mut Inner,
        body: Body,
        now: Moment,
    ) -> Result<Seq, Refusal> {
        self.write_samples(inner);
        let commit = next(&self.shared, inner, body, now);
        let mut bytes = std::mem::take(&mut self.batch);
        encode(&mut bytes, &inner.state, &commit);
        let written = if readable(&bytes, &inner.state) {
            self.write_record(inner, commit.seq, &mut bytes, Family::Records)
        } else {
            Err(Refusal::Invalid("it is too long or too deeply nested to be kept".into()))
        };
        bytes.clear();
        self.batch = bytes;
        written?;
        inner.state.apply(&commit);
        Ok(commit.seq)
    }

    /// Writes one frame that is no sample. Its sequence number is used up even where that fails.
    pub(crate) fn write_record(
        &mut self,
        inner: &mut Inner,
        seq: Seq,
        bytes: &mut [u8],
        family: Family,
    ) -> Result<(), Refusal> {
        if bytes.len() > LONGEST_BODY {
            return Err(Refusal::Invalid("it is longer than 16 MiB".into()));
        }
        let storage = |words: String| Refusal::Storage(words.into());
        if self.sulking[family.at()] {
            inner.counters.unrecorded += 1;
            return Err(storage("the disk takes no more records".into()));
        }
        inner.head = seq;
        if let Err(error) = self.append(inner, family, seq, bytes) {
            inner.troubles.begin(Part::Records, &error, self.shared.clock.boottime());
            self.sulking[family.at()] = true;
            inner.counters.read_only = true;
            inner.counters.unrecorded += 1;
            self.lose(seq, seq);
            return Err(storage(format!("it cannot be written into the log: {error}")));
        }
        inner.counters.read_only = false;
        inner.troubles.over(Part::Records);
        self.show(inner, bytes);
        Ok(())
    }

    /// Writes the samples of the batch with one write.
    pub(crate) fn write_samples(&mut self, inner: &mut Inner) {
        if self.batch.is_empty() {
            return;
        }
        let mut batch = std::mem::take(&mut self.batch);
        let first = self.first;
        let written = if self.sulking[Family::Samples.at()] {
            Err(std::io::Error::from(std::io::ErrorKind::StorageFull))
        } else {
            self.append(inner, Family::Samples, first, &mut batch)
        };
        if let Err(error) = written {
            self.sulking[Family::Samples.at()] = true;
            if !std::mem::replace(&mut inner.counters.full, true) {
                self.memory_from = Some(first);
            }
            inner.troubles.begin(Part::Samples, &error, self.shared.clock.boottime());
            inner.counters.memory_only += 1;
            self.lose(first, inner.head);
            self.refuse_from(first);
        }
        self.show(inner, &batch);
        batch.clear();
        // One batch of a bad hour must not hold its memory for ever.
        batch.shrink_to(1 << 20);
        self.batch = batch;
    }

    /// Tells those who wait for a commit from `first` on that memory alone has it.
    fn refuse_from(&mut self, first: Seq) {
        for (seq, receipt, accepted) in std::mem::take(&mut self.waiting) {
            if seq < first {
                self.waiting.push((seq, receipt, accepted));
            } else {
                receipt.tell(Err(Refusal::Storage("the disk takes no more samples".into())));
            }
        }
    }

    fn lose(&mut self, first: Seq, last: Seq) {
        self.lost.add(first, last);
        self.lost.limit(LOSSES);
    }

    fn append(
        &mut self,
        inner: &mut Inner,
        family: Family,
        first: Seq,
        bytes: &mut [u8],
    ) -> std::io::Result<()> {
        let wrote = self.log.append(&mut inner.catalog, family, first, bytes);
        self.crowded |= wrote.as_ref().is_err_and(full);
        wrote?;
        inner.counters.writes += 1;
        inner.counters.bytes += bytes.len() as u64;
        self.unsnapshotted += bytes.len() as u64;
        let now = self.shared.clock.boottime();
        self.unsynced_since.get_or_insert(Boottime(now));
        Ok(())
    }

    /// Puts frames where readers find them.
    fn show(&mut self, inner: &mut Inner, bytes: &[u8]) {
        let shared = Bytes::copy_from_slice(bytes);
        let mut at = 0;
        while let Some(header) = bytes.get(at..).and_then(Header::take) {
            let whole = shared.slice(at..(at + header.frame_len()).min(shared.len()));
            if let Some(frame) = Frame::of(&header, self.shared.epoch, &whole) {
                self.visible |= frame.kind.shown();
                inner.ring.push(frame);
            }
            inner.counters.commits += 1;
            at += header.frame_len();
        }
    }

    /// Something happens to the gateway.
    pub(crate) fn gateway(
        &mut self,
        inner: &mut Inner,
        event: GatewayEvent,
        now: Moment,
    ) -> Result<Seq, Refusal> {
        let known = inner.state.timeline().spans().last().and_then(|span| span.offset);
        if let GatewayEvent::ClockSet { offset } = &event {
            match known {
                Some(known) => self.clock_moved(offset.saturating_sub(known)),
                None => self.look_at_clock(inner),
            }
        }
        self.record(inner, Body::Gateway(event), now)
    }

    /// The first records of an epoch, with one write: a daemon that dies here has said all of it or nothing.
    pub(crate) fn begin_epoch(
        &mut self,
        inner: &mut Inner,
        events: &[GatewayEvent],
    ) -> Result<(), Refusal> {
        let now = self.now();
        let mut bytes = Vec::new();
        let mut commits = Vec::new();
        let first = inner.head.next();
        for (seq, event) in (first.0..).map(Seq).zip(events) {
            let body = Body::Gateway(event.clone());
            let commit = Commit { seq, epoch: self.shared.epoch, at: now.boottime, body };
            encode(&mut bytes, &inner.state, &commit);
            commits.push(commit);
        }
        self.write_record(inner, first, &mut bytes, Family::Records)?;
        for commit in &commits {
            inner.head = commit.seq;
            inner.state.apply(commit);
        }
        Ok(())
    }

    /// Says that commits are gone; where that is not written, it has to be said again.
    #[must_use]
    pub(crate) fn gap(
        &mut self,
        inner: &mut Inner,
        (first, last): (Seq, Seq),
        cause: GapCause,
    ) -> bool {
        let now = self.now();
        let said = self.gateway(inner, GatewayEvent::Gap { first, last, cause }, now).is_ok();
        if !said {
            tracing::warn!("cannot record yet that commits {} to {} are gone", first.0, last.0);
        }
        said
    }

    /// Logs the positions of lanes that moved, all in one record.
    pub(crate) fn write_positions(&mut self, inner: &mut Inner, all: bool) {
        let head = inner.head;
        inner.links.links.values_mut().for_each(|link| link.omit(head));
        let dirty = inner.links.links.iter().filter(|(_, link)| all || link.dirty);
        let mut bytes = Vec::new();
        let seq = inner.head.next();
        let start = frame::begin(&mut bytes, seq, self.now().boottime, Handle(0));
        crate::links::put(&mut bytes, dirty.clone());
        crate::links::put_notes(&mut bytes, dirty);
        frame::finish(&mut bytes, start, Kind::Positions, Class::Record);
        if self.write_record(inner, seq, &mut bytes, Family::Records).is_ok() {
            for link in inner.links.links.values_mut().filter(|link| all || link.dirty) {
                link.dirty = false;
                link.wrote(seq);
            }
            self.unsettled_positions.push(seq);
        }
    }
}

/// The commit that `body` becomes.
fn next(shared: &Shared, inner: &Inner, body: Body, now: Moment) -> Commit {
    Commit { seq: inner.head.next(), epoch: shared.epoch, at: now.boottime, body }
}

/// A commit that was made.
pub(crate) fn accepted(seq: Seq) -> Accepted {
    Accepted { seq, known: None, refused: None }
}

/// A command that was refused, which is now on record.
pub(crate) fn refused(seq: Seq, outcome: Outcome) -> Accepted {
    Accepted { seq, known: None, refused: Some(outcome) }
}
