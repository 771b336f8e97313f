//! A device file over its profile: key by key, each with the place where it was said.

use std::collections::{BTreeMap, BTreeSet};

use settings::{Diagnostic, KeyPath, Place, Source};

use super::keys::{DeviceFile, GroupKeys, NameplateKeys, PointKeys, WordKeys};
use super::words::point_name;

/// Keys that may be said in two files.
pub trait Over {
    /// These keys where they are said, the keys of `below` where they are not.
    #[must_use]
    fn over(self, below: &Self) -> Self;
}

/// Implements [`Over`] for a struct of options: `over!(Struct: key, key, ...)`. `over!(keyed Struct { name }: ...)` keeps what
/// both have in common.
#[macro_export]
macro_rules! over {
    (keyed $name:ty { $($same:ident),+ }: $($key:ident),+ $(,)?) => {
        impl $crate::device::Over for $name {
            fn over(self, below: &Self) -> Self {
                Self {
                    $($same: self.$same,)+
                    $($key: self.$key.or_else(|| below.$key.clone()),)+
                }
            }
        }
    };
    ($name:ty: $($key:ident),+ $(,)?) => {
        impl $crate::device::Over for $name {
            fn over(self, below: &Self) -> Self {
                Self { $($key: self.$key.or_else(|| below.$key.clone()),)+ }
            }
        }
    };
}

over!(GroupKeys: interval, on_demand, max_age);
over!(NameplateKeys: manufacturer, model, serial, hardware, software);
over!(WordKeys: used, kind, unit, range, labels, title, semantics, group, report, deadband, min_interval,
    max_interval, writable, write_range, settle, tolerance, requires, write_interval,
    unsynchronised, hold);

/// One file of the two.
#[derive(Debug)]
pub struct Layer<'a, S, P> {
    /// Its text.
    pub source: &'a Source,
    /// What it says.
    pub file: &'a DeviceFile<S, P>,
}

impl<S, P> Clone for Layer<'_, S, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S, P> Copy for Layer<'_, S, P> {}

/// A point as both files together say it.
#[derive(Debug, Clone)]
pub struct MergedPoint<P> {
    /// What they say.
    pub keys: PointKeys<P>,
    /// Where they say it.
    pub place: Place,
}

/// A group as both files together say it.
#[derive(Debug, Clone)]
pub struct MergedGroup {
    /// Its name.
    pub name: String,
    /// What they say.
    pub keys: GroupKeys,
    /// Where they say it.
    pub place: Place,
}

/// The points that are used, in the profile's order, then the device file's own.
///
/// `layers` begins with the device file. A name that occurs twice in one file is a mistake.
pub fn points<S, P: Clone + Over>(
    layers: &[Layer<'_, S, P>],
    found: &mut Vec<Diagnostic>,
) -> Vec<MergedPoint<P>> {
    let mut merged: Vec<MergedPoint<P>> = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for layer in layers.iter().rev() {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for (n, keys) in layer.file.point.iter().enumerate() {
            let path = KeyPath::of("point").index(n);
            let place = Place::new(layer.source, path.clone());
            if let Some(first) = seen.insert(&keys.name, n) {
                let other = KeyPath::of("point").index(first).key("name");
                let words = format!("the point {:?} is there twice", keys.name);
                let help =
                    format!("the first one is in line {}", layer.source.position(&other).line);
                found.push(place.error("name", words).help(help));
                continue;
            }
            match known.get(&keys.name).and_then(|at| merged.get_mut(*at)) {
                Some(below) => {
                    below.keys = PointKeys {
                        name: keys.name.clone(),
                        words: keys.words.clone().over(&below.keys.words),
                        protocol: keys.protocol.clone().over(&below.keys.protocol),
                    };
                    below.place = place.over(&below.place);
                }
                None => {
                    known.insert(keys.name.clone(), merged.len());
                    merged.push(MergedPoint { keys: keys.clone(), place });
                }
            }
        }
    }
    merged.retain(|point| point.keys.words.used != Some(false));
    for point in &merged {
        if let Err(error) = point_name(&point.keys.name) {
            found.push(point.place.error("name", error));
        }
    }
    merged
}

/// The groups in the order of their names; `main` alone where there are none.
pub fn groups<S, P>(layers: &[Layer<'_, S, P>]) -> Vec<MergedGroup> {
    let names: BTreeSet<&String> =
        layers.iter().flat_map(|layer| layer.file.group.keys()).collect();
    let merged = |name: &String| {
        let path = KeyPath::of("group").key(name);
        let said = layers.iter().filter_map(|layer| Some((layer, layer.file.group.get(name)?)));
        let start = (GroupKeys::default(), None::<Place>);
        let (keys, place) = said.fold(start, |(keys, place), (layer, below)| {
            let below_place = Place::new(layer.source, path.clone());
            let place = place.map_or_else(|| below_place.clone(), |p| p.over(&below_place));
            (keys.over(below), Some(place))
        });
        Some(MergedGroup { name: name.clone(), keys, place: place? })
    };
    let groups: Vec<MergedGroup> = names.into_iter().filter_map(merged).collect();
    match (groups.is_empty(), layers.first()) {
        (true, Some(first)) => {
            let place = Place::new(first.source, KeyPath::of("group"));
            vec![MergedGroup { name: "main".to_owned(), keys: GroupKeys::default(), place }]
        }
        _ => groups,
    }
}
