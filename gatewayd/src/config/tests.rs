//! What configuration comes to, on real directories.

use std::path::Path;

use adapter_modbus::spec::{SerialPort, Transport, When};
use twin::{Acquisition, Description, IntKind, ValueType};

use super::{Loaded, Places, load};

/// A configuration in a directory of its own.
pub(super) struct Folder(tempfile::TempDir);

impl Folder {
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            folder.write(name, text);
        }
        folder
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn load(&self) -> Loaded {
        load(&self.0.path().join("gatewayd.toml"))
    }

    /// Every mistake as shown, without the path of the directory.
    pub(super) fn shown(&self) -> String {
        let place = format!("{}/", self.0.path().display());
        let shown = self.load().diagnostics.iter().map(|d| format!("{d}\n\n")).collect::<String>();
        shown.replace(&place, "")
    }
}

const GATEWAY: &str = "[gateway]\nname = \"gw-1\"\n";
const PUMP: &str = "[modbus]\ntcp = \"127.0.0.1:1502\"\nunit = 3\n[group.fast]\ninterval = \"1s\"\n\
    [[point]]\nname = \"motor/speed\"\naddress = \"holding:7\"\nscale = 0.1\nunit = \"1/min\"\n\
    [[point]]\nname = \"motor/on\"\naddress = \"holding:8\"\nbit = 0\nwritable = true\npartial = \"mask\"\n";

#[test]
fn a_device_needs_few_lines() {
    let folder = Folder::new(&[("gatewayd.toml", GATEWAY), ("devices.d/pump-1.toml", PUMP)]);
    let loaded = folder.load();
    assert_eq!((loaded.exit_code(), loaded.diagnostics.len()), (0, 0), "{:?}", loaded.diagnostics);
    let plan = loaded.plan.unwrap();
    let [line] = plan.modbus.as_slice() else { panic!("{plan:?}") };
    assert_eq!(&*line.spec.id, "tcp:127.0.0.1:1502");
    let device = &line.devices[0];
    assert_eq!((device.twin.as_str(), device.device.unit), ("pump-1", 3));
    let speed = &device.declaration.points[0];
    assert_eq!(speed.value_type, ValueType::Decimal { raw: IntKind::U16, exponent: -1 });
    assert!(speed.access.writable.is_none(), "nothing is writable that does not say so");
    assert!(device.declaration.points[1].access.writable.is_some());
    let group = &device.declaration.groups[0];
    assert_eq!(group.acquisition, Acquisition::Polled { interval: 1_000_000 });
    assert_eq!(group.max_age, 3_000_000);
}

#[test]
fn the_indexes_of_the_log_go_into_the_device() {
    let folder = Folder::new(&[("gatewayd.toml", GATEWAY), ("devices.d/pump-1.toml", PUMP)]);
    let plan = folder.load().plan.unwrap();
    let device = plan.devices().next().unwrap();
    let mut earlier = (*device.declaration).clone();
    earlier.points.reverse();
    let first = Description::default().revise(&earlier).unwrap().description;
    let revised = first.revise(&device.declaration).unwrap();
    let spec = device.device.spec(&device.twin, &device.declaration, &revised);
    assert_eq!(spec.points.iter().map(|p| p.index).collect::<Vec<_>>(), [1, 0]);
    assert_eq!(spec.points[0].codec.address().to_string(), "holding:7");
    assert_eq!(spec.groups[0].when, When::Every(1_000_000));
    assert_eq!(spec.revision, revised.description.revision);
    assert!(spec.points[0].write.is_none() && spec.points[1].write.is_some());
}

#[test]
fn equal_files_are_equal_plans() {
    let files = [("gatewayd.toml", GATEWAY), ("devices.d/a.toml", PUMP)];
    let (one, two) = (Folder::new(&files), Folder::new(&files));
    let plans = || (one.load().plan.unwrap(), two.load().plan.unwrap());
    let (a, b) = plans();
    assert_eq!(a.modbus[0].spec, b.modbus[0].spec);
    assert_eq!(a.modbus[0].devices[0].device, b.modbus[0].devices[0].device);
    assert_eq!(one.load().plan, one.load().plan);
    two.write("devices.d/a.toml", &PUMP.replace("scale = 0.1", "scale = 0.01"));
    let (a, b) = plans();
    assert_ne!(a.modbus[0].devices[0].device, b.modbus[0].devices[0].device);
    assert_eq!(a.modbus[0].spec, b.modbus[0].spec, "another scale is no other line");
}

#[test]
fn devices_at_one_address_share_one_line() {
    let lines = format!("{GATEWAY}[line.plc]\ntcp = \"PLC.example\"\ntimeout = \"250ms\"\n");
    let inline = PUMP.replace("127.0.0.1:1502", "plc.example:502");
    let folder = Folder::new(&[
        ("gatewayd.toml", &lines),
        ("devices.d/a.toml", &inline),
        (
            "devices.d/b.toml",
            &PUMP.replace("tcp = \"127.0.0.1:1502\"\nunit = 3", "line = \"plc\"\nunit = 4"),
        ),
    ]);
    let loaded = folder.load();
    assert_eq!(loaded.exit_code(), 0, "{:?}", loaded.diagnostics);
    let plan = loaded.plan.unwrap();
    let [line] = plan.modbus.as_slice() else { panic!("{plan:?}") };
    assert_eq!((&*line.spec.id, line.devices.len()), ("plc", 2));
    assert!(
        line.devices.iter().all(|d| d.device.timeout == 250_000),
        "the line's timeout is theirs"
    );
}

#[test]
fn a_serial_line_is_hardware() {
    let lines =
        format!("{GATEWAY}[line.bus]\nusb = \"0403:6001\"\nusb_serial = \"A9\"\nbaud = 19200\n");
    let pump =
        PUMP.replace("tcp = \"127.0.0.1:1502\"\nunit = 3", "line = \"bus\"\nunits = \"1-3,9\"");
    let folder = Folder::new(&[("gatewayd.toml", &lines), ("devices.d/meter.toml", &pump)]);
    let loaded = folder.load();
    assert_eq!(loaded.exit_code(), 0, "{:?}", loaded.diagnostics);
    let plan = loaded.plan.unwrap();
    let Transport::Serial(serial) = &plan.modbus[0].spec.transport else { panic!("{plan:?}") };
    assert!(matches!(serial.port, SerialPort::Usb { vendor: 0x0403, product: 0x6001, .. }));
    let ids: Vec<&str> = plan.devices().map(|d| d.twin.as_str()).collect();
    assert_eq!(ids, ["meter-1", "meter-2", "meter-3", "meter-9"]);
}

#[test]
fn a_broken_device_takes_only_itself_away() {
    let folder = Folder::new(&[
        ("gatewayd.toml", GATEWAY),
        ("devices.d/a.toml", PUMP),
        ("devices.d/b.toml", "id = \"pump-b\"\nthis is not TOML"),
    ]);
    let loaded = folder.load();
    assert_eq!(loaded.exit_code(), 1);
    assert_eq!(loaded.plan.as_ref().unwrap().devices().count(), 1);
    assert!(loaded.disabled[0].file.ends_with("b.toml"));
    assert_eq!(loaded.disabled[0].twins[0].as_str(), "pump-b", "its twin was not removed");
}

#[test]
fn without_gatewayd_toml_there_is_no_plan() {
    for text in ["", "[gateway]\nname = \"a b\"\n", "[gateway"] {
        let folder = Folder::new(&[("gatewayd.toml", text), ("devices.d/a.toml", PUMP)]);
        let loaded = folder.load();
        assert_eq!((loaded.exit_code(), loaded.plan.is_none()), (78, true), "{text:?}");
    }
    assert_eq!(Folder::new(&[]).load().exit_code(), 78, "a missing file");
}

#[test]
fn places_are_beside_the_file() {
    assert_eq!(Places::beside(Path::new("gatewayd.toml")).devices, Path::new("./devices.d"));
    assert_eq!(Places::beside(Path::new("/etc/g/x.toml")).devices, Path::new("/etc/g/devices.d"));
}

#[test]
fn two_links_to_one_port_are_one_line() {
    let folder = Folder::new(&[("gatewayd.toml", GATEWAY)]);
    let link = |name: &str, to: &Path| {
        let path = folder.path().join(name);
        std::os::unix::fs::symlink(to, &path).unwrap();
        path.display().to_string()
    };
    // What they lead to, not what they are called: directly, over another link, and by a path with a detour.
    let first = link("first", Path::new("/dev/null"));
    let second = link("second", &folder.path().join("first"));
    let other = link("other", Path::new("/dev/zero"));
    let line =
        |name: &str, path: &str| format!("[line.{name}]\nserial = \"{path}\"\nbaud = 9600\n");
    let lines = [line("a", &first), line("b", &second), line("c", &other)].concat();
    folder.write("gatewayd.toml", &format!("{GATEWAY}{lines}"));
    let shown = folder.shown();
    assert_eq!(folder.load().exit_code(), 78, "{shown}");
    assert!(shown.contains("this is already the line \"a\""), "{shown}");
    assert!(!shown.contains("already the line \"b\""), "the third one is another: {shown}");

    // A device that is alone on its port joins the line that has it.
    folder.write("gatewayd.toml", &format!("{GATEWAY}{}", line("a", &first)));
    let device =
        PUMP.replace("tcp = \"127.0.0.1:1502\"", &format!("serial = \"{second}\"\nbaud = 9600"));
    folder.write("devices.d/pump-1.toml", &device);
    let shown = folder.shown();
    assert_eq!(folder.load().exit_code(), 1, "{shown}");
    assert!(shown.contains("set up in two different ways"), "{shown}");
}
