//! Freshness: acquisitions that are no commits, per twin and group. In memory only; heartbeats carry its sums into the log.

use std::collections::BTreeMap;

use twin::{Boottime, GroupCounts, Handle, Seen, TimeBase};

/// What is known of every group's acquisitions since the store was opened.
#[derive(Debug, Clone, Default)]
pub struct Freshness {
    groups: BTreeMap<(Handle, u16), Fresh>,
    beats: BTreeMap<Handle, Boottime>,
}

/// How the acquisition of one group goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fresh {
    /// The last acquisition that was complete.
    pub last_ok: Option<Boottime>,
    /// The last acquisition.
    pub last_try: Boottime,
    /// Whether the last one was complete.
    pub ok: bool,
    /// Acquisitions that failed since the last complete one.
    pub failures: u32,
    /// Acquisitions that were due, since the store was opened.
    pub expected: u64,
    /// Acquisitions that were complete, since the store was opened.
    pub received: u64,
    /// Acquisitions that were complete and in time, since the store was opened.
    pub on_time: u64,
    /// Acquisitions that were complete and whose readings were in the state in time after the asset was asked, since the
    /// store was opened.
    pub prompt: u64,
    /// The sums at the last heartbeat.
    beaten: (u64, u64, u64),
}

impl Freshness {
    /// How the acquisition of this group goes; `None` before the first one.
    #[must_use]
    pub fn group(&self, handle: Handle, group: u16) -> Option<&Fresh> {
        self.groups.get(&(handle, group))
    }

    /// All groups of a twin that were acquired at least once.
    pub fn twin(&self, handle: Handle) -> impl Iterator<Item = (u16, &Fresh)> {
        self.groups
            .range((handle, 0)..=(handle, u16::MAX))
            .map(|((_, group), fresh)| (*group, fresh))
    }

    /// An acquisition; `tolerance` is how many microseconds late still counts as in time, `prompt` whether its readings
    /// are here in time.
    pub(crate) fn seen(&mut self, handle: Handle, seen: &Seen, tolerance: i64, prompt: bool) {
        let fresh = self.groups.entry((handle, seen.group)).or_insert(Fresh {
            last_ok: None,
            last_try: seen.at,
            ok: false,
            failures: 0,
            expected: 0,
            received: 0,
            on_time: 0,
            prompt: 0,
            beaten: (0, 0, 0),
        });
        fresh.last_try = seen.at;
        fresh.ok = seen.ok;
        fresh.expected += u64::from(seen.expected);
        if seen.ok {
            fresh.last_ok = Some(seen.at);
            fresh.failures = 0;
            fresh.received += 1;
            fresh.prompt += u64::from(prompt);
            fresh.on_time += u64::from(seen.at.0.saturating_sub(seen.due.0) <= tolerance);
        } else {
            fresh.failures = fresh.failures.saturating_add(1);
        }
        self.beats.entry(handle).or_insert(seen.at);
    }

    /// A twin that is gone.
    pub(crate) fn forget(&mut self, handle: Handle) {
        self.groups.retain(|(h, _), _| *h != handle);
        self.beats.remove(&handle);
    }

    /// The heartbeats that are due: per twin, what happened since the last one. They count from now on.
    pub(crate) fn beat(&mut self, now: Boottime, every: i64) -> Vec<(Handle, Vec<GroupCounts>)> {
        let mut due = Vec::new();
        for (handle, last) in &mut self.beats {
            if now.0.saturating_sub(last.0) < every {
                continue;
            }
            *last = now;
            let mut counts = Vec::new();
            for ((_, group), fresh) in self.groups.range_mut((*handle, 0)..=(*handle, u16::MAX)) {
                counts.extend(fresh.counts(*group));
            }
            if !counts.is_empty() {
                due.push((*handle, counts));
            }
        }
        due
    }
}

impl Fresh {
    fn counts(&mut self, group: u16) -> Option<GroupCounts> {
        let now = (self.expected, self.received, self.on_time);
        let before = std::mem::replace(&mut self.beaten, now);
        let since = |now: u64, before: u64| u32::try_from(now - before).unwrap_or(u32::MAX);
        (now != before).then(|| GroupCounts {
            group,
            expected: since(now.0, before.0),
            received: since(now.1, before.1),
            on_time: since(now.2, before.2),
            last: self.last_ok.map(TimeBase::gateway),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_heartbeat_per_twin_and_minute_and_only_of_news() {
        let mut freshness = Freshness::default();
        let seen = |group, at, ok| Seen {
            twin: "a".parse().unwrap(),
            group,
            ok,
            due: Boottime(at),
            at: Boottime(at + 5),
            expected: 1,
        };
        freshness.seen(Handle(1), &seen(0, 0, true), 10, true);
        freshness.seen(Handle(1), &seen(1, 0, true), 1, false);
        freshness.seen(Handle(1), &seen(0, 10, false), 10, true);
        assert!(freshness.beat(Boottime(50), 60).is_empty());
        let due = freshness.beat(Boottime(70), 60);
        let counts = |c: &GroupCounts| (c.group, c.expected, c.received, c.on_time);
        assert_eq!(due.len(), 1);
        assert_eq!(due[0].1.iter().map(counts).collect::<Vec<_>>(), [(0, 2, 1, 1), (1, 1, 1, 0)]);
        assert!(freshness.beat(Boottime(140), 60).is_empty(), "nothing happened since");
        let fresh = freshness.group(Handle(1), 0).unwrap();
        assert_eq!((fresh.ok, fresh.failures, fresh.last_ok), (false, 1, Some(Boottime(5))));
        let prompt = |group| freshness.group(Handle(1), group).unwrap().prompt;
        assert_eq!((prompt(0), prompt(1)), (1, 0), "a failed one is never in time");
    }
}
