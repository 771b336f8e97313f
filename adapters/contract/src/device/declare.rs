//! What the shared keys make of a twin's declaration.

use std::sync::Arc;

use settings::{Diagnostic, Duration, Place};
use twin::{
    Access, Acquisition, Group, Kind, Name, Nameplate, PointSpec, Rules, ValueType, Writable,
};

use super::keys::{KindWord, NameplateKeys, WordKeys};
use super::merge::MergedGroup;
use super::report;
use super::words::{labels, point_name};
use crate::units;

/// How often a group is read that does not say it.
const INTERVAL: Duration = Duration::seconds(10);
/// The shortest interval.
const SHORTEST: Duration = Duration::millis(1);
/// How long an asset is given before a read-back, where the point does not say it.
const SETTLE: Duration = Duration::millis(500);

/// The groups of a twin; with their names, so that points find theirs.
#[derive(Debug, Clone, Default)]
pub struct Common {
    /// The groups, as declared.
    pub groups: Vec<Group>,
}

/// What the groups are.
pub fn common(groups: &[MergedGroup], found: &mut Vec<Diagnostic>) -> Common {
    let mut declared = Vec::with_capacity(groups.len());
    for group in groups {
        let name = match group.name.parse::<Name>() {
            Ok(name) => name,
            Err(error) => {
                found.push(group.place.whole(format!("the name of the group: {error}")));
                continue;
            }
        };
        let keys = &group.keys;
        let on_demand = keys.on_demand == Some(true);
        let interval = keys.interval.unwrap_or(INTERVAL);
        if on_demand && keys.interval.is_some() {
            let error = group.place.error("interval", "an on_demand group has no interval");
            found.push(error.help("leave out either interval or on_demand"));
        }
        if interval < SHORTEST {
            found.push(group.place.error("interval", "the shortest interval is 1ms"));
        }
        let fallback = if on_demand { 0 } else { interval.micros().saturating_mul(3) };
        let max_age = keys.max_age.map_or(fallback, Duration::micros);
        if !on_demand && max_age != 0 && max_age < interval.micros() {
            let error =
                group.place.error("max_age", "values would be stale before the next reading");
            found.push(error.help(format!("give at least the interval, {interval}, or \"0\"")));
        }
        let acquisition = if on_demand {
            Acquisition::OnDemand
        } else {
            Acquisition::Polled { interval: interval.micros() }
        };
        declared.push(Group { name, acquisition, max_age, retired: false });
    }
    Common { groups: declared }
}

/// What is on the plate.
#[must_use]
pub fn nameplate(keys: &NameplateKeys) -> Nameplate {
    let text = |text: &Option<String>| text.as_deref().map(Arc::from);
    Nameplate {
        manufacturer: text(&keys.manufacturer),
        model: text(&keys.model),
        serial: text(&keys.serial),
        hardware: text(&keys.hardware),
        software: text(&keys.software),
    }
}

/// What a point is, given the type of its values. `None` where its name or group is wrong, or the type is not known;
/// the keys are checked all the same.
pub fn point(
    name: &str,
    keys: &WordKeys,
    value_type: Option<&ValueType>,
    common: &Common,
    place: &Place,
    found: &mut Vec<Diagnostic>,
) -> Option<PointSpec> {
    let group = group(keys.group.as_deref(), common, place, found);
    let numeric = value_type.is_none_or(numeric);
    let labelled = value_type.is_none_or(|t| matches!(t, ValueType::Int(_) | ValueType::Bool));
    if let Some(unit) = &keys.unit
        && let Err(error) = units::check(unit)
    {
        let error_at = place.error("unit", error.to_string());
        found.push(match units::suggest(unit) {
            Some(code) => error_at.help(format!("did you mean {code:?}?")),
            None => error_at.help("units are UCUM codes, such as V, A, kW.h, Cel, m3/h, %, 1/min"),
        });
    }
    for (key, said) in [("range", keys.range), ("write_range", keys.write_range)] {
        if let Some((low, high)) = said {
            if !(low.is_finite() && high.is_finite() && low < high) {
                found.push(place.error(key, "a range is two numbers, the smaller one first"));
            } else if !numeric {
                found.push(place.error(key, "only numbers have a range"));
            }
        }
    }
    let labels = keys.labels.as_ref().map_or_else(|| Arc::from([]), |l| labels(l, place, found));
    if !labels.is_empty() && !labelled {
        found.push(place.error("labels", "only whole numbers without a scale have labels"));
    }
    let kind = match keys.kind {
        Some(KindWord::Telemetry) => Kind::Telemetry,
        Some(KindWord::State) | None => Kind::State,
    };
    let text = |texts: &Option<Vec<String>>| -> Arc<[Arc<str>]> {
        texts.iter().flatten().map(|t| t.as_str().into()).collect()
    };
    let writable = writable(keys, place, found);
    let report = report::report(keys, numeric, place, found);
    let acquired = group.and_then(|at| common.groups.get(usize::from(at)));
    let pace = report::pace(keys, acquired, place, found);
    // A wrong name was reported when the files were merged.
    let (feature, name) = point_name(name).ok()?;
    Some(PointSpec {
        feature,
        name,
        kind,
        unit: keys.unit.as_deref().map(Arc::from),
        range: keys.range,
        labels,
        title: keys.title.as_deref().map(Arc::from),
        semantics: text(&keys.semantics),
        group: group?,
        access: Access { readable: true, writable },
        report,
        rules: Rules { pace, ..Rules::default() },
        value_type: value_type?.clone(),
    })
}

fn group(
    said: Option<&str>,
    common: &Common,
    place: &Place,
    found: &mut Vec<Diagnostic>,
) -> Option<u16> {
    let names = || common.groups.iter().map(|g| g.name.as_str());
    let wanted = match (said, common.groups.as_slice()) {
        (Some(name), _) => name,
        (None, [only]) => only.name.as_str(),
        (None, _) => "main",
    };
    if let Some(at) = names().position(|name| name == wanted) {
        return u16::try_from(at).ok();
    }
    let known: Vec<&str> = names().collect();
    let error = match said {
        Some(name) => place.error("group", format!("there is no [group.{name}]")),
        None => place.whole("the point must say its group: there are several and none is main"),
    };
    let near = said.and_then(|name| settings::nearest(name, known.iter().copied()));
    found.push(match near {
        Some(near) => error.help(format!("did you mean \"{near}\"?")),
        None => error.help(format!("the groups are: {}", known.join(", "))),
    });
    None
}

fn writable(keys: &WordKeys, place: &Place, found: &mut Vec<Diagnostic>) -> Option<Writable> {
    if let Some(tolerance) = keys.tolerance
        && !(tolerance.is_finite() && tolerance >= 0.0)
    {
        found.push(place.error("tolerance", "a tolerance is a number that is not negative"));
    }
    (keys.writable == Some(true)).then(|| Writable {
        range: keys.write_range.or(keys.range),
        settle: keys.settle.unwrap_or(SETTLE).micros(),
        tolerance: keys.tolerance.unwrap_or(0.0),
        unsynchronised: keys.unsynchronised == Some(true),
        hold: keys.hold == Some(true),
    })
}

pub(super) fn numeric(value_type: &ValueType) -> bool {
    matches!(
        value_type,
        ValueType::Int(_) | ValueType::F32 | ValueType::F64 | ValueType::Decimal { .. }
    )
}
