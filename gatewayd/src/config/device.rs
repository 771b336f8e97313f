//! One device file and its profile.

use std::sync::Arc;

use adapter::device::{self as common, Layer, Over};
use adapter::profile::{Library, NotFound};
use adapter_modbus::config as modbus;
use adapter_modbus::sunspec::Map;
use settings::{Diagnostic, KeyPath, Place, Source, has_errors, nearest};
use twin::{Declaration, Description, TwinId};

use super::file::{DeviceFile, MergedPoint, ProfileFile};
use super::lines::{Draft, Named, Target};
use super::plan::{DevicePlan, Recipe};
use super::sunspec::{self, Models, Written};

/// The tables of a device file that hold most of it, and about which all is said once its points are known.
const BULK: [&str; 3] = ["point", "group", "alarm"];
/// A twin has so many points that it will run out of indexes soon.
const MANY: usize = 60_000;

/// The devices of this file: one, or one for each of its units. Meaningless where `found` has an error.
pub(super) fn read(
    source: &Source,
    stem: &str,
    library: &Library,
    known: Option<&Named>,
    found: &mut Vec<Diagnostic>,
) -> Vec<Draft> {
    let (file, shape) = settings::partly::<DeviceFile>(source);
    let mut meaning = Vec::new();
    let drafts = file.map(|file| devices(&file, source, stem, library, known, &mut meaning));
    found.extend(settings::join(shape, meaning));
    drafts.unwrap_or_default()
}

fn devices(
    file: &DeviceFile,
    source: &Source,
    stem: &str,
    library: &Library,
    known: Option<&Named>,
    found: &mut Vec<Diagnostic>,
) -> Vec<Draft> {
    let top = Place::new(source, KeyPath::root());
    let sunspec = file.profile.as_deref() == Some(sunspec::PROFILE);
    let recipe = sunspec.then(|| recipe(source, library, &top, found));
    // What such a device consists of, and with it what the file says of its points, is known when it was asked.
    let bare = sunspec.then(|| DeviceFile { point: Vec::new(), alarm: Vec::new(), ..file.clone() });
    let profile = if sunspec { None } else { profile(file, library, &top, found) };
    let missing = file.profile.is_some() && profile.is_none();
    let mut layers = vec![Layer { source, file: bare.as_ref().unwrap_or(file) }];
    layers.extend(profile.as_ref().map(|(source, file)| Layer { source, file: &file.device }));

    let points = common::points(&layers, found);
    let codecs = modbus::Draft::new(&points, found);
    let declaration = Arc::new(declaration(&layers, &points, &codecs, missing, &top, found));
    let Some((mut keys, place)) = section(&layers, &top, found) else { return Vec::new() };
    keys.identity = keys.identity.filter(|_| !sunspec);
    let target = target(&keys, &place, known, found);
    let (transport, timeout) = match &target {
        Some(Target::Named(name)) => {
            let line = known.and_then(|known| known.get(name));
            (line.map(|line| &line.spec.transport), line.and_then(|line| line.timeout))
        }
        Some(Target::Reached(transport)) => {
            (Some(transport), known.and_then(|known| known.reached(transport)?.timeout))
        }
        None => (None, None),
    };
    let serial = transport.is_some_and(|transport| transport.serial_framing().is_some());
    let units = modbus::units(&keys, serial, &place, found);
    let many = keys.units.is_some();
    let mut drafts = Vec::with_capacity(units.len());
    let (place, top) = (place.without(&BULK), top.without(&BULK));
    for unit in units {
        let twin = twin(file, stem, many.then_some(unit), &top, found);
        let device = modbus::device(&keys, unit, timeout, &points, &codecs, &place, found);
        let (Some(target), Some(twin), Some(device)) = (&target, twin, device) else { break };
        let (file, target) = (source.name().clone(), target.clone());
        let (declaration, recipe) = (declaration.clone(), recipe.clone());
        let plan = DevicePlan { file, twin, declaration, device, recipe };
        let unit = if many { "units" } else { "unit" };
        drafts.push(Draft { target, plan, place: place.clone(), unit, top: top.clone() });
    }
    drafts
}

/// What it takes to describe a device by what it says of itself.
fn recipe(source: &Source, library: &Library, top: &Place, found: &mut Vec<Diagnostic>) -> Recipe {
    let models = Models::read(library, found);
    if models.is_empty() {
        let error = top.error("profile", "no SunSpec models are installed");
        found.push(error.help("they are files in the directory profiles/sunspec"));
    }
    Recipe { source: source.clone(), models: models.into() }
}

/// The device, now that it has said what it consists of.
///
/// # Errors
/// The mistakes in what its file says about its points.
pub fn discovered(
    plan: &DevicePlan,
    recipe: &Recipe,
    map: &Map,
) -> Result<(DevicePlan, Written), Vec<Diagnostic>> {
    let written = recipe.models.write(map);
    let below = Source::from_text(&format!("the map of {}", plan.twin), written.profile.clone());
    let profile = settings::parse::<ProfileFile>(&below)?;
    let file = settings::parse::<DeviceFile>(&recipe.source)?;
    let top = Place::new(&recipe.source, KeyPath::root());
    let mut found = Vec::new();
    let layers = [
        Layer { source: &recipe.source, file: &file },
        Layer { source: &below, file: &profile.device },
    ];
    let points = common::points(&layers, &mut found);
    let codecs = modbus::Draft::new(&points, &mut found);
    let declaration = declaration(&layers, &points, &codecs, false, &top, &mut found).into();
    let device = section(&layers, &top, &mut found).and_then(|(keys, place)| {
        modbus::device(&keys, plan.device.unit, None, &points, &codecs, &place, &mut found)
    });
    match device {
        Some(device) if !has_errors(&found) => {
            let device = modbus::Device { timeout: plan.device.timeout, doubtful: true, ..device };
            Ok((DevicePlan { declaration, device, ..plan.clone() }, written))
        }
        _ => Err(found),
    }
}

/// The profile that the file names; `None` where it names none, or one that cannot be used.
fn profile(
    file: &DeviceFile,
    library: &Library,
    top: &Place,
    found: &mut Vec<Diagnostic>,
) -> Option<(Source, ProfileFile)> {
    let name = file.profile.as_deref()?;
    let source = match library.find(name) {
        Ok(source) => source,
        Err(NotFound::Words { message, help }) => {
            found.push(top.error("profile", message).help(help));
            return None;
        }
        Err(NotFound::Unreadable(mut errors)) => {
            found.append(&mut errors);
            return None;
        }
    };
    match settings::parse::<ProfileFile>(&source) {
        Ok(profile) => Some((source, profile)),
        Err(mut errors) => {
            found.append(&mut errors);
            None
        }
    }
}

/// What the twin consists of.
fn declaration(
    layers: &[Layer<'_, super::file::Sections, modbus::PointKeys>],
    points: &[MergedPoint],
    codecs: &modbus::Draft,
    missing: bool,
    top: &Place,
    found: &mut Vec<Diagnostic>,
) -> Declaration {
    let groups = common::common(&common::groups(layers), found);
    let mut declared = Vec::with_capacity(points.len());
    for (point, codec) in points.iter().zip(&codecs.codecs) {
        let value_type = codec.as_ref().map(|codec| codec.value_type());
        let (keys, place) = (&point.keys, &point.place);
        declared.extend(common::point(&keys.name, &keys.words, value_type, &groups, place, found));
    }
    // A point that is wrong was told; its alarms are not held against it.
    if !missing && declared.len() == points.len() {
        common::guard(points, &mut declared, found);
        let alarms = common::alarms(layers, &declared, found);
        declared.extend(alarms);
    }
    if points.is_empty() && !missing {
        let error = top.whole("the device has no points");
        found
            .push(error.help("name a profile = \"vendor/model\", or list its points as [[point]]"));
    }
    if declared.len() > Description::MAX_POINTS {
        found.push(top.whole(format!("a twin has at most {} points", Description::MAX_POINTS)));
    } else if declared.len() >= MANY {
        found.push(
            top.whole("a twin has at most 65535 points in its life, and retired ones count")
                .warning(),
        );
    }
    let files = || layers.iter().map(|layer| layer.file);
    let plate = files().filter_map(|file| file.nameplate.clone());
    let plate = plate.fold(common::NameplateKeys::default(), |plate, below| plate.over(&below));
    let semantics = files().find_map(|file| file.semantics.as_ref());
    Declaration {
        model: files().find_map(|file| file.profile.as_deref()).map(Arc::from),
        nameplate: common::nameplate(&plate),
        groups: groups.groups,
        points: declared,
        semantics: semantics.into_iter().flatten().map(|iri| iri.as_str().into()).collect(),
        policy: policy(layers, found),
    }
}

/// What is asked of the twin as a whole.
fn policy(
    layers: &[Layer<'_, super::file::Sections, modbus::PointKeys>],
    found: &mut Vec<Diagnostic>,
) -> twin::Policy {
    let path = KeyPath::of("entanglement");
    let mut said = layers.iter().filter_map(|layer| {
        Some((layer.file.entanglement.clone()?, Place::new(layer.source, path.clone())))
    });
    let Some((keys, place)) = said.next() else { return twin::Policy::default() };
    let (keys, place) = said.fold((keys, place), |(keys, place), (below, beneath)| {
        (keys.over(&below), place.over(&beneath))
    });
    let entanglement = common::entanglement(&keys, &place, found);
    twin::Policy { entanglement, ..twin::Policy::default() }
}

/// `[modbus]` of the device file over the profile's.
fn section(
    layers: &[Layer<'_, super::file::Sections, modbus::PointKeys>],
    top: &Place,
    found: &mut Vec<Diagnostic>,
) -> Option<(modbus::DeviceKeys, Place)> {
    let path = KeyPath::of("modbus");
    let (device, profile) = (layers.first()?, layers.get(1));
    let below =
        profile.and_then(|layer| Some((layer.source, layer.file.sections.modbus.as_ref()?)));
    if let Some((source, keys)) = below {
        let here = keys.line.is_some() || keys.unit.is_some() || keys.units.is_some();
        if here || keys.transport != modbus::TransportKeys::default() {
            let words = "a profile describes a model: line, unit and how it is reached belong to the device file";
            found.push(source.error(&path, words));
        }
    }
    let Some(keys) = device.file.sections.modbus.clone() else {
        let error = top.whole("the file does not say where the device is");
        found
            .push(error.help("add [modbus] with line = \"NAME\" or tcp = \"host:port\", and unit"));
        return None;
    };
    let place = Place::new(device.source, path.clone());
    Some(match below {
        Some((source, below)) => (keys.over(below), place.over(&Place::new(source, path))),
        None => (keys, place),
    })
}

/// The line that the section names. `known` is `None` where gatewayd.toml is broken.
fn target(
    keys: &modbus::DeviceKeys,
    place: &Place,
    known: Option<&Named>,
    found: &mut Vec<Diagnostic>,
) -> Option<Target> {
    let before = found.len();
    let transport = modbus::transport(&keys.transport, place, found);
    match (&keys.line, transport) {
        (Some(_), Some(transport)) => {
            let error = place.error("line", "the device is on a line and reached by itself");
            found.push(
                error.help(format!("leave out either line or {}", super::lines::key(&transport))),
            );
            None
        }
        (Some(name), None) => {
            let known = known?;
            if known.get(name).is_none() {
                let error =
                    place.error("line", format!("there is no [line.{name}] in gatewayd.toml"));
                let names: Vec<&str> = known.names().collect();
                let help = match nearest(name, names.iter().copied()) {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None if names.is_empty() => "no lines are declared there".to_owned(),
                    None => format!("the lines are: {}", names.join(", ")),
                };
                found.push(error.help(help));
                return None;
            }
            Some(Target::Named(name.as_str().into()))
        }
        (None, Some(transport)) => Some(Target::Reached(transport)),
        (None, None) => {
            if !has_errors(found.get(before..).unwrap_or_default()) {
                let error = place.whole("the section does not say where the device is");
                found.push(error.help(
                    "give line = \"NAME\" (a [line.NAME] of gatewayd.toml) or tcp = \"host:port\"",
                ));
            }
            None
        }
    }
}

/// The id of the twin; `unit` where the file is for several.
fn twin(
    file: &DeviceFile,
    stem: &str,
    unit: Option<u8>,
    top: &Place,
    found: &mut Vec<Diagnostic>,
) -> Option<TwinId> {
    let said = file.id.as_deref();
    let id = match (said, unit) {
        (None, None) => stem.to_owned(),
        (Some(id), None) => id.to_owned(),
        (None, Some(unit)) => format!("{stem}-{unit}"),
        (Some(id), Some(unit)) if id.contains("{unit}") => id.replace("{unit}", &unit.to_string()),
        (Some(_), Some(_)) => {
            let error = top.error("id", "the file is for several units, and each needs its own id");
            found.push(error.help("write id = \"meter-{unit}\""));
            return None;
        }
    };
    let parsed = id.parse::<TwinId>();
    parsed
        .map_err(|error| {
            let mistake = top.error("id", format!("the id of the twin, {id:?}: {error}"));
            let help = "the file name without .toml is the id unless id = \"...\" says another";
            found.push(if said.is_none() { mistake.help(help) } else { mistake });
        })
        .ok()
}
