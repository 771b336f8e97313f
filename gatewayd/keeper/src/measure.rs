//! Measures how entangled twins are with their assets, from what the store knows of acquisitions.

use std::collections::BTreeMap;

use twin::{
    Acquisition, Boottime, Change, Entangled, Handle, LifeCycle, Measuring, Origin, Twin, What,
    Window,
};
use twin_store::Fresh;

/// So often it is looked at, and a change said, in microseconds.
const OFTEN: i64 = 1_000_000;

/// The windows of all twins, and what they come to.
#[derive(Debug)]
pub(crate) struct Measures {
    began: Boottime,
    /// How long nobody ran before, in microseconds.
    away: i64,
    looked: Boottime,
    twins: BTreeMap<Handle, Measured>,
}

/// What is measured of one twin.
#[derive(Debug, Default)]
struct Measured {
    policy: Measuring,
    groups: BTreeMap<u16, Group>,
    /// What had been received of each group when it was looked at last, and of that in time. It outlives windows.
    counted: BTreeMap<u16, (u64, u64)>,
    now: Option<Entangled>,
    /// Since when the value has been at least what `enter` asks.
    good: Option<Boottime>,
    /// Since when the value has been below `leave`.
    bad: Option<Boottime>,
}

#[derive(Debug)]
struct Group {
    interval: i64,
    window: Window,
}

/// What follows from the thresholds of a twin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// It may be shadowed.
    pub good: bool,
    /// It has to be out of sync.
    pub bad: bool,
}

impl Standing {
    /// Of a twin without thresholds: nothing follows.
    pub const FREE: Self = Self { good: true, bad: false };
}

impl Measures {
    /// `away`: how long nobody ran before `began`.
    pub(crate) fn new(began: Boottime, away: Option<i64>) -> Self {
        Self { began, away: away.unwrap_or(0), looked: began, twins: BTreeMap::new() }
    }

    /// Whether it is time to look at all twins.
    pub(crate) fn due(&mut self, now: Boottime) -> bool {
        let due = now.0.saturating_sub(self.looked.0) >= OFTEN;
        if due {
            self.looked = now;
        }
        due
    }

    /// Looks at a twin and what is known of its groups; gives back what is to be said.
    pub(crate) fn look(
        &mut self,
        twin: &Twin,
        fresh: &[(u16, Fresh)],
        now: Boottime,
    ) -> Option<Change> {
        let said = twin.entangled().map(|(_, entangled)| entangled);
        let observed = matches!(
            twin.life_cycle(),
            LifeCycle::Unbound | LifeCycle::Bound | LifeCycle::Shadowed | LifeCycle::OutOfSync
        );
        let entangled = if observed {
            self.measure(twin, fresh, said.is_some(), now)?
        } else {
            let known = self.twins.entry(twin.handle()).or_default();
            known.groups.clear();
            (known.now, known.good, known.bad) = (None, None, None);
            // Nobody measures a twin that is done; what was said of it does not hold any more.
            said.map(|_| Entangled::default())?
        };
        let policy = &twin.description().policy.entanglement;
        let crossed = said.is_some_and(|said| crossed(policy, said.value(), entangled.value()));
        if !(crossed || entangled.is_news(said.as_ref())) {
            return None;
        }
        let (twin, origin) = (twin.id().clone(), Origin::Keeper);
        Some(Change { twin, origin, what: What::Entangled(entangled) })
    }

    /// Brings the windows of a twin up to date; `None` before anything was acquired.
    fn measure(
        &mut self,
        twin: &Twin,
        fresh: &[(u16, Fresh)],
        before: bool,
        now: Boottime,
    ) -> Option<Entangled> {
        let policy = twin.description().policy.entanglement;
        let planned = twin.maintenance().is_some();
        let (away, began) = (self.away, self.began);
        let measured = self.twins.entry(twin.handle()).or_default();
        if measured.policy.window != policy.window {
            measured.groups.clear();
        }
        measured.policy = policy;
        let mut worst: Option<Entangled> = None;
        let periodic: Vec<(u16, i64)> = periodic(twin).collect();
        measured.groups.retain(|group, known| periodic.contains(&(*group, known.interval)));
        for (group, interval) in periodic {
            let heard = fresh.iter().find(|(of, _)| *of == group).map(|(_, fresh)| *fresh);
            let known = measured.groups.entry(group);
            let known = match (known, heard, before) {
                (std::collections::btree_map::Entry::Occupied(known), ..) => known.into_mut(),
                // A twin that was never measured is not held to what was before it was asked the first time.
                (_, None, false) => continue,
                (std::collections::btree_map::Entry::Vacant(place), heard, before) => {
                    let length = policy.window.max(interval.saturating_mul(10));
                    let first = heard.map_or(now, |fresh| fresh.last_try.min(now));
                    // What an earlier run measured goes on over the time in which nobody ran.
                    let absent = Boottime(began.0.saturating_sub(away.min(length)));
                    let from = match (measured.counted.contains_key(&group), before) {
                        (true, _) => now,
                        (false, true) => absent.min(first),
                        (false, false) => first,
                    };
                    let mut window = Window::new(length, from);
                    window.advance(first, false);
                    place.insert(Group { interval, window })
                }
            };
            // Time without contact that was planned is no failure.
            let up =
                planned || (twin.life_cycle() != LifeCycle::Unbound && heard.is_some_and(|h| h.ok));
            known.window.advance(now, up);
            if let Some(heard) = heard {
                let since = |now: u64, before: u64| {
                    u32::try_from(now.saturating_sub(before)).unwrap_or(u32::MAX)
                };
                let all = (heard.received, heard.prompt);
                let (received, prompt) = measured.counted.insert(group, all).unwrap_or((0, 0));
                known.window.receive(now, since(all.0, received), since(all.1, prompt));
            }
            if known.window.waits(interval, policy.timeliness) {
                continue;
            }
            let figures = known.window.figures(Some(interval), policy.timeliness);
            worst = Some(worst.map_or(figures, |worst| worst.or_worse(figures)));
        }
        measured.now = worst;
        measured.hold(now);
        worst
    }

    /// What a twin's entanglement is now, where it is measured.
    pub(crate) fn of(&self, twin: Handle) -> Option<Entangled> {
        self.twins.get(&twin)?.now
    }

    /// What follows from it. A twin with thresholds is neither good nor bad before it was measured.
    pub(crate) fn standing(&self, twin: &Twin, now: Boottime) -> Standing {
        let Some(limits) = twin.description().policy.entanglement.thresholds else {
            return Standing::FREE;
        };
        let known = self.twins.get(&twin.handle());
        let held = |since: Option<Boottime>, hold: i64| {
            since.is_some_and(|since| now.0.saturating_sub(since.0) >= hold)
        };
        Standing {
            good: held(known.and_then(|k| k.good), limits.hold_in),
            bad: held(known.and_then(|k| k.bad), limits.hold_out),
        }
    }

    /// Twins that are gone.
    pub(crate) fn keep(&mut self, there: impl Fn(Handle) -> bool) {
        self.twins.retain(|handle, _| there(*handle));
    }
}

impl Measured {
    /// Notes since when the value has been good or bad enough for the thresholds.
    fn hold(&mut self, now: Boottime) {
        let Some((limits, entangled)) = self.policy.thresholds.zip(self.now) else {
            (self.good, self.bad) = (None, None);
            return;
        };
        let value = entangled.value();
        let since = |known: Option<Boottime>, holds: bool| holds.then(|| known.unwrap_or(now));
        self.good = since(self.good, value >= limits.enter);
        self.bad = since(self.bad, value < limits.leave);
    }
}

/// Whether a limit from which something follows lies between the two values: a threshold, or the target, by which
/// commands are let through.
fn crossed(policy: &Measuring, said: f32, now: f32) -> bool {
    let leave = policy.thresholds.map_or(policy.target(), |thresholds| thresholds.leave);
    [policy.target(), leave].iter().any(|limit| (said < *limit) != (now < *limit))
}

/// Groups that come by themselves or by our asking, with their intervals.
fn periodic(twin: &Twin) -> impl Iterator<Item = (u16, i64)> {
    let groups = (0u16..).zip(&twin.description().groups);
    groups.filter(|(_, group)| !group.retired).filter_map(|(index, group)| {
        match group.acquisition {
            Acquisition::Polled { interval } => Some((index, interval)),
            // Of a hundred receptions so many are expected: the others are not missing.
            Acquisition::Pushed { interval, reception } => {
                Some((index, interval.saturating_mul(100) / i64::from(reception.clamp(1, 100))))
            }
            Acquisition::OnDemand => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use twin::Thresholds;

    use super::*;

    fn all(share: f32) -> Entangled {
        Entangled { timeliness: share, reliability: share, availability: share }
    }

    /// Three factors can each move too little to be said and together take a twin below its target.
    #[test]
    fn the_target_of_a_twin_without_thresholds_is_a_limit() {
        let policy = Measuring { strong: true, ..Measuring::default() };
        let (whole, less) = (all(1.0), all(0.96));
        assert!(!less.is_news(Some(&whole)) && less.value() < policy.target());
        assert!(crossed(&policy, whole.value(), less.value()));
        assert!(crossed(&policy, less.value(), whole.value()), "and back");
        assert!(!crossed(&policy, 1.0, 0.95));
    }

    #[test]
    fn both_thresholds_are_limits() {
        let thresholds = Thresholds { enter: 0.8, leave: 0.4, hold_in: 0, hold_out: 0 };
        let policy = Measuring { thresholds: Some(thresholds), ..Measuring::default() };
        for (said, now, is) in [(0.81, 0.79, true), (0.39, 0.41, true), (0.5, 0.7, false)] {
            assert_eq!(crossed(&policy, said, now), is, "{said} to {now}");
            assert_eq!(crossed(&policy, now, said), is, "{now} to {said}");
        }
        assert!(!crossed(&policy, 0.95, 0.85), "the default target is not theirs");
    }
}
