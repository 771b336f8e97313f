//! The keys of device files and profiles that every protocol shares.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use settings::Duration;

use super::alarm::{AlarmKeys, CodesWord};
use super::entanglement::EntanglementKeys;
use super::report::Deadband;

/// A device file. `S` are the sections and `P` the keys of a point that protocols add.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(bound(deserialize = "S: Deserialize<'de>, P: Deserialize<'de>"))]
#[schemars(bound = "S: JsonSchema, P: JsonSchema")]
pub struct DeviceFile<S, P> {
    /// The id of the twin, stable for life; the file name without `.toml` if absent.
    pub id: Option<String>,
    /// The profile that describes the device model, `"vendor/model"`.
    pub profile: Option<String>,
    /// What is written on the plate of this very device.
    pub nameplate: Option<NameplateKeys>,
    /// IRIs that say what kind of thing it is.
    pub semantics: Option<Vec<String>>,
    /// How closely the twin has to follow the device, and what follows from it.
    pub entanglement: Option<EntanglementKeys>,
    /// Points are acquired in groups; `[group.NAME]`. Without one, all points are in the group `main`.
    #[serde(default)]
    pub group: BTreeMap<String, GroupKeys>,
    /// The points, `[[point]]`; one that the profile has too replaces its keys by the ones given here.
    #[serde(default)]
    pub point: Vec<PointKeys<P>>,
    /// The alarms, `[[alarm]]`; one that the profile has too replaces its keys by the ones given here.
    #[serde(default)]
    pub alarm: Vec<AlarmKeys>,
    /// What the protocols add.
    #[serde(flatten)]
    pub sections: S,
}

/// What is written on a plate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct NameplateKeys {
    /// Who made it.
    pub manufacturer: Option<String>,
    /// Its model or order code.
    pub model: Option<String>,
    /// Its serial number. It is compared with what the device says where it can be read.
    pub serial: Option<String>,
    /// Its hardware version.
    pub hardware: Option<String>,
    /// Its firmware version.
    pub software: Option<String>,
}

/// A group of points that are read together: one completed reading of a group is one message upstream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct GroupKeys {
    /// From one reading to the next; 10s if absent.
    pub interval: Option<Duration>,
    /// Read only when somebody asks; then there is no interval.
    pub on_demand: Option<bool>,
    /// After this long without a reading the values are stale; three intervals if absent, "0" = never.
    pub max_age: Option<Duration>,
}

/// One point, `feature/property`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct PointKeys<P> {
    /// The feature and the property, `"feature/property"`.
    pub name: String,
    /// What every protocol understands.
    #[serde(flatten)]
    pub words: WordKeys,
    /// What the protocol adds.
    #[serde(flatten)]
    pub protocol: P,
}

/// What a point means and how it is used.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
pub struct WordKeys {
    /// `false` leaves out a point of the profile.
    pub used: Option<bool>,
    /// Whether the current value matters (state) or the series of values (telemetry); state if absent.
    pub kind: Option<KindWord>,
    /// The unit in UCUM, case sensitive: "V", "Cel", "kW.h", "m3/h", "%".
    pub unit: Option<String>,
    /// The smallest and the largest plausible value, in the unit. A value outside is kept, and is uncertain.
    pub range: Option<(f64, f64)>,
    /// Words for numbers: `{ 0 = "off", 1 = "on" }`.
    pub labels: Option<BTreeMap<String, String>>,
    /// What it is called for people.
    pub title: Option<String>,
    /// IRIs that say what it means.
    pub semantics: Option<Vec<String>>,
    /// The group that it is read with; `main`, or the only one, if absent.
    pub group: Option<String>,
    /// When a reading is reported: on "change" (if absent) or "always".
    pub report: Option<ReportWord>,
    /// Reported only when it differs by more than this from what was last reported: a number in the unit, or "2 %".
    pub deadband: Option<Deadband>,
    /// A change is reported this long after the last report at the earliest; the value of that time then.
    pub min_interval: Option<Duration>,
    /// It is reported this long after the last report at the latest, changed or not.
    pub max_interval: Option<Duration>,
    /// It may be written. Nothing is writable unless this is true.
    pub writable: Option<bool>,
    /// The smallest and the largest value that may be written, in the unit.
    pub write_range: Option<(f64, f64)>,
    /// How long the device needs before reading back tells the truth.
    pub settle: Option<Duration>,
    /// How far the value read back may differ from the value written, in the unit.
    pub tolerance: Option<f64>,
    /// What has to be so, by good values, before a command for it is accepted: other points of the device.
    pub requires: Option<Vec<RequireKeys>>,
    /// So much time has to be between two commands for it, whoever gives them.
    pub write_interval: Option<Duration>,
    /// It may be written although the twin is not in step with its asset.
    pub unsynchronised: Option<bool>,
    /// The written value, once confirmed, is written again when the asset leaves it, even against a local operator.
    pub hold: Option<bool>,
    /// So much time is between two such writes at least; 10 s if absent.
    pub hold_interval: Option<Duration>,
    /// So many such writes in a row, each within an hour of the last, then only a new command helps; 10 if absent.
    pub hold_times: Option<u16>,
}

/// What another point of the device has to be. Exactly one of `above`, `below`, `bits` and `is` says it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
pub struct RequireKeys {
    /// The point, `"feature/property"`.
    pub point: String,
    /// Its value is greater than this, in the unit.
    pub above: Option<f64>,
    /// Its value is less than this, in the unit.
    pub below: Option<f64>,
    /// One of these bits of a whole number is set.
    pub bits: Option<u64>,
    /// Its value is this, or one of these: a number, a label, `true` or `false`.
    pub is: Option<CodesWord>,
}

/// What a property is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the key's documentation says it")]
pub enum KindWord {
    State,
    Telemetry,
}

/// When a reading is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the key's documentation says it")]
pub enum ReportWord {
    Change,
    Always,
}
