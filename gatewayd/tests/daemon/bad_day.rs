//! Disks that are full, read-only, taken, damaged or of another time: what the daemon does and says.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::plant::Meter;
use crate::tool::{Gateway, eventually};

/// A file system of its own in memory, gone with the test.
struct Mounted(PathBuf);

impl Mounted {
    /// `None` where this machine does not let us; that is said.
    fn new(at: &Path, options: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        if mount(&["-t", "tmpfs", "-o", options, "tmpfs"], at) {
            return Some(Self(at.to_owned()));
        }
        eprintln!("SKIPPED: no file system can be mounted here; run as root to try it");
        None
    }

    fn again(&self, options: &str) {
        assert!(mount(&["-o", &format!("remount,{options}")], &self.0), "remount {options}");
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

fn mount(arguments: &[&str], at: &Path) -> bool {
    let mounted = Command::new("mount").args(arguments).arg(at).output();
    mounted.is_ok_and(|output| output.status.success())
}

/// What lies in the store.
fn contents(store: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(store).unwrap().map(|entry| entry.unwrap());
    files.map(|f| (f.file_name().into_string().unwrap(), fs::read(f.path()).unwrap())).collect()
}

/// A gateway that has run once.
async fn used() -> (Gateway, Meter) {
    let meter = Meter::start().await;
    let mut gateway = Gateway::new();
    gateway.device("meter", meter.port());
    gateway.start().await;
    gateway.shadowed().await;
    gateway.stop().await;
    (gateway, meter)
}

#[tokio::test]
async fn a_full_disk_is_an_alarm_until_there_is_room() {
    let meter = Meter::start().await;
    let mut gateway = Gateway::new();
    gateway.device("meter", meter.port());
    // Room for the records and their reserve; none for a segment of readings.
    let Some(disk) = Mounted::new(&gateway.path("store"), "size=3m") else { return };
    gateway.start().await;
    let watch = gateway.background(&["watch"]);
    eventually("the alarm stands", || {
        let status = gateway.run(&["status"]).out;
        (status.contains("the disk takes no readings") && status.contains("df -h")).then_some(())
    })
    .await;
    let health = gateway.http("/health").await;
    assert!(health.starts_with("HTTP/1.1 503") && health.contains("stay in memory"), "{health}");
    eventually("readings go on", || {
        meter.set(0, meter.register(0) + 1);
        gateway.twin("meter").filter(|twin| twin["life_cycle"] == "shadowed")
    })
    .await;
    disk.again("size=64m");
    eventually("the alarm is over", || {
        (!gateway.run(&["status"]).out.contains("the disk takes")).then_some(())
    })
    .await;
    eventually("the gap is told", || watch.saw("are gone: Full").then_some(())).await;
    assert!(gateway.http("/health").await.contains("\"healthy\":true"));
    let said = gateway.read("log").matches("the disk takes no readings").count();
    assert_eq!(said, 2, "once when it began, once when it was over: {}", gateway.read("log"));
    gateway.stop().await;
}

/// A file system that the kernel makes read-only under the running daemon, as it does when the medium fails.
#[tokio::test]
async fn a_disk_that_turns_read_only_refuses_commands_and_keeps_the_links_going() {
    let meter = Meter::start().await;
    let mut gateway = Gateway::new();
    gateway.device("meter", meter.port());
    let image = gateway.path("image");
    fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
    let made = Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image).output();
    let store = gateway.path("store");
    fs::create_dir_all(&store).unwrap();
    let made = made.is_ok_and(|output| output.status.success());
    if !made || !mount(&["-o", "loop", image.to_str().unwrap()], &store) {
        eprintln!(
            "SKIPPED: no ext4 can be made and mounted here; run as root with mkfs.ext4 to try it"
        );
        return;
    }
    let disk = Mounted(store);
    gateway.start().await;
    let shadowed = || gateway.twin("meter").filter(|twin| twin["life_cycle"] == "shadowed");
    eventually("the twin is shadowed", shadowed).await;
    disk.again("abort");
    eventually("the alarms stand", || {
        meter.set(0, meter.register(0) + 1);
        let status = gateway.run(&["status"]).out;
        (status.contains("the disk takes no readings")
            && status.contains("the disk takes no records")
            && status.contains("commands are refused"))
        .then_some(())
    })
    .await;
    let refused = gateway.run(&["set", "meter/setpoint", "42", "--wait"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(format!("{}{}", refused.out, refused.err).contains("the disk"), "{refused:?}");
    assert_eq!(meter.register(1), 7, "what cannot be recorded is not carried out");
    assert!(gateway.http("/health").await.starts_with("HTTP/1.1 503"));
    let before = gateway.twin("meter").unwrap()["points"][0]["value"].clone();
    eventually("readings go on", || {
        meter.set(0, meter.register(0) + 1);
        gateway.twin("meter").filter(|twin| twin["points"][0]["value"] != before)
    })
    .await;
    gateway.kill();
}

#[tokio::test]
async fn a_read_only_disk_is_said_at_start() {
    let mut gateway = Gateway::new();
    let Some(disk) = Mounted::new(&gateway.path("store"), "size=64m") else { return };
    gateway.start().await;
    gateway.stop().await;
    let before = contents(&gateway.path("store"));
    disk.again("ro");
    let output = gateway.daemon();
    assert_eq!(output.code, 1, "systemd tries again: {output:?}");
    assert!(output.err.contains("cannot write into the store"), "{output:?}");
    assert!(output.err.contains("mount it writable"), "{output:?}");
    assert!(contents(&gateway.path("store")) == before, "nothing was touched");
    disk.again("rw");
    gateway.start().await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_store_is_held_by_one_daemon() {
    let mut gateway = Gateway::new();
    gateway.start().await;
    let mut second = Gateway::new();
    let text = second.read("gatewayd.toml");
    let (own, taken) = (second.path("store"), gateway.path("store"));
    second.write("gatewayd.toml", &text.replace(own.to_str().unwrap(), taken.to_str().unwrap()));
    let output = second.daemon();
    assert_eq!(output.code, 1);
    assert!(output.err.contains("another process holds the store"), "{output:?}");
    assert!(output.err.contains("fuser"), "{output:?}");
    assert_eq!(gateway.run(&["status"]).code, 0, "the first goes on");
    gateway.stop().await;
    second.start().await;
    second.stop().await;
}

#[tokio::test]
async fn a_directory_that_cannot_be_had_is_named() {
    let gateway = Gateway::new();
    gateway.write("store", "this is a file");
    let output = gateway.daemon();
    assert_eq!(output.code, 1);
    let store = gateway.path("store");
    assert!(output.err.contains(store.to_str().unwrap()), "{output:?}");
    assert!(output.err.contains("store.dir"), "{output:?}");
}

#[tokio::test]
async fn a_store_of_a_newer_version_is_refused() {
    let (mut gateway, _meter) = used().await;
    let store = gateway.path("store");
    let segment = fs::read_dir(&store).unwrap().map(|entry| entry.unwrap().path());
    let segment = segment.into_iter().find(|path| path.extension().is_some_and(|e| e == "seg"));
    let segment = segment.unwrap();
    let ours = fs::read(&segment).unwrap();
    let mut newer = ours.clone();
    // Version 2, and a header that this version cannot check.
    newer[8] = 2;
    newer[50] = 1;
    fs::write(&segment, &newer).unwrap();
    let before = contents(&store);
    let output = gateway.daemon();
    assert_eq!(output.code, 78, "another start would not help: {output:?}");
    assert!(output.err.contains("written by a newer gatewayd"), "{output:?}");
    assert!(output.err.contains("install the newer version again"), "{output:?}");
    assert!(contents(&store) == before, "nothing was touched");
    fs::write(&segment, &ours).unwrap();
    gateway.start().await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_destroyed_file_is_set_aside_and_stands_as_an_alarm_while_it_lies_there() {
    let (mut gateway, _meter) = used().await;
    let store = gateway.path("store");
    let name = contents(&store).into_keys().find(|name| name.starts_with("samples-")).unwrap();
    let path = store.join(&name);
    let mut bytes = fs::read(&path).unwrap();
    bytes[..64].fill(0xff);
    fs::write(&path, &bytes).unwrap();
    gateway.start().await;
    let status = gateway.run(&["status"]).out;
    assert!(status.contains("set aside") && status.contains("*.bad"), "{status}");
    assert!(gateway.http("/health").await.contains("set aside"));
    assert!(gateway.read("log").contains(&format!("{name}.bad")), "{}", gateway.read("log"));
    assert!(gateway.twin("meter").is_some(), "the state is known without it");
    gateway.stop().await;
    gateway.start().await;
    assert!(gateway.run(&["status"]).out.contains("set aside"));
    gateway.stop().await;
    gateway.remove(&format!("store/{name}.bad"));
    gateway.start().await;
    assert!(!gateway.run(&["status"]).out.contains("set aside"));
    gateway.stop().await;
}

/// A broker, ended with the test.
struct Broker(std::process::Child);

impl Broker {
    fn start(port: u16) -> Self {
        let quiet = std::process::Stdio::null;
        let mut broker = Command::new("mosquitto");
        broker.args(["-p", &port.to_string()]).stdout(quiet()).stderr(quiet());
        Self(broker.spawn().unwrap())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[tokio::test]
async fn a_broker_that_stays_away_is_an_alarm_and_no_reason_to_restart_the_gateway() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let meter = Meter::start().await;
    let mut gateway = Gateway::new();
    gateway.device("meter", meter.port());
    let text = gateway.read("gatewayd.toml");
    let link = format!("[link.cloud]\nurl = \"mqtt://127.0.0.1:{port}\"\nalarm_after = \"2s\"\n");
    gateway.write("gatewayd.toml", &format!("{text}{link}"));
    gateway.start().await;
    let overdue = format!("link cloud has no connection to 127.0.0.1:{port}");
    eventually("the alarm stands", || {
        gateway.run(&["status"]).out.contains(&overdue).then_some(())
    })
    .await;
    let health = gateway.http("/health").await;
    assert!(health.starts_with("HTTP/1.1 200"), "a restart would not help: {health}");
    assert!(
        health.contains("\"healthy\":true") && health.contains("\"degraded\":true"),
        "{health}"
    );
    let metrics = gateway.http("/metrics").await;
    let gauge = "gatewayd_link_overdue_seconds{link=\"cloud\"} ";
    let seconds = metrics.split_once(gauge).unwrap().1.lines().next().unwrap();
    assert!(seconds.parse::<u32>().unwrap() >= 2, "{metrics}");

    let broker = Broker::start(port);
    eventually("the alarm is over", || {
        (!gateway.run(&["status"]).out.contains(&overdue)).then_some(())
    })
    .await;
    assert!(gateway.http("/health").await.contains("\"degraded\":false"));
    drop(broker);
    gateway.stop().await;
}
