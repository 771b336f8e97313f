//! From gatewayd.toml and devices.d to a plan of what should run, or to every mistake in them.
//!
//! Loading reads files and changes nothing: `gatewayctl check` and the daemon's start are the same code. A broken
//! device file takes only its own device away.

#[cfg(test)]
mod broken_tests;
mod device;
mod devices;
pub mod file;
mod gateway;
mod lines;
#[cfg(test)]
mod link_tests;
mod links;
pub mod plan;
#[cfg(test)]
mod profile_tests;
#[cfg(test)]
mod shipped_tests;
pub mod sunspec;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use adapter::profile::Library;
use settings::{Diagnostic, Severity, Source};
use twin::TwinId;

pub use device::discovered;
pub use plan::Plan;

/// Where the profiles of the package are.
const SHIPPED: &str = "/usr/share/gatewayd/profiles";

/// Everything that loading found out.
#[derive(Debug)]
pub struct Loaded {
    /// What should run; `None` where gatewayd.toml itself cannot be used.
    pub plan: Option<Plan>,
    /// Every mistake and warning, in the order of the files.
    pub diagnostics: Vec<Diagnostic>,
    /// The device files that are left out of the plan.
    pub disabled: Vec<Disabled>,
}

/// A device file that cannot be used. Its twins were not removed: they are only out of reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disabled {
    /// The file.
    pub file: Arc<str>,
    /// The twins that it is about, as far as that can be told.
    pub twins: Vec<TwinId>,
}

impl Loaded {
    /// What `check` exits with: 0 when all is well, 1 when device files are broken, 78 (`EX_CONFIG`) when
    /// gatewayd.toml cannot be used.
    pub fn exit_code(&self) -> u8 {
        match (&self.plan, self.disabled.is_empty()) {
            (None, _) => 78,
            (Some(_), false) => 1,
            (Some(_), true) => 0,
        }
    }

    /// How many errors and how many warnings there are.
    pub fn counts(&self) -> (usize, usize) {
        let errors = self.diagnostics.iter().filter(|d| d.severity == Severity::Error).count();
        (errors, self.diagnostics.len() - errors)
    }
}

/// Where the files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// gatewayd.toml.
    pub config: PathBuf,
    /// The directory of device files.
    pub devices: PathBuf,
    /// The profiles.
    pub profiles: Library,
}

impl Places {
    /// The places that belong to this gatewayd.toml: `devices.d` and `profiles` beside it, then the package's profiles.
    pub fn beside(config: &Path) -> Self {
        let directory = match config.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        Self {
            config: config.to_owned(),
            devices: directory.join("devices.d"),
            profiles: Library::new(vec![directory.join("profiles"), SHIPPED.into()]),
        }
    }
}

/// Reads gatewayd.toml, everything in `devices.d` beside it and the profiles that are named there.
pub fn load(config: &Path) -> Loaded {
    load_from(&Places::beside(config))
}

/// The same with the places given.
pub fn load_from(places: &Places) -> Loaded {
    let mut diagnostics = Vec::new();
    let source =
        Source::read(&places.config).map_err(|mut found| diagnostics.append(&mut found)).ok();
    let gateway = source.as_ref().and_then(|source| gateway::read(source, &mut diagnostics));
    let known = gateway.as_ref().map(|gateway| &gateway.lines);
    let (drafts, mut disabled) = devices::read(places, known, &mut diagnostics);
    let lines = known.cloned().unwrap_or_default();
    let modbus = lines::assemble(&lines, drafts, &mut diagnostics, &mut disabled);
    if let (Some(source), Some(gateway)) = (&source, &gateway) {
        links::unmatched(&gateway.links, &modbus, &disabled, source, &mut diagnostics);
    }
    let plan = gateway.map(|gateway| gateway.plan(modbus));
    // A profile's mistakes are found by each device that uses it, and said once.
    let mut said = HashSet::new();
    diagnostics.retain(|d| said.insert((d.place(), d.key.clone(), d.message.clone())));
    Loaded { plan, diagnostics, disabled }
}
