//! What a line is given, and how it can end.

use std::sync::Arc;

use base::{CancellationToken, Clock};
use tokio::sync::mpsc;
use tokio::time::Instant;
use twin::{BootId, Boottime, Moment, Submission, Timestamp};

use crate::{Grid, Pace};

/// What the daemon gives to every line. Clones share one grid.
#[derive(Debug, Clone)]
pub struct Context {
    /// Where everything that an adapter has to say goes.
    pub submissions: mpsc::Sender<Submission>,
    /// The time.
    pub clock: Clock,
    /// Stops the line.
    pub stop: CancellationToken,
    /// The grid on which the polls of all lines start.
    pub grid: Grid,
    pace: Arc<Pace>,
}

impl Context {
    /// A context with a grid of its own. The daemon makes one and clones it for each line.
    #[must_use]
    pub fn new(
        submissions: mpsc::Sender<Submission>,
        clock: Clock,
        stop: CancellationToken,
    ) -> Self {
        let pace = Arc::new(Pace::new(clock.boottime(), Instant::now()));
        Self { submissions, clock, stop, grid: Grid::default(), pace }
    }

    /// The same with another stop signal: each line has its own.
    #[must_use]
    pub fn with_stop(&self, stop: CancellationToken) -> Self {
        Self { stop, ..self.clone() }
    }

    /// Microseconds since boot.
    #[must_use]
    pub fn now(&self) -> Boottime {
        Boottime(self.clock.boottime())
    }

    /// Now, as far as it is known.
    #[must_use]
    pub fn moment(&self) -> Moment {
        Moment {
            boottime: self.now(),
            boot: BootId(self.clock.boot()),
            utc: self.clock.utc().map(Timestamp),
        }
    }

    /// The timer's instant for a boottime in microseconds; the same for all lines, so that their wake-ups coincide.
    #[must_use]
    pub fn instant(&self, at: i64) -> Instant {
        self.pace.instant(at, self.clock.boottime(), Instant::now())
    }
}

/// Why a line ended by itself. A device that is off is no fault: the line waits for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Trying again may help: the supervisor does, with growing pauses.
    #[error("{0}")]
    Transient(Arc<str>),
    /// Only another configuration helps: the line is parked and shown.
    #[error("{0}")]
    Permanent(Arc<str>),
}
