//! Following the log: every commit, in order, from memory where it is there and from disk where it is not.

use std::sync::Arc;

use tokio::sync::watch;
use twin::Seq;

use crate::frame::Frame;
use crate::hold::Hold;
use crate::merge::Merge;
use crate::shared::Shared;

/// At most this many commits are handed out at once.
const AT_ONCE: usize = 256;

/// One who reads every commit as it comes. What the store keeps for itself (positions) is left out.
pub struct Follower {
    shared: Arc<Shared>,
    next: Seq,
    head: watch::Receiver<u64>,
    stored: Option<Merge>,
    hold: Hold,
}

impl Follower {
    pub(crate) fn new(shared: Arc<Shared>, from: Seq) -> Self {
        let head = shared.head.subscribe();
        Self { shared, next: from, head, stored: None, hold: Hold::default() }
    }

    /// The next commit that will be handed out, or a later one.
    #[must_use]
    pub fn position(&self) -> Seq {
        self.next
    }

    /// The commits that have come since the last call; waits until there are some. Empty once the store is gone.
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Vec<Frame> {
        loop {
            self.head.borrow_and_update();
            let ready = self.ready();
            if !ready.is_empty() {
                return ready;
            }
            let held = self.hold.left(&self.shared.clock);
            tokio::select! {
                changed = self.head.changed() => {
                    if changed.is_err() {
                        return ready;
                    }
                }
                () = tokio::time::sleep(held.unwrap_or_default()), if held.is_some() => {}
            }
        }
    }

    /// The commits that have come since the last call, without waiting.
    pub fn ready(&mut self) -> Vec<Frame> {
        let mut out = Vec::new();
        loop {
            let inner = self.shared.lock();
            let in_memory = inner.ring.first().is_none_or(|first| first <= self.next);
            let until = inner.ring.first().unwrap_or(inner.head.next());
            if in_memory {
                for frame in inner.ring.from(self.next).take(AT_ONCE) {
                    self.next = frame.seq.next();
                    if frame.kind.shown() {
                        out.push(frame.clone());
                    }
                }
                let more = self.next <= inner.head && inner.ring.from(self.next).next().is_some();
                if !out.is_empty() || !more {
                    return out;
                }
                continue;
            }
            drop(inner);
            if self.hold.holds(&self.shared.clock) {
                return out;
            }
            self.read_stored(until, &mut out);
            if !out.is_empty() {
                return out;
            }
        }
    }

    /// Reads from disk what memory no longer has.
    fn read_stored(&mut self, until: Seq, out: &mut Vec<Frame>) {
        let stored = self.stored.get_or_insert_with(|| Merge::new(self.next));
        while out.len() < AT_ONCE {
            match stored.next(&self.shared, self.next, &|_| true) {
                Ok(Some(frame)) if frame.seq < until => {
                    self.next = frame.seq.next();
                    if frame.kind.shown() {
                        out.push(frame);
                    }
                }
                Ok(_) => {
                    self.next = self.next.max(until);
                    self.stored = None;
                    return;
                }
                Err(_) => {
                    self.hold.begin(&self.shared.clock);
                    return;
                }
            }
        }
    }
}
