//! The log: to the journal with fields under systemd, to stderr elsewhere. Silent when all is well.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::plan::LogPlan;

/// What other parts have to say is only heard when it is a warning.
const OTHERS: &str = "warn";

/// Our own crates, as tracing names them.
const OWN: &[&str] = &[
    "gatewayd",
    "adapter",
    "adapter_modbus",
    "base",
    "dialects",
    "keeper",
    "tls",
    "twin_store",
    "wire",
];

/// Starts logging. `GATEWAYD_LOG` overrides what is logged, in the syntax of `tracing-subscriber`.
pub fn start(plan: Option<&LogPlan>) {
    let filter = EnvFilter::try_from_env("GATEWAYD_LOG")
        .unwrap_or_else(|_| EnvFilter::new(plan.map_or_else(|| OTHERS.into(), directives)));
    let journal = under_systemd().then(tracing_journald::layer).and_then(Result::ok);
    let stderr = journal.is_none().then(|| {
        tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
    });
    // A second start in one process (tests) keeps the first log.
    tracing_subscriber::registry().with(filter).with(journal).with(stderr).try_init().ok();
}

fn directives(plan: &LogPlan) -> String {
    let own = OWN.iter().map(|part| (*part, plan.level.to_string()));
    let parts = plan.parts.iter().map(|(part, level)| (part.as_str(), level.to_string()));
    own.chain(parts).fold(OTHERS.into(), |all, (part, level)| format!("{all},{part}={level}"))
}

/// Whether stderr goes to the journal: systemd says so by device and inode (`$JOURNAL_STREAM`, systemd.exec(5)).
fn under_systemd() -> bool {
    let Some(stream) = std::env::var_os("JOURNAL_STREAM") else { return false };
    let Ok(stat) = rustix::fs::fstat(std::io::stderr()) else { return false };
    stream.to_str() == Some(&format!("{}:{}", stat.st_dev, stat.st_ino))
}
