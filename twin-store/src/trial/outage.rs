//! 72 hours without the far side, in fast time: readings become envelopes, envelopes go, and all of it is said.

use std::collections::BTreeMap;
use std::time::Duration;

use twin::{
    Boottime, Change, Entry, GapCause, Origin, Quality, Reported, Seq, Submission, TimeBase, Value,
    What,
};

use super::check::{envelope, ranges, read_all};
use super::model::{Life, TWINS, options};
use super::sim::Sim;
use crate::disk::Disk;
use crate::filter::LinkOptions;
use crate::frame::{Class, Frame, Kind};
use crate::lanes::{Lanes, Limit, Want};
use crate::options::Options;

const HOURS: u64 = 72;
const EVERY: Duration = Duration::from_secs(10);
const BUDGET: u64 = 128 << 10;
const ALL: Limit = Limit { frames: 10_000, bytes: usize::MAX };

fn small() -> Options {
    let mut options = options(true);
    options.thin = Duration::from_secs(15 * 60);
    options.samples.segment = 16 << 10;
    options.samples.bytes = BUDGET;
    options.records.segment = 16 << 10;
    options.records.bytes = 256 << 10;
    options.ring = 8 << 10;
    options.snapshot = 16 << 10;
    options
}

fn reading(life: &Life, twin: &str, value: u64) -> Submission {
    let entry =
        |index, value| Entry { index, quality: Quality::GOOD, value: Some(value), offset: 0 };
    let reported = Reported {
        revision: 1,
        group: 0,
        source: TimeBase::gateway(Boottime(life.core.now().boottime.0)),
        server: None,
        command: None,
        continued: false,
        entries: vec![
            entry(0, Value::Unsigned(value)),
            entry(3, Value::Bool(value.is_multiple_of(2))),
        ],
    };
    let twin = twin.parse().unwrap();
    Submission::change(Change { twin, origin: Origin::Asset, what: What::Reported(reported) })
}

fn drain(lanes: &mut Lanes) -> Vec<Frame> {
    let mut all = Vec::new();
    let mut out = Vec::new();
    while let Some(lane) = lanes.next(Want::Backlog, Some(Class::Sample), ALL, &mut out) {
        for frame in out.drain(..) {
            lanes.settled(lane, frame.seq);
            all.push(frame);
        }
    }
    all
}

#[test]
fn three_days_without_the_far_side() {
    let disk = Sim::default();
    let (mut life, _) = Life::begin(disk.clone(), small(), 1, 1);
    life.found();
    let name = |n: &str| n.parse().unwrap();
    // Three links: one is cut from the first hour on, one after a day, one gets half of what happens.
    let mut early = life.store.link(&name("early"), LinkOptions::default());
    let mut late = life.store.link(&name("late"), LinkOptions::default());
    let half = LinkOptions { twins: vec!["pump".to_owned()], ..LinkOptions::default() };
    let mut half = life.store.link(&name("half"), half);
    for lanes in [&mut early, &mut late, &mut half] {
        lanes.connected();
        lanes.disconnected();
    }
    life.store.forget_link(&name("north"));
    // What every sample said, by its twin and number.
    let mut said: BTreeMap<(usize, Seq), u64> = BTreeMap::new();
    let (mut most_disk, mut most_memory) = (0, 0);
    let mut late_got = Vec::new();
    let steps = HOURS * 3_600 / EVERY.as_secs();
    for step in 0..steps {
        for (i, twin) in TWINS.iter().enumerate() {
            let value = (step * 7 + i as u64 * 13) % 60_000;
            let reading = reading(&life, twin, value);
            life.core.accept(&mut vec![reading]);
            said.insert((i, life.store.head()), value);
        }
        life.hand.advance(EVERY);
        life.work();
        let hour = step * EVERY.as_secs() / 3_600;
        if hour < 24 && step % 600 == 0 {
            late.connected();
            late_got.extend(drain(&mut late));
            late.disconnected();
        }
        if step % 50 == 0 {
            let names = disk.list().unwrap();
            let samples = names.iter().filter(|n| n.contains("samples"));
            let bytes = samples.map(|n| disk.open(n).unwrap().len().unwrap()).sum::<u64>();
            most_disk = most_disk.max(bytes);
            most_memory = most_memory.max(life.store.statistics().ring.1);
        }
    }
    let statistics = life.store.statistics();
    assert!(statistics.counters.thinned_segments > 50, "{statistics:?}");
    assert!(statistics.counters.dropped_segments > 0, "{statistics:?}");
    assert!(most_disk <= BUDGET, "{most_disk} bytes of {BUDGET}");
    assert!(most_memory <= 8 << 10, "{most_memory} bytes in memory");

    let log = read_all(&life);
    let dropped = ranges(&life, &log, |cause| cause == GapCause::Retention);
    let thinned = ranges(&life, &log, |cause| cause == GapCause::Thinned);
    assert!(!dropped.is_empty() && thinned.len() > 10, "what was done is said");
    let first_dropped = dropped.iter().map(|(_, last)| *last).max().unwrap();
    for (a, b) in &dropped {
        let before = thinned.iter().any(|(x, y)| x <= a && b <= y);
        assert!(before, "{a:?} to {b:?} was dropped before it was thinned");
    }

    for (lanes, only) in [(&mut early, None), (&mut half, Some(0)), (&mut late, None)] {
        let resume = lanes.connected();
        let overtaken = resume.overtaken.map_or(Seq(0), |(_, last)| last);
        if only.is_none() && overtaken > Seq(0) {
            assert_eq!((overtaken, resume.changed.len()), (first_dropped, TWINS.len()));
        }
        let got = drain(lanes);
        check(&life, &got, &said, overtaken, only);
    }
    assert!(late_got.iter().any(|f| f.kind == Kind::Reported));
}

/// Everything after what was lost is there once: as it was, or in one envelope that sums it up rightly.
fn check(
    life: &Life,
    got: &[Frame],
    said: &BTreeMap<(usize, Seq), u64>,
    overtaken: Seq,
    only: Option<usize>,
) {
    assert!(got.is_sorted_by_key(|f| f.seq), "in order");
    let mut seen: BTreeMap<(usize, Seq), ()> = BTreeMap::new();
    let (mut envelopes, mut raw) = (0, 0);
    let start = got.first().map_or(Seq(0), |f| envelope(life, f).map_or(f.seq, |e| e.first));
    for frame in got {
        let twin = usize::try_from(frame.handle.0).unwrap() - 1;
        let (first, last) = match envelope(life, frame) {
            Some(e) => {
                envelopes += 1;
                let values: Vec<u64> =
                    said.range((twin, e.first)..=(twin, e.last)).map(|(_, v)| *v).collect();
                let number = &e.entries[0];
                let mean = values.iter().sum::<u64>() as f64 / values.len() as f64;
                let (low, high, got_mean) = number.range.unwrap();
                assert_eq!(number.count as usize, values.len());
                assert_eq!(number.last, values.last().map(|v| Value::Unsigned(*v)));
                assert_eq!(low, *values.iter().min().unwrap() as f64);
                assert_eq!(high, *values.iter().max().unwrap() as f64);
                assert!((got_mean - mean).abs() < 1e-6, "{got_mean} {mean}");
                assert!(e.until.micros - e.from.micros < 15 * 60 * 1_000_000);
                (e.first, e.last)
            }
            None => {
                raw += 1;
                (frame.seq, frame.seq)
            }
        };
        for (key, _) in said.range((twin, first)..=(twin, last)) {
            assert!(seen.insert(*key, ()).is_none(), "{key:?} is there twice");
        }
    }
    let due = said.keys().filter(|(twin, seq)| {
        *seq > overtaken && *seq >= start && only.is_none_or(|only| only == *twin)
    });
    for key in due {
        assert!(seen.contains_key(key), "{key:?} is nowhere");
    }
    assert!(envelopes > 100 && raw > 100, "{envelopes} envelopes, {raw} samples");
}
