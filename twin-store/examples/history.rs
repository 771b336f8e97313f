//! How long history queries take: `cargo run --release -p twin-store --example history [HOURS]`, by default 24.
//!
//! Ten twins of 100 registers each, a reading of each twin per second, all values changing, on a real directory in the
//! folder for temporary files. Prints per query: milliseconds, rows, segments opened, commits passed and decoded.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring program")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{CancellationToken, Clock, Scope};
use twin::{
    Access, Acquisition, Boottime, Change, Declaration, Description, Entry, Group, Input, IntKind,
    Kind, Origin, PointSpec, Quality, Reported, Submission, TimeBase, Timestamp, Value, ValueType,
    What,
};
use twin_store::{Class, Directory, Effort, Frame, Opened, Options, Query, Store, open};

const TWINS: u32 = 10;
const POINTS: u16 = 100;
const BEGIN: i64 = 1_800_000_000_000_000;

fn description() -> Description {
    let acquisition = Acquisition::Polled { interval: 1_000_000 };
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

fn change(twin: u32, origin: Origin, what: What) -> Submission {
    let twin = format!("twin-{twin}").parse().unwrap();
    Submission { input: Input::Change(Change { twin, origin, what }, None), receipt: None }
}

fn reading(twin: u32, at: Boottime, second: u64) -> Submission {
    let entry = |index| Entry {
        index,
        quality: Quality::GOOD,
        value: Some(Value::Unsigned((second + u64::from(index)) & 0xffff)),
        offset: 0,
    };
    let reported = Reported {
        revision: 1,
        group: 0,
        source: TimeBase::gateway(at),
        server: None,
        command: None,
        continued: false,
        entries: (0..POINTS).map(entry).collect(),
    };
    change(twin, Origin::Asset, What::Reported(reported))
}

/// Decodes what it is given; says how many values of the point there were and their sum.
fn decode(store: &Store, frame: &Frame, point: u16) -> (u64, u64) {
    store.read(|state| {
        let twin = state.by_handle(frame.handle);
        let view = twin.and_then(|twin| frame.reported(twin.description()));
        let values = view.into_iter().flat_map(|view| view.iter().collect::<Vec<_>>());
        let wanted = values.filter(|entry| entry.index == point);
        wanted.fold((0, 0), |(n, sum), entry| (n + 1, sum + u64::from(entry.index)))
    })
}

fn show(what: &str, begun: Instant, rows: u64, effort: Effort) {
    let millis = begun.elapsed().as_secs_f64() * 1e3;
    println!("{what:<44} {millis:>9.1} ms  {rows:>8} rows  {effort:?}");
}

fn browse(store: &Store, what: &str, query: Query) {
    let begun = Instant::now();
    let mut history = store.browse(query);
    let mut rows = 0;
    while let Some(frame) = history.next().unwrap() {
        rows += decode(store, &frame, 7).0;
    }
    show(what, begun, rows, history.effort());
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let hours: i64 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(24);
    let dir = tempfile::tempdir().unwrap();
    let (clock, hand) = Clock::manual(0, Some(BEGIN), [1; 16]);
    let disk = Arc::new(Directory::take(dir.path()).unwrap());
    let mut options = Options::new("history".parse().unwrap());
    options.samples.bytes = 1 << 30;
    let Opened { writer, store, .. } = open(disk, options, clock.clone()).unwrap();
    let (scope, _) = Scope::new("history", &CancellationToken::new());
    let (submit, submissions) = tokio::sync::mpsc::channel(64);
    scope.spawn("writer", writer.run(submissions, scope.clone()));
    for twin in 0..TWINS {
        let what = What::Described(Arc::new(description()));
        submit.send(change(twin, Origin::Configuration, what)).await.unwrap();
    }
    let begun = Instant::now();
    for second in 0..hours.unsigned_abs() * 3_600 {
        for twin in 0..TWINS {
            submit.send(reading(twin, Boottime(clock.boottime()), second)).await.unwrap();
        }
        hand.advance(Duration::from_secs(1));
    }
    drop(submit);
    scope.join().await;
    let statistics = store.statistics();
    let (_, bytes, segments) = statistics.families[0];
    println!(
        "{hours} h of {TWINS} x {POINTS}: {} commits, {bytes} B in {segments} segments, written in {:.1} s",
        statistics.head.0,
        begun.elapsed().as_secs_f64()
    );
    let handle =
        |n: u32| store.read(|s| s.twin(&format!("twin-{n}").parse().unwrap()).map(|t| t.handle()));
    let twin = handle(3);
    let class = Some(Class::Sample);
    let ago = |h: i64| Some(Timestamp(BEGIN + (hours - h) * 3_600_000_000));
    browse(
        &store,
        "one point, the last hour",
        Query { twin, class, after: ago(1), ..Query::default() },
    );
    let middle = Query {
        twin,
        class,
        after: ago(hours / 2),
        before: ago(hours / 2 - 1),
        ..Query::default()
    };
    browse(&store, "one point, an hour in the middle", middle);
    browse(&store, "one point, all of it", Query { twin, class, ..Query::default() });
    browse(&store, "records, all of it", Query { class: Some(Class::Record), ..Query::default() });
    let begun = Instant::now();
    let query = Query { twin, class, ..Query::default() };
    let (frames, effort) = store.latest(&query, 100, |_| true).unwrap();
    let rows = frames.iter().map(|frame| decode(&store, frame, 7).0).sum();
    show("one point, the last 100", begun, rows, effort);
}
