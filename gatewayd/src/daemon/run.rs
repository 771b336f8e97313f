//! The daemon's life: start in order, serve, stop in flow order.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use adapter::Context;
use anyhow::Context as _;
use base::{CancellationToken, Clock, Scope};
use dialects::Surroundings;
use keeper::Keeper;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use twin_store::{Directory, OpenError, Opened, Recovery, Writer};

use super::alarms::Alarms;
use super::fallback::{self, Chosen};
use super::hub::{Facts, Hub, PlanRequest, ReloadRequest};
use super::parts::{self, Parts};
use super::reload::WINDOW;
use super::supervisor::{Fault, Life, Policy, Supervisor, Unit};
use super::trial::{Trial, Window};
use super::{clock, logging, notify, options, progress, router, times};
use crate::cli;
use crate::config::kept::Kept;
use crate::config::{Disabled, Loaded, Plan};
use crate::server::{self, Servers};

/// How many submissions may wait for the writer.
const SUBMISSIONS: usize = 1024;
/// How many command orders may wait for the router.
const ORDERS: usize = 64;

/// Is the daemon until it is told to stop.
pub fn main(args: &cli::Daemon) -> ExitCode {
    let kept = args.state.as_deref().map(Kept::beneath);
    let chosen = match fallback::load(&args.config, kept.as_ref()) {
        Ok(chosen) => chosen,
        Err(broken) => {
            logging::start(None);
            tell(&broken);
            tracing::error!("{} cannot be used; see: gatewayctl check", args.config.display());
            return ExitCode::from(78);
        }
    };
    logging::start(chosen.loaded.plan.as_ref().map(|plan| &plan.log));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(live(args, chosen)),
        Err(error) => Err(error).context("cannot start the runtime"),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            let open = error.downcast_ref::<OpenError>();
            // Another start would not help.
            if open.is_some_and(OpenError::is_permanent) {
                ExitCode::from(78)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

fn tell(loaded: &Loaded) {
    for diagnostic in &loaded.diagnostics {
        tracing::error!("{diagnostic}");
    }
}

async fn live(args: &cli::Daemon, chosen: Chosen) -> anyhow::Result<()> {
    let mut signals = Signals::new().context("cannot listen for signals")?;
    let (mut daemon, asked, trial) = Daemon::start(args, chosen).await?;
    let ended = daemon.serve(&mut signals, asked, trial).await;
    daemon.stop().await;
    ended
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

/// What the servers ask of the main loop.
struct Asked {
    plans: mpsc::Receiver<PlanRequest>,
    reloads: mpsc::Receiver<ReloadRequest>,
}

/// Everything that runs.
pub(super) struct Daemon {
    pub(super) config: PathBuf,
    pub(super) kept: Option<Kept>,
    pub(super) parts: Parts,
    /// The device files that are broken, as far as they are in force.
    pub(super) disabled: Vec<Disabled>,
    pub(super) facts: Arc<Mutex<Facts>>,
    pub(super) blocking: Scope,
    submissions: mpsc::Sender<twin::Submission>,
    writer: Unit,
    keeper: Unit,
    router: Unit,
    clock_watch: Unit,
    watchdog: Option<Unit>,
    pub(super) servers: Servers,
    clock: Clock,
}

impl Daemon {
    async fn start(
        args: &cli::Daemon,
        chosen: Chosen,
    ) -> anyhow::Result<(Self, Asked, Option<Trial>)> {
        let Chosen { mut loaded, file, broken } = chosen;
        let plan = loaded.plan.take().context("there is no configuration")?;
        let disabled = std::mem::take(&mut loaded.disabled);
        let clock = Clock::system();
        let started = clock.boottime();
        let (alarms, supervisor) = (Alarms::new(clock.clone()), Supervisor::new(clock.clone()));
        let (blocking, _) = Scope::new("blocking", &CancellationToken::new());

        let socket = server::bind(&plan)?;
        let Opened { writer, store, recovery } = open(&plan, &clock)?;
        recovered(&recovery, &plan.store.dir, &alarms);
        let (submissions, received) = mpsc::channel(SUBMISSIONS);
        let writer = start_writer(&supervisor, writer, received, &blocking);

        let (orders, ordered) = mpsc::channel(ORDERS);
        let (configured, wanted) = watch::channel(Arc::new(parts::configured(&plan, &disabled)));
        let keeper = {
            let (store, submissions, clock) = (store.clone(), submissions.clone(), clock.clone());
            supervisor.start("keeper", Policy::default(), move |stop| -> Life {
                let (store, submissions, orders) =
                    (store.clone(), submissions.clone(), orders.clone());
                let keeper = Keeper::new(store, submissions, orders, wanted.clone(), clock.clone());
                Box::pin(async move {
                    keeper.run(stop).await;
                    Ok(())
                })
            })
        };
        let context = Context::new(submissions.clone(), clock.clone(), CancellationToken::new());
        let around = Surroundings {
            store: store.clone(),
            submissions: submissions.clone(),
            clock: clock.clone(),
            credentials: std::env::var_os("CREDENTIALS_DIRECTORY").map(Into::into),
            blocking: blocking.clone(),
            precedence: dialects::Precedence::default(),
        };
        let mut parts = Parts::new(
            &plan,
            store.clone(),
            supervisor.clone(),
            alarms.clone(),
            configured,
            context,
            around,
        );
        let router = router::start(&supervisor, &parts.lines, &submissions, ordered);
        let steps = parts.difference(&plan);
        let mut window = Window::new(&supervisor, &steps);
        parts.apply(plan, &disabled, &steps).await;
        window.open(WINDOW);

        let facts = Arc::new(Mutex::new(Facts::default()));
        note(&facts, file.display().to_string(), &disabled);
        let (plan, plans) = mpsc::channel(1);
        let (reload, reloads) = mpsc::channel(1);
        let hub = Arc::new(Hub {
            store,
            clock: clock.clone(),
            supervisor: supervisor.clone(),
            alarms,
            lines: parts.lines.clone(),
            links: parts.links.clone(),
            plan,
            reload,
            submissions: submissions.downgrade(),
            started,
            facts: facts.clone(),
        });
        let servers = server::start(hub.clone(), socket, parts.running())?;
        let clock_watch = clock::start(&supervisor, &hub.store, &submissions, &clock);
        let watchdog = progress::start(&supervisor, &parts.lines, &submissions.downgrade(), &clock);
        let daemon = Self {
            config: args.config.clone(),
            kept: args.state.as_deref().map(Kept::beneath),
            parts,
            disabled,
            facts,
            blocking,
            submissions,
            writer,
            keeper,
            router,
            clock_watch,
            watchdog,
            servers,
            clock,
        };
        let trial = match broken {
            Some(broken) => {
                daemon.fell_back(&broken);
                None
            }
            None => {
                let files = daemon.sound(&loaded);
                Some(Trial { window, files, before: None, tell: None })
            }
        };
        Ok((daemon, Asked { plans, reloads }, trial))
    }

    async fn serve(
        &mut self,
        signals: &mut Signals,
        mut asked: Asked,
        mut trial: Option<Trial>,
    ) -> anyhow::Result<()> {
        let lost = self.parts.supervisor.lost().clone();
        notify::ready();
        tracing::info!("gatewayd {} is ready", env!("CARGO_PKG_VERSION"));
        loop {
            // One reload after the other: what is still watched is judged first. A start is no reload.
            let free = trial.as_ref().is_none_or(|trial| trial.before.is_none());
            tokio::select! {
                _ = signals.terminate.recv() => return Ok(()),
                _ = signals.interrupt.recv() => return Ok(()),
                () = lost.cancelled() => anyhow::bail!("an essential part is lost; see above"),
                faults = verdict(trial.as_ref()) => {
                    if let Some(trial) = trial.take() {
                        self.conclude(trial, faults).await;
                    }
                }
                _ = signals.hangup.recv(), if free => {
                    self.reload(WINDOW, None, &mut trial).await;
                }
                Some(ReloadRequest { window, tell }) = asked.reloads.recv(), if free => {
                    self.reload(window, Some(tell), &mut trial).await;
                }
                Some(answer) = asked.plans.recv() => {
                    // A caller that has gone meanwhile does not want to know.
                    answer.send(self.plan().await).ok();
                }
            }
        }
    }

    /// Stops in the order in which things flow.
    async fn stop(mut self) {
        notify::stopping();
        if !self.servers.stop(times::SERVERS).await {
            tracing::warn!("the servers did not stop in time, left behind");
        }
        self.parts.stop_lines().await;
        let deciders = [self.keeper, self.router, self.clock_watch];
        deciders.iter().for_each(Unit::signal);
        for unit in deciders {
            unit.stop(times::DECIDER).await;
        }
        drain(&self.submissions, &self.clock).await;
        self.parts.stop_links().await;
        // It ends by itself when the last sender is gone; that is no fault then.
        self.writer.signal();
        drop(self.submissions);
        drop(self.parts);
        if let Some(watchdog) = self.watchdog {
            watchdog.stop(times::DECIDER).await;
        }
        if !self.writer.stop(times::STORE).await {
            tracing::error!("the store did not finish in time; what is written is kept");
        }
    }
}

fn open(plan: &Plan, clock: &Clock) -> anyhow::Result<Opened> {
    let dir = &plan.store.dir;
    let directory = Directory::take(dir)?;
    let options = options::store(plan);
    twin_store::open(Arc::new(directory), options, clock.clone())
        .with_context(|| format!("cannot open the store in {}", dir.display()))
}

/// Says what was lost, where something was.
fn recovered(recovery: &Recovery, dir: &Path, alarms: &Alarms) {
    for (first, last) in &recovery.gaps {
        if first <= last {
            tracing::warn!("commits {} to {} did not survive the last stop", first.0, last.0);
        } else {
            tracing::warn!(
                "the last stop was no orderly one: commits after {} may be missing",
                last.0
            );
        }
    }
    for file in &recovery.set_aside {
        tracing::warn!("{file} could not be read and was set aside as {file}.bad");
    }
    let aside = recovery.set_aside.len() + recovery.aside_before;
    if aside > 0 {
        let dir = dir.display();
        let what = format!(
            "{aside} destroyed files of the store were set aside in {dir}; gaps say which commits they cost"
        );
        let help = format!("look at the disk (dmesg); keep or remove {dir}/*.bad, then restart");
        alarms.raise("store", &what, Some(&help));
    }
}

/// The writer cannot be made anew: without it the process ends, and systemd starts another.
fn start_writer(
    supervisor: &Supervisor,
    writer: Writer,
    received: mpsc::Receiver<twin::Submission>,
    blocking: &Scope,
) -> Unit {
    let mut once = Some((writer, received));
    let blocking = blocking.clone();
    let policy = Policy { essential: true, ..Policy::default() };
    supervisor.start("writer", policy, move |_| -> Life {
        let (once, blocking) = (once.take(), blocking.clone());
        Box::pin(async move {
            let Some((writer, received)) = once else {
                return Err(Fault::Permanent("the writer is gone".into()));
            };
            writer.run(received, blocking).await;
            Ok(())
        })
    })
}

/// Waits until the writer has taken in everything that was submitted before.
async fn drain(submissions: &mpsc::Sender<twin::Submission>, clock: &Clock) {
    let mut proof =
        progress::Proof::new(Default::default(), submissions.downgrade(), clock.clone());
    if let Err(words) = proof.prove(times::DRAIN).await {
        tracing::warn!("{words}");
    }
}

/// What has failed of what is watched; never, where nothing is.
async fn verdict(trial: Option<&Trial>) -> Vec<String> {
    match trial {
        Some(trial) => trial.window.verdict().await,
        None => std::future::pending().await,
    }
}

pub(super) fn note(facts: &Mutex<Facts>, file: String, disabled: &[Disabled]) {
    let twins =
        |d: &Disabled| d.twins.iter().map(|t| (t.clone(), d.file.clone())).collect::<Vec<_>>();
    let disabled = disabled.iter().flat_map(twins).collect();
    *facts.lock().unwrap_or_else(PoisonError::into_inner) = Facts { file, disabled };
}
