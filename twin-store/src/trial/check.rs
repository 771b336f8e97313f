//! After a crash: was a promise broken?

use std::collections::{BTreeMap, BTreeSet};

use twin::{Body, GatewayEvent, Seq, State};

use super::model::{Life, TWINS};
use crate::frame::{Class, Frame};
use crate::lanes::Resume;
use crate::merge::Merge;

/// What is expected of a life that begins after a crash.
pub(super) struct Expected {
    /// What users saw before the crash, by epoch and sequence number.
    frames: BTreeMap<(u32, Seq), Frame>,
    /// Everything up to here was told to be durable.
    durable: Seq,
    settled: BTreeSet<(Class, u32, Seq)>,
    state: State,
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
        let state = seen.states.iter().rev().find(|(at, _)| *at <= ops);
        Self {
            frames,
            durable: told.max(durable).unwrap_or(Seq(0)),
            settled,
            state: state.map(|(_, s)| s.clone()).unwrap_or_default(),
            epoch: life.recovery.epoch,
        }
    }

    /// Checks every promise against what recovered. `complete`: nothing unsynced was lost.
    pub(super) fn check(&self, life: &mut Life, resume: &Resume, complete: bool) {
        let log = read_all(life);
        let gaps = gaps(life, &log);
        let gone = |seq: Seq| gaps.iter().any(|(a, b)| *a <= seq && seq <= *b);
        let ends = ends(life, &log);
        let surviving = life.recovery.surviving;
        assert!(life.recovery.epoch > self.epoch, "an epoch is never used twice");
        let head = log.keys().next_back().copied().unwrap_or(Seq(0));
        assert!(head > surviving, "the sequence goes on behind the survivors");
        for ((epoch, seq), frame) in &self.frames {
            let found = log.get(seq).filter(|f| f.epoch == *epoch);
            if let Some(found) = found {
                assert_eq!((found.kind, &found.payload), (frame.kind, &frame.payload), "{seq:?}");
            }
            if *seq <= self.durable || complete {
                assert!(found.is_some(), "{seq:?} was told to be durable and is gone");
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
        let mut folded = State::default();
        for frame in log.values() {
            match frame.commit(&folded) {
                Some(commit) => folded.apply(&commit),
                None => folded.reserve(frame.handle),
            }
        }
        assert_eq!(folded, state, "state == fold(log)");
        if complete && life.recovery.gaps.is_empty() {
            for twin in TWINS {
                let id = twin.parse().unwrap();
                assert_eq!(self.state.twin(&id), state.twin(&id), "as it was before");
            }
        }
    }

    fn check_lanes(&self, life: &mut Life, resume: &Resume, log: &BTreeMap<Seq, Frame>) {
        assert!(!resume.first, "the link is remembered");
        let before = life.recovery.surviving;
        let drained = life.drain();
        let mut delivered = BTreeSet::new();
        for ((class, number), seqs) in &drained {
            assert!(seqs.is_sorted(), "lane {class:?} {number} is not in order: {seqs:?}");
            delivered.extend(seqs.iter().map(|seq| (*class, *seq)));
        }
        for frame in log.values().filter(|f| f.kind.carried_by_lanes() && f.seq <= before) {
            // What was before the link needs not be delivered to it.
            let known = self.frames.contains_key(&(frame.epoch, frame.seq));
            let due = known && frame.seq > self.begun();
            let done = self.settled.contains(&(frame.class, frame.epoch, frame.seq));
            let handed = delivered.contains(&(frame.class, frame.seq));
            assert!(!due || done || handed, "{:?} was skipped by its lane", frame.seq);
        }
    }

    /// The last commit before the link began: it begins with the first life, behind the first record.
    fn begun(&self) -> Seq {
        Seq(1)
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
    let state = life.store.read(Clone::clone);
    let commits = log.values().filter_map(|f| f.commit(&state));
    commits
        .filter_map(|commit| match commit.body {
            Body::Gateway(GatewayEvent::Gap { first, last, .. }) => Some((first, last)),
            _ => None,
        })
        .collect()
}
