//! What a reload would do, and what it did, as the local API shows it.

use serde::{Deserialize, Serialize};

/// What differs between what runs and what the files say, and what a reload does about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The lines that something happens to.
    pub lines: Vec<PlannedLine>,
    /// The links that something happens to.
    pub links: Vec<PlannedLink>,
    /// The other settings that differ.
    pub settings: Vec<PlannedSetting>,
    /// How many lines and links are left alone.
    pub same: u64,
    /// What is wrong with device files; they are disabled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// What somebody should look at, although it can be used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What happens to a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedLine {
    /// Its name.
    pub name: String,
    /// What happens to it.
    pub action: Action,
    /// Why it is rebuilt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
    /// The devices on it that something happens to.
    pub devices: Vec<PlannedDevice>,
    /// How many devices on it are the same.
    pub same: u64,
}

/// What happens to a line or link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It is new.
    Start,
    /// It ends.
    Stop,
    /// It ends and begins again: its connection is closed.
    Rebuild,
    /// It goes on, with other devices. Devices that are the same do not notice.
    Configure,
}

/// What happens to a device on a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedDevice {
    /// Its twin.
    pub twin: String,
    /// What happens to it.
    pub action: DeviceAction,
    /// What is different about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
}

/// What happens to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceAction {
    /// It is new on this line.
    Add,
    /// It is asked otherwise.
    Change,
    /// It is no longer on this line.
    Remove,
}

/// What happens to a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedLink {
    /// Its name.
    pub name: String,
    /// What happens to it.
    pub action: Action,
    /// What is different about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
}

/// A setting that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedSetting {
    /// Its key, `log.level`.
    pub key: String,
    /// What is in force; absent where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What the files say; absent where they say nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// When it comes into force.
    pub applies: Applies,
}

/// When a setting comes into force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Applies {
    /// By a reload.
    Reload,
    /// By a restart only.
    Restart,
}

/// What a reload did. Where it is still being watched, a [`Verdict`] follows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Lines and links that were added.
    pub added: Vec<String>,
    /// Those that were removed.
    pub removed: Vec<String>,
    /// Those that were changed.
    pub changed: Vec<String>,
    /// How many were left alone.
    pub same: u64,
    /// Settings that came into force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applied: Vec<String>,
    /// What only a restart can apply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs_restart: Vec<String>,
    /// What is wrong with device files; they are disabled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// What somebody should look at, although it is in force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Lines and links that are watched for permanent faults and panics.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub watched: Vec<String>,
    /// For how many milliseconds; a [`Verdict`] follows where this is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watched_ms: Option<u64>,
}

/// How what a reload changed did while it was watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What became of the new configuration.
    pub outcome: Outcome,
    /// What failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
}

/// What became of a new configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is in force and kept as the last good one.
    Good,
    /// It failed; the one before it is in force again. The files are as they were.
    Returned,
}
