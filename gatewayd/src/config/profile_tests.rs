//! The profiles of the package: each is sound, says where it comes from, and decodes its golden frames.

use std::collections::HashSet;
use std::path::PathBuf;

use adapter::device::{self as common, Layer};
use adapter::profile::{GoldenKeys, Library, SourceKeys, StatusWord};
use adapter_modbus::config as modbus;
use adapter_modbus::{PointCodec, Request, Response, Table};
use settings::{Diagnostic, Source};
use twin::{PointSpec, Quality};

use super::file::ProfileFile;
use super::tests::Folder;

type Points = Vec<(PointSpec, PointCodec)>;

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../etc/profiles")
}

/// The points of a profile with what reads them.
fn points(source: &Source, file: &ProfileFile) -> Result<Points, Vec<Diagnostic>> {
    let mut found = Vec::new();
    let layers = [Layer { source, file: &file.device }];
    let merged = common::points(&layers, &mut found);
    let draft = modbus::Draft::new(&merged, &mut found);
    let groups = common::common(&common::groups(&layers), &mut found);
    let mut points = Vec::new();
    for (point, codec) in merged.iter().zip(draft.codecs) {
        let (keys, place) = (&point.keys, &point.place);
        let value_type = codec.as_ref().map(|c| c.value_type());
        let spec = common::point(&keys.name, &keys.words, value_type, &groups, place, &mut found);
        points.extend(spec.zip(codec));
    }
    if found.is_empty() { Ok(points) } else { Err(found) }
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |c: char| u8::try_from(c.to_digit(16).unwrap()).unwrap();
    let digits: Vec<u8> = text.chars().filter(|c| !c.is_whitespace()).map(digit).collect();
    assert!(digits.len().is_multiple_of(2), "{text:?} is not whole bytes");
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// What differs from what the frame is said to mean.
fn differences(golden: &GoldenKeys, points: &Points) -> Vec<String> {
    let bytes = hex(&golden.request);
    let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let table = match bytes[0] {
        1 => Table::Coil,
        2 => Table::Discrete,
        3 => Table::Holding,
        4 => Table::Input,
        other => panic!("function {other} does not read"),
    };
    let (start, count) = (word(1), word(3));
    let request = Request::Read { table, start, count };
    let mut encoded = Vec::new();
    request.encode(&mut encoded);
    assert_eq!(encoded, bytes, "the request is not what we would send");
    let answer = request.accept(&hex(&golden.response)).unwrap();
    let mut wrong = Vec::new();
    for (name, text) in &golden.expect {
        let named = |(spec, _): &&(PointSpec, PointCodec)| {
            format!("{}/{}", spec.feature, spec.name) == *name
        };
        let Some((spec, codec)) = points.iter().find(named) else {
            wrong.push(format!("there is no point {name}"));
            continue;
        };
        assert_eq!(codec.address().table, table, "{name}");
        let at = usize::from(codec.address().number - start);
        let wire = match &answer {
            Response::Registers(registers) => {
                registers[at * 2..(at + usize::from(codec.count())) * 2].to_vec()
            }
            bits => vec![u8::from(bits.bit(at).unwrap())],
        };
        let (value, quality) = codec.decode(&wire);
        let expected = spec.parse(text).unwrap();
        if value.as_ref() != Some(&expected) || quality != Quality::GOOD {
            wrong.push(format!("{name}: expected {expected:?}, got {value:?} {quality:?}"));
        }
    }
    wrong
}

fn shipped() -> Vec<(String, Source, ProfileFile)> {
    let library = Library::new(vec![directory()]);
    let read = |name: String| {
        let source = library.find(&name).unwrap();
        let file = settings::parse::<ProfileFile>(&source);
        let file = file.unwrap_or_else(|found| panic!("{name}:\n{}", found[0]));
        (name, source, file)
    };
    library.names().into_iter().map(read).collect()
}

#[test]
fn golden_frames_mean_what_their_source_says() {
    let profiles = shipped();
    assert!(profiles.len() >= 12, "a library of widely installed devices");
    for (name, source, file) in profiles {
        let points = points(&source, &file).unwrap_or_else(|found| panic!("{name}:\n{}", found[0]));
        assert!(!file.golden.is_empty(), "{name} proves nothing");
        for golden in &file.golden {
            assert_eq!(differences(golden, &points), Vec::<String>::new(), "{name}");
        }
    }
}

#[test]
fn a_wrong_register_map_is_noticed() {
    let profile = shipped().into_iter().find(|(name, ..)| name == "vaisala/hmp110");
    let (_, source, mut file) = profile.unwrap();
    for point in &mut file.device.point {
        if point.protocol.order.is_some() {
            point.protocol.order = Some("ABCD".to_owned());
        }
    }
    let points = points(&source, &file).unwrap();
    assert_eq!(differences(&file.golden[0], &points).len(), 1, "another order is another value");
}

/// What is missing for a source to be one that somebody else can find and compare.
fn missing(source: &SourceKeys) -> Vec<&'static str> {
    let url = source.url.as_deref().unwrap_or("");
    let checks = [
        ("title", source.title.trim().is_empty()),
        ("revision", source.revision.trim().is_empty()),
        ("page", source.page.trim().is_empty()),
        ("url", !(url.starts_with("https://") || url.starts_with("http://"))),
        ("seen", source.seen.as_deref().is_none_or(|seen| seen.trim().is_empty())),
    ];
    checks.into_iter().filter_map(|(what, gone)| gone.then_some(what)).collect()
}

#[test]
fn ten_profiles_at_least_are_verified() {
    let verified = |file: &ProfileFile| {
        let sources = std::iter::once(&file.source).chain(&file.also);
        file.status == StatusWord::Verified && sources.flat_map(missing).next().is_none()
    };
    let counted = shipped().into_iter().filter(|(_, _, file)| verified(file)).count();
    assert!(counted >= 10, "{counted} profiles were really seen in their sources");
}

#[test]
fn every_profile_says_where_it_comes_from() {
    let mut headings = HashSet::new();
    for (name, source, file) in shipped() {
        if file.status == StatusWord::Verified {
            for source in std::iter::once(&file.source).chain(&file.also) {
                assert_eq!(missing(source), Vec::<&str>::new(), "{name}: {}", source.title);
            }
        }
        let heading = source.text().lines().next().unwrap_or("").to_owned();
        assert!(heading.starts_with("# "), "{name} says in its first line what it is about");
        assert!(headings.insert(heading), "{name} says the same as another profile");
        let plate = file.device.nameplate;
        assert!(plate.is_some_and(|plate| plate.manufacturer.is_some()), "{name}");
        let writable = file.device.point.iter().any(|p| p.words.writable == Some(true));
        assert!(!writable, "{name}: what may be written is for the device file to say");
    }
}

#[test]
fn every_profile_makes_a_device() {
    let names = Library::new(vec![directory()]).names();
    let mut files = vec![("gatewayd.toml".to_owned(), "[gateway]\nname = \"g\"\n".to_owned())];
    files.extend(names.iter().enumerate().map(|(n, name)| {
        let text = format!("profile = \"{name}\"\nmodbus.tcp = \"10.0.0.{}\"\n", n + 1);
        (format!("devices.d/{}.toml", name.replace('/', "-")), text)
    }));
    let files: Vec<(&str, &str)> = files.iter().map(|(a, b)| (&**a, &**b)).collect();
    let folder = Folder::new(&files);
    let places = super::Places {
        profiles: Library::new(vec![directory()]),
        ..super::Places::beside(&folder.path().join("gatewayd.toml"))
    };
    let loaded = super::load_from(&places);
    assert_eq!(loaded.diagnostics.iter().map(ToString::to_string).next(), None);
    let plan = loaded.plan.unwrap();
    assert_eq!(plan.devices().count(), names.len());
    assert!(plan.devices().all(|device| !device.declaration.points.is_empty()));
}

#[test]
fn a_device_with_a_profile_needs_two_lines() {
    let folder = Folder::new(&[
        (
            "gatewayd.toml",
            "[gateway]\nname = \"g\"\n[line.bus]\nserial = \"/dev/ttyAMA0\"\nbaud = 9600\n",
        ),
        (
            "devices.d/meter.toml",
            "profile = \"eastron/sdm72d-m\"\nmodbus = { line = \"bus\", unit = 1 }\n\
             [[point]]\nname = \"energy/total\"\ntitle = \"House\"\n\
             [[point]]\nname = \"power/export\"\nused = false\n",
        ),
    ]);
    let places = super::Places {
        profiles: Library::new(vec![directory()]),
        ..super::Places::beside(&folder.path().join("gatewayd.toml"))
    };
    let loaded = super::load_from(&places);
    assert_eq!(loaded.exit_code(), 0, "{:?}", loaded.diagnostics);
    let plan = loaded.plan.unwrap();
    let device = plan.devices().next().unwrap();
    let points = &device.declaration.points;
    assert_eq!(device.declaration.model.as_deref(), Some("eastron/sdm72d-m"));
    assert_eq!(points.len(), 8, "one of nine is left out");
    assert_eq!(points[0].title.as_deref(), Some("Total system power"), "the profile's order");
    let house = points.iter().find(|p| p.title.as_deref() == Some("House")).unwrap();
    assert_eq!(house.unit.as_deref(), Some("kW.h"), "what the file does not say comes from below");
    assert_eq!(device.device.limits.max_registers, 60);
}
