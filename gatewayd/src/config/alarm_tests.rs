//! What `[[alarm]]` comes to, alone and over a profile.

use twin::{Condition, Kind, PointSpec};

use super::tests::Folder;

const GATEWAY: &str = "[gateway]\nname = \"gw-1\"\n";
const PROFILE: &str = "status = \"unverified\"\nsource = { title = \"t\", revision = \"r\", page = \"1\" }\n\
    [group.main]\ninterval = \"1s\"\n\
    [[point]]\nname = \"motor/speed\"\naddress = \"holding:7\"\nscale = 0.1\nunit = \"1/min\"\n\
    [[point]]\nname = \"motor/state\"\naddress = \"holding:8\"\nlabels = { 0 = \"off\", 3 = \"fault\", 4 = \"stalled\" }\n\
    [[point]]\nname = \"motor/tripped\"\naddress = \"holding:9\"\nbit = 2\n\
    [[point]]\nname = \"motor/flags\"\naddress = \"holding:10\"\n\
    [[alarm]]\nname = \"motor/fast\"\npoint = \"motor/speed\"\nabove = 2900\nhysteresis = 50\nseverity = 800\n\
    [[alarm]]\nname = \"motor/slow\"\npoint = \"motor/speed\"\nbelow = 100\n";

fn alarms(device: &str) -> Vec<PointSpec> {
    let device = format!("profile = \"acme/pump\"\n{device}[modbus]\ntcp = \"127.0.0.1:1502\"\n");
    let files = [
        ("gatewayd.toml", GATEWAY),
        ("profiles/acme/pump.toml", PROFILE),
        ("devices.d/pump-1.toml", &device),
    ];
    let folder = Folder::new(&files);
    let loaded = folder.load();
    assert_eq!(loaded.exit_code(), 0, "{}", folder.shown());
    let plan = loaded.plan.unwrap();
    let device = plan.devices().next().unwrap();
    let points = device.declaration.points.clone();
    let first = points.iter().position(|point| point.kind == Kind::Event).unwrap_or(points.len());
    assert_eq!(first, 4, "points keep their places before all alarms");
    points[first..].to_vec()
}

fn rule(point: &PointSpec) -> twin::Alarm {
    (**point.rules.alarm.as_ref().unwrap()).clone()
}

#[test]
fn a_profile_brings_its_alarms() {
    let all = alarms("");
    let [fast, slow] = &*all else { panic!("{all:?}") };
    assert_eq!((fast.feature.as_str(), fast.name.as_str()), ("motor", "fast"));
    let of = rule(fast);
    assert_eq!(of.when, Condition::Above { limit: 2900.0, hysteresis: 50.0 });
    assert_eq!((of.severity, of.delay, of.acknowledge), (800, 0, true));
    assert_eq!(&*of.text, "motor/speed is above 2900 1/min");
    assert_eq!((rule(slow).severity, rule(slow).point.as_str()), (500, "speed"));
}

#[test]
fn a_device_file_changes_leaves_out_and_adds() {
    let all = alarms(
        "alarm = [{ name = \"motor/fast\", above = 2500, delay = \"5s\", text = \"too fast\" },\n\
         { name = \"motor/slow\", used = false },\n\
         { name = \"motor/stopped\", point = \"motor/state\", is = [\"fault\", 4], acknowledge = false },\n\
         { name = \"motor/trip\", point = \"motor/tripped\", is = true },\n\
         { name = \"motor/bits\", point = \"motor/flags\", bits = 0x0C },\n\
         { name = \"motor/rushing\", point = \"motor/speed\", change = 200, within = \"1min\" },\n\
         { name = \"motor/lost\", point = \"motor/speed\", stale = \"30s\", clear_delay = \"1min\" }]\n",
    );
    let said: Vec<_> = all.iter().map(|a| (a.name.to_string(), rule(a))).collect();
    let names: Vec<&str> = said.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["fast", "stopped", "trip", "bits", "rushing", "lost"]);
    let rules: Vec<twin::Alarm> = said.into_iter().map(|(_, rule)| rule).collect();
    assert_eq!(rules[0].when, Condition::Above { limit: 2500.0, hysteresis: 50.0 }, "key by key");
    assert_eq!((rules[0].delay, &*rules[0].text), (5_000_000, "too fast"));
    assert_eq!(rules[1].when, Condition::Is([3.0, 4.0].into()));
    assert!(!rules[1].acknowledge);
    let texts: Vec<&str> = rules[1..].iter().map(|rule| &*rule.text).collect();
    assert_eq!(
        texts,
        [
            "motor/state is fault or stalled",
            "motor/tripped is on",
            "motor/flags has one of the bits 0xc set",
            "motor/speed moved by more than 200 1/min within 60 s",
            "motor/speed had no good value for 30 s",
        ]
    );
    assert_eq!(rules[5].clear_delay, 60_000_000);
}
