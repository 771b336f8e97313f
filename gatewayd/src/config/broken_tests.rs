//! What is said about broken files, word by word.

use super::tests::Folder;

const GATEWAY: &str = "[gateway]\nname = \"gw-1\"\n\
    [line.bus-1]\nserial = \"/dev/ttyAMA0\"\nbaud = 9600\n\
    [line.plc]\ntcp = \"10.0.0.5\"\n";

const SOUND: &str =
    "[modbus]\ntcp = \"10.0.0.9\"\nunit = 3\n[[point]]\nname = \"a/b\"\naddress = \"holding:1\"\n";

#[test]
fn a_folder_of_broken_devices() {
    let folder = Folder::new(&[
        ("gatewayd.toml", GATEWAY),
        (
            "profiles/acme/pump.toml",
            "status = \"unverified\"\nsource = { title = \"t\", revision = \"r\", page = \"1\" }\n\
            [[point]]\nname = \"m/s\"\naddress = \"40001\"\nunit = \"rpm\"\n",
        ),
        // One that is sound, and several that claim what it has.
        ("devices.d/a-sound.toml", SOUND),
        ("devices.d/b-same-unit.toml", SOUND),
        (
            "devices.d/c-same-twin.toml",
            &format!("id = \"a-sound\"\n{}", SOUND.replace("= 3", "= 4")),
        ),
        (
            "devices.d/d-other-baud.toml",
            &SOUND.replace("tcp = \"10.0.0.9\"", "serial = \"/dev/ttyAMA0\"\nbaud = 19200"),
        ),
        // Keys, words and types.
        (
            "devices.d/e-keys.toml",
            "profil = \"acme/pump\"\n[modbus]\nline = \"plc\"\nunit = 300\ntimout = \"1s\"\n\
            [group.fast]\ninterval = 5\n[[point]]\nname = \"a/b\"\nadress = \"holding:0\"\ntype = \"float\"\nrange = [1]\n",
        ),
        // Meaning.
        (
            "devices.d/f-meaning.toml",
            "[modbus]\nline = \"plx\"\nidentity = [\"plate/serial\"]\n\
            [group.fast]\ninterval = \"1s\"\nmax_age = \"500ms\"\n[group.slow]\non_demand = true\ninterval = \"1s\"\n\
            [[point]]\nname = \"ab\"\naddress = \"holding:0\"\nunit = \"°C\"\ngroup = \"fats\"\nrange = [5, 1]\n\
            [[point]]\nname = \"a/c\"\naddress = \"40002\"\nwritable = true\n\
            [[point]]\nname = \"a/d\"\naddress = \"input:3\"\nwritable = true\ngroup = \"fast\"\n\
            [[point]]\nname = \"a/d\"\naddress = \"input:4\"\n\
            [[point]]\nname = \"a/e\"\naddress = \"holding:5\"\nlabels = { x = \"on\" }\ndeadband = -1\ngroup = \"slow\"\n",
        ),
        (
            "devices.d/f-report.toml",
            "[modbus]\nline = \"plc\"\n[group.asked]\non_demand = true\n[group.main]\ninterval = \"10s\"\n\
            [[point]]\nname = \"a/a\"\naddress = \"holding:0\"\ndeadband = \"2 percent\"\n\
            [[point]]\nname = \"a/b\"\naddress = \"holding:1\"\ndeadband = \"-2 %\"\nmin_interval = \"1min\"\nmax_interval = \"30s\"\n\
            [[point]]\nname = \"a/c\"\naddress = \"holding:2\"\ntype = \"text\"\nlength = 4\ndeadband = \"2 %\"\nmax_interval = \"5s\"\n\
            [[point]]\nname = \"a/d\"\naddress = \"holding:5\"\ngroup = \"asked\"\nmin_interval = \"5s\"\n\
            [[point]]\nname = \"a/e\"\naddress = \"holding:6\"\nreport = \"always\"\ndeadband = 1\nmin_interval = \"5s\"\n\
            [[point]]\nname = \"a/f\"\naddress = \"holding:7\"\ndeadband = true\nmax_interval = \"soon\"\n",
        ),
        (
            "devices.d/f-alarms.toml",
            "[modbus]\nline = \"plc\"\n\
            [[point]]\nname = \"a/a\"\naddress = \"holding:0\"\nscale = 0.1\n\
            [[point]]\nname = \"a/b\"\naddress = \"holding:1\"\nlabels = { 0 = \"off\", 3 = \"fault\" }\n\
            [[point]]\nname = \"a/c\"\naddress = \"holding:2\"\ntype = \"text\"\nlength = 4\n\
            [[alarm]]\nname = \"hot\"\npoint = \"a/a\"\nabove = 1\n\
            [[alarm]]\nname = \"a/a\"\npoint = \"a/a\"\nabove = 1\n\
            [[alarm]]\nname = \"x/1\"\nabove = 1\n\
            [[alarm]]\nname = \"x/2\"\npoint = \"a/d\"\nabove = 1\n\
            [[alarm]]\nname = \"x/3\"\npoint = \"a/a\"\n\
            [[alarm]]\nname = \"x/4\"\npoint = \"a/a\"\nabove = 1\nbelow = 0\n\
            [[alarm]]\nname = \"x/5\"\npoint = \"a/c\"\nabove = 1\nhysteresis = -1\nseverity = 1001\n\
            [[alarm]]\nname = \"x/6\"\npoint = \"a/b\"\nis = [\"fualt\", 3]\nhysteresis = 2\n\
            [[alarm]]\nname = \"x/7\"\npoint = \"a/a\"\nbits = 0\n\
            [[alarm]]\nname = \"x/8\"\npoint = \"a/a\"\nchange = 5\n\
            [[alarm]]\nname = \"x/9\"\npoint = \"a/a\"\nstale = \"10ms\"\nwithin = \"1s\"\n\
            [[alarm]]\nname = \"x/8\"\npoint = \"a/a\"\nbelow = 2\n\
            [[alarm]]\nname = \"y/1\"\npoint = \"a/a\"\nabov = 2\nis = true\n",
        ),
        (
            "devices.d/f-guard.toml",
            "[modbus]\nline = \"plc\"\n\
            [[point]]\nname = \"a/a\"\naddress = \"holding:0\"\nrequires = [{ point = \"a/b\", is = 1 }]\nwrite_interval = \"5s\"\nhold = true\n\
            [[point]]\nname = \"a/c\"\naddress = \"holding:3\"\nwritable = true\nhold = true\nhold_interval = \"10ms\"\nhold_times = 0\n\
            [[point]]\nname = \"a/d\"\naddress = \"holding:4\"\nwritable = true\nhold_interval = \"10s\"\n\
            [[point]]\nname = \"a/b\"\naddress = \"holding:1\"\nwritable = true\nlabels = { 1 = \"on\" }\n\
            requires = [{ point = \"a/x\", is = 1 },\n{ point = \"a/b\" },\n{ point = \"a/b\", is = \"of\" },\n\
            { point = \"a/b\", above = 1, below = 2 }]\n",
        ),
        ("devices.d/g-profile.toml", "profile = \"acme/pmup\"\nmodbus = { line = \"plc\" }\n"),
        // The mistake is in the profile, and is shown there.
        (
            "devices.d/h-in-profile.toml",
            "profile = \"acme/pump\"\nmodbus = { line = \"plc\", unit = 9 }\n",
        ),
        (
            "devices.d/h-the-same.toml",
            "profile = \"acme/pump\"\nmodbus = { line = \"plc\", unit = 10 }\n",
        ),
        ("devices.d/i-nowhere.toml", "[[point]]\nname = \"a/b\"\naddress = \"holding:0\"\n"),
        ("devices.d/j-syntax.toml", "[modbus\nline = \n[[point]]\nname = \"a/b\n"),
        ("devices.d/k name.toml", &SOUND.replace("= 3", "= 7")),
        (
            "devices.d/l-units.toml",
            "id = \"m\"\n[modbus]\nline = \"bus-1\"\nunits = \"1-3\"\n\
            [[point]]\nname = \"a/b\"\naddress = \"holding:0\"\n",
        ),
        ("devices.d/.hidden.toml", "not looked at"),
        ("devices.d/note.txt", "not looked at"),
    ]);
    let loaded = folder.load();
    assert_eq!(loaded.exit_code(), 1);
    assert_eq!(loaded.plan.as_ref().unwrap().devices().count(), 1, "the sound one runs");
    assert_eq!(loaded.disabled.len(), 15);
    insta::assert_snapshot!(folder.shown());
}

#[test]
fn a_broken_gatewayd_toml() {
    let folder = Folder::new(&[(
        "gatewayd.toml",
        "[gateway]\nname = \"gw 1\"\n[store]\nflush = \"2min\"\nstretch = \"1s\"\nsamples = \"1MiB\"\nring = \"1B\"\n\
         [line.a]\ntcp = \"10.0.0.5\"\n[line.b]\ntcp = \"10.0.0.5:502\"\n[line.c]\nserial = \"/dev/ttyUSB0\"\n\
         baud = 9600\n[line.\"d e\"]\npause = \"1s\"\n[health]\nlisten = \"9464\"\n\
         [link.cloud]\nurl = \"broker\"\npassword = \"cred:x\"\ncommands = [\"*\"]\nclasses = [\"sample\"]\n",
    )]);
    assert_eq!(folder.load().exit_code(), 78);
    insta::assert_snapshot!(folder.shown());
}

#[test]
fn budgets_that_contradict_each_other() {
    let wrong = |keys: &str| {
        let text = format!("[gateway]\nname = \"g\"\n[store]\n{keys}");
        let loaded = Folder::new(&[("gatewayd.toml", &text)]).load();
        assert_eq!(loaded.exit_code(), 78, "{keys}");
        loaded.diagnostics.iter().map(|d| (d.line, d.key.clone())).collect::<Vec<_>>()
    };
    assert_eq!(wrong("thin = \"10ms\"\n"), [(4, "store.thin".to_owned())]);
    assert_eq!(wrong("thin = \"2d\"\n"), [(4, "store.thin".to_owned())]);
    let off = wrong("thin = \"0\"\nthin_age = \"1d\"\n");
    assert_eq!(off, [(5, "store.thin_age".to_owned())]);
    let late = wrong("samples_age = \"1d\"\nthin_age = \"1d\"\n");
    assert_eq!(late, [(5, "store.thin_age".to_owned())]);
    assert_eq!(wrong("thin_age = \"1s\"\n"), [(4, "store.thin_age".to_owned())]);
}

#[test]
fn a_gatewayd_toml_of_unknown_words() {
    let folder = Folder::new(&[(
        "gatewayd.toml",
        "[gatway]\nname = \"g\"\n[store]\nflush = 1\nsamples = \"1 megabyte\"\n[line.a]\nprotocol = \"modbuss\"\n\
         parity = \"evn\"\nstop_bits = 3\n[link.cloud]\npassword = \"hunter2\"\nversion = \"4\"\nwindow = 0\n\
         [log]\nlevel = \"verbose\"\n[control]\nsocket = 7\n",
    )]);
    assert_eq!(folder.load().exit_code(), 78);
    let shown = folder.shown();
    assert!(!shown.contains("hunter2"), "a secret is not repeated");
    insta::assert_snapshot!(shown);
}

#[test]
fn shape_and_meaning_are_judged_in_one_run() {
    let links = "[link.near]\nurl = \"http://b\"\n[link.far]\nurl = \"mqtt://b\"\nwindo = 3\n[[link.far.tls]]\nx = 1\n";
    let device = "[modbus]\ntcp = \"10.0.0.9\"\nunit = 300\n[group.slow]\ninterval = 5\n\
        [[point]]\nname = \"a/b\"\nadress = \"holding:1\"\n\
        [[point]]\naddress = \"holding:2\"\n\
        [[point]]\nname = \"a/c\"\naddress = \"holding:3\"\nunit = \"Celsius\"\n\
        [[point]]\nname = \"a/c\"\naddress = \"holding:4\"\ngroup = \"slow\"\n";
    let folder = Folder::new(&[
        ("gatewayd.toml", &format!("{GATEWAY}{links}")),
        ("devices.d/a.toml", device),
    ]);
    let loaded = folder.load();
    assert_eq!(loaded.exit_code(), 78);
    let keys: Vec<&str> = loaded.diagnostics.iter().map(|d| d.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "link.near.url",
            "link.far.windo",
            "link.far.tls",
            "modbus.unit",
            "group.slow.interval",
            "point[0].adress",
            "point[1].name",
            "point[2].unit",
            "point[3].name",
        ],
        "and nothing that only follows from these: {}",
        folder.shown()
    );
    assert!(folder.shown().contains("did you mean \"Cel\"?"), "{}", folder.shown());
}

#[test]
fn devices_are_checked_although_gatewayd_toml_is_broken() {
    let folder = Folder::new(&[
        ("gatewayd.toml", "[gateway]\nnam = \"g\"\n"),
        (
            "devices.d/a.toml",
            "[modbus]\nline = \"x\"\nunti = 3\n[[point]]\nname = \"a/b\"\naddress = \"holding:1\"\n",
        ),
    ]);
    let shown = folder.shown();
    assert!(
        shown.contains("did you mean `name`?") && shown.contains("did you mean `unit`?"),
        "{shown}"
    );
    assert!(!shown.contains("there is no [line.x]"), "nothing is known of the lines: {shown}");
}
