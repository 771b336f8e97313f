//! Full disks, failing syncs, read-only file systems, flipped bits: each has a defined behaviour.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base::Clock;
use twin::{
    Accepted, Boottime, Change, Entry, Handle, Origin, Quality, Receipt, Refusal, Relationship,
    Reported, Seq, Submission, TimeBase, Value, What,
};

use super::check::{Expected, gaps, read_all};
use super::model::{Life, TWINS, description, options};
use super::sim::{Faults, Sim, Survival};
use crate::disk::Disk;
use crate::options::Options;
use crate::store::open_core;
use crate::troubles::Part;

fn begin(disk: &Sim, seed: u64) -> Life {
    let (mut life, _) = Life::begin(disk.clone(), options(false), 1, seed);
    life.found();
    life
}

fn reading(value: u64) -> Submission {
    let value = Value::Text(format!("{value:0200}").into());
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
    let twin = TWINS[0].parse().unwrap();
    Submission::change(Change { twin, origin: Origin::Asset, what: What::Reported(reported) })
}

fn relation(n: u64) -> Submission {
    let target = format!("{n:0200}").into();
    let what = What::Related(Relationship { name: "feeds".parse().unwrap(), target });
    let twin = TWINS[0].parse().unwrap();
    Submission::change(Change { twin, origin: Origin::Configuration, what })
}

type Answers = Arc<Mutex<Vec<Result<Accepted, Refusal>>>>;

fn with_receipt(submission: Submission, answers: &Answers) -> Submission {
    let answers = answers.clone();
    submission.with_receipt(Receipt::new(move |answer| answers.lock().unwrap().push(answer)))
}

/// Disk work until there is none.
fn settle(life: &mut Life) {
    for _ in 0..8 {
        life.hand.advance(Duration::from_secs(20));
        life.core.tick();
        while let Some(job) = life.core.begin_job(false) {
            let done = job.run();
            life.core.finish_job(done);
        }
    }
    life.look();
}

/// With segments of records that hold a few records only, one is often full while its own sync is under way.
#[test]
fn a_failed_sync_loses_nothing_that_was_told() {
    for (records, seed) in [None, Some(1_400), Some(1_200)]
        .into_iter()
        .flat_map(|records| (1..150).map(move |seed| (records, seed)))
    {
        let disk = Sim::default();
        let mut options = options(false);
        options.records.segment = records.unwrap_or(options.records.segment);
        let (mut life, _) = Life::begin(disk.clone(), options.clone(), 1, seed);
        life.found();
        let mut rng = fastrand::Rng::with_seed(seed);
        for _ in 0..40 {
            if rng.u8(..6) == 0 {
                let n = rng.usize(..3);
                disk.fail(Faults { sync_fails_in: Some(n), ..Faults::default() });
            }
            life.step();
        }
        let image = disk.image();
        let expected = Expected::of(&life, None, image.ops());
        for survival in [Survival::Nothing, Survival::Some(seed)] {
            let options = Options { ring: 2 << 10, ..options.clone() };
            let (mut next, resume) = Life::begin(image.crash(survival), options, 2, seed);
            expected.check(&mut next, &resume, false);
        }
    }
}

#[test]
fn a_failed_sync_is_answered_by_a_new_segment() {
    let disk = Sim::default();
    let mut life = begin(&disk, 1);
    let answers = Answers::default();
    life.core.accept(&mut vec![reading(1)]);
    life.core.accept(&mut vec![with_receipt(relation(1), &answers)]);
    disk.fail(Faults { sync_fails_in: Some(0), ..Faults::default() });
    let done = life.core.begin_job(false).unwrap().run();
    life.core.finish_job(done);
    assert!(answers.lock().unwrap().is_empty(), "nothing is told before it is durable");
    settle(&mut life);
    assert!(matches!(answers.lock().unwrap()[..], [Ok(_)]));
    assert_eq!(life.store.statistics().counters.sync_failures, 1);
    let (next, _) = Life::begin(disk.image().crash(Survival::Nothing), options(false), 2, 1);
    let log = read_all(&next);
    let told = answers.lock().unwrap()[0].clone().unwrap().seq;
    assert!(log.contains_key(&told) && log.contains_key(&Seq(told.0 - 1)));
}

/// The daemon dies after a sync failed: its pages read back well and are on no disk. The next life sees what they say, so it
/// must not rely on them before it has written them once more.
#[test]
fn what_a_failed_sync_left_in_memory_is_written_again_by_the_next_life() {
    let disk = Sim::default();
    let mut life = begin(&disk, 1);
    life.core.accept(&mut vec![relation(1), reading(1)]);
    disk.fail(Faults { sync_fails_in: Some(0), ..Faults::default() });
    drop(life.core.begin_job(true).unwrap().run());
    disk.fail(Faults { sync_fails_in: Some(0), ..Faults::default() });
    drop(life.core.begin_job(true).map(crate::job::Job::run));
    disk.fail(Faults::default());
    drop(life);
    let (next, _) = Life::begin(disk.clone(), options(false), 1, 2);
    let seen = read_all(&next);
    drop(next);
    let (last, _) = Life::begin(disk.image().crash(Survival::Nothing), options(false), 2, 3);
    let log = read_all(&last);
    assert!(seen.keys().all(|seq| log.contains_key(seq)), "{:?} of {:?}", log.keys(), seen.keys());
}

#[test]
fn a_full_disk_drops_old_samples_then_keeps_going_in_memory_and_says_so_once() {
    let disk = Sim::default();
    let mut life = begin(&disk, 1);
    let answers = Answers::default();
    disk.fail(Faults { capacity: Some(48 << 10), ..Faults::default() });
    for n in 0..400 {
        life.core.accept(&mut vec![reading(n)]);
        if n % 4 == 0 {
            life.hand.advance(Duration::from_secs(20));
            life.core.tick();
        }
        while let Some(job) = life.core.begin_job(false) {
            let done = job.run();
            life.core.finish_job(done);
        }
    }
    let statistics = life.store.statistics();
    assert!(statistics.counters.dropped_segments > 0, "{statistics:?}");
    assert!(!statistics.counters.full, "there was something to drop");

    // Now there is not even room for one more segment, and nothing may be dropped.
    disk.fail(Faults { capacity: Some(0), ..Faults::default() });
    life.core.snapshots.clear();
    let before = life.store.head();
    for n in 1_000..1_050 {
        life.core.accept(&mut vec![reading(n)]);
    }
    let statistics = life.store.statistics();
    assert!(statistics.counters.full, "a standing alarm");
    assert_eq!(life.store.head(), Seq(before.0 + 50), "the samples go on in memory");
    life.look();
    assert_eq!(life.seen.frames.last().unwrap().1.seq, life.store.head(), "and to the links");
    // Records have room of their own, until that is used up: then they are refused, and never half accepted.
    for n in 0..60 {
        life.core.accept(&mut vec![with_receipt(relation(n), &answers)]);
        if let Some(job) = life.core.begin_job(false) {
            let done = job.run();
            life.core.finish_job(done);
        }
    }
    let told = answers.lock().unwrap().clone();
    let accepted = told.iter().filter(|a| a.is_ok()).count();
    assert!(accepted >= 4, "records had a reserve: {accepted}");
    let refused = told.iter().filter(|a| matches!(a, Err(Refusal::Storage(_)))).count();
    assert_eq!(accepted + refused, 60);
    let relations = life.store.read(|s| s.by_handle(Handle(1)).unwrap().relationships().len());
    assert_eq!(relations, accepted, "what is refused did not happen");

    // Room again: one gap says what was lost, and everything goes on.
    disk.fail(Faults::default());
    settle(&mut life);
    life.core.accept(&mut vec![reading(2_000)]);
    settle(&mut life);
    assert!(!life.store.statistics().counters.full);
    let log = read_all(&life);
    let gaps = gaps(&life, &log);
    for seq in (1..=life.store.head().0).map(Seq) {
        let position = !life.seen.frames.iter().any(|(_, f)| f.seq == seq);
        let said = gaps.iter().any(|(a, b)| *a <= seq && seq <= *b);
        assert!(position || log.contains_key(&seq) || said, "{seq:?} is gone and no gap says so");
    }
}

/// Dropping samples helps against a full disk and against nothing else.
#[test]
fn a_disk_that_is_not_full_costs_no_old_samples() {
    let disk = Sim::default();
    let mut life = begin(&disk, 1);
    for n in 0..100 {
        life.core.accept(&mut vec![reading(n)]);
        settle(&mut life);
    }
    let before = read_all(&life);
    disk.fail(Faults { no_files: true, ..Faults::default() });
    for n in 100..160 {
        life.core.accept(&mut vec![reading(n)]);
        settle(&mut life);
    }
    assert!(life.store.statistics().counters.full, "memory alone has the newest");
    disk.fail(Faults::default());
    settle(&mut life);
    let after = read_all(&life);
    assert!(before.keys().all(|seq| after.contains_key(seq)), "nothing was dropped");
    assert_eq!(life.store.statistics().counters.dropped_segments, 0);
}

#[test]
fn what_was_lost_is_said_though_the_first_attempt_to_say_it_fails() {
    let disk = Sim::default();
    let mut life = begin(&disk, 1);
    disk.fail(Faults { refused: Some("samples"), ..Faults::default() });
    let first = life.store.head().next();
    let answers = Answers::default();
    for n in 0..50 {
        life.core.accept(&mut vec![with_receipt(reading(n), &answers)]);
    }
    let told = answers.lock().unwrap().clone();
    assert!(told.len() == 50 && told.iter().all(Result::is_err), "memory keeps no promise");
    let last = life.store.head();
    assert!(life.store.statistics().counters.full);
    disk.fail(Faults { refused: Some("records"), ..Faults::default() });
    for _ in 0..3 {
        settle(&mut life);
        assert!(life.store.statistics().counters.full, "a standing alarm until it is said");
    }
    disk.fail(Faults::default());
    settle(&mut life);
    assert!(!life.store.statistics().counters.full);
    let log = read_all(&life);
    let gaps = gaps(&life, &log);
    assert!(gaps.iter().any(|(a, b)| *a <= first && last <= *b), "{first:?} {last:?} {gaps:?}");
}

#[test]
fn a_read_only_disk_refuses_records_and_the_store_does_not_open_on_it() {
    let disk = Sim::default();
    let mut life = begin(&disk, 1);
    disk.fail(Faults { read_only: true, ..Faults::default() });
    let answers = Answers::default();
    life.core.accept(&mut vec![with_receipt(relation(1), &answers), reading(1)]);
    assert!(matches!(answers.lock().unwrap()[..], [Err(Refusal::Storage(_))]));
    assert!(life.store.statistics().counters.read_only);
    drop(life);
    let (clock, _) = Clock::manual(0, None, [1; 16]);
    let error = open_core(Arc::new(disk), options(false), clock).err().unwrap();
    assert!(error.to_string().contains("read-only"), "{error}");
}

#[test]
fn a_flipped_bit_costs_no_more_than_what_it_hits_and_is_said() {
    for seed in 1..200 {
        let disk = Sim::default();
        let mut life = begin(&disk, seed);
        for _ in 0..40 {
            life.step();
        }
        life.core.accept(&mut vec![relation(1)]);
        settle(&mut life);
        let before = read_all(&life);
        drop(life);
        let mut rng = fastrand::Rng::with_seed(seed);
        let family = if rng.bool() { "samples" } else { "records" };
        assert!(disk.flip(family, rng.u64(..)));
        let (mut next, _) = Life::begin(disk.clone(), options(true), 1, seed);
        read_all(&next);
        settle(&mut next);
        let after = read_all(&next);
        let gone: Vec<Seq> =
            before.keys().filter(|seq| !after.contains_key(seq)).copied().collect();
        assert!(gone.len() <= 1, "one bit took {gone:?}");
        let gaps = gaps(&next, &after);
        for seq in gone {
            // An empty stretch says that commits from there on may be gone.
            let said = gaps.iter().any(|(a, b)| *a <= seq && (seq <= *b || b < a));
            assert!(said, "{seq:?} is gone, said are {gaps:?}");
        }
        for (seq, frame) in &after {
            if let Some(was) = before.get(seq).filter(|was| was.epoch == frame.epoch) {
                assert_eq!(was.payload, frame.payload);
            }
        }
    }
}

#[test]
fn revisions_of_a_description_only_add() {
    let disk = Sim::default();
    let mut life = begin(&disk, 1);
    let answers = Answers::default();
    let mut other = description(2);
    other.points[0].spec.value_type = twin::ValueType::Bool;
    let twin = TWINS[0].parse().unwrap();
    let what = What::Described(Arc::new(other));
    let change = Change { twin, origin: Origin::Configuration, what };
    life.core.accept(&mut vec![with_receipt(Submission::change(change), &answers)]);
    assert!(matches!(answers.lock().unwrap()[..], [Err(Refusal::Invalid(_))]));
}

/// The links have seen what memory alone had: after a kill nothing of it is shown once more as something else.
#[test]
fn a_kill_on_a_full_disk_takes_no_rev_back() {
    let disk = Sim::default();
    let mut life = begin(&disk, 1);
    life.core.accept(&mut vec![reading(0)]);
    settle(&mut life);
    disk.fail(Faults { refused: Some("samples"), ..Faults::default() });
    let first = life.store.head().next();
    for n in 1..20 {
        life.core.accept(&mut vec![reading(n)]);
    }
    life.core.tick();
    for n in 20..30 {
        life.core.accept(&mut vec![reading(n)]);
    }
    let shown = life.store.read(|s| s.by_handle(Handle(1)).unwrap().rev());
    disk.fail(Faults::default());
    let (next, _) = Life::begin(disk.image().crash(Survival::Everything), options(false), 1, 2);
    let after = next.store.read(|s| s.by_handle(Handle(1)).unwrap().rev());
    assert!(after > shown, "{after} was {shown}");
    let log = read_all(&next);
    let said = gaps(&next, &log).iter().any(|(a, b)| *a <= first && b < a);
    assert!(said, "that commits from {first:?} on may be missing is on record");
}

/// Each trouble is told with what is done about it and what can be done, stands, and ends.
#[test]
fn troubles_stand_until_they_are_over() {
    let parts = |life: &Life| -> Vec<Part> {
        life.store.statistics().troubles.iter().map(|t| t.part).collect()
    };
    let disk = Sim::default();
    let mut life = begin(&disk, 1);
    disk.fail(Faults { read_only: true, ..Faults::default() });
    life.core.accept(&mut vec![reading(1), relation(1)]);
    assert_eq!(parts(&life), [Part::Samples, Part::Records]);
    let troubles = life.store.statistics().troubles;
    assert!(troubles[0].what.contains("read-only") && troubles[0].what.contains("memory"));
    assert!(troubles[1].what.contains("commands are refused"), "{troubles:?}");
    assert!(troubles.iter().all(|t| t.help.contains("mount it writable")), "{troubles:?}");
    disk.fail(Faults::default());
    settle(&mut life);
    assert_eq!(parts(&life), []);

    life.core.accept(&mut vec![reading(2)]);
    disk.fail(Faults { sync_fails_in: Some(0), ..Faults::default() });
    let done = life.core.begin_job(true).unwrap().run();
    life.core.finish_job(done);
    assert_eq!(parts(&life), [Part::Durability]);
    settle(&mut life);
    assert_eq!(parts(&life), []);

    disk.fail(Faults { refused: Some("state"), ..Faults::default() });
    life.core.snapshot_due = true;
    settle(&mut life);
    assert_eq!(parts(&life), [Part::Snapshot]);
    disk.fail(Faults::default());
    settle(&mut life);
    assert_eq!(parts(&life), []);
}

/// A store of a later version is left as it is: an older program would take it for damage.
#[test]
fn a_store_of_a_later_version_is_refused_and_not_touched() {
    let disk = Sim::default();
    let mut life = begin(&disk, 1);
    life.core.accept(&mut vec![relation(1), reading(1)]);
    let done = life.core.last_job().run();
    life.core.finish_job(done);
    drop(life);
    let contents = |disk: &Sim| -> Vec<(String, Vec<u8>)> {
        let names = disk.list().unwrap();
        let whole = |name: &String| {
            let file = disk.open(name).unwrap();
            let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
            file.read_at(0, &mut bytes).unwrap();
            bytes
        };
        names.iter().map(|name| (name.clone(), whole(name))).collect()
    };
    for (prefix, version) in [("samples", 2_u16), ("state", 3)] {
        let disk = disk.image().crash(Survival::Everything);
        let name = disk.list().unwrap().into_iter().find(|n| n.starts_with(prefix)).unwrap();
        let mut head = version.to_le_bytes().to_vec();
        head.extend([7; 30]);
        disk.open(&name).unwrap().write_at(8, &head).unwrap();
        let before = contents(&disk);
        let (clock, _) = Clock::manual(0, None, [1; 16]);
        let error = open_core(Arc::new(disk.clone()), options(false), clock).err().unwrap();
        assert!(error.is_permanent());
        let words = error.to_string();
        assert!(
            words.contains("newer gatewayd") && words.contains("nothing was touched"),
            "{words}"
        );
        assert!(contents(&disk) == before, "nothing was touched");
    }
}
