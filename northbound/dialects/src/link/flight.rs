//! What is under way: published, not yet acknowledged.

use twin::{Handle, Seq};
use twin_store::LaneId;

use crate::dialect::Document;

/// What a message under way stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carried {
    /// A commit of a lane.
    Commit(LaneId, Seq),
    /// A commit that tells what this link passed over; where it is refused itself there is no more to say.
    Notice(LaneId, Seq),
    /// One of the messages that settle what a slot of [`Owed`](super::owed::Owed) holds.
    Part(usize),
    /// Several commits in one message, by their slot there; and whether they are history.
    Bundle(usize, bool),
    /// A retained document as of this rev.
    Document(Handle, Document, u64),
    /// Nothing that anybody waits for.
    Loose,
}

/// The messages under way, by token. Reuses its slots: no allocation per message.
#[derive(Debug, Default)]
pub(super) struct Flight {
    slots: Vec<Option<Carried>>,
    free: Vec<usize>,
    commits: usize,
    documents: usize,
}

impl Carried {
    /// Whether lanes wait for it.
    fn is_commit(self) -> bool {
        matches!(self, Self::Commit(..) | Self::Notice(..) | Self::Part(_) | Self::Bundle(..))
    }
}

impl Flight {
    /// How many are under way.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// How many of them are commits that lanes wait for.
    pub(super) fn commits(&self) -> usize {
        self.commits
    }

    /// How many of them are documents.
    pub(super) fn documents(&self) -> usize {
        self.documents
    }

    /// The token that the next message gets, if it is taken.
    pub(super) fn next(&self) -> u64 {
        self.free.last().copied().unwrap_or(self.slots.len()) as u64
    }

    /// The message with the token [`Flight::next`] is under way.
    pub(super) fn took_off(&mut self, carried: Carried) {
        self.commits += usize::from(carried.is_commit());
        self.documents += usize::from(matches!(carried, Carried::Document(..)));
        match self.free.pop() {
            Some(slot) => {
                if let Some(slot) = self.slots.get_mut(slot) {
                    *slot = Some(carried);
                }
            }
            None => self.slots.push(Some(carried)),
        }
    }

    /// The message with this token has arrived or was refused.
    pub(super) fn landed(&mut self, token: u64) -> Option<Carried> {
        let slot = usize::try_from(token).ok()?;
        let carried = self.slots.get_mut(slot)?.take()?;
        self.free.push(slot);
        self.commits -= usize::from(carried.is_commit());
        self.documents -= usize::from(matches!(carried, Carried::Document(..)));
        Some(carried)
    }

    /// Nobody waits any more for the commits under way: their lanes went back.
    pub(super) fn disown_commits(&mut self) {
        for carried in self.slots.iter_mut().flatten() {
            if carried.is_commit() {
                *carried = Carried::Loose;
            }
        }
        self.commits = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_reused_and_land_once() {
        let mut flight = Flight::default();
        let first = flight.next();
        flight.took_off(Carried::Loose);
        let second = flight.next();
        assert_ne!(first, second);
        flight.took_off(Carried::Document(Handle(1), Document::LifeCycle, 3));
        assert_eq!(flight.landed(first), Some(Carried::Loose));
        assert_eq!(flight.landed(first), None);
        assert_eq!((flight.len(), flight.next()), (1, first));
        assert_eq!((flight.commits(), flight.documents()), (0, 1));
        assert_eq!(flight.landed(99), None);
    }
}
