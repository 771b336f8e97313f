//! Requests in the protocol's own words, for those who find out what a device consists of.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::oneshot;
use twin::{Reason, TwinId};

use super::Polled;
use super::agenda::Agenda;
use super::job::{Job, Kind};
use super::read::{not_read, silence};
use crate::{NotRead, Raw};

/// How many may be under way on one line.
const MOST: usize = 8;

/// Those who wait, by number.
pub(super) type Raws = HashMap<u64, oneshot::Sender<Result<Vec<u8>, NotRead>>>;

impl<P: Polled> Agenda<P> {
    /// Somebody wants this sent. It goes after polls and commands.
    pub fn raw(&mut self, raw: Raw, now: i64) {
        let Raw { twin, request, answer } = raw;
        match self.plan_raw(&twin, &request, now) {
            Ok((at, batch)) => {
                let (raw, id) = (self.number(), self.number());
                self.jobs.push(Job::new(id, at, Kind::Raw { raw }, [batch].into(), 0, now));
                self.raws.insert(raw, answer);
            }
            // Nobody waits for the answer any more: then nobody misses it.
            Err(refusal) => drop(answer.send(Err(refusal)).ok()),
        }
    }

    fn plan_raw(
        &mut self,
        twin: &TwinId,
        request: &[u8],
        now: i64,
    ) -> Result<(usize, P::Batch), NotRead> {
        let no = |reason, words: String| Err(NotRead { reason, words: words.into(), code: None });
        let line = &self.line;
        if let Some(why) = &self.down {
            return no(Reason::LineDown, format!("line {line} is down: {why}"));
        }
        if self.raws.len() >= MOST {
            return no(Reason::Busy, format!("line {line} has {MOST} requests under way already"));
        }
        let device =
            self.place(twin).and_then(|at| Some((at, self.devices.get_mut(at)?.as_mut()?)));
        let Some((at, device)) = device else {
            return no(Reason::NoSuchTwin, format!("{twin} is not on line {line}"));
        };
        if !device.breaker.lets_through() {
            device.breaker.hurry(now);
            return no(Reason::NoAnswer, silence(device, now));
        }
        match device.spec.raw(request) {
            Some(batch) => Ok((at, batch)),
            None => no(Reason::NotWritable, "only a sound request that reads is sent".into()),
        }
    }

    pub(super) fn finish_raw(&mut self, raw: u64, job: &mut Job<P>) {
        let Some(answer) = self.raws.remove(&raw) else { return };
        let device = self.device(job.device);
        let outcome = match (job.answers.pop(), device, job.failed.take()) {
            (Some((_, data)), Some(device), None) => Ok(device.raw_answer(&data)),
            (_, _, Some(failed)) => Err(not_read(failed)),
            (_, _, None) => {
                let words: Arc<str> = "the device was reconfigured or removed".into();
                Err(NotRead { reason: Reason::LineDown, words, code: None })
            }
        };
        answer.send(outcome).ok();
    }
}
