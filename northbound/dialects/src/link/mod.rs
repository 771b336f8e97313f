//! One upstream connection: the lanes of the log go out, commands come in.
//!
//! [`Link::run`] connects, and as long as a connection lasts moves lanes into it. What was not acknowledged when
//! it ends goes out again under the same identity; nothing is kept here that the log does not have.

mod account;
mod batch;
mod bundle;
mod flight;
mod gate;
mod hold;
mod inbox;
mod mirror;
mod owed;
mod passed;
mod pump;
mod serve;
mod status;
mod tally;
mod turn;

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use base::{Backoff, CancellationToken, Clock, Scope, TokenBucket};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use twin::{BootId, Boottime, Moment, Seq, Submission, Timestamp};
use twin_store::{Lanes, LinkOptions, Store};
use wire::{ConnectError, MqttOptions, Session};

use crate::dialect::{Dialect, Message};
use crate::spec::{LinkSpec, Pattern, SpecError};
use bundle::Bundle;
use flight::Flight;
use gate::Gate;
use hold::Hold;
use inbox::Inbox;
use mirror::Mirror;
use owed::Owed;
use passed::Passed;
use pump::Batch;
use serve::End;
use status::words;
pub use status::{LastError, LinkStatus, Phase};
use tally::Meter;
pub use turn::Precedence;
use turn::Turn;

/// What a link needs of the daemon.
#[derive(Clone)]
pub struct Surroundings {
    /// What it reads.
    pub store: Store,
    /// Where commands go.
    pub submissions: mpsc::Sender<Submission>,
    /// Time.
    pub clock: Clock,
    /// Where systemd put our credentials.
    pub credentials: Option<PathBuf>,
    /// Where files are read, so that nobody waits for a disk.
    pub blocking: Scope,
    /// Whose backlog goes first.
    pub precedence: Precedence,
}

/// One upstream connection, not yet running.
pub struct Link {
    spec: LinkSpec,
    dialect: Box<dyn Dialect>,
    around: Surroundings,
    lanes: Lanes,
    inbox: Inbox,
    mirror: Mirror,
    flight: Flight,
    batch: Batch,
    /// Messages that stand for no commit, in order.
    loose: VecDeque<Message>,
    /// Messages that together settle what is owed, with their slots there. They go before any further commit.
    parts: VecDeque<(Message, usize)>,
    owed: Owed,
    passed: Passed,
    /// Readings that become one message, where the link is asked to do so.
    bundle: Option<Bundle>,
    /// Commits that go by themselves all the same.
    apart: BTreeSet<Seq>,
    gate: Gate,
    judged_until: Instant,
    spent: bool,
    /// State documents have to wait, by what the gate says.
    documents_wait: bool,
    meter: Meter,
    hold: Hold,
    documents_hold: Hold,
    /// The documents that were due at the connection are out.
    caught_up: bool,
    /// The broker may have lost the other documents; they follow.
    refresh: bool,
    /// The broker keeps messages for later subscribers.
    retains: bool,
    /// No lane has a backlog.
    no_backlog: bool,
    turn: Turn,
    /// What waited goes on waiting for that of another link.
    yields: bool,
    bucket: Option<TokenBucket>,
    /// The certificates and when they were read.
    tls: Option<(tls::Client, Instant)>,
    window: usize,
    flushed: Instant,
    topic: String,
    /// When the last warning went into the journal that may repeat without end.
    warned: Option<Instant>,
    status: watch::Sender<LinkStatus>,
}

impl Link {
    /// The link that `spec` describes, and where its status can be watched.
    #[must_use]
    pub fn new(
        spec: LinkSpec,
        dialect: Box<dyn Dialect>,
        around: Surroundings,
    ) -> (Self, watch::Receiver<LinkStatus>) {
        let status = LinkStatus {
            name: spec.name.clone(),
            broker: format!("{}:{}", spec.host, spec.port),
            version: spec.version,
            phase: Phase::Connecting,
            last_error: None,
            alarm: None,
            held: false,
            down_since: Some(Boottime(around.clock.boottime())),
            alarm_after: spec.alarm_after,
            connections: 0,
            failures: 0,
            acknowledged: 0,
            historical: 0,
            passed_over: 0,
            in_flight: 0,
            window: usize::from(spec.window),
            commands: 0,
            turns: 0,
            waits: None,
            yields_to: None,
            bytes: 0,
            values: 0,
            day_bytes: 0,
            day_values: 0,
            month_bytes: 0,
            budget: spec.budget.as_ref().map(|budget| budget.month),
        };
        let options = LinkOptions {
            classes: spec.classes.clone(),
            twins: wanted(&spec.twins),
            points: wanted(&spec.points),
            strict: spec.strict,
        };
        let lanes = around.store.link(&spec.name, options);
        let (status, watch) = watch::channel(status);
        let now = around.clock.boottime();
        let bucket = spec.backlog_rate.map(|rate| {
            // Bursts of a tenth of a second: few wake-ups, and live data never waits longer behind one.
            TokenBucket::new(f64::from(rate), f64::from(rate).max(10.0) / 10.0, now)
        });
        let link = Self {
            inbox: Inbox::new(&spec, &around),
            mirror: Mirror::new(spec.twins.clone()),
            flight: Flight::default(),
            batch: Batch::default(),
            loose: VecDeque::new(),
            parts: VecDeque::new(),
            owed: Owed::default(),
            passed: Passed::new(spec.name.clone(), around.submissions.clone()),
            bundle: spec.batch.clone().and_then(|b| Some(Bundle::new(b, dialect.envelope()?))),
            apart: BTreeSet::new(),
            gate: Gate::new(spec.zone.clone(), spec.schedule.clone(), spec.budget.clone()),
            judged_until: Instant::now(),
            spent: false,
            documents_wait: false,
            meter: Meter::new(spec.zone.clone(), &lanes.note()),
            hold: Hold::default(),
            documents_hold: Hold::default(),
            caught_up: false,
            refresh: false,
            retains: true,
            no_backlog: false,
            turn: Turn::new(spec.name.clone(), spec.priority, around.precedence.clone()),
            yields: false,
            bucket,
            tls: None,
            window: 0,
            flushed: Instant::now(),
            topic: String::new(),
            warned: None,
            status,
            spec,
            dialect,
            lanes,
            around,
        };
        (link, watch)
    }

    /// Runs until `stop`; then sends what is there, as far as the broker takes it within a second, and says goodbye.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut patience = Patience::default();
        loop {
            self.enter(Phase::Connecting);
            let connected = tokio::select! {
                connected = self.connect() => connected,
                () = stop.cancelled() => break,
            };
            let hard = match connected {
                Ok((session, connected)) => {
                    let began = Instant::now();
                    let end = self.serve(session, connected, &stop).await;
                    self.keep_account();
                    self.turn.claim(false);
                    self.lanes.disconnected();
                    self.inbox.disconnected();
                    let End::Broken(words) = end else { break };
                    self.down();
                    patience.lasted(began.elapsed());
                    self.trouble(words);
                    // Kicked right after the connection: as good as refused.
                    began.elapsed() < Duration::from_secs(5)
                }
                Err(Failure { words, hard }) => {
                    self.trouble(words);
                    self.tls.take_if(|_| hard);
                    hard
                }
            };
            let pause = patience.pause(hard);
            let micros = i64::try_from(pause.as_micros()).unwrap_or(i64::MAX);
            self.enter(Phase::Waiting { until: Boottime(self.around.clock.boottime() + micros) });
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => break,
            }
        }
        self.enter(Phase::Stopped);
    }

    async fn connect(&mut self) -> Result<(Session, wire::Connected), Failure> {
        let options = self.options().await;
        let options = options.map_err(|error| Failure { words: words(&error), hard: true })?;
        Session::connect(&options).await.map_err(|error| {
            let soft = matches!(
                error,
                ConnectError::Unreachable { .. }
                    | ConnectError::Timeout { .. }
                    | ConnectError::Ended { .. }
                    | ConnectError::Resolve { .. }
            );
            Failure { words: words(&error), hard: !soft }
        })
    }

    /// What to connect with. Password and certificates are read on a thread of their own: a slow disk, or the hundreds of
    /// authorities of the system, would hold up the data path. Certificates are read anew now and then and after a
    /// failure of TLS, not at each attempt.
    async fn options(&mut self) -> Result<MqttOptions, SpecError> {
        const FRESH: Duration = Duration::from_secs(600);
        let known = self.tls.take().filter(|(_, read)| read.elapsed() < FRESH);
        let (spec, credentials) = (self.spec.clone(), self.around.credentials.clone());
        let offline = self.dialect.offline();
        let read = move || {
            let tls = match known {
                Some(known) => Some(known),
                None => spec.client()?.map(|client| (client, Instant::now())),
            };
            let client = tls.as_ref().map(|(client, _)| client.clone());
            Ok::<_, SpecError>((tls, spec.options(credentials.as_deref(), client, offline)?))
        };
        let read = self.around.blocking.blocking(read).await.ok_or(SpecError::Panic)?;
        let (tls, options) = read?;
        self.tls = tls;
        Ok(options)
    }

    fn down(&mut self) {
        let now = self.boottime();
        self.status.send_modify(|status| status.down_since = Some(now));
    }

    fn enter(&mut self, phase: Phase) {
        self.status.send_modify(|status| status.phase = phase);
    }

    /// Notes what went wrong; one line in the log per outage.
    fn trouble(&mut self, words: String) {
        let at = Boottime(self.around.clock.boottime());
        self.status.send_modify(|status| {
            if status.failures == 0 {
                tracing::warn!(link = %status.name, broker = %status.broker, "{words}");
            }
            status.failures = status.failures.saturating_add(1);
            status.last_error = Some(LastError { at, words });
        });
    }

    fn moment(&self) -> Moment {
        let clock = &self.around.clock;
        Moment {
            boottime: Boottime(clock.boottime()),
            boot: BootId(clock.boot()),
            utc: clock.utc().map(Timestamp),
        }
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("spec", &self.spec).finish_non_exhaustive()
    }
}

/// Patterns as the store takes them: none where everything is wanted, which costs nothing to find out.
fn wanted(patterns: &[Pattern]) -> Vec<String> {
    let all = patterns.iter().any(|pattern| *pattern == Pattern::new("*"));
    if all { Vec::new() } else { patterns.iter().map(ToString::to_string).collect() }
}

/// Why there is no connection.
struct Failure {
    words: String,
    /// The broker or our own settings say no; nothing passes by itself soon.
    hard: bool,
}

/// How long to wait before the next attempt.
struct Patience {
    /// A broker that is not there: up to 2 s, so that a link is back soon after it.
    soft: Backoff,
    /// A broker that refuses or kicks us, and one that stays away: up to a minute.
    hard: Backoff,
    failing: Option<Instant>,
}

impl Default for Patience {
    fn default() -> Self {
        let second = Duration::from_secs(1);
        Self {
            soft: Backoff::new(second / 10, 2 * second, 5 * second),
            hard: Backoff::new(second, 60 * second, 60 * second),
            failing: None,
        }
    }
}

impl Patience {
    /// An absence longer than this is no restart of the broker.
    const LONG: Duration = Duration::from_secs(600);

    fn lasted(&mut self, how_long: Duration) {
        self.soft.lasted(how_long);
        self.hard.lasted(how_long);
        self.failing = None;
    }

    fn pause(&mut self, hard: bool) -> Duration {
        let failing = *self.failing.get_or_insert_with(Instant::now);
        if hard || failing.elapsed() > Self::LONG { self.hard.pause() } else { self.soft.pause() }
    }
}
