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
    let at = life.core.now().boottime;
    let twin: twin::TwinId = TWINS[0].parse().unwrap();
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
