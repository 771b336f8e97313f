//! Golden segments: what this version writes is what released versions wrote, and all of them stay readable.
//!
//! `GOLDEN=write cargo test -p twin-store golden` writes them anew: only for a version that was never released.

use std::path::PathBuf;
use std::sync::Arc;

use twin::{
    Binding, Body, BootId, Boottime, Cause, Class as QualityClass, Command, CommandId, Commit,
    ConditionState, Deadline, Entry, Envelope, EnvelopeEntry, Event, GapCause, GatewayEvent,
    GroupCounts, Handle, LifeCycle, Order, Origin, Outcome, Principal, PrincipalKind, Quality,
    Reason, Relationship, Reported, Seq, State, Step, TimeBase, Timestamp, Trigger, Value, What,
};

use super::model::description;
use super::sim::Sim;
use crate::disk::Disk;
use crate::footer::Summary;
use crate::frame::{self, Header};
use crate::links::{Lane, Link, Links};
use crate::ranges::Ranges;
use crate::reader::SegmentReader;
use crate::segment::{Family, HEADER, Segment, SegmentHeader, trailer};
use crate::snapshot;
use crate::written::encode;

const ID: u64 = 0x0123_4567_89ab_cdef;
const AT: Boottime = Boottime(5_000_000);

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn reported(entries: Vec<Entry>) -> Reported {
    Reported {
        revision: 1,
        group: 0,
        source: TimeBase::gateway(Boottime(4_999_000)),
        server: Some(TimeBase::device(Timestamp(1_800_000_000_000_000))),
        command: Some(CommandId(6)),
        continued: true,
        entries,
    }
}

fn entry(index: u16, value: Value) -> Entry {
    Entry { index, quality: Quality::GOOD, value: Some(value), offset: 0 }
}

/// One commit of every kind.
fn whats() -> Vec<(Origin, What)> {
    let by = Principal { kind: PrincipalKind::Link, name: "north".into() };
    let by = || Origin::Principal(by.clone());
    let bad = Quality { class: QualityClass::Bad, cause: Cause::Refused, code: Some(2) };
    let feeds =
        || Relationship { name: "feeds".parse().unwrap(), target: "urn:example:tank".into() };
    let deadline = Deadline {
        boot: BootId([3; 16]),
        at: Boottime(9_000_000),
        utc: Some(Timestamp(1_800_000_009_000_000)),
    };
    let order = Order::Write(Value::Unsigned(230));
    let command = Command { key: "k1".into(), index: 0, order, deadline, asked: None };
    let readings = vec![
        entry(0, Value::Unsigned(2305)),
        Entry { index: 1, quality: bad, value: None, offset: 1_500 },
        entry(2, Value::Text("läuft".into())),
        entry(3, Value::Bool(true)),
    ];
    let old =
        Reported { server: None, command: None, ..reported(vec![entry(3, Value::Bool(false))]) };
    let event = Event {
        index: 2,
        instance: Arc::new([1, 2, 3]),
        severity: 700,
        state: ConditionState { active: true, ..ConditionState::default() },
        occurred: TimeBase::device(Timestamp(1_800_000_000_500_000)),
        text: "dry run".into(),
        fields: Some(Value::Record(Arc::new([Value::Float(0.5), Value::Bytes(Arc::new([9]))]))),
        until: None,
    };
    let summary = EnvelopeEntry {
        index: 0,
        count: 10,
        not_good: 1,
        last: Some(Value::Unsigned(7)),
        range: Some((1.0, 9.0, 4.5)),
    };
    let envelope = Envelope {
        revision: 1,
        first: Seq(1),
        last: Seq(3),
        thin: 1,
        from: TimeBase::gateway(Boottime(1)),
        until: TimeBase::gateway(Boottime(2)),
        entries: vec![summary],
    };
    let counts = GroupCounts {
        group: 0,
        expected: 60,
        received: 59,
        on_time: 58,
        last: Some(TimeBase::gateway(AT)),
    };
    let binding =
        Binding { line: "rs485".into(), bound: true, asset: Some("SN-1".into()), cause: None };
    let rejected = Outcome::Rejected(Reason::Differs, "reads 229".into());
    vec![
        (Origin::Configuration, What::Described(Arc::new(description(1)))),
        (Origin::Asset, What::Binding(binding)),
        (
            Origin::Keeper,
            What::Transition {
                from: LifeCycle::Created,
                to: LifeCycle::Unbound,
                trigger: Trigger::Configured,
                detail: Some("first".into()),
                entanglement: Some([1.0, 0.5, 0.25]),
            },
        ),
        (by(), What::Command(command)),
        (
            by(),
            What::Refused {
                key: "k2".into(),
                index: Some(1),
                reason: Reason::OutOfRange,
                detail: "500 is outside".into(),
            },
        ),
        (Origin::Asset, What::Reported(reported(readings))),
        (Origin::Asset, What::Backfilled(old)),
        (Origin::Keeper, What::Thinned(envelope)),
        (
            Origin::Asset,
            What::Step {
                command: CommandId(6),
                step: Step::Sent { expected: Value::Unsigned(230) },
            },
        ),
        (Origin::Keeper, What::Step { command: CommandId(6), step: Step::Ended(rejected) }),
        (Origin::Asset, What::Event(event)),
        (Origin::Configuration, What::Related(feeds())),
        (
            Origin::Foreign { gateway: "other".parse().unwrap(), epoch: 2, seq: Seq(9) },
            What::Unrelated(feeds()),
        ),
        (Origin::Keeper, What::Heartbeat(vec![counts])),
    ]
}

/// A small history with a commit of every kind.
fn history() -> Vec<Commit> {
    let boot = BootId([3; 16]);
    let user = Principal { kind: PrincipalKind::User, name: "ada".into() };
    let mut bodies = vec![
        Body::Gateway(GatewayEvent::Opened { epoch: 7, boot, offset: None, surviving: Seq(0) }),
        Body::Gateway(GatewayEvent::ClockSet { offset: 1_800_000_000_000_000 }),
        Body::Gateway(GatewayEvent::Writes { on: true, by: user }),
    ];
    let twin = || "pump".parse().unwrap();
    bodies.extend(whats().into_iter().map(|(origin, what)| Body::Twin {
        handle: Handle(1),
        twin: twin(),
        origin,
        what,
    }));
    let cause = GapCause::Retention;
    bodies.push(Body::Gateway(GatewayEvent::Gap { first: Seq(1), last: Seq(2), cause }));
    let commits = (1..).map(Seq).zip(bodies);
    commits.map(|(seq, body)| Commit { seq, epoch: 7, at: AT, body }).collect()
}

/// What came to the format after its first version; a file of its own, since files never change.
fn later() -> Vec<Commit> {
    let boot = BootId([4; 16]);
    let bodies = [
        GatewayEvent::Opened { epoch: 7, boot, offset: Some(1), surviving: Seq(0) },
        GatewayEvent::Revs { least: vec![(Handle(1), 5), (Handle(300), 1 << 40)] },
        GatewayEvent::Forgotten { before: Seq(2) },
    ];
    let commits = (1..).map(Seq).zip(bodies.map(Body::Gateway));
    commits.map(|(seq, body)| Commit { seq, epoch: 7, at: AT, body }).collect()
}

/// The history as one sealed segment, and the state that it comes to.
fn segment(history: Vec<Commit>) -> (Vec<u8>, State) {
    let header = SegmentHeader { family: Family::Records, epoch: 7, id: ID, base: Seq(1) };
    let (mut state, mut frames, mut summary) = (State::default(), Vec::new(), Summary::default());
    for commit in history {
        encode(&mut frames, &state, &commit);
        state.apply(&commit);
    }
    frame::seal(ID, &mut frames);
    let mut rest = &*frames;
    while let Some(header) = Header::take(rest) {
        summary.add(&header);
        rest = &rest[header.frame_len()..];
    }
    let mut bytes = header.encode();
    bytes.extend(&frames);
    let end = bytes.len() as u64;
    bytes.extend(summary.footer(&state).encode(ID));
    bytes.extend(trailer(ID, end));
    (bytes, state)
}

fn links() -> Links {
    let mut link = Link::beginning(Seq(4));
    link.lanes[2].push_front(Lane::new(9, Seq(2), Some(Seq(4))));
    Links { links: [("north".parse().unwrap(), link)].into() }
}

/// The golden file, which must be what this version writes.
fn golden(name: &str, now: &[u8]) -> Vec<u8> {
    if std::env::var_os("GOLDEN").is_some() {
        std::fs::write(path(name), now).unwrap();
    }
    let golden = std::fs::read(path(name)).unwrap();
    assert!(golden == now, "{name}: this version writes other bytes than were released");
    golden
}

#[test]
fn golden_segments_read_as_they_were_written() {
    reads("segment-v1.seg", history());
    reads("segment-v1-later.seg", later());
}

fn reads(name: &str, history: Vec<Commit>) {
    let (bytes, state) = segment(history.clone());
    let golden = golden(name, &bytes);
    let disk = Sim::default();
    let file = disk.create("golden").unwrap();
    file.write_at(0, &golden).unwrap();
    let header = SegmentHeader::decode(&golden).unwrap();
    let segment = Arc::new(Segment::new(header, golden.len() as u64));
    let mut reader = SegmentReader::new(segment, file);
    let (mut read, mut folded) = (Vec::new(), State::default());
    while let Some(whole) = reader.next(golden.len() as u64).unwrap() {
        let commit = whole.frame(header.epoch).unwrap().commit(&folded).unwrap();
        folded.apply(&commit);
        read.push(commit);
    }
    assert_eq!(read, history);
    assert_eq!(folded, state);
    assert_eq!(reader.damaged, 0);
    assert_eq!(HEADER, 64);
}

#[test]
fn a_golden_snapshot_reads_as_it_was_written() {
    let (_, state) = segment(history());
    // Alarms came later, as a block of their own.
    let mut parts = state.parts();
    parts.twins.iter_mut().flatten().for_each(|twin| {
        twin.alarms.clear();
        twin.alarmed = Seq(0);
    });
    let state = State::from_parts(parts);
    let floors = [Seq(2), Seq(0), Seq(0)];
    let bytes = snapshot::encode(Seq(18), true, &state, &links(), floors, &Ranges::default());
    let golden = golden("state-v1.snap", &bytes);
    let read = snapshot::decode(&golden).unwrap();
    assert_eq!((read.seq, read.clean, read.floors[0]), (Seq(18), true, Seq(2)));
    assert_eq!(read.state, state);
    let mut noted = links();
    noted.note(vec![("north".parse().unwrap(), vec![1, 2, 3])]);
    for damage in [Ranges::default(), [(Seq(3), Seq(5))].into_iter().collect()] {
        let with = snapshot::encode(Seq(18), true, &state, &noted, floors, &damage);
        assert!(with.starts_with(&golden[..golden.len() - 4]), "only appended");
        let read = snapshot::decode(&with).unwrap();
        assert_eq!(read.links.links[&"north".parse().unwrap()].note, [1, 2, 3]);
        assert_eq!(read.damage.iter().count(), damage.iter().count());
    }
    let lanes = |links: &Links| links.links.values().map(|l| l.lanes.clone()).collect::<Vec<_>>();
    assert_eq!(lanes(&read.links), lanes(&links()));
}

#[test]
fn what_configuration_asks_later_stands_behind_the_first_form_of_a_snapshot() {
    let (_, state) = segment(history());
    let mut parts = state.parts();
    let twin = parts.twins.iter_mut().flatten().next().unwrap();
    let described = Arc::make_mut(&mut twin.description);
    described.points[0].spec.report = twin::Report::Percent(2.5);
    described.points[0].spec.rules.pace = twin::Pace { least: 1, most: 60_000_000 };
    described.policy.optional = vec!["bus-2".into()];
    let (enter, leave, hold_in, hold_out) = (0.9, 0.5, 1, 2);
    described.policy.entanglement = twin::Measuring {
        window: 600_000_000,
        timeliness: 250_000,
        thresholds: Some(twin::Thresholds { enter, leave, hold_in, hold_out }),
        strong: true,
    };
    let entangled = twin::Entangled { timeliness: 0.75, reliability: 1.0, availability: 0.25 };
    twin.entangled = Some((Seq(7), entangled));
    let maintenance = twin::Maintenance {
        until: Deadline { boot: BootId([3; 16]), at: Boottime(5), utc: None },
        reason: "bearings".into(),
        by: Principal { kind: PrincipalKind::User, name: "ada".into() },
    };
    twin.maintained = Some((Seq(9), Some(maintenance)));
    let described = Arc::make_mut(&mut twin.description);
    described.points[2].spec.rules.alarm = Some(Arc::new(twin::Alarm {
        feature: "flow".parse().unwrap(),
        point: "rate".parse().unwrap(),
        when: twin::Condition::Rate { change: 0.5, time: 60_000_000 },
        severity: 700,
        delay: 1,
        clear_delay: 2,
        acknowledge: true,
        text: "dry run".into(),
    }));
    let alarm = twin.alarms.get_mut(&2).expect("an event of the history stands");
    alarm.event.until = Some(Deadline { boot: BootId([3; 16]), at: Boottime(7), utc: None });
    alarm.raised.0 = Seq(3);
    let asked = State::from_parts(parts);
    assert_ne!(asked, state);
    let floors = [Seq(0); 3];
    for damage in [Ranges::default(), [(Seq(3), Seq(5))].into_iter().collect()] {
        let bytes = snapshot::encode(Seq(18), true, &asked, &links(), floors, &damage);
        assert_eq!(snapshot::decode(&bytes).unwrap().state, asked);
    }
}
