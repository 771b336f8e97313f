//! Which transition is due: a pure function of a twin, what was heard of it, and the time.

use twin::{Acquisition, Boottime, LifeCycle, Trigger, Twin};

use crate::measure::Standing;

/// What was heard of one acquisition group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fresh {
    /// Which group.
    pub group: u16,
    /// The last complete acquisition, in this run of the daemon.
    pub last: Option<Boottime>,
}

/// What is known of a twin besides its state.
#[derive(Debug, Clone, Copy)]
pub struct Presence<'a> {
    /// The configuration names it.
    pub configured: bool,
    /// One of its lines has reached the asset in this run of the daemon.
    pub reached: bool,
    /// When it entered its present state, or the daemon started, whichever is later.
    pub entered: Boottime,
    /// When it was last without an asset, or the daemon started: what was heard since is of the asset it has.
    pub alone: Boottime,
    /// What was heard of its groups.
    pub fresh: &'a [Fresh],
    /// What follows from its entanglement.
    pub standing: Standing,
}

/// The trigger that is due now, if there is one.
#[must_use]
pub fn trigger(twin: &Twin, presence: &Presence<'_>, now: Boottime) -> Option<Trigger> {
    let state = twin.life_cycle();
    if !presence.configured {
        return state.after(Trigger::Stopped).map(|_| Trigger::Stopped);
    }
    match state {
        LifeCycle::Created | LifeCycle::Done => Some(Trigger::Configured),
        // What was heard before every line gave it up is no news.
        LifeCycle::Unbound if given_up(twin) => None,
        LifeCycle::Unbound => presence.reached.then_some(Trigger::AssetBound),
        LifeCycle::Bound | LifeCycle::Shadowed | LifeCycle::OutOfSync if given_up(twin) => {
            Some(Trigger::AssetUnbound)
        }
        // The very answer that bound it counts, and so does what is still fresh after a silence: a slow group would
        // otherwise hold the twin back for its whole interval.
        LifeCycle::Bound | LifeCycle::OutOfSync
            if presence.standing.good && complete(twin, presence, now) =>
        {
            let asks = twin.description().policy.entanglement.thresholds.is_some();
            let recovers = asks && state == LifeCycle::OutOfSync;
            Some(if recovers { Trigger::Recovered } else { Trigger::FirstCompletePoll })
        }
        LifeCycle::OutOfSync => None,
        LifeCycle::Bound | LifeCycle::Shadowed if silent(twin, presence, now) => {
            Some(Trigger::Silence)
        }
        LifeCycle::Shadowed => presence.standing.bad.then_some(Trigger::Threshold),
        LifeCycle::Bound => None,
        LifeCycle::Migrating => None,
    }
}

/// Every line that once reached the asset has given it up.
fn given_up(twin: &Twin) -> bool {
    !twin.bindings().is_empty() && twin.bindings().values().all(|binding| !binding.bound)
}

/// Groups that come by themselves or by our asking, with their greatest age; on-demand groups prove nothing.
fn periodic(twin: &Twin) -> impl Iterator<Item = (u16, i64)> {
    let groups = twin.description().groups.iter().enumerate();
    groups
        .filter(|(_, g)| !g.retired && !matches!(g.acquisition, Acquisition::OnDemand))
        .filter_map(|(i, g)| Some((u16::try_from(i).ok()?, g.max_age)))
}

fn last(presence: &Presence<'_>, group: u16) -> Option<Boottime> {
    presence.fresh.iter().find(|f| f.group == group).and_then(|f| f.last)
}

/// Every periodic group was acquired since the asset was last out of reach, and none is older than it may be.
fn complete(twin: &Twin, presence: &Presence<'_>, now: Boottime) -> bool {
    presence.reached
        && periodic(twin).all(|(group, max_age)| {
            last(presence, group)
                .is_some_and(|at| at >= presence.alone && (max_age == 0 || now.0 - at.0 <= max_age))
        })
}

/// Some periodic group was not acquired for longer than it may be old.
fn silent(twin: &Twin, presence: &Presence<'_>, now: Boottime) -> bool {
    periodic(twin).any(|(group, max_age)| {
        let since = last(presence, group).map_or(presence.entered, |at| at.max(presence.entered));
        max_age != 0 && now.0 - since.0 > max_age
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use twin::{Binding, Declaration, Description, Group, Handle, Origin, Seq, TRANSITIONS, What};

    use super::*;

    const S: i64 = 1_000_000;

    /// A twin with a group polled each second that may be 5 s old, one that may be any age, and one on demand.
    fn twin(path: &[Trigger]) -> Twin {
        let group = |name: &str, acquisition, max_age| Group {
            name: name.parse().unwrap(),
            acquisition,
            max_age,
            retired: false,
        };
        let groups = vec![
            group("fast", Acquisition::Polled { interval: S }, 5 * S),
            group("slow", Acquisition::Polled { interval: 60 * S }, 0),
            group("asked", Acquisition::OnDemand, S),
        ];
        let declared = Declaration { groups, ..Declaration::default() };
        let description = Description::default().revise(&declared).unwrap().description;
        let mut twin = Twin::new("t".parse().unwrap(), Handle(1));
        twin.apply(
            Seq(1),
            Boottime(0),
            &Origin::Configuration,
            &What::Described(Arc::new(description)),
        );
        for trigger in path {
            let from = twin.life_cycle();
            let to = from.after(*trigger).unwrap();
            let what =
                What::Transition { from, to, trigger: *trigger, detail: None, entanglement: None };
            twin.apply(Seq(2), Boottime(0), &Origin::Keeper, &what);
        }
        twin
    }

    fn at(
        twin: &Twin,
        entered: i64,
        fast: Option<i64>,
        slow: Option<i64>,
        now: i64,
    ) -> Option<Trigger> {
        let fresh = [
            Fresh { group: 0, last: fast.map(Boottime) },
            Fresh { group: 1, last: slow.map(Boottime) },
        ];
        let presence = Presence {
            configured: true,
            reached: true,
            entered: Boottime(entered),
            alone: Boottime(entered),
            fresh: &fresh,
            standing: Standing::FREE,
        };
        trigger(twin, &presence, Boottime(now))
    }

    use Trigger::{AssetBound, Configured, FirstCompletePoll, Silence, Stopped};

    #[test]
    fn a_twin_is_shadowed_when_every_periodic_group_was_read() {
        let bound = twin(&[Configured, AssetBound]);
        assert_eq!(at(&bound, 0, Some(S), None, S), None, "the slow group is missing");
        assert_eq!(at(&bound, 0, Some(S), Some(S), S), Some(FirstCompletePoll));
        assert_eq!(
            at(&bound, 2 * S, Some(S), Some(3 * S), 3 * S),
            None,
            "read when it was without an asset"
        );
        let fresh = [0, 1].map(|group| Fresh { group, last: Some(Boottime(S)) });
        let presence = Presence {
            configured: true,
            reached: true,
            entered: Boottime(2 * S),
            alone: Boottime(0),
            fresh: &fresh,
            standing: Standing::FREE,
        };
        assert_eq!(
            trigger(&bound, &presence, Boottime(3 * S)),
            Some(FirstCompletePoll),
            "the answers that bound it count"
        );
    }

    #[test]
    fn silence_longer_than_max_age_is_out_of_sync() {
        let shadowed = twin(&[Configured, AssetBound, FirstCompletePoll]);
        assert_eq!(at(&shadowed, 0, Some(10 * S), Some(S), 15 * S), None);
        assert_eq!(at(&shadowed, 0, Some(10 * S), Some(S), 15 * S + 1), Some(Silence));
        assert_eq!(
            at(&shadowed, 0, None, None, 5 * S),
            None,
            "time to be heard begins with the state"
        );
    }

    #[test]
    fn what_is_still_fresh_after_a_silence_counts() {
        let lost = twin(&[Configured, AssetBound, FirstCompletePoll, Silence]);
        let heard = |fast: i64, slow: i64, alone: i64| {
            let fresh = [
                Fresh { group: 0, last: Some(Boottime(fast)) },
                Fresh { group: 1, last: Some(Boottime(slow)) },
            ];
            let presence = Presence {
                configured: true,
                reached: true,
                entered: Boottime(20 * S),
                alone: Boottime(alone),
                fresh: &fresh,
                standing: Standing::FREE,
            };
            trigger(&lost, &presence, Boottime(22 * S))
        };
        assert_eq!(heard(14 * S, 21 * S, 0), None, "the fast group is still silent");
        assert_eq!(
            heard(21 * S, S, 0),
            Some(FirstCompletePoll),
            "the slow group need not come first"
        );
        assert_eq!(heard(21 * S, S, 2 * S), None, "the slow group was heard of another binding");
    }

    #[test]
    fn a_twin_that_every_line_gave_up_stays_unbound_until_one_reaches_it_again() {
        let mut twin = twin(&[Configured, AssetBound]);
        let bind = |twin: &mut Twin, bound| {
            let binding = Binding { line: "l".into(), bound, asset: None, cause: None };
            twin.apply(Seq(3), Boottime(0), &Origin::Asset, &What::Binding(binding));
        };
        bind(&mut twin, false);
        assert_eq!(at(&twin, 0, Some(S), Some(S), S), Some(Trigger::AssetUnbound));
        let (from, trigger) = (LifeCycle::Bound, Trigger::AssetUnbound);
        let what = What::Transition {
            from,
            to: LifeCycle::Unbound,
            trigger,
            detail: None,
            entanglement: None,
        };
        twin.apply(Seq(4), Boottime(0), &Origin::Keeper, &what);
        assert_eq!(at(&twin, 2 * S, Some(S), Some(S), 2 * S), None, "heard before it was given up");
        bind(&mut twin, true);
        assert_eq!(at(&twin, 2 * S, Some(3 * S), None, 3 * S), Some(AssetBound));
    }

    #[test]
    fn whatever_is_decided_can_happen() {
        let paths: &[&[Trigger]] = &[
            &[],
            &[Configured],
            &[Configured, AssetBound],
            &[Configured, AssetBound, FirstCompletePoll],
            &[Configured, AssetBound, Silence],
            &[Configured, Stopped],
        ];
        for path in paths {
            let mut twin = twin(path);
            for bound in [None, Some(true), Some(false)] {
                if let Some(bound) = bound {
                    let binding = Binding { line: "l".into(), bound, asset: None, cause: None };
                    twin.apply(Seq(3), Boottime(0), &Origin::Asset, &What::Binding(binding));
                }
                for bits in 0..16u8 {
                    let last = (bits & 4 != 0).then_some(Boottime(S));
                    let fresh = [Fresh { group: 0, last }, Fresh { group: 1, last }];
                    let presence = Presence {
                        configured: bits & 1 != 0,
                        reached: bits & 2 != 0,
                        entered: Boottime(0),
                        alone: Boottime(0),
                        fresh: &fresh,
                        standing: Standing::FREE,
                    };
                    let now = Boottime(if bits & 8 != 0 { 100 * S } else { S });
                    if let Some(by) = trigger(&twin, &presence, now) {
                        let from = twin.life_cycle();
                        assert!(
                            TRANSITIONS.iter().any(|(f, b, _)| (*f, *b) == (from, by)),
                            "{from} by {by}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_twin_that_nobody_configures_is_done() {
        let shadowed = twin(&[Configured, AssetBound, FirstCompletePoll]);
        let presence = Presence {
            configured: false,
            reached: true,
            entered: Boottime(0),
            alone: Boottime(0),
            fresh: &[],
            standing: Standing::FREE,
        };
        assert_eq!(trigger(&shadowed, &presence, Boottime(0)), Some(Stopped));
        let done = twin(&[Configured, Stopped]);
        assert_eq!(trigger(&done, &presence, Boottime(0)), None);
        let back = Presence { configured: true, ..presence };
        assert_eq!(trigger(&done, &back, Boottime(0)), Some(Configured));
    }
}
