//! The log: to the journal with fields under systemd, to stderr elsewhere. Silent when all is well.

use std::io::IsTerminal;
use std::sync::OnceLock;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, reload};

use crate::config::plan::LogPlan;

/// Says what is logged, whatever the files say.
const OVERRIDE: &str = "GATEWAYD_LOG";
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

/// The filter that is in force, once logging has started.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Starts logging. `GATEWAYD_LOG` overrides what is logged, in the syntax of `tracing-subscriber`.
pub fn start(plan: Option<&LogPlan>) {
    let filter = EnvFilter::try_from_env(OVERRIDE)
        .unwrap_or_else(|_| EnvFilter::new(plan.map_or_else(|| OTHERS.into(), directives)));
    let (filter, handle) = reload::Layer::new(filter);
    FILTER.set(handle).ok();
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

/// From now on this is logged, unless `GATEWAYD_LOG` says what is.
pub fn set(plan: &LogPlan) {
    let overridden = EnvFilter::try_from_env(OVERRIDE).is_ok();
    if let Some(filter) = FILTER.get().filter(|_| !overridden)
        && let Err(error) = filter.reload(EnvFilter::new(directives(plan)))
    {
        tracing::warn!("cannot change what is logged: {error}");
    }
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
