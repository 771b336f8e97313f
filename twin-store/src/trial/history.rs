//! History opens what may hold what is asked for, decodes what is asked for, and nothing else.

use std::time::Duration;

use twin::{
    Boottime, Change, Entry, Handle, Origin, Quality, Relationship, Reported, Seq, Submission,
    TimeBase, Timestamp, Value, What,
};

use super::model::{Life, TWINS, options};
use super::sim::Sim;
use crate::frame::{Class, Frame, Kind};
use crate::history::{Effort, Query};

/// Readings of each twin in each of its turns.
const TURN: u64 = 70;

fn change(twin: usize, what: What) -> Submission {
    let twin = TWINS[twin].parse().unwrap();
    Submission::change(Change { twin, origin: Origin::Asset, what })
}

fn reading(life: &Life, twin: usize, value: u64) -> Submission {
    let value = Some(Value::Text(format!("{value:0100}").into()));
    let reported = Reported {
        revision: 1,
        group: 0,
        source: TimeBase::gateway(Boottime(life.core.now().boottime.0)),
        server: None,
        command: None,
        continued: false,
        entries: vec![Entry { index: 2, quality: Quality::GOOD, value, offset: 0 }],
    };
    change(twin, What::Reported(reported))
}

/// Four turns: one twin, the other, and both once more; a relation after every tenth reading.
fn past() -> Life {
    let mut options = options(true);
    options.snapshot = 1 << 20;
    let (mut life, _) = Life::begin(Sim::default(), options, 1, 1);
    life.found();
    for turn in 0..4 {
        for n in 0..TURN {
            let reading = reading(&life, turn % 2, turn as u64 * TURN + n);
            life.core.accept(&mut vec![reading]);
            if n % 10 == 9 {
                let target = format!("{turn}-{n}-{:0200}", 0).into();
                let what = What::Related(Relationship { name: "feeds".parse().unwrap(), target });
                life.core.accept(&mut vec![change(0, what)]);
            }
            life.hand.advance(Duration::from_secs(1));
            life.work();
        }
    }
    life
}

fn all(life: &Life, query: Query) -> (Vec<Frame>, Effort) {
    let mut history = life.store.browse(query);
    let mut out = Vec::new();
    while let Some(frame) = history.next().unwrap() {
        out.push(frame);
    }
    (out, history.effort())
}

fn segments(life: &Life) -> (u64, u64) {
    let families = life.store.statistics().families;
    (families[0].2 as u64, families[1].2 as u64)
}

#[test]
fn a_twin_that_was_silent_for_long_costs_nothing_for_that_time() {
    let life = past();
    let (samples, records) = segments(&life);
    assert!(samples > 15 && records > 3, "{samples} {records}");
    let query = Query { twin: Some(Handle(2)), class: Some(Class::Sample), ..Query::default() };
    let (found, effort) = all(&life, query);
    assert_eq!(found.iter().filter(|f| f.kind == Kind::Reported).count() as u64, 2 * TURN);
    assert!(found.is_sorted_by_key(|f| f.seq) && found.iter().all(|f| f.handle == Handle(2)));
    assert_eq!(effort.wanted, found.len() as u64, "nothing else is decoded");
    // Those in which the turns change hold both twins.
    assert!(effort.segments <= samples / 2 + 4, "{effort:?} of {samples}");
    assert!(effort.passed < 3 * TURN, "{effort:?}");
}

#[test]
fn a_class_costs_nothing_in_the_other_family() {
    let life = past();
    let (_, records) = segments(&life);
    let (found, effort) = all(&life, Query { class: Some(Class::Record), ..Query::default() });
    assert_eq!(found.iter().filter(|f| f.kind == Kind::Related).count() as u64, 4 * TURN / 10);
    assert!(effort.segments <= records, "{effort:?} of {records}");
    let (alarms, effort) = all(&life, Query { class: Some(Class::Alarm), ..Query::default() });
    assert!(alarms.is_empty());
    // The one that is being written has no footer yet.
    assert!(effort.segments <= 1, "{effort:?}");
}

#[test]
fn a_time_and_a_range_cost_what_lies_in_them() {
    let life = past();
    let begin = 1_800_000_000_000_000;
    let at = |second: i64| Some(Timestamp(begin + second * 1_000_000));
    let query = Query { after: at(100), before: at(110), ..Query::default() };
    let (found, effort) = all(&life, query);
    let readings = found.iter().filter(|f| f.kind == Kind::Reported).count();
    assert_eq!(readings, 10);
    assert!(effort.segments <= 8, "{effort:?}");
    let (from, until) = (found[0].seq, found[found.len() - 1].seq);
    let (same, effort) = all(&life, Query { from, until, ..Query::default() });
    assert_eq!(
        same.iter().map(|f| f.seq).collect::<Vec<_>>(),
        found.iter().map(|f| f.seq).collect::<Vec<_>>()
    );
    assert!(effort.segments <= 8, "{effort:?}");
    let (none, _) = all(&life, Query { from: until.next(), until: from, ..Query::default() });
    assert!(none.is_empty());
}

#[test]
fn the_last_ones_are_found_from_the_end() {
    let life = past();
    let everything = all(&life, Query::default()).0;
    for n in [0, 1, 5, 40, 10_000] {
        let (found, effort) = life.store.latest(&Query::default(), n, |_| true).unwrap();
        let from = everything.len().saturating_sub(n);
        let seqs = |frames: &[Frame]| frames.iter().map(|f| f.seq).collect::<Vec<Seq>>();
        assert_eq!(seqs(&found), seqs(&everything[from..]), "the last {n}");
        if n <= 5 {
            assert!(effort.segments <= 6, "{effort:?}");
        }
    }
    // Of the first twin, whose last turn was the one before the last.
    let query = Query { twin: Some(Handle(1)), class: Some(Class::Sample), ..Query::default() };
    let (found, effort) = life.store.latest(&query, 3, |f| f.kind == Kind::Reported).unwrap();
    assert_eq!(found.len(), 3);
    let (samples, _) = segments(&life);
    assert!(effort.segments < samples / 4, "{effort:?} of {samples}");
}

#[test]
fn a_search_gives_up_in_between_and_goes_on() {
    let life = past();
    let query = Query { twin: Some(Handle(2)), class: Some(Class::Sample), ..Query::default() };
    let expected = all(&life, query.clone()).0.len();
    let mut history = life.store.browse(query);
    let (mut found, mut pauses) = (0, 0);
    while let Some(frame) = history.next_within(1).unwrap() {
        found += usize::from(frame.is_some());
        pauses += usize::from(frame.is_none());
    }
    assert_eq!(found, expected);
    assert!(pauses > 0);
}
