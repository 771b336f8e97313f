//! Schedules: kept through reconfiguration, failures and requests; every turn is counted.

use adapter::{Raw, ReadNow, Work};
use tokio::sync::oneshot;
use twin::{Binding, Cause, Quality, Reason, What};

use crate::sim::{ANSWER, MS, Manner, S, Sim, Unit, name, unit};

#[test]
fn changing_one_of_31_leaves_the_others_alone() {
    let units = || (0..31).map(|n| unit(n, S)).collect::<Vec<_>>();
    let (mut sim, mut other) = (Sim::new(units()), Sim::new(units()));
    sim.run(10 * S);
    other.run(10 * S);
    let mut changed = units();
    changed[7].revision = 2;
    changed[7].groups[0].1 = 4;
    sim.agenda.configure(changed, sim.now);
    sim.run(20 * S);
    other.run(20 * S);
    let dues = |sim: &Sim, n: usize| {
        let of = sim.seen.iter().filter(|s| s.twin == name(n));
        of.map(|s| (s.due, s.expected)).collect::<Vec<_>>()
    };
    for n in (0..31).filter(|n| *n != 7) {
        assert_eq!(dues(&sim, n), dues(&other, n), "unit {n} noticed");
    }
    assert_eq!(sim.reports(&name(7)).last().unwrap().revision, 2);
    let bindings = sim.changes.iter().filter(|c| matches!(c.what, What::Binding(_))).count();
    assert_eq!(bindings, 32, "each is bound once, the changed one again");
}

#[test]
fn a_removed_device_is_given_up_and_no_longer_asked() {
    let mut sim = Sim::new(vec![unit(0, S), unit(1, S)]);
    sim.run(3 * S);
    sim.agenda.configure(vec![unit(1, S)], sim.now);
    sim.run(10 * S);
    let gone = sim.changes.iter().find(|c| {
        c.twin == name(0) && matches!(&c.what, What::Binding(Binding { bound: false, .. }))
    });
    assert!(gone.is_some());
    assert!(sim.carried.iter().all(|c| c.twin != name(0) || c.at <= 3 * S));
}

#[test]
fn a_quick_group_is_not_held_up_by_a_slow_one() {
    // Ten requests of 20 ms for the slow group; the quick one goes between them.
    let groups = vec![(Some(60 * S), 20), (Some(100 * MS), 2)];
    let mut sim = Sim::new(vec![Unit { groups, ..unit(0, S) }]);
    sim.run(5 * S);
    let quick = sim.seen.iter().filter(|s| s.group == 1);
    let latest = quick.map(|s| s.at.0 - s.due.0).max().unwrap();
    assert!(latest <= ANSWER, "late by {latest} µs");
    let slow = sim.reports(&name(0)).into_iter().find(|r| r.group == 0).unwrap();
    assert_eq!(slow.entries.len(), 20, "one change of one group");
    assert!(slow.entries.iter().any(|e| e.offset > 100 * MS), "its readings say when");
}

#[test]
fn a_group_that_is_partly_refused_is_one_change() {
    let groups = vec![(Some(S), 6)];
    let mut sim = Sim::new(vec![Unit { groups, ..unit(0, S) }]);
    sim.manners.insert(name(0), Manner::Refuses(4));
    sim.run(3 * S);
    let report = sim.reports(&name(0))[0];
    let good: Vec<bool> = report.entries.iter().map(|e| e.quality.is_good()).collect();
    assert_eq!(good, [true, true, true, true, false, false]);
    assert_eq!(report.entries[5].quality, Quality::bad(Cause::Refused));
    assert!(sim.seen.iter().all(|s| !s.ok), "it is not complete");
}

#[test]
fn a_busy_device_is_given_time_and_is_not_dead() {
    let mut sim = Sim::new(vec![unit(0, 10 * S)]);
    sim.manners.insert(name(0), Manner::Later);
    sim.run(2500 * MS);
    sim.manners.insert(name(0), Manner::Good);
    sim.run(3 * S);
    assert!(sim.carried.len() >= 4, "{} requests", sim.carried.len());
    assert!(sim.seen.iter().all(|s| s.expected == 1));
    sim.run(40 * S);
    assert!(sim.reports(&name(0)).last().unwrap().entries[0].quality.is_good());
}

#[test]
fn an_asset_says_who_it_is_before_it_reports() {
    let mut sim = Sim::new(vec![Unit { identity: true, ..unit(0, S) }]);
    sim.values.insert(name(0), 42);
    sim.run(2 * S);
    let What::Binding(binding) = &sim.changes[0].what else { panic!("{:?}", sim.changes[0]) };
    assert_eq!(binding.asset.as_deref(), Some("serial [42, 42]"));
    assert!(matches!(sim.changes[1].what, What::Reported(_)));
}

#[test]
fn a_line_that_goes_down_makes_everything_bad_once_and_counts_on() {
    let mut sim = Sim::new((0..3).map(|n| unit(n, S)).collect());
    sim.run(5 * S);
    let (changes, seen) = (sim.changes.len(), sim.seen.len());
    sim.agenda.line_down(sim.now, &"pulled out".into());
    sim.run(15 * S);
    let bad: Vec<_> =
        (0..3).map(|n| sim.reports(&name(n)).last().unwrap().entries.clone()).collect();
    let lost = Quality::bad(Cause::NotConnected);
    assert!(bad.iter().flatten().all(|e| e.quality == lost && e.value.is_none()));
    assert_eq!(sim.changes.len(), changes + 3, "once each");
    let skipped: u32 = sim.seen[seen..].iter().map(|s| s.expected).sum();
    assert!((28..=31).contains(&skipped), "{skipped} turns");
    let carried = sim.carried.len();
    sim.agenda.line_up(sim.now);
    sim.run(15 * S + 100 * MS);
    assert!(sim.carried.len() >= carried + 3, "all are asked at once");
}

#[test]
fn a_read_is_served_ahead_of_polls_and_answered() {
    let groups = vec![(Some(S), 2), (None, 2)];
    let mut sim = Sim::new(vec![Unit { groups, ..unit(0, S) }]);
    sim.run(4500 * MS);
    assert!(sim.carried.iter().all(|c| !format!("{:?}", c.work).contains("100")), "on demand only");
    let (answer, mut answered) = oneshot::channel();
    let read = ReadNow { twin: name(0), points: vec![100, 0], command: None, answer };
    sim.agenda.read_now(read, sim.now);
    sim.run(4600 * MS);
    let read = answered.try_recv().unwrap().unwrap();
    let groups: Vec<_> = read.iter().map(|r| (r.group, r.entries.len())).collect();
    assert_eq!(groups, [(0, 1), (1, 1)]);
    let (answer, mut answered) = oneshot::channel();
    let read = ReadNow { twin: name(0), points: vec![7], command: None, answer };
    sim.agenda.read_now(read, sim.now);
    assert_eq!(answered.try_recv().unwrap().unwrap_err().reason, Reason::NoSuchPoint);
}

#[test]
fn a_raw_request_waits_for_polls_and_brings_its_answer() {
    let mut sim = Sim::new(vec![unit(0, S), unit(1, S)]);
    sim.values.insert(name(1), 7);
    sim.run(4500 * MS);
    let ask = |sim: &mut Sim, twin, request: &[u8]| {
        let (answer, answered) = oneshot::channel();
        sim.agenda.raw(Raw { twin, request: request.to_vec(), answer }, sim.now);
        answered
    };
    let mut answered = ask(&mut sim, name(1), &[200]);
    sim.run(4600 * MS);
    assert_eq!(answered.try_recv().unwrap().unwrap(), 7_i64.to_be_bytes());
    let carried = sim.carried.last().unwrap();
    assert_eq!((&carried.twin, &carried.work), (&name(1), &Work::Read(vec![200])));
    let mut readings = sim.reports(&name(1)).into_iter().flat_map(|report| report.entries.iter());
    assert!(readings.all(|entry| entry.index != 200), "it is no reading");

    let reason = |sim: &mut Sim, twin, request: &[u8]| {
        let mut answered = ask(sim, twin, request);
        let until = sim.now + 100 * MS;
        sim.run(until);
        answered.try_recv().unwrap().unwrap_err().reason
    };
    assert_eq!(reason(&mut sim, name(5), &[0]), Reason::NoSuchTwin);
    assert_eq!(reason(&mut sim, name(1), &[]), Reason::NotWritable);
    sim.manners.insert(name(1), Manner::Refuses(200));
    assert_eq!(reason(&mut sim, name(1), &[201]), Reason::Refused);
    sim.manners.insert(name(1), Manner::Later);
    let mut answered = ask(&mut sim, name(1), &[200]);
    sim.run(sim.now + 5 * S);
    let busy = answered.try_recv().unwrap().unwrap_err();
    assert_eq!(busy.reason, Reason::Busy, "it may answer later: no refusal to conclude from");
}

#[test]
fn a_raw_request_to_a_dead_or_removed_device_ends() {
    let mut sim = Sim::new(vec![unit(0, S), unit(1, S)]);
    sim.run(1500 * MS);
    sim.manners.insert(name(1), Manner::Dead);
    let (answer, mut answered) = oneshot::channel();
    sim.agenda.raw(Raw { twin: name(1), request: vec![1], answer }, sim.now);
    sim.run(30 * S);
    assert_eq!(
        answered.try_recv().unwrap().unwrap_err().reason,
        Reason::NoAnswer,
        "it dies meanwhile"
    );
    let (answer, mut answered) = oneshot::channel();
    sim.agenda.raw(Raw { twin: name(1), request: vec![1], answer }, sim.now);
    assert_eq!(answered.try_recv().unwrap().unwrap_err().reason, Reason::NoAnswer);
    let (answer, mut answered) = oneshot::channel();
    sim.agenda.raw(Raw { twin: name(0), request: vec![1], answer }, sim.now);
    sim.agenda.configure(vec![unit(1, S)], sim.now);
    assert_eq!(answered.try_recv().unwrap().unwrap_err().reason, Reason::LineDown);
}
