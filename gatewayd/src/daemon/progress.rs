//! The watchdog's proof: systemd is told that we live only while the writer answers and every line moves.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use adapter::{LineHandle, LineState};
use base::Clock;
use tokio::sync::mpsc;
use twin::{Boottime, Input, Refusal, Seen, Submission, TwinId};

use super::describe::settle;
use super::lines::Lines;
use super::notify;
use super::supervisor::{Fault, Life, Policy, Supervisor, Unit};

/// Starts the watchdog, where systemd wants one.
pub fn start(
    supervisor: &Supervisor,
    lines: &Lines,
    submissions: &mpsc::WeakSender<Submission>,
    clock: &Clock,
) -> Option<Unit> {
    let period = notify::watchdog()?;
    let (lines, submissions, clock) = (lines.clone(), submissions.clone(), clock.clone());
    let unit = supervisor.start("watchdog", Policy::default(), move |stop| -> Life {
        let mut proof = Proof::new(lines.clone(), submissions.clone(), clock.clone());
        Box::pin(async move {
            // Three chances to prove life before systemd loses patience.
            while stop.run_until_cancelled(tokio::time::sleep(period / 3)).await.is_some() {
                match proof.prove(period / 4).await {
                    Ok(()) => notify::alive(),
                    Err(words) => tracing::error!("no progress: {words}"),
                }
            }
            Ok::<(), Fault>(())
        })
    });
    Some(unit)
}

/// Proves progress, or says what stands still.
pub struct Proof {
    lines: Lines,
    submissions: mpsc::WeakSender<Submission>,
    clock: Clock,
    moved: HashMap<Arc<str>, u64>,
    probe: Option<TwinId>,
}

impl Proof {
    /// A proof that has seen nothing yet.
    pub fn new(lines: Lines, submissions: mpsc::WeakSender<Submission>, clock: Clock) -> Self {
        // No twin has this id: an id of 64 characters is a file name that nobody gives a device.
        let probe = "-".repeat(63).replacen('-', "gatewayd-watchdog-", 1);
        let probe = probe.chars().take(64).collect::<String>().parse().ok();
        Self { lines, submissions, clock, moved: HashMap::new(), probe }
    }

    /// Asks the writer and every line; each has this long to answer.
    pub async fn prove(&mut self, patience: Duration) -> Result<(), String> {
        self.writer(patience).await?;
        for line in self.lines.handles() {
            self.line(&line, patience).await?;
        }
        Ok(())
    }

    async fn writer(&self, patience: Duration) -> Result<(), String> {
        let (Some(submissions), Some(twin)) = (self.submissions.upgrade(), self.probe.clone())
        else {
            return Ok(());
        };
        let now = Boottime(self.clock.boottime());
        let seen = Seen { twin, group: 0, ok: true, due: now, at: now, expected: 0 };
        let asked = settle(&submissions, Input::Seen(seen));
        match tokio::time::timeout(patience, asked).await {
            Ok(Ok(_) | Err(Refusal::NoSuchTwin)) => Ok(()),
            Ok(Err(refusal)) => Err(format!("the writer refuses to answer: {refusal:?}")),
            Err(_) => Err("the writer does not answer".into()),
        }
    }

    async fn line(&mut self, line: &LineHandle, patience: Duration) -> Result<(), String> {
        let (state, count) = {
            let status = line.status().borrow();
            let of = |device: &adapter::DeviceStatus| {
                device.counters.requests + device.counters.missed + device.counters.answers
            };
            (status.state.clone(), status.devices.iter().map(of).sum::<u64>() + status.opened)
        };
        let before = self.moved.insert(line.name().clone(), count);
        let moved = before != Some(count);
        if moved || !matches!(state, LineState::Up) {
            return Ok(());
        }
        // Nothing was due, perhaps: a line that lives answers between two transactions.
        let Some(twin) = self.probe.clone() else { return Ok(()) };
        match tokio::time::timeout(patience, line.inspect(twin, None)).await {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("line {} stands still", line.name())),
        }
    }
}
