//! Commands: encoded, made durable, written once, read back.
//!
//! Nothing leaves before the record of it is durable; a write is never repeated.

use std::sync::Arc;

use twin::{
    CommandId, CommandOrder, Moment, Order, Outcome, Principal, Reason, Receipt, Step, Submission,
    TwinId, What,
};

use super::agenda::{Agenda, Durable, On, UnderWay};
use super::device::Last;
use super::job::{Job, Kind};
use super::read::{doubt, silence};
use super::report::{asset, reported, submission};
use super::{Encoded, Failed, FailedKind, Polled, Task, Timing, Work};

/// How many commands may be open on one line.
pub(super) const MOST: usize = 32;
/// How long after its settle time a read-back is tried, in microseconds.
const READ_BACK: i64 = 10_000_000;
/// The pause between two tries of a read-back, in microseconds.
const AGAIN: i64 = 500_000;

/// A command on its way.
#[derive(Debug)]
pub(super) struct Command<P: Polled> {
    order: CommandOrder,
    device: usize,
    encoded: Encoded<P::Write>,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Waits until its record is durable.
    Recorded,
    /// May leave.
    Ready,
    /// On the wire.
    Leaving,
}

impl<P: Polled> Agenda<P> {
    /// A command is to be carried out.
    pub fn order(&mut self, order: CommandOrder, now: Moment) {
        let at = self.place(&order.twin);
        let (id, twin) = (order.id, order.twin.clone());
        match self.admit(order, at, now.boottime.0) {
            Ok(Some((command, step))) => {
                self.commands.push_back(command);
                self.supersede();
                let durable = self.durable.clone();
                // At most `MOST` commands wait for one answer each, and the channel holds as many.
                let receipt = Receipt::new(move |answer| {
                    let answer = answer.map(drop).map_err(|refusal| format!("{refusal:?}").into());
                    durable.try_send((id, answer)).ok();
                });
                let change = asset(&twin, What::Step { command: id, step });
                self.out.push(Submission::change(change).with_receipt(receipt));
            }
            Ok(None) => {}
            Err((reason, words)) => self.end(&twin, id, Outcome::Rejected(reason, words)),
        }
    }

    /// Between callers the newest wins: what waits for the line will not leave where somebody else has asked for
    /// something newer of the same property since. What waits for its record ends when that is durable.
    fn supersede(&mut self) {
        while let Some((at, by)) = self.superseded() {
            let Some(Command { order, device, .. }) = self.commands.remove(at) else { return };
            self.release(device);
            let words = format!("nothing was sent: a newer command took its place, of {by}");
            let outcome = Outcome::Rejected(Reason::Superseded, words.into());
            self.end(&order.twin, order.id, outcome);
        }
    }

    fn superseded(&self) -> Option<(usize, Principal)> {
        let write = |order: &CommandOrder| matches!(order.order, Order::Write(_));
        let newer = |order: &CommandOrder| {
            let others = self.commands.iter().map(|other| &other.order).find(|other| {
                let same = (&order.twin, order.index) == (&other.twin, other.index);
                same && other.by != order.by && other.id > order.id && write(other) && write(order)
            });
            others.map(|other| other.by.clone())
        };
        let mut waiting = self.commands.iter().enumerate().filter(|(_, c)| c.stage == Stage::Ready);
        waiting.find_map(|(at, command)| Some((at, newer(&command.order)?)))
    }

    /// The command and its first step, or nothing where it is only read back.
    #[expect(clippy::type_complexity, reason = "a command and its step, or why not; used once")]
    fn admit(
        &mut self,
        order: CommandOrder,
        at: Option<usize>,
        now: i64,
    ) -> Result<Option<(Command<P>, Step)>, (Reason, Arc<str>)> {
        let line = &self.line;
        let Some((at, device)) = at.and_then(|at| Some((at, self.devices.get(at)?.as_ref()?)))
        else {
            let words = format!("{} is not on line {line}", order.twin);
            return Err((Reason::NoSuchTwin, words.into()));
        };
        if order.read_back_only {
            let words = "the daemon restarted after the command may have left, and it could not be read back";
            let otherwise = (Reason::Restarted, words.into());
            self.read_back(&order, at, now, now, otherwise);
            return Ok(None);
        }
        if let Some(why) = &self.down {
            return Err((Reason::LineDown, format!("line {line} is down: {why}").into()));
        }
        if self.commands.len() >= MOST {
            let words = format!("line {line} has {MOST} commands under way already");
            return Err((Reason::Busy, words.into()));
        }
        if !device.breaker.lets_through() {
            return Err((Reason::NoAnswer, silence(device, now).into()));
        }
        if device.doubted {
            return Err((Reason::Busy, doubt(device).into()));
        }
        let encoded = device.spec.encode(order.index, &order.order)?;
        let step = Step::Sent { expected: encoded.expected.clone() };
        Ok(Some((Command { order, device: at, encoded, stage: Stage::Recorded }, step)))
    }

    /// The record of a command is durable: it may leave. Or it is not: it will not.
    pub fn durable(&mut self, (id, answer): Durable) {
        let Some(at) = self.commands.iter().position(|c| c.order.id == id) else { return };
        match answer {
            Ok(()) => {
                if let Some(command) = self.commands.get_mut(at) {
                    command.stage = Stage::Ready;
                }
                self.supersede();
            }
            Err(words) => {
                if let Some(command) = self.commands.remove(at) {
                    let words =
                        format!("nothing was sent: the step could not be recorded: {words}");
                    let outcome = Outcome::Rejected(Reason::Storage, words.into());
                    self.end(&command.order.twin, id, outcome);
                }
            }
        }
    }

    /// The next write, if one may leave now. It waits until its device has answered what it was asked before.
    pub(super) fn next_write(&mut self, now: Moment) -> Option<Task<P::Batch, P::Write>> {
        while let Some(late) = self
            .commands
            .iter()
            .position(|command| command.stage == Stage::Ready && command.order.deadline.passed(now))
        {
            let command = self.commands.remove(late)?;
            self.release(command.device);
            self.end(&command.order.twin, command.order.id, Outcome::Expired);
        }
        let mut held = Vec::new();
        let mut chosen = None;
        for (n, command) in self.commands.iter().enumerate() {
            if command.stage != Stage::Ready || held.contains(&command.device) {
                continue;
            }
            held.push(command.device);
            let device = self.devices.get_mut(command.device).and_then(Option::as_mut);
            let Some(device) = device else { continue };
            if device.in_flight == 0 && device.ready <= now.boottime.0 {
                chosen = Some(n);
                break;
            }
            device.writing = true;
        }
        let ticket = self.number();
        let command = self.commands.get_mut(chosen?)?;
        command.stage = Stage::Leaving;
        let (device, what) = (command.device, On::Write(command.order.id));
        let work = Work::Write(command.encoded.write.clone());
        if let Some(device) = self.devices.get_mut(device).and_then(Option::as_mut) {
            device.writing = true;
        }
        self.under_way.insert(ticket, UnderWay { device, what });
        self.left(device);
        Some(Task { ticket, device, work })
    }

    /// What became of the write.
    pub(super) fn written(
        &mut self,
        id: CommandId,
        result: Result<P::Answer, Failed>,
        timing: Timing,
    ) {
        let Some(at) = self.commands.iter().position(|c| c.order.id == id) else { return };
        let Some(Command { order, device: at, encoded, .. }) = self.commands.remove(at) else {
            return;
        };
        self.release(at);
        let from = timing.ended.saturating_add(encoded.settle);
        let otherwise = match &result {
            Ok(_) => {
                let change =
                    asset(&order.twin, What::Step { command: id, step: Step::Acknowledged });
                self.out.push(Submission::change(change));
                (Reason::NoReadBack, "it was acknowledged, but could not be read back".into())
            }
            Err(failed) if matches!(failed.kind, FailedKind::Refused | FailedKind::Later) => {
                let outcome = Outcome::Rejected(Reason::Refused, failed.words.clone());
                self.end(&order.twin, id, outcome);
                self.keep(at, encoded.write, timing, result);
                return;
            }
            Err(failed) => {
                let words = format!("it may have been carried out: {}", failed.words);
                (Reason::NoAnswer, words.into())
            }
        };
        self.keep(at, encoded.write, timing, result);
        self.read_back(&order, at, from, timing.ended, otherwise);
    }

    fn keep(
        &mut self,
        at: usize,
        write: P::Write,
        timing: Timing,
        result: Result<P::Answer, Failed>,
    ) {
        if let Some(device) = self.devices.get_mut(at).and_then(Option::as_mut) {
            device.other = Some((Work::Write(write), Last { timing, result }));
        }
    }

    /// Plans a read-back not before `from`.
    fn read_back(
        &mut self,
        order: &CommandOrder,
        at: usize,
        from: i64,
        now: i64,
        otherwise: (Reason, Arc<str>),
    ) {
        let plan = self.device(at).and_then(|device| {
            let group = device.group_of(order.index)?;
            Some((group, device.plan(&[order.index])))
        });
        let Some((group, batches)) = plan.filter(|(_, batches)| !batches.is_empty()) else {
            let (reason, words) = otherwise;
            return self.end(&order.twin, order.id, Outcome::Unknown(reason, words));
        };
        let id = self.number();
        let until = from.max(now).saturating_add(READ_BACK);
        let kind = Kind::ReadBack { command: order.id, group, until, otherwise };
        let mut job = Job::new(id, at, kind, batches.into(), 1, from);
        job.not_before = from;
        job.command = Some(order.id);
        self.jobs.push(job);
    }

    /// A read-back has come to its end: it is reported, tried again, or given up.
    pub(super) fn finish_read_back(
        &mut self,
        command: CommandId,
        group: u16,
        until: i64,
        otherwise: (Reason, Arc<str>),
        mut job: Job<P>,
        now: i64,
    ) {
        let Some(device) = self.devices.get(job.device).and_then(Option::as_ref) else { return };
        let twin = device.spec.twin().clone();
        let refused = job.failed.as_ref().is_some_and(|f| f.kind == FailedKind::Refused);
        if job.failed.is_none() {
            let mut reported = reported(device.spec.revision(), group, job.acquired(now));
            reported.command = Some(command);
            self.out.push(submission(&twin, reported, None));
        } else if refused || now >= until {
            let (reason, words) = otherwise;
            self.end(&twin, command, Outcome::Unknown(reason, words));
        } else {
            let id = self.number();
            let kind = Kind::ReadBack { command, group, until, otherwise };
            let mut again = Job::new(id, job.device, kind, job.batches, 1, now);
            again.not_before = now + AGAIN;
            again.command = Some(command);
            self.jobs.push(again);
        }
    }

    /// The device cannot be asked: commands that have not left will not leave; read-backs that waited too long end.
    pub(super) fn give_up_commands(&mut self, at: usize, failed: &Failed) {
        let reason = match failed.kind {
            FailedKind::Lost => Reason::LineDown,
            _ => Reason::NoAnswer,
        };
        while let Some(n) =
            self.commands.iter().position(|c| c.device == at && c.stage != Stage::Leaving)
        {
            let Some(command) = self.commands.remove(n) else { break };
            let words = format!("nothing was sent: {}", failed.words);
            let outcome = Outcome::Rejected(reason, words.into());
            self.end(&command.order.twin, command.order.id, outcome);
        }
        self.release(at);
    }

    /// Ends the read-backs that have waited too long for their device or line, or whose device was removed.
    pub(super) fn expire_read_backs(&mut self, now: i64, removed: Option<usize>) {
        let late = |job: &Job<P>| match job.kind {
            Kind::ReadBack { until, .. } => until <= now || removed == Some(job.device),
            _ => false,
        };
        while let Some(n) = self.jobs.iter().position(|job| late(job) && job.under_way == 0) {
            let job = self.jobs.swap_remove(n);
            let twin = self.device(job.device).map(|device| device.twin().clone());
            if let (Some(twin), Kind::ReadBack { command, otherwise: (reason, words), .. }) =
                (twin, job.kind)
            {
                self.end(&twin, command, Outcome::Unknown(reason, words));
            }
        }
    }

    fn release(&mut self, at: usize) {
        if let Some(device) = self.devices.get_mut(at).and_then(Option::as_mut) {
            device.writing = false;
        }
    }

    fn end(&mut self, twin: &TwinId, command: CommandId, outcome: Outcome) {
        let step = Step::Ended(outcome);
        self.out.push(Submission::change(asset(twin, What::Step { command, step })));
    }
}
