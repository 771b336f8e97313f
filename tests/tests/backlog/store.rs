//! A store as a gateway leaves it behind that ran for hours with its links cut, made in fast time.
//!
//! Ten twins `kept-0` to `kept-9` of a hundred points each, one reading of each twin per second, all values changing.
//! What they said is a function of twin, second and point, so that a checker needs no record of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base::{CancellationToken, Clock, Scope};
use tokio::sync::{mpsc, oneshot};
use twin::{
    Access, Acquisition, Boottime, Change, Declaration, Description, Entry, Group, Input, IntKind,
    Kind, Origin, PointSpec, Quality, Receipt, Reported, Submission, TimeBase, Value, ValueType,
    What,
};
use twin_store::{Directory, Lanes, Limit, LinkOptions, Opened, Options, Want, open};

pub(crate) const TWINS: u64 = 10;
pub(crate) const POINTS: u16 = 100;

/// What a twin's point said in this second.
pub(crate) fn value(twin: u64, second: u64, point: u64) -> u64 {
    (second * (7 + point) + twin * 1_009 + point * 31) % 60_000
}

/// A link that delivered everything up to this second, and nothing from there on.
#[derive(Debug, Clone)]
pub(crate) struct Cut {
    pub(crate) link: String,
    pub(crate) second: u64,
}

/// What was made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Made {
    /// Bytes of the segments of samples.
    pub(crate) bytes: u64,
    /// Commits.
    pub(crate) commits: u64,
}

fn description() -> Arc<Description> {
    let acquisition = Acquisition::Polled { interval: 1_000_000 };
    let group = Group { name: "main".parse().unwrap(), acquisition, max_age: 0, retired: false };
    let point = |i| PointSpec {
        access: Access { readable: true, writable: None },
        ..PointSpec::new(
            "regs".parse().unwrap(),
            format!("r{i}").parse().unwrap(),
            Kind::Telemetry,
            ValueType::Int(IntKind::U16),
        )
    };
    let points = (0..POINTS).map(point).collect();
    let declared = Declaration { groups: vec![group], points, ..Declaration::default() };
    Arc::new(Description::default().revise(&declared).unwrap().description)
}

fn change(twin: u64, origin: Origin, what: What) -> Submission {
    let twin = format!("kept-{twin}").parse().unwrap();
    Submission { input: Input::Change(Change { twin, origin, what }, None), receipt: None }
}

fn reading(twin: u64, at: Boottime, second: u64) -> Submission {
    let entry = |index| Entry {
        index,
        quality: Quality::GOOD,
        value: Some(Value::Unsigned(value(twin, second, index.into()))),
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

/// Delivers all that is there.
fn deliver(lanes: &mut Lanes) {
    let mut out = Vec::new();
    for want in [Want::Live, Want::Backlog] {
        while let Some(lane) =
            lanes.next(want, None, Limit { frames: 10_000, bytes: usize::MAX }, &mut out)
        {
            out.drain(..).for_each(|frame| lanes.settled(lane, frame.seq));
        }
    }
}

/// Makes it in this folder. The first second is `begin`, in microseconds since 1970.
pub(crate) async fn make(
    dir: &Path,
    gateway: &str,
    begin: i64,
    seconds: u64,
    cuts: &[Cut],
) -> Made {
    let (clock, hand) = Clock::manual(0, Some(begin), [1; 16]);
    let mut options = Options::new(gateway.parse().unwrap());
    options.samples.bytes = 4 << 30;
    let disk = Arc::new(Directory::take(dir).unwrap());
    let Opened { writer, store, .. } = open(disk, options, clock.clone()).unwrap();
    let (scope, _) = Scope::new("backlog", &CancellationToken::new());
    let (submit, submissions) = mpsc::channel(64);
    scope.spawn("writer", writer.run(submissions, scope.clone()));
    let mut links: Vec<(Lanes, u64)> = cuts
        .iter()
        .map(|cut| (store.link(&cut.link.parse().unwrap(), LinkOptions::default()), cut.second))
        .collect();
    links.iter_mut().for_each(|(lanes, _)| drop(lanes.connected()));
    for twin in 0..TWINS {
        submit
            .send(change(twin, Origin::Configuration, What::Described(description())))
            .await
            .unwrap();
    }
    for second in 0..seconds {
        // A link is cut between two seconds; until then it keeps up, a minute behind at most.
        if second % 60 == 0 {
            let (told, hear) = oneshot::channel();
            let receipt = Receipt::new(move |answer| drop(told.send(answer)));
            let again = change(0, Origin::Configuration, What::Described(description()));
            submit.send(again.with_receipt(receipt)).await.unwrap();
            hear.await.unwrap().unwrap();
            for (lanes, until) in &mut links {
                if second <= *until {
                    deliver(lanes);
                }
                if second == *until {
                    lanes.disconnected();
                }
            }
        }
        for twin in 0..TWINS {
            submit.send(reading(twin, Boottime(clock.boottime()), second)).await.unwrap();
        }
        hand.advance(Duration::from_secs(1));
    }
    drop(submit);
    scope.join().await;
    let statistics = store.statistics();
    Made { bytes: statistics.families[0].1, commits: statistics.head.0 }
}
