//! The writer's task: batches in, rounds of disk work beside them, the tick.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use base::Scope;
use tokio::sync::mpsc;
use twin::Submission;

use crate::core::Core;
use crate::job::Done;
use crate::thinning::Thinned;

/// At most this many submissions become one batch.
const BATCH: usize = 256;
/// The longest time between two ticks.
const TICK: Duration = Duration::from_secs(1);

/// The one writer of a store. Whatever happens, happens through it.
pub struct Writer {
    core: Core,
}

type Running<T> = Pin<Box<dyn Future<Output = Option<T>> + Send>>;

impl Writer {
    pub(crate) fn new(core: Core) -> Self {
        Self { core }
    }

    /// Writes what comes until the last sender is gone; then makes everything durable and keeps the state.
    ///
    /// Disk work that blocks runs on threads of `scope`.
    pub async fn run(mut self, mut submissions: mpsc::Receiver<Submission>, scope: Scope) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut period = self.period();
        let mut tick = tokio::time::interval(period);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut running: Option<Running<(Done, Duration)>> = None;
        let mut thinning: Option<Running<Thinned>> = None;
        loop {
            if running.is_none() {
                running = self.start(&scope);
            }
            if thinning.is_none() {
                thinning = self.thin(&scope);
            }
            tokio::select! {
                biased;
                done = wait(&mut running) => {
                    running = None;
                    self.finish(done);
                }
                n = submissions.recv_many(&mut batch, BATCH) => {
                    if n == 0 {
                        break;
                    }
                    self.core.accept(&mut batch);
                }
                done = wait(&mut thinning) => {
                    thinning = None;
                    match done {
                        Some(thinned) => self.core.finish_thinning(thinned),
                        None => self.core.lost_thinning(),
                    }
                }
                _ = tick.tick() => {
                    self.core.tick();
                    if self.period() != period {
                        period = self.period();
                        tick = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
                        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
                    }
                }
            }
        }
        // What it wrote is a draft until the writer says otherwise; the next start removes it.
        drop(thinning);
        if running.is_some() {
            let done = wait(&mut running).await;
            self.finish(done);
        }
        self.end(&scope).await;
    }

    fn period(&self) -> Duration {
        let flush = self.core.shared.options.flush;
        if flush.is_zero() { TICK } else { flush.min(TICK) }
    }

    fn thin(&mut self, scope: &Scope) -> Option<Running<Thinned>> {
        let thinning = self.core.begin_thinning()?;
        let scope = scope.clone();
        Some(Box::pin(async move { scope.blocking(move || thinning.run()).await }))
    }

    fn start(&mut self, scope: &Scope) -> Option<Running<(Done, Duration)>> {
        let job = self.core.begin_job(false)?;
        let scope = scope.clone();
        Some(Box::pin(async move {
            scope
                .blocking(move || {
                    let begun = Instant::now();
                    (job.run(), begun.elapsed())
                })
                .await
        }))
    }

    fn finish(&mut self, done: Option<(Done, Duration)>) {
        if let Some((done, took)) = done {
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            self.core.shared.lock().counters.last_sync_micros = micros;
            self.core.finish_job(done);
        } else {
            tracing::error!("a round of disk work panicked");
            self.core.lost_job();
        }
    }

    async fn end(mut self, scope: &Scope) {
        for _ in 0..3 {
            let job = self.core.last_job();
            match scope.blocking(move || job.run()).await {
                Some(done) => self.core.finish_job(done),
                None => break,
            }
            if self.core.settled() {
                break;
            }
        }
        self.core.abandon();
    }
}

async fn wait<T>(running: &mut Option<Running<T>>) -> Option<T> {
    match running {
        Some(running) => running.await,
        None => std::future::pending().await,
    }
}
