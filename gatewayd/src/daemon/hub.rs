//! What the servers may see and do: everything by messages and short reads, nothing that could hold up the data path.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::Clock;
use control::{Failure, Status};
use tokio::sync::{mpsc, oneshot};
use twin::{Accepted, BootId, Boottime, Input, Moment, Refusal, Submission, Timestamp, TwinId};
use twin_store::Store;

use super::alarms::Alarms;
use super::describe::settle;
use super::lines::Lines;
use super::links::Links;
use super::supervisor::Supervisor;
use super::trial::Teller;

/// Somebody who wants to know what a reload would do.
pub type PlanRequest = oneshot::Sender<Result<control::Plan, Failure>>;

/// Somebody who wants the configuration read again, and waits for what comes of it.
pub struct ReloadRequest {
    /// How long what changed is watched.
    pub window: Duration,
    /// Takes what was done, and where it is watched the verdict.
    pub tell: Teller,
}

/// What the servers may see and do.
pub struct Hub {
    /// The store, for reading.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// The parts of the daemon.
    pub supervisor: Supervisor,
    /// What somebody should look at.
    pub alarms: Alarms,
    /// The lines.
    pub lines: Lines,
    /// The links.
    pub links: Links,
    /// To the daemon's main loop.
    pub plan: mpsc::Sender<PlanRequest>,
    /// The same.
    pub reload: mpsc::Sender<ReloadRequest>,
    /// Weak: the writer ends when the last who has something to say is gone, and a server never is the last.
    pub submissions: mpsc::WeakSender<Submission>,
    /// Boottime in microseconds at which the daemon started.
    pub started: i64,
    /// What there is to know of the configuration.
    pub facts: Arc<Mutex<Facts>>,
}

/// What there is to know of the configuration.
#[derive(Debug, Default)]
pub struct Facts {
    /// The file that it came from.
    pub file: String,
    /// Twins whose device file is broken, and that file.
    pub disabled: Vec<(TwinId, Arc<str>)>,
}

impl Hub {
    /// Submits something and waits until it is durable or refused.
    pub async fn settle(&self, input: Input) -> Result<Accepted, Refusal> {
        let Some(submissions) = self.submissions.upgrade() else { return Err(Refusal::Stopped) };
        settle(&submissions, input).await
    }

    /// Now, as far as it is known.
    pub fn moment(&self) -> Moment {
        Moment {
            boottime: Boottime(self.clock.boottime()),
            boot: BootId(self.clock.boot()),
            utc: self.clock.utc().map(Timestamp),
        }
    }

    /// The file that disables this twin.
    pub fn disabled(&self, twin: &TwinId) -> Option<Arc<str>> {
        let facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        facts.disabled.iter().find(|(id, _)| id == twin).map(|(_, file)| file.clone())
    }

    /// All standing alarms: those that were raised, and those that the parts show.
    pub fn standing(&self) -> Vec<control::Alarm> {
        let mut all = self.alarms.standing();
        let now = self.clock.boottime();
        let age = |since: i64| u64::try_from((now - since) / 1_000).unwrap_or(0);
        for trouble in self.store.statistics().troubles {
            all.push(control::Alarm {
                what: trouble.what,
                help: Some(trouble.help.into()),
                for_ms: age(trouble.since.0),
                outside: false,
            });
        }
        let alarm = |what: &str, help: &str| control::Alarm {
            what: what.into(),
            help: Some(help.into()),
            for_ms: 0,
            outside: false,
        };
        for link in self.links.show(&self.store, &self.clock) {
            // One that waits for its broker for a while is no alarm; one that is refused something is.
            let refused = matches!(&*link.state, "held" | "connected");
            let detail = link.detail.unwrap_or_default();
            if refused && !detail.is_empty() {
                let what = format!("link {}: {detail}", link.name);
                all.push(alarm(&what, "gatewayctl links"));
            }
            if let Some(for_ms) = link.overdue_ms {
                let what =
                    format!("link {} has no connection to {}: {detail}", link.name, link.target);
                all.push(control::Alarm {
                    for_ms,
                    outside: true,
                    ..alarm(&what, "gatewayctl links")
                });
            }
        }
        for unit in self.supervisor.units() {
            if unit.state == control::UnitState::Parked {
                let what = format!("{} is parked: {}", unit.name, unit.fault.unwrap_or_default());
                all.push(alarm(&what, "correct it, then: gatewayctl reload"));
            }
        }
        all
    }

    /// How the daemon is.
    pub fn status(&self) -> Status {
        let statistics = self.store.statistics();
        let (writes, twins) = self.store.read(|state| {
            let mut twins: Vec<(String, u64)> = Vec::new();
            for twin in state.twins() {
                let word = twin.life_cycle().word();
                match twins.iter_mut().find(|(known, _)| known == word) {
                    Some((_, n)) => *n += 1,
                    None => twins.push((word.into(), 1)),
                }
            }
            (writes(state), twins)
        });
        let counters = &statistics.counters;
        let counts = [
            ("commits", counters.commits),
            ("unchanged", counters.unchanged),
            ("bytes", counters.bytes),
            ("thinned_segments", counters.thinned_segments),
            ("dropped_segments", counters.dropped_segments),
            ("memory_only", counters.memory_only),
            ("refused", counters.refused),
            ("refused_transitions", counters.refused_transitions),
            ("syncs", counters.syncs),
            ("durable", statistics.durable.0),
        ];
        Status {
            version: version(),
            gateway: self.store.gateway().to_string(),
            uptime_ms: u64::try_from((self.clock.boottime() - self.started) / 1_000).unwrap_or(0),
            clock_set: self.clock.utc().is_some(),
            config: self.facts.lock().unwrap_or_else(PoisonError::into_inner).file.clone(),
            writes,
            alarms: self.standing(),
            units: self.supervisor.units(),
            twins,
            store: control::Store {
                epoch: statistics.epoch,
                head: statistics.head.0,
                counts: counts.into_iter().map(|(name, n)| (name.into(), n)).collect(),
            },
        }
    }
}

/// The write switch.
pub fn writes(state: &twin::State) -> control::Writes {
    let by = state.writes_off_by().map(ToString::to_string);
    control::Writes { on: state.writes_on(), by }
}

/// Which program this is.
pub fn version() -> control::Version {
    control::Version {
        program: "gatewayd".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        api: control::VERSION,
    }
}
