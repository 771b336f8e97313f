//! The floors of the house: who may import whom, read from the manifests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tests::tree;

/// One crate of the workspace: its floor, and every crate of the workspace that it may import.
struct Room {
    name: &'static str,
    floor: u8,
    may_import: &'static [&'static str],
}

const fn room(name: &'static str, floor: u8, may_import: &'static [&'static str]) -> Room {
    Room { name, floor, may_import }
}

/// The floors. An edge that is not listed here does not exist.
const HOUSE: &[Room] = &[
    room("twin", 0, &[]),
    room("base", 0, &[]),
    room("settings", 0, &[]),
    room("tls", 0, &[]),
    room("twin-store", 1, &["twin", "base"]),
    room("adapter", 1, &["twin", "base", "settings"]),
    room("wire", 1, &["base", "tls"]),
    room("export", 1, &["twin"]),
    room("control", 1, &["twin"]),
    room("adapter-modbus", 2, &["adapter", "twin", "base", "settings", "tls"]),
    room("keeper", 2, &["twin", "twin-store", "base"]),
    room("dialects", 2, &["twin", "twin-store", "wire", "export", "base", "tls", "settings"]),
    room("onem2m", 2, &["twin", "twin-store", "wire", "export", "base", "tls", "settings"]),
    room("console", 3, &["twin", "twin-store", "wire", "export", "control", "base", "settings"]),
    room(
        "gatewayd",
        4,
        &[
            "adapter",
            "adapter-modbus",
            "base",
            "console",
            "control",
            "dialects",
            "export",
            "keeper",
            "onem2m",
            "settings",
            "tls",
            "twin",
            "twin-store",
            "wire",
        ],
    ),
];

/// Pairs that no list above may ever be widened to: who, and whom it must never see, even through others.
const NEVER: &[(&str, &[&str])] = &[
    ("twin", &["base", "settings", "tls", "twin-store"]),
    ("base", &["twin"]),
    ("twin-store", &["adapter", "adapter-modbus", "dialects", "wire", "settings", "control"]),
    ("adapter", &["twin-store", "wire", "dialects", "keeper"]),
    ("adapter-modbus", &["twin-store", "wire", "dialects", "keeper", "control"]),
    ("wire", &["twin", "twin-store", "adapter"]),
    ("export", &["twin-store", "wire"]),
    ("keeper", &["adapter", "adapter-modbus", "wire", "dialects", "settings"]),
    ("dialects", &["adapter", "adapter-modbus", "onem2m", "keeper"]),
    ("onem2m", &["adapter", "adapter-modbus", "dialects", "keeper"]),
    ("console", &["adapter", "adapter-modbus", "dialects", "keeper"]),
];

/// Third-party crates with a door: only these rooms may import them.
const DOORS: &[(&str, &[&str])] = &[
    ("rumqttc", &["wire"]),
    ("axum", &["wire"]),
    ("hyper", &["wire"]),
    ("hyper-util", &["wire"]),
    ("hyper-rustls", &["wire"]),
    ("rustls", &["tls", "wire", "adapter-modbus", "gatewayd"]),
    ("rustls-native-certs", &["tls"]),
    ("rustls-pki-types", &["tls", "wire", "adapter-modbus"]),
    ("tokio-rustls", &["wire", "adapter-modbus"]),
    ("redb", &["twin-store"]),
    ("crc32fast", &["twin-store"]),
    ("serial2-tokio", &["adapter-modbus"]),
    ("tokio-modbus", &[]),
    ("clap", &["gatewayd"]),
    ("anyhow", &["gatewayd"]),
    ("sd-notify", &["gatewayd"]),
    ("tracing-journald", &["gatewayd"]),
    ("tracing-subscriber", &["gatewayd"]),
    ("prometheus-client", &["gatewayd"]),
    ("strsim", &["settings", "gatewayd"]),
];

/// Third-party crates that a room must do without.
const WITHOUT: &[(&str, &[&str])] = &[
    ("twin", &["tokio", "serde", "serde_json", "jiff", "rustix", "bytes", "toml"]),
    ("base", &["serde", "serde_json"]),
    ("twin-store", &["serde", "serde_json", "toml", "schemars"]),
    ("wire", &["serde", "serde_json"]),
    ("keeper", &["serde", "serde_json", "toml"]),
    ("control", &["tokio"]),
    ("settings", &["tokio"]),
    ("tls", &["tokio"]),
    ("export", &["tokio"]),
];

#[test]
fn every_dependency_goes_down() {
    let house = imports();
    let mut wrong = Vec::new();
    for (name, imports) in &house {
        let Some(room) = HOUSE.iter().find(|room| room.name == name) else {
            wrong.push(format!("{name} has no floor: give it one in floors.rs"));
            continue;
        };
        for import in imports.iter().filter(|import| house.contains_key(*import)) {
            if !room.may_import.contains(&import.as_str()) {
                wrong.push(format!("{name} imports {import}, which its floor does not allow"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_itself_goes_strictly_down() {
    let floor = |name: &str| {
        let room = HOUSE.iter().find(|room| room.name == name);
        room.unwrap_or_else(|| panic!("{name} is not in the table")).floor
    };
    for room in HOUSE {
        for import in room.may_import {
            assert!(
                floor(import) < room.floor,
                "{} (floor {}) may not import {import} (floor {})",
                room.name,
                room.floor,
                floor(import)
            );
        }
    }
}

#[test]
fn what_must_never_be_seen_is_not_reachable() {
    let house = imports();
    for (name, never) in NEVER {
        let reached = reach(&house, name);
        for other in *never {
            assert!(!reached.contains(*other), "{name} reaches {other}");
        }
    }
}

#[test]
fn third_party_crates_stay_behind_their_doors() {
    let mut wrong = Vec::new();
    for (name, imports) in imports() {
        for (crate_, rooms) in DOORS {
            if imports.contains(*crate_) && !rooms.contains(&name.as_str()) {
                wrong.push(format!("{name} imports {crate_}; only {rooms:?} may"));
            }
        }
        for (room, without) in WITHOUT {
            for crate_ in without.iter().filter(|c| *room == name && imports.contains(**c)) {
                wrong.push(format!("{name} imports {crate_}, which it must do without"));
            }
        }
        if name == "twin" && !imports.is_empty() {
            wrong.push(format!("twin imports {imports:?}; the model imports nothing"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_manifests_were_really_read() {
    let house = imports();
    assert!(house["gatewayd"].contains("twin-store"), "{:?}", house["gatewayd"]);
    assert!(house["wire"].contains("hyper"), "{:?}", house["wire"]);
    assert!(reach(&house, "gatewayd").contains("rustls"));
}

/// Everything that a crate reaches through its own and others' normal dependencies.
fn reach(house: &BTreeMap<String, BTreeSet<String>>, name: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![name.to_owned()];
    while let Some(next) = open.pop() {
        for import in house.get(&next).into_iter().flatten() {
            if reached.insert(import.clone()) {
                open.push(import.clone());
            }
        }
    }
    reached
}

/// The crates of the house, each with its normal and build dependencies by package name.
///
/// Development dependencies are not in it, nor is the `tests` crate: a test may bring any peer.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let shared = tree::toml(&tree::root().join("Cargo.toml"));
    let shared = &shared["workspace"]["dependencies"];
    let mut house = BTreeMap::new();
    for folder in tree::members() {
        let (name, imports) = manifest(&folder, shared);
        if name != "tests" {
            house.insert(name, imports);
        }
    }
    house
}

fn manifest(folder: &Path, shared: &toml::Value) -> (String, BTreeSet<String>) {
    let manifest = tree::toml(&folder.join("Cargo.toml"));
    let name = manifest["package"]["name"].as_str().unwrap_or_default().to_owned();
    let mut tables = vec![&manifest];
    if let Some(targets) = manifest.get("target").and_then(toml::Value::as_table) {
        tables.extend(targets.values().filter_map(toml::Value::as_table));
    }
    let mut imports = BTreeSet::new();
    for table in tables {
        for kind in ["dependencies", "build-dependencies"] {
            let list = table.get(kind).and_then(toml::Value::as_table);
            for (key, value) in list.into_iter().flatten() {
                // A renamed crate is known by its package name, here or in the shared table.
                let renamed = value.get("package").or_else(|| shared.get(key)?.get("package"));
                let package = renamed.and_then(toml::Value::as_str).unwrap_or(key);
                imports.insert(package.to_owned());
            }
        }
    }
    (name, imports)
}
