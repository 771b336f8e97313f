//! What is destroyed is named, and nothing else; what cannot be read just now is not destroyed.

use std::sync::Arc;
use std::time::Duration;

use twin::{
    Body, Boottime, Change, Entry, GapCause, GatewayEvent, Origin, Quality, Relationship, Reported,
    Seq, Submission, TimeBase, Twin, TwinId, Value, What,
};

use super::check::{gaps, read_all};
use super::model::{Life, TWINS, options};
use super::sim::{Faults, Sim, Survival};
use crate::disk::Disk;
use crate::frame::Class;
use crate::history::Query;
use crate::lanes::{Limit, Want};
use crate::options::{Budget, Options};

fn roomy() -> Options {
    let mut options = options(true);
    options.samples.segment = 64 << 10;
    options.records.segment = 64 << 10;
    options.snapshot = 1 << 20;
    options
}

fn begin(options: Options) -> Life {
    let (mut life, _) = Life::begin(Sim::default(), options, 1, 1);
    life.found();
    life
}

fn reading(twin: &str, text: &str) -> Submission {
    let value = Value::Text(format!("{text:-<100}").into());
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

fn relation(text: &str) -> Submission {
    let target = format!("{text:-<100}").into();
    let what = What::Related(Relationship { name: "feeds".parse().unwrap(), target });
    let twin = TWINS[0].parse().unwrap();
    Submission::change(Change { twin, origin: Origin::Configuration, what })
}

/// Makes it happen, and says which commit it became.
fn commit(life: &mut Life, submission: Submission) -> Seq {
    life.core.accept(&mut vec![submission]);
    life.store.head()
}

fn work(life: &mut Life) {
    for _ in 0..3 {
        life.hand.advance(Duration::from_secs(20));
        life.core.tick();
        while let Some(job) = life.core.begin_job(false) {
            let done = job.run();
            life.core.finish_job(done);
        }
    }
}

fn stop(mut life: Life) -> Sim {
    let done = life.core.last_job().run();
    life.core.finish_job(done);
    assert!(life.core.settled());
    life.disk
}

fn names(disk: &Sim, prefix: &str, suffix: &str) -> Vec<String> {
    let all = disk.list().unwrap().into_iter();
    all.filter(|n| n.starts_with(prefix) && n.ends_with(suffix)).collect()
}

fn whole(disk: &Sim, name: &str) -> Vec<u8> {
    let file = disk.open(name).unwrap();
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

/// Flips a bit of the only place in a family's segments where this text stands.
fn destroy(disk: &Sim, family: &str, text: &str) {
    for name in names(disk, family, ".seg") {
        let bytes = whole(disk, &name);
        if let Some(at) = bytes.windows(text.len()).position(|w| w == text.as_bytes()) {
            assert!(disk.flip(&name, at as u64 * 8));
            return;
        }
    }
    panic!("{text} is in no segment");
}

#[test]
fn a_reader_names_what_is_destroyed_and_nothing_else_and_once() {
    let mut life = begin(roomy());
    for n in 0..20 {
        commit(&mut life, reading(TWINS[0], &format!("before {n}")));
    }
    let a = commit(&mut life, reading(TWINS[0], "first"));
    let between = commit(&mut life, relation("between"));
    let b = commit(&mut life, reading(TWINS[0], "second"));
    for n in 0..20 {
        commit(&mut life, reading(TWINS[0], &format!("after {n}")));
    }
    let disk = stop(life);
    destroy(&disk, "samples", "first");
    destroy(&disk, "samples", "second");

    let (mut life, _) = Life::begin(disk, roomy(), 1, 2);
    assert!(life.recovery.gaps.is_empty(), "it lies below the snapshot, nobody has read it yet");
    let log = read_all(&life);
    assert!(log.contains_key(&between) && !log.contains_key(&a) && !log.contains_key(&b));
    // Others meet it on their way from somewhere else.
    life.store.history(&Query { from: a, ..Query::default() }, 100).unwrap();
    life.drain();
    work(&mut life);
    let log = read_all(&life);
    assert_eq!(gaps(&life, &log), [(a, a), (b, b)]);

    // It was said: no later life says it again, however it ends.
    let (mut life, _) = Life::begin(stop(life), roomy(), 1, 3);
    read_all(&life);
    work(&mut life);
    let crashed = life.disk.image().crash(Survival::Everything);
    let (mut life, _) = Life::begin(crashed, roomy(), 1, 4);
    read_all(&life);
    work(&mut life);
    let log = read_all(&life);
    assert_eq!(gaps(&life, &log), [(a, a), (b, b)]);
}

#[test]
fn a_destroyed_footer_is_no_destroyed_commit() {
    let mut life = begin(roomy());
    for n in 0..10 {
        commit(&mut life, reading(TWINS[0], &format!("sample {n}")));
        commit(&mut life, relation(&format!("record {n}")));
    }
    let before = read_all(&life);
    let disk = stop(life);
    for family in ["samples", "records"] {
        let name = names(&disk, family, ".seg").remove(0);
        let bytes = whole(&disk, &name);
        let offset = bytes[bytes.len() - 16..][..8].try_into().unwrap();
        for at in u64::from_le_bytes(offset)..bytes.len() as u64 {
            let disk = disk.image().crash(Survival::Everything);
            assert!(disk.flip(&name, at * 8 + at % 8));
            let (mut life, _) = Life::begin(disk, roomy(), 1, 2);
            assert_eq!(life.recovery.gaps, [], "byte {at} of {name}");
            assert!(!life.recovery.torn, "nothing was torn");
            let log = read_all(&life);
            assert!(before.keys().all(|seq| log.contains_key(seq)));
            work(&mut life);
            assert_eq!(gaps(&life, &read_all(&life)), []);
        }
    }
}

#[test]
fn a_flipped_bit_in_a_header_costs_nothing() {
    let mut life = begin(roomy());
    for n in 0..5 {
        commit(&mut life, reading(TWINS[0], &format!("sample {n}")));
        commit(&mut life, relation(&format!("record {n}")));
    }
    work(&mut life);
    let before = read_all(&life);
    for family in ["samples", "records"] {
        for bit in 0..64 * 8 {
            let disk = life.disk.image().crash(Survival::Everything);
            assert!(disk.flip(family, bit));
            let (next, _) = Life::begin(disk, roomy(), 1, 2);
            assert_eq!((&next.recovery.gaps[..], &next.recovery.set_aside[..]), (&[][..], &[][..]));
            let log = read_all(&next);
            assert!(before.keys().all(|seq| log.contains_key(seq)), "bit {bit}");
            let (again, _) = Life::begin(stop(next), roomy(), 1, 3);
            assert!(before.keys().all(|seq| read_all(&again).contains_key(seq)));
        }
    }
}

/// The end of an open segment lies below the snapshot, and is destroyed.
#[test]
fn a_destroyed_end_claims_none_of_what_others_have() {
    let mut life = begin(roomy());
    commit(&mut life, reading(TWINS[0], "one"));
    let lost = commit(&mut life, reading(TWINS[0], "last"));
    for n in 0..10 {
        commit(&mut life, relation(&format!("record {n}")));
    }
    life.core.snapshot_due = true;
    work(&mut life);
    let before = read_all(&life);
    let disk = life.disk.image().crash(Survival::Everything);
    destroy(&disk, "samples", "last");
    let (life, _) = Life::begin(disk, roomy(), 1, 2);
    assert!(life.recovery.snapshot > lost);
    assert_eq!(life.recovery.gaps, [(lost, lost)]);
    let log = read_all(&life);
    assert!(before.keys().all(|seq| *seq == lost || log.contains_key(seq)));
}

/// Zeros where a segment was sealed are no segment that had no time to begin.
#[test]
fn a_segment_that_reads_as_zeros_is_a_loss() {
    let mut life = begin(roomy());
    let first = commit(&mut life, reading(TWINS[0], "one"));
    let last = commit(&mut life, reading(TWINS[0], "two"));
    commit(&mut life, relation("kept"));
    let disk = stop(life);
    let name = names(&disk, "samples", ".seg").remove(0);
    let zeros = vec![0; whole(&disk, &name).len()];
    disk.open(&name).unwrap().write_at(0, &zeros).unwrap();
    let (life, _) = Life::begin(disk, roomy(), 1, 2);
    assert_eq!(life.recovery.gaps, [(first, last)]);
    assert_eq!(life.recovery.set_aside, [name]);
}

/// No link, no keeper takes an error of the moment for a loss.
#[test]
fn what_cannot_be_read_now_is_held_and_read_later() {
    let troubles = [
        Faults { no_files: true, ..Faults::default() },
        Faults { unreadable: true, ..Faults::default() },
    ];
    for trouble in troubles {
        let mut life = begin(options(true));
        life.lanes.disconnected();
        for n in 0..200 {
            commit(&mut life, reading(TWINS[0], &format!("sample {n}")));
        }
        work(&mut life);
        life.lanes.connected();
        let limit = Limit { frames: 10, bytes: usize::MAX };
        let mut out = Vec::new();
        let mut follower = life.store.follow(Seq(1));
        life.lanes.next(Want::Backlog, Some(Class::Sample), limit, &mut out).unwrap();
        let before = out.len();
        life.disk.fail(trouble);
        for _ in 0..3 {
            while life.lanes.next(Want::Backlog, Some(Class::Sample), limit, &mut out).is_some() {}
            assert!(life.lanes.held(), "not all is read yet");
            follower.ready();
            assert!(life.store.history(&Query::default(), 1_000).is_err());
            assert!(life.store.statistics().counters.unreadable > 0, "a standing alarm");
            life.hand.advance(Duration::from_secs(2));
        }
        life.disk.fail(Faults::default());
        while life.lanes.next(Want::Backlog, Some(Class::Sample), limit, &mut out).is_some() {}
        assert!(!life.lanes.held() && out.len() > before);
        let samples: Vec<Seq> =
            out.iter().filter(|f| f.kind == crate::Kind::Reported).map(|f| f.seq).collect();
        assert_eq!(samples.len(), 200, "each once, none passed over");
        assert!(samples.is_sorted());
        let mut seen = Vec::new();
        loop {
            let ready = follower.ready();
            if ready.is_empty() {
                break;
            }
            seen.extend(ready.into_iter().map(|f| f.seq));
        }
        let log = read_all(&life);
        assert_eq!(seen, log.keys().copied().collect::<Vec<_>>());
        work(&mut life);
        assert_eq!(gaps(&life, &read_all(&life)), []);
        assert_eq!(life.store.statistics().counters.unreadable, 0);
    }
}

/// An error at start is no verdict either: the process ends, and the next start finds everything as it was.
#[test]
fn a_start_that_cannot_read_touches_nothing() {
    let mut life = begin(roomy());
    for n in 0..10 {
        commit(&mut life, reading(TWINS[0], &format!("sample {n}")));
    }
    work(&mut life);
    let before = read_all(&life);
    let disk = life.disk.image().crash(Survival::Everything);
    let (all, ops) = (disk.list().unwrap(), disk.ops());
    let troubles = [
        Faults { no_files: true, ..Faults::default() },
        Faults { unreadable: true, ..Faults::default() },
    ];
    for trouble in troubles {
        disk.fail(trouble);
        let (clock, _) = base::Clock::manual(0, None, [1; 16]);
        let error = crate::store::open_core(Arc::new(disk.clone()), roomy(), clock).err().unwrap();
        assert!(error.to_string().contains("nothing was touched"), "{error}");
        assert!(!error.is_permanent());
        assert_eq!((disk.list().unwrap(), disk.ops()), (all.clone(), ops));
    }
    disk.fail(Faults::default());
    let (life, _) = Life::begin(disk, roomy(), 1, 2);
    assert_eq!((&life.recovery.gaps[..], life.recovery.set_aside.len()), (&[][..], 0));
    let log = read_all(&life);
    assert!(before.keys().all(|seq| log.contains_key(seq)));
}

/// Whoever could not read is gone, and the next one can; or what could not be read is no more.
#[test]
fn the_alarm_of_a_reader_that_is_gone_ends() {
    let mut options = roomy();
    options.samples = Budget { bytes: 8 << 10, age: None, segment: 2 << 10 };
    let mut life = begin(options);
    for n in 0..10 {
        commit(&mut life, reading(TWINS[0], &format!("sample {n}")));
    }
    work(&mut life);
    let unreadable = |life: &Life| life.store.statistics().counters.unreadable;
    let fails = |life: &Life| {
        life.disk.fail(Faults { no_files: true, ..Faults::default() });
        assert!(life.store.history(&Query::default(), 1_000).is_err());
        life.disk.fail(Faults::default());
    };
    fails(&life);
    assert_eq!(unreadable(&life), 1);
    life.store.history(&Query::default(), 1_000).unwrap();
    assert_eq!(unreadable(&life), 0, "it can be read");
    assert!(life.store.statistics().troubles.is_empty());

    fails(&life);
    for n in 0..100 {
        commit(&mut life, reading(TWINS[0], &format!("more {n}")));
        if n % 10 == 0 {
            work(&mut life);
        }
    }
    assert!(life.store.statistics().counters.dropped_segments > 0);
    assert_eq!(unreadable(&life), 0, "it was dropped");
}

fn revs(life: &Life, twin: &str) -> (u64, Vec<u64>) {
    let id: TwinId = twin.parse().unwrap();
    life.store.read(|state| {
        let twin = state.twin(&id).unwrap();
        let features = u16::try_from(twin.description().features.len()).unwrap();
        (twin.rev(), (0..features).map(|f| twin.feature(f).rev).collect())
    })
}

/// The disk after a crash that cost nothing but the snapshots.
fn without_snapshots(life: &Life) -> Sim {
    let disk = life.disk.image().crash(Survival::Everything);
    for name in names(&disk, "state", ".snap") {
        disk.remove(&name).unwrap();
    }
    disk
}

#[test]
fn revs_are_proven_by_footers_when_no_snapshot_is_left() {
    let mut options = roomy();
    options.snapshot = 4 << 10;
    options.samples = Budget { bytes: 8 << 10, age: None, segment: 2 << 10 };
    let mut life = begin(options.clone());
    // Of the fan nothing is left but its description, of the pump the newest.
    for n in 0..40 {
        commit(&mut life, reading(TWINS[1], &format!("fan {n}")));
    }
    for n in 0..400 {
        commit(&mut life, reading(TWINS[0], &format!("pump {n}")));
        if n % 10 == 0 {
            work(&mut life);
        }
    }
    assert!(life.store.statistics().counters.dropped_segments > 10);
    let (pump, fan) = (revs(&life, TWINS[0]), revs(&life, TWINS[1]));
    let (life, _) = Life::begin(without_snapshots(&life), options.clone(), 1, 2);
    assert_eq!(life.recovery.gaps, [], "the log itself tells what retention dropped");
    let after = revs(&life, TWINS[0]);
    assert!(after.0 >= pump.0 && after.0 < pump.0 + Twin::JUMP, "{after:?} was {pump:?}");
    assert!(after.1.iter().zip(&pump.1).all(|(after, before)| after >= before));
    let after_fan = revs(&life, TWINS[1]);
    assert!(after_fan.0 >= fan.0.max(Twin::JUMP), "what nothing proves jumps: {after_fan:?}");
    // What was shown now is not taken back either.
    let (life, _) = Life::begin(without_snapshots(&life), options, 1, 3);
    assert!(revs(&life, TWINS[0]).0 >= after.0 && revs(&life, TWINS[1]).0 >= after_fan.0);
}

#[test]
fn separate_losses_on_a_full_disk_are_separate_gaps() {
    let mut life = begin(roomy());
    commit(&mut life, relation("the records have a segment"));
    work(&mut life);
    life.disk.fail(Faults { refused: Some("samples"), ..Faults::default() });
    let mut lost = Vec::new();
    for round in 0..3 {
        let first = life.store.head().next();
        for n in 0..4 {
            commit(&mut life, reading(TWINS[0], &format!("lost {round} {n}")));
        }
        lost.push((first, life.store.head()));
        commit(&mut life, relation(&format!("kept {round}")));
    }
    life.disk.fail(Faults::default());
    work(&mut life);
    let log = read_all(&life);
    assert_eq!(gaps(&life, &log), lost);
    let full = |f: &crate::Frame| match life.store.read(|s| f.commit(s)).map(|c| c.body) {
        Some(Body::Gateway(GatewayEvent::Gap { cause, .. })) => cause == GapCause::Full,
        _ => true,
    };
    assert!(log.values().all(full));
    assert!(!life.store.statistics().counters.full);
}

/// A reserve that an earlier life made is taken over; what a power cut left under its name is not.
#[test]
fn a_start_writes_no_zeros_that_are_there() {
    let mut life = begin(roomy());
    commit(&mut life, reading(TWINS[0], "one"));
    work(&mut life);
    let spares = names(&life.disk, "spare-", "");
    assert_eq!(spares, ["spare-records", "spare-samples"]);
    let disk = stop(life);
    let before = disk.written();
    let (clock, _) = base::Clock::manual(0, None, [1; 16]);
    let (core, _) = crate::store::open_core(Arc::new(disk.clone()), roomy(), clock).unwrap();
    drop(core);
    let written = disk.written() - before;
    // The spare of the records became their segment; one more was made.
    assert!(written < (64 << 10) + 4_096, "{written} bytes");

    let file = disk.open("spare-samples").unwrap();
    file.write_at(40_000, b"frames of a segment whose renaming was lost").unwrap();
    let (mut life, _) = Life::begin(disk, roomy(), 1, 3);
    let seq = commit(&mut life, reading(TWINS[0], "two"));
    work(&mut life);
    let crashed = life.disk.image().crash(Survival::Everything);
    let (life, _) = Life::begin(crashed, roomy(), 1, 4);
    assert!(!life.recovery.torn && life.recovery.gaps.is_empty());
    assert!(read_all(&life).contains_key(&seq));
}
