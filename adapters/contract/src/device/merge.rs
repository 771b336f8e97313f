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
    unsynchronised, hold, hold_interval, hold_times);

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

/// An entry as both files together say it.
#[derive(Debug, Clone)]
pub struct Merged<K> {
    /// What they say.
    pub keys: K,
    /// Where they say it.
    pub place: Place,
}

/// A point as both files together say it.
pub type MergedPoint<P> = Merged<PointKeys<P>>;

impl<P: Clone + Over> Over for PointKeys<P> {
    fn over(self, below: &Self) -> Self {
        Self {
            name: self.name,
            words: self.words.over(&below.words),
            protocol: self.protocol.over(&below.protocol),
        }
    }
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
    let mut merged = entries(layers, "point", (|file| &file.point, |keys| &keys.name), found);
    merged.retain(|point| point.keys.words.used != Some(false));
    for point in &merged {
        if let Err(error) = point_name(&point.keys.name) {
            found.push(point.place.error("name", error));
        }
    }
    merged
}

/// Where a file has its entries of a kind, and where an entry has its name.
type Entries<S, P, K> = (fn(&DeviceFile<S, P>) -> &[K], fn(&K) -> &str);

/// The entries of the array `key`, which is also what one of them is called, in the profile's order, then the device
/// file's own. A name that occurs twice in one file is a mistake.
pub(super) fn entries<S, P, K: Clone + Over>(
    layers: &[Layer<'_, S, P>],
    key: &str,
    (of, name): Entries<S, P, K>,
    found: &mut Vec<Diagnostic>,
) -> Vec<Merged<K>> {
    let mut merged: Vec<Merged<K>> = Vec::new();
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    for layer in layers.iter().rev() {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for (n, keys) in of(layer.file).iter().enumerate() {
            let place = Place::new(layer.source, KeyPath::of(key).index(n));
            if let Some(first) = seen.insert(name(keys), n) {
                let other = KeyPath::of(key).index(first).key("name");
                let error =
                    place.error("name", format!("the {key} {:?} is there twice", name(keys)));
                let line = layer.source.position(&other).line;
                found.push(error.help(format!("the first one is in line {line}")));
                continue;
            }
            match known.get(name(keys)).and_then(|at| merged.get_mut(*at)) {
                Some(below) => {
                    below.keys = keys.clone().over(&below.keys);
                    below.place = place.over(&below.place);
                }
                None => {
                    known.insert(name(keys), merged.len());
                    merged.push(Merged { keys: keys.clone(), place });
                }
            }
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
