//! The past as the local API asks for it and shows it.
//!
//! Rows come in the order in which things were committed, buckets in the order of their times. `since` and `until` go by
//! the time of the commit; a row's own `time` is when the asset had the value.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What of the past is asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// Of this twin; of everything if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twin: Option<String>,
    /// Readings of these points alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub points: Vec<String>,
    /// Committed at or after this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<When>,
    /// Committed before this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<When>,
    /// From this commit on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// Up to this commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
    /// Of all that, the last so many commits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<u32>,
    /// Readings summed up per so many milliseconds, instead of each by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_ms: Option<u64>,
    /// `alarm`, `record` or `sample`; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
}

/// An instant, or how long ago it was by the daemon's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Milliseconds before now.
    AgoMs(u64),
    /// RFC 3339, in UTC.
    At(String),
}

/// A part of the past; more follows until one has `ended`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// What happened.
    pub rows: Vec<Row>,
    /// Nothing more will follow.
    pub ended: bool,
    /// With the last page: how much was read for the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<Effort>,
}

/// How much was read for an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effort {
    /// Segments opened.
    pub segments: u64,
    /// Commits passed by their headers.
    pub passed: u64,
    /// Commits decoded.
    pub decoded: u64,
}

/// One reading, one envelope or bucket of readings of a point, or one thing that happened.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// When the asset had the value, or when it happened; the beginning of a bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// The commit; absent for a bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Its epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u32>,
    /// Whose; absent for what happened to the gateway itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twin: Option<String>,
    /// `reported`, `backfilled`, `envelope`, `bucket`, `transition`, `command`, …
    pub what: String,
    /// Which point, `feature/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point: Option<String>,
    /// The value; the last one of an envelope or bucket.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub value: Value,
    /// The value as people read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Its unit in UCUM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// `good`, `uncertain` or `bad`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<String>,
    /// Why it is not good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What an envelope or a bucket sums up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Readings of a point, summed up.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The time of the last reading of an envelope; the end of a bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// How many readings, bad ones included.
    pub count: u64,
    /// Of these, so many that were not good.
    pub not_good: u64,
    /// The smallest number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The largest number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// The mean of the readings, not weighted by time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
}
