//! Reads that somebody asked for.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::oneshot;
use twin::{Reason, Reported, TwinId};

use super::agenda::Agenda;
use super::job::{Job, Kind};
use super::report::{reported, submission};
use super::{Failed, FailedKind, Polled};
use crate::{NotRead, ReadNow};

/// How many reads may be under way on one line.
const MOST: usize = 32;

/// The reads under way, by number.
pub(super) type Reads = HashMap<u64, Pending>;

/// A read that waits for its groups.
#[derive(Debug)]
pub(super) struct Pending {
    answer: oneshot::Sender<Result<Vec<Reported>, NotRead>>,
    left: usize,
    read: Vec<Reported>,
    failed: Option<NotRead>,
}

impl<P: Polled> Agenda<P> {
    /// Somebody wants points read now.
    pub fn read_now(&mut self, request: ReadNow, now: i64) {
        let ReadNow { twin, points, command, answer } = request;
        match self.plan_read(&twin, &points, now) {
            Ok(jobs) => {
                let read = self.number();
                let left = jobs.len();
                for (at, group, batches) in jobs {
                    let id = self.number();
                    let kind = Kind::Read { read, group };
                    let mut job = Job::new(id, at, kind, batches, points.len(), now);
                    job.command = command;
                    self.jobs.push(job);
                }
                self.reads.insert(read, Pending { answer, left, read: Vec::new(), failed: None });
            }
            // Nobody waits for the answer any more: then nobody misses it.
            Err(refusal) => drop(answer.send(Err(refusal)).ok()),
        }
    }

    #[expect(clippy::type_complexity, reason = "device, group and requests of each job, used once")]
    fn plan_read(
        &mut self,
        twin: &TwinId,
        points: &[u16],
        now: i64,
    ) -> Result<Vec<(usize, u16, Arc<[P::Batch]>)>, NotRead> {
        let no = |reason, words: String| Err(NotRead { reason, words: words.into(), code: None });
        let line = &self.line;
        if let Some(why) = &self.down {
            return no(Reason::LineDown, format!("line {line} is down: {why}"));
        }
        if self.reads.len() >= MOST {
            return no(Reason::Busy, format!("line {line} has {MOST} reads under way already"));
        }
        let Some(at) = self.place(twin) else {
            return no(Reason::NoSuchTwin, format!("{twin} is not on line {line}"));
        };
        let Some(device) = self.devices.get_mut(at).and_then(Option::as_mut) else {
            return no(Reason::NoSuchTwin, format!("{twin} is not on line {line}"));
        };
        if !device.breaker.lets_through() {
            device.breaker.hurry(now);
            return no(Reason::NoAnswer, silence(device, now));
        }
        if device.doubted {
            return no(Reason::Busy, doubt(device));
        }
        let mut wanted: BTreeMap<u16, Vec<u16>> = BTreeMap::new();
        if points.is_empty() {
            wanted = device.groups.iter().map(|g| (g.index, g.points.clone())).collect();
        }
        for point in points {
            let Some(group) = device.spec.group_of(*point) else {
                return no(Reason::NoSuchPoint, format!("point {point} of {twin} cannot be read"));
            };
            wanted.entry(group).or_default().push(*point);
        }
        let jobs = wanted.into_iter().map(|(group, mut points)| {
            points.sort_unstable();
            points.dedup();
            let batches: Arc<[P::Batch]> = device.spec.plan(&points).into();
            (at, group, batches)
        });
        let jobs: Vec<_> = jobs.filter(|(_, _, batches)| !batches.is_empty()).collect();
        if jobs.is_empty() {
            return no(Reason::NoSuchPoint, format!("{twin} has no points that can be read"));
        }
        Ok(jobs)
    }

    pub(super) fn finish_read(&mut self, read: u64, group: u16, mut job: Job<P>, now: i64) {
        let device = self.devices.get(job.device).and_then(Option::as_ref);
        let (Some(device), Some(pending)) = (device, self.reads.get_mut(&read)) else { return };
        pending.left -= 1;
        let acquired = job.acquired(now);
        if acquired.nothing.is_some() {
            pending.failed = job.failed.map(not_read);
        } else {
            let mut reported = reported(device.spec.revision(), group, acquired);
            reported.command = job.command;
            pending.read.push(reported.clone());
            self.out.push(submission(device.spec.twin(), reported, None));
        }
        if pending.left == 0
            && let Some(Pending { answer, read, failed, .. }) = self.reads.remove(&read)
        {
            let outcome = failed.filter(|_| read.is_empty()).map_or(Ok(read), Err);
            answer.send(outcome).ok();
        }
    }

    /// Where the agenda keeps the device of this twin.
    pub(super) fn place(&self, twin: &TwinId) -> Option<usize> {
        self.devices.iter().position(|d| d.as_ref().is_some_and(|d| d.spec.twin() == twin))
    }
}

/// A failure, for the caller.
pub(super) fn not_read(failed: Failed) -> NotRead {
    let reason = match failed.kind {
        FailedKind::Refused => Reason::Refused,
        FailedKind::Later => Reason::Busy,
        FailedKind::Lost => Reason::LineDown,
        FailedKind::Timeout | FailedKind::Malformed => Reason::NoAnswer,
    };
    NotRead { reason, words: failed.words, code: failed.quality.code }
}

/// Why a device that was silent is not read yet, for the caller.
pub(super) fn doubt<P: Polled>(device: &super::device::Device<P>) -> String {
    let twin = device.spec.twin();
    format!("{twin} was silent and is first asked what it is; try again in a second")
}

/// Why a device is not asked, for the caller.
pub(super) fn silence<P: Polled>(device: &super::device::Device<P>, now: i64) -> String {
    let twin = device.spec.twin();
    let since = device.breaker.lost_since().map_or(0, |lost| (now - lost) / 1_000_000);
    let why = device.trouble.as_ref().map_or("", |trouble| &trouble.words);
    format!(
        "{twin} has not answered for {since} s ({why}); it is probed and asked again when it is back"
    )
}
