//! What the configuration asks for, ready to be compared with what runs.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use adapter_modbus::config::Device;
use adapter_modbus::spec::LineSpec;
use dialects::LinkSpec;
use settings::{ByteSize, Duration, Source};
use twin::{Declaration, Name, TwinId};

use super::file::LevelWord;
use super::sunspec::Models;

/// Everything that should run. Two plans are equal when nothing has to be done between them.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The gateway's name.
    pub gateway: Name,
    /// Where everything is kept. A change of it takes a restart.
    pub store: StorePlan,
    /// The Modbus lines that have a device, in the order of their names.
    pub modbus: Vec<LinePlan>,
    /// The links, in the order of their names.
    pub links: Vec<LinkSpec>,
    /// Where health and metrics listen.
    pub health: Option<SocketAddr>,
    /// What is logged.
    pub log: LogPlan,
    /// The local socket.
    pub control: ControlPlan,
    /// gatewayd.toml as it is written, to say what is different.
    pub said: Said,
}

/// What is written, beside what it means: two plans that mean the same are equal.
#[derive(Debug, Clone, Default)]
pub struct Said(pub toml::Table);

impl PartialEq for Said {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// Where everything is kept, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorePlan {
    pub dir: PathBuf,
    pub flush: Duration,
    pub stretch: Duration,
    pub samples: ByteSize,
    pub samples_age: Option<Duration>,
    pub thin: Duration,
    pub thin_age: Option<Duration>,
    pub records: ByteSize,
    pub records_age: Option<Duration>,
    pub application: ByteSize,
    pub ring: ByteSize,
}

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPlan {
    pub level: LevelWord,
    pub parts: BTreeMap<String, LevelWord>,
}

impl std::fmt::Display for LogPlan {
    /// As tracing's filters write it: `info,wire=debug`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.level)?;
        self.parts.iter().try_for_each(|(part, level)| write!(f, ",{part}={level}"))
    }
}

/// The local socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlPlan {
    pub socket: PathBuf,
    pub group: Option<String>,
}

/// A line and the devices on it.
#[derive(Debug, Clone, PartialEq)]
pub struct LinePlan {
    /// The line.
    pub spec: LineSpec,
    /// The devices, in the order of their files.
    pub devices: Vec<Arc<DevicePlan>>,
}

/// A device and the twin that it is.
#[derive(Debug, Clone, PartialEq)]
pub struct DevicePlan {
    /// The file that says it.
    pub file: Arc<str>,
    /// The twin.
    pub twin: TwinId,
    /// What the twin consists of. `Description::revise` makes a description of it.
    pub declaration: Arc<Declaration>,
    /// The device; [`Device::spec`] builds what the line needs once the points have their indexes.
    pub device: Device,
    /// Where the device tells by itself what it consists of: declaration and device are empty until it has.
    pub recipe: Option<Recipe>,
}

/// What it takes to describe a device by what it says of itself.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// Its file.
    pub source: Source,
    /// The models that are known.
    pub models: Arc<Models>,
}

impl PartialEq for Recipe {
    fn eq(&self, other: &Self) -> bool {
        self.source.text() == other.source.text() && self.models == other.models
    }
}

impl Plan {
    /// The same gateway with nothing to do: what runs before a start.
    pub fn idle(&self) -> Self {
        Self { modbus: Vec::new(), links: Vec::new(), ..self.clone() }
    }

    /// What is in force after a reload: what only a restart applies is as it was.
    pub fn in_force(self, running: &Self) -> Self {
        Self {
            gateway: running.gateway.clone(),
            store: StorePlan { dir: running.store.dir.clone(), ..self.store },
            control: ControlPlan {
                socket: running.control.socket.clone(),
                group: self.control.group.clone(),
            },
            ..self
        }
    }

    /// Takes from `running` what is the same there, so that it is in memory once.
    pub fn share(&mut self, running: &Self) {
        let known: HashMap<&TwinId, &Arc<DevicePlan>> =
            running.modbus.iter().flat_map(|line| &line.devices).map(|d| (&d.twin, d)).collect();
        for device in self.modbus.iter_mut().flat_map(|line| &mut line.devices) {
            if let Some(same) = known.get(&device.twin).filter(|known| ***known == *device) {
                *device = (*same).clone();
            }
        }
    }

    /// The devices of all lines.
    pub fn devices(&self) -> impl Iterator<Item = &DevicePlan> {
        self.modbus.iter().flat_map(|line| &line.devices).map(|device| &**device)
    }
}
