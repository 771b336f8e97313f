//! From gatewayd.toml and devices.d to a plan of what should run, or to every mistake in them.
//!
//! Loading reads files and changes nothing: `gatewayctl check` and the daemon's start are the same code. A broken
//! device file takes only its own device away.

#[cfg(test)]
mod alarm_tests;
#[cfg(test)]
mod broken_tests;
mod device;
mod devices;
pub mod difference;
#[cfg(test)]
mod difference_tests;
pub mod file;
#[cfg(test)]
mod fragment_tests;
mod gateway;
pub mod kept;
mod lines;
#[cfg(test)]
mod link_tests;
mod links;
pub mod plan;
#[cfg(test)]
mod profile_tests;
mod reasons;
pub mod set;
#[cfg(test)]
mod shipped_tests;
pub mod sunspec;
#[cfg(test)]
mod tests;
mod tuning;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use adapter::profile::Library;
use settings::{Diagnostic, Environment, Severity, Source};
use twin::{Name, TwinId};

pub use device::discovered;
pub use plan::Plan;
pub use set::Set;

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
    /// The files that were read.
    pub files: Set,
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

    /// The twins of a broken device file are also those that it has in this plan.
    pub fn remember(&mut self, known: &Plan) {
        let served: HashSet<&TwinId> =
            self.plan.iter().flat_map(Plan::devices).map(|d| &d.twin).collect();
        let name = |file: &str| Path::new(file).file_name().map(ToOwned::to_owned);
        for disabled in &mut self.disabled {
            let own = known.devices().filter(|device| name(&device.file) == name(&disabled.file));
            for twin in own.map(|device| &device.twin).filter(|twin| !served.contains(*twin)) {
                if !disabled.twins.contains(twin) {
                    disabled.twins.push(twin.clone());
                }
            }
        }
    }

    /// The files without what is wrong with them, as they can be kept: a broken one as it is in `good`.
    pub fn sound(&self, places: &Places, good: Option<&Set>) -> Set {
        let wrong = self.diagnostics.iter().filter(|d| d.severity == Severity::Error);
        let broken: HashSet<&str> = wrong.map(|d| &*d.file).collect();
        self.files.mended(good, |name| broken.contains(&*places.path(name).display().to_string()))
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
    /// The directory of fragments of gatewayd.toml.
    pub fragments: PathBuf,
    /// The directory of device files.
    pub devices: PathBuf,
    /// The profiles.
    pub profiles: Library,
    /// The name under which the gateway runs already: another one takes a restart.
    pub running: Option<Name>,
    /// The variables that the files may name; profiles name none.
    pub environment: Environment,
}

impl Places {
    /// The places that belong to this gatewayd.toml: `devices.d` and `profiles` beside it, then the package's profiles.
    pub fn beside(config: &Path) -> Self {
        let directory = directory(config);
        Self {
            config: config.to_owned(),
            fragments: directory.join(set::FRAGMENTS),
            devices: directory.join(set::DEVICES),
            profiles: Library::new(vec![directory.join(set::PROFILES), SHIPPED.into()]),
            running: None,
            environment: Environment::of_process(),
        }
    }

    /// The operator's own profiles.
    pub fn own_profiles(&self) -> PathBuf {
        directory(&self.config).join(set::PROFILES)
    }

    /// Where the file of this name in a [`Set`] is.
    pub fn path(&self, name: &str) -> PathBuf {
        let (directory, file) = name.split_once('/').unwrap_or((name, ""));
        let of = match directory {
            set::GATEWAY => return self.config.clone(),
            set::FRAGMENTS => self.fragments.clone(),
            set::DEVICES => self.devices.clone(),
            _ => self.own_profiles(),
        };
        if file.is_empty() { of } else { of.join(file) }
    }
}

fn directory(config: &Path) -> PathBuf {
    match config.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Reads gatewayd.toml, everything in `devices.d` beside it and the profiles that are named there.
pub fn load(config: &Path) -> Loaded {
    load_from(&Places::beside(config))
}

/// The same with the places given.
pub fn load_from(places: &Places) -> Loaded {
    let files = Set::read(places);
    let mut diagnostics = Vec::new();
    let source = whole(places, &files, &mut diagnostics);
    let gateway = source
        .as_ref()
        .and_then(|source| gateway::read(source, places.running.as_ref(), &mut diagnostics));
    let known = gateway.as_ref().map(|gateway| &gateway.lines);
    let (drafts, mut disabled) = devices::read(places, &files, known, &mut diagnostics);
    let lines = known.cloned().unwrap_or_default();
    let modbus = lines::assemble(&lines, drafts, &mut diagnostics, &mut disabled);
    if let (Some(source), Some(gateway)) = (&source, &gateway) {
        links::unmatched(&gateway.links, &modbus, &disabled, source, &mut diagnostics);
    }
    let plan = gateway.map(|gateway| gateway.plan(modbus));
    // A profile's mistakes are found by each device that uses it, and said once.
    let mut said = HashSet::new();
    diagnostics.retain(|d| said.insert((d.place(), d.key.clone(), d.message.clone())));
    Loaded { plan, diagnostics, disabled, files }
}

/// gatewayd.toml with its fragments; `None` where one of them cannot be read.
fn whole(places: &Places, files: &Set, diagnostics: &mut Vec<Diagnostic>) -> Option<Source> {
    let main = read(places, set::GATEWAY, files.get(set::GATEWAY));
    let fragments =
        files.within(set::FRAGMENTS).map(|(name, bytes)| read(places, name, Some(bytes)));
    let mut sources = Vec::new();
    let mut sound = true;
    for source in std::iter::once(main).chain(fragments) {
        match source {
            Ok(source) => sources.push(source),
            Err(mut found) => {
                sound = false;
                diagnostics.append(&mut found);
            }
        }
    }
    let mut all = sources.into_iter().filter(|_| sound);
    let main = all.next()?;
    Some(main.with_fragments(&all.collect::<Vec<_>>()))
}

/// A file of the set as a source that is called by its path.
fn read(
    places: &Places,
    name: &str,
    bytes: Option<&set::Bytes>,
) -> Result<Source, Vec<Diagnostic>> {
    let path = places.path(name).display().to_string();
    match bytes {
        Some(Ok(bytes)) => Source::from_bytes(&path, bytes.clone())
            .map(|source| source.expanding(&places.environment)),
        Some(Err(wrong)) => Err(wrong.clone()),
        None => Err(vec![Diagnostic::whole(&path, "the file is not there")]),
    }
}
