//! Report by change tells less and knows as much: what is not sent is still seen.

use std::sync::Arc;
use std::time::Duration;

use twin::{
    Body, Boottime, Change, Entry, GroupCounts, Input, Origin, Pace, Quality, Report, Reported,
    Seen, Submission, TimeBase, Value, What,
};

use super::check::read_all;
use super::model::{Life, TWINS, description, options};
use super::sim::Sim;
use crate::frame::{Frame, Kind};
use crate::freshness::Fresh;
use crate::options::Options;

const INTERVAL: i64 = 1_000_000;
const POLLS: i64 = 1_800;

/// One poll: how much later than due it came, and what came.
type Poll = (i64, Option<u64>);

/// An hour of polls: a value that drifts in small steps and often rests, answers that are late, answers that fail.
fn polls(seed: u64) -> Vec<Poll> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut value = 30_000;
    let poll = |_| {
        if rng.u8(0..4) == 0 {
            value = value + rng.u64(0..200) - rng.u64(0..200);
        }
        let late = if rng.u8(0..20) == 0 { rng.i64(0..INTERVAL / 2) } else { rng.i64(0..2_000) };
        (late, (rng.u8(0..30) != 0).then_some(value))
    };
    (0..POLLS).map(poll).collect()
}

/// What a store knows in the end, and how many readings it kept.
#[derive(Debug)]
struct Known {
    fresh: Vec<(u16, Fresh)>,
    /// What every heartbeat says.
    beats: Vec<Vec<GroupCounts>>,
    readings: usize,
}

fn known(report: Report, pace: Pace, polls: &[Poll]) -> Known {
    let (mut life, _) =
        Life::begin(Sim::default(), Options { ring: 1 << 20, ..options(false) }, 1, 1);
    let mut described = description(1);
    described.points[0].spec.report = report;
    described.points[0].spec.rules.pace = pace;
    let id: twin::TwinId = TWINS[0].parse().unwrap();
    let change = |what| Change { twin: id.clone(), origin: Origin::Asset, what };
    life.core.accept(&mut vec![Submission::change(change(What::Described(Arc::new(described))))]);
    let mut due = life.core.now().boottime.0;
    for (late, value) in polls {
        life.hand.advance(Duration::from_micros(INTERVAL.unsigned_abs()));
        due += INTERVAL;
        let (ok, at) = (value.is_some(), Boottime(due + late));
        let seen = Seen { twin: id.clone(), group: 0, ok, due: Boottime(due), at, expected: 1 };
        let quality = if ok { Quality::GOOD } else { Quality::bad(twin::Cause::Timeout) };
        let entry = Entry { index: 0, quality, value: value.map(Value::Unsigned), offset: 0 };
        let reported = Reported {
            revision: 1,
            group: 0,
            source: TimeBase::gateway(at),
            server: None,
            command: None,
            continued: false,
            entries: vec![entry],
        };
        let input = Input::Change(change(What::Reported(reported)), Some(seen));
        life.core.accept(&mut vec![Submission { input, receipt: None }]);
        life.core.tick();
        while let Some(job) = life.core.begin_job(false) {
            let done = job.run();
            life.core.finish_job(done);
        }
    }
    let handle = life.store.read(|state| state.twin(&id).unwrap().handle());
    let log = read_all(&life);
    let beat = |frame: &Frame| {
        let commit = life.store.read(|state| frame.commit(state))?;
        let Body::Twin { what: What::Heartbeat(counts), .. } = commit.body else { return None };
        Some(counts)
    };
    Known {
        fresh: life.store.freshness(|f| f.twin(handle).map(|(g, fresh)| (g, *fresh)).collect()),
        beats: log.values().filter_map(beat).collect(),
        readings: log.values().filter(|frame| frame.kind == Kind::Reported).count(),
    }
}

#[test]
fn what_is_not_sent_is_seen_all_the_same() {
    for seed in 0..4 {
        let polls = polls(seed);
        let all = known(Report::Always, Pace::default(), &polls);
        assert_eq!(all.readings, polls.len());
        assert!(all.beats.len() >= 25, "one a minute: {}", all.beats.len());
        let (least, most) = (30 * INTERVAL, 600 * INTERVAL);
        for (report, pace) in [
            (Report::Change, Pace::default()),
            (Report::Percent(5.0), Pace::default()),
            (Report::Deadband(1e6), Pace { least, most }),
            (Report::Percent(0.1), Pace { least, most: 0 }),
        ] {
            let some = known(report, pace, &polls);
            assert_eq!(some.fresh, all.fresh, "{report:?}");
            assert_eq!(some.beats, all.beats, "{report:?}");
            assert!(some.readings * 2 < all.readings, "{report:?} sent {}", some.readings);
        }
    }
}
