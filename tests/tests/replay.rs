//! A recorded serial line is taken home: its devices, first served by pymodbus, answer pymodbus again, in every framing.

use std::time::Duration;

use serde_json::{Value, json};
use tests::gateway::Gateway;
use tests::lab::Lab;
use tests::{meter, wait};

/// What pymodbus is told by the server at this port.
fn ask(lab: &Lab, port: &str, framer: &str, questions: &[[u16; 3]]) -> Vec<Value> {
    let numbers: Vec<String> = questions.iter().flatten().map(ToString::to_string).collect();
    let arguments = [&[port, framer], &*numbers.iter().map(String::as_str).collect::<Vec<_>>()];
    let name = format!("ask-{framer}");
    let mut asked = lab.python(&name, "ask.py", &arguments.concat());
    let ended = wait::until("pymodbus has asked", Duration::from_secs(20), || asked.ended());
    assert!(ended.success(), "{}", asked.output());
    asked.output().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn a_serial_line_is_recorded_and_replayed_in_every_framing() {
    let lab = Lab::new();
    let path = lab.path("bus");
    let mut plant = lab.plant(&json!([
        { "name": "bus", "pty": path, "units": [meter::unit(1), meter::unit(7)] },
    ]));
    let line = format!(
        "[line.bus]\nserial = \"{}\"\nbaud = 19200\nparity = \"none\"\nstop_bits = 1\ntimeout = \"200ms\"\n\n",
        path.display()
    );
    // Nobody is unit 3.
    let devices = [("unit-1", 1), ("unit-3", 3), ("unit-7", 7)];
    let devices = devices.map(|(name, unit)| (name, meter::device("bus", unit, "250ms", 4)));
    let mut gateway = Gateway::configure(&lab, "plant", &line, &devices);
    gateway.start();
    let file = lab.path("bus.recording").display().to_string();
    let mut record = gateway.beside("record", &["record", "bus", &file]);
    wait::until("both live units are on record", Duration::from_secs(60), || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let all = ["unit 1: ", "unit 7: "].iter().all(|unit| text.contains(unit));
        (all && text.lines().count() > 100).then_some(())
    });
    record.kill();
    gateway.stop();
    plant.process.stop(Duration::from_secs(10));

    for (way, framer) in [("rtu", "rtu"), ("ascii", "ascii"), ("tcp", "socket")] {
        let name = format!("replay-{way}");
        let mut replay = gateway.beside(&name, &["replay", &file, "--way", way]);
        let port = replay.says("where it listens", |text| {
            let (address, _) = text.split_once(" at ")?.1.split_once(": ")?;
            Some(address.rsplit_once(':')?.1.to_owned())
        });
        let questions = [[1, 10, 1], [7, 10, 1], [1, 0, 2], [3, 0, 2], [7, 60, 1], [7, 10, 1]];
        let told = ask(&lab, &port, framer, &questions);
        let [one, seven, served, silent, never, again] = &told[..] else { panic!("{told:?}") };
        assert_eq!((one, seven, again), (&json!([500]), &json!([500]), &json!([500])), "{way}");
        let served = served[0].as_u64().zip(served[1].as_u64());
        assert!(served.is_some_and(|(high, low)| (high << 16 | low) > 10), "{way}: {told:?}");
        assert_eq!(silent, &Value::Null, "{way}: unit 3 was silent");
        assert_eq!(never, &json!({ "exception": 2 }), "{way}: nobody has read that");
        replay.kill();
    }
}
