//! Units 1 to 5 of either peer on one bus (see `rtu_bus.py`), and what they logged.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tests::lab::{Lab, Plant};
use tests::process::Process;
use tests::{tree, wait};

/// Who serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Pymodbus,
    Libmodbus,
}

/// The units that are there.
pub(crate) const UNITS: [u8; 5] = [1, 2, 3, 4, 5];

/// A bus with its slaves.
pub(crate) struct Bus {
    _lab: Lab,
    /// What a line opens.
    pub(crate) near: PathBuf,
    process: Process,
    logs: Vec<PathBuf>,
    _plant: Option<Plant>,
    _slaves: Vec<Process>,
}

impl Bus {
    /// Starts the slaves and the bus; `share` of the answers suffer, seen from a master with this timeout.
    pub(crate) fn start(peer: Peer, share: f64, timeout: Duration) -> Self {
        let lab = Lab::new();
        let near = lab.path("bus");
        let plant = (peer == Peer::Pymodbus).then(|| plant(&lab));
        let sides: Vec<String> = match peer {
            Peer::Pymodbus => vec![format!("open:{}", lab.path("plant").display())],
            Peer::Libmodbus => UNITS.map(|unit| format!("pty:{}", far(&lab, unit))).into(),
        };
        let (path, share) = (near.display().to_string(), share.to_string());
        let timeout = timeout.as_secs_f64().to_string();
        let mut arguments = vec![path.as_str()];
        arguments.extend(sides.iter().map(String::as_str));
        arguments.extend(["--faults", &share, "--timeout", &timeout]);
        let mut process = lab.python("bus", "rtu_bus.py", &arguments);
        process.says("it carries", |text| text.contains("answers").then_some(()));
        let (slaves, logs) = match peer {
            Peer::Pymodbus => (Vec::new(), vec![lab.path("plant.jsonl")]),
            Peer::Libmodbus => {
                (slaves(&lab), UNITS.map(|unit| lab.path(&format!("unit-{unit}.jsonl"))).into())
            }
        };
        Self { _lab: lab, near, process, logs, _plant: plant, _slaves: slaves }
    }

    /// What the bus has counted.
    pub(crate) fn counts(&self) -> Value {
        let text = self.process.output();
        // The last line may be half written.
        text.lines().rev().find_map(|line| serde_json::from_str(line).ok()).unwrap_or(Value::Null)
    }

    /// What the slaves have logged, each unit's entries in order.
    pub(crate) fn log(&self) -> Vec<Value> {
        let texts = self.logs.iter().map(|path| std::fs::read_to_string(path).unwrap_or_default());
        let lines = texts.flat_map(|text| {
            text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect::<Vec<_>>()
        });
        lines.collect()
    }
}

fn far(lab: &Lab, unit: u8) -> String {
    lab.path(&format!("far-{unit}")).display().to_string()
}

fn plant(lab: &Lab) -> Plant {
    let unit = |unit: u8| {
        json!({ "unit": unit, "refuse": { "at": 190, "code": 3 }, "points": [
            { "at": 0, "type": "u32", "kind": "served" },
            { "at": 2, "type": "u32", "kind": "clock" },
            { "at": 20, "count": 80, "kind": "fill" },
        ] })
    };
    lab.plant(&json!([{ "name": "bus", "pty": lab.path("plant"), "units": UNITS.map(unit) }]))
}

fn slaves(lab: &Lab) -> Vec<Process> {
    let program = lab.path("libmodbus_slave");
    let built = Command::new("gcc")
        .args(["-O2", "-Wall", "-Wextra", "-Werror", "-I/usr/include/modbus", "-o"])
        .args([&program, &tree::root().join("tests/peers/libmodbus_slave.c")])
        .arg("-lmodbus")
        .status();
    assert!(built.is_ok_and(|status| status.success()), "libmodbus-dev is missing?");
    let slave = |unit: u8| {
        let name = format!("unit-{unit}");
        let mut command = Command::new(&program);
        command.args(["rtu", &far(lab, unit), &unit.to_string()]);
        command.arg(lab.path(&format!("{name}.jsonl")));
        let mut slave = Process::start(&lab.path(""), &name, &command);
        slave.says("it serves", |text| text.contains("ready").then_some(()));
        slave
    };
    let slaves = UNITS.map(slave);
    wait::pause(Duration::from_millis(50));
    slaves.into()
}
