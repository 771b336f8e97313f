//! How fast the store takes changes in and hands them to a link: `cargo run --release -p twin-store --example pace`.
//!
//! Prints microseconds and nanoseconds per value; a place for the bench's allocation counter to look at.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring program")]

use std::sync::Arc;
use std::time::Instant;

use base::{CancellationToken, Clock, Scope};
use twin::{
    Access, Acquisition, Boottime, Change, Declaration, Description, Entry, Group, Input, IntKind,
    Kind, Origin, PointSpec, Quality, Reported, Submission, TimeBase, Value, ValueType, What,
};
use twin_store::{Directory, Limit, LinkOptions, Opened, Options, Want, open};

const POINTS: u16 = 98;
const CHANGES: u64 = 100_000;

fn description() -> Description {
    let acquisition = Acquisition::Polled { interval: 100_000 };
    let group = Group { name: "main".parse().unwrap(), acquisition, max_age: 0, retired: false };
    let point = |i| PointSpec {
        access: Access { readable: true, writable: None },
        ..PointSpec::new(
            "f".parse().unwrap(),
            format!("p{i}").parse().unwrap(),
            Kind::Telemetry,
            ValueType::Int(IntKind::U16),
        )
    };
    let points = (0..POINTS).map(point).collect();
    let declared = Declaration { groups: vec![group], points, ..Declaration::default() };
    Description::default().revise(&declared).unwrap().description
}

fn reading(clock: &Clock, n: u64) -> Submission {
    let entry = |index| Entry {
        index,
        quality: Quality::GOOD,
        value: Some(Value::Unsigned((n + u64::from(index)) & 0xffff)),
        offset: 0,
    };
    let reported = Reported {
        revision: 1,
        group: 0,
        source: TimeBase::gateway(Boottime(clock.boottime())),
        server: None,
        command: None,
        continued: false,
        entries: (0..POINTS).map(entry).collect(),
    };
    let twin = "pump".parse().unwrap();
    let change = Change { twin, origin: Origin::Asset, what: What::Reported(reported) };
    Submission { input: Input::Change(change, None), receipt: None }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let disk = Arc::new(Directory::take(dir.path()).unwrap());
    let options = Options::new("pace".parse().unwrap());
    let Opened { writer, store, .. } = open(disk, options, clock.clone()).unwrap();
    let (scope, _) = Scope::new("pace", &CancellationToken::new());
    let (submit, submissions) = tokio::sync::mpsc::channel(64);
    scope.spawn("writer", writer.run(submissions, scope.clone()));
    let described = What::Described(Arc::new(description()));
    let twin = "pump".parse().unwrap();
    let change = Change { twin, origin: Origin::Configuration, what: described };
    submit.send(Submission::change(change)).await.unwrap();
    let mut lanes = store.link(&"north".parse().unwrap(), LinkOptions::default());
    lanes.connected();
    let (mut out, mut delivered, mut sum) = (Vec::new(), 0_u64, 0_u64);
    let all = Limit { frames: 64, bytes: 1 << 20 };
    let begun = Instant::now();
    let mut n = 0;
    while delivered < CHANGES {
        while n < CHANGES && n < delivered + 32 {
            submit.send(reading(&clock, n)).await.unwrap();
            n += 1;
        }
        lanes.changed().await;
        while let Some(lane) = lanes.next(Want::Live, None, all, &mut out) {
            for frame in out.drain(..) {
                lanes.settled(lane, frame.seq);
                let Some(description) =
                    store.read(|s| s.by_handle(frame.handle).map(|t| t.description().clone()))
                else {
                    continue;
                };
                if let Some(view) = frame.reported(&description) {
                    sum += view.iter().map(|e| u64::from(e.index)).sum::<u64>();
                    delivered += 1;
                }
            }
        }
    }
    let micros = begun.elapsed().as_secs_f64() * 1e6 / CHANGES as f64;
    let statistics = store.statistics();
    let bytes = statistics.counters.bytes as f64 / (CHANGES * u64::from(POINTS)) as f64;
    println!(
        "{micros:.2} µs per change of {POINTS} values, {:.1} ns per value, {bytes:.2} B per value",
        micros * 1e3 / f64::from(POINTS)
    );
    println!("{:?} (sum {sum})", statistics.counters);
    drop(submit);
    scope.join().await;
}
