//! Thinning under crashes: a power cut anywhere leaves samples or envelopes, never both, and no lane within an envelope.

use std::time::Duration;

use twin::{GapCause, Seq};

use super::check::{Expected, envelope, ranges, read_all};
use super::model::{Life, options};
use super::sim::{Sim, Survival};
use crate::disk::Disk;
use crate::frame::Kind;
use crate::options::Options;

fn small() -> Options {
    let mut options = Options { snapshot: 1 << 10, thin: Duration::from_secs(20), ..options(true) };
    options.ring = 512;
    options.samples.segment = 1 << 10;
    options.samples.bytes = 9 << 10;
    options
}

fn begin(disk: &Sim, seed: u64) -> Life {
    let (mut life, _) = Life::begin(disk.clone(), small(), 1, seed);
    life.found();
    life
}

#[test]
fn no_promise_breaks_at_any_crash_point_of_thinning() {
    let (mut points, mut thinned, mut dropped) = (0, 0, 0);
    for seed in 1..=25 {
        let disk = Sim::default();
        let mut life = begin(&disk, seed);
        for _ in 0..200 {
            life.step();
        }
        disk.record();
        for _ in 0..60 {
            life.step();
        }
        let counters = life.store.statistics().counters;
        (thinned, dropped) =
            (thinned + counters.thinned_segments, dropped + counters.dropped_segments);
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
    assert!(points > 3_000 && thinned > 60 && dropped > 5, "{points} {thinned} {dropped}");
}

/// A thinning that ended and whose samples are still there when the power goes.
#[test]
fn envelopes_win_over_samples_that_were_not_removed_yet() {
    let disk = Sim::default();
    let mut life = begin(&disk, 5);
    life.lanes.disconnected();
    while life.core.thin_due.is_none() {
        life.report();
        life.hand.advance(Duration::from_secs(1));
        life.core.tick();
        if let Some(job) = life.core.begin_job(false) {
            let done = job.run();
            life.core.finish_job(done);
        }
    }
    let before = read_all(&life);
    let head = life.store.head();
    let thinning = life.core.begin_thinning().unwrap();
    assert!(life.core.begin_thinning().is_none(), "one at a time");
    life.core.finish_thinning(thinning.run());
    assert_eq!(life.store.head(), Seq(head.0 + 1), "what was thinned is a commit");
    let after = read_all(&life);
    assert!(after.len() < before.len(), "fewer commits");
    let told = |life: &Life| {
        let log = read_all(life);
        ranges(life, &log, |cause| cause == GapCause::Thinned)
    };
    let samples =
        |disk: &Sim| disk.list().unwrap().iter().filter(|name| name.starts_with("samples")).count();
    let both = samples(&disk);

    // The draft has its name, but no directory remembers it: it is as if nothing had begun.
    let (next, _) = Life::begin(disk.image().crash(Survival::Nothing), small(), 2, 6);
    assert!(read_all(&next).values().all(|f| f.kind != Kind::Thinned));

    // Both are there.
    let (next, _) = Life::begin(disk.image().crash(Survival::Everything), small(), 1, 7);
    let kept = read_all(&next);
    let envelopes: Vec<_> = kept.values().filter_map(|frame| envelope(&next, frame)).collect();
    assert!(!envelopes.is_empty());
    assert!(envelopes.iter().all(|e| e.thin == 1 && e.first < e.last && e.revision > 0));
    assert_eq!(told(&next).len(), 2, "said once more, since nobody knows whether it was");
    assert_eq!(samples(&next.disk), both - 1, "the samples are gone by now");

    // With the next round of disk work the samples are gone for good.
    let job = life.core.begin_job(true).unwrap();
    let done = job.run();
    life.core.finish_job(done);
    assert_eq!(samples(&disk), both - 1);
    let (next, _) = Life::begin(disk.image().crash(Survival::Everything), small(), 1, 8);
    assert_eq!(told(&next).len(), 1);
    let destroyed = next.core.shared.lock().known_damage.clone();
    assert!(destroyed.is_empty(), "a record that is destroyed in between is still to be told");
    let kept = read_all(&next).values().filter(|f| f.kind == Kind::Thinned).count();
    assert_eq!(kept, envelopes.len());
}
