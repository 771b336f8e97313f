//! How entangled a twin is: said when it moves, in every transition, over restarts, and what thresholds make of it.

use std::sync::Arc;
use std::time::Duration;

use twin::{Entangled, LifeCycle, Measuring, Thresholds, Trigger, What};

use crate::{Run, S, description, first_run, id};

/// A window of ten seconds, so that tests need not wait for long.
const SHORT: Measuring =
    Measuring { window: 10 * S, timeliness: S, thresholds: None, strong: false };

impl Run {
    /// The twin is measured like this, and silence alone moves it after `max_age` seconds.
    async fn measured(&self, policy: Measuring, max_age: i64) {
        let mut described = description();
        described.revision = 2;
        described.policy.entanglement = policy;
        described.groups[0].max_age = max_age * S;
        let what = What::Described(Arc::new(described));
        self.tell(twin::Origin::Configuration, what).await.unwrap();
    }

    /// So many seconds pass; in each the asset answers its poll, or there is none.
    async fn pass(&self, seconds: usize, polled: bool) {
        for _ in 0..seconds {
            self.hand.advance(Duration::from_secs(1));
            if polled {
                self.report(1, None).await;
            }
            // The keeper looks each quarter of a second of real time.
            tokio::time::sleep(Duration::from_millis(350)).await;
        }
    }

    fn said(&self) -> Option<Entangled> {
        self.store.read(|state| Some(state.twin(&id())?.entangled()?.1))
    }
}

fn sayings(log: &[What]) -> Vec<f32> {
    let of = |what: &What| match what {
        What::Entangled(entangled) => Some(entangled.value()),
        _ => None,
    };
    log.iter().filter_map(of).collect()
}

#[tokio::test]
async fn a_change_is_said_and_silence_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let run = first_run(dir.path()).await;
    run.measured(SHORT, 5).await;
    run.pass(12, true).await;
    assert_eq!(run.said().unwrap().figures(), [1.0; 3]);
    let before = sayings(&run.log().await).len();
    assert!(before <= 3, "nothing moved: {before} sayings");

    // Nobody asks any more: a line that hangs tells no failure.
    run.pass(12, false).await;
    run.until("nothing is left", |run| run.said().is_some_and(|said| said.value() == 0.0)).await;
    let log = run.log().await;
    let falling = &sayings(&log)[before..];
    assert!(falling.is_sorted_by(|a, b| a > b), "{falling:?}");
    assert!(falling.len() >= 5, "at each step of the fall, not at the end of it: {falling:?}");
    let out = log.iter().find_map(|what| match what {
        What::Transition { to: LifeCycle::OutOfSync, entanglement, .. } => *entanglement,
        _ => None,
    });
    let [_, reliability, _] = out.expect("a transition carries the figures");
    assert!((0.2..0.8).contains(&reliability), "{reliability} after 5 s of 10");

    run.pass(12, true).await;
    assert_eq!(run.said().unwrap().figures()[1], 1.0);
    run.end().await;
}

#[tokio::test]
async fn time_in_which_nobody_ran_counts() {
    let dir = tempfile::tempdir().unwrap();
    let run = first_run(dir.path()).await;
    run.measured(SHORT, 5).await;
    run.pass(4, true).await;
    let now = run.clock.boottime() / S;
    run.end().await;

    let run = Run::begin(dir.path(), now + 6);
    run.shadowed_again().await;
    run.pass(2, true).await;
    let [timeliness, reliability, availability] = run.said().unwrap().figures();
    assert_eq!(timeliness, 1.0);
    assert!((0.1..0.6).contains(&availability), "{availability}: six of nine seconds nobody ran");
    assert!(reliability < 0.7, "{reliability}");
    run.pass(10, true).await;
    assert_eq!(run.said().unwrap().figures(), [1.0; 3], "a window later it is forgotten");
    run.end().await;
}

#[tokio::test]
async fn thresholds_move_a_twin_when_they_have_been_crossed_for_long_enough() {
    let dir = tempfile::tempdir().unwrap();
    let run = first_run(dir.path()).await;
    let thresholds = Some(Thresholds { enter: 0.9, leave: 0.5, hold_in: 2 * S, hold_out: 2 * S });
    // Silence alone would never move it.
    run.measured(Measuring { thresholds, ..SHORT }, 0).await;
    run.pass(12, true).await;
    assert_eq!(run.life(), Some(LifeCycle::Shadowed));
    run.pass(5, false).await;
    assert_eq!(run.life(), Some(LifeCycle::Shadowed), "{:?} is not bad enough yet", run.said());
    run.pass(5, false).await;
    assert_eq!(run.life(), Some(LifeCycle::OutOfSync), "{:?}", run.said());
    run.pass(4, true).await;
    assert_eq!(run.life(), Some(LifeCycle::OutOfSync), "{:?} is not good enough yet", run.said());
    run.pass(10, true).await;
    assert_eq!(run.life(), Some(LifeCycle::Shadowed), "{:?}", run.said());
    let log = run.log().await;
    let by: Vec<Trigger> = log
        .iter()
        .filter_map(|what| match what {
            What::Transition { trigger, .. } => Some(*trigger),
            _ => None,
        })
        .collect();
    assert_eq!(by[by.len() - 2..], [Trigger::Threshold, Trigger::Recovered]);

    // After a restart it has to be measured, and good for long enough, before it is shadowed again.
    let now = run.clock.boottime() / S;
    run.end().await;
    let run = Run::begin(dir.path(), now + 1);
    run.until("restarted", |run| run.life() == Some(LifeCycle::OutOfSync)).await;
    run.report(1, None).await;
    run.pass(1, true).await;
    assert_eq!(run.life(), Some(LifeCycle::OutOfSync), "{:?} for a second only", run.said());
    run.pass(14, true).await;
    assert_eq!(run.life(), Some(LifeCycle::Shadowed), "{:?}", run.said());
    run.end().await;
}

#[tokio::test]
async fn a_twin_that_is_done_is_not_entangled() {
    let dir = tempfile::tempdir().unwrap();
    let run = first_run(dir.path()).await;
    run.measured(SHORT, 5).await;
    run.pass(3, true).await;
    assert_eq!(run.said().unwrap().value(), 1.0);
    run.configured.send(Arc::default()).unwrap();
    run.until("it is done", |run| run.life() == Some(LifeCycle::Done)).await;
    run.pass(2, false).await;
    assert_eq!(run.said().unwrap().value(), 0.0);
    let said = sayings(&run.log().await).len();
    run.pass(3, false).await;
    assert_eq!(sayings(&run.log().await).len(), said, "once");
    run.end().await;
}
