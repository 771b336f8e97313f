//! Crash after every single disk operation of many small lives, with several choices of what survives.

use super::check::Expected;
use super::model::{Life, options};
use super::sim::{Image, Sim, Survival};

/// Lives that are crashed at every point.
const LIVES: u64 = 70;
const STEPS: usize = 60;

#[test]
fn no_promise_breaks_at_any_crash_point() {
    let mut points = 0;
    for seed in 1..=LIVES {
        let disk = Sim::default();
        let (mut life, _) = Life::begin(disk.clone(), options(seed.is_multiple_of(2)), 1, seed);
        life.found();
        disk.record();
        for _ in 0..STEPS {
            life.step();
        }
        for image in disk.images() {
            let expected = Expected::of(&life, None, image.ops());
            points += 3;
            crash(&image, &expected, Survival::Nothing, seed);
            crash(&image, &expected, Survival::Everything, seed);
            let seed = seed << 32 | image.ops() as u64;
            crash(&image, &expected, Survival::Some(seed), seed);
        }
    }
    assert!(points > 10_000, "{points} crash points are too few");
}

/// Recovers, checks, lives on a little, crashes again somewhere, and checks again.
fn crash(image: &Image, expected: &Expected, survival: Survival, seed: u64) {
    let disk = image.crash(survival);
    disk.record();
    // The same boot where everything survived: that was the daemon alone.
    let boot = if matches!(survival, Survival::Everything) { 1 } else { 2 };
    let (mut life, resume) = Life::begin(disk.clone(), options(seed.is_multiple_of(2)), boot, seed);
    expected.check(&mut life, &resume, matches!(survival, Survival::Everything));
    let images = disk.images();
    // A crash during recovery must leave everything as recoverable as it was.
    let again = images.get(usize::try_from(seed).unwrap() % images.len().max(1));
    if let Some(again) = again {
        let disk = again.crash(Survival::Some(seed));
        let (mut life, resume) = Life::begin(disk, options(false), 3, seed);
        expected.check(&mut life, &resume, false);
    }
}
