//! The outage: three links, each with its own broker; brokers are killed, restarted, silenced and paused while
//! the daemon is killed twenty times at random. Nothing may be lost, nothing may come out of order.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use tests::gateway::Gateway;
use tests::lab::{Lab, Upstream};
use tests::{meter, wait};

/// How often the daemon is killed.
const KILLS: usize = 20;

/// Seconds of the clock that the peers log with.
fn now() -> f64 {
    let t = clock_gettime(ClockId::Monotonic);
    #[expect(clippy::cast_precision_loss, reason = "microseconds are exact for centuries")]
    let seconds = t.tv_sec as f64 + t.tv_nsec as f64 / 1e9;
    seconds
}

/// A small generator: the same seed gives the same test.
struct Dice(u64);

impl Dice {
    fn millis(&mut self, from: u64, to: u64) -> Duration {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Duration::from_millis(from + (self.0 >> 33) % (to - from))
    }
}

#[test]
fn nothing_is_lost_whatever_is_cut() {
    let lab = Lab::new();
    let bus = lab.path("bus");
    let mut plant = lab.plant(&json!([
        { "name": "a", "tcp": 0, "units": [meter::unit(1), meter::unit(2), meter::unit(3)] },
        { "name": "b", "tcp": 0, "units": [meter::unit(1)] },
        { "name": "bus", "pty": bus, "units": [meter::unit(4), meter::unit(5)] },
    ]));
    let mut killed = Upstream::new(&lab, "killed", "3.1.1");
    let silenced = Upstream::new(&lab, "silenced", "5");
    let mut paused = Upstream::new(&lab, "paused", "5");
    let mut sections = format!(
        "[line.a]\ntcp = \"127.0.0.1:{}\"\ntimeout = \"2s\"\n\n[line.b]\ntcp = \"127.0.0.1:{}\"\ntimeout = \"2s\"\n\n\
         [line.bus]\nserial = \"{}\"\nbaud = 19200\nparity = \"none\"\ntimeout = \"500ms\"\n\n",
        plant.port("a"),
        plant.port("b"),
        bus.display()
    );
    for upstream in [&killed, &silenced, &paused] {
        sections.push_str(&upstream.section("keep_alive = \"5s\""));
    }
    let devices = [
        ("a-1", meter::device("a", 1, "20ms", 20)),
        ("a-2", meter::device("a", 2, "50ms", 20)),
        ("a-3", meter::device("a", 3, "100ms", 20)),
        ("b-1", meter::device("b", 1, "20ms", 20)),
        ("bus-4", meter::device("bus", 4, "200ms", 10)),
        ("bus-5", meter::device("bus", 5, "200ms", 10)),
    ];
    let mut gateway = Gateway::configure(&lab, "outage", &sections, &devices);
    let mut dice = Dice(20_261_123);
    gateway.start();
    wait::pause(Duration::from_secs(3));

    let mut kills = Vec::new();
    for round in 0..KILLS {
        match round % 5 {
            0 => killed.kill(),
            1 => silenced.proxy.way("silent"),
            2 => {
                if let Some(broker) = &mut paused.broker {
                    broker.signal(Signal::STOP);
                }
            }
            3 => killed.restart(&lab),
            _ => {
                silenced.proxy.way("open");
                if let Some(broker) = &mut paused.broker {
                    broker.signal(Signal::CONT);
                }
            }
        }
        wait::pause(dice.millis(200, 3000));
        kills.push(now());
        gateway.kill();
        wait::pause(dice.millis(0, 300));
        gateway.launch();
        wait::pause(dice.millis(300, 1500));
    }
    // All is well again, and what waited goes out while the plant goes on.
    wait::pause(Duration::from_secs(5));
    plant.process.stop(Duration::from_secs(10));
    let sinks = [&killed.sink, &silenced.sink, &paused.sink];
    let count = || sinks.iter().map(|sink| sink.messages().len()).sum::<usize>();
    let begin = Instant::now();
    let mut last = (count(), Instant::now());
    while last.1.elapsed() < Duration::from_secs(8) && begin.elapsed() < Duration::from_secs(120) {
        wait::pause(Duration::from_millis(500));
        let seen = count();
        if seen != last.0 {
            last = (seen, Instant::now());
        }
    }
    let report = lab.check(&json!({
        "gateway": "outage", "served": [lab.path("plant.jsonl")], "points": meter::points(),
        "sinks": { "killed": killed.sink.out, "silenced": silenced.sink.out, "paused": paused.sink.out },
        "twins": {
            "a/1": "a-1", "a/2": "a-2", "a/3": "a-3", "b/1": "b-1", "bus/4": "bus-4", "bus/5": "bus-5",
        },
        "kills": kills, "grace": 0.5,
    }));
    println!("{report:#}");
    gateway.stop();
}
