//! What runs, compared with what should run: the one way by which start and reload change lines, links and twins.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use adapter::Context;
use adapter_modbus::spec::{DeviceSpec, PointSpec};
use control::{Action, PlannedLine, PlannedLink};
use dialects::Surroundings;
use tokio::sync::{mpsc, watch};
use twin::{Name, Submission, TwinId};
use twin_store::Store;

use super::alarms::Alarms;
use super::describe::describe;
use super::lines::Lines;
use super::links::{self, Links};
use super::modbus::Line;
use super::sunspec::Sunspec;
use super::supervisor::{Supervisor, Unit};
use super::times;
use crate::config::difference::difference;
use crate::config::plan::DevicePlan;
use crate::config::{Disabled, Plan};
use crate::pool::Pool;

/// The twins that are wanted: those that are configured, and those whose device file is broken. A typo must not end a
/// twin.
pub fn configured(plan: &Plan, disabled: &[Disabled]) -> BTreeSet<TwinId> {
    let configured = plan.devices().map(|device| device.twin.clone());
    configured.chain(disabled.iter().flat_map(|file| file.twins.clone())).collect()
}

/// Lines and links that run, and the plan that they follow.
pub struct Parts {
    pub store: Store,
    pub supervisor: Supervisor,
    pub alarms: Alarms,
    pub lines: Lines,
    pub links: Links,
    sunspec: Sunspec,
    submissions: mpsc::Sender<Submission>,
    configured: watch::Sender<Arc<BTreeSet<TwinId>>>,
    context: Context,
    around: Surroundings,
    running: Plan,
    running_lines: BTreeMap<String, Line>,
    running_links: BTreeMap<Name, Unit>,
    points: Pool<[PointSpec]>,
}

impl Parts {
    /// Nothing of this plan runs yet.
    pub fn new(
        plan: &Plan,
        store: Store,
        supervisor: Supervisor,
        alarms: Alarms,
        configured: watch::Sender<Arc<BTreeSet<TwinId>>>,
        context: Context,
        around: Surroundings,
    ) -> Self {
        let lines = Lines::default();
        let sunspec = Sunspec::new(store.clone(), context.clone(), lines.clone(), alarms.clone());
        Self {
            store,
            supervisor,
            alarms,
            sunspec,
            lines,
            links: Links::default(),
            submissions: context.submissions.clone(),
            configured,
            context,
            around,
            running: plan.idle(),
            running_lines: BTreeMap::new(),
            running_links: BTreeMap::new(),
            points: Pool::default(),
        }
    }

    /// The plan that is in force.
    pub fn running(&self) -> &Plan {
        &self.running
    }

    /// What would have to be done so that this plan is in force.
    pub fn difference(&self, wanted: &Plan) -> control::Plan {
        difference(&self.running, wanted, &|unit| self.supervisor.parked(unit))
    }

    /// Makes run what should run, by these steps. What is the same does not notice.
    pub async fn apply(&mut self, mut wanted: Plan, disabled: &[Disabled], steps: &control::Plan) {
        wanted.share(&self.running);
        for step in &steps.links {
            self.apply_link(step, &wanted).await;
        }
        for step in &steps.lines {
            self.apply_line(step, &wanted).await;
        }
        let devices = wanted.modbus.iter().flat_map(|line| &line.devices);
        let asked: HashSet<&TwinId> =
            devices.filter(|device| device.recipe.is_some()).map(|device| &device.twin).collect();
        self.sunspec.keep(|twin| asked.contains(twin));
        self.points.prune();
        let configured = Arc::new(configured(&wanted, disabled));
        self.configured.send_if_modified(|known| {
            let differs = *known != configured;
            *known = configured;
            differs
        });
        self.show_disabled(disabled);
        self.running = wanted.in_force(&self.running);
    }

    async fn apply_link(&mut self, step: &PlannedLink, wanted: &Plan) {
        let Ok(name) = step.name.parse::<Name>() else { return };
        if let Some(unit) = self.running_links.remove(&name) {
            stop(&self.supervisor, unit, times::LINK).await;
        }
        match wanted.links.iter().find(|link| link.name == name) {
            Some(spec) => {
                let unit = links::start(&self.supervisor, &self.links, &self.around, spec);
                self.running_links.insert(name, unit);
            }
            None => {
                self.links.remove(&name);
                self.store.forget_link(&name);
            }
        }
    }

    async fn apply_line(&mut self, step: &PlannedLine, wanted: &Plan) {
        let name: Arc<str> = step.name.as_str().into();
        let Some(line) = wanted.modbus.iter().find(|line| line.spec.id == name) else {
            self.stop_line(&step.name).await;
            self.lines.remove(&name);
            return;
        };
        let _changing = self.sunspec.changing().await;
        let devices = self.describe(&line.devices).await;
        let running = self.running_lines.get(&step.name);
        let held = match running.filter(|_| step.action == Action::Configure) {
            Some(running) => {
                running.configure(&self.lines, &line.spec, devices);
                running.held()
            }
            None => {
                self.stop_line(&step.name).await;
                let (supervisor, lines) = (&self.supervisor, &self.lines);
                let started = Line::start(supervisor, lines, &self.context, &line.spec, devices);
                let held = started.held();
                self.running_lines.insert(step.name.clone(), started);
                held
            }
        };
        self.sunspec.attach(&self.supervisor, &line.devices, &held);
    }

    async fn stop_line(&mut self, name: &str) {
        if let Some(line) = self.running_lines.remove(name) {
            stop(&self.supervisor, line.unit, times::LINE).await;
        }
    }

    /// Describes the twins of these devices, and makes their specs. A twin that cannot be described is left out,
    /// loudly.
    async fn describe(&mut self, devices: &[Arc<DevicePlan>]) -> Vec<DeviceSpec> {
        let (devices, mut specs) = self.sunspec.resolve(devices);
        let described = describe(&self.store, &self.submissions, &devices).await;
        for (device, described) in devices.iter().zip(described) {
            let key = format!("twin {}", device.twin);
            match described {
                Ok(revised) => {
                    self.alarms.clear(&key);
                    let mut spec = device.device.spec(&device.twin, &device.declaration, &revised);
                    spec.points = self.points.share(spec.points);
                    specs.push(spec);
                }
                Err(error) => self.alarms.raise(&key, &error.to_string(), Some(&device.file)),
            }
        }
        specs
    }

    fn show_disabled(&self, disabled: &[Disabled]) {
        let keys: HashSet<String> = disabled.iter().map(|d| format!("file {}", d.file)).collect();
        self.alarms.keep(|key| !key.starts_with("file ") || keys.contains(key));
        for file in disabled {
            let twins: Vec<&str> = file.twins.iter().map(TwinId::as_str).collect();
            let what = format!("{} is broken and disabled ({})", file.file, twins.join(", "));
            self.alarms.raise(&format!("file {}", file.file), &what, Some("gatewayctl check"));
        }
    }

    /// Stops all lines at once; then nothing more comes from the assets.
    pub async fn stop_lines(&mut self) {
        self.sunspec.stop().await;
        self.running_lines.values().for_each(|line| line.unit.signal());
        let deadline = tokio::time::Instant::now() + times::LINE;
        for line in std::mem::take(&mut self.running_lines).into_values() {
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            stop(&self.supervisor, line.unit, left).await;
        }
        self.lines.clear();
    }

    /// Stops all links at once: they send what is there, as far as that is quick, and say goodbye.
    pub async fn stop_links(&mut self) {
        self.running_links.values().for_each(Unit::signal);
        let deadline = tokio::time::Instant::now() + times::LINK;
        for unit in std::mem::take(&mut self.running_links).into_values() {
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            stop(&self.supervisor, unit, left).await;
        }
    }
}

async fn stop(supervisor: &Supervisor, unit: Unit, patience: std::time::Duration) {
    let name = unit.name().clone();
    if unit.stop(patience).await {
        supervisor.forget(&name);
    } else {
        tracing::warn!(unit = %name, "did not stop within {} ms, left behind", patience.as_millis());
    }
}
