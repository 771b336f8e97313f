//! What the package ships as configuration: complete, sound, and true.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

use super::file::GatewayFile;
use super::tests::Folder;

fn etc() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../etc")
}

fn reference() -> String {
    std::fs::read_to_string(etc().join("gatewayd.toml")).unwrap()
}

/// The reference with every example switched on: a `#` directly before a key or a section is taken off.
fn switched_on() -> String {
    let on = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()) => {
            rest.to_owned()
        }
        _ => line.to_owned(),
    };
    reference().lines().map(|line| on(line) + "\n").collect()
}

/// Every path of keys that the schema knows, `*` standing for a name of the operator's.
fn known(schema: &Value, path: &str, keys: &mut BTreeSet<String>) {
    for list in ["anyOf", "oneOf", "allOf"] {
        for branch in schema.get(list).and_then(Value::as_array).into_iter().flatten() {
            known(branch, path, keys);
        }
    }
    for (key, inner) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = format!("{path}/{key}");
        known(inner, &path, keys);
        keys.insert(path);
    }
    if let Some(rest) = schema.get("additionalProperties").filter(|rest| rest.is_object()) {
        known(rest, &format!("{path}/*"), keys);
    }
}

/// Every path of keys that the file has, names of the operator's as `*`.
fn present(value: &toml::Value, path: &str, known: &BTreeSet<String>, keys: &mut BTreeSet<String>) {
    for (key, inner) in value.as_table().into_iter().flatten() {
        let own = format!("{path}/{key}");
        let path = if known.contains(&own) { own } else { format!("{path}/*") };
        present(inner, &path, known, keys);
        keys.insert(path);
    }
}

#[test]
fn the_reference_has_every_key() {
    let mut all = BTreeSet::new();
    known(&settings::schema::<GatewayFile>(), "", &mut all);
    assert!(all.contains("/line/*/baud") && all.contains("/link/*/tls/ca_file"), "{all:?}");
    let mut there = BTreeSet::new();
    present(&toml::from_str(&switched_on()).unwrap(), "", &all, &mut there);
    let missing: Vec<_> = all.difference(&there).collect();
    assert!(missing.is_empty(), "gatewayd.toml does not mention {missing:?}");
}

#[test]
fn the_reference_is_sound_with_its_examples_off_and_on() {
    for text in [reference(), switched_on()] {
        let folder = Folder::new(&[("gatewayd.toml", &text)]);
        let loaded = folder.load();
        assert_eq!(loaded.exit_code(), 0, "{}", folder.shown());
    }
}

#[test]
fn the_defaults_are_what_the_reference_says() {
    let on = Folder::new(&[("gatewayd.toml", &switched_on())]).load().plan.unwrap();
    let off = Folder::new(&[("gatewayd.toml", &reference())]).load().plan.unwrap();
    let ages = super::plan::StorePlan {
        samples_age: off.store.samples_age,
        thin_age: off.store.thin_age,
        records_age: off.store.records_age,
        ..on.store.clone()
    };
    assert_eq!(ages, off.store, "[store] shows other defaults than hold");
    assert_eq!(on.control.socket, off.control.socket);
    assert_eq!(on.log.level, off.log.level);
    let text = "[gateway]\nname = \"gateway-1\"\n[link.cloud]\nurl = \"mqtts://broker.example\"\n\
                user = \"gateway-1\"\npassword = \"cred:cloud-password\"\nbacklog_rate = 1000\n\
                zone = \"Europe/Berlin\"\nbatch = { compress = \"gzip\" }\n\
                budget = { month = \"500MB\" }\n[[link.cloud.schedule]]\n\
                classes = [\"record\", \"sample\"]\nfrom = \"22:00\"\nto = \"06:00\"\n";
    let bare = Folder::new(&[("gatewayd.toml", text)]).load().plan.unwrap();
    let shown = dialects::LinkSpec { tls: bare.links[0].tls.clone(), ..on.links[0].clone() };
    assert_eq!(shown, bare.links[0], "[link] shows other defaults than hold");
}

#[test]
fn the_examples_are_sound() {
    let mut count = 0;
    for entry in std::fs::read_dir(etc().join("devices.d")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let folder = Folder::new(&[("gatewayd.toml", &switched_on()), ("devices.d/x.toml", &text)]);
        let places = super::Places {
            profiles: adapter::profile::Library::new(vec![etc().join("profiles")]),
            ..super::Places::beside(&folder.path().join("gatewayd.toml"))
        };
        let loaded = super::load_from(&places);
        let shown: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
        assert_eq!(loaded.exit_code(), 0, "{}:\n{}", path.display(), shown.join("\n"));
        assert!(loaded.plan.unwrap().devices().next().is_some());
        count += 1;
    }
    assert!(count >= 3);
}

#[test]
fn an_editor_gets_a_schema() {
    let schema = settings::schema::<super::file::DeviceFile>();
    let point = &schema["properties"]["point"]["items"]["properties"];
    for key in ["name", "unit", "address", "order"] {
        assert!(point[key]["description"].is_string(), "{key} is not explained");
    }
}
