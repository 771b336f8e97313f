//! Hostile device files.

use adapter::device::{DeviceFile, Layer, points};
use schemars::JsonSchema;
use serde::Deserialize;
use settings::{KeyPath, Place, Source};

use super::{DeviceKeys, Draft, LineKeys, PointKeys, device, line, units};

#[derive(Debug, Clone, Deserialize, JsonSchema)]
struct Sections {
    modbus: Option<DeviceKeys>,
    line: Option<LineKeys>,
}

/// Reads hostile bytes as a device file with a line in it and builds everything that can be built; for fuzzing.
pub fn fuzz_one(data: &[u8]) {
    let source = Source::from_text("fuzz", String::from_utf8_lossy(data));
    let Ok(file) = settings::parse::<DeviceFile<Sections, PointKeys>>(&source) else { return };
    let mut found = Vec::new();
    let place = Place::new(&source, KeyPath::of("modbus"));
    let merged = points(&[Layer { source: &source, file: &file }], &mut found);
    let draft = Draft::new(&merged, &mut found);
    if let Some(keys) = &file.sections.line {
        line("fuzz", keys, &place, &mut found);
    }
    if let Some(keys) = &file.sections.modbus {
        for unit in units(keys, false, &place, &mut found) {
            let built = device(keys, unit, None, &merged, &draft, &place, &mut found);
            let wrong = draft.codecs.iter().any(Option::is_none);
            assert!(!(wrong && built.is_some()), "a device with a wrong point is not built");
        }
    }
    let missing = draft.codecs.iter().filter(|codec| codec.is_none()).count();
    assert!(missing == 0 || !found.is_empty(), "a point that is left out is reported");
    for diagnostic in found {
        assert!(!diagnostic.to_string().is_empty());
    }
}
