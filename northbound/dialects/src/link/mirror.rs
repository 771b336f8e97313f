//! Which retained documents the broker has, and in which rev.
//!
//! Documents are written from the state when they are sent, so their revs never go back. What was sent and not
//! acknowledged when a connection ended counts as not sent. After a restart nothing is known: everything is sent.
//! A broker may have restarted without what it kept: after every connection the rest is sent as well, in its turn.

use std::collections::VecDeque;

use twin::{Handle, Name, State, Twin, TwinId};

use crate::dialect::Document;
use crate::spec::{Pattern, any};

/// Where the documents of features begin among those of a twin.
const FIRST_FEATURE: usize = 4;

/// The documents of all twins that go through a link.
#[derive(Debug)]
pub(super) struct Mirror {
    patterns: Vec<Pattern>,
    twins: Vec<Option<Mirrored>>,
    queue: VecDeque<Handle>,
    /// So many at the front of the queue are due now.
    due: usize,
}

/// The documents of one twin.
#[derive(Debug)]
struct Mirrored {
    id: TwinId,
    features: Vec<Name>,
    wanted: bool,
    queued: bool,
    /// Revs by document: description, life cycle, entanglement, alarms, then the features.
    sent: Vec<u64>,
    acked: Vec<u64>,
    /// Whether it went out over the present connection.
    told: Vec<bool>,
}

impl Mirror {
    pub(super) fn new(patterns: Vec<Pattern>) -> Self {
        Self { patterns, twins: Vec::new(), queue: VecDeque::new(), due: 0 }
    }

    /// Whether what happens to this twin goes through the link.
    pub(super) fn wants(&mut self, twin: &Twin) -> bool {
        self.entry(twin).is_some_and(|mirrored| mirrored.wanted)
    }

    /// A connection begins: every document that the broker may not have is due.
    pub(super) fn connected(&mut self, state: &State) {
        self.queue.clear();
        for mirrored in self.twins.iter_mut().flatten() {
            mirrored.queued = false;
            mirrored.sent.clone_from(&mirrored.acked);
            mirrored.told.fill(false);
        }
        for twin in state.twins() {
            self.touch(twin);
        }
        self.flush();
    }

    /// The broker may have lost what it kept: what this connection has not carried yet becomes due in its turn.
    pub(super) fn refresh(&mut self, state: &State) {
        for mirrored in self.twins.iter_mut().flatten() {
            let Mirrored { sent, told, .. } = mirrored;
            sent.iter_mut().zip(told).filter(|(_, told)| !**told).for_each(|(sent, _)| *sent = 0);
        }
        for twin in state.twins() {
            self.touch(twin);
        }
    }

    /// The broker lost what it had, or never had it: everything is sent again.
    pub(super) fn forget(&mut self) {
        for mirrored in self.twins.iter_mut().flatten() {
            mirrored.sent.fill(0);
            mirrored.acked.fill(0);
        }
    }

    /// Something happened to this twin.
    pub(super) fn touch(&mut self, twin: &Twin) {
        let handle = twin.handle();
        if let Some(mirrored) = self.entry(twin)
            && mirrored.wanted
            && !mirrored.queued
        {
            mirrored.queued = true;
            self.queue.push_back(handle);
        }
    }

    /// This document is sent again, whatever its rev.
    pub(super) fn again(&mut self, twin: &Twin, document: Document) {
        if let Some(mirrored) = self.entry(twin)
            && let Some(sent) = mirrored.sent.get_mut(slot(document))
        {
            *sent = 0;
        }
        self.touch(twin);
    }

    /// All that is queued is due now.
    pub(super) fn flush(&mut self) {
        self.due = self.queue.len();
    }

    /// Whether documents are due now.
    pub(super) fn due(&self) -> bool {
        self.due > 0
    }

    /// Whether documents wait to become due.
    pub(super) fn waiting(&self) -> bool {
        self.queue.len() > self.due
    }

    /// The next document that is due, and its rev.
    pub(super) fn next(&mut self, state: &State) -> Option<(Handle, Document, u64)> {
        while self.due > 0 {
            let handle = *self.queue.front()?;
            if let Some(twin) = state.by_handle(handle)
                && let Some(mirrored) = self.entry(twin)
            {
                let stale = (0..mirrored.sent.len())
                    .map(|at| (document(at), rev(twin, document(at))))
                    .find(|(of, rev)| *rev > 0 && mirrored.sent.get(slot(*of)) != Some(rev));
                if let Some((of, rev)) = stale {
                    return Some((handle, of, rev));
                }
                mirrored.queued = false;
            }
            self.queue.pop_front();
            self.due -= 1;
        }
        None
    }

    /// A document is under way in this rev.
    pub(super) fn sent(&mut self, handle: Handle, document: Document, rev: u64) {
        let Some(mirrored) = self.known(handle) else { return };
        let (sent, told) =
            (mirrored.sent.get_mut(slot(document)), mirrored.told.get_mut(slot(document)));
        if let (Some(sent), Some(told)) = (sent, told) {
            (*sent, *told) = (rev, true);
        }
    }

    /// The broker has a document in this rev.
    pub(super) fn acked(&mut self, handle: Handle, document: Document, rev: u64) {
        if let Some(acked) = self.known(handle).and_then(|m| m.acked.get_mut(slot(document))) {
            *acked = rev.max(*acked);
        }
    }

    /// The twin is gone; returns what its documents were.
    pub(super) fn purged(&mut self, handle: Handle) -> Option<(TwinId, Vec<Name>)> {
        let slot = usize::try_from(handle.0).ok()?;
        let mirrored = self.twins.get_mut(slot)?.take()?;
        mirrored.wanted.then_some((mirrored.id, mirrored.features))
    }

    fn known(&mut self, handle: Handle) -> Option<&mut Mirrored> {
        self.twins.get_mut(usize::try_from(handle.0).ok()?)?.as_mut()
    }

    fn entry(&mut self, twin: &Twin) -> Option<&mut Mirrored> {
        let at = usize::try_from(twin.handle().0).ok()?;
        if self.twins.len() <= at {
            self.twins.resize_with(at + 1, || None);
        }
        let patterns = &self.patterns;
        let mirrored = self.twins.get_mut(at)?.get_or_insert_with(|| Mirrored {
            id: twin.id().clone(),
            features: Vec::new(),
            wanted: any(patterns, twin.id().as_str()),
            queued: false,
            sent: Vec::new(),
            acked: Vec::new(),
            told: Vec::new(),
        });
        let features = &twin.description().features;
        if mirrored.features.len() != features.len() || mirrored.sent.is_empty() {
            mirrored.features.clone_from(features);
            let documents = features.len() + FIRST_FEATURE;
            mirrored.sent.resize(documents, 0);
            mirrored.acked.resize(documents, 0);
            mirrored.told.resize(documents, false);
        }
        Some(mirrored)
    }
}

fn slot(document: Document) -> usize {
    match document {
        Document::Description => 0,
        Document::LifeCycle => 1,
        Document::Entanglement => 2,
        Document::Alarms => 3,
        Document::Feature(feature) => usize::from(feature) + FIRST_FEATURE,
    }
}

fn document(slot: usize) -> Document {
    match slot {
        0 => Document::Description,
        1 => Document::LifeCycle,
        2 => Document::Entanglement,
        3 => Document::Alarms,
        _ => Document::Feature(u16::try_from(slot - FIRST_FEATURE).unwrap_or(u16::MAX)),
    }
}

/// The rev of a document; 0 while there is none.
fn rev(twin: &Twin, document: Document) -> u64 {
    match document {
        Document::Description => u64::from(twin.description().revision),
        Document::LifeCycle => twin.since().max(twin.maintained()).0,
        // Its class follows the life cycle as well.
        Document::Entanglement => twin.entangled().map_or(0, |(seq, _)| seq.max(twin.since()).0),
        Document::Alarms => twin.alarmed().0,
        Document::Feature(feature) => twin.feature(feature).rev,
    }
}

#[cfg(test)]
mod tests;
