//! What runs, compared with what should run: the one way by which start and reload change lines, links and twins.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use adapter::Context;
use adapter_modbus::spec::{DeviceSpec, PointSpec};
use control::Reloaded;
use dialects::{LinkSpec, Surroundings};
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
use crate::config::plan::{DevicePlan, LinePlan};
use crate::config::{Disabled, Plan};
use crate::pool::Pool;

/// The twins that are wanted: those that are configured, and those whose device file is broken. A typo must not end a
/// twin.
pub fn configured(plan: &Plan, disabled: &[Disabled]) -> BTreeSet<TwinId> {
    let configured = plan.devices().map(|device| device.twin.clone());
    configured.chain(disabled.iter().flat_map(|file| file.twins.clone())).collect()
}

/// Lines and links that run, and what they were made from.
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
    running_lines: BTreeMap<Arc<str>, (LinePlan, Line)>,
    running_links: BTreeMap<Name, (LinkSpec, Unit)>,
    points: Pool<[PointSpec]>,
}

impl Parts {
    /// Nothing runs yet.
    pub fn new(
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
            running_lines: BTreeMap::new(),
            running_links: BTreeMap::new(),
            points: Pool::default(),
        }
    }

    /// Makes run what should run, and says what that changed. What is the same does not notice.
    pub async fn apply(&mut self, plan: &Plan, disabled: &[Disabled]) -> Reloaded {
        let mut done = Reloaded::default();
        self.apply_links(plan, &mut done).await;
        self.apply_lines(plan, &mut done).await;
        self.points.prune();
        self.configured.send_replace(Arc::new(configured(plan, disabled)));
        self.show_disabled(disabled);
        done
    }

    async fn apply_links(&mut self, plan: &Plan, done: &mut Reloaded) {
        let wanted: BTreeMap<&Name, &LinkSpec> = plan.links.iter().map(|l| (&l.name, l)).collect();
        let gone: Vec<Name> =
            self.running_links.keys().filter(|name| !wanted.contains_key(name)).cloned().collect();
        for name in gone {
            self.stop_link(&name).await;
            self.links.remove(&name);
            self.store.forget_link(&name);
            done.removed.push(format!("link {name}"));
        }
        for (name, spec) in wanted {
            match self.running_links.get(name) {
                Some((running, unit)) if running == spec && !self.parked(unit) => {
                    done.same += 1;
                    continue;
                }
                Some(_) => {
                    self.stop_link(name).await;
                    done.changed.push(format!("link {name}"));
                }
                None => done.added.push(format!("link {name}")),
            }
            let unit = links::start(&self.supervisor, &self.links, &self.around, spec);
            self.running_links.insert(name.clone(), (spec.clone(), unit));
        }
    }

    async fn stop_link(&mut self, name: &Name) {
        if let Some((_, unit)) = self.running_links.remove(name) {
            stop(&self.supervisor, unit, times::LINK).await;
        }
    }

    async fn apply_lines(&mut self, plan: &Plan, done: &mut Reloaded) {
        let wanted: BTreeMap<&Arc<str>, &LinePlan> =
            plan.modbus.iter().map(|line| (&line.spec.id, line)).collect();
        let gone: Vec<Arc<str>> =
            self.running_lines.keys().filter(|name| !wanted.contains_key(name)).cloned().collect();
        for name in gone {
            self.stop_line(&name).await;
            self.lines.remove(&name);
            done.removed.push(format!("line {name}"));
        }
        for (name, line) in wanted {
            let (running, unit) =
                self.running_lines.get(name).map(|(of, line)| (of, &line.unit)).unzip();
            let parked = unit.is_some_and(|unit| self.parked(unit));
            if running == Some(line) && !parked {
                done.same += 1;
                continue;
            }
            let rebuild = parked || running.is_none_or(|running| running.spec != line.spec);
            match running {
                None => done.added.push(format!("line {name}")),
                Some(_) => done.changed.push(format!("line {name}")),
            }
            let devices = self.describe(&line.devices).await;
            if rebuild {
                self.stop_line(name).await;
                let (supervisor, lines) = (&self.supervisor, &self.lines);
                let started = Line::start(supervisor, lines, &self.context, &line.spec, devices);
                self.sunspec.attach(&self.supervisor, &line.devices, &started.held());
                self.running_lines.insert(name.clone(), (line.clone(), started));
            } else if let Some((running, started)) = self.running_lines.get_mut(name) {
                started.configure(&self.lines, &line.spec, devices);
                self.sunspec.attach(&self.supervisor, &line.devices, &started.held());
                *running = line.clone();
            }
        }
    }

    /// Whether this was given up. What was wrong with it may have been outside of our files: a reload tries again.
    fn parked(&self, unit: &Unit) -> bool {
        self.supervisor.parked(unit.name())
    }

    async fn stop_line(&mut self, name: &Arc<str>) {
        if let Some((_, line)) = self.running_lines.remove(name) {
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
        self.running_lines.values().for_each(|(_, line)| line.unit.signal());
        let names: Vec<Arc<str>> = self.running_lines.keys().cloned().collect();
        let deadline = tokio::time::Instant::now() + times::LINE;
        for name in names {
            if let Some((_, line)) = self.running_lines.remove(&name) {
                let left = deadline.saturating_duration_since(tokio::time::Instant::now());
                stop(&self.supervisor, line.unit, left).await;
            }
        }
        self.lines.clear();
    }

    /// Stops all links at once: they send what is there, as far as that is quick, and say goodbye.
    pub async fn stop_links(&mut self) {
        self.running_links.values().for_each(|(_, unit)| unit.signal());
        let deadline = tokio::time::Instant::now() + times::LINK;
        for (_, (_, unit)) in std::mem::take(&mut self.running_links) {
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
