//! After a crash: was a promise broken?

use std::collections::{BTreeMap, BTreeSet};

use twin::{Body, Envelope, GapCause, GatewayEvent, Seq, State, What};

use super::model::{Life, TWINS};
use crate::frame::{Class, Frame, Kind};
use crate::lanes::Resume;
use crate::merge::Merge;
use crate::snapshot;

/// What is expected of a life that begins after a crash.
pub(super) struct Expected {
    /// What users saw before the crash, by epoch and sequence number.
    frames: BTreeMap<(u32, Seq), Frame>,
    /// Everything up to here was told to be durable.
    durable: Seq,
    settled: BTreeSet<(Class, u32, Seq)>,
    /// What only memory had, on a disk that took no more.
    lost: Vec<(Seq, Seq)>,
    /// The state as it was last seen, and as it was seen next: the disk may be in between.
    states: Vec<State>,
    epoch: u32,
}

impl Expected {
    /// What a life had shown when this many disk operations were done; `before` is what it had begun with.
    pub(super) fn of(life: &Life, before: Option<&Self>, ops: usize) -> Self {
        let seen = &life.seen;
        let told = seen.told.lock().unwrap();
        let told = told.iter().filter(|(at, _)| *at <= ops).map(|(_, seq)| *seq).max();
        let durable = seen.durable.iter().filter(|(at, _)| *at <= ops).map(|(_, seq)| *seq).max();
        let mut frames = before.map(|b| b.frames.clone()).unwrap_or_default();
        // Commits of the life before that did not survive are nobody's any more.
        frames.retain(|_, f| f.seq <= life.recovery.surviving);
        let shown = seen.frames.iter().filter(|(at, _)| *at <= ops);
        frames.extend(shown.map(|(_, f)| ((f.epoch, f.seq), f.clone())));
        let mut settled = before.map(|b| b.settled.clone()).unwrap_or_default();
        let acknowledged = seen.settled.iter().filter(|(at, ..)| *at <= ops);
        settled.extend(acknowledged.map(|(_, class, epoch, seq)| (*class, *epoch, *seq)));
        let next = seen.states.partition_point(|(at, _)| *at <= ops);
        let around = seen.states.get(next.saturating_sub(1)..).unwrap_or_default();
        Self {
            frames,
            durable: told.max(durable).unwrap_or(Seq(0)),
            settled,
            lost: seen.lost.clone(),
            states: around.iter().take(2).map(|(_, state)| state.clone()).collect(),
            epoch: life.recovery.epoch,
        }
    }

    /// The same where what was durable may be given up, if that is said.
    pub(super) fn given_up(self) -> Self {
        Self { durable: Seq(0), ..self }
    }

    /// Checks every promise against what recovered. `complete`: nothing unsynced was lost.
    pub(super) fn check(&self, life: &mut Life, resume: &Resume, complete: bool) {
        let log = read_all(life);
        let gaps = gaps(life, &log);
        let gone = |seq: Seq| gaps.iter().any(|(a, b)| *a <= seq && seq <= *b);
        let reduced = |cause| matches!(cause, GapCause::Retention | GapCause::Thinned);
        let given_up = ranges(life, &log, reduced);
        let given_up = |frame: &Frame| {
            let within = |(a, b): &(Seq, Seq)| *a <= frame.seq && frame.seq <= *b;
            frame.class == Class::Sample && given_up.iter().chain(&self.lost).any(within)
        };
        let ends = ends(life, &log);
        let surviving = life.recovery.surviving;
        assert!(life.recovery.epoch > self.epoch, "an epoch is never used twice");
        let head = log.keys().next_back().copied().unwrap_or(Seq(0));
        assert!(head > surviving, "the sequence goes on behind the survivors");
        for ((epoch, seq), frame) in &self.frames {
            let found = log.get(seq).filter(|f| f.epoch == *epoch);
            // An envelope takes the place of the last sample that it stands for.
            if let Some(found) = found.filter(|f| f.kind != Kind::Thinned) {
                assert_eq!((found.kind, &found.payload), (frame.kind, &frame.payload), "{seq:?}");
            }
            if *seq <= self.durable || complete {
                let kept = found.is_some() || given_up(frame);
                assert!(kept, "{seq:?} was told to be durable and is gone");
            }
            // The next epoch's first record says where this one ended.
            let ended = ends.iter().find(|(next, _)| next > epoch).map(|(_, last)| *last);
            let said = found.is_some() || gone(*seq) || ended.is_some_and(|last| *seq > last);
            assert!(said, "{seq:?} is gone and no gap says so");
        }
        let lost = |(epoch, seq): &(u32, Seq)| log.get(seq).is_none_or(|f| f.epoch != *epoch);
        if !complete && self.frames.keys().any(lost) {
            assert!(!gaps.is_empty(), "commits after the survivors are gone and nobody says so");
        }
        self.check_state(life, &log, complete);
        self.check_lanes(life, resume, &log);
    }

    fn check_state(&self, life: &Life, log: &BTreeMap<Seq, Frame>, complete: bool) {
        let state = life.store.read(Clone::clone);
        let (after, mut folded) = base(life);
        for frame in log.values().filter(|frame| frame.seq > after) {
            match frame.commit(&folded) {
                Some(commit) => folded.apply(&commit),
                None => folded.reserve(frame.handle),
            }
        }
        assert_eq!(folded, state, "state == fold(snapshot + log after it)");
        if complete && life.recovery.gaps.is_empty() && self.lost.is_empty() {
            for twin in TWINS {
                let id = twin.parse().unwrap();
                let now = state.twin(&id);
                let as_before = self.states.iter().any(|before| before.twin(&id) == now);
                assert!(as_before, "{twin} is not as it was before");
            }
        }
    }

    fn check_lanes(&self, life: &mut Life, resume: &Resume, log: &BTreeMap<Seq, Frame>) {
        assert!(!resume.first, "the link is remembered");
        check_envelopes(life, log);
        let before = life.recovery.surviving;
        let dropped = ranges(life, log, |cause| cause == GapCause::Retention);
        let drained = life.drain();
        let mut delivered = BTreeSet::new();
        for ((class, number), seqs) in &drained {
            assert!(seqs.is_sorted(), "lane {class:?} {number} is not in order: {seqs:?}");
            delivered.extend(seqs.iter().map(|seq| (*class, *seq)));
        }
        let done = |frame: &Frame| self.settled.contains(&(frame.class, frame.epoch, frame.seq));
        for frame in log.values().filter(|f| f.kind.carried_by_lanes() && f.seq <= before) {
            // What was before the link needs not be delivered to it.
            let known = self.frames.contains_key(&(frame.epoch, frame.seq));
            let due = known && frame.seq > self.begun();
            // Dropped and told, though the power went before the file did.
            let told = dropped.iter().any(|(a, b)| *a <= frame.seq && frame.seq <= *b);
            let due = due && !(told && frame.class == Class::Sample);
            let handed = delivered.contains(&(frame.class, frame.seq));
            assert!(!due || done(frame) || handed, "{:?} was skipped by its lane", frame.seq);
        }
        for (frame, summary) in log.values().filter_map(|f| Some((f, envelope(life, f)?))) {
            let within = |f: &&Frame| {
                let inside = summary.first <= f.seq && f.seq <= summary.last;
                f.kind == Kind::Reported && f.handle == frame.handle && inside
            };
            let samples: Vec<&Frame> = self.frames.values().filter(within).collect();
            let told = dropped.iter().any(|(a, b)| *a <= frame.seq && frame.seq <= *b);
            let handed = delivered.contains(&(Class::Sample, frame.seq));
            let all = samples.iter().all(|f| done(f)) || done(frame);
            assert!(told || handed || all, "samples of {summary:?} were skipped");
        }
    }

    /// The last commit before the link began: it begins with the first life, behind the first record.
    fn begun(&self) -> Seq {
        Seq(1)
    }
}

/// No two envelopes of a twin stand for one sample, and none for one that is still there.
fn check_envelopes(life: &Life, log: &BTreeMap<Seq, Frame>) {
    let mut ends: BTreeMap<twin::Handle, Seq> = BTreeMap::new();
    for frame in log.values().filter(|f| f.class == Class::Sample) {
        let envelope = envelope(life, frame);
        let first = envelope.as_ref().map_or(frame.seq, |e| e.first);
        if frame.kind != Kind::Heartbeat {
            let end = ends.insert(frame.handle, frame.seq).unwrap_or_default();
            assert!(first > end, "{first:?} to {:?} overlaps {end:?}", frame.seq);
        }
    }
}

/// No lane stood within an envelope when it took the place of its samples, in memory or on disk.
pub(super) fn check_exchange(life: &Life) {
    let log = read_all(life);
    let told = ranges(life, &log, |cause| cause == GapCause::Thinned);
    let (first, last) = told.last().copied().unwrap();
    let marks = life.core.shared.lock().links.marks();
    for e in log.range(first..=last).filter_map(|(_, frame)| envelope(life, frame)) {
        let within = marks.range(e.first.next()..=e.last).next();
        assert_eq!(within, None, "a lane stands within {e:?}");
    }
}

/// The envelope that a frame is.
pub(super) fn envelope(life: &Life, frame: &Frame) -> Option<Envelope> {
    let commit = life.store.read(|state| frame.commit(state));
    match commit.map(|commit| commit.body) {
        Some(Body::Twin { what: What::Thinned(envelope), .. }) => Some(envelope),
        _ => None,
    }
}

/// Every commit on disk.
pub(super) fn read_all(life: &Life) -> BTreeMap<Seq, Frame> {
    let mut reader = Merge::new(Seq(0));
    let mut log = BTreeMap::new();
    while let Some(frame) = reader.next(&life.core.shared, Seq(0), &|_| true).unwrap() {
        if frame.kind.shown() {
            let before = log.insert(frame.seq, frame);
            assert!(before.is_none(), "a commit is read twice");
        }
    }
    log
}

/// The epochs that the log knows, each with the last commit that survived before it.
fn ends(life: &Life, log: &BTreeMap<Seq, Frame>) -> Vec<(u32, Seq)> {
    let state = life.store.read(Clone::clone);
    let commits = log.values().filter_map(|f| f.commit(&state));
    commits
        .filter_map(|commit| match commit.body {
            Body::Gateway(GatewayEvent::Opened { epoch, surviving, .. }) => {
                Some((epoch, surviving))
            }
            _ => None,
        })
        .collect()
}

/// The stretches that the log says are gone.
pub(super) fn gaps(life: &Life, log: &BTreeMap<Seq, Frame>) -> Vec<(Seq, Seq)> {
    ranges(life, log, |_| true)
}

/// The stretches that the log says are gone, for one of these causes.
pub(super) fn ranges(
    life: &Life,
    log: &BTreeMap<Seq, Frame>,
    wanted: impl Fn(GapCause) -> bool,
) -> Vec<(Seq, Seq)> {
    let state = life.store.read(Clone::clone);
    let commits = log.values().filter_map(|f| f.commit(&state));
    commits
        .filter_map(|commit| match commit.body {
            Body::Gateway(GatewayEvent::Gap { first, last, cause }) if wanted(cause) => {
                Some((first, last))
            }
            _ => None,
        })
        .collect()
}

/// What the life was built on: the log up to here is in this state.
fn base(life: &Life) -> (Seq, State) {
    let seq = life.recovery.snapshot;
    let name = snapshot::file_name(seq);
    let disk = &life.core.shared.disk;
    match disk.open(&name) {
        Ok(file) => {
            let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
            file.read_at(0, &mut bytes).unwrap();
            (seq, snapshot::decode(&bytes).unwrap().state)
        }
        Err(_) => {
            assert_eq!(seq, Seq(0), "the snapshot that the life was built on is gone");
            (seq, State::default())
        }
    }
}
