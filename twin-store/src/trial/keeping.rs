//! Retention, filters and positions: what goes, who is told, and what is not written.

use std::time::Duration;

use twin::{Boottime, Change, Entry, Handle, Origin, Quality, Reported, Seq, Submission, TimeBase};
use twin::{Relationship, Value, What};

use super::check::{gaps, read_all};
use super::model::{Life, TWINS, options};
use super::sim::{Faults, Sim, Survival};
use crate::filter::LinkOptions;
use crate::frame::Class;
use crate::lanes::{Limit, Want};
use crate::options::Budget;

const ALL: Limit = Limit { frames: 10_000, bytes: usize::MAX };

fn reading(twin: &str, value: u64) -> Submission {
    let value = Value::Text(format!("{value:0100}").into());
    let entry = Entry { index: 2, quality: Quality::GOOD, value: Some(value), offset: 0 };
    let reported = Reported {
        revision: 1,
        group: 0,
        source: TimeBase::gateway(Boottime(0)),
        server: None,
        command: None,
        continued: false,
        entries: vec![entry],
    };
    let what = What::Reported(reported);
    Submission::change(Change { twin: twin.parse().unwrap(), origin: Origin::Asset, what })
}

fn relation(n: u64) -> Submission {
    let target = format!("{n:0200}").into();
    let what = What::Related(Relationship { name: "feeds".parse().unwrap(), target });
    let twin = TWINS[0].parse().unwrap();
    Submission::change(Change { twin, origin: Origin::Configuration, what })
}

fn work(life: &mut Life) {
    life.hand.advance(Duration::from_secs(20));
    life.core.tick();
    while let Some(job) = life.core.begin_job(false) {
        let done = job.run();
        life.core.finish_job(done);
    }
}

fn begin(budget: u64) -> Life {
    let mut options = options(true);
    let segment = 2 << 10;
    options.samples = Budget { bytes: budget, age: None, segment };
    options.records = Budget { bytes: budget, age: None, segment: segment + 512 };
    let (mut life, _) = Life::begin(Sim::default(), options, 1, 1);
    life.found();
    life
}

#[test]
fn retention_drops_the_oldest_says_so_and_overtakes_lanes_openly() {
    let mut life = begin(10 << 10);
    life.lanes.disconnected();
    for n in 0..600 {
        life.core.accept(&mut vec![reading(TWINS[0], n), reading(TWINS[1], n)]);
        if n % 10 == 0 {
            work(&mut life);
        }
    }
    work(&mut life);
    let statistics = life.store.statistics();
    let (_, bytes, _) = statistics.families[0];
    assert!(statistics.counters.dropped_segments > 5 && bytes < 16 << 10, "{statistics:?}");
    let log = read_all(&life);
    let gaps = gaps(&life, &log);
    let resume = life.lanes.connected();
    let (first, last) = resume.overtaken.unwrap();
    assert!(gaps.iter().any(|(_, b)| *b == last), "{gaps:?} {last:?}");
    assert!(first < last && resume.changed.len() == TWINS.len(), "a snapshot of all twins");
    let mut out = Vec::new();
    while life.lanes.next(Want::Backlog, Some(Class::Sample), ALL, &mut out).is_some() {}
    assert!(out.iter().all(|f| f.seq > last) && !out.is_empty());

    // Whoever has not been told that commits are gone will be told, also after a crash.
    assert!(!resume.owed.is_empty());
    life.lanes.disconnected();
    assert_eq!(life.lanes.connected().overtaken, Some((first, last)));
    work(&mut life);
    let (mut again, resume) =
        Life::begin(life.disk.image().crash(Survival::Everything), options(true), 1, 2);
    assert_eq!(resume.overtaken, Some((first, last)));
    for (lane, seq) in resume.owed {
        again.lanes.settled(lane, seq);
    }
    again.lanes.disconnected();
    assert_eq!(again.lanes.connected().overtaken, None);

    // What was dropped stays dropped and known, over a crash and the loss of every snapshot.
    let kept: Vec<Seq> = log.keys().copied().collect();
    let (next, _) = {
        let disk = life.disk.image().crash(Survival::Everything);
        for name in crate::disk::Disk::list(&disk).unwrap() {
            if name.ends_with(".snap") {
                crate::disk::Disk::remove(&disk, &name).unwrap();
            }
        }
        Life::begin(disk, options(true), 1, 2)
    };
    let log = read_all(&next);
    assert!(kept.iter().all(|seq| log.contains_key(seq)));
    let latest = next.store.read(|s| s.by_handle(Handle(1)).and_then(|t| t.reading(2).cloned()));
    let value = latest.and_then(|r| r.value);
    assert_eq!(value, Some(Value::Text(format!("{:0100}", 599).into())), "descriptions are kept");
}

/// Records of a family go by themselves: a crash before the next snapshot must not take that for samples that went.
#[test]
fn records_that_retention_dropped_do_not_overtake_samples_after_a_crash() {
    let mut options = options(true);
    let segment = 2 << 10;
    options.samples = Budget { bytes: 1 << 20, age: None, segment };
    options.records = Budget { bytes: 8 << 10, age: None, segment };
    let (mut life, _) = Life::begin(Sim::default(), options.clone(), 1, 1);
    life.found();
    life.lanes.disconnected();
    let mut n = 0;
    while life.store.statistics().counters.dropped_segments == 0 {
        n += 1;
        life.core.accept(&mut vec![reading(TWINS[0], n), relation(n)]);
        life.core.tick();
        if life.store.statistics().counters.dropped_segments == 0 {
            work(&mut life);
        }
    }
    // The file goes, and no snapshot comes before the crash.
    (life.core.snapshot_due, life.core.unsnapshotted) = (false, 0);
    let done = life.core.begin_job(true).unwrap().run();
    life.core.finish_job(done);
    let disk = life.disk.image().crash(Survival::Everything);
    let (mut next, resume) = Life::begin(disk, options, 1, 2);
    let (_, last) = resume.overtaken.expect("records were dropped before they were delivered");
    let log = read_all(&next);
    let samples =
        log.values().filter(|f| f.class == Class::Sample && f.seq < next.recovery.surviving);
    let kept: Vec<Seq> = samples.map(|f| f.seq).collect();
    assert!(kept[0] < last, "some of them are as old as the records that went");
    let mut out = Vec::new();
    while next.lanes.next(Want::Backlog, Some(Class::Sample), ALL, &mut out).is_some() {}
    assert_eq!(out.iter().map(|f| f.seq).collect::<Vec<_>>(), kept);
}

#[test]
fn a_segment_whose_sync_failed_goes_like_any_other() {
    let mut life = begin(10 << 10);
    let sync = |life: &mut Life, fails: Option<usize>| {
        life.disk.fail(Faults { sync_fails_in: fails, ..Faults::default() });
        life.core.accept(&mut vec![reading(TWINS[0], fails.map_or(1, |_| 2))]);
        let done = life.core.begin_job(true).unwrap().run();
        life.core.finish_job(done);
    };
    sync(&mut life, None);
    sync(&mut life, Some(0));
    assert_eq!(life.store.statistics().counters.sync_failures, 1);
    for n in 10..600 {
        life.core.accept(&mut vec![reading(TWINS[0], n)]);
        if n % 10 == 0 {
            work(&mut life);
        }
    }
    let (_, bytes, _) = life.store.statistics().families[0];
    assert!(bytes < 16 << 10, "{bytes} are kept");
}

#[test]
fn descriptions_outlive_the_segment_that_had_them() {
    let mut life = begin(6 << 10);
    for n in 0..300 {
        life.core.accept(&mut vec![relation(n), reading(TWINS[1], n)]);
        if n % 5 == 0 {
            work(&mut life);
        }
    }
    work(&mut life);
    let log = read_all(&life);
    let first_described = log.values().find(|f| f.kind == crate::Kind::Described);
    assert!(first_described.is_none(), "retention dropped where the twins were described");
    let disk = life.disk.image().crash(Survival::Everything);
    for name in crate::disk::Disk::list(&disk).unwrap() {
        if name.ends_with(".snap") {
            crate::disk::Disk::remove(&disk, &name).unwrap();
        }
    }
    let (next, _) = Life::begin(disk, options(true), 1, 2);
    let twins = next.store.read(|s| s.twins().map(|t| t.id().to_string()).collect::<Vec<_>>());
    assert_eq!(twins, TWINS);
    let latest = next.store.read(|s| s.by_handle(Handle(2)).unwrap().reading(2).cloned());
    assert_eq!(latest.unwrap().value, Some(Value::Text(format!("{:0100}", 299).into())));
}

#[test]
fn old_commits_go_by_their_age() {
    let mut life = begin(1 << 20);
    for n in 0..50 {
        life.core.accept(&mut vec![reading(TWINS[0], n)]);
    }
    work(&mut life);
    let before = read_all(&life).len();
    let mut options = options(true);
    options.samples.age = Some(Duration::from_secs(3_600));
    let disk = life.disk.image().crash(Survival::Everything);
    let (mut next, _) = Life::begin(disk, options, 1, 2);
    next.hand.advance(Duration::from_secs(7_200));
    for n in 0..4 {
        next.core.accept(&mut vec![reading(TWINS[0], 100 + n)]);
        work(&mut next);
    }
    let after = read_all(&next);
    assert!(after.len() < before, "{} of {before}", after.len());
    assert!(!gaps(&next, &after).is_empty());
}

#[test]
fn a_link_gets_what_it_asked_for_and_nothing_else() {
    let mut life = begin(1 << 20);
    let one = LinkOptions {
        classes: vec![Class::Sample],
        twins: vec!["f*".to_owned()],
        ..LinkOptions::default()
    };
    let mut lanes = life.store.link(&"narrow".parse().unwrap(), one);
    assert!(lanes.connected().first);
    for n in 0..200 {
        life.core.accept(&mut vec![reading(TWINS[0], n), reading(TWINS[1], n), relation(n)]);
    }
    let mut out = Vec::new();
    while lanes.next(Want::Live, None, ALL, &mut out).is_some() {}
    assert_eq!(out.len(), 200, "from memory and from disk");
    let fan = life.store.read(|s| s.twin(&TWINS[1].parse().unwrap()).unwrap().handle());
    assert!(out.iter().all(|f| f.handle == fan && f.class == Class::Sample));
    assert!(out.is_sorted_by_key(|f| f.seq));
}

/// Two twins with the points of [`super::model`]; the link wants one point of one of them.
#[test]
fn what_a_sparse_link_skips_is_not_decoded() {
    let mut life = begin(1 << 20);
    let sparse = LinkOptions {
        twins: vec![TWINS[0].to_owned()],
        points: vec![format!("{}/*/*", TWINS[1]), format!("{}/f0/p0", TWINS[0])],
        ..LinkOptions::default()
    };
    let mut lanes = life.store.link(&"sparse".parse().unwrap(), sparse);
    lanes.connected();
    let first = |n: u64| {
        let mut one = reading(TWINS[0], n);
        if let twin::Input::Change(Change { what: What::Reported(r), .. }, _) = &mut one.input {
            let value = Some(Value::Unsigned(n));
            r.entries[0] = Entry { index: 0, value, ..r.entries[0].clone() };
        }
        one
    };
    for n in 0..300 {
        life.core.accept(&mut vec![reading(TWINS[0], n), reading(TWINS[1], n)]);
        if n % 100 == 0 {
            life.core.accept(&mut vec![first(n)]);
        }
    }
    let before = crate::record::reported::VIEWED.get();
    let mut out = Vec::new();
    while lanes.next(Want::Live, Some(Class::Sample), ALL, &mut out).is_some() {}
    assert_eq!(out.len(), 3, "from memory and from disk");
    assert_eq!(crate::record::reported::VIEWED.get(), before, "and nothing was taken apart for it");
    life.store.read(|state| {
        let twin = state.twin(&TWINS[0].parse().unwrap()).unwrap();
        let all = out.iter().flat_map(|f| f.reported(twin.description()).unwrap().iter());
        assert!(all.into_iter().all(|entry| entry.index == 0));
    });
    assert_eq!(crate::record::reported::VIEWED.get(), before + 3);
}

#[test]
fn a_held_class_waits_and_follows_as_a_backlog() {
    let mut life = begin(1 << 20);
    let mut out = Vec::new();
    while let Some(lane) = life.lanes.next(Want::Live, None, ALL, &mut out) {
        out.drain(..).for_each(|f| life.lanes.settled(lane, f.seq));
    }
    life.lanes.hold(&[Class::Sample]);
    life.core.accept(&mut vec![reading(TWINS[0], 1), relation(1), reading(TWINS[0], 2)]);
    let lane = life.lanes.next(Want::Live, None, ALL, &mut out).unwrap();
    assert_eq!((lane.class, out.len()), (Class::Record, 1));
    out.drain(..).for_each(|f| life.lanes.settled(lane, f.seq));
    assert_eq!(life.lanes.next(Want::Live, None, ALL, &mut out), None);
    assert!(!life.lanes.live(), "and it wakes nobody");
    life.lanes.hold(&[]);
    life.core.accept(&mut vec![reading(TWINS[0], 3)]);
    let lane = life.lanes.next(Want::Live, None, ALL, &mut out).unwrap();
    assert_eq!((lane.historical, out.len()), (false, 1), "what is live does not queue");
    life.lanes.settled(lane, out.remove(0).seq);
    let lane = life.lanes.next(Want::Backlog, None, ALL, &mut out).unwrap();
    assert_eq!((lane.class, out.len()), (Class::Sample, 2));
    out.drain(..).for_each(|f| life.lanes.settled(lane, f.seq));
    assert_eq!(life.lanes.next(Want::Backlog, None, ALL, &mut out), None);
}

#[test]
fn what_a_link_keeps_outlives_crashes_and_snapshots() {
    let mut life = begin(1 << 20);
    life.lanes.keep(vec![1]);
    work(&mut life);
    let begun = |life: &Life| {
        let disk = life.disk.image().crash(Survival::Everything);
        Life::begin(disk, options(true), 1, 2).0
    };
    let mut next = begun(&life);
    assert_eq!(next.lanes.note(), [1], "from the log");
    next.lanes.keep(vec![2, 2]);
    next.core.snapshot_due = true;
    work(&mut next);
    // Later positions say nothing new of it.
    next.core.accept(&mut vec![reading(TWINS[0], 1)]);
    let mut out = Vec::new();
    let lane = next.lanes.next(Want::Live, None, ALL, &mut out).unwrap();
    out.drain(..).for_each(|f| next.lanes.settled(lane, f.seq));
    work(&mut next);
    assert_eq!(begun(&next).lanes.note(), [2, 2]);
    next.store.forget_link(&"north".parse().unwrap());
    assert_eq!(next.lanes.note(), [0; 0]);
}

#[test]
fn classes_that_a_link_leaves_out_neither_wait_for_it_nor_come_later() {
    let mut life = begin(1 << 20);
    let of =
        |classes: &[Class]| LinkOptions { classes: classes.to_vec(), ..LinkOptions::default() };
    let name = "narrow".parse().unwrap();
    let mut lanes = life.store.link(&name, of(&[Class::Record]));
    lanes.connected();
    let mut out = Vec::new();
    let settle_all = |life: &mut Life, lanes: &mut crate::Lanes, out: &mut Vec<crate::Frame>| {
        while let Some(lane) = life.lanes.next(Want::Live, None, ALL, out) {
            out.drain(..).for_each(|f| life.lanes.settled(lane, f.seq));
        }
        while let Some(lane) = lanes.next(Want::Live, None, ALL, out) {
            out.drain(..).for_each(|f| lanes.settled(lane, f.seq));
        }
    };
    life.core.accept(&mut vec![reading(TWINS[0], 1), relation(1), reading(TWINS[1], 1)]);
    settle_all(&mut life, &mut lanes, &mut out);
    let passed = |life: &Life| {
        let inner = life.core.shared.lock();
        inner.links.passed(inner.head)
    };
    assert!(passed(&life), "the flush interval may stretch");
    work(&mut life);
    lanes.disconnected();
    let later = lanes.connected();
    assert_eq!(later.changed, [], "nothing changed since");
    let classes = life.store.statistics().lanes;
    assert!(classes.iter().all(|lane| lane.link != name || lane.class == Class::Record));

    // Long after, the link carries readings, too: those from now on.
    for n in 0..20 {
        life.core.accept(&mut vec![reading(TWINS[0], 100 + n), relation(n)]);
        settle_all(&mut life, &mut lanes, &mut out);
        work(&mut life);
    }
    drop(lanes);
    let mut lanes = life.store.link(&name, of(&[Class::Record, Class::Sample]));
    lanes.connected();
    assert_eq!(lanes.next(Want::Backlog, Some(Class::Sample), ALL, &mut out), None);
    life.core.accept(&mut vec![reading(TWINS[0], 200)]);
    assert!(lanes.next(Want::Live, Some(Class::Sample), ALL, &mut out).is_some());
    assert_eq!(out.len(), 1);
}

#[test]
fn positions_are_written_only_when_something_was_settled() {
    let mut life = begin(1 << 20);
    let mut out = Vec::new();
    while let Some(lane) = life.lanes.next(Want::Live, None, ALL, &mut out) {
        out.drain(..).for_each(|f| life.lanes.settled(lane, f.seq));
    }
    work(&mut life);
    let head = life.store.head();
    for _ in 0..20 {
        assert!(life.lanes.next(Want::Live, None, ALL, &mut out).is_none());
        work(&mut life);
    }
    assert_eq!(life.store.head(), head, "an idle gateway writes nothing");
    life.core.accept(&mut vec![reading(TWINS[0], 1)]);
    let lane = life.lanes.next(Want::Live, None, ALL, &mut out).unwrap();
    work(&mut life);
    assert_eq!(life.store.head(), Seq(head.0 + 1), "handed out is not settled");
    out.drain(..).for_each(|f| life.lanes.settled(lane, f.seq));
    work(&mut life);
    assert_eq!(life.store.head(), Seq(head.0 + 2), "one record of positions");
}

#[test]
fn an_operator_may_give_up_a_backlog() {
    let mut life = begin(1 << 20);
    life.lanes.disconnected();
    for n in 0..50 {
        life.core.accept(&mut vec![reading(TWINS[0], n)]);
    }
    life.lanes.connected();
    let name = "north".parse().unwrap();
    let to = Seq(life.store.head().0 - 4);
    life.store.skip(&name, Some(Class::Sample), to);
    let mut out = Vec::new();
    while life.lanes.next(Want::Backlog, Some(Class::Sample), ALL, &mut out).is_some() {}
    assert_eq!(out.first().map(|f| f.seq), Some(to));
    life.store.forget_link(&name);
    assert!(life.lanes.next(Want::Live, None, ALL, &mut out).is_none());
}
