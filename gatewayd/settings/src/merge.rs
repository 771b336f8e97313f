//! One table said in several files: every key may be said once.

use std::collections::btree_map::Entry;

use crate::path::KeyPath;
use crate::tree::{Node, Shape};

/// Adds what `other` says to `here`; calls `twice` for every key that both say.
pub(crate) fn merge(
    here: &mut Node,
    other: Node,
    path: &KeyPath,
    twice: &mut impl FnMut(&KeyPath, &Node, &Node),
) {
    match (&mut here.shape, other.shape) {
        (Shape::Table(known), Shape::Table(more)) => {
            for (key, node) in more {
                let path = path.key(&key);
                match known.entry(key) {
                    Entry::Vacant(free) => {
                        free.insert(node);
                    }
                    Entry::Occupied(mut taken) => merge(taken.get_mut(), node, &path, twice),
                }
            }
        }
        (_, shape) => twice(path, here, &Node { shape, ..other }),
    }
}

/// The same for the values; the first one stands.
pub(crate) fn values(here: &mut toml::Table, other: toml::Table) {
    for (key, value) in other {
        match (here.get_mut(&key), value) {
            (Some(toml::Value::Table(known)), toml::Value::Table(more)) => values(known, more),
            (Some(_), _) => {}
            (None, value) => {
                here.insert(key, value);
            }
        }
    }
}
