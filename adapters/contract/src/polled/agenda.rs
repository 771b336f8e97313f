//! What is to be done on one line, in which order, and when.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::mpsc;
use twin::{Binding, Boottime, Cause, CommandId, Moment, Quality, Seen, Submission, TwinId, What};

use super::command::Command;
use super::device::{Device, Seats};
use super::job::{Job, Kind};
use super::raw::Raws;
use super::read::Reads;
use super::report::{Acquired, asset, bad};
use super::{Failed, FailedKind, Polled, Task, Work};
use crate::{Grid, ProbeBudget};

/// A probe that has waited this long for a pause between polls no longer waits, in microseconds.
const PROBE_PATIENCE: i64 = 10_000_000;
/// Skipped turns of a group are told at most this often, in microseconds.
const QUIET: i64 = 1_000_000;

/// The record of a command about to be sent is durable, or why it is not.
pub type Durable = (CommandId, Result<(), Arc<str>>);

/// The work of one line. Times are boottime in microseconds.
#[derive(Debug)]
pub struct Agenda<P: Polled> {
    pub(super) line: Arc<str>,
    pub(super) devices: Vec<Option<Device<P>>>,
    pub(super) jobs: Vec<Job<P>>,
    pub(super) commands: VecDeque<Command<P>>,
    pub(super) reads: Reads,
    pub(super) raws: Raws,
    pub(super) under_way: HashMap<u64, UnderWay>,
    pub(super) out: Vec<Submission>,
    pub(super) durable: mpsc::Sender<Durable>,
    pub(super) budget: ProbeBudget,
    /// Why the line cannot be used, where it cannot.
    pub(super) down: Option<Arc<str>>,
    /// Something happened that those who watch the status should see at once.
    pub(super) turned: bool,
    pub(super) wasted: u64,
    grid: Grid,
    seats: Seats,
    numbers: u64,
}

/// A request on the wire.
#[derive(Debug, Clone, Copy)]
pub(super) struct UnderWay {
    pub device: usize,
    pub what: On,
}

/// On whose behalf.
#[derive(Debug, Clone, Copy)]
pub(super) enum On {
    /// A batch of a job.
    Job { job: u64, batch: usize, attempts: u8 },
    /// The write of a command.
    Write(CommandId),
}

impl<P: Polled> Agenda<P> {
    /// The agenda of a line without devices, and where it learns that records are durable.
    #[must_use]
    pub fn new(line: Arc<str>, grid: Grid) -> (Self, mpsc::Receiver<Durable>) {
        let (durable, receipts) = mpsc::channel(super::command::MOST);
        let agenda = Self {
            line,
            devices: Vec::new(),
            jobs: Vec::new(),
            commands: VecDeque::new(),
            reads: Reads::default(),
            raws: Raws::default(),
            under_way: HashMap::new(),
            out: Vec::new(),
            durable,
            budget: ProbeBudget::default(),
            down: None,
            turned: true,
            wasted: 0,
            grid,
            seats: Seats::default(),
            numbers: 0,
        };
        (agenda, receipts)
    }

    /// The device at this place of the agenda.
    #[must_use]
    pub fn device(&self, at: usize) -> Option<&P> {
        self.devices.get(at)?.as_ref().map(|device| &device.spec)
    }

    /// What is to be submitted, in order.
    pub fn submissions(&mut self) -> std::vec::Drain<'_, Submission> {
        self.out.drain(..)
    }

    /// Whether something is to be submitted.
    #[must_use]
    pub fn has_submissions(&self) -> bool {
        !self.out.is_empty()
    }

    /// From now on these devices are on the line. Devices that are as they were do not notice.
    pub fn configure(&mut self, devices: Vec<P>, now: i64) {
        let mut new: Vec<P> = Vec::new();
        let mut keep = vec![false; self.devices.len()];
        for spec in devices {
            let same = |d: &Option<Device<P>>| d.as_ref().is_some_and(|d| d.spec == spec);
            match self.devices.iter().position(same) {
                Some(at) => keep.iter_mut().skip(at).take(1).for_each(|kept| *kept = true),
                None => new.push(spec),
            }
        }
        for at in (0..keep.len()).filter(|at| keep.get(*at) == Some(&false)) {
            let returns = |d: &Device<P>| new.iter().any(|spec| spec.twin() == d.spec.twin());
            let gone = self.devices.get(at).and_then(Option::as_ref).is_some_and(|d| !returns(d));
            self.remove(at, gone, now);
        }
        for spec in new {
            let device = Device::new(spec, &self.devices, &mut self.seats, &self.grid, now);
            match self.devices.iter_mut().find(|slot| slot.is_none()) {
                Some(slot) => *slot = Some(device),
                None => self.devices.push(Some(device)),
            }
        }
        self.seats.prune();
        self.turned = true;
    }

    fn remove(&mut self, at: usize, gone: bool, now: i64) {
        let words: Arc<str> = "it was reconfigured or removed".into();
        let quality = Quality::bad(Cause::Paused);
        let failed = Failed { kind: FailedKind::Lost, quality, words: words.clone() };
        self.drop_under_way(Some(at), &failed, now);
        self.abandon(at, &failed, now);
        self.give_up_commands(at, &failed);
        self.expire_read_backs(now, Some(at));
        let Some(device) = self.devices.get_mut(at).and_then(Option::take) else { return };
        if gone && device.bound.is_some() {
            let cause = Some("it was removed from the configuration".into());
            let binding = Binding { line: self.line.clone(), bound: false, asset: None, cause };
            self.out.push(Submission::change(asset(device.spec.twin(), What::Binding(binding))));
        }
    }

    /// The line can be used. What was skipped while it could not is asked for at once.
    pub fn line_up(&mut self, now: i64) {
        if self.down.take().is_some() {
            for device in self.devices.iter_mut().flatten().filter(|d| d.breaker.lets_through()) {
                device.rush(now);
            }
        }
        self.turned = true;
    }

    /// The line cannot be used, for this reason.
    pub fn line_down(&mut self, now: i64, words: &Arc<str>) {
        let first = self.down.replace(words.clone()).is_none();
        if !first {
            return;
        }
        let quality = Quality::bad(Cause::NotConnected);
        let failed = Failed { kind: FailedKind::Lost, quality, words: words.clone() };
        for device in self.devices.iter_mut().flatten() {
            device.doubted = device.spec.doubtful();
        }
        self.drop_under_way(None, &failed, now);
        for at in 0..self.devices.len() {
            self.lose(at, &failed, now);
        }
        self.turned = true;
    }

    /// A device that was silent is the one that it was: it is polled again.
    pub fn proven(&mut self, twin: &TwinId) {
        let at = self.place(twin);
        let device = at.and_then(|at| self.devices.get_mut(at)).and_then(Option::as_mut);
        if let Some(device) = device.filter(|d| self.down.is_none() && d.breaker.lets_through()) {
            device.doubted = false;
            self.turned = true;
        }
    }

    /// A device cannot be asked: all its readings are bad, work for it comes to nothing.
    pub(super) fn lose(&mut self, at: usize, failed: &Failed, now: i64) {
        self.abandon(at, failed, now);
        self.give_up_commands(at, failed);
        let Some(device) = self.devices.get_mut(at).and_then(Option::as_mut) else { return };
        device.outage = failed.quality;
        let (twin, revision) = (device.spec.twin().clone(), device.spec.revision());
        for group in device.groups.iter_mut().filter(|g| g.cycle.is_some() && !g.busy) {
            let lost = nothing(&group.points, failed.quality, now);
            self.out.extend(group.reporter.report(&twin, revision, group.index, lost, None));
        }
    }

    /// Ends what a device's jobs still wanted to send. Read-backs wait for the device to return.
    fn abandon(&mut self, at: usize, failed: &Failed, now: i64) {
        let mut over = Vec::new();
        let Some(device) = self.devices.get(at).and_then(Option::as_ref) else { return };
        for job in self.jobs.iter_mut().filter(|job| job.device == at) {
            if !matches!(job.kind, Kind::ReadBack { .. }) {
                job.abandon(&device.spec, failed, now);
                over.extend(job.over().then_some(job.id));
            }
        }
        for id in over {
            self.finish(id, now);
        }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// The next request to put on the wire now, if there is one: commands first, then what was asked for, then polls by
    /// their deadlines, probes in the pauses.
    pub fn next(&mut self, now: Moment) -> Option<Task<P::Batch, P::Write>> {
        let at = now.boottime.0;
        self.skip(at);
        self.expire_read_backs(at, None);
        if self.down.is_some() {
            return None;
        }
        if let Some(task) = self.next_write(now) {
            return Some(task);
        }
        let overdue = if self.probe_can_wait(at) { None } else { self.begin_probe(at) };
        let job = match overdue {
            Some(probe) => probe,
            None => match (self.first_due(at), self.first_job(at)) {
                (Some((key, device, group)), best) if best.is_none_or(|(other, _)| key < other) => {
                    self.begin(device, group, at)?
                }
                (_, Some((_, job))) => job,
                _ => self.begin_probe(at)?,
            },
        };
        self.send(job)
    }

    /// When [`Agenda::next`] is to be asked again at the latest.
    #[must_use]
    pub fn wake(&self) -> Option<i64> {
        let mut wake = i64::MAX;
        let mut when = |at: i64| wake = wake.min(at);
        for (at, device) in self.devices.iter().enumerate() {
            let Some(device) = device else { continue };
            let shut = self.down.is_some() || !device.serves();
            let ready = if shut { i64::MIN } else { device.ready };
            if shut || !self.asked_first(at) {
                let groups = device.groups.iter().filter_map(|group| group.wake(shut));
                groups.for_each(|due| when(due.max(ready)));
            }
            if let Some(probe) = device.breaker.probe_at().filter(|_| self.down.is_none()) {
                when(probe.max(self.probes_from()));
            }
        }
        for job in self.jobs.iter().filter(|job| job.waiting()) {
            if let Kind::ReadBack { until, .. } = job.kind {
                when(until);
            }
            if self.down.is_none() && self.lets_through(job.device) {
                when(job.not_before.max(self.ready(job.device)));
            }
        }
        (wake != i64::MAX).then_some(wake)
    }

    /// Whether it is being asked which asset it is: no group begins before.
    fn asked_first(&self, device: usize) -> bool {
        let known = self.devices.get(device).and_then(Option::as_ref).is_none_or(|d| d.identified);
        !known && self.jobs.iter().any(|job| job.device == device)
    }

    fn lets_through(&self, device: usize) -> bool {
        let device = self.devices.get(device).and_then(Option::as_ref);
        device.is_some_and(|device| device.breaker.lets_through())
    }

    fn ready(&self, device: usize) -> i64 {
        self.devices.get(device).and_then(Option::as_ref).map_or(i64::MIN, |d| d.ready)
    }

    /// The group that is due and has the earliest deadline.
    fn first_due(&self, now: i64) -> Option<((u8, i64), usize, usize)> {
        let mut best: Option<((u8, i64), usize, usize)> = None;
        for (at, device) in self.devices.iter().enumerate() {
            let Some(device) = device else { continue };
            if !device.free(now) || !device.serves() {
                continue;
            }
            if self.asked_first(at) {
                continue;
            }
            for (n, group) in device.groups.iter().enumerate() {
                let Some(cycle) = group.cycle.as_ref().filter(|c| !group.busy && c.wake() <= now)
                else {
                    continue;
                };
                let key = (2, cycle.deadline());
                if best.is_none_or(|(other, ..)| key < other) {
                    best = Some((key, at, n));
                }
            }
        }
        best
    }

    /// The job that has something to send and comes first.
    fn first_job(&self, now: i64) -> Option<((u8, i64), u64)> {
        let ready = |job: &&Job<P>| {
            let device = self.devices.get(job.device).and_then(Option::as_ref);
            let may = |d: &Device<P>| {
                d.free(now) && (d.breaker.lets_through() || matches!(job.kind, Kind::Probe))
            };
            job.waiting() && job.not_before <= now && device.is_some_and(may)
        };
        let jobs = self.jobs.iter().filter(ready);
        jobs.map(|job| ((job.kind.class(), job.deadline), job.id)).min()
    }

    /// Begins the acquisition of a group, or first finds out which asset it is.
    fn begin(&mut self, at: usize, group: usize, now: i64) -> Option<u64> {
        let id = self.number();
        let device = self.devices.get_mut(at)?.as_mut()?;
        let (kind, batches, points) = if device.identified {
            let group_state = device.groups.get_mut(group)?;
            let turn = group_state.cycle.as_mut()?.take(now)?;
            group_state.busy = true;
            device.counters.missed += u64::from(turn.expected.saturating_sub(1));
            let points = group_state.points.len();
            (Kind::Poll { group, turn }, group_state.batches.clone(), points)
        } else {
            (Kind::Identity, device.spec.identity().into(), 0)
        };
        let deadline = if let Kind::Poll { turn, .. } = kind { turn.deadline } else { now };
        self.jobs.push(Job::new(id, at, kind, batches, points, deadline));
        Some(id)
    }

    /// When the line's budget allows the next probe. Where no device is alive there is nobody to protect.
    fn probes_from(&self) -> i64 {
        let alive = self.devices.iter().flatten().any(|d| d.breaker.lets_through());
        if alive { self.budget.free_at() } else { i64::MIN }
    }

    fn begin_probe(&mut self, now: i64) -> Option<u64> {
        if now < self.probes_from() || self.jobs.iter().any(|j| matches!(j.kind, Kind::Probe)) {
            return None;
        }
        let waiting = self.devices.iter().enumerate().filter_map(|(at, d)| {
            let probe = d.as_ref()?.breaker.probe_at()?;
            (probe <= now).then_some((probe, at))
        });
        let (_, at) = waiting.min()?;
        let batches: Arc<[P::Batch]> = self.device(at)?.probe().into_iter().collect();
        let id = self.number();
        self.jobs.push(Job::new(id, at, Kind::Probe, batches, 0, now));
        Some(id)
    }

    fn send(&mut self, id: u64) -> Option<Task<P::Batch, P::Write>> {
        let ticket = self.number();
        let job = self.jobs.iter_mut().find(|job| job.id == id)?;
        let (batch, attempts) = job.take()?;
        let work = Work::Read(job.batches.get(batch)?.clone());
        let device = job.device;
        let what = On::Job { job: id, batch, attempts };
        self.under_way.insert(ticket, UnderWay { device, what });
        self.left(device);
        Some(Task { ticket, device, work })
    }

    pub(super) fn left(&mut self, device: usize) {
        if let Some(device) = self.devices.get_mut(device).and_then(Option::as_mut) {
            device.in_flight += 1;
            device.counters.requests += 1;
        }
    }

    /// Turns of devices that cannot be asked pass by; they are told in summary.
    fn skip(&mut self, now: i64) {
        for device in self.devices.iter_mut().flatten() {
            if self.down.is_none() && device.serves() {
                continue;
            }
            let (twin, revision) = (device.spec.twin().clone(), device.spec.revision());
            for group in &mut device.groups {
                if group.wake(true).is_none_or(|wake| now < wake) {
                    continue;
                }
                let Some(turn) = group.cycle.as_mut().and_then(|cycle| cycle.take(now)) else {
                    continue;
                };
                group.quiet = now + QUIET;
                device.counters.missed += u64::from(turn.expected);
                let seen = seen(&twin, group.index, false, turn.due, now, turn.expected);
                let lost = nothing(&group.points, device.outage, now);
                self.out.extend(group.reporter.report(
                    &twin,
                    revision,
                    group.index,
                    lost,
                    Some(seen),
                ));
            }
        }
    }

    /// Whether a probe that is due can wait for a pause between polls.
    fn probe_can_wait(&self, now: i64) -> bool {
        let due = self.devices.iter().flatten().filter_map(|d| d.breaker.probe_at()).min();
        due.is_none_or(|due| now < due.max(self.probes_from()).saturating_add(PROBE_PATIENCE))
    }
}

impl<P: Polled> Device<P> {
    /// Asks for all groups that have nothing good to show.
    pub(super) fn rush(&mut self, now: i64) {
        for group in self.groups.iter_mut().filter(|group| group.reporter.failing()) {
            group.quiet = now;
            if let Some(cycle) = &mut group.cycle {
                cycle.rush();
            }
        }
    }
}

/// An acquisition that brought nothing.
fn nothing(points: &[u16], quality: Quality, now: i64) -> Acquired {
    let mut entries = Vec::with_capacity(points.len());
    bad(points.iter().copied(), quality, &mut entries);
    Acquired { entries, first: now, last: now, nothing: Some(quality), complete: false }
}

pub(super) fn seen(twin: &TwinId, group: u16, ok: bool, due: i64, at: i64, expected: u32) -> Seen {
    let (due, at) = (Boottime(due), Boottime(at));
    Seen { twin: twin.clone(), group, ok, due, at, expected }
}
