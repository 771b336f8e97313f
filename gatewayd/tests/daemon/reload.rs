//! Plan, reload, the window after it, and the way back, seen from outside.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::logged::{Asked, Plant};
use crate::tool::{Gateway, eventually};

/// Devices on one line, unit by unit; and one on a line of its own.
fn write(gateway: &Gateway, unit: u8, more: &str) {
    let text = format!(
        "[modbus]\nline = \"plc\"\nunit = {unit}\n[group.main]\ninterval = \"500ms\"\n\
         [[point]]\nname = \"a/b\"\naddress = \"holding:0\"\n{more}"
    );
    gateway.write(&format!("devices.d/m-{unit}.toml"), &text);
}

async fn shadowed(gateway: &Gateway, twins: usize) {
    eventually("all are shadowed", || {
        let status = gateway.lines(&["status"]).remove(0);
        (status["twins"] == json!([["shadowed", twins]])).then_some(())
    })
    .await;
}

/// How often each unit was asked.
fn counts(asked: &[Asked]) -> BTreeMap<u8, usize> {
    let mut all = BTreeMap::new();
    asked.iter().for_each(|(unit, _)| *all.entry(*unit).or_default() += 1);
    all
}

/// What must not move where nothing is to be done.
fn works(gateway: &Gateway) -> Value {
    let status = gateway.lines(&["status"]).remove(0);
    let lines = gateway.lines(&["lines"]).remove(0);
    let opened: Vec<&Value> =
        lines["lines"].as_array().unwrap().iter().map(|line| &line["counts"][0]).collect();
    let links = gateway.lines(&["links"]).remove(0);
    let links: Vec<&Value> =
        links["links"].as_array().unwrap().iter().map(|link| &link["lanes"]).collect();
    let restarts: Vec<&Value> =
        status["units"].as_array().unwrap().iter().map(|unit| &unit["restarts"]).collect();
    json!([
        status["store"]["head"],
        status["units"].as_array().unwrap().len(),
        restarts,
        opened,
        links
    ])
}

#[tokio::test]
async fn one_of_a_hundred_is_changed_and_the_others_do_not_notice() {
    let (plant, other) = (Plant::start(), Plant::start());
    let mut gateway = Gateway::new();
    let config = gateway.read("gatewayd.toml");
    let line = format!("{config}[line.plc]\ntcp = \"127.0.0.1:{}\"\n", plant.port());
    gateway.write("gatewayd.toml", &line);
    for unit in 1..=100 {
        write(&gateway, unit, "");
    }
    gateway.device("other", other.port());
    gateway.start().await;
    shadowed(&gateway, 101).await;

    write(&gateway, 50, "[[point]]\nname = \"a/c\"\naddress = \"holding:5\"\n");
    let plan = gateway.lines(&["plan"]).remove(0);
    let [planned] = plan["lines"].as_array().unwrap().as_slice() else { panic!("{plan}") };
    assert_eq!((&planned["action"], &planned["same"]), (&json!("configure"), &json!(99)), "{plan}");
    let device = json!([{ "twin": "m-50", "action": "change", "why": ["point added: a/c"] }]);
    assert_eq!((&planned["devices"], &plan["same"]), (&device, &json!(1)), "{plan}");
    let people = gateway.run(&["plan"]);
    assert!(people.out.contains("~ twin m-50: changed") && people.code == 0, "{people:?}");
    assert!(gateway.twin("m-50").unwrap()["points"].as_array().unwrap().len() == 1, "untouched");

    let done = gateway.lines(&["reload", "--window", "2s"]);
    assert_eq!(done[0]["changed"], json!(["line plc"]), "{done:?}");
    assert_eq!(done[0]["watched"], json!(["line plc"]), "{done:?}");
    assert_eq!(done[1]["outcome"], "good", "{done:?}");
    eventually("the new point is read", || {
        let twin = gateway.twin("m-50")?;
        (twin["points"].get(1)?["quality"] == "good").then_some(())
    })
    .await;
    assert_eq!((plant.connections(), other.connections()), (1, 1), "no connection was closed");
    let mut counts = counts(&plant.asked());
    counts.remove(&50);
    // All have the same interval: whoever had to begin anew, or was forgotten, would stand out, however busy we are.
    let (least, most) = (counts.values().min().unwrap(), counts.values().max().unwrap());
    assert!(counts.len() == 99 && most - least <= 2, "{counts:?}");
    let line = gateway.lines(&["lines"]).remove(0)["lines"][0].clone();
    assert_eq!(line["counts"][0], json!(["opened", 1]), "{}", line["counts"]);
    gateway.stop().await;
}

#[tokio::test]
async fn equal_files_move_nothing() {
    let plant = Plant::start();
    let mut gateway = Gateway::new();
    let config = gateway.read("gatewayd.toml");
    // Nobody listens at the broker's: the link has something to lose, its lanes.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, broker) = (plant.port(), free.local_addr().unwrap().port());
    let text = format!(
        "{config}[line.plc]\ntcp = \"127.0.0.1:{port}\"\n[link.cloud]\nurl = \"mqtt://127.0.0.1:{broker}\"\n"
    );
    gateway.write("gatewayd.toml", &text);
    write(&gateway, 1, "");
    gateway.start().await;
    shadowed(&gateway, 1).await;
    let before = works(&gateway);
    gateway.write("gatewayd.toml", &format!("# touched\n{text}"));
    let plan = gateway.run(&["plan"]);
    assert!(plan.out.starts_with("nothing to do: 2 lines and links go on"), "{plan:?}");
    for _ in 0..3 {
        let done = gateway.lines(&["reload"]);
        let same = json!({ "v": 1, "is": "reloaded", "added": [], "removed": [], "changed": [], "same": 2 });
        assert_eq!(done, [same], "no verdict where nothing changed");
    }
    assert_eq!(works(&gateway), before, "no commit, no restart, no connection");
    assert_eq!(plant.connections(), 1);
    gateway.stop().await;
}

/// A serial port that cannot do what the line asks of it: a permanent fault.
fn bad_bus(gateway: &Gateway, config: &str) -> String {
    let port = gateway.path("port");
    if !port.exists() {
        std::os::unix::fs::symlink("/dev/ptmx", &port).unwrap();
    }
    format!(
        "{config}[line.bus]\nserial = {port:?}\nbaud = 9600\nparity = \"none\"\nrs485 = {{ invert_rts = false }}\n"
    )
}

const ON_BUS: &str =
    "[modbus]\nline = \"bus\"\nunit = 1\n[[point]]\nname = \"a/b\"\naddress = \"holding:0\"\n";

#[tokio::test]
async fn a_permanent_fault_takes_the_change_back_and_rollback_the_files() {
    let plant = Plant::start();
    let mut gateway = Gateway::new();
    gateway.device("meter", plant.port());
    gateway.start().await;
    let config = gateway.read("gatewayd.toml");
    let kept = || gateway.lines(&["reload", "--no-window"]);
    kept();
    gateway.write("gatewayd.toml", &bad_bus(&gateway, &config));
    gateway.write("devices.d/bus.toml", ON_BUS);
    let output = gateway.run(&["reload"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.out.contains("taken back") && output.out.contains("given up"), "{output:?}");
    assert!(gateway.read("gatewayd.toml").contains("line.bus"), "the files are the operator's");
    let lines = gateway.lines(&["lines"]).remove(0);
    assert_eq!(lines["lines"].as_array().unwrap().len(), 1, "the bus is gone again: {lines}");
    let status = gateway.run(&["status"]).out;
    assert!(status.contains("tried and taken back") && status.contains("rollback"), "{status}");
    let plan = gateway.run(&["plan"]).out;
    assert!(plan.contains("+ line bus: started"), "the files still say it: {plan}");

    let dry = gateway.rollback(&["--dry-run"]);
    assert!(dry.code == 0 && dry.out.contains("nothing was touched"), "{dry:?}");
    assert!(gateway.path("devices.d/bus.toml").exists());
    let back = gateway.rollback(&["--json"]);
    assert_eq!(back.code, 0, "{back:?}");
    let first: Value = serde_json::from_str(back.out.lines().next().unwrap()).unwrap();
    let replaced = first["replaced"].as_str().unwrap();
    assert!(std::fs::read_to_string(format!("{replaced}/gatewayd.toml")).unwrap().contains("bus"));
    assert_eq!(gateway.read("gatewayd.toml"), config);
    assert!(!gateway.path("devices.d/bus.toml").exists(), "the set returned as one");
    let status = gateway.run(&["status"]).out;
    assert!(!status.contains("taken back"), "{status}");
    assert_eq!(plant.connections(), 1, "the meter did not notice any of it");
    gateway.stop().await;
}

#[tokio::test]
async fn a_device_that_is_off_is_no_reason_to_go_back() {
    let mut gateway = Gateway::new();
    gateway.start().await;
    let nobody = || {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    gateway.device("meter", nobody());
    let done = gateway.lines(&["reload", "--window", "1500ms"]);
    assert_eq!(done[1]["outcome"], "good", "{done:?}");
    assert!(gateway.twin("meter").is_some());
    // While one reload is watched another one waits for its verdict.
    gateway.device("second", nobody());
    let mut watched = gateway.background(&["reload", "--window", "1s"]);
    eventually("it is watched", || watched.saw("watched for").then_some(())).await;
    gateway.device("third", nobody());
    let plan = gateway.run(&["plan"]).out;
    assert!(plan.contains("twin third: added"), "planning need not wait: {plan}");
    assert_eq!(gateway.run(&["reload", "--no-window"]).code, 0);
    eventually("the first one has its verdict", || watched.ended().then_some(())).await;
    assert!(watched.saw("good: kept"));
    gateway.stop().await;
}

#[tokio::test]
async fn a_broken_file_of_many_devices_ends_none_of_their_twins() {
    let plant = Plant::start();
    let mut gateway = Gateway::new();
    let text = format!(
        "id = \"m-{{unit}}\"\n[modbus]\ntcp = \"127.0.0.1:{}\"\nunits = \"1-3\"\n\
         [[point]]\nname = \"a/b\"\naddress = \"holding:0\"\n",
        plant.port()
    );
    gateway.write("devices.d/many.toml", &text);
    gateway.start().await;
    shadowed(&gateway, 3).await;
    assert_eq!(gateway.run(&["reload", "--no-window"]).code, 0);
    gateway.write("devices.d/many.toml", &text.replace("1-3", "1-x"));
    assert_eq!(gateway.run(&["reload", "--no-window"]).code, 1);
    let done =
        |gateway: &Gateway, n: u8| gateway.twin(&format!("m-{n}")).unwrap()["life_cycle"] == "done";
    for _ in 0..20 {
        assert!(!(1..=3).any(|n| done(&gateway, n)), "a typo must not end a twin");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    gateway.stop().await;
    gateway.start().await;
    for _ in 0..20 {
        assert!(!(1..=3).any(|n| done(&gateway, n)), "nor at a start");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let back = gateway.rollback(&["--no-window"]);
    assert_eq!(back.code, 0, "{back:?}");
    shadowed(&gateway, 3).await;
    gateway.stop().await;
}

#[tokio::test]
async fn what_needs_no_restart_is_in_force_after_a_reload() {
    let mut gateway = Gateway::new();
    gateway.start().await;
    let config = gateway.read("gatewayd.toml");
    assert!(!gateway.read("log").contains("DEBUG"));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (old, new) = (gateway.health, free.local_addr().unwrap().port());
    let text = config
        .replace(&format!(":{old}"), &format!(":{new}"))
        .replace("[control]\n", "[control]\ngroup = \"no-such-group\"\n")
        .replace("\"plant\"", "\"another\"")
        .replace("/store\"", "/elsewhere\"")
        .replace("[store]\n", "[store]\nflush = \"2s\"\n");
    gateway.write("gatewayd.toml", &format!("{text}[log]\nlevel = \"debug\"\n"));
    let done = gateway.lines(&["reload"]).remove(0);
    let applied = json!(["store.flush", "control.group", "health.listen", "log.level"]);
    assert_eq!(done["applied"], applied, "{done}");
    assert_eq!(done["needs_restart"], json!(["gateway.name", "store.dir"]), "{done}");
    let status = gateway.run(&["status"]).out;
    assert!(status.contains("there is no group `no-such-group`"), "{status}");
    eventually("the taken address is named", || {
        gateway.run(&["status"]).out.contains("is the port in use").then_some(())
    })
    .await;
    drop(free);
    let mut healthy = None;
    for _ in 0..200 {
        healthy = Gateway::http_at(new, "/metrics").await.ok();
        if healthy.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(healthy.is_some_and(|answer| answer.contains("# EOF")), "it listens there once it can");
    assert!(Gateway::http_at(old, "/health").await.is_err(), "and no longer where it did");
    gateway.write("gatewayd.toml", &text.replace("group = \"no-such-group\"\n", ""));
    let plan = gateway.run(&["plan"]).out;
    assert!(plan.contains("gateway.name: plant → another (takes a restart"), "still: {plan}");
    assert!(!plan.contains("store.flush"), "{plan}");
    assert_eq!(gateway.run(&["reload"]).code, 0);
    assert!(!gateway.run(&["status"]).out.contains("no-such-group"), "the alarm is over");
    assert!(!gateway.path("elsewhere").exists(), "nothing was moved");
    gateway.stop().await;
}
