//! A device becomes a twin, and what it says reaches subscribers: pymodbus and libmodbus on one side,
//! mosquitto and paho on the other, over TCP and over a serial line.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tests::gateway::Gateway;
use tests::lab::{Lab, Sink, Upstream};
use tests::process::{Process, free_port};
use tests::{meter, tree, wait};

const NAME: &str = "first";

/// Waits until no more readings come. Figures of entanglement do, for as long as their window remembers the plant.
fn settled(sinks: &[&Sink]) {
    let readings = |sink: &Sink| {
        sink.messages().iter().filter(|m| m["payload"].get("values").is_some()).count()
    };
    let count = || sinks.iter().map(|sink| readings(sink)).sum::<usize>();
    let mut last = (count(), 0);
    wait::until("the subscribers have everything", Duration::from_secs(30), || {
        wait::pause(Duration::from_millis(250));
        let now = count();
        last = if now == last.0 { (now, last.1 + 1) } else { (now, 0) };
        (last.1 >= 8).then_some(())
    });
}

fn streamed(sink: &Sink, twin: &str) -> usize {
    let topic = format!("/twins/{twin}/stream");
    let of = |m: &Value| m["topic"].as_str().is_some_and(|t| t.ends_with(&topic));
    sink.messages().iter().filter(|m| of(m)).count()
}

#[test]
fn devices_on_tcp_reach_subscribers_of_both_versions() {
    let lab = Lab::new();
    let mut plant = lab.plant(&json!([
        { "name": "plc", "tcp": 0, "missing": "0b", "units": [meter::unit(1), meter::unit(2)] },
    ]));
    let five = Upstream::new(&lab, "five", "5");
    let three = Upstream::new(&lab, "three", "3.1.1");
    let line = format!("[line.plc]\ntcp = \"127.0.0.1:{}\"\n\n", plant.port("plc"));
    let devices = [
        ("meter-1", meter::device("plc", 1, "100ms", 40)),
        ("meter-2", meter::device("plc", 2, "250ms", 10)),
        ("absent", meter::device("plc", 9, "1s", 0)),
    ];
    let sections = line + &five.section("") + &three.section("");
    let mut gateway = Gateway::configure(&lab, NAME, &sections, &devices);
    gateway.start();
    for upstream in [&five, &three] {
        wait::until("a hundred readings arrived", Duration::from_secs(60), || {
            (streamed(&upstream.sink, "meter-1") >= 100).then_some(())
        });
    }

    let text = String::from_utf8_lossy(&gateway.ctl(&["twins"]).stdout).into_owned();
    assert!(text.contains("meter-1") && text.contains("grid/voltage"), "{text}");
    let state = format!("gatewayd/{NAME}/twins/meter-1/state/grid");
    let topic = five
        .sink
        .messages()
        .iter()
        .filter_map(|m| m["topic"].as_str())
        .find_map(|t| t.ends_with("/twins/meter-1/state/grid").then(|| t.to_owned()));
    let topic = topic.unwrap_or(state);
    let unit = five.sink.gets(&topic, Duration::from_secs(5), |payload| {
        payload["properties"]["voltage"]["unit"].as_str().map(str::to_owned)
    });
    assert_eq!(unit, "V");

    // A retained state is there for whoever comes late.
    let late = lab.sink("late", five.proxy.port, "5");
    let value = late.gets(&topic, Duration::from_secs(5), |payload| {
        payload["properties"]["voltage"]["value"].as_f64()
    });
    assert!((226.0..234.0).contains(&value), "{value} V");

    plant.process.stop(Duration::from_secs(10));
    settled(&[&five.sink, &three.sink]);
    let report = lab.check(&json!({
        "gateway": NAME, "served": [lab.path("plant.jsonl")], "points": meter::points(),
        "sinks": { "five": five.sink.out, "three": three.sink.out },
        "twins": { "plc/1": "meter-1", "plc/2": "meter-2" },
    }));
    assert_eq!(report["links"]["five"]["duplicates"], 0, "{report}");
    gateway.stop();
}

#[test]
fn units_on_a_serial_line_are_read_though_one_is_dead() {
    let lab = Lab::new();
    let path = lab.path("bus");
    let mut plant = lab.plant(&json!([
        { "name": "bus", "pty": path, "units": [meter::unit(1), meter::unit(2), meter::unit(7)] },
    ]));
    let upstream = Upstream::new(&lab, "north", "5");
    let line = serial_line("bus", &path.display().to_string());
    let devices = [1, 2, 3, 7].map(|unit| (unit, meter::device("bus", unit, "250ms", 20)));
    let names = ["unit-1", "unit-2", "unit-3", "unit-7"];
    let devices: Vec<(&str, String)> =
        names.into_iter().zip(devices).map(|(name, (_, text))| (name, text)).collect();
    let mut gateway = Gateway::configure(&lab, NAME, &(line + &upstream.section("")), &devices);
    gateway.start();
    for twin in ["unit-1", "unit-2", "unit-7"] {
        wait::until("forty readings of each live unit", Duration::from_secs(60), || {
            (streamed(&upstream.sink, twin) >= 40).then_some(())
        });
    }
    let why = gateway.ctl(&["why", "unit-3"]);
    let why = String::from_utf8_lossy(&why.stdout).into_owned();
    assert!(why.contains("unit-3"), "{why}");

    plant.process.stop(Duration::from_secs(10));
    settled(&[&upstream.sink]);
    lab.check(&json!({
        "gateway": NAME, "served": [lab.path("plant.jsonl")], "points": meter::points(),
        "sinks": { "north": upstream.sink.out },
        "twins": { "bus/1": "unit-1", "bus/2": "unit-2", "bus/7": "unit-7" },
    }));
    silence_was_kept(&std::fs::read_to_string(lab.path("plant.jsonl")).unwrap());
    gateway.stop();
}

#[test]
fn libmodbus_is_read_over_tcp_and_over_a_serial_line() {
    let lab = Lab::new();
    let program = lab.path("libmodbus_slave");
    let source = tree::root().join("tests/peers/libmodbus_slave.c");
    let built = Command::new("gcc")
        .args(["-O2", "-Wall", "-Wextra", "-Werror", "-I/usr/include/modbus", "-o"])
        .args([&program, &source])
        .arg("-lmodbus")
        .status();
    assert!(built.is_ok_and(|status| status.success()), "libmodbus-dev is missing?");
    let (near, far) = (lab.path("near"), lab.path("far"));
    let mut socat = Command::new("socat");
    for end in [&near, &far] {
        socat.arg(format!("pty,raw,echo=0,link={}", end.display()));
    }
    let _joined = Process::start(&lab.path(""), "socat", &socat);
    wait::until("the pty is there", Duration::from_secs(5), || far.exists().then_some(()));
    let port = free_port();
    let slave = |how: &str, place: &str, log: &str| {
        let mut command = Command::new(&program);
        command.args([how, place, "5"]).arg(lab.path(log));
        let mut slave = Process::start(&lab.path(""), log, &command);
        slave.says("it serves", |text| text.contains("ready").then_some(()));
        slave
    };
    let mut tcp = slave("tcp", &port.to_string(), "tcp.jsonl");
    let mut rtu = slave("rtu", &far.display().to_string(), "rtu.jsonl");

    let upstream = Upstream::new(&lab, "north", "5");
    let sections = format!("[line.net]\ntcp = \"127.0.0.1:{port}\"\n\n")
        + &serial_line("bus", &near.display().to_string())
        + &upstream.section("");
    let devices = [
        ("net-5", meter::device("net", 5, "100ms", 20)),
        ("bus-5", meter::device("bus", 5, "100ms", 20)),
        ("bus-6", meter::device("bus", 6, "1s", 20)),
    ];
    let mut gateway = Gateway::configure(&lab, NAME, &sections, &devices);
    gateway.start();
    for twin in ["net-5", "bus-5"] {
        wait::until("a hundred readings of each", Duration::from_secs(60), || {
            (streamed(&upstream.sink, twin) >= 100).then_some(())
        });
    }
    tcp.stop(Duration::from_secs(5));
    rtu.stop(Duration::from_secs(5));
    settled(&[&upstream.sink]);
    lab.check(&json!({
        "gateway": NAME, "served": [lab.path("tcp.jsonl"), lab.path("rtu.jsonl")],
        "sinks": { "north": upstream.sink.out }, "points": meter::points(),
        "twins": { "libmodbus-tcp/5": "net-5", "libmodbus-rtu/5": "bus-5" },
    }));
    gateway.stop();
}

fn serial_line(name: &str, path: &str) -> String {
    format!(
        "[line.{name}]\nserial = \"{path}\"\nbaud = 19200\nparity = \"none\"\nstop_bits = 1\n\
         timeout = \"200ms\"\n\n"
    )
}

/// Between an answer and the next request lie at least 3.5 characters, by the slave's clock.
///
/// # Panics
/// If a request came sooner: at 19,200 Bd, 11 bits each, that is 2.005 ms.
fn silence_was_kept(log: &str) {
    let (mut last, mut shortest, mut gaps) = (None, f64::MAX, 0);
    for entry in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let Some(t) = entry["t"].as_f64() else { continue };
        if entry["tx"].is_string() {
            last = Some(t);
        } else if entry["rx"].is_string()
            && let Some(sent) = last.take()
        {
            gaps += 1;
            shortest = shortest.min(t - sent);
        }
    }
    assert!(gaps > 50, "only {gaps} gaps were seen");
    // The slave stamps what it sent before the bytes are through, so the gap it sees is never shorter than the true one.
    assert!(shortest > 0.0019, "a request came {:.3} ms after an answer", shortest * 1e3);
}
