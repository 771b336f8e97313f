//! From the outcome of an acquisition to what is submitted for it.

use twin::{
    Boottime, Change, Entry, Input, Origin, Quality, Reported, Seen, Submission, TimeBase, TwinId,
    What,
};

/// A group that took longer than this from its first request to its last answer carries offsets, in microseconds.
const INSTANT: i64 = 10_000;

/// What one group has reported so far.
#[derive(Debug, Default)]
pub(super) struct Reporter {
    /// The quality of the failure that was last committed, while nothing has come since.
    failed: Option<Quality>,
}

/// An acquisition that has ended.
#[derive(Debug)]
pub(super) struct Acquired {
    /// Readings in any order; good and bad ones.
    pub entries: Vec<Entry>,
    /// When the first request left.
    pub first: i64,
    /// When the last answer came.
    pub last: i64,
    /// The failure of the whole: nothing at all was had.
    pub nothing: Option<Quality>,
    /// Every request was answered.
    pub complete: bool,
}

impl Reporter {
    /// What is submitted for an acquisition: a change and its freshness, or freshness alone where the same failure was
    /// committed before.
    pub(super) fn report(
        &mut self,
        twin: &TwinId,
        revision: u32,
        group: u16,
        acquired: Acquired,
        seen: Option<Seen>,
    ) -> Option<Submission> {
        if let Some(quality) = acquired.nothing {
            if self.failed.replace(quality) == Some(quality) {
                return seen.map(Submission::seen);
            }
        } else {
            self.failed = None;
        }
        let reported = reported(revision, group, acquired);
        Some(submission(twin, reported, seen))
    }

    /// Whether nothing has come since a failure was committed.
    pub(super) fn failing(&self) -> bool {
        self.failed.is_some()
    }
}

/// One change out of the readings of one group.
pub(super) fn reported(revision: u32, group: u16, acquired: Acquired) -> Reported {
    let Acquired { mut entries, first, last, .. } = acquired;
    if !entries.is_sorted_by(|a, b| a.index < b.index) {
        // A point that was asked for twice keeps its later reading.
        entries.sort_by_key(|entry| (entry.index, std::cmp::Reverse(entry.offset)));
        entries.dedup_by_key(|entry| entry.index);
    }
    if last - first <= INSTANT {
        entries.iter_mut().for_each(|entry| entry.offset = 0);
    }
    Reported {
        revision,
        group,
        source: TimeBase::gateway(Boottime(first)),
        server: None,
        command: None,
        continued: false,
        entries,
    }
}

/// A change that the asset itself brought.
pub(super) fn submission(twin: &TwinId, reported: Reported, seen: Option<Seen>) -> Submission {
    let change = asset(twin, What::Reported(reported));
    Submission { input: Input::Change(change, seen), receipt: None }
}

/// A change of the asset's own.
pub(super) fn asset(twin: &TwinId, what: What) -> Change {
    Change { twin: twin.clone(), origin: Origin::Asset, what }
}

/// Bad readings of points that were not had.
pub(super) fn bad(points: impl Iterator<Item = u16>, quality: Quality, out: &mut Vec<Entry>) {
    out.extend(points.map(|index| Entry { index, quality, value: None, offset: 0 }));
}

#[cfg(test)]
mod tests {
    use twin::{Cause, Value};

    use super::*;

    fn entry(index: u16, offset: i64) -> Entry {
        Entry { index, quality: Quality::GOOD, value: Some(Value::Bool(true)), offset }
    }

    fn acquired(entries: Vec<Entry>, last: i64) -> Acquired {
        Acquired { entries, first: 100, last, nothing: None, complete: true }
    }

    fn seen(ok: bool) -> Option<Seen> {
        let (due, at) = (Boottime(0), Boottime(1));
        Some(Seen { twin: "t".parse().unwrap(), group: 0, ok, due, at, expected: 1 })
    }

    #[test]
    fn a_slow_group_carries_offsets_and_a_quick_one_none() {
        let quick = reported(1, 0, acquired(vec![entry(4, 5_000), entry(2, 0)], 10_100));
        assert_eq!(
            quick.entries.iter().map(|e| (e.index, e.offset)).collect::<Vec<_>>(),
            [(2, 0), (4, 0)]
        );
        let slow = reported(1, 0, acquired(vec![entry(4, 5_000), entry(2, 0)], 10_101));
        assert_eq!(
            slow.entries.iter().map(|e| (e.index, e.offset)).collect::<Vec<_>>(),
            [(2, 0), (4, 5_000)]
        );
        assert_eq!(slow.source, TimeBase::gateway(Boottime(100)));
    }

    #[test]
    fn a_failure_is_committed_once() {
        let twin: TwinId = "t".parse().unwrap();
        let mut reporter = Reporter::default();
        let failure = |cause| {
            let mut entries = Vec::new();
            bad([0, 1].into_iter(), Quality::bad(cause), &mut entries);
            let nothing = Some(Quality::bad(cause));
            Acquired { entries, first: 0, last: 0, nothing, complete: false }
        };
        let mut submit = |acquired, ok| match reporter.report(&twin, 1, 0, acquired, seen(ok)) {
            Some(Submission { input: Input::Change(..), .. }) => "change",
            Some(Submission { input: Input::Seen(seen), .. }) if !seen.ok => "seen",
            other => panic!("{other:?}"),
        };
        assert_eq!(submit(failure(Cause::Timeout), false), "change");
        assert_eq!(submit(failure(Cause::Timeout), false), "seen");
        assert_eq!(submit(failure(Cause::NotConnected), false), "change", "another cause is news");
        assert_eq!(submit(acquired(vec![entry(0, 0)], 0), true), "change");
        assert_eq!(submit(failure(Cause::NotConnected), false), "change");
    }
}
