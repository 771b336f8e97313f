//! Making room: what goes is named first, in every order in which a power cut may take what was written.

use std::sync::Arc;
use std::time::Duration;

use base::Clock;
use twin::GapCause;

use super::check::{Expected, ranges, read_all};
use super::model::{Life, options};
use super::sim::{Faults, Sim, Survival};
use crate::disk::Disk;
use crate::options::Options;
use crate::store::open_core;

fn small() -> Options {
    let mut options = Options { snapshot: 2 << 10, ..options(true) };
    options.records.segment = 1536;
    options
}

/// A life on a disk that has no more room than this.
fn crowded(disk: &Sim, seed: u64, capacity: usize) -> Life {
    let (mut life, _) = Life::begin(disk.clone(), small(), 1, seed);
    life.found();
    disk.fail(Faults { capacity: Some(capacity), ..Faults::default() });
    life
}

#[test]
fn what_goes_on_a_full_disk_is_named_at_every_crash_point() {
    let (mut points, mut dropped) = (0, 0);
    for seed in 1..=12 {
        let disk = Sim::default();
        let mut life = crowded(&disk, seed, 24 << 10);
        for _ in 0..150 {
            life.step();
        }
        disk.record();
        for _ in 0..60 {
            life.step();
        }
        dropped += life.store.statistics().counters.dropped_segments;
        for image in disk.images() {
            let expected = Expected::of(&life, None, image.ops());
            let seed = seed << 32 | image.ops() as u64;
            for survival in [Survival::Nothing, Survival::Everything, Survival::Some(seed)] {
                points += 1;
                let boot = if matches!(survival, Survival::Everything) { 1 } else { 2 };
                let (mut next, resume) = Life::begin(image.crash(survival), small(), boot, seed);
                expected.check(&mut next, &resume, matches!(survival, Survival::Everything));
            }
        }
    }
    assert!(points > 1_000 && dropped > 10, "{points} crash points, {dropped} segments");
}

/// Not even the first record of an epoch has room: the oldest samples make it, and that is named wherever the power goes.
#[test]
fn an_epoch_that_has_no_room_to_begin_is_begun_at_the_cost_of_old_samples() {
    let disk = Sim::default();
    let mut life = crowded(&disk, 7, 96 << 10);
    for _ in 0..400 {
        life.step();
    }
    let image = disk.image();
    let expected = Expected::of(&life, None, image.ops()).given_up();
    // What opening clears away is taken by somebody else, until there is just room enough to begin.
    let used = |disk: &Sim| {
        let names = disk.list().unwrap();
        names.iter().map(|name| disk.open(name).unwrap().len().unwrap()).sum::<u64>()
    };
    let attempt = |capacity: usize| {
        let disk = image.crash(Survival::Everything);
        for name in disk.list().unwrap().iter().filter(|name| name.starts_with("spare")) {
            disk.remove(name).unwrap();
        }
        disk.sync_dir().unwrap();
        disk.fail(Faults { capacity: Some(capacity), ..Faults::default() });
        disk.record();
        let (clock, _) = Clock::manual(0, None, [1; 16]);
        open_core(Arc::new(disk.clone()), small(), clock).ok().map(|_| disk)
    };
    let full = usize::try_from(used(&image.crash(Survival::Everything))).unwrap();
    let disk = (0..full).step_by(128).find_map(attempt).unwrap();
    let (mut next, resume) = Life::begin(disk.image().crash(Survival::Everything), small(), 1, 7);
    let log = read_all(&next);
    assert_eq!(ranges(&next, &log, |cause| cause == GapCause::Retention).len(), 1);
    expected.check(&mut next, &resume, false);
    let images = disk.images();
    assert!(images.len() > 5);
    for image in images {
        for survival in [Survival::Nothing, Survival::Everything, Survival::Some(3)] {
            let (mut next, resume) = Life::begin(image.crash(survival), small(), 2, 7);
            expected.check(&mut next, &resume, false);
        }
    }
}

#[test]
fn what_could_not_be_removed_is_removed_later() {
    let disk = Sim::default();
    let mut options = small();
    options.samples.bytes = 8 << 10;
    let (mut life, _) = Life::begin(disk.clone(), options, 1, 3);
    life.found();
    let samples = |life: &Life| {
        let on_disk = disk.list().unwrap();
        let on_disk: Vec<_> = on_disk.into_iter().filter(|n| n.starts_with("samples")).collect();
        let known = life.store.statistics().families[0].2;
        (on_disk.len(), known)
    };
    let work = |life: &mut Life| {
        life.hand.advance(Duration::from_secs(2));
        life.core.tick();
        while let Some(job) = life.core.begin_job(false) {
            let done = job.run();
            life.core.finish_job(done);
        }
    };
    let mut failed = 0;
    for _ in 0..400 {
        life.step();
        // The round of disk work that would have removed something fails, or never comes back.
        if !life.core.removing.is_empty() && failed < 6 {
            failed += 1;
            disk.fail(Faults { sync_fails_in: Some(0), ..Faults::default() });
            let job = life.core.begin_job(true).unwrap();
            if failed % 2 == 0 || (job.files.is_empty() && !job.dir) {
                life.core.lost_job();
            } else {
                let done = job.run();
                assert!(!done.durable());
                life.core.finish_job(done);
            }
            assert!(!life.core.removing.is_empty(), "it is not forgotten");
            disk.fail(Faults::default());
        }
    }
    assert_eq!(failed, 6);
    for _ in 0..3 {
        work(&mut life);
    }
    assert!(life.core.removing.is_empty());
    let (on_disk, known) = samples(&life);
    assert_eq!(on_disk, known, "nothing lies there that nobody knows");
}

#[test]
fn a_file_that_cannot_be_removed_is_tried_again_once_a_tick() {
    let disk = Sim::default();
    let (mut life, _) = Life::begin(disk.clone(), small(), 1, 3);
    life.found();
    while life.core.begin_job(true).map(|job| life.core.finish_job(job.run())).is_some() {}
    disk.create("old.seg").unwrap();
    life.core.removing.push("old.seg".to_owned());
    disk.fail(Faults { removes_refused: true, ..Faults::default() });
    let rounds = |life: &mut Life| {
        std::iter::from_fn(|| {
            let job = life.core.begin_job(false)?;
            let done = job.run();
            life.core.finish_job(done);
            Some(())
        })
        .take(10)
        .count()
    };
    assert_eq!(rounds(&mut life), 1, "no busy loop");
    life.core.tick();
    assert_eq!(rounds(&mut life), 1);
    disk.fail(Faults::default());
    life.core.tick();
    assert_eq!(rounds(&mut life), 1);
    assert!(life.core.removing.is_empty() && disk.open("old.seg").is_err());
}

#[test]
fn an_epoch_is_refused_where_nothing_can_make_room() {
    let disk = Sim::default();
    disk.fail(Faults { capacity: Some(0), ..Faults::default() });
    // Somebody else has all of it.
    let (clock, _) = Clock::manual(0, None, [1; 16]);
    let error = open_core(Arc::new(disk), small(), clock).err().unwrap();
    assert!(error.to_string().contains("no storage space"), "{error}");
}
