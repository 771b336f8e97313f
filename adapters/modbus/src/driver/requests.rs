//! What can be asked of a running line, and what tools ask in the protocol's own bytes.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use adapter::{Ask, Asked, Failed, FailedKind, NotRead, Request};
use tokio::sync::oneshot;
use twin::Reason;

use super::Driver;
use crate::device::Device;
use crate::sequence::Sequence;
use crate::spec::DeviceSpec;
use crate::{Response, pdu_raw};

/// Tickets of tools begin here; the agenda's never reach it.
const FIRST: u64 = 1 << 63;
/// How many requests of tools may wait.
const MOST: usize = 16;

/// The requests of tools: they go between the transactions of the schedule, one at a time.
#[derive(Debug, Default)]
pub(super) struct Tools {
    number: u64,
    queue: VecDeque<(u64, Sequence)>,
    answers: HashMap<u64, (crate::Request, oneshot::Sender<Result<Asked, NotRead>>)>,
}

impl Tools {
    fn ask(&mut self, ask: Ask) {
        let Ask { address, request, timeout, answer } = ask;
        let refuse = |reason, words: &str| NotRead { reason, words: words.into(), code: None };
        let understood = pdu_raw::reading(&request);
        let refusal = match understood {
            None => refuse(Reason::NotWritable, "this is no request that only reads"),
            Some(_) if address == 0 => refuse(Reason::NoSuchPoint, "unit 0 answers nobody"),
            Some(_) if self.answers.len() >= MOST => refuse(Reason::Busy, "too many ask already"),
            Some(request) => {
                let ticket = FIRST + self.number;
                self.number += 1;
                let sequence = Sequence::alone(ticket, address, timeout, request.clone());
                self.queue.push_back((ticket, sequence));
                self.answers.insert(ticket, (request, answer));
                return;
            }
        };
        // Who asked may have gone; nobody misses the answer then.
        answer.send(Err(refusal)).ok();
    }

    pub(super) fn waiting(&self) -> bool {
        !self.queue.is_empty()
    }

    pub(super) fn pop(&mut self) -> Option<Sequence> {
        // Whoever has gone does not cost the line anything.
        while let Some((ticket, sequence)) = self.queue.pop_front() {
            if self.answers.get(&ticket).is_some_and(|(_, answer)| !answer.is_closed()) {
                return Some(sequence);
            }
            self.answers.remove(&ticket);
        }
        None
    }

    /// Answers a tool; gives back what is the agenda's.
    pub(super) fn over(
        &mut self,
        ticket: u64,
        took: i64,
        result: Result<Response, Failed>,
    ) -> Option<Result<Response, Failed>> {
        if ticket < FIRST {
            return Some(result);
        }
        let (request, answer) = self.answers.remove(&ticket)?;
        let told = match &result {
            Ok(response) => {
                let bytes = pdu_raw::answer(&request, &Ok(response.clone()));
                Ok(Asked { answer: bytes.unwrap_or_default(), took })
            }
            // A refusal is an answer.
            Err(Failed { kind: FailedKind::Refused | FailedKind::Later, quality, .. })
                if quality.code.is_some() =>
            {
                let code = quality.code.and_then(|code| u8::try_from(code).ok()).unwrap_or(0);
                Ok(Asked { answer: vec![request.function() | 0x80, code], took })
            }
            Err(failed) => {
                Err(NotRead { reason: Reason::NoAnswer, words: failed.words.clone(), code: None })
            }
        };
        answer.send(told).ok();
        None
    }

    /// The line is down.
    pub(super) fn refuse(&mut self, words: &Arc<str>) {
        for (ticket, _) in self.queue.drain(..) {
            if let Some((_, answer)) = self.answers.remove(&ticket) {
                answer
                    .send(Err(NotRead {
                        reason: Reason::LineDown,
                        words: words.clone(),
                        code: None,
                    }))
                    .ok();
            }
        }
    }
}

impl Driver {
    pub(super) fn configure(&mut self, now: i64) {
        let numbered = self.spec.transport.serial_framing().is_none();
        let specs = self.devices.borrow_and_update().clone();
        let device = |spec: &DeviceSpec| Device { spec: spec.clone(), numbered };
        self.agenda.configure(specs.iter().map(device).collect(), now);
    }

    pub(super) fn asked(&mut self, request: Request) {
        let now = self.context.moment();
        match request {
            Request::Order(order) => self.agenda.order(order, now),
            Request::ReadNow(read) => self.agenda.read_now(read, now.boottime.0),
            Request::Proven(twin) => self.agenda.proven(&twin),
            Request::Raw(raw) => self.agenda.raw(raw, now.boottime.0),
            Request::Inspect { twin, index, answer } => {
                if let Some(inspection) = self.agenda.inspect(&twin, index, now.boottime.0) {
                    // Who asked may have gone; nobody misses the answer then.
                    answer.send(inspection).ok();
                }
            }
            Request::Ask(ask) => {
                self.tools.ask(ask);
                self.wanted = true;
                if self.retry.is_some() {
                    self.tools.refuse(&"the line is down".into());
                }
            }
            Request::Tap(to) => self.taps.add(to),
            _ => {}
        }
    }
}
