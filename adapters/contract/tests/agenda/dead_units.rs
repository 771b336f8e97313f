//! One bus, 31 units, 10 of them dead: what the living pay.

use std::collections::BTreeMap;

use twin::{Cause, Quality};

use crate::sim::{ANSWER, Manner, QUARANTINE, S, Sim, TIMEOUT, name, unit};

const UNITS: usize = 31;
const DEAD: usize = 10;

/// Every third unit is dead.
fn bus(period: i64) -> Sim {
    let mut sim = Sim::new((0..UNITS).map(|n| unit(n, period)).collect());
    for n in 0..DEAD {
        sim.manners.insert(name(n * 3), Manner::Dead);
    }
    sim
}

fn dead(sim: &Sim, twin: &twin::TwinId) -> bool {
    sim.manners.get(twin) == Some(&Manner::Dead)
}

#[test]
fn the_living_are_late_by_one_probe_at_most_and_probes_take_a_twentieth() {
    let mut sim = bus(S);
    sim.run(600 * S);
    let bound = TIMEOUT + QUARANTINE + ANSWER;
    let living: Vec<_> =
        sim.seen.iter().filter(|s| !dead(&sim, &s.twin) && s.due.0 > 60 * S).collect();
    assert!(living.len() >= (UNITS - DEAD) * 530, "{} polls", living.len());
    let latest = living.iter().map(|s| s.at.0 - s.due.0).max().unwrap();
    assert!(latest <= bound, "late by {latest} µs, {bound} allowed");
    assert!(living.iter().all(|s| s.ok && s.expected == 1), "a turn was missed");
    let probes = sim.carried.iter().filter(|c| dead(&sim, &c.twin) && c.at > 60 * S);
    let cost: i64 = probes.clone().map(|c| c.free - c.at).sum();
    assert!(cost * 20 <= 540 * S, "probes took {cost} µs of 540 s");
    assert!(probes.count() >= 25, "but they are probed");
}

#[test]
fn a_dead_unit_is_found_out_within_the_first_minute() {
    let mut sim = bus(S);
    sim.run(60 * S);
    for n in 0..DEAD {
        let reports = sim.reports(&name(n * 3));
        let [report] = reports.as_slice() else { panic!("{} reports of a failure", reports.len()) };
        assert!(report.entries.iter().all(|e| e.quality == Quality::bad(Cause::Timeout)));
        assert!(report.entries.iter().all(|e| e.value.is_none()));
    }
    let mut expected: BTreeMap<_, u32> = BTreeMap::new();
    sim.seen.iter().for_each(|s| *expected.entry(s.twin.clone()).or_default() += s.expected);
    assert!(expected.values().all(|n| (57..=60).contains(n)), "turns are counted: {expected:?}");
}

#[test]
fn a_unit_that_returns_is_polled_at_once_after_its_probe() {
    let mut sim = bus(S);
    sim.run(120 * S);
    let back = name(3);
    sim.manners.insert(back.clone(), Manner::Good);
    let since = sim.seen.len();
    sim.run(420 * S);
    let good: Vec<_> = sim.seen[since..].iter().filter(|s| s.twin == back && s.ok).collect();
    let probe = sim.carried.iter().find(|c| c.twin == back && c.answered).unwrap();
    assert!(good[0].at.0 - probe.free <= 2 * ANSWER, "a probe is followed by a poll");
    assert!(good.len() > 30, "{} polls", good.len());
}

#[test]
fn a_line_on_which_nobody_lives_probes_as_often_as_the_pauses_allow() {
    let mut sim = Sim::new(vec![unit(0, S)]);
    sim.manners.insert(name(0), Manner::Dead);
    sim.run(120 * S);
    let probes = sim.carried.len();
    assert!((6..30).contains(&probes), "{probes} requests");
    assert!(sim.carried.last().unwrap().at > 85 * S);
}

#[test]
fn a_full_line_still_probes() {
    // 21 living units at 20 ms each, polled every 420 ms: there is no pause between polls.
    let mut sim = bus(420_000);
    sim.run(600 * S);
    let probes = sim.carried.iter().filter(|c| dead(&sim, &c.twin) && c.at > 120 * S).count();
    assert!(probes >= 10, "{probes} probes");
}
