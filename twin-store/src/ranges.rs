//! Sets of sequence numbers, kept as stretches: what is gone, what is there.

use twin::Seq;

/// Stretches of sequence numbers, both ends included; sorted, apart from each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<(Seq, Seq)>);

impl Ranges {
    /// Adds a stretch; one whose last is before its first is none.
    pub(crate) fn add(&mut self, first: Seq, last: Seq) {
        if first > last {
            return;
        }
        // Everything that touches the new stretch becomes one with it.
        let from = self.0.partition_point(|(_, b)| after(*b) < first);
        let to = self.0.partition_point(|(a, _)| *a <= after(last));
        let (mut first, mut last) = (first, last);
        if let Some(touched) = self.0.get(from..to)
            && let (Some((a, _)), Some((_, b))) = (touched.first(), touched.last())
        {
            (first, last) = (first.min(*a), last.max(*b));
        }
        self.0.splice(from..to.max(from), [(first, last)]);
    }

    pub(crate) fn extend(&mut self, stretches: impl IntoIterator<Item = (Seq, Seq)>) {
        stretches.into_iter().for_each(|(first, last)| self.add(first, last));
    }

    /// What of this stretch is not in the set.
    pub(crate) fn without(&self, first: Seq, last: Seq) -> Vec<(Seq, Seq)> {
        let mut left = Vec::new();
        let mut next = first;
        for (a, b) in self.0.iter().filter(|(a, b)| *b >= first && *a <= last) {
            if next < *a {
                left.push((next, Seq(a.0 - 1)));
            }
            next = next.max(after(*b));
        }
        if next <= last {
            left.push((next, last));
        }
        left
    }

    /// Takes a stretch out.
    pub(crate) fn remove(&mut self, first: Seq, last: Seq) {
        let mut gone = Self::default();
        gone.add(first, last);
        let kept = std::mem::take(&mut self.0);
        self.0 = kept.into_iter().flat_map(|(a, b)| gone.without(a, b)).collect();
    }

    /// Joins the nearest neighbours until there are no more than `most` stretches: more is said to be in it then.
    pub(crate) fn limit(&mut self, most: usize) {
        while self.0.len() > most.max(1) {
            let between = |pair: &[(Seq, Seq)]| match pair {
                [(_, b), (a, _)] => a.0 - b.0,
                _ => u64::MAX,
            };
            let nearest = self.0.windows(2).enumerate().min_by_key(|(_, pair)| between(pair));
            let Some((at, [(first, _), (_, last)])) = nearest else {
                return;
            };
            let joined = (*first, *last);
            self.0.splice(at..at + 2, [joined]);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Seq, Seq)> {
        self.0.iter().copied()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The next number; behind the last one there is none.
fn after(seq: Seq) -> Seq {
    Seq(seq.0.saturating_add(1))
}

impl FromIterator<(Seq, Seq)> for Ranges {
    fn from_iter<T: IntoIterator<Item = (Seq, Seq)>>(stretches: T) -> Self {
        let mut all = Self::default();
        all.extend(stretches);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn numbers(ranges: &Ranges) -> BTreeSet<u64> {
        ranges.iter().flat_map(|(a, b)| a.0..=b.0).collect()
    }

    fn stretches() -> impl Strategy<Value = Vec<(bool, u64, u64)>> {
        vec((prop::bool::weighted(0.7), 1..40_u64, 0..6_u64), 0..30)
    }

    proptest! {
        #[test]
        fn it_is_the_set_that_it_stands_for(steps in stretches(), first in 0..50_u64, more in 0..20_u64) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for (add, from, len) in steps {
                // Now and then a stretch that is none.
                let (a, b) = (Seq(from), Seq(from + len - 1));
                if add {
                    ranges.add(a, b);
                    set.extend(a.0..=b.0);
                } else {
                    ranges.remove(a, b);
                    set.retain(|n| !(a.0..=b.0).contains(n));
                }
                prop_assert_eq!(numbers(&ranges), set.clone());
                let apart = ranges.0.windows(2).all(|w| w[0].1.0 + 1 < w[1].0.0);
                prop_assert!(apart && ranges.iter().all(|(a, b)| a <= b), "{:?}", ranges);
            }
            let left: Ranges = ranges.without(Seq(first), Seq(first + more)).into_iter().collect();
            let wanted = (first..=first + more).filter(|n| !set.contains(n)).collect();
            prop_assert_eq!(numbers(&left), wanted);
        }

        #[test]
        fn a_limit_takes_nothing_out(steps in stretches(), most in 1..5_usize) {
            let all: Ranges = steps.iter().map(|(_, a, len)| (Seq(*a), Seq(a + len))).collect();
            let mut few = all.clone();
            few.limit(most);
            prop_assert!(few.0.len() <= most);
            prop_assert!(numbers(&few).is_superset(&numbers(&all)));
        }
    }

    #[test]
    fn the_nearest_are_joined_first() {
        let mut ranges: Ranges =
            [(1, 2), (10, 11), (13, 14)].map(|(a, b)| (Seq(a), Seq(b))).into_iter().collect();
        ranges.limit(2);
        assert_eq!(ranges.0, [(Seq(1), Seq(2)), (Seq(10), Seq(14))]);
    }
}
