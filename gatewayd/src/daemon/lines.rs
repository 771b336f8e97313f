//! The lines that run: which line serves which twin, and how it is reached.
//!
//! A protocol adds a `launch` of its own to [`super::modbus`]'s pattern; everything here is protocol-free.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use adapter::{BreakerState, DeviceStatus, LineHandle, LineState};
use base::Clock;
use control::{Device, Line};
use twin::TwinId;

/// The lines that run. Clones share one directory.
#[derive(Debug, Clone, Default)]
pub struct Lines(Arc<Mutex<Directory>>);

#[derive(Debug, Default)]
struct Directory {
    lines: BTreeMap<Arc<str>, Known>,
    twins: HashMap<TwinId, Arc<str>>,
}

#[derive(Debug)]
struct Known {
    facts: Facts,
    /// The handle of the line's present life; `None` before the first one.
    handle: Option<LineHandle>,
}

/// What is known of a line from its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The protocol.
    pub protocol: &'static str,
    /// Where it goes.
    pub target: String,
    /// Its twins and their addresses on it.
    pub devices: Vec<(TwinId, String)>,
}

impl Lines {
    /// A line is configured like this from now on.
    pub fn configure(&self, name: &Arc<str>, facts: Facts) {
        let mut all = self.lock();
        all.twins.retain(|_, line| line != name);
        for (twin, _) in &facts.devices {
            all.twins.insert(twin.clone(), name.clone());
        }
        let handle = all.lines.remove(name).and_then(|known| known.handle);
        all.lines.insert(name.clone(), Known { facts, handle });
    }

    /// A line begins a life.
    pub fn begun(&self, name: &Arc<str>, handle: LineHandle) {
        if let Some(known) = self.lock().lines.get_mut(name) {
            known.handle = Some(handle);
        }
    }

    /// A line is gone.
    pub fn remove(&self, name: &str) {
        let mut all = self.lock();
        all.twins.retain(|_, line| **line != *name);
        all.lines.remove(name);
    }

    /// All lines are gone.
    pub fn clear(&self) {
        *self.lock() = Directory::default();
    }

    /// The line that serves a twin.
    pub fn of(&self, twin: &TwinId) -> Option<LineHandle> {
        let all = self.lock();
        all.lines.get(all.twins.get(twin)?)?.handle.clone()
    }

    /// The line of this name, or that goes there.
    pub fn named(&self, called: &str) -> Option<LineHandle> {
        let all = self.lock();
        let there = |(name, known): &(&Arc<str>, &Known)| {
            ***name == *called || known.facts.target == called
        };
        all.lines.iter().find(there)?.1.handle.clone()
    }

    /// The names of all lines.
    pub fn names(&self) -> Vec<Arc<str>> {
        self.lock().lines.keys().cloned().collect()
    }

    /// The handles of all lines.
    pub fn handles(&self) -> Vec<LineHandle> {
        self.lock().lines.values().filter_map(|known| known.handle.clone()).collect()
    }

    /// How each line is.
    pub fn show(&self, clock: &Clock) -> Vec<Line> {
        let now = clock.boottime();
        self.lock().lines.iter().map(|(name, known)| known.show(name, now)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Directory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn show(&self, name: &Arc<str>, now: i64) -> Line {
        let status = self.handle.as_ref().map(|handle| handle.status().borrow().clone());
        let state = status.as_ref().map_or(&LineState::Starting, |status| &status.state);
        let detail = match state {
            LineState::Down { cause, next } => Some(match next {
                Some(at) => format!("{cause}; next attempt in {:.1} s", seconds(at.0 - now)),
                None => cause.to_string(),
            }),
            LineState::Ended { cause } => cause.as_ref().map(ToString::to_string),
            LineState::Starting | LineState::Up | LineState::Idle => None,
        };
        let known = status.as_ref().map_or(&[][..], |status| &status.devices);
        let device = |(twin, address): &(TwinId, String)| {
            let status = known.iter().find(|device| device.twin == *twin);
            device(twin, address, state, status, now)
        };
        Line {
            name: name.to_string(),
            protocol: self.facts.protocol.into(),
            target: self.facts.target.clone(),
            state: state.word().into(),
            detail,
            devices: self.facts.devices.iter().map(device).collect(),
            counts: counts(status.as_ref()),
        }
    }
}

fn device(
    twin: &TwinId,
    address: &str,
    line: &LineState,
    status: Option<&DeviceStatus>,
    now: i64,
) -> Device {
    let state = match status {
        // What it was before the line went down says nothing.
        _ if matches!(line, LineState::Down { .. } | LineState::Ended { .. }) => "offline",
        None => "unknown",
        Some(device) if device.breaker != BreakerState::Closed => "offline",
        Some(device) if device.answered.is_some() => "online",
        Some(_) => "unknown",
    };
    let trouble = status.and_then(|device| device.trouble.as_ref());
    let over = state == "online";
    Device {
        twin: twin.to_string(),
        address: address.into(),
        state: state.into(),
        detail: trouble.filter(|_| !over).map(|trouble| trouble.words.to_string()),
        retry_in_ms: status
            .and_then(|device| device.next)
            .map(|at| u64::try_from((at.0 - now) / 1_000).unwrap_or(0)),
    }
}

fn counts(status: Option<&adapter::LineStatus>) -> Vec<(String, u64)> {
    let Some(status) = status else { return Vec::new() };
    let sum = |of: fn(&adapter::Counters) -> u64| {
        status.devices.iter().map(|device| of(&device.counters)).sum()
    };
    let all = [
        ("opened", status.opened),
        ("requests", sum(|c| c.requests)),
        ("answers", sum(|c| c.answers)),
        ("timeouts", sum(|c| c.timeouts)),
        ("refusals", sum(|c| c.refusals)),
        ("malformed", sum(|c| c.malformed)),
        ("lost", sum(|c| c.lost)),
        ("missed", sum(|c| c.missed)),
        ("wasted_us", status.wasted),
    ];
    all.into_iter().map(|(name, n)| (name.into(), n)).collect()
}

#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn seconds(micros: i64) -> f64 {
    micros.max(0) as f64 / 1e6
}
