//! A store driven by dice, and what its users were told at every moment.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base::{Clock, ManualClock};
use twin::{
    Acquisition, Boottime, Change, Command, Deadline, Declaration, Description, Entry, Group,
    Input, IntKind, Kind, Order, Origin, PointSpec, Principal, PrincipalKind, Quality, Receipt,
    Relationship, Reported, Seen, Seq, State, Submission, TimeBase, Value, ValueType, What,
};

use super::check::check_exchange;
use super::sim::Sim;
use crate::core::Core;
use crate::filter::LinkOptions;
use crate::follow::Follower;
use crate::frame::{Class, Frame};
use crate::job::Job;
use crate::lanes::{Lanes, Limit, Resume, Want};
use crate::options::Options;
use crate::recovery::Recovery;
use crate::store::{Store, open_core};
use crate::thinning::Thinning;

/// What users saw, each with the number of disk operations before it.
#[derive(Default)]
pub(super) struct Witness {
    /// Commits that followers could see.
    pub(super) frames: Vec<(usize, Frame)>,
    /// Commits whose receipts were told.
    pub(super) told: Arc<Mutex<Vec<(usize, Seq)>>>,
    /// Up to where the store claimed to be durable.
    pub(super) durable: Vec<(usize, Seq)>,
    /// Commits that the far side of the link acknowledged.
    pub(super) settled: Vec<(usize, Class, u32, Seq)>,
    /// Stretches of which only memory had the samples.
    pub(super) lost: Vec<(Seq, Seq)>,
    /// The state.
    pub(super) states: Vec<(usize, State)>,
}

/// One life of the store.
pub(super) struct Life {
    pub(super) disk: Sim,
    pub(super) core: Core,
    pub(super) store: Store,
    pub(super) recovery: Recovery,
    pub(super) seen: Witness,
    pub(super) lanes: Lanes,
    pub(super) hand: Arc<ManualClock>,
    follower: Follower,
    rng: fastrand::Rng,
    job: Option<Job>,
    thinning: Option<Thinning>,
    key: u64,
}

pub(super) const TWINS: [&str; 2] = ["pump", "fan"];

pub(super) fn options(small: bool) -> Options {
    let mut options = Options::new("gw".parse().unwrap());
    options.samples.segment = 2 << 10;
    // What gaps alone may use comes on top.
    options.records.segment = (2 << 10) + 512;
    options.ring = if small { 2 << 10 } else { 64 << 10 };
    options.snapshot = 4 << 10;
    options.thin = Duration::ZERO;
    options
}

pub(super) fn description(revision: u32) -> Description {
    let acquisition = Acquisition::Polled { interval: 1_000_000 };
    let group = Group { name: "main".parse().unwrap(), acquisition, max_age: 0, retired: false };
    let writable = twin::Writable {
        range: None,
        settle: 0,
        tolerance: 0.0,
        unsynchronised: true,
        hold: false,
    };
    let types = [ValueType::Int(IntKind::U16), ValueType::F32, ValueType::Text, ValueType::Bool];
    let point = |(i, value_type): (usize, ValueType)| PointSpec {
        title: (revision > 1).then(|| format!("revision {revision}").into()),
        access: twin::Access { readable: true, writable: Some(writable.clone()) },
        ..PointSpec::new(
            format!("f{}", i % 2).parse().unwrap(),
            format!("p{i}").parse().unwrap(),
            Kind::State,
            value_type,
        )
    };
    let points = types.into_iter().enumerate().map(point).collect();
    let declared = Declaration { groups: vec![group], points, ..Declaration::default() };
    let first = Description::default().revise(&declared).unwrap().description;
    Description { revision, ..first }
}

fn change(twin: &str, origin: Origin, what: What) -> Change {
    Change { twin: twin.parse().unwrap(), origin, what }
}

impl Life {
    /// Opens the store and its link, whose positions are durable when this returns.
    pub(super) fn begin(disk: Sim, options: Options, boot: u8, seed: u64) -> (Self, Resume) {
        Self::begin_at(1_800_000_000_000_000, disk, options, boot, seed)
    }

    /// The same at this wall-clock time.
    pub(super) fn begin_at(
        utc: i64,
        disk: Sim,
        options: Options,
        boot: u8,
        seed: u64,
    ) -> (Self, Resume) {
        let (clock, hand) = Clock::manual(1_000_000, Some(utc), [boot; 16]);
        let (core, recovery) = open_core(Arc::new(disk.clone()), options, clock).unwrap();
        let store = Store { shared: core.shared.clone() };
        let mut lanes = store.link(&"north".parse().unwrap(), LinkOptions::default());
        let resume = lanes.connected();
        let mut life = Self {
            follower: store.follow(recovery.surviving.next()),
            rng: fastrand::Rng::with_seed(seed),
            seen: Witness::default(),
            job: None,
            thinning: None,
            key: seed << 20,
            disk,
            core,
            store,
            recovery,
            lanes,
            hand,
        };
        life.look();
        (life, resume)
    }

    /// Twins and the link's positions, durably.
    pub(super) fn found(&mut self) {
        for twin in TWINS {
            self.submit(change(
                twin,
                Origin::Configuration,
                What::Described(Arc::new(description(1))),
            ));
        }
        self.core.tick();
        let done = self.core.begin_job(true).unwrap().run();
        self.core.finish_job(done);
        self.look();
    }

    /// One step of anything that may happen.
    pub(super) fn step(&mut self) {
        match self.rng.u8(0..20) {
            0..=5 => self.report(),
            6 => self.relate(),
            7 => self.command(),
            8 => self.describe(),
            9..=12 => self.deliver(),
            13 if self.rng.u8(0..4) == 0 => {
                self.lanes.disconnected();
                self.lanes.connected();
            }
            14 | 15 => {
                self.hand.advance(Duration::from_millis(self.rng.u64(0..4_000)));
                self.core.tick();
            }
            _ => self.disk_work(),
        }
        self.look();
    }

    /// What a user could see by now.
    pub(super) fn look(&mut self) {
        let at = self.disk.ops();
        loop {
            let frames = self.follower.ready();
            if frames.is_empty() {
                break;
            }
            self.seen.frames.extend(frames.into_iter().map(|f| (at, f)));
        }
        self.seen.lost.extend(self.core.lost.iter());
        self.seen.durable.push((at, self.store.statistics().counters.durable));
        self.seen.states.push((at, self.store.read(Clone::clone)));
    }

    fn submit(&mut self, change: Change) {
        let (told, disk) = (self.seen.told.clone(), self.disk.clone());
        let receipt = Receipt::new(move |answer| {
            if let Ok(accepted) = answer {
                told.lock().unwrap().push((disk.ops(), accepted.seq));
            }
        });
        self.core.accept(&mut vec![Submission::change(change).with_receipt(receipt)]);
    }

    pub(super) fn report(&mut self) {
        let mut batch = Vec::new();
        for _ in 0..self.rng.usize(1..6) {
            let twin = TWINS[self.rng.usize(..TWINS.len())];
            let at = Boottime(self.core.now().boottime.0);
            let mut entries = Vec::new();
            for index in 0..4_u16 {
                let value = match index {
                    0 => Value::Unsigned(self.rng.u64(..65_536)),
                    1 => Value::Float(f64::from(self.rng.f32())),
                    2 => Value::Text("x".repeat(self.rng.usize(..40)).into()),
                    _ => Value::Bool(self.rng.bool()),
                };
                if self.rng.u8(..4) > 0 {
                    let good = self.rng.u8(..8) > 0;
                    let quality =
                        if good { Quality::GOOD } else { Quality::bad(twin::Cause::Timeout) };
                    let offset = if self.rng.u8(..8) == 0 { 7 } else { 0 };
                    entries.push(Entry { index, quality, value: good.then_some(value), offset });
                }
            }
            let reported = Reported {
                revision: 1,
                group: 0,
                source: TimeBase::gateway(at),
                server: None,
                command: None,
                continued: false,
                entries,
            };
            let seen =
                Seen { twin: twin.parse().unwrap(), group: 0, ok: true, due: at, at, expected: 1 };
            let change = change(twin, Origin::Asset, What::Reported(reported));
            batch.push(Submission { input: Input::Change(change, Some(seen)), receipt: None });
        }
        self.core.accept(&mut batch);
    }

    fn relate(&mut self) {
        self.key += 1;
        let target = format!("t{}", self.key).into();
        let relation = Relationship { name: "feeds".parse().unwrap(), target };
        let twin = TWINS[self.rng.usize(..TWINS.len())];
        let change = change(twin, Origin::Configuration, What::Related(relation));
        if self.rng.bool() {
            self.submit(change);
        } else {
            self.core.accept(&mut vec![Submission::change(change)]);
        }
    }

    fn command(&mut self) {
        self.key += 1;
        let by = Principal { kind: PrincipalKind::Link, name: "north".into() };
        let command = Command {
            key: format!("k{}", self.key).into(),
            index: 0,
            order: Order::Write(Value::Unsigned(self.rng.u64(..99_999))),
            deadline: Deadline::after(self.core.now(), 60_000_000),
            asked: self.core.now().utc,
        };
        let twin = TWINS[self.rng.usize(..TWINS.len())];
        self.submit(change(twin, Origin::Principal(by), What::Command(command)));
    }

    fn describe(&mut self) {
        let twin = TWINS[self.rng.usize(..TWINS.len())];
        let id = twin.parse().unwrap();
        let revision = self.store.read(|s| s.twin(&id).map_or(0, |t| t.description().revision)) + 1;
        let what = What::Described(Arc::new(description(revision)));
        self.submit(change(twin, Origin::Configuration, what));
    }

    /// The link hands some commits to the far side, which acknowledges some of them in any order.
    fn deliver(&mut self) {
        let mut out = Vec::new();
        let limit = Limit { frames: self.rng.usize(1..12), bytes: 1 << 20 };
        let want = if self.rng.bool() { Want::Live } else { Want::Backlog };
        let Some(lane) = self.lanes.next(want, None, limit, &mut out) else { return };
        self.rng.shuffle(&mut out);
        let acknowledged = self.rng.usize(..=out.len());
        for frame in &out[..acknowledged] {
            self.lanes.settled(lane, frame.seq);
            self.seen.settled.push((self.disk.ops(), lane.class, frame.epoch, frame.seq));
        }
    }

    /// A round of disk work begins, or the one that has begun is done: the writer goes on meanwhile.
    fn disk_work(&mut self) {
        match self.job.take() {
            Some(job) => {
                let done = job.run();
                self.core.finish_job(done);
            }
            None => self.job = self.core.begin_job(self.rng.u8(..4) == 0),
        }
        match self.thinning.take() {
            Some(thinning) if self.rng.bool() => {
                let before = self.store.statistics().counters.thinned_segments;
                self.core.finish_thinning(thinning.run());
                if self.store.statistics().counters.thinned_segments > before {
                    check_exchange(self);
                }
            }
            Some(thinning) => self.thinning = Some(thinning),
            None => self.thinning = self.core.begin_thinning(),
        }
    }

    /// Everything that is due is done, with no time in between.
    pub(super) fn work(&mut self) {
        self.core.tick();
        loop {
            let job = self.core.begin_job(false);
            let thinning = self.core.begin_thinning();
            if job.is_none() && thinning.is_none() {
                return;
            }
            if let Some(job) = job {
                let done = job.run();
                self.core.finish_job(done);
            }
            if let Some(thinning) = thinning {
                self.core.finish_thinning(thinning.run());
            }
        }
    }

    /// Everything that the lanes still hold, in the order in which they hand it out.
    pub(super) fn drain(&mut self) -> BTreeMap<(Class, u32), Vec<Seq>> {
        let mut drained: BTreeMap<(Class, u32), Vec<Seq>> = BTreeMap::new();
        let mut out = Vec::new();
        for want in [Want::Live, Want::Backlog] {
            let limit = Limit { frames: 7, bytes: 1 << 20 };
            while let Some(lane) = self.lanes.next(want, None, limit, &mut out) {
                for frame in out.drain(..) {
                    drained.entry((lane.class, lane.number)).or_default().push(frame.seq);
                    self.lanes.settled(lane, frame.seq);
                }
            }
        }
        drained
    }
}
