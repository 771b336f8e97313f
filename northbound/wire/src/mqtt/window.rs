//! What is sent and not yet acknowledged: packet ids ↔ tokens.

use std::collections::VecDeque;

/// Publications use the packet ids 1 to this; the others are for subscriptions.
pub(super) const LAST: u16 = 0xBFFF;

/// The QoS 1 publications that the broker owes an answer, in the order they were sent.
///
/// Packet ids go round, so that an id returns only after 49,151 others: an acknowledgement that a confused broker
/// repeats meets an id that nothing uses, and never settles a younger publication.
#[derive(Debug)]
pub(super) struct Window {
    entries: VecDeque<Entry>,
    /// Packet id of the front entry, or of the next one where there is none.
    front: u16,
    limit: usize,
    open: usize,
}

#[derive(Debug)]
struct Entry {
    token: u64,
    at: i64,
    settled: bool,
}

impl Window {
    pub(super) fn new(limit: u16) -> Self {
        let limit = usize::from(limit.min(LAST / 2));
        Self { entries: VecDeque::with_capacity(limit), front: 1, limit, open: 0 }
    }

    /// Narrows the window to what the broker accepts.
    pub(super) fn narrow(&mut self, limit: u16) {
        self.limit = self.limit.min(limit.into());
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// How many more may be sent.
    pub(super) fn room(&self) -> usize {
        let ids = usize::from(LAST) - self.entries.len();
        self.limit.saturating_sub(self.open).min(ids)
    }

    /// The packet id that the next publication has.
    pub(super) fn next_id(&self) -> u16 {
        let index = usize::from(self.front) - 1 + self.entries.len();
        u16::try_from(index % usize::from(LAST) + 1).unwrap_or(1)
    }

    /// Enters a publication under [`next_id`](Self::next_id), sent at `at`.
    pub(super) fn push(&mut self, token: u64, at: i64) {
        self.entries.push_back(Entry { token, at, settled: false });
        self.open += 1;
    }

    /// Settles the publication with this packet id; `None` where there is none that waits.
    pub(super) fn settle(&mut self, id: u16) -> Option<u64> {
        if id == 0 || id > LAST {
            return None;
        }
        let last = usize::from(LAST);
        let index = (usize::from(id) + last - usize::from(self.front)) % last;
        let entry = self.entries.get_mut(index).filter(|entry| !entry.settled)?;
        entry.settled = true;
        let token = entry.token;
        self.open -= 1;
        while self.entries.front().is_some_and(|entry| entry.settled) {
            self.entries.pop_front();
            self.front = self.front % LAST + 1;
        }
        Some(token)
    }

    /// When the longest waiting publication was sent.
    pub(super) fn oldest(&self) -> Option<i64> {
        self.entries.front().map(|entry| entry.at)
    }

    /// The tokens that wait, oldest first.
    pub(super) fn tokens(&self) -> impl Iterator<Item = u64> {
        self.entries.iter().filter(|entry| !entry.settled).map(|entry| entry.token)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_go_round_and_a_late_repeat_settles_nothing() {
        let mut window = Window::new(2);
        for token in 0..200_000_u64 {
            let id = window.next_id();
            assert!((1..=LAST).contains(&id));
            window.push(token, 0);
            assert_eq!(window.settle(id), Some(token));
            assert_eq!(window.settle(id), None, "settled once only");
        }
        assert_eq!((window.open, window.room(), window.oldest()), (0, 2, None));
    }

    #[test]
    fn one_that_is_never_settled_stops_before_its_id_returns() {
        let mut window = Window::new(10);
        window.push(0, 7);
        for token in 1..u64::from(LAST) {
            let id = window.next_id();
            window.push(token, 8);
            assert_eq!(window.settle(id), Some(token));
        }
        assert_eq!((window.room(), window.open, window.oldest()), (0, 1, Some(7)));
        assert_eq!(window.settle(1), Some(0));
        assert_eq!((window.room(), window.open, window.oldest()), (10, 0, None));
    }

    proptest! {
        /// Against a plain map from id to token.
        #[test]
        fn it_is_a_map_from_id_to_token(
            start in 0_u16..LAST,
            steps in prop::collection::vec((any::<bool>(), any::<u16>()), 0..300),
        ) {
            let mut window = Window::new(20);
            window.front = start + 1;
            let mut model: Vec<(u16, u64)> = Vec::new();
            for (token, (publish, pick)) in (0_u64..).zip(steps) {
                if publish && window.room() > 0 {
                    prop_assert!(model.iter().all(|(id, _)| *id != window.next_id()));
                    model.push((window.next_id(), token));
                    window.push(token, 0);
                } else if !model.is_empty() && pick % 3 > 0 {
                    let (id, token) = model.remove(usize::from(pick) % model.len());
                    prop_assert_eq!(window.settle(id), Some(token));
                } else {
                    let known = model.iter().position(|(id, _)| *id == pick);
                    let expected = known.map(|index| model.remove(index).1);
                    prop_assert_eq!(window.settle(pick), expected);
                }
                prop_assert_eq!(window.room(), 20 - model.len());
                prop_assert!(window.tokens().eq(model.iter().map(|(_, token)| *token)));
            }
        }
    }
}
