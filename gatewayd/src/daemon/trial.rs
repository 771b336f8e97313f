//! The health window: what a reload changed is watched, and only for what patience does not cure.
//!
//! A device that is off, a broker that is away, a port that is not there yet are no reason to go back.

use std::time::Duration;

use control::{Action, Answer, Failure};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::supervisor::Supervisor;
use crate::config::difference::{line_unit, link_unit};
use crate::config::{Disabled, Plan, Set};

/// How often the units are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// A configuration that is in force and has still to prove good.
pub struct Trial {
    pub window: Window,
    /// Its files.
    pub files: Set,
    /// What was in force before; nothing was before a start.
    pub before: Option<(Plan, Vec<Disabled>)>,
    /// Who wants to know.
    pub tell: Option<Teller>,
}

/// The caller's end of a reload.
pub type Teller = mpsc::Sender<Result<Answer, Failure>>;

/// Units that are watched until an instant.
pub struct Window {
    supervisor: Supervisor,
    /// Each with the panics that it had before.
    units: Vec<(String, u64)>,
    until: Instant,
}

impl Window {
    /// Watches the units that these steps change. One that was given up before is not judged: the configuration
    /// before does not help it either.
    ///
    /// To be made before the steps are taken.
    pub fn new(supervisor: &Supervisor, steps: &control::Plan) -> Self {
        let lines = steps.lines.iter().map(|line| (line_unit(&line.name), line.action));
        let links = steps.links.iter().map(|link| (link_unit(&link.name), link.action));
        let judged = lines
            .chain(links)
            .filter(|(unit, action)| *action != Action::Stop && !supervisor.parked(unit));
        let panics = |(unit, action): (String, Action)| {
            let before = if action == Action::Configure { supervisor.panics(&unit) } else { 0 };
            (unit, before)
        };
        let units = judged.map(panics).collect();
        Self { supervisor: supervisor.clone(), units, until: Instant::now() }
    }

    /// From now on, for so long.
    pub fn open(&mut self, length: Duration) {
        self.until = Instant::now() + length;
    }

    /// The units that are watched.
    pub fn units(&self) -> Vec<String> {
        self.units.iter().map(|(name, _)| name.clone()).collect()
    }

    /// What has failed so far.
    fn faults(&self) -> Vec<String> {
        let failed =
            self.units.iter().filter_map(|(unit, before)| self.supervisor.failed(unit, *before));
        failed.collect()
    }

    /// Waits until something has failed, or nothing has until the end. May be dropped and called again.
    pub async fn verdict(&self) -> Vec<String> {
        loop {
            let faults = self.faults();
            let now = Instant::now();
            if !faults.is_empty() || now >= self.until {
                return faults;
            }
            tokio::time::sleep_until(self.until.min(now + LOOK)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use base::Clock;
    use control::{PlannedLine, PlannedLink};

    use super::super::supervisor::{Fault, Life, Policy, Unit};
    use super::*;

    fn steps(line: Option<Action>, link: Option<Action>) -> control::Plan {
        let (name, why, devices) = ("a".to_owned(), Vec::new(), Vec::new());
        let (name, why) = (&name, &why);
        let lines = line.map(|action| PlannedLine {
            name: name.clone(),
            action,
            why: why.clone(),
            devices,
            same: 0,
        });
        let links = link.map(|action| PlannedLink { name: name.clone(), action, why: why.clone() });
        let (lines, links) = (lines.into_iter().collect(), links.into_iter().collect());
        control::Plan { lines, links, ..control::Plan::default() }
    }

    type End = fn() -> Result<(), Fault>;

    /// A unit that ends like this once it is told to.
    fn unit(supervisor: &Supervisor, name: &str, end: End) -> (Unit, Arc<AtomicBool>) {
        let go = Arc::new(AtomicBool::new(false));
        let told = go.clone();
        let policy = Policy { first: Duration::from_secs(2), ..Policy::default() };
        let unit = supervisor.start(name, policy, move |stop| -> Life {
            let told = told.clone();
            Box::pin(async move {
                while !told.load(Ordering::Relaxed) && !stop.is_cancelled() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                if stop.is_cancelled() { Ok(()) } else { end() }
            })
        });
        (unit, go)
    }

    #[tokio::test(start_paused = true)]
    async fn a_permanent_fault_and_a_panic_fail_and_a_passing_fault_does_not() {
        let ends: [(End, Option<&str>); 3] = [
            (|| Err(Fault::Permanent("no RS-485".into())), Some("line a was given up: no RS-485")),
            (|| panic!("on purpose"), Some("line a: panicked: on purpose")),
            (|| Err(Fault::Transient("nobody answers".into())), None),
        ];
        for (end, expected) in ends {
            let supervisor = Supervisor::new(Clock::system());
            let mut window = Window::new(&supervisor, &steps(Some(Action::Start), None));
            let (unit, go) = unit(&supervisor, "line a", end);
            window.open(Duration::from_secs(5));
            go.store(true, Ordering::Relaxed);
            let began = Instant::now();
            let faults = window.verdict().await;
            assert_eq!(faults.first().map(String::as_str), expected);
            let full = began.elapsed() >= Duration::from_secs(5);
            assert_eq!(full, expected.is_none(), "a failure is told at once, health at the end");
            unit.stop(Duration::from_secs(1)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_changed_is_judged() {
        let supervisor = Supervisor::new(Clock::system());
        let parks = || Err(Fault::Permanent("always".into()));
        let (_line, go) = unit(&supervisor, "line a", parks);
        go.store(true, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(supervisor.parked("line a"));
        // It was given up before, and goes on being so.
        let window = Window::new(&supervisor, &steps(Some(Action::Rebuild), Some(Action::Start)));
        assert_eq!(window.units(), ["link a"]);
        assert!(Window::new(&supervisor, &steps(None, Some(Action::Stop))).units().is_empty());
        assert!(window.verdict().await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_from_before_is_forgiven() {
        let supervisor = Supervisor::new(Clock::system());
        let (_unit, go) = unit(&supervisor, "line a", || panic!("before"));
        go.store(true, Ordering::Relaxed);
        while supervisor.panics("line a") == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        go.store(false, Ordering::Relaxed);
        let mut window = Window::new(&supervisor, &steps(Some(Action::Configure), None));
        window.open(Duration::from_secs(1));
        assert!(window.verdict().await.is_empty());
    }
}
