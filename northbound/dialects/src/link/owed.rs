//! Commits that are settled by something else than one message each: one message for several of them, or several
//! messages for one.

use twin::Seq;
use twin_store::LaneId;

/// What is owed to the lanes, by slot.
#[derive(Debug, Default)]
pub(super) struct Owed {
    debts: Vec<Option<Debt>>,
}

#[derive(Debug)]
struct Debt {
    /// So many messages have to land first.
    messages: usize,
    settles: Vec<(LaneId, Seq)>,
}

impl Owed {
    /// Once `messages` messages have landed, these commits are settled. Returns the slot by which they are known.
    pub(super) fn after(&mut self, messages: usize, settles: Vec<(LaneId, Seq)>) -> usize {
        let debt = Some(Debt { messages, settles });
        match self.debts.iter_mut().enumerate().find(|(_, slot)| slot.is_none()) {
            Some((at, slot)) => {
                *slot = debt;
                at
            }
            None => {
                self.debts.push(debt);
                self.debts.len() - 1
            }
        }
    }

    /// One message of a slot has landed. Returns what is settled by the last one.
    pub(super) fn landed(&mut self, slot: usize) -> Vec<(LaneId, Seq)> {
        let Some(place) = self.debts.get_mut(slot) else { return Vec::new() };
        let Some(debt) = place else { return Vec::new() };
        debt.messages = debt.messages.saturating_sub(1);
        if debt.messages > 0 {
            return Vec::new();
        }
        place.take().map(|debt| debt.settles).unwrap_or_default()
    }

    /// The lanes went back: nothing is owed any more.
    pub(super) fn clear(&mut self) {
        self.debts.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twin_store::Class;

    #[test]
    fn the_last_message_settles() {
        let lane = LaneId { class: Class::Record, number: 0, historical: false };
        let mut owed = Owed::default();
        let purge = owed.after(3, vec![(lane, Seq(7))]);
        let bundle = owed.after(1, vec![(lane, Seq(8)), (lane, Seq(9))]);
        assert_ne!(purge, bundle);
        assert_eq!(owed.landed(purge), []);
        assert_eq!(owed.landed(bundle), [(lane, Seq(8)), (lane, Seq(9))]);
        assert_eq!(owed.landed(bundle), [], "once");
        assert_eq!(owed.landed(purge), []);
        assert_eq!(owed.after(1, Vec::new()), bundle, "slots are used again");
        assert_eq!(owed.landed(purge), [(lane, Seq(7))]);
        owed.clear();
        assert_eq!(owed.landed(bundle), []);
    }
}
