//! How a link stands, for `gatewayctl links`, metrics and `why`.

use std::time::Duration;

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
    /// Since when it has no connection, where it has none.
    pub down_since: Option<Boottime>,
    /// How long it may have none before somebody is to look at it; zero is for ever.
    pub alarm_after: Duration,
    /// Connections so far.
    pub connections: u64,
    /// Attempts that failed since the last connection.
    pub failures: u32,
    /// Messages acknowledged by the broker, state documents included.
    pub acknowledged: u64,
    /// Of these, messages of backlogs.
    pub historical: u64,
    /// Commits passed over because the broker refuses their message; each is on record.
    pub passed_over: u64,
    /// Messages under way.
    pub in_flight: usize,
    /// How many may be.
    pub window: usize,
    /// Commands received.
    pub commands: u64,
    /// How often it looked at what there is to do.
    pub turns: u64,
    /// What waits for its time of day or for the next month, in words.
    pub waits: Option<String>,
    /// Bytes of MQTT in both directions since the link was first configured.
    pub bytes: u64,
    /// Values sent since then.
    pub values: u64,
    /// Bytes today.
    pub day_bytes: u64,
    /// The link whose backlog goes before this one's.
    pub yields_to: Option<Name>,
    /// Values today.
    pub day_values: u64,
    /// Bytes in this month.
    pub month_bytes: u64,
    /// How many there may be in a month.
    pub budget: Option<u64>,
}

impl LinkStatus {
    /// For how many microseconds it has had no connection, where that is longer than it may be.
    #[must_use]
    pub fn overdue(&self, now: Boottime) -> Option<i64> {
        let down = now.0.saturating_sub(self.down_since?.0);
        let after = i64::try_from(self.alarm_after.as_micros()).unwrap_or(i64::MAX);
        (after > 0 && down >= after).then_some(down)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_becomes_an_alarm_when_it_lasts() {
        let status = |down_since, after| LinkStatus {
            name: "cloud".parse().unwrap(),
            broker: String::new(),
            version: Version::V5,
            phase: Phase::Connecting,
            last_error: None,
            alarm: None,
            held: false,
            down_since,
            alarm_after: Duration::from_secs(after),
            connections: 0,
            failures: 0,
            acknowledged: 0,
            historical: 0,
            passed_over: 0,
            in_flight: 0,
            window: 0,
            commands: 0,
            turns: 0,
            waits: None,
            yields_to: None,
            bytes: 0,
            values: 0,
            day_bytes: 0,
            day_values: 0,
            month_bytes: 0,
            budget: None,
        };
        let now = Boottime(400_000_000);
        assert_eq!(status(Some(Boottime(0)), 300).overdue(now), Some(400_000_000));
        assert_eq!(status(Some(Boottime(101_000_000)), 300).overdue(now), None);
        assert_eq!(status(Some(Boottime(0)), 0).overdue(now), None, "never, by choice");
        assert_eq!(status(None, 300).overdue(now), None, "it is connected");
    }
}
