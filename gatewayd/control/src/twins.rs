//! Twins as the local API shows them.
//!
//! Instants are RFC 3339 in UTC; they are absent while the gateway's clock is not set. Ages are milliseconds.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A twin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Twin {
    /// Its id.
    pub id: String,
    /// Where it stands in its life cycle.
    pub life_cycle: String,
    /// The profile or model that it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The asset's own id, where it was read from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset: Option<String>,
    /// The line on which its asset is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
    /// Grows with each change of the twin.
    pub rev: u64,
    /// Milliseconds since its asset was last read completely.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
    /// How closely it follows its asset; absent before that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entanglement: Option<Entanglement>,
    /// Planned work on its asset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<Maintenance>,
    /// What is wrong with its configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<String>,
    /// Its links to other twins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relationships: Vec<Relationship>,
    /// Its alarms that stand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<TwinAlarm>,
    /// Its points in the order of their indexes.
    pub points: Vec<Point>,
}

/// An alarm of a twin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TwinAlarm {
    /// Whose.
    pub twin: String,
    /// Its name, `feature/alarm`.
    pub alarm: String,
    /// Its cause is present.
    pub active: bool,
    /// Somebody has seen it; true where there is nothing to see.
    pub acknowledged: bool,
    /// It is silenced, by an operator or by planned work.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shelved: bool,
    /// 1 (nothing) to 1000 (worst).
    pub severity: u16,
    /// What an operator reads.
    pub text: String,
    /// When it is raised, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// When it was raised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The same as milliseconds ago.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
    /// Until when an operator silenced it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shelved_until: Option<String>,
    /// Which occurrence stands, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

impl TwinAlarm {
    /// Its state in words; that it is silenced is not said.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match (self.active, self.acknowledged) {
            (true, false) => "active",
            (true, true) => "active, acknowledged",
            (false, false) => "over, not acknowledged",
            (false, true) => "normal",
        }
    }
}

/// Planned work on an asset: commands are refused, and time without contact counts as planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    /// When it ends by itself; absent while the gateway's clock is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Why.
    pub reason: String,
    /// Who said so.
    pub by: String,
}

/// A typed link from a twin to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relationship {
    /// What it means.
    pub name: String,
    /// The twin's id on this gateway, or the URI of a twin elsewhere.
    pub target: String,
}

/// How closely a twin follows its asset: shares from 0 to 1 over a sliding window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entanglement {
    /// The product of the three factors.
    pub value: f32,
    /// The share of the readings that were in the twin in time after the asset was asked.
    pub timeliness: f32,
    /// The share of the readings that were due and came.
    pub reliability: f32,
    /// The share of the time with contact to the asset; time in which the gateway did not run has none.
    pub availability: f32,
    /// `strong`, `weak` or `indirect`.
    pub class: String,
    /// From which value on it is strong.
    pub target: f32,
    /// The length of the window in milliseconds.
    pub window_ms: u64,
    /// How many milliseconds after the asset was asked is in time.
    pub timeliness_ms: u64,
}

/// A point and what is known of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The feature that it belongs to.
    pub feature: String,
    /// Its name in the feature.
    pub name: String,
    /// Its value; the last one had where the quality is not good, `null` where none was ever had.
    pub value: Value,
    /// The value as people read it: all digits of a decimal, the label of an enumeration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The word for the value, where the point is an enumeration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Its unit in UCUM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// `good`, `uncertain` or `bad`.
    pub quality: String,
    /// Why it is not good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The asset's own code for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// When the asset had the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Milliseconds since the value was last confirmed by the asset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
    /// Commands may write it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub writable: bool,
    /// What was last asked of it, as people read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<String>,
    /// Where the command stands that asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Update {
    /// Its place in the order of everything.
    pub seq: u64,
    /// The epoch of the store.
    pub epoch: u32,
    /// When it was committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// To which twin; absent where it happened to the gateway itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twin: Option<String>,
    /// What: `reported`, `transition`, `command`, `event`, …
    pub what: String,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The points that changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub points: Vec<Point>,
}

/// Where a command stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// Whose asset.
    pub twin: String,
    /// Which point, `feature/name`.
    pub point: String,
    /// The caller's id of it.
    pub key: String,
    /// Its identity: the sequence number of the commit that accepted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// `accepted`, `sent`, `acknowledged`, `confirmed`, `rejected`, `expired` or `unknown`.
    pub stage: String,
    /// Milliseconds since the daemon received it, to the microsecond.
    pub after_ms: f64,
    /// Nothing more will follow.
    pub ended: bool,
    /// It was known already; this is where it stands.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub known: bool,
    /// Why it was not confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Why a twin or a point is as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// Which twin.
    pub twin: String,
    /// Which point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point: Option<String>,
    /// The answer in one sentence.
    pub verdict: String,
    /// What each part of the gateway knows of it.
    pub sections: Vec<Section>,
}

/// What one part of the gateway knows of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Which part.
    pub title: String,
    /// Names and values, for people.
    pub rows: Vec<(String, String)>,
}
