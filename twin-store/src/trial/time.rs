//! What time does: flushes, heartbeats, a clock that is set.

use std::sync::Arc;
use std::time::Duration;

use twin::{
    Boottime, Change, Entry, Handle, Input, Origin, Quality, Reported, Seen, Seq, Submission,
    TimeBase, Timestamp, Value, What,
};

use super::check::read_all;
use super::model::{Life, TWINS, options};
use super::sim::{Sim, Survival};
use crate::frame::{Class, Kind};
use crate::lanes::{Limit, Want};
use crate::options::Budget;
use crate::store::{Store, open_core};

const ALL: Limit = Limit { frames: 10_000, bytes: usize::MAX };

fn begin() -> Life {
    let mut options = options(false);
    options.samples.segment = 1 << 20;
    options.snapshot = 1 << 20;
    let (mut life, _) = Life::begin(Sim::default(), options, 1, 1);
    life.found();
    // The first segment begins, and what opening asked for is done, before time is looked at.
    let first = reading(&life, 9_999);
    life.core.accept(&mut vec![first]);
    while let Some(job) = life.core.begin_job(true) {
        let done = job.run();
        life.core.finish_job(done);
    }
    life
}

fn reading(life: &Life, value: u64) -> Submission {
    reading_of(life, TWINS[0], value)
}

fn reading_of(life: &Life, twin: &str, value: u64) -> Submission {
    let at = life.core.now().boottime;
    let twin: twin::TwinId = twin.parse().unwrap();
    let value = Value::Text(format!("{value:0300}").into());
    let reported = Reported {
        revision: 1,
        group: 0,
        source: TimeBase::gateway(at),
        server: None,
        command: None,
        continued: false,
        entries: vec![Entry { index: 2, quality: Quality::GOOD, value: Some(value), offset: 0 }],
    };
    let seen = Seen { twin: twin.clone(), group: 0, ok: true, due: at, at, expected: 1 };
    let change = Change { twin, origin: Origin::Asset, what: What::Reported(reported) };
    Submission { input: Input::Change(change, Some(seen)), receipt: None }
}

/// Milliseconds until the samples written now are made durable.
fn until_flush(life: &mut Life, samples: u64) -> u64 {
    let mut batch: Vec<_> = (0..samples).map(|n| reading(life, n)).collect();
    life.core.accept(&mut batch);
    for waited in 0.. {
        if let Some(job) = life.core.begin_job(false) {
            if job.upto >= life.store.head() && !job.files.is_empty() {
                let done = job.run();
                life.core.finish_job(done);
                return waited * 100;
            }
            let done = job.run();
            life.core.finish_job(done);
        }
        life.hand.advance(Duration::from_millis(100));
        life.core.tick();
    }
    unreachable!()
}

#[test]
fn samples_are_flushed_each_interval_and_less_often_when_all_is_quiet() {
    let mut life = begin();
    assert_eq!(until_flush(&mut life, 5), 1_000, "the link has not passed them");
    let mut out = Vec::new();
    let mut pass = |life: &mut Life| {
        while let Some(lane) = life.lanes.next(Want::Live, None, ALL, &mut out) {
            out.drain(..).for_each(|f| life.lanes.settled(lane, f.seq));
        }
    };
    pass(&mut life);
    life.lanes.disconnected();
    life.store.forget_link(&"north".parse().unwrap());
    life.core.tick();
    while let Some(job) = life.core.begin_job(true) {
        let done = job.run();
        life.core.finish_job(done);
    }
    assert_eq!(until_flush(&mut life, 5), 10_000, "little was written and nobody is behind");
    assert_eq!(until_flush(&mut life, 100), 1_000, "much was written");
}

#[test]
fn a_heartbeat_a_minute_survives_a_restart() {
    let mut life = begin();
    for n in 0..90 {
        let reading = reading(&life, n / 2);
        life.core.accept(&mut vec![reading]);
        life.hand.advance(Duration::from_secs(1));
        life.core.tick();
    }
    let log = read_all(&life);
    let beats = log.values().filter(|f| f.kind == Kind::Heartbeat).count();
    assert_eq!(beats, 1);
    let counts = life.store.read(|s| s.by_handle(Handle(1)).unwrap().counts().to_vec());
    assert_eq!((counts[0].expected, counts[0].received, counts[0].on_time), (61, 61, 61));
    let disk = life.disk.image().crash(Survival::Everything);
    let (next, _) = Life::begin(disk, options(false), 1, 2);
    let after = next.store.read(|s| s.by_handle(Handle(1)).unwrap().counts().to_vec());
    assert_eq!(after, counts);
    let mut out = Vec::new();
    let mut lanes = next.lanes;
    while lanes.next(Want::Backlog, Some(Class::Sample), ALL, &mut out).is_some() {}
    assert!(!out.is_empty() && out.iter().all(|f| f.kind != Kind::Heartbeat));
}

#[test]
fn the_clock_is_set_once_per_step_and_times_of_an_unset_boot_resolve() {
    let (clock, hand) = base::Clock::manual(1_000_000, None, [1; 16]);
    let disk = Sim::default();
    let (mut core, _) = open_core(Arc::new(disk), options(false), clock).unwrap();
    let store = Store { shared: core.shared.clone() };
    let at = |seq| store.read(|s| s.timeline().resolve(Seq(seq), Boottime(1_000_000)));
    assert_eq!(at(1), None);
    core.tick();
    assert_eq!(store.head(), Seq(1), "an unset clock is no news");
    hand.set_utc(Some(1_800_000_000_000_000));
    core.tick();
    core.tick();
    assert_eq!((store.head(), at(1)), (Seq(2), Some(Timestamp(1_800_000_000_000_000))));
    hand.set_utc(Some(1_800_000_000_900_000));
    core.tick();
    assert_eq!(store.head(), Seq(2), "disciplined, not set");
    hand.set_utc(Some(1_700_000_000_000_000));
    core.tick();
    assert_eq!(store.head(), Seq(3));
    assert_eq!(at(1), Some(Timestamp(1_800_000_000_000_000)), "a step leaves history alone");
    assert_eq!(at(3), Some(Timestamp(1_700_000_000_000_000)));
}

/// A gateway that is switched off every night starts thousands of times.
#[test]
fn the_timeline_keeps_what_somebody_may_ask_for_and_no_more() {
    let mut options = options(false);
    options.samples = Budget { bytes: 8 << 10, age: None, segment: 2 << 10 };
    options.records = Budget { bytes: 8 << 10, age: None, segment: 2 << 10 };
    let mut disk = Sim::default();
    for start in 0..60_u8 {
        let (mut life, _) = Life::begin(disk, options.clone(), start, u64::from(start));
        if start == 0 {
            life.found();
            // This value never changes again.
            let other = reading_of(&life, TWINS[1], 4_711);
            life.core.accept(&mut vec![other]);
        }
        for n in 0..10 {
            let reading = reading(&life, u64::from(start) * 100 + n);
            life.core.accept(&mut vec![reading]);
            life.hand.advance(Duration::from_secs(20));
            life.core.tick();
            while let Some(job) = life.core.begin_job(false) {
                let done = job.run();
                life.core.finish_job(done);
            }
        }
        let done = life.core.last_job().run();
        life.core.finish_job(done);
        disk = life.disk;
    }
    let (last, _) = Life::begin(disk, options, 99, 99);
    let log = read_all(&last);
    let (oldest, _) = log.first_key_value().unwrap();
    last.store.read(|state| {
        let spans = state.timeline().spans();
        let kept = spans.iter().filter(|span| span.from > *oldest).count();
        assert!(spans.len() < kept + 16 && kept < 40, "{} spans, {kept} are needed", spans.len());
        for frame in log.values() {
            let span = state.timeline().span_of(frame.seq).unwrap();
            assert_eq!(span.epoch, frame.epoch, "{:?}", frame.seq);
        }
        let old = state.twin(&TWINS[1].parse().unwrap()).unwrap().reading(2).unwrap();
        assert!(old.seq < *oldest);
        let span = state.timeline().span_of(old.seq).unwrap();
        assert_eq!((span.epoch, span.boot.0[0]), (1, 0), "its time still resolves");
    });
}

const HOUR: i64 = 3_600 * 1_000_000;
const NOW: i64 = 1_800_000_000_000_000;

/// A clock that runs in the year 2099 for a while: what was stored before keeps its time, and is not too old.
#[test]
fn a_clock_far_in_the_future_drops_nothing_and_falsifies_nothing() {
    let mut options = options(false);
    options.samples =
        Budget { bytes: 1 << 20, age: Some(Duration::from_secs(7 * 86_400)), segment: 2 << 10 };
    let (mut life, _) = Life::begin(Sim::default(), options.clone(), 1, 1);
    life.found();
    let some = |life: &mut Life, from: u64| {
        for n in from..from + 20 {
            let reading = reading(life, n);
            life.core.accept(&mut vec![reading]);
        }
        life.core.snapshot_due = true;
        life.core.tick();
        while let Some(job) = life.core.begin_job(true) {
            let done = job.run();
            life.core.finish_job(done);
        }
        life.store.head()
    };
    let resolved =
        |life: &Life, seq| life.store.read(|s| s.timeline().resolve(seq, Boottime(1_000_000)));
    let before = some(&mut life, 0);
    let kept = read_all(&life).len();
    life.hand.set_utc(Some(NOW + 73 * 365 * 24 * HOUR));
    let wrong = some(&mut life, 100);
    some(&mut life, 200);
    assert!(read_all(&life).len() > kept, "nothing is too old because of the clock");
    assert_eq!(life.store.statistics().counters.dropped_segments, 0);

    // The machine starts anew with that clock: nothing tells that it is wrong but the log.
    let disk = life.disk.image().crash(Survival::Everything);
    let (clock, hand) = base::Clock::manual(1_000_000, Some(NOW + 40 * 365 * 24 * HOUR), [2; 16]);
    let (mut core, _) = open_core(Arc::new(disk), options, clock).unwrap();
    hand.set_utc(Some(NOW + 74 * 365 * 24 * HOUR));
    core.tick();
    assert_eq!(core.shared.lock().counters.dropped_segments, 0);
    hand.advance(Duration::from_secs(25 * 3_600));
    core.tick();
    assert!(
        core.shared.lock().counters.dropped_segments > 0,
        "if it is right it is believed after a day"
    );

    // Set right: every commit keeps the time that was known when it was made.
    life.hand.set_utc(Some(NOW + HOUR));
    let after = some(&mut life, 300);
    assert_eq!(resolved(&life, before), Some(Timestamp(NOW)));
    assert!(resolved(&life, wrong) > Some(Timestamp(NOW + 70 * 365 * 24 * HOUR)));
    assert_eq!(resolved(&life, after), Some(Timestamp(NOW + HOUR)));
    assert_eq!(life.store.statistics().counters.dropped_segments, 0);
}

/// Restarted again and again, the log itself says 2099: the day of doubt goes on from where the clock leapt.
#[test]
fn a_clock_far_in_the_future_is_doubted_over_restarts() {
    let mut options = options(false);
    options.samples =
        Budget { bytes: 1 << 20, age: Some(Duration::from_secs(7 * 86_400)), segment: 2 << 10 };
    let wrong = NOW + 73 * 365 * 24 * HOUR;
    let mut disk = Sim::default();
    let mut gone = 0;
    // Boots of four hours each; with the third, the clock leaps.
    for boot in 0..11_u8 {
        let since = i64::from(boot) * 4 * HOUR;
        let utc = if boot < 2 { NOW + since } else { wrong + since };
        let (mut life, _) = Life::begin_at(utc, disk, options.clone(), boot, u64::from(boot) + 1);
        if boot == 0 {
            life.found();
        }
        for n in 0..40 {
            let reading = reading(&life, u64::from(boot) * 100 + n);
            life.core.accept(&mut vec![reading]);
            life.hand.advance(Duration::from_secs(360));
            life.core.tick();
            while let Some(job) = life.core.begin_job(false) {
                let done = job.run();
                life.core.finish_job(done);
            }
        }
        let dropped = life.store.statistics().counters.dropped_segments;
        match boot {
            0..7 => assert_eq!(dropped, 0, "in boot {boot}"),
            7.. => gone += dropped,
        }
        let done = life.core.last_job().run();
        life.core.finish_job(done);
        disk = life.disk.image().crash(Survival::Everything);
    }
    assert!(gone > 0, "a clock that stays is believed in the end");
}

/// The first time that a gateway without a battery clock is given may be the wrong one.
#[test]
fn a_first_clock_far_in_the_future_drops_nothing_at_once() {
    let mut options = options(false);
    options.samples =
        Budget { bytes: 1 << 20, age: Some(Duration::from_secs(7 * 86_400)), segment: 2 << 10 };
    let (mut life, _) = Life::begin(Sim::default(), options.clone(), 1, 1);
    life.found();
    life.hand.set_utc(Some(NOW));
    for n in 0..20 {
        let reading = reading(&life, n);
        life.core.accept(&mut vec![reading]);
    }
    life.core.tick();
    let done = life.core.last_job().run();
    life.core.finish_job(done);
    let (clock, hand) = base::Clock::manual(1_000_000, None, [2; 16]);
    let (mut core, _) = open_core(Arc::new(life.disk), options, clock).unwrap();
    hand.set_utc(Some(NOW + 40 * 365 * 24 * HOUR));
    let dropped = |core: &mut crate::core::Core| {
        core.tick();
        core.shared.lock().counters.dropped_segments
    };
    assert_eq!(dropped(&mut core), 0);
    hand.advance(Duration::from_secs(25 * 3_600));
    assert!(dropped(&mut core) > 0, "if it is right it is believed after a day");
}

/// A gateway without a battery clock starts in 1970: that is no time at all, until one is set.
#[test]
fn a_boot_without_time_gets_its_times_when_the_clock_is_set() {
    let disk = Sim::default();
    let (mut life, _) = Life::begin(disk.clone(), options(false), 1, 1);
    life.found();
    let done = life.core.last_job().run();
    life.core.finish_job(done);
    let (clock, hand) = base::Clock::manual(5_000_000, None, [2; 16]);
    let (mut core, _) = open_core(Arc::new(disk.clone()), options(false), clock).unwrap();
    let store = Store { shared: core.shared.clone() };
    let twin = TWINS[0].parse().unwrap();
    let what =
        What::Related(twin::Relationship { name: "feeds".parse().unwrap(), target: "x".into() });
    let change = Change { twin, origin: Origin::Configuration, what };
    core.accept(&mut vec![Submission::change(change)]);
    let made = store.head();
    let time = |store: &Store| store.read(|s| s.timeline().resolve(made, Boottime(5_000_000)));
    assert_eq!(time(&store), None);
    let done = core.begin_job(true).unwrap().run();
    core.finish_job(done);

    // Killed before the clock was set; the next life of the same boot gets the time, and so does what was made before.
    let disk = disk.image().crash(Survival::Everything);
    let (clock, _) = base::Clock::manual(9_000_000, None, [2; 16]);
    let (core, _) = open_core(Arc::new(disk.clone()), options(false), clock).unwrap();
    let store = Store { shared: core.shared.clone() };
    assert_eq!(time(&store), None);
    drop(core);
    let (clock, hand_again) = base::Clock::manual(12_000_000, None, [2; 16]);
    let (mut core, _) = open_core(Arc::new(disk), options(false), clock).unwrap();
    hand_again.set_utc(Some(NOW));
    core.tick();
    let store = Store { shared: core.shared.clone() };
    assert_eq!(time(&store), Some(Timestamp(NOW - 7_000_000)));
    drop(hand);
}
