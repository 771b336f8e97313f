//! Asks SunSpec devices what they consist of, and makes twins of what they say.
//!
//! Until a device has answered its line knows nothing of it but how to probe it, and its twin stays as the log has it.
//! It is asked again whenever it comes back after a silence: another device may stand there, or new firmware.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use adapter::{BreakerState, Context, LineHandle, LineState, NotRead};
use adapter_modbus::spec::{DeviceSpec, PointSpec};
use adapter_modbus::sunspec::{BASES, Map, Step, Walk};
use adapter_modbus::{Address, Characters, Exception, Format, Kind, PointCodec, Table, TextPlace};
use base::CancellationToken;
use settings::Diagnostic;
use tokio::sync::OwnedMutexGuard;
use twin::{Description, Reason, Revised, TwinId};
use twin_store::Store;

use super::alarms::Alarms;
use super::describe::describe;
use super::lines::Lines;
use super::modbus::Held;
use super::supervisor::{Life, Policy, Supervisor, Unit};
use super::times;
use crate::config;
use crate::config::plan::DevicePlan;

/// How often it is looked whether somebody is to be asked.
const TICK: Duration = Duration::from_millis(250);
/// The first and the longest pause before a device that did not answer, or was not understood, is asked again.
const PAUSES: [u32; 2] = [4, 240];
/// The index of the point by which an unknown device is probed; no twin has so many.
const PROBE: u16 = u16::MAX;

/// The SunSpec devices of the daemon. Clones share them.
#[derive(Clone)]
pub struct Sunspec {
    devices: Arc<Mutex<BTreeMap<TwinId, Device>>>,
    unit: Arc<Mutex<Option<Unit>>>,
    /// Held by who changes what lines poll: a reload and an answer must not overwrite each other's.
    changing: Arc<tokio::sync::Mutex<()>>,
    around: Around,
}

#[derive(Clone)]
struct Around {
    store: Store,
    context: Context,
    lines: Lines,
    alarms: Alarms,
}

#[derive(Debug, Clone)]
struct Device {
    plan: Arc<DevicePlan>,
    held: Option<Held>,
    /// What it said.
    found: Option<(Map, Arc<DevicePlan>)>,
    /// Ticks until it is asked.
    wait: Option<u32>,
    pause: u32,
    away: bool,
}

impl Sunspec {
    /// None so far.
    pub fn new(store: Store, context: Context, lines: Lines, alarms: Alarms) -> Self {
        let around = Around { store, context, lines, alarms };
        Self { devices: Arc::default(), unit: Arc::default(), changing: Arc::default(), around }
    }

    /// No answer changes what a line polls while this is held: from [`Sunspec::resolve`] to [`Sunspec::attach`].
    pub async fn changing(&self) -> OwnedMutexGuard<()> {
        self.changing.clone().lock_owned().await
    }

    /// Forgets all others, and what was said of them.
    pub fn keep(&self, wanted: impl Fn(&TwinId) -> bool) {
        self.lock().retain(|twin, _| {
            let kept = wanted(twin);
            if !kept {
                self.around.alarms.clear(&key(twin));
            }
            kept
        });
    }

    /// The devices as far as they are known; those of which nothing is known yet have a spec that only probes them.
    pub fn resolve(&self, plans: &[Arc<DevicePlan>]) -> (Vec<Arc<DevicePlan>>, Vec<DeviceSpec>) {
        let mut devices = self.lock();
        let (mut known, mut probes) = (Vec::with_capacity(plans.len()), Vec::new());
        for plan in plans {
            if plan.recipe.is_none() {
                if devices.remove(&plan.twin).is_some() {
                    self.around.alarms.clear(&key(&plan.twin));
                }
                known.push(plan.clone());
                continue;
            }
            let device = devices.get(&plan.twin).filter(|device| device.plan == *plan);
            match device.and_then(|device| device.found.as_ref()) {
                Some((_, found)) => known.push(found.clone()),
                None => {
                    let [pause, _] = PAUSES;
                    let device = Device {
                        plan: plan.clone(),
                        held: None,
                        found: None,
                        wait: Some(0),
                        pause,
                        away: false,
                    };
                    devices.insert(plan.twin.clone(), device);
                    probes.extend(probe(plan));
                }
            }
        }
        (known, probes)
    }

    /// The devices of this line are held here, and are asked from now on.
    pub fn attach(&self, supervisor: &Supervisor, plans: &[Arc<DevicePlan>], held: &Held) {
        let mut any = false;
        for plan in plans.iter().filter(|plan| plan.recipe.is_some()) {
            if let Some(device) = self.lock().get_mut(&plan.twin) {
                device.held = Some(held.clone());
                any = true;
            }
        }
        let mut unit = self.unit.lock().unwrap_or_else(PoisonError::into_inner);
        if any && unit.is_none() {
            let all = self.clone();
            let life = move |stop| -> Life {
                let all = all.clone();
                Box::pin(async move {
                    all.run(stop).await;
                    Ok(())
                })
            };
            *unit = Some(supervisor.start("sunspec", Policy::default(), life));
        }
    }

    /// Asks nobody any more.
    pub async fn stop(&self) {
        let unit = self.unit.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(unit) = unit {
            unit.stop(times::DECIDER).await;
        }
    }

    async fn run(&self, stop: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(TICK) => {}
            }
            for twin in self.due() {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    () = self.ask(&twin) => {}
                }
            }
        }
    }

    /// Those who are to be asked now. Keeps everybody's line as it should be.
    fn due(&self) -> Vec<TwinId> {
        let mut due = Vec::new();
        let mut devices = self.lock();
        for (twin, device) in devices.iter_mut() {
            let (gone, doubted) = self.seen(twin);
            if gone {
                device.away = true;
            } else if (std::mem::take(&mut device.away) && device.found.is_some())
                || (doubted && device.wait.is_none())
            {
                device.wait = Some(0);
            }
            // A line that was configured while its device answered has the spec from before.
            let stale = device
                .held
                .as_ref()
                .and_then(|held| held.get(twin))
                .is_some_and(|spec| is_probe(&spec));
            if stale && device.found.is_some() && device.wait.is_none() {
                device.found = None;
                device.wait = Some(0);
            }
            match &mut device.wait {
                Some(0) if device.held.is_some() => due.push(twin.clone()),
                Some(ticks) => *ticks = ticks.saturating_sub(1),
                None => {}
            }
        }
        due
    }

    /// Whether the device does not answer its line, and whether it is not polled before it was asked.
    fn seen(&self, twin: &TwinId) -> (bool, bool) {
        let Some(line) = self.around.lines.of(twin) else { return (false, false) };
        let status = line.status().borrow();
        let down = matches!(status.state, LineState::Down { .. });
        let device = status.devices.iter().find(|device| device.twin == *twin);
        let open = device.is_some_and(|device| device.breaker == BreakerState::Open);
        (down || open, device.is_some_and(|device| device.doubted))
    }

    async fn ask(&self, twin: &TwinId) {
        let Some(line) = self.around.lines.of(twin) else { return };
        let said = match walk(&line, twin).await {
            Ok(Step::Found(map)) => match self.found(twin, map).await {
                // A line that is full is told at the next look.
                Ok(true) => {
                    line.proven(twin.clone()).ok();
                    Ok(())
                }
                Ok(false) => Ok(()),
                Err(words) => Err(words),
            },
            Ok(Step::Nothing(words)) => Err(format!("{twin} is not understood: {words}")),
            Ok(Step::Again(_)) => return,
            // Silence is the line's to tell.
            Err(_) => return self.later(twin, None),
        };
        match said {
            Ok(()) => {
                self.around.alarms.clear(&key(twin));
                if let Some(device) = self.lock().get_mut(twin) {
                    [device.pause, _] = PAUSES;
                    device.wait = None;
                }
            }
            Err(words) => self.later(twin, Some(words)),
        }
    }

    fn later(&self, twin: &TwinId, words: Option<String>) {
        let mut devices = self.lock();
        let Some(device) = devices.get_mut(twin) else { return };
        let [_, longest] = PAUSES;
        device.wait = Some(device.pause);
        device.pause = (device.pause * 2).min(longest);
        if let Some(words) = words {
            self.around.alarms.raise(&key(twin), &words, Some(&device.plan.file));
        }
    }

    /// The device has this map; says whether it had it before.
    async fn found(&self, twin: &TwinId, map: Map) -> Result<bool, String> {
        let _changing = self.changing().await;
        let Some(device) = self.lock().get(twin).cloned() else { return Ok(false) };
        let same = device.found.as_ref().is_some_and(|(known, _)| *known == map);
        let (Some(recipe), Some(held), false) = (&device.plan.recipe, &device.held, same) else {
            return Ok(same);
        };
        let all = |found: Vec<Diagnostic>| {
            let all: Vec<String> = found.iter().map(ToString::to_string).collect();
            all.join("\n")
        };
        let (plan, written) = config::discovered(&device.plan, recipe, &map).map_err(all)?;
        let plan = Arc::new(plan);
        let (store, submissions) = (&self.around.store, &self.around.context.submissions);
        let described = describe(store, submissions, std::slice::from_ref(&plan)).await;
        let Some(described) = described.into_iter().next() else { return Ok(false) };
        let revised = described.map_err(|error| error.to_string())?;
        let spec = plan.device.spec(twin, &plan.declaration, &revised);
        let models: Vec<String> = map.models.iter().map(|model| model.id.to_string()).collect();
        let (models, points, base) = (models.join(", "), spec.points.len(), map.base);
        tracing::info!(%twin, "{twin} has the SunSpec models {models} at {base}: {points} points");
        if !written.unknown.is_empty() || written.far > 0 {
            let (unknown, far) = (&written.unknown, written.far);
            tracing::info!(%twin, "{twin}: no file for the models {unknown:?}, {far} points too far apart");
        }
        if let Some(known) = self.lock().get_mut(twin).filter(|known| known.plan == device.plan) {
            known.found = Some((map, plan));
            held.replace(spec);
        }
        Ok(false)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TwinId, Device>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(twin: &TwinId) -> String {
    format!("sunspec {twin}")
}

/// Walks through the device's map.
async fn walk(line: &LineHandle, twin: &TwinId) -> Result<Step, NotRead> {
    let mut walk = Walk::default();
    loop {
        let mut request = Vec::new();
        walk.request().encode(&mut request);
        let step = match line.raw(twin.clone(), request).await {
            Ok(data) => walk.answer(Some(&data)),
            Err(refusal) if refusal.reason == Reason::Refused => {
                let code = refusal.code.and_then(|code| u8::try_from(code).ok()).unwrap_or(0);
                walk.refused(Exception::from_code(code)).ok_or(refusal)?
            }
            Err(silence) => return Err(silence),
        };
        match step {
            Step::Again(next) => walk = next,
            step => return Ok(step),
        }
    }
}

/// A device of which nothing is known: it is probed by the mark of a map, and nothing is polled.
fn probe(plan: &DevicePlan) -> Option<DeviceSpec> {
    let [base, ..] = BASES;
    let mark = Kind::Text {
        registers: 2,
        pad: 0,
        characters: Characters::Latin1,
        place: TextPlace::default(),
    };
    let codec = PointCodec::new(Address::new(Table::Holding, base), Format::new(mark)).ok()?;
    let point = PointSpec { index: PROBE, group: PROBE, codec, write: None };
    let nothing = Revised {
        description: Description::default(),
        indexes: Vec::new(),
        groups: Vec::new(),
        changed: false,
    };
    let spec = plan.device.spec(&plan.twin, &plan.declaration, &nothing);
    Some(DeviceSpec { points: [point].into(), groups: Vec::new(), ..spec })
}

fn is_probe(spec: &DeviceSpec) -> bool {
    matches!(&*spec.points, [point] if point.index == PROBE)
}
