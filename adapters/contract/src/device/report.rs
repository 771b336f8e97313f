//! When a point is reported: report by change, deadband, and the shortest and longest time between two reports.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use settings::{Diagnostic, Duration, Place};
use twin::{Acquisition, Group, Pace, Report};

use super::keys::{ReportWord, WordKeys};

/// How far a value has to move: a number of the point's unit, or a part of what was last reported, `"2 %"`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Deadband {
    /// In the unit.
    Absolute(f64),
    /// A number and a percent sign.
    Text(String),
}

impl JsonSchema for Deadband {
    fn schema_name() -> Cow<'static, str> {
        "Deadband".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["number", "string"],
            "minimum": 0,
            "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*%\s*$|\$\{",
        })
    }
}

impl Deadband {
    /// `None` where it is no number, or one below zero.
    fn report(&self) -> Option<Report> {
        let (number, report): (f64, fn(f64) -> Report) = match self {
            Self::Absolute(number) => (*number, Report::Deadband),
            Self::Text(text) => {
                let number = text.trim().strip_suffix('%')?.trim_end();
                (number.parse().ok()?, Report::Percent)
            }
        };
        (number.is_finite() && number >= 0.0).then(|| report(number))
    }
}

/// What is worth a report.
pub(super) fn report(
    keys: &WordKeys,
    numeric: bool,
    place: &Place,
    found: &mut Vec<Diagnostic>,
) -> Report {
    let Some(deadband) = &keys.deadband else {
        return match keys.report {
            Some(ReportWord::Always) => Report::Always,
            Some(ReportWord::Change) | None => Report::Change,
        };
    };
    if keys.report == Some(ReportWord::Always) {
        let error = place.error("deadband", "a point that is always reported has no deadband");
        found.push(error.help("leave out either report or deadband"));
    }
    if !numeric {
        found.push(place.error("deadband", "only numbers have a deadband"));
    }
    deadband.report().unwrap_or_else(|| {
        let error = place.error("deadband", "a deadband is a number that is not negative");
        found.push(error.help("write deadband = 0.5, in the unit of the point, or \"2 %\""));
        Report::Change
    })
}

/// How often it is reported. `group` is where it is read, as far as that is known.
pub(super) fn pace(
    keys: &WordKeys,
    group: Option<&Group>,
    place: &Place,
    found: &mut Vec<Diagnostic>,
) -> Pace {
    let micros = |key: Option<Duration>| key.map_or(0, Duration::micros);
    let pace = Pace { least: micros(keys.min_interval), most: micros(keys.max_interval) };
    for (key, said) in [("min_interval", keys.min_interval), ("max_interval", keys.max_interval)] {
        if said.is_none_or(|said| said.micros() == 0) {
            continue;
        }
        if keys.report == Some(ReportWord::Always) {
            let error = place.error(key, format!("a point that is always reported has no {key}"));
            found.push(error.help(format!("leave out either report or {key}")));
        }
        match group.map(|group| group.acquisition) {
            Some(Acquisition::OnDemand | Acquisition::Pushed { .. }) => {
                let error = place.error(key, format!("only a group that is polled has a {key}"));
                found.push(error.help("give the point a group with an interval"));
            }
            Some(Acquisition::Polled { interval }) if key == "max_interval" => {
                if pace.most < interval {
                    let error = place.error(key, "it is shorter than the interval of the group");
                    found.push(error.help("read the group more often, or give a longer time"));
                }
            }
            Some(Acquisition::Polled { .. }) | None => {}
        }
    }
    if pace.most != 0 && pace.most < pace.least {
        let error = place.error("max_interval", "it is shorter than min_interval");
        found.push(error.help("max_interval is the longest time between two reports"));
    }
    pace
}
