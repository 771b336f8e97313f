//! What is different about a device or a line, in words.

use std::collections::BTreeMap;

use adapter_modbus::PointCodec;
use adapter_modbus::spec::LineSpec;
use settings::Duration;
use twin::{Group, PointSpec};

use super::plan::DevicePlan;

/// More names than this are counted, not listed.
const LISTED: usize = 5;

/// What is different about a device.
pub(super) fn device(old: &DevicePlan, new: &DevicePlan) -> Vec<String> {
    let mut why = Vec::new();
    let (before, after) = (&old.device, &new.device);
    if before.unit != after.unit {
        why.push(format!("unit: {} → {}", before.unit, after.unit));
    }
    for (key, a, b) in
        [("timeout", before.timeout, after.timeout), ("pause", before.pause, after.pause)]
    {
        if a != b {
            why.push(format!("{key}: {} → {}", time(a), time(b)));
        }
    }
    if before.limits != after.limits {
        why.push("what one request may ask".into());
    }
    if before.identity != after.identity {
        why.push("identity".into());
    }
    if old.recipe != new.recipe {
        why.push("what its file or the SunSpec models say of its points".into());
    }
    let (said, says) = (&old.declaration, &new.declaration);
    if said.model != says.model {
        let name = |model: &Option<std::sync::Arc<str>>| {
            model.as_deref().map_or_else(|| "none".to_owned(), ToOwned::to_owned)
        };
        why.push(format!("profile: {} → {}", name(&said.model), name(&says.model)));
    }
    if said.nameplate != says.nameplate {
        why.push("nameplate".into());
    }
    if said.policy != says.policy {
        why.push("entanglement".into());
    }
    if said.semantics != says.semantics {
        why.push("semantics".into());
    }
    let groups = |groups: &[Group]| -> BTreeMap<String, Group> {
        groups.iter().map(|group| (group.name.to_string(), group.clone())).collect()
    };
    names("group", &groups(&said.groups), &groups(&says.groups), &mut why);
    let (before, after) = (points(old), points(new));
    for (one, alarm) in [("point", false), ("alarm", true)] {
        let of = |all: &BTreeMap<String, Point>| -> BTreeMap<String, Point> {
            let is = |(_, (spec, ..)): &(&String, &Point)| spec.rules.alarm.is_some() == alarm;
            all.iter().filter(is).map(|(name, point)| (name.clone(), point.clone())).collect()
        };
        names(one, &of(&before), &of(&after), &mut why);
    }
    if why.is_empty() {
        why.push("the order of its points, or how it is asked".into());
    }
    why
}

/// What is different about a line whose section in gatewayd.toml is not what makes the difference.
pub(super) fn line(old: &LineSpec, new: &LineSpec) -> Vec<String> {
    let (a, b) = (&old.timing, &new.timing);
    let timing = [
        ("pause", a.pause, b.pause),
        ("connect_pause", a.connect_pause, b.connect_pause),
        ("connect_timeout", a.connect_timeout, b.connect_timeout),
        ("idle_close", a.idle_close, b.idle_close),
        ("turnaround", a.turnaround, b.turnaround),
        ("silence", a.silence, b.silence),
    ];
    let differs = timing.into_iter().filter(|(_, a, b)| a != b);
    let mut why: Vec<String> =
        differs.map(|(key, a, b)| format!("{key}: {} → {}", time(a), time(b))).collect();
    if old.transport != new.transport {
        why.push("how it is reached".into());
    }
    if why.is_empty() {
        why.push("how it is driven".into());
    }
    why
}

/// A point and how it is read, with the name of its group: the index of a group means nothing.
type Point = (PointSpec, String, Option<PointCodec>);

fn points(of: &DevicePlan) -> BTreeMap<String, Point> {
    let group = |index: u16| {
        let group = of.declaration.groups.get(usize::from(index));
        group.map_or_else(String::new, |group| group.name.to_string())
    };
    let codecs = of.device.codecs.iter().cloned().map(Some).chain(std::iter::repeat(None));
    let all = of.declaration.points.iter().zip(codecs);
    all.map(|(point, codec)| {
        let name = format!("{}/{}", point.feature, point.name);
        (name, (PointSpec { group: 0, ..point.clone() }, group(point.group), codec))
    })
    .collect()
}

/// What was added, removed and changed of things with names.
fn names<T: PartialEq>(
    one: &str,
    before: &BTreeMap<String, T>,
    after: &BTreeMap<String, T>,
    why: &mut Vec<String>,
) {
    let added: Vec<&String> = after.keys().filter(|name| !before.contains_key(*name)).collect();
    let removed: Vec<&String> = before.keys().filter(|name| !after.contains_key(*name)).collect();
    let differs =
        |name: &&String| before.get(*name).is_some_and(|old| after.get(*name) != Some(old));
    let changed: Vec<&String> =
        before.keys().filter(|name| after.contains_key(*name)).filter(differs).collect();
    for (word, names) in [("added", added), ("removed", removed), ("changed", changed)] {
        if names.is_empty() {
            continue;
        }
        let many = if names.len() == 1 { "" } else { "s" };
        let more = names.len().saturating_sub(LISTED);
        let listed: Vec<&str> = names.iter().take(LISTED).map(|name| name.as_str()).collect();
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        why.push(format!("{one}{many} {word}: {}{rest}", listed.join(", ")));
    }
}

fn time(micros: i64) -> String {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0)).to_string()
}
