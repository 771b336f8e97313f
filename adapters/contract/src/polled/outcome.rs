//! What became of a request, and what follows for its job, its device and its twin.

use std::sync::Arc;

use twin::{Binding, Submission, What};

use super::agenda::{Agenda, On, UnderWay, seen};
use super::device::{Last, Told};
use super::job::{Job, Kind};
use super::report::asset;
use super::{Failed, FailedKind, Identity, Polled, Timing, Work};
use crate::Turned;

impl<P: Polled> Agenda<P> {
    /// What became of a request. A ticket that is not known (any more) is ignored.
    pub fn done(&mut self, ticket: u64, result: Result<P::Answer, Failed>, timing: Timing) {
        let Some(UnderWay { device: at, what }) = self.under_way.remove(&ticket) else { return };
        let turned = self.count(at, &result, timing);
        match what {
            On::Write(command) => self.written(command, result, timing),
            On::Job { job, batch, attempts } => self.read(job, batch, attempts, result, timing),
        }
        if let Some((turned, failed)) = turned {
            self.turn(at, turned, failed, timing.ended);
        }
    }

    /// Counts the outcome and tells the breaker.
    fn count(
        &mut self,
        at: usize,
        result: &Result<P::Answer, Failed>,
        timing: Timing,
    ) -> Option<(Turned, Option<Failed>)> {
        let device = self.devices.get_mut(at)?.as_mut()?;
        device.in_flight = device.in_flight.saturating_sub(1);
        device.ready = timing.ended.saturating_add(device.spec.pause());
        let now = timing.ended;
        let counters = &mut device.counters;
        let Err(failed) = result else {
            counters.answers += 1;
            device.answered = Some(now);
            return device.breaker.answered(now).map(|turned| (turned, None));
        };
        match failed.kind {
            FailedKind::Timeout => counters.timeouts += 1,
            FailedKind::Malformed => counters.malformed += 1,
            FailedKind::Refused | FailedKind::Later => counters.refusals += 1,
            FailedKind::Lost => counters.lost += 1,
        }
        device.trouble(now, &failed.words);
        match failed.kind {
            FailedKind::Lost => None,
            FailedKind::Refused | FailedKind::Later => {
                device.answered = Some(now);
                device.breaker.answered(now).map(|turned| (turned, None))
            }
            FailedKind::Timeout | FailedKind::Malformed => {
                let cost = timing.free.max(now) - timing.sent;
                self.wasted += u64::try_from(cost).unwrap_or(0);
                let was_open = !device.breaker.lets_through();
                let turned = device.breaker.unanswered(now);
                if was_open {
                    self.budget.spend(timing.sent, timing.free.max(now));
                    return None;
                }
                // Open again after half-open says nothing in the log, but what waits must still be given up.
                let opened = (!device.breaker.lets_through()).then_some(Turned::Lost);
                device.doubted |= opened.is_some() && device.spec.doubtful();
                turned.or(opened).map(|turned| (turned, Some(failed.clone())))
            }
        }
    }

    /// A batch of a job has an outcome.
    fn read(
        &mut self,
        id: u64,
        batch: usize,
        attempts: u8,
        result: Result<P::Answer, Failed>,
        timing: Timing,
    ) {
        let Some(job) = self.jobs.iter_mut().find(|job| job.id == id) else { return };
        let at = job.device;
        let Some(device) = self.devices.get_mut(at).and_then(Option::as_mut) else { return };
        match &result {
            Ok(answer) => {
                let offset = job.answered(timing.sent, timing.ended);
                if let Some(of) = job.batches.get(batch)
                    && !matches!(job.kind, Kind::Probe | Kind::Identity | Kind::Raw { .. })
                {
                    device.spec.decode(of, answer, offset, &mut job.entries);
                }
            }
            Err(failed) => {
                let (most, pause) = device.spec.busy();
                let repeat = match failed.kind {
                    FailedKind::Timeout | FailedKind::Malformed => {
                        attempts < device.spec.retries() && device.breaker.patient()
                    }
                    FailedKind::Lost => attempts == 0 && self.down.is_none(),
                    FailedKind::Later => attempts < most,
                    FailedKind::Refused => false,
                };
                let repeat = repeat && !matches!(job.kind, Kind::Probe);
                if repeat {
                    if failed.kind == FailedKind::Later {
                        job.not_before = timing.ended.saturating_add(pause << attempts.min(10));
                    }
                    job.repeat(batch, attempts + 1);
                } else {
                    job.fail(&device.spec, batch, timing.sent, failed);
                }
            }
        }
        match &job.kind {
            Kind::Poll { group, .. } => {
                let group = device.groups.get_mut(*group);
                if let Some(last) = group.and_then(|g| g.last.get_mut(batch)) {
                    *last = Some(Last { timing, result });
                }
            }
            Kind::Identity | Kind::Raw { .. } => {
                job.answers.extend(result.ok().map(|answer| (batch, answer)));
            }
            _ => {
                if let Some(batch) = job.batches.get(batch) {
                    device.other = Some((Work::Read(batch.clone()), Last { timing, result }));
                }
            }
        }
        if job.over() {
            self.finish(id, timing.ended);
        } else {
            self.bind(at);
        }
    }

    /// The device's breaker turned.
    fn turn(&mut self, at: usize, turned: Turned, failed: Option<Failed>, now: i64) {
        self.turned = true;
        let Some(device) = self.devices.get_mut(at).and_then(Option::as_mut) else { return };
        let (line, twin) = (&self.line, device.spec.twin());
        match (turned, failed) {
            (Turned::Lost, failed) => {
                let Some(failed) = failed else { return };
                if device.breaker.lost_since() == Some(now) {
                    let words = &failed.words;
                    tracing::warn!(%line, %twin, "{twin} on line {line} is lost: {words}");
                }
                self.lose(at, &failed, now);
            }
            (Turned::Probed, _) => {
                device.identified = device.spec.identity().is_empty();
                device.rush(now);
            }
            (Turned::Back(after), _) => {
                let seconds = after / 1_000_000;
                tracing::info!(%line, %twin, "{twin} on line {line} is back after {seconds} s");
            }
        }
    }

    /// A job has come to its end.
    pub(super) fn finish(&mut self, id: u64, now: i64) {
        let Some(at) = self.jobs.iter().position(|job| job.id == id) else { return };
        let mut job = self.jobs.swap_remove(at);
        match job.kind.clone() {
            Kind::Poll { group, turn } => {
                self.bind(job.device);
                let device = self.devices.get_mut(job.device).and_then(Option::as_mut);
                let Some(device) = device else { return };
                let Some(group) = device.groups.get_mut(group) else { return };
                group.busy = false;
                let acquired = job.acquired(now);
                let twin = device.spec.twin();
                let first = acquired.first;
                let seen =
                    seen(twin, group.index, acquired.complete, turn.due, first, turn.expected);
                let revision = device.spec.revision();
                let submission =
                    group.reporter.report(twin, revision, group.index, acquired, Some(seen));
                self.out.extend(submission);
            }
            Kind::Identity => self.identified(job),
            Kind::Raw { raw } => self.finish_raw(raw, &mut job),
            Kind::Read { read, group } => self.finish_read(read, group, job, now),
            Kind::ReadBack { command, group, until, otherwise } => {
                self.finish_read_back(command, group, until, otherwise, job, now);
            }
            Kind::Probe => {}
        }
    }

    /// The asset said which one it is, or would not; where it was silent it is asked again.
    fn identified(&mut self, job: Job<P>) {
        let Some(device) = self.devices.get_mut(job.device).and_then(Option::as_mut) else {
            return;
        };
        let silent = job.failed.as_ref().is_some_and(|f| f.kind != FailedKind::Refused);
        if silent {
            return;
        }
        device.identified = true;
        let mut answers: Vec<Option<P::Answer>> = job.batches.iter().map(|_| None).collect();
        for (batch, answer) in job.answers {
            if let Some(place) = answers.get_mut(batch) {
                *place = Some(answer);
            }
        }
        let Identity { asset, said, differs } = device.spec.identify(&answers);
        device.said = said;
        let differs: Option<Arc<str>> = (!differs.is_empty()).then(|| differs.join("; ").into());
        if let Some(differs) = differs.as_ref().filter(|d| device.differs.as_ref() != Some(d)) {
            let (line, twin) = (&self.line, device.spec.twin());
            tracing::warn!(%line, %twin, "{twin} on line {line} may be another asset: {differs}");
        }
        device.differs = differs;
        self.tell_binding(job.device, asset);
    }

    /// The first exchange binds an asset that cannot say which one it is.
    pub(super) fn bind(&mut self, at: usize) {
        let device = self.devices.get(at).and_then(Option::as_ref);
        if device.is_some_and(|d| d.identified && d.bound.is_none() && d.counters.answers > 0) {
            self.tell_binding(at, None);
        }
    }

    fn tell_binding(&mut self, at: usize, id: Option<Arc<str>>) {
        let Some(device) = self.devices.get_mut(at).and_then(Option::as_mut) else { return };
        let told = Told { asset: id.clone(), differs: device.differs.clone() };
        if device.bound.as_ref() == Some(&told) {
            return;
        }
        device.bound = Some(told);
        let cause =
            device.differs.as_ref().map(|differs| format!("it may be another: {differs}").into());
        let binding = Binding { line: self.line.clone(), bound: true, asset: id, cause };
        self.out.push(Submission::change(asset(device.spec.twin(), What::Binding(binding))));
    }

    /// The requests under way (to this device) are lost.
    pub(super) fn drop_under_way(&mut self, of: Option<usize>, failed: &Failed, now: i64) {
        let timing = Timing { sent: now, ended: now, free: now };
        let dropped: Vec<(u64, UnderWay)> = self
            .under_way
            .extract_if(|_, under_way| of.is_none_or(|at| at == under_way.device))
            .collect();
        for (_, UnderWay { device: at, what }) in dropped {
            let Some(device) = self.devices.get_mut(at).and_then(Option::as_mut) else { continue };
            device.in_flight = 0;
            device.counters.lost += 1;
            match what {
                On::Write(command) => self.written(command, Err(failed.clone()), timing),
                On::Job { job, batch, .. } => {
                    if let Some(job) = self.jobs.iter_mut().find(|j| j.id == job) {
                        job.fail(&device.spec, batch, now, failed);
                    }
                }
            }
        }
    }
}
