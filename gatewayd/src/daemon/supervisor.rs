//! Keeps the parts of the daemon running: a unit is a name, a factory and a policy.
//!
//! A unit that ends by a fault is made anew after a growing, jittered pause; one that cannot be helped is parked and
//! shown. Neither a panic nor a parked unit ends the process, unless the unit is essential.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::{Backoff, CancellationToken, Clock, Ending, Scope};
use control::UnitState;
use tokio::sync::oneshot;

/// How long a unit must run before its earlier faults are forgotten.
const STABLE: Duration = Duration::from_secs(60);
/// Panics without a stable period in between after which a unit is parked: a defect that patience does not cure.
const PANICS: u32 = 5;

/// Why a unit ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Trying again may help.
    Transient(Arc<str>),
    /// Only another configuration or another program helps.
    Permanent(Arc<str>),
}

impl From<adapter::Fault> for Fault {
    fn from(fault: adapter::Fault) -> Self {
        match fault {
            adapter::Fault::Transient(words) => Self::Transient(words),
            adapter::Fault::Permanent(words) => Self::Permanent(words),
        }
    }
}

/// One life of a unit.
pub type Life = Pin<Box<dyn Future<Output = Result<(), Fault>> + Send>>;

/// When a unit is made anew.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// The first pause.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// Without it the daemon is of no use: when it is parked, the process ends and systemd starts it anew.
    pub essential: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_secs(60), essential: false }
    }
}

/// Starts units and knows how each one is.
#[derive(Debug, Clone)]
pub struct Supervisor {
    scope: Scope,
    clock: Clock,
    units: Arc<Mutex<BTreeMap<Arc<str>, Record>>>,
    /// Cancelled when an essential unit is parked.
    lost: CancellationToken,
}

#[derive(Debug, Clone)]
struct Record {
    state: UnitState,
    restarts: u64,
    panics: u64,
    fault: Option<Arc<str>>,
    /// Boottime in microseconds.
    retry_at: Option<i64>,
}

/// A started unit.
#[derive(Debug)]
pub struct Unit {
    name: Arc<str>,
    stop: CancellationToken,
    ended: oneshot::Receiver<()>,
}

impl Supervisor {
    /// A supervisor without units.
    pub fn new(clock: Clock) -> Self {
        // Units report through the table, so nobody reads the endings of their keepers.
        let (scope, _endings) = Scope::new("unit", &CancellationToken::new());
        Self { scope, clock, units: Arc::default(), lost: CancellationToken::new() }
    }

    /// Fires when an essential unit is parked.
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Starts a unit. `make` makes one life of it, which obeys the token.
    pub fn start(
        &self,
        name: &str,
        policy: Policy,
        make: impl FnMut(CancellationToken) -> Life + Send + 'static,
    ) -> Unit {
        let name: Arc<str> = name.into();
        let stop = CancellationToken::new();
        let (end, ended) = oneshot::channel::<()>();
        let record = Record {
            state: UnitState::Running,
            restarts: 0,
            panics: 0,
            fault: None,
            retry_at: None,
        };
        self.lock().insert(name.clone(), record);
        let keeper =
            Keeper { supervisor: self.clone(), name: name.clone(), policy, stop: stop.clone() };
        self.scope.spawn(&name, async move {
            let _end = end;
            keeper.keep(make).await;
        });
        Unit { name, stop, ended }
    }

    /// Forgets a unit that was stopped.
    pub fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    /// Whether a unit was given up: only a reload or a restart makes it anew.
    pub fn parked(&self, name: &str) -> bool {
        self.lock().get(name).is_some_and(|record| record.state == UnitState::Parked)
    }

    /// Whether any unit was given up.
    pub fn any_parked(&self) -> bool {
        self.lock().values().any(|record| record.state == UnitState::Parked)
    }

    /// How often a unit has panicked since it was started.
    pub fn panics(&self, name: &str) -> u64 {
        self.lock().get(name).map_or(0, |record| record.panics)
    }

    /// What patience does not cure: a permanent fault, or a panic beyond so many.
    pub fn failed(&self, name: &str, panics: u64) -> Option<String> {
        let units = self.lock();
        let record = units.get(name)?;
        let words = record.fault.as_deref().unwrap_or("without words");
        if record.state == UnitState::Parked {
            return Some(format!("{name} was given up: {words}"));
        }
        (record.panics > panics).then(|| format!("{name}: {words}"))
    }

    /// How each unit is.
    pub fn units(&self) -> Vec<control::Unit> {
        let now = self.clock.boottime();
        let show = |(name, record): (&Arc<str>, &Record)| control::Unit {
            name: name.to_string(),
            state: record.state,
            restarts: record.restarts,
            fault: record.fault.as_ref().map(ToString::to_string),
            retry_in_ms: record.retry_at.map(|at| u64::try_from((at - now) / 1_000).unwrap_or(0)),
        };
        self.lock().iter().map(show).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Arc<str>, Record>> {
        self.units.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, name: &str, change: impl FnOnce(&mut Record)) {
        if let Some(record) = self.lock().get_mut(name) {
            change(record);
        }
    }
}

impl Unit {
    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Tells it to stop, without waiting.
    pub fn signal(&self) {
        self.stop.cancel();
    }

    /// Stops it; `false` when it did not obey in time and was left behind.
    pub async fn stop(self, patience: Duration) -> bool {
        self.stop.cancel();
        // The sender is only ever dropped: that is the news.
        tokio::time::timeout(patience, self.ended).await.is_ok()
    }
}

struct Keeper {
    supervisor: Supervisor,
    name: Arc<str>,
    policy: Policy,
    stop: CancellationToken,
}

impl Keeper {
    async fn keep(self, mut make: impl FnMut(CancellationToken) -> Life + Send) {
        let mut backoff = Backoff::new(self.policy.first, self.policy.longest, STABLE);
        let mut panics = 0;
        loop {
            let began = self.supervisor.clock.boottime();
            let (how, panicked) = self.live(make(self.stop.child_token())).await;
            let lasted = self.supervisor.clock.boottime() - began;
            let lasted = Duration::from_micros(u64::try_from(lasted).unwrap_or(0));
            panics = if lasted >= STABLE { 0 } else { panics } + u32::from(panicked);
            self.supervisor.note(&self.name, |record| record.panics += u64::from(panicked));
            let fault = match how {
                _ if self.stop.is_cancelled() => return self.stopped(),
                Ok(()) => return self.stopped(),
                Err(fault) => fault,
            };
            match fault {
                Fault::Transient(words) if panics < PANICS => {
                    backoff.lasted(lasted);
                    if self.wait(backoff.pause(), &words).await.is_none() {
                        return self.stopped();
                    }
                }
                Fault::Transient(words) | Fault::Permanent(words) => return self.park(&words),
            }
        }
    }

    /// One life: how it ended, and whether by a panic.
    async fn live(&self, life: Life) -> (Result<(), Fault>, bool) {
        let (scope, mut endings) = Scope::new(&self.name, &CancellationToken::new());
        let (tell, told) = oneshot::channel();
        scope.spawn("life", async move {
            // The receiver waits below until this task has ended.
            tell.send(life.await).ok();
        });
        let ending = endings.recv().await.map(|ended| ended.how);
        match (told.await, ending) {
            (Ok(result), _) => (result, false),
            (Err(_), Some(Ending::Panicked(words))) => {
                (Err(Fault::Transient(format!("panicked: {words}").into())), true)
            }
            (Err(_), _) => (Err(Fault::Transient("was cancelled".into())), false),
        }
    }

    /// Waits for the next attempt; `None` when stopped meanwhile.
    async fn wait(&self, pause: Duration, words: &Arc<str>) -> Option<()> {
        tracing::warn!(unit = %self.name, "{words}; next attempt in {:.1} s", pause.as_secs_f64());
        let micros = i64::try_from(pause.as_micros()).unwrap_or(i64::MAX);
        let retry_at = self.supervisor.clock.boottime().saturating_add(micros);
        self.supervisor.note(&self.name, |record| {
            record.state = UnitState::Waiting;
            record.fault = Some(words.clone());
            record.retry_at = Some(retry_at);
        });
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.stop.cancelled() => return None,
        }
        self.supervisor.note(&self.name, |record| {
            record.state = UnitState::Running;
            record.restarts += 1;
            record.retry_at = None;
        });
        Some(())
    }

    fn park(&self, words: &Arc<str>) {
        tracing::error!(unit = %self.name, "parked: {words}");
        self.supervisor.note(&self.name, |record| {
            record.state = UnitState::Parked;
            record.fault = Some(words.clone());
        });
        if self.policy.essential {
            self.supervisor.lost.cancel();
        }
    }

    fn stopped(&self) {
        self.supervisor.note(&self.name, |record| {
            record.state = UnitState::Stopped;
            record.retry_at = None;
        });
        if self.policy.essential && !self.stop.is_cancelled() {
            tracing::error!(unit = %self.name, "ended although nobody stopped it");
            self.supervisor.lost.cancel();
        }
    }
}

#[cfg(test)]
#[path = "supervisor_tests.rs"]
mod tests;
