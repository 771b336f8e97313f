//! Which devices are on which line, and that nothing is there twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use adapter_modbus::config as modbus;
use adapter_modbus::spec::{LineSpec, SerialPort, Timing, Transport};
use adapter_modbus::{SerialFraming, identity};
use settings::{Diagnostic, Duration, Place};
use twin::TwinId;

use super::Disabled;
use super::plan::{DevicePlan, LinePlan};

/// A line of gatewayd.toml.
#[derive(Debug, Clone)]
pub(super) struct NamedLine {
    pub spec: LineSpec,
    /// How long its devices may take for an answer, where they do not say it.
    pub timeout: Option<Duration>,
    pub place: Place,
}

/// The lines of gatewayd.toml.
#[derive(Debug, Clone, Default)]
pub(super) struct Named(Vec<NamedLine>);

/// A device that still has to find its line.
#[derive(Debug)]
pub(super) struct Draft {
    pub target: Target,
    pub plan: DevicePlan,
    /// `[modbus]` of its file.
    pub place: Place,
    /// The key there that says its unit.
    pub unit: &'static str,
    /// The top of its file.
    pub top: Place,
}

/// What a device file says about its line.
#[derive(Debug, Clone)]
pub(super) enum Target {
    /// The line of gatewayd.toml with this name.
    Named(Arc<str>),
    /// Whatever line is reached like this.
    Reached(Transport),
}

/// The key that says where a line is.
pub(super) fn key(transport: &Transport) -> &'static str {
    match transport {
        Transport::Tcp { .. } | Transport::Tls(_) => "tcp",
        Transport::Udp { .. } => "udp",
        Transport::SerialOverTcp { framing: SerialFraming::Rtu, .. } => "rtu_over_tcp",
        Transport::SerialOverTcp { framing: SerialFraming::Ascii, .. } => "ascii_over_tcp",
        Transport::Serial(serial) => match serial.port {
            SerialPort::Path(_) => "serial",
            SerialPort::Usb { .. } => "usb",
        },
    }
}

impl Named {
    /// Adds a line, unless another one is reached in the same way.
    pub(super) fn add(&mut self, line: NamedLine, found: &mut Vec<Diagnostic>) {
        let same =
            |other: &&NamedLine| identity(&other.spec.transport) == identity(&line.spec.transport);
        if let Some(other) = self.0.iter().find(same) {
            let key = key(&line.spec.transport);
            let error =
                line.place.error(key, format!("this is already the line {:?}", &*other.spec.id));
            let there = other.place.mention(key);
            found.push(error.help(format!(
                "one line is one bus or connection: put all its devices on the line at {there}"
            )));
        }
        self.0.push(line);
    }

    /// The line with this name.
    pub(super) fn get(&self, name: &str) -> Option<&NamedLine> {
        self.0.iter().find(|line| *line.spec.id == *name)
    }

    /// Their names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|line| &*line.spec.id)
    }

    /// The line that is reached like this.
    pub(super) fn reached(&self, transport: &Transport) -> Option<&NamedLine> {
        self.0.iter().find(|line| identity(&line.spec.transport) == identity(transport))
    }
}

/// Puts every device on its line. Of two that claim the same twin, unit or port the first file wins.
pub(super) fn assemble(
    named: &Named,
    drafts: Vec<Draft>,
    found: &mut Vec<Diagnostic>,
    disabled: &mut Vec<Disabled>,
) -> Vec<LinePlan> {
    let mut lines: BTreeMap<Arc<str>, LinePlan> = BTreeMap::new();
    let mut owners: BTreeMap<Arc<str>, (Arc<str>, Place)> = BTreeMap::new();
    let mut twins: BTreeMap<TwinId, Place> = BTreeMap::new();
    let mut units: BTreeMap<(Arc<str>, u8), (TwinId, String)> = BTreeMap::new();
    for line in &named.0 {
        owners.insert(identity(&line.spec.transport), (line.spec.id.clone(), line.place.clone()));
    }
    for draft in drafts {
        let before = found.len();
        let twin = draft.plan.twin.clone();
        if let Some(first) = twins.get(&twin) {
            let error = draft.top.error("id", format!("the twin {twin} is there twice"));
            let help =
                format!("the first one is {}; give one of them another id", first.mention("id"));
            found.push(error.help(help));
        }
        let spec = line_of(named, &draft, &mut owners, &lines, found);
        if let Some(spec) = spec {
            let unit = draft.plan.device.unit;
            let key = (spec.id.clone(), unit);
            if let Some((other, there)) = units.get(&key) {
                let words =
                    format!("unit {unit} of the line {:?} is already the twin {other}", &*spec.id);
                let help = format!("a twin is one asset: the first one is {there}");
                found.push(draft.place.error(draft.unit, words).help(help));
            }
            if found.len() == before {
                twins.insert(twin.clone(), draft.top.clone());
                units.insert(key, (twin.clone(), draft.place.mention(draft.unit)));
                let entry = lines.entry(spec.id.clone());
                let line = entry.or_insert(LinePlan { spec, devices: Vec::new() });
                line.devices.push(Arc::new(draft.plan));
                continue;
            }
        }
        disabled.push(Disabled { file: draft.plan.file.clone(), twins: vec![twin] });
    }
    lines.into_values().collect()
}

/// The line of a device; `None` where it has none.
fn line_of(
    named: &Named,
    draft: &Draft,
    owners: &mut BTreeMap<Arc<str>, (Arc<str>, Place)>,
    lines: &BTreeMap<Arc<str>, LinePlan>,
    found: &mut Vec<Diagnostic>,
) -> Option<LineSpec> {
    let transport = match &draft.target {
        Target::Named(name) => return named.get(name).map(|line| line.spec.clone()),
        Target::Reached(transport) => transport,
    };
    let key = key(transport);
    let identity = identity(transport);
    let (id, owner) = match owners.get(&identity) {
        Some((id, owner)) => (id.clone(), Some(owner)),
        None => (modbus::implied_name(transport), None),
    };
    let existing =
        lines.get(&id).map(|line| &line.spec).or_else(|| named.get(&id).map(|line| &line.spec));
    match existing {
        Some(spec) if spec.transport == *transport => Some(spec.clone()),
        Some(_) => {
            let there = owner.map_or_else(String::new, |place| place.mention(key));
            let error = draft.place.error(key, "the same line is set up in two different ways");
            found.push(error.help(format!(
                "the other one is at {there}; give it a [line.NAME] in gatewayd.toml"
            )));
            None
        }
        None => {
            owners.insert(identity, (id.clone(), draft.place.clone()));
            Some(LineSpec { id, transport: transport.clone(), timing: Timing::default() })
        }
    }
}
