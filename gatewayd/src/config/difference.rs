//! What differs between what runs and what should run, and what has to be done about it: a pure function.
//!
//! A reload does what this says and nothing else, and `gatewayctl plan` shows it.

use std::collections::{BTreeMap, BTreeSet};

use control::{Action, DeviceAction, PlannedDevice, PlannedLine, PlannedLink};
use dialects::LinkSpec;
use twin::TwinId;

use super::plan::{DevicePlan, LinePlan, Plan, Said};
use super::{reasons, tuning};

/// What has to be done so that `wanted` runs where `running` does.
///
/// `parked` says whether a line or link was given up: what was wrong with it may have been outside of our files, so it
/// is tried again.
pub fn difference(running: &Plan, wanted: &Plan, parked: &dyn Fn(&str) -> bool) -> control::Plan {
    let mut plan = control::Plan::default();
    lines(running, wanted, parked, &mut plan);
    links(running, wanted, parked, &mut plan);
    plan.settings = tuning::settings(running, wanted);
    plan
}

/// The unit that drives this line.
pub fn line_unit(name: &str) -> String {
    format!("line {name}")
}

/// The unit that drives this link.
pub fn link_unit(name: &str) -> String {
    format!("link {name}")
}

fn lines(running: &Plan, wanted: &Plan, parked: &dyn Fn(&str) -> bool, plan: &mut control::Plan) {
    let by_name = |plan: &'_ Plan| -> BTreeMap<String, LinePlan> {
        plan.modbus.iter().map(|line| (line.spec.id.to_string(), line.clone())).collect()
    };
    let (before, after) = (by_name(running), by_name(wanted));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        let (old, new) = (before.get(name), after.get(name));
        let (devices, same) = devices(old, new);
        let mut why = Vec::new();
        let action = match (old, new) {
            (None, _) => Action::Start,
            (_, None) => Action::Stop,
            (Some(old), Some(new)) if old.spec != new.spec => {
                why = said(&running.said, &wanted.said, &["line", name]);
                if why.is_empty() {
                    why = reasons::line(&old.spec, &new.spec);
                }
                Action::Rebuild
            }
            _ if parked(&line_unit(name)) => {
                why.push(GIVEN_UP.into());
                Action::Rebuild
            }
            _ if devices.is_empty() => {
                plan.same += 1;
                continue;
            }
            _ => Action::Configure,
        };
        plan.lines.push(PlannedLine { name: name.clone(), action, why, devices, same });
    }
}

const GIVEN_UP: &str = "it was given up, and is tried again";

/// What happens to the devices of a line, and how many of them are the same.
fn devices(old: Option<&LinePlan>, new: Option<&LinePlan>) -> (Vec<PlannedDevice>, u64) {
    let by_twin = |line: Option<&LinePlan>| -> BTreeMap<TwinId, std::sync::Arc<DevicePlan>> {
        let all = line.into_iter().flat_map(|line| &line.devices);
        all.map(|device| (device.twin.clone(), device.clone())).collect()
    };
    let (before, after) = (by_twin(old), by_twin(new));
    let mut steps = Vec::new();
    let mut same = 0;
    for twin in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let (action, why) = match (before.get(twin), after.get(twin)) {
            (None, _) => (DeviceAction::Add, Vec::new()),
            (_, None) => (DeviceAction::Remove, Vec::new()),
            // The name of its file does not matter to it.
            (Some(old), Some(new))
                if old.device == new.device
                    && old.declaration == new.declaration
                    && old.recipe == new.recipe =>
            {
                same += 1;
                continue;
            }
            (Some(old), Some(new)) => (DeviceAction::Change, reasons::device(old, new)),
        };
        steps.push(PlannedDevice { twin: twin.to_string(), action, why });
    }
    (steps, same)
}

fn links(running: &Plan, wanted: &Plan, parked: &dyn Fn(&str) -> bool, plan: &mut control::Plan) {
    let by_name = |plan: &'_ Plan| -> BTreeMap<String, LinkSpec> {
        plan.links.iter().map(|link| (link.name.to_string(), link.clone())).collect()
    };
    let (before, after) = (by_name(running), by_name(wanted));
    for name in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let mut why = Vec::new();
        let action = match (before.get(name), after.get(name)) {
            (None, _) => Action::Start,
            (_, None) => Action::Stop,
            (Some(old), Some(new)) if old != new => {
                why = said(&running.said, &wanted.said, &["link", name]);
                if why.is_empty() {
                    why = said(&running.said, &wanted.said, &["gateway"]);
                }
                Action::Rebuild
            }
            _ if parked(&link_unit(name)) => {
                why.push(GIVEN_UP.into());
                Action::Rebuild
            }
            _ => {
                plan.same += 1;
                continue;
            }
        };
        plan.links.push(PlannedLink { name: name.clone(), action, why });
    }
}

/// The keys of this table that are written differently: `baud: 9600 → 19200`.
fn said(before: &Said, after: &Said, path: &[&str]) -> Vec<String> {
    let find = |said: &Said| {
        let mut steps = path.iter();
        let mut here = said.0.get(*steps.next()?)?;
        for step in steps {
            here = here.get(step)?;
        }
        here.as_table().cloned()
    };
    let mut found = Vec::new();
    compare("", &find(before).unwrap_or_default(), &find(after).unwrap_or_default(), &mut found);
    found
}

fn compare(at: &str, before: &toml::Table, after: &toml::Table, found: &mut Vec<String>) {
    for key in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
        let show = |value: Option<&toml::Value>| {
            value.map_or_else(|| "not given".to_owned(), ToString::to_string)
        };
        match (before.get(key), after.get(key)) {
            (Some(toml::Value::Table(old)), Some(toml::Value::Table(new))) => {
                compare(&path, old, new, found);
            }
            (old, new) if old == new => {}
            (old, new) => found.push(format!("{path}: {} → {}", show(old), show(new))),
        }
    }
}
