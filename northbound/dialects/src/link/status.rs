//! How a link stands, for `gatewayctl links`, metrics and `why`.

use twin::{Boottime, Name};
use wire::Version;

/// How a link stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkStatus {
    /// Its name.
    pub name: Name,
    /// `host:port`.
    pub broker: String,
    /// The version of MQTT.
    pub version: Version,
    /// What it is doing.
    pub phase: Phase,
    /// The last thing that went wrong, in words; kept after it has passed.
    pub last_error: Option<LastError>,
    /// What an operator should look at, as long as it lasts.
    pub alarm: Option<String>,
    /// The broker refuses what the lanes carry: nothing goes out but attempts.
    pub held: bool,
    /// Connections so far.
    pub connections: u64,
    /// Attempts that failed since the last connection.
    pub failures: u32,
    /// Messages acknowledged by the broker, state documents included.
    pub acknowledged: u64,
    /// Of these, messages of backlogs.
    pub historical: u64,
    /// Commits passed over because the broker refuses their message.
    pub passed_over: u64,
    /// Messages under way.
    pub in_flight: usize,
    /// How many may be.
    pub window: usize,
    /// Commands received.
    pub commands: u64,
}

/// What a link is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It tries to connect.
    Connecting,
    /// It waits for the next attempt at this time.
    Waiting {
        /// When it tries again.
        until: Boottime,
    },
    /// It is connected since this time.
    Connected {
        /// Since when.
        since: Boottime,
    },
    /// It has stopped.
    Stopped,
}

/// Something that went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    /// When.
    pub at: Boottime,
    /// What, and what to do.
    pub words: String,
}

impl Phase {
    /// The word used in CLI and metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Waiting { .. } => "waiting",
            Self::Connected { .. } => "connected",
            Self::Stopped => "stopped",
        }
    }
}

/// An error and its causes in one line.
pub(super) fn words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words.push_str(": ");
        words.push_str(&cause.to_string());
        source = cause.source();
    }
    words
}
