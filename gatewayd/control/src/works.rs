//! The gateway's own works as the local API shows them.
//!
//! Instants are RFC 3339 in UTC; they are absent while the gateway's clock is not set. Times are milliseconds.

use serde::{Deserialize, Serialize};

/// Which program answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Always `gatewayd`.
    pub program: String,
    /// Its version.
    pub version: String,
    /// The version of this encoding that it speaks.
    pub api: u32,
}

/// How the daemon is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Which program.
    pub version: Version,
    /// The gateway's id.
    pub gateway: String,
    /// Milliseconds since the daemon started.
    pub uptime_ms: u64,
    /// The gateway's clock is set.
    pub clock_set: bool,
    /// The file that the running configuration came from.
    pub config: String,
    /// Whether commands may be carried out.
    pub writes: Writes,
    /// What somebody should look at.
    pub alarms: Vec<Alarm>,
    /// The supervised parts of the daemon.
    pub units: Vec<Unit>,
    /// Twins by life cycle state.
    pub twins: Vec<(String, u64)>,
    /// The store.
    pub store: Store,
}

/// A condition that lasts until somebody does something about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// What is wrong.
    pub what: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Milliseconds since it began.
    pub for_ms: u64,
    /// What is wrong is not in this gateway: it goes on and keeps everything, and `/health` stays 200.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outside: bool,
}

/// A supervised part of the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Its name.
    pub name: String,
    /// How it is.
    pub state: UnitState,
    /// How often it was started again.
    pub restarts: u64,
    /// Its last fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Milliseconds until the next attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_in_ms: Option<u64>,
}

/// How a supervised part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitState {
    /// It runs.
    Running,
    /// It failed and will be started again.
    Waiting,
    /// It failed for good; only a changed configuration or a restart starts it again.
    Parked,
    /// It was stopped, or has nothing more to do.
    Stopped,
}

/// The store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    /// The epoch: grows at each start.
    pub epoch: u32,
    /// The last commit.
    pub head: u64,
    /// Names and values of what it counts.
    pub counts: Vec<(String, u64)>,
}

/// An upstream connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// The words that it speaks.
    pub dialect: String,
    /// Where it goes.
    pub target: String,
    /// `connecting`, `connected`, `held`, `waiting`, `parked`.
    pub state: String,
    /// Why it is not connected or is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Milliseconds since it was connected, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
    /// Milliseconds without a connection, where that is longer than the link may be without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overdue_ms: Option<u64>,
    /// Milliseconds until the next attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_in_ms: Option<u64>,
    /// What waits for its time of day or for the next month, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<String>,
    /// Whether it may command, in the words of the configuration.
    pub commands: String,
    /// What went over it.
    #[serde(default)]
    pub traffic: Traffic,
    /// What waits for it at most, by class; each class passes every commit, so the largest stands for all.
    pub pending: Vec<Pending>,
    /// Its lanes.
    pub lanes: Vec<Lane>,
    /// Names and values of what it counts.
    pub counts: Vec<(String, u64)>,
}

/// What went over a link: bytes of MQTT in both directions, and values sent. Days and months are those of the link's zone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Bytes since the link was first configured.
    pub bytes: u64,
    /// Values since then.
    pub values: u64,
    /// Bytes today.
    pub day_bytes: u64,
    /// Values today.
    pub day_values: u64,
    /// Bytes in this month.
    pub month_bytes: u64,
    /// How many there may be in a month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<u64>,
}

impl Traffic {
    /// Bytes per value today, or ever where none was sent today; `None` where none was ever sent.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a quotient for people")]
    pub fn per_value(&self) -> Option<f64> {
        let of = [(self.day_bytes, self.day_values), (self.bytes, self.values)];
        let (bytes, values) = of.into_iter().find(|(_, values)| *values > 0)?;
        Some(bytes as f64 / values as f64)
    }
}

/// What waits for a link in one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// `alarm`, `record` or `sample`.
    pub class: String,
    /// Commits.
    pub commits: u64,
}

/// A durable range of the log that a link has still to deliver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// `alarm`, `record` or `sample`.
    pub class: String,
    /// The next sequence number.
    pub next: u64,
    /// Where it ends; a live lane has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<u64>,
}

/// A line to assets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// The protocol.
    pub protocol: String,
    /// Where it goes.
    pub target: String,
    /// `up`, `down`, `waiting`, `parked`.
    pub state: String,
    /// Why it is not up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The devices on it.
    pub devices: Vec<Device>,
    /// Names and values of what it counts.
    pub counts: Vec<(String, u64)>,
}

/// A device on a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its twin.
    pub twin: String,
    /// Its address on the line.
    pub address: String,
    /// `online`, `offline`, `paused`, `unknown`.
    pub state: String,
    /// Why it is not online.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Milliseconds until the next attempt, where it is not polled as usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_in_ms: Option<u64>,
}

/// An answer in the protocol's own bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The answer as the protocol has it inside its frames, in hexadecimal.
    pub answer: String,
    /// Microseconds from the request to it.
    pub took_us: u64,
}

/// Bytes that went over a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tapped {
    /// Microseconds since the machine started.
    pub at_us: i64,
    /// From us; else to us.
    pub sent: bool,
    /// The bytes, as they were written or read at once, in hexadecimal.
    pub hex: String,
    /// What they are, in words.
    pub words: String,
    /// How many pieces before this one were lost because the caller was slow.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Whether commands may be carried out at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writes {
    /// On or off.
    pub on: bool,
    /// Who switched them off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}
