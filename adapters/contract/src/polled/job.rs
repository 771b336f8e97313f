//! Work of several requests: an acquisition, a read that somebody asked for, a read-back, a probe.

use std::sync::Arc;

use twin::{CommandId, Entry, Quality, Reason};

use super::report::{Acquired, bad};
use super::{Failed, FailedKind, Polled};
use crate::Turn;

/// Requests with one purpose.
#[derive(Debug)]
pub(super) struct Job<P: Polled> {
    pub id: u64,
    pub device: usize,
    pub kind: Kind,
    /// The command that its readings answer.
    pub command: Option<CommandId>,
    pub batches: Arc<[P::Batch]>,
    /// The next batch that has not left yet.
    next: usize,
    /// Batches that leave again, and how often they have left.
    again: Vec<(usize, u8)>,
    /// Batches under way.
    pub under_way: u32,
    /// Nothing of it leaves before this.
    pub not_before: i64,
    /// Among work of one class the earliest deadline is served first.
    pub deadline: i64,
    first: Option<i64>,
    last: i64,
    pub entries: Vec<Entry>,
    /// By batch; kept where the readings do not matter but the answers do.
    pub answers: Vec<(usize, P::Answer)>,
    answered: bool,
    pub failed: Option<Failed>,
}

/// What a job is for.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// An acquisition of the group at this place of its device.
    Poll { group: usize, turn: Turn },
    /// A read that somebody asked for, of points of the group with this index.
    Read { read: u64, group: u16 },
    /// After a write: what does the asset say now?
    ReadBack { command: CommandId, group: u16, until: i64, otherwise: (Reason, Arc<str>) },
    /// A request in the protocol's own words.
    Raw { raw: u64 },
    /// Is the device there again?
    Probe,
    /// Which asset is it?
    Identity,
}

impl Kind {
    /// Work of a lower class is served first.
    pub(super) fn class(&self) -> u8 {
        match self {
            Self::ReadBack { .. } => 0,
            Self::Read { .. } => 1,
            Self::Poll { .. } | Self::Identity => 2,
            Self::Raw { .. } => 3,
            Self::Probe => 4,
        }
    }
}

impl<P: Polled> Job<P> {
    pub(super) fn new(
        id: u64,
        device: usize,
        kind: Kind,
        batches: Arc<[P::Batch]>,
        points: usize,
        deadline: i64,
    ) -> Self {
        Self {
            id,
            device,
            kind,
            command: None,
            batches,
            next: 0,
            again: Vec::new(),
            under_way: 0,
            not_before: i64::MIN,
            deadline,
            first: None,
            last: 0,
            entries: Vec::with_capacity(points),
            answers: Vec::new(),
            answered: false,
            failed: None,
        }
    }

    /// Whether a request of it is waiting to leave.
    pub(super) fn waiting(&self) -> bool {
        !self.again.is_empty() || self.next < self.batches.len()
    }

    /// Whether nothing more will come of it.
    pub(super) fn over(&self) -> bool {
        self.under_way == 0 && !self.waiting()
    }

    /// The next batch to leave, and how often it has left before.
    pub(super) fn take(&mut self) -> Option<(usize, u8)> {
        let taken = self.again.pop().or_else(|| {
            let next = self.next;
            self.next += usize::from(next < self.batches.len());
            (next < self.batches.len()).then_some((next, 0))
        })?;
        self.under_way += 1;
        Some(taken)
    }

    /// A batch that was under way will leave again.
    pub(super) fn repeat(&mut self, batch: usize, attempts: u8) {
        self.under_way -= 1;
        self.again.push((batch, attempts));
    }

    /// A request left at `sent` and was answered at `ended`; returns the offset of its readings.
    pub(super) fn answered(&mut self, sent: i64, ended: i64) -> i64 {
        self.under_way -= 1;
        self.answered = true;
        self.last = self.last.max(ended);
        sent - *self.first.get_or_insert(sent)
    }

    /// A request came to nothing: its points are bad.
    pub(super) fn fail(&mut self, device: &P, batch: usize, sent: i64, failed: &Failed) {
        self.under_way -= 1;
        let offset = sent - *self.first.get_or_insert(sent);
        if let Some(batch) = self.batches.get(batch) {
            let from = self.entries.len();
            bad(device.points(batch), failed.quality, &mut self.entries);
            self.entries.iter_mut().skip(from).for_each(|entry| entry.offset = offset);
        }
        // A refusal is final; what is not final tells more, whichever of them came last.
        if self.failed.as_ref().is_none_or(|known| known.kind == FailedKind::Refused) {
            self.failed = Some(failed.clone());
        }
    }

    /// What has not left yet will not leave: those points are bad as well.
    pub(super) fn abandon(&mut self, device: &P, failed: &Failed, now: i64) {
        let sent = self.first.unwrap_or(now);
        while let Some((batch, _)) = self.take() {
            self.fail(device, batch, sent, failed);
        }
    }

    /// The acquisition as a whole.
    pub(super) fn acquired(&mut self, now: i64) -> Acquired {
        let first = self.first.unwrap_or(now);
        let failed = self.failed.as_ref();
        let nothing: Option<Quality> = failed.filter(|_| !self.answered).map(|f| f.quality);
        Acquired {
            entries: std::mem::take(&mut self.entries),
            first,
            last: self.last.max(first),
            nothing,
            complete: failed.is_none(),
        }
    }
}
