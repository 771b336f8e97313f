//! A simulated line: devices that answer, hang or refuse, one request at a time, in virtual time.

use std::collections::BTreeMap;
use std::sync::Arc;

use adapter::{
    Agenda, Durable, Encoded, Failed, FailedKind, Grid, Identity, Polled, PolledGroup, Task,
    Timing, Work,
};
use tokio::sync::mpsc;
use twin::{
    Accepted, BootId, Boottime, Cause, Change, Entry, Input, Moment, Order, Quality, Reason,
    Reported, Seen, Seq, Submission, TwinId, Value, What,
};

pub(crate) const MS: i64 = 1_000;
pub(crate) const S: i64 = 1_000_000;
/// What a request to a device costs: one that answers, one that does not, and the quarantine after it.
pub(crate) const ANSWER: i64 = 20 * MS;
pub(crate) const TIMEOUT: i64 = 300 * MS;
pub(crate) const QUARANTINE: i64 = 600 * MS;

/// A device with groups of points `group * 100 + n`, two to a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Unit {
    pub(crate) twin: TwinId,
    pub(crate) groups: Vec<(Option<i64>, u16)>,
    pub(crate) identity: bool,
    pub(crate) revision: u32,
    pub(crate) doubtful: bool,
}

/// How a unit behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Good,
    Dead,
    /// Refuses requests for points from this one on.
    Refuses(u16),
    /// Asks for patience.
    Later,
    /// Answers polls; of its identity it puts off one part and refuses the other.
    Shy,
    /// Reads well but answers no write.
    DeafToWrites,
}

pub(crate) fn unit(n: usize, period: i64) -> Unit {
    let twin = name(n);
    Unit { twin, groups: vec![(Some(period), 2)], identity: false, revision: 1, doubtful: false }
}

pub(crate) fn name(n: usize) -> TwinId {
    format!("unit-{n}").parse().unwrap()
}

impl Polled for Unit {
    type Batch = Vec<u16>;
    type Write = (u16, i64);
    type Answer = i64;

    fn twin(&self) -> &TwinId {
        &self.twin
    }

    fn revision(&self) -> u32 {
        self.revision
    }

    fn groups(&self) -> Vec<PolledGroup> {
        let group = |(n, (every, points)): (u16, &(Option<i64>, u16))| PolledGroup {
            index: n,
            every: *every,
            points: (n * 100..n * 100 + points).collect(),
        };
        (0..).zip(&self.groups).map(group).collect()
    }

    fn group_of(&self, point: u16) -> Option<u16> {
        let group = point / 100;
        let points = self.groups.get(usize::from(group))?.1;
        (point % 100 < points).then_some(group)
    }

    fn plan(&self, points: &[u16]) -> Vec<Vec<u16>> {
        points.chunks(2).map(<[u16]>::to_vec).collect()
    }

    fn probe(&self) -> Option<Vec<u16>> {
        Some(vec![0])
    }

    fn points<'a>(&'a self, batch: &'a Vec<u16>) -> impl Iterator<Item = u16> + 'a {
        batch.iter().copied()
    }

    fn decode(&self, batch: &Vec<u16>, answer: &i64, offset: i64, out: &mut Vec<Entry>) {
        let value = Some(Value::Signed(*answer));
        let entry = |index| Entry { index, quality: Quality::GOOD, value: value.clone(), offset };
        out.extend(batch.iter().copied().map(entry));
    }

    fn encode(&self, point: u16, order: &Order) -> Result<Encoded<(u16, i64)>, (Reason, Arc<str>)> {
        match order {
            Order::Write(Value::Signed(n)) => {
                Ok(Encoded { write: (point, *n), expected: Value::Signed(*n), settle: 50 * MS })
            }
            _ => Err((Reason::WrongType, "signed numbers only".into())),
        }
    }

    fn identity(&self) -> Vec<Vec<u16>> {
        if self.identity { vec![vec![0], vec![1]] } else { Vec::new() }
    }

    fn identify(&self, answers: &[Option<i64>]) -> Identity {
        let numbers: Vec<i64> = answers.iter().flatten().copied().collect();
        Identity { asset: Some(format!("serial {numbers:?}").into()), ..Identity::default() }
    }

    fn doubtful(&self) -> bool {
        self.doubtful
    }

    fn raw(&self, request: &[u8]) -> Option<Vec<u16>> {
        (!request.is_empty()).then(|| request.iter().map(|byte| u16::from(*byte)).collect())
    }

    fn raw_answer(&self, answer: &i64) -> Vec<u8> {
        answer.to_be_bytes().to_vec()
    }

    fn place(&self, point: Option<u16>) -> String {
        format!("{point:?}")
    }

    fn request_bytes(&self, _: &Work<Vec<u16>, (u16, i64)>) -> Vec<u8> {
        vec![1]
    }

    fn answer_bytes(&self, _: &Work<Vec<u16>, (u16, i64)>, answer: &i64) -> Vec<u8> {
        answer.to_be_bytes().to_vec()
    }

    fn explain(&self, _: &Vec<u16>, answer: &i64, _: u16) -> Vec<String> {
        vec![format!("it is {answer}")]
    }

    fn risks(&self, _: u16) -> Vec<String> {
        Vec::new()
    }
}

/// A request as the line carried it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Carried {
    pub(crate) at: i64,
    pub(crate) free: i64,
    pub(crate) twin: TwinId,
    pub(crate) work: Work<Vec<u16>, (u16, i64)>,
    pub(crate) answered: bool,
}

pub(crate) struct Sim {
    pub(crate) agenda: Agenda<Unit>,
    durable: mpsc::Receiver<Durable>,
    pub(crate) now: i64,
    pub(crate) manners: BTreeMap<TwinId, Manner>,
    pub(crate) values: BTreeMap<TwinId, i64>,
    pub(crate) carried: Vec<Carried>,
    pub(crate) seen: Vec<Seen>,
    pub(crate) changes: Vec<Change>,
    /// Records are durable at once.
    pub(crate) disk: bool,
    receipts: Vec<twin::Receipt>,
}

impl Sim {
    pub(crate) fn new(units: Vec<Unit>) -> Self {
        let (mut agenda, durable) = Agenda::new("line".into(), Grid::default());
        agenda.configure(units, 0);
        Self {
            agenda,
            durable,
            now: 0,
            manners: BTreeMap::new(),
            values: BTreeMap::new(),
            carried: Vec::new(),
            seen: Vec::new(),
            changes: Vec::new(),
            disk: true,
            receipts: Vec::new(),
        }
    }

    pub(crate) fn moment(&self) -> Moment {
        Moment { boottime: Boottime(self.now), boot: BootId([0; 16]), utc: None }
    }

    /// Runs the line until then.
    pub(crate) fn run(&mut self, until: i64) {
        while self.now < until {
            self.collect();
            if let Some(task) = self.agenda.next(self.moment()) {
                self.carry(task);
                continue;
            }
            self.collect();
            let wake = self.agenda.wake().unwrap_or(i64::MAX);
            assert!(wake > self.now, "it wants to be asked again, but has nothing to do");
            self.now = wake.min(until);
        }
        self.collect();
    }

    fn carry(&mut self, task: Task<Vec<u16>, (u16, i64)>) {
        let twin = self.agenda.device(task.device).unwrap().twin.clone();
        let manner = self.manners.get(&twin).copied().unwrap_or(Manner::Good);
        let refused = |words: &str, kind, cause| {
            Err(Failed { kind, quality: Quality::bad(cause), words: words.into() })
        };
        let result = match (manner, &task.work) {
            (Manner::Dead, _) | (Manner::DeafToWrites, Work::Write(_)) => {
                refused("no answer in time", FailedKind::Timeout, Cause::Timeout)
            }
            (Manner::Shy, Work::Read(points)) if points[..] == [0] => {
                refused("busy", FailedKind::Later, Cause::Refused)
            }
            (Manner::Shy, Work::Read(points)) if points[..] == [1] => {
                refused("illegal address", FailedKind::Refused, Cause::Refused)
            }
            (Manner::Later, _) => refused("busy", FailedKind::Later, Cause::Refused),
            (Manner::Refuses(from), Work::Read(points)) if points.iter().any(|p| *p >= from) => {
                refused("illegal address", FailedKind::Refused, Cause::Refused)
            }
            (_, Work::Write((_, value))) => {
                self.values.insert(twin.clone(), *value);
                Ok(0)
            }
            _ => Ok(self.values.get(&twin).copied().unwrap_or(0)),
        };
        let sent = self.now;
        let timeout = matches!(&result, Err(f) if f.kind == FailedKind::Timeout);
        let ended = sent + if timeout { TIMEOUT } else { ANSWER };
        let free = ended + if timeout { QUARANTINE } else { 0 };
        let answered = result.is_ok();
        self.carried.push(Carried { at: sent, free, twin, work: task.work, answered });
        self.agenda.done(task.ticket, result, Timing { sent, ended, free });
        self.now = free;
    }

    fn collect(&mut self) {
        let submissions: Vec<Submission> = self.agenda.submissions().collect();
        for submission in submissions {
            self.receipts.extend(submission.receipt);
            match submission.input {
                Input::Seen(seen) => self.seen.push(seen),
                Input::Change(change, seen) => {
                    self.seen.extend(seen);
                    self.changes.push(change);
                }
                Input::Gateway(_) => panic!("an adapter does not speak for the gateway"),
            }
        }
        if self.disk {
            self.sync(Ok(()));
        }
    }

    /// The disk answers for everything that was submitted.
    pub(crate) fn sync(&mut self, answer: Result<(), twin::Refusal>) {
        for receipt in self.receipts.drain(..) {
            let accepted = Accepted { seq: Seq(1), known: None, refused: None };
            receipt.tell(answer.clone().map(|()| accepted));
        }
        while let Ok(durable) = self.durable.try_recv() {
            self.agenda.durable(durable);
        }
    }

    pub(crate) fn reports(&self, twin: &TwinId) -> Vec<&Reported> {
        let of = self.changes.iter().filter(|change| change.twin == *twin);
        of.filter_map(|change| match &change.what {
            What::Reported(reported) => Some(reported),
            _ => None,
        })
        .collect()
    }
}
