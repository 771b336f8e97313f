//! SunSpec's information models as data files, and the profile that a device's map makes of them.
//!
//! `profile = "sunspec"` in a device file says that the device tells by itself what it consists of. What is found is
//! written down as an ordinary profile, so that the device file can say more about its points as about any others.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use adapter::device::WordKeys;
use adapter::profile::{Library, SourceKeys};
use adapter_modbus::config::{PointKeys, TypeWord};
use adapter_modbus::sunspec::Map;
use adapter_modbus::{MAX_READ_REGISTERS, sunspec};
use schemars::JsonSchema;
use serde::Deserialize;
use settings::{Diagnostic, Source};
use toml::{Table, Value};

/// The word of a device file.
pub const PROFILE: &str = adapter::profile::SUNSPEC;

/// A model file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ModelFile {
    /// Its number.
    pub model: u16,
    /// What it is for.
    #[expect(dead_code, reason = "for people")]
    pub title: String,
    /// The feature that its points are properties of; "-2" and so on follows where a device has it again.
    pub feature: String,
    /// The document that defines it.
    #[cfg_attr(not(test), expect(dead_code, reason = "for people and the tests"))]
    pub source: SourceKeys,
    /// Its points.
    #[serde(default)]
    pub point: Vec<ModelPoint>,
    /// Blocks that repeat to the end of the model.
    pub repeat: Option<Repeat>,
}

/// Blocks that repeat; the points of each are properties of a feature of its own.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Repeat {
    /// Where the first block begins, in registers from the model's number.
    pub first: u16,
    /// How many registers a block has.
    pub length: u16,
    /// The points of each block.
    pub point: Vec<ModelPoint>,
}

/// A point of a model.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ModelPoint {
    /// The property.
    pub name: String,
    /// Where it stands, in registers from the model's number, or from the start of its block.
    pub at: u16,
    /// Where its power of ten stands, in registers from the model's number.
    pub power_at: Option<u16>,
    /// What it means.
    #[serde(flatten)]
    #[expect(dead_code, reason = "checked here, used as they are written")]
    pub words: WordKeys,
    /// How it stands in its registers.
    #[serde(flatten)]
    pub protocol: PointKeys,
}

/// The models that are known.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Models(BTreeMap<u16, Known>);

#[derive(Debug, Clone)]
struct Known {
    file: ModelFile,
    /// The same as written: keys that are handed on as they are.
    raw: Table,
}

impl PartialEq for Known {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

/// What a map is in the words of a profile.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// The profile.
    pub profile: String,
    /// Models that no file describes.
    pub unknown: Vec<u16>,
    /// Points too far from their power of ten to be read with it in one request.
    pub far: usize,
}

impl Models {
    /// Reads the model files of a library. A file with mistakes is left out.
    pub fn read(library: &Library, found: &mut Vec<Diagnostic>) -> Self {
        let mut models = BTreeMap::new();
        for path in library.models() {
            let read = Source::read(&path).and_then(|source| {
                let file = settings::parse::<ModelFile>(&source)?;
                let raw = source.text().parse::<Table>();
                let raw = raw.map_err(|e| vec![Diagnostic::whole(source.name(), e.to_string())])?;
                Ok((file.model, Known { file, raw }))
            });
            match read {
                Ok((model, known)) => drop(models.insert(model, known)),
                Err(mut errors) => found.append(&mut errors),
            }
        }
        Self(models)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The profile of a device with this map.
    pub fn write(&self, map: &Map) -> Written {
        let mut written = Written { profile: String::new(), unknown: Vec::new(), far: 0 };
        let mut points = Vec::new();
        let mut times: BTreeMap<&str, u32> = BTreeMap::new();
        for model in &map.models {
            let Some(known) = self.0.get(&model.id) else {
                written.unknown.push(model.id);
                continue;
            };
            let end = model.length.saturating_add(2);
            let mut put =
                |feature: &str, start: u16, points_of: &[ModelPoint], raw: Option<&Value>| {
                    for (point, raw) in
                        points_of.iter().zip(raw.and_then(Value::as_array).into_iter().flatten())
                    {
                        match place(point, start, model, end) {
                            Place::At(place) => {
                                points.push(Value::Table(keys(feature, point, raw, &place)))
                            }
                            Place::Far => written.far += 1,
                            Place::Beyond => {}
                        }
                    }
                };
            let file = &known.file;
            if !file.point.is_empty() {
                let feature = numbered(&file.feature, &mut times);
                put(&feature, 0, &file.point, known.raw.get("point"));
            }
            if let Some(repeat) = &file.repeat {
                let blocks =
                    end.saturating_sub(repeat.first).checked_div(repeat.length).unwrap_or(0);
                for block in 0..blocks {
                    let feature = numbered(&file.feature, &mut times);
                    let raw = known.raw.get("repeat").and_then(|repeat| repeat.get("point"));
                    put(&feature, repeat.first + block * repeat.length, &repeat.point, raw);
                }
            }
        }
        written.profile = profile(map, points).to_string();
        written
    }
}

enum Place {
    At(At),
    /// The device's model is shorter than ours.
    Beyond,
    Far,
}

struct At {
    number: u16,
    power: Option<u16>,
}

fn place(point: &ModelPoint, start: u16, model: &sunspec::Model, end: u16) -> Place {
    let size = size(&point.protocol);
    let first = start.saturating_add(point.at);
    let last = first.saturating_add(size).max(point.power_at.map_or(0, |at| at.saturating_add(1)));
    let absolute = |at: u16| model.at.checked_add(at);
    let Some(number) = absolute(first).filter(|_| last <= end && absolute(last).is_some()) else {
        return Place::Beyond;
    };
    let run = last - first.min(point.power_at.unwrap_or(first));
    if run > MAX_READ_REGISTERS {
        return Place::Far;
    }
    Place::At(At { number, power: point.power_at.and_then(absolute) })
}

/// The registers of a point.
fn size(keys: &PointKeys) -> u16 {
    match keys.kind {
        Some(TypeWord::Text | TypeWord::Bytes) => keys.length.unwrap_or(1),
        Some(TypeWord::U64 | TypeWord::I64 | TypeWord::F64) => 4,
        Some(TypeWord::U48 | TypeWord::I48) => 3,
        Some(TypeWord::U32 | TypeWord::I32 | TypeWord::F32 | TypeWord::Bcd32) => 2,
        _ => 1,
    }
}

/// A point of the profile: what the model file says, with registers in place of distances.
fn keys(feature: &str, point: &ModelPoint, raw: &Value, place: &At) -> Table {
    let mut keys = raw.as_table().cloned().unwrap_or_default();
    keys.remove("at");
    keys.remove("power_at");
    keys.insert("name".into(), format!("{feature}/{}", point.name).into());
    keys.insert("address".into(), format!("holding:{}", place.number).into());
    if let Some(power) = place.power {
        keys.insert("scale_at".into(), format!("holding:{power}").into());
    }
    keys
}

/// `meter`, then `meter-2`, `meter-3`.
fn numbered<'a>(feature: &'a str, times: &mut BTreeMap<&'a str, u32>) -> String {
    let times = times.entry(feature).or_default();
    *times += 1;
    if *times == 1 { feature.to_owned() } else { format!("{feature}-{times}") }
}

fn profile(map: &Map, points: Vec<Value>) -> Table {
    let mut models = String::new();
    for model in &map.models {
        let between = if models.is_empty() { "" } else { ", " };
        // A text takes everything.
        write!(models, "{between}{} at {}", model.id, model.at).ok();
    }
    let group = |key: &str, value: Value| Value::Table(Table::from_iter([(key.to_owned(), value)]));
    let text = |text: &str| Value::String(text.to_owned());
    let mut profile = Table::from_iter([
        ("status".to_owned(), text("unverified")),
        (
            "source".to_owned(),
            Value::Table(Table::from_iter([
                ("title".to_owned(), text("the device itself, by SunSpec model discovery")),
                ("revision".to_owned(), text(&format!("map at register {}", map.base))),
                ("page".to_owned(), text(&format!("models {models}"))),
            ])),
        ),
        (
            "group".to_owned(),
            Value::Table(Table::from_iter([
                ("fast".to_owned(), group("interval", text("5s"))),
                ("slow".to_owned(), group("interval", text("1min"))),
                ("plate".to_owned(), group("on_demand", true.into())),
            ])),
        ),
    ]);
    let serial = |point: &Value| point.get("name").and_then(Value::as_str) == Some("plate/serial");
    if points.iter().any(serial) {
        profile.insert("modbus".into(), group("identity", vec!["plate/serial"].into()));
    }
    if let Some((maker, model)) = &map.plate {
        let plate = [("manufacturer".to_owned(), text(maker)), ("model".to_owned(), text(model))];
        profile.insert("nameplate".into(), Value::Table(Table::from_iter(plate)));
    }
    profile.insert("point".into(), Value::Array(points));
    profile
}

#[cfg(test)]
#[path = "sunspec_tests.rs"]
mod tests;
