//! Desired values over a real store: held ones are asked again when the asset leaves them, and the newest wins.

use std::sync::Arc;
use std::time::Duration;

use twin::{Hold, Maintenance, Order, Origin, Outcome, Reason, Stage, Step, Value, What};

use crate::{Run, S, description, first_run, id};

async fn held(dir: &std::path::Path) -> Run {
    let run = Run::begin(dir, 100);
    let mut described = description();
    let spec = &mut described.points[0].spec;
    spec.access.writable.as_mut().unwrap().hold = true;
    spec.rules.guard.hold = Hold { interval: 10 * S, times: 2 };
    run.tell(Origin::Configuration, What::Described(Arc::new(described))).await.unwrap();
    run.shadowed().await;
    run
}

impl Run {
    /// The next order is carried out by an asset that does as it is told.
    async fn obeyed(&mut self, value: u64) {
        let order = self.order().await;
        assert_eq!(order.order, Order::Write(Value::Unsigned(value)));
        self.sent(order.id, value).await.unwrap();
        self.report(value, Some(order.id)).await;
        self.until("confirmed", |run| run.outcome() == Some(Stage::Ended(Outcome::Confirmed)))
            .await;
    }

    /// The asset leaves the value, and the gateway has had time to notice.
    async fn leaves(&mut self, seconds: u64) {
        self.hand.advance(Duration::from_secs(seconds));
        self.report(40, None).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
    }

    fn silent(&mut self) -> bool {
        self.orders.try_recv().is_err()
    }
}

#[tokio::test]
async fn a_value_that_is_held_is_asked_for_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = held(dir.path()).await;
    run.ask("k1", 50, 30).await;
    run.obeyed(50).await;
    run.leaves(1).await;
    assert!(run.silent(), "not so soon");
    // Silence in between would take the twin out of step.
    for _ in 0..3 {
        run.leaves(3).await;
    }
    run.obeyed(50).await;
    assert!(run.silent(), "asked once");
    let desired = run.store.read(|state| state.twin(&id()).unwrap().desired()[&0].clone());
    assert_eq!((&*desired.by.name, desired.version), ("ada", 1));

    run.end().await;
    let mut run = Run::begin(dir.path(), 400);
    run.shadowed_again().await;
    run.obeyed(50).await;
    for _ in 0..5 {
        run.leaves(3).await;
    }
    assert!(run.silent(), "twice in a row is all that the description allows");
    run.end().await;
}

#[tokio::test]
async fn nothing_is_asked_again_while_commands_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = held(dir.path()).await;
    run.ask("k1", 50, 30).await;
    run.obeyed(50).await;
    let origin = Origin::Configuration;
    let maintenance = Maintenance {
        until: twin::Deadline::after(run.moment(), 600 * S),
        reason: "new bearings".into(),
        by: origin.principal(),
    };
    run.tell(origin.clone(), What::Maintained(Some(maintenance))).await.unwrap();
    for _ in 0..5 {
        run.leaves(3).await;
    }
    assert!(run.silent());
    let refused = |what: &What| matches!(what, What::Refused { .. });
    assert!(!run.log().await.iter().any(refused), "nor is anything tried in vain");
    run.tell(origin, What::Maintained(None)).await.unwrap();
    run.obeyed(50).await;
    run.end().await;
}

#[tokio::test]
async fn what_is_not_asked_any_more_is_not_asked_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = held(dir.path()).await;
    let first = run.ask("k1", 50, 30).await;
    run.obeyed(50).await;
    run.ask("k2", 60, 30).await;
    let late = twin::Command {
        key: format!("hold-{}", first.0).into(),
        index: 0,
        order: Order::Write(Value::Unsigned(50)),
        deadline: twin::Deadline::after(run.moment(), 30 * S),
        asked: None,
    };
    let told = run.tell(Origin::Keeper, What::Command(late)).await.unwrap();
    assert_eq!((told.known, told.refused), (None, None));
    let desired = run.store.read(|state| state.twin(&id()).unwrap().desired()[&0].clone());
    assert_eq!(desired.value, Value::Unsigned(60), "the newest wish stays");
    let commands = run.log().await;
    let commands = commands.iter().filter(|what| matches!(what, What::Command(_)));
    assert_eq!(commands.count(), 2, "nothing is recorded");
    run.end().await;
}

#[tokio::test]
async fn a_command_that_a_newer_one_overtook_is_not_said_to_differ() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = first_run(dir.path()).await;
    let older = run.ask("k1", 50, 30).await;
    assert_eq!(run.order().await.by.name.as_ref(), "ada");
    run.sent(older, 50).await.unwrap();
    let newer = run.ask("k2", 60, 30).await;
    run.order().await;
    run.sent(newer, 60).await.unwrap();
    run.report(60, Some(older)).await;
    run.until("the older one ends", |run| {
        run.store.read(|state| state.twin(&id()).unwrap().commands().len() == 1)
    })
    .await;
    let end = run.log().await.into_iter().rev().find_map(|what| match what {
        What::Step { command, step: Step::Ended(outcome) } if command == older => Some(outcome),
        _ => None,
    });
    assert!(matches!(&end, Some(Outcome::Unknown(Reason::Superseded, _))), "{end:?}");
    run.report(7, Some(newer)).await;
    let differs =
        |stage: &Stage| matches!(stage, Stage::Ended(Outcome::Rejected(Reason::Differs, _)));
    run.until("the newest one differs", |run| run.outcome().is_some_and(|s| differs(&s))).await;
    run.end().await;
}
