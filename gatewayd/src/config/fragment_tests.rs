//! Fragments of gatewayd.toml, variables of the environment, and many devices in one file.

use settings::Environment;

use super::tests::Folder;
use super::{Loaded, Places, load_from};

const GATEWAY: &str = "[gateway]\nname = \"gw-1\"\n";

fn loaded(folder: &Folder, variables: &[(&str, &str)]) -> Loaded {
    let places = Places {
        environment: Environment::of(variables),
        ..Places::beside(&folder.path().join("gatewayd.toml"))
    };
    load_from(&places)
}

fn shown(folder: &Folder, loaded: &Loaded) -> String {
    let all: String = loaded.diagnostics.iter().map(|d| format!("{d}\n\n")).collect();
    all.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn fragments_are_read_in_the_order_of_their_names() {
    let folder = Folder::new(&[
        ("gatewayd.toml", GATEWAY),
        (
            "gatewayd.d/10-lines.toml",
            "[line.a]\ntcp = \"10.0.0.1\"\n[link.cloud]\nurl = \"mqtts://b\"\n",
        ),
        (
            "gatewayd.d/20-tls.toml",
            "[link.cloud.tls]\nserver_name = \"c\"\n[log]\nlevel = \"warn\"\n",
        ),
        ("gatewayd.d/.hidden.toml", "not looked at"),
        ("gatewayd.d/README", "not looked at"),
        (
            "devices.d/m.toml",
            "[modbus]\nline = \"a\"\n[[point]]\nname = \"a/b\"\naddress = \"holding:0\"\n",
        ),
    ]);
    let loaded = loaded(&folder, &[]);
    assert_eq!(loaded.exit_code(), 0, "{}", shown(&folder, &loaded));
    let plan = loaded.plan.unwrap();
    assert_eq!((&*plan.modbus[0].spec.id, plan.links.len()), ("a", 1));
    assert_eq!(plan.links[0].tls.as_ref().unwrap().server_name.as_deref(), Some("c"));
    assert_eq!(plan.log.to_string(), "warn");
}

#[test]
fn what_is_said_twice_or_wrongly_is_shown_where_it_stands() {
    let folder = Folder::new(&[
        (
            "gatewayd.toml",
            "[gateway]\nname = \"gw-1\"\n[line.a]\ntcp = \"10.0.0.1\"\n[log]\nlevel = \"info\"\n",
        ),
        ("gatewayd.d/10.toml", "[line.a]\ntcp = \"10.0.0.2\"\n[line.b]\nbaud = 9600\n"),
        ("gatewayd.d/20.toml", "[log]\nlevel = \"info\"\n[lin.c]\ntcp = \"x\"\n"),
        ("devices.d/m.toml", "[modbus]\nline = \"a\"\n"),
    ]);
    let loaded = loaded(&folder, &[]);
    assert_eq!(loaded.exit_code(), 78);
    insta::assert_snapshot!(shown(&folder, &loaded));
}

#[test]
fn meaning_is_judged_over_all_fragments() {
    let folder = Folder::new(&[
        ("gatewayd.toml", GATEWAY),
        ("gatewayd.d/10.toml", "[line.a]\ntcp = \"10.0.0.1\"\n"),
        ("gatewayd.d/20.toml", "\n\n[line.b]\ntcp = \"10.0.0.1:502\"\n[store]\nflush = \"2min\"\n"),
    ]);
    let loaded = loaded(&folder, &[]);
    assert_eq!(loaded.exit_code(), 78);
    insta::assert_snapshot!(shown(&folder, &loaded));
}

#[test]
fn a_fragment_that_cannot_be_read_makes_the_whole_unusable() {
    let folder = Folder::new(&[("gatewayd.toml", GATEWAY), ("gatewayd.d/10.toml", "[line")]);
    assert_eq!(loaded(&folder, &[]).exit_code(), 78);
    std::fs::write(folder.path().join("gatewayd.d/10.toml"), [0xff, 0xfe]).unwrap();
    let loaded = loaded(&folder, &[]);
    assert_eq!(loaded.exit_code(), 78);
    assert!(shown(&folder, &loaded).contains("gatewayd.d/10.toml: the file is not UTF-8"));
}

#[test]
fn variables_are_filled_into_texts_and_not_into_secrets() {
    let folder = Folder::new(&[
        (
            "gatewayd.toml",
            "[gateway]\nname = \"${SITE}-gw\"\n[link.cloud]\nurl = \"mqtt://${BROKER:-localhost}\"\n\
             user = \"u\"\npassword = \"env:BROKER_PASSWORD\"\n",
        ),
        (
            "devices.d/m.toml",
            "id = \"${SITE}-meter-{unit}\"\n[modbus]\ntcp = \"${PLC}\"\nunits = \"1-2\"\n\
             [[point]]\nname = \"a/b\"\naddress = \"holding:0\"\n",
        ),
    ]);
    let loaded = loaded(&folder, &[("SITE", "north"), ("PLC", "10.0.0.9:1502")]);
    assert_eq!(loaded.exit_code(), 0, "{}", shown(&folder, &loaded));
    let plan = loaded.plan.unwrap();
    assert_eq!(plan.gateway.as_str(), "north-gw");
    assert_eq!(plan.links[0].host, "localhost");
    assert_eq!(&*plan.modbus[0].spec.id, "tcp:10.0.0.9:1502");
    let twins: Vec<&str> = plan.devices().map(|device| device.twin.as_str()).collect();
    assert_eq!(twins, ["north-meter-1", "north-meter-2"]);
}

#[test]
fn a_variable_that_is_missing_is_named_in_its_place() {
    let folder = Folder::new(&[
        (
            "gatewayd.toml",
            "[gateway]\nname = \"${SITE}\"\n[link.cloud]\nurl = \"mqtt://b\"\nuser = \"u\"\npassword = \"${PW}\"\n",
        ),
        (
            "devices.d/m.toml",
            "[modbus]\ntcp = \"${PLC}\"\n[[point]]\nname = \"a/b\"\naddress = \"holding:0\"\n",
        ),
    ]);
    let loaded = loaded(&folder, &[("PW", "hunter2")]);
    assert_eq!((loaded.exit_code(), loaded.disabled.len()), (78, 1));
    let shown = shown(&folder, &loaded);
    assert!(!shown.contains("hunter2"), "{shown}");
    insta::assert_snapshot!(shown);
}

#[test]
fn a_file_of_many_devices_says_what_is_wrong_with_it() {
    let device = "[modbus]\ntcp = \"10.0.0.9\"\nunits = \"1-32\"\n[[point]]\nname = \"a/b\"\naddress = \"holding:0\"\n";
    let folder = Folder::new(&[
        ("gatewayd.toml", GATEWAY),
        ("devices.d/a-many.toml", &format!("id = \"m-{{unit}}\"\n{device}")),
        ("devices.d/b-same-id.toml", &format!("id = \"m\"\n{}", device.replace("0.9", "0.8"))),
        ("devices.d/c-list.toml", &device.replace("1-32", "32-1")),
        ("devices.d/d-twice.toml", &device.replace("1-32", "1-3,2")),
        ("devices.d/e-both.toml", &device.replace("units", "unit = 1\nunits")),
        ("devices.d/f-overlap.toml", &device.replace("1-32", "30-34")),
    ]);
    let loaded = loaded(&folder, &[]);
    assert_eq!(loaded.exit_code(), 1);
    assert_eq!(loaded.plan.as_ref().unwrap().devices().count(), 34, "33 and 34 are free");
    insta::assert_snapshot!(shown(&folder, &loaded));
}
