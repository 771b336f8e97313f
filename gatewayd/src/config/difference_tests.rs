//! What differs between two configurations, and what that costs.

use control::{Action, Applies, DeviceAction};

use super::difference::difference;
use super::plan::Plan;
use super::tests::Folder;

const GATEWAY: &str = "[gateway]\nname = \"gw-1\"\n[line.bus]\nserial = \"/dev/ttyAMA0\"\nbaud = 9600\n\
    [line.plc]\ntcp = \"10.0.0.5\"\n[link.cloud]\nurl = \"mqtt://b\"\nwindow = 256\n";

fn device(line: &str, unit: u8) -> String {
    format!(
        "[modbus]\nline = \"{line}\"\nunit = {unit}\n[group.main]\ninterval = \"1s\"\n\
         [[point]]\nname = \"grid/power\"\naddress = \"holding:0\"\nscale = 0.1\n\
         [[point]]\nname = \"grid/energy\"\naddress = \"holding:2\"\n"
    )
}

/// Three devices on a bus, one on a PLC, one link.
fn folder() -> Folder {
    let folder = Folder::new(&[("gatewayd.toml", GATEWAY)]);
    for unit in 1..=3 {
        folder.write(&format!("devices.d/m-{unit}.toml"), &device("bus", unit));
    }
    folder.write("devices.d/p.toml", &device("plc", 1));
    folder
}

fn plan(folder: &Folder) -> Plan {
    let loaded = folder.load();
    assert_eq!(loaded.exit_code(), 0, "{}", folder.shown());
    loaded.plan.unwrap()
}

fn steps(before: &Plan, after: &Plan) -> control::Plan {
    difference(before, after, &|_| false)
}

#[test]
fn equal_files_are_no_work() {
    let folder = folder();
    let before = plan(&folder);
    // Comments, order and the spelling of what holds anyway do not count; nor does the name of a device file.
    let text =
        format!("# a comment\n{GATEWAY}[log]\nlevel = \"info\"\n[store]\nflush = \"1000ms\"\n");
    folder.write("gatewayd.toml", &text);
    folder.write("devices.d/m-3.toml", "");
    std::fs::remove_file(folder.path().join("devices.d/m-3.toml")).unwrap();
    folder.write("devices.d/0-renamed.toml", &format!("id = \"m-3\"\n{}", device("bus", 3)));
    let steps = steps(&before, &plan(&folder));
    assert_eq!(steps, control::Plan { same: 3, ..control::Plan::default() });
}

#[test]
fn a_start_is_the_difference_from_nothing() {
    let all = plan(&folder());
    let steps = steps(&all.idle(), &all);
    let actions: Vec<_> =
        steps.lines.iter().map(|l| (&*l.name, l.action, l.devices.len())).collect();
    assert_eq!(actions, [("bus", Action::Start, 3), ("plc", Action::Start, 1)]);
    assert_eq!((steps.links.len(), steps.settings.len(), steps.same), (1, 0, 0));
}

#[test]
fn a_changed_device_leaves_its_line_and_the_others_alone() {
    let folder = folder();
    let before = plan(&folder);
    let text = device("bus", 2).replace("0.1", "0.01").replace("holding:2", "holding:4");
    folder.write("devices.d/m-2.toml", &text.replace("\"1s\"", "\"2s\""));
    let steps = steps(&before, &plan(&folder));
    let [bus] = &*steps.lines else { panic!("{steps:?}") };
    assert_eq!((bus.action, bus.same, bus.why.len(), steps.same), (Action::Configure, 2, 0, 2));
    let [device] = &*bus.devices else { panic!("{bus:?}") };
    assert_eq!((&*device.twin, device.action), ("m-2", DeviceAction::Change));
    assert_eq!(device.why, ["group changed: main", "points changed: grid/energy, grid/power"]);
}

#[test]
fn devices_come_and_go_and_move() {
    let folder = folder();
    let before = plan(&folder);
    std::fs::remove_file(folder.path().join("devices.d/m-1.toml")).unwrap();
    folder.write("devices.d/m-3.toml", &device("plc", 3));
    folder.write("devices.d/n.toml", &device("bus", 9));
    let steps = steps(&before, &plan(&folder));
    let device = |line: usize| -> Vec<_> {
        let line = &steps.lines[line];
        assert_eq!(line.action, Action::Configure);
        line.devices.iter().map(|d| (&*d.twin, d.action)).collect()
    };
    use DeviceAction::{Add, Remove};
    assert_eq!(device(0), [("m-1", Remove), ("m-3", Remove), ("n", Add)]);
    assert_eq!(device(1), [("m-3", Add)]);
}

#[test]
fn a_line_is_rebuilt_by_its_own_settings_only_and_says_which() {
    let folder = folder();
    let before = plan(&folder);
    let text = GATEWAY.replace("baud = 9600", "baud = 19200\nparity = \"none\"");
    folder.write("gatewayd.toml", &text);
    let rebuilt = steps(&before, &plan(&folder));
    let [bus] = &*rebuilt.lines else { panic!("{rebuilt:?}") };
    assert_eq!((bus.action, bus.same, bus.devices.len()), (Action::Rebuild, 3, 0));
    assert_eq!(bus.why, ["baud: 9600 → 19200", "parity: not given → \"none\""]);
    // A timeout of the line is a setting of its devices.
    folder.write("gatewayd.toml", &GATEWAY.replace("baud = 9600", "baud = 9600\ntimeout = \"2s\""));
    let patient = steps(&before, &plan(&folder));
    assert_eq!(patient.lines[0].action, Action::Configure);
    assert_eq!(patient.lines[0].devices[0].why, ["timeout: 1s → 2s"]);
}

#[test]
fn a_link_says_which_keys_changed() {
    let folder = folder();
    let before = plan(&folder);
    folder.write("gatewayd.toml", &GATEWAY.replace("window = 256", "window = 128"));
    let changed = steps(&before, &plan(&folder));
    let [link] = &*changed.links else { panic!("{changed:?}") };
    assert_eq!((link.action, &*link.why), (Action::Rebuild, &["window: 256 → 128".to_owned()][..]));
    folder.write("gatewayd.toml", GATEWAY.split("[link").next().unwrap());
    assert_eq!(steps(&before, &plan(&folder)).links[0].action, Action::Stop);
}

#[test]
fn what_was_given_up_is_tried_again() {
    let all = plan(&folder());
    let steps = difference(&all, &all, &|unit| unit == "line bus");
    let [bus] = &*steps.lines else { panic!("{steps:?}") };
    assert_eq!((bus.action, bus.same), (Action::Rebuild, 3));
    assert_eq!(bus.why, ["it was given up, and is tried again"]);
}

#[test]
fn every_setting_is_named_and_says_when_it_applies() {
    let folder = folder();
    let before = plan(&folder);
    let text = format!(
        "{GATEWAY}[store]\ndir = \"/srv/store\"\nflush = \"2s\"\nsamples_age = \"30d\"\n\
         [control]\nsocket = \"/run/x\"\ngroup = \"ops\"\n[health]\nlisten = \"127.0.0.1:9\"\n\
         [log]\nlevel = \"debug\"\nparts = {{ wire = \"trace\" }}\n"
    );
    folder.write("gatewayd.toml", &text.replace("gw-1", "gw-2"));
    let steps = steps(&before, &plan(&folder));
    let shown: Vec<String> = steps
        .settings
        .iter()
        .map(|s| {
            let word = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
            let when = if s.applies == Applies::Reload { "now" } else { "restart" };
            format!("{} {} {} {when}\n", s.key, word(&s.from), word(&s.to))
        })
        .collect();
    insta::assert_snapshot!(shown.concat());
}

#[test]
fn the_name_of_the_gateway_changes_no_link_before_a_restart() {
    let folder = folder();
    let before = plan(&folder);
    folder.write("gatewayd.toml", &GATEWAY.replace("gw-1", "gw-2"));
    let running = Some(before.gateway.clone());
    let places =
        super::Places { running, ..super::Places::beside(&folder.path().join("gatewayd.toml")) };
    let steps = steps(&before, &super::load_from(&places).plan.unwrap());
    assert_eq!((steps.same, steps.settings.len()), (3, 1), "{steps:?}");
}

#[test]
fn what_is_the_same_is_in_memory_once() {
    let folder = folder();
    let before = plan(&folder);
    folder.write("devices.d/m-2.toml", &device("bus", 4));
    let mut after = plan(&folder);
    after.share(&before);
    let shared = |n: usize| {
        std::sync::Arc::ptr_eq(&before.modbus[0].devices[n], &after.modbus[0].devices[n])
    };
    assert_eq!([shared(0), shared(1), shared(2)], [true, false, true]);
}
