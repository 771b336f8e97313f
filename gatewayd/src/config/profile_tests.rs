//! The profiles of the package: each is sound, says where it comes from, and decodes its golden frames.

use std::path::PathBuf;

use adapter::device::{self as common, Layer};
use adapter::profile::{GoldenKeys, Library};
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
        3 => Table::Holding,
        4 => Table::Input,
        other => panic!("function {other} is no read of registers"),
    };
    let (start, count) = (word(1), word(3));
    let request = Request::Read { table, start, count };
    let mut encoded = Vec::new();
    request.encode(&mut encoded);
    assert_eq!(encoded, bytes, "the request is not what we would send");
    let answer = request.accept(&hex(&golden.response)).unwrap();
    let Response::Registers(registers) = answer else { panic!("{answer:?}") };
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
        let from = usize::from(codec.address().number - start) * 2;
        let until = from + usize::from(codec.count()) * 2;
        let (value, quality) = codec.decode(&registers[from..until]);
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
    assert!(profiles.len() >= 3, "three profiles of widely installed devices");
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

#[test]
fn every_profile_says_where_it_comes_from() {
    for (name, _, file) in shipped() {
        let source = &file.source;
        for text in [&source.title, &source.revision, &source.page] {
            assert!(!text.trim().is_empty(), "{name}");
        }
        let plate = file.device.nameplate;
        assert!(plate.is_some_and(|plate| plate.manufacturer.is_some()), "{name}");
        let writable = file.device.point.iter().any(|p| p.words.writable == Some(true));
        assert!(!writable, "{name}: what may be written is for the device file to say");
    }
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
