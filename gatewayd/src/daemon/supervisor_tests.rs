//! Units that panic, fault, park, and stop.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

const QUICK: Policy = Policy {
    first: Duration::from_millis(10),
    longest: Duration::from_millis(40),
    essential: false,
};

fn counted(
    lives: &Arc<AtomicU32>,
    each: impl Fn(u32) -> Result<(), Fault> + Clone + Send + 'static,
) -> impl FnMut(CancellationToken) -> Life + Send + 'static {
    let lives = lives.clone();
    move |stop| {
        let life = lives.fetch_add(1, Ordering::Relaxed);
        let each = each.clone();
        Box::pin(async move {
            each(life)?;
            stop.cancelled().await;
            Ok(())
        })
    }
}

async fn until(supervisor: &Supervisor, name: &str, state: UnitState) -> control::Unit {
    for _ in 0..10_000 {
        let found = supervisor.units().into_iter().find(|u| u.name == name && u.state == state);
        if let Some(unit) = found {
            return unit;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("{name} never was {state:?}: {:?}", supervisor.units());
}

#[tokio::test(start_paused = true)]
async fn a_panic_restarts_one_unit_and_harms_no_other() {
    let supervisor = Supervisor::new(Clock::system());
    let (bad, good) = (Arc::default(), Arc::default());
    let fails_twice = |life| if life < 2 { panic!("on purpose") } else { Ok(()) };
    let unit = supervisor.start("bad", QUICK, counted(&bad, fails_twice));
    let other = supervisor.start("good", QUICK, counted(&good, |_| Ok(())));
    while bad.load(Ordering::Relaxed) < 3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let shown = until(&supervisor, "bad", UnitState::Running).await;
    assert_eq!((shown.restarts, shown.fault.as_deref()), (2, Some("panicked: on purpose")));
    assert_eq!(good.load(Ordering::Relaxed), 1);
    assert!(unit.stop(Duration::from_secs(1)).await && other.stop(Duration::from_secs(1)).await);
    assert!(!supervisor.lost().is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_defect_that_patience_does_not_cure_is_parked() {
    let supervisor = Supervisor::new(Clock::system());
    let lives = Arc::default();
    let _unit = supervisor.start("bad", QUICK, counted(&lives, |_| panic!("always")));
    until(&supervisor, "bad", UnitState::Parked).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(lives.load(Ordering::Relaxed), PANICS);
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_and_never_give_up_on_a_transient_fault() {
    let supervisor = Supervisor::new(Clock::system());
    let lives = Arc::default();
    let fault = |_| Err(Fault::Transient("broker away".into()));
    let unit = supervisor.start("link", QUICK, counted(&lives, fault));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let n = lives.load(Ordering::Relaxed);
    // At most 40 ms and at least 20 ms each, once grown.
    assert!((45..=110).contains(&n), "{n} lives in 2 s");
    let shown = until(&supervisor, "link", UnitState::Waiting).await;
    assert_eq!(shown.fault.as_deref(), Some("broker away"));
    assert!(shown.retry_in_ms.is_some());
    assert!(unit.stop(Duration::from_secs(1)).await);
    until(&supervisor, "link", UnitState::Stopped).await;
}

#[tokio::test(start_paused = true)]
async fn a_permanent_fault_parks_at_once_and_the_essential_one_tells() {
    let supervisor = Supervisor::new(Clock::system());
    let lives = Arc::default();
    let fault = |_| Err(Fault::Permanent("no such port".into()));
    let _line = supervisor.start("line", QUICK, counted(&lives, fault));
    until(&supervisor, "line", UnitState::Parked).await;
    assert_eq!(lives.load(Ordering::Relaxed), 1);
    assert!(!supervisor.lost().is_cancelled(), "a parked line never ends the process");
    let essential = Policy { essential: true, ..QUICK };
    let _writer = supervisor.start("writer", essential, counted(&lives, fault));
    supervisor.lost().cancelled().await;
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_does_not_obey_is_left_behind_in_time() {
    let supervisor = Supervisor::new(Clock::system());
    let stubborn = |_| -> Life { Box::pin(std::future::pending()) };
    let unit = supervisor.start("stubborn", QUICK, stubborn);
    assert!(!unit.stop(Duration::from_millis(100)).await);
}
