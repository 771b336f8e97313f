//! One bus, 31 units, 10 of them dead: what the living pay.

use std::collections::BTreeMap;

use adapter::{Raw, ReadNow, Work};
use tokio::sync::oneshot;
use twin::{Cause, Quality, Reason, Value, What};

use crate::sim::{ANSWER, Carried, Manner, QUARANTINE, S, Sim, TIMEOUT, Unit, name, unit};

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
fn an_identity_of_which_a_part_was_put_off_is_asked_for_again() {
    let shy = Unit { identity: true, ..unit(0, S) };
    let mut sim = Sim::new(vec![shy]);
    sim.manners.insert(name(0), Manner::Shy);
    sim.values.insert(name(0), 7);
    sim.run(10 * S);
    let bound = |sim: &Sim| -> Vec<String> {
        let of = sim.changes.iter().filter_map(|change| match &change.what {
            What::Binding(binding) => binding.asset.as_deref().map(str::to_owned),
            _ => None,
        });
        of.collect()
    };
    let early = bound(&sim);
    assert!(early.iter().all(|asset| asset.is_empty()), "a part is no identity: {early:?}");
    sim.manners.remove(&name(0));
    sim.run(60 * S);
    assert!(bound(&sim).last().unwrap().contains("serial [7, 7]"), "{:?}", bound(&sim));
}

#[test]
fn a_doubtful_unit_is_asked_what_it_is_before_it_is_polled_again() {
    let doubtful = Unit { doubtful: true, ..unit(1, S) };
    let mut sim = Sim::new(vec![unit(0, S), doubtful]);
    sim.run(5 * S);
    assert!(!sim.reports(&name(1)).is_empty(), "at first nobody doubts it");
    sim.manners.insert(name(1), Manner::Dead);
    sim.run(30 * S);
    // Another device stands there now.
    sim.manners.remove(&name(1));
    sim.values.insert(name(1), 8);
    let (back, turns) = (sim.now, sim.seen.len());
    sim.run(back + 60 * S);
    let probe = Work::Read(vec![0]);
    let carried = || sim.carried.iter().filter(|c| c.twin == name(1) && c.at >= back);
    assert!(carried().count() > 0 && carried().all(|c| c.work == probe), "only probes");
    let told = |sim: &Sim| {
        sim.reports(&name(1))
            .iter()
            .any(|r| r.entries.iter().any(|e| e.value == Some(Value::Signed(8))))
    };
    assert!(!told(&sim), "its values are not those of the twin");
    let missed = sim.seen.iter().skip(turns).filter(|s| s.twin == name(1));
    assert!(missed.clone().all(|s| !s.ok), "and its turns count as missed");
    assert!(missed.map(|s| s.expected).sum::<u32>() >= 58);

    let (answer, mut answered) = oneshot::channel();
    let read = ReadNow { twin: name(1), points: vec![0], command: None, answer };
    sim.agenda.read_now(read, sim.now);
    assert_eq!(answered.try_recv().unwrap().unwrap_err().reason, Reason::Busy);
    let (answer, mut answered) = oneshot::channel();
    sim.agenda.raw(Raw { twin: name(1), request: vec![50], answer }, sim.now);
    sim.run(sim.now + S);
    assert_eq!(answered.try_recv().unwrap().unwrap(), 8_i64.to_be_bytes(), "it can be asked");

    sim.agenda.proven(&name(1));
    sim.run(sim.now + 3 * S);
    assert!(told(&sim), "it is polled again");
    sim.agenda.line_down(sim.now, &"unplugged".into());
    sim.agenda.proven(&name(1));
    sim.agenda.line_up(sim.now);
    let polls = sim.carried.len();
    sim.run(sim.now + 5 * S);
    let of = |c: &&Carried| c.twin == name(1);
    assert_eq!(
        sim.carried.iter().skip(polls).filter(of).count(),
        0,
        "a line that was down as well"
    );
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
