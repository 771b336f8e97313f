//! The model files of the package, and what maps become.

use std::path::PathBuf;
use std::sync::Arc;

use adapter_modbus::sunspec::{COMMON, Model};

use super::*;
use crate::config::file::ProfileFile;
use crate::config::tests::Folder;
use crate::config::{Places, discovered, load_from};

fn library() -> Library {
    Library::new(vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../etc/profiles")])
}

fn models() -> Models {
    let mut found = Vec::new();
    let models = Models::read(&library(), &mut found);
    assert_eq!(found.iter().map(ToString::to_string).next(), None);
    models
}

/// A map of these models, one after the other, behind the mark.
fn map(models: &[(u16, u16)]) -> Map {
    let mut at = 40_002;
    let mut map = Map { base: 40_000, models: Vec::new(), plate: None };
    for (id, length) in models {
        map.models.push(Model { id: *id, at, length: *length });
        at += 2 + length;
    }
    map.plate = Some(("Acme".into(), "X 1".into()));
    map
}

fn profile(written: &Written) -> ProfileFile {
    let source = Source::from_text("the map", written.profile.clone());
    let profile = settings::parse::<ProfileFile>(&source);
    profile.unwrap_or_else(|found| panic!("{}\n{}", found[0], written.profile))
}

fn address<'a>(profile: &'a ProfileFile, name: &str) -> (&'a str, Option<&'a str>) {
    let point = profile.device.point.iter().find(|point| point.name == name);
    let keys = &point.unwrap_or_else(|| panic!("there is no {name}")).protocol;
    (keys.address.as_deref().unwrap(), keys.scale_at.as_deref())
}

#[test]
fn every_model_file_is_sound_and_names_its_source() {
    let models = models();
    for id in [1, 101, 102, 103, 111, 112, 113, 120, 124, 160, 201, 202, 203, 204, 211, 213, 802] {
        assert!(models.0.contains_key(&id), "{id}");
    }
    for (id, Known { file, .. }) in &models.0 {
        for text in [&file.source.title, &file.source.revision, &file.source.page] {
            assert!(!text.trim().is_empty(), "{id}");
        }
        assert!(file.source.url.is_some() && file.source.seen.is_some(), "{id}");
        let written = models.write(&map(&[(*id, 200)]));
        let (points, text) = (profile(&written).device.point.len(), &written.profile);
        assert!(points > 0 && written.unknown.is_empty(), "{id}: {text}");
    }
}

/// Registers by the offsets of the definitions: model 103 has A at 2 with its power at 6, W at 14 and 15, WH at 24 and
/// 26; model 160 has its powers at 2 to 5 and blocks of 20 from 10 on, DCW at 11 of each.
#[test]
fn points_stand_where_the_map_says() {
    let map = map(&[(COMMON, 66), (103, 50), (160, 48), (COMMON, 65), (203, 105), (64_110, 10)]);
    let written = models().write(&map);
    assert_eq!((&*written.unknown, written.far), (&[64_110][..], 0));
    let profile = profile(&written);
    assert_eq!(address(&profile, "plate/serial"), ("holding:40052", None));
    assert_eq!(address(&profile, "inverter/current"), ("holding:40072", Some("holding:40076")));
    assert_eq!(address(&profile, "inverter/power"), ("holding:40084", Some("holding:40085")));
    assert_eq!(address(&profile, "inverter/energy"), ("holding:40094", Some("holding:40096")));
    assert_eq!(address(&profile, "tracker/power"), ("holding:40143", Some("holding:40126")));
    assert_eq!(address(&profile, "tracker-2/power"), ("holding:40163", Some("holding:40126")));
    assert_eq!(address(&profile, "plate-2/manufacturer"), ("holding:40174", None));
    let plate = profile.device.nameplate.as_ref().unwrap();
    assert_eq!(plate.manufacturer.as_deref(), Some("Acme"));
    let identity = profile.device.sections.modbus.unwrap().identity.unwrap();
    assert_eq!(identity, ["plate/serial"]);
}

#[test]
fn a_shorter_model_has_fewer_points() {
    let points = |length| profile(&models().write(&map(&[(103, length)]))).device.point;
    let (whole, short) = (points(50), points(13));
    assert!(!short.is_empty() && short.len() < whole.len());
    assert!(short.iter().all(|point| point.name != "inverter/power"), "W_SF lies beyond the end");
}

#[test]
fn a_tracker_too_far_from_the_powers_is_left_out() {
    let written = models().write(&map(&[(160, 8 + 8 * 20)]));
    assert!(written.far > 0);
    let names: Vec<String> =
        profile(&written).device.point.into_iter().map(|point| point.name).collect();
    assert!(names.contains(&"tracker-6/voltage".to_owned()), "{names:?}");
    assert!(!names.contains(&"tracker-8/voltage".to_owned()));
}

fn plan(device: &str) -> Result<Arc<crate::config::plan::DevicePlan>, String> {
    let folder = Folder::new(&[
        ("gatewayd.toml", "[gateway]\nname = \"g\"\n"),
        ("devices.d/roof.toml", device),
    ]);
    let places =
        Places { profiles: library(), ..Places::beside(&folder.path().join("gatewayd.toml")) };
    let loaded = load_from(&places);
    match loaded.diagnostics.first() {
        Some(diagnostic) => Err(diagnostic.to_string()),
        None => Ok(loaded.plan.unwrap().modbus[0].devices[0].clone()),
    }
}

#[test]
fn the_device_file_says_more_about_what_is_found() {
    let text = "profile = \"sunspec\"\nmodbus = { tcp = \"10.0.0.1\", unit = 3 }\n\
                [group.fast]\ninterval = \"1s\"\n\
                [[point]]\nname = \"inverter/power\"\ntitle = \"Roof\"\n\
                [[point]]\nname = \"inverter/events\"\nused = false\n";
    let plan = plan(text).unwrap();
    assert!(plan.declaration.points.is_empty(), "nothing is known before it was asked");
    let recipe = plan.recipe.as_ref().unwrap();
    let map = map(&[(COMMON, 66), (103, 50)]);
    let (found, _) = discovered(&plan, recipe, &map).unwrap();
    assert_eq!((found.device.unit, found.device.identity.len()), (3, 1));
    let points = &found.declaration.points;
    let roof = points.iter().find(|p| p.title.as_deref() == Some("Roof")).unwrap();
    assert_eq!(roof.unit.as_deref(), Some("W"));
    assert!(points.iter().all(|point| point.name.as_str() != "events"));
    let fast = found.declaration.groups.iter().find(|group| group.name.as_str() == "fast").unwrap();
    assert_eq!(fast.acquisition, twin::Acquisition::Polled { interval: 1_000_000 });
    assert_eq!(
        discovered(&plan, recipe, &map).unwrap().0,
        found,
        "the same map is the same device"
    );
}

#[test]
fn a_point_that_is_not_found_is_a_mistake_of_the_file() {
    let plan = plan(
        "profile = \"sunspec\"\nmodbus = { tcp = \"10.0.0.1\" }\n\
                     [[point]]\nname = \"inverter/powr\"\ntitle = \"Roof\"\n",
    );
    let plan = plan.unwrap();
    let found = discovered(&plan, plan.recipe.as_ref().unwrap(), &map(&[(COMMON, 66), (103, 50)]));
    let found = found.unwrap_err();
    assert!(found[0].to_string().contains("address"), "{}", found[0]);
}
