//! A task on the wire: usually one exchange, sometimes two with nothing of ours for that unit in between.

use std::sync::Arc;

use adapter::{Failed, FailedKind, Task, Work};
use twin::{Cause, Quality};

use crate::batch::{self, Batch};
use crate::device::Device;
use crate::write::{Modify, Write};
use crate::{Exception, Exchange, Failure, Request, Response, Shape};

/// A task and where it stands.
#[derive(Debug)]
pub(crate) struct Sequence {
    pub(crate) ticket: u64,
    unit: u8,
    timeout: i64,
    request: Request,
    then: Then,
    /// When the first request left.
    sent: Option<i64>,
}

/// What follows the request that is next.
#[derive(Debug)]
enum Then {
    /// Nothing.
    End,
    /// This one: the first one only settles what the unit still owes after a timeout.
    Read(Request),
    /// The write that the answer leads to.
    Modify(Modify),
}

/// What follows an exchange.
#[derive(Debug)]
pub(crate) enum Next {
    /// Another exchange.
    Again(Sequence),
    /// The task is over.
    Over { ticket: u64, sent: i64, result: Result<Response, Failed> },
}

impl Sequence {
    /// The exchanges of a task. `owed`: shapes of answers that the unit still owes; the first request has another one,
    /// where the device's map allows that.
    pub(crate) fn new(task: Task<Batch, Write>, device: &Device, owed: &[Shape]) -> Self {
        let (request, then) = match task.work {
            Work::Read(batch) => match prelude(device, &batch, owed) {
                Some(first) => (first, Then::Read(batch.request)),
                None => (batch.request, Then::End),
            },
            Work::Write(Write::Request(request)) => (request, Then::End),
            Work::Write(Write::Modify(modify)) => (modify.read().clone(), Then::Modify(modify)),
        };
        let (unit, timeout) = (device.spec.unit, device.spec.timeout);
        Self { ticket: task.ticket, unit, timeout, request, then, sent: None }
    }

    /// The exchange that is next.
    pub(crate) fn exchange(&self) -> Exchange {
        let Self { ticket, unit, timeout, .. } = *self;
        Exchange { token: ticket, unit, request: self.request.clone(), timeout }
    }

    /// What follows the exchange that was sent at `sent`.
    pub(crate) fn next(self, sent: i64, result: Result<Response, Failure>) -> Next {
        let first = self.sent.unwrap_or(sent);
        let over = |result| Next::Over { ticket: self.ticket, sent: first, result };
        let (unit, timeout) = (self.unit, self.timeout);
        let again = |request, then, sent| {
            Next::Again(Self { ticket: self.ticket, unit, timeout, request, then, sent })
        };
        match (self.then, result) {
            (Then::End, result) => over(result.map_err(failed)),
            // The times of a reading are those of the request that brought it.
            (Then::Read(request), Ok(_) | Err(Failure::Exception(_))) => {
                again(request, Then::End, None)
            }
            (Then::Read(_), Err(failure)) => over(Err(failed(failure))),
            (Then::Modify(modify), Ok(answer)) => match modify.write(&answer) {
                Some(request) => again(request, Then::End, Some(first)),
                None => over(Err(unwritten(Failure::Malformed("length")))),
            },
            (Then::Modify(_), Err(failure)) => over(Err(unwritten(failure))),
        }
    }

    /// The task comes to nothing.
    pub(crate) fn fail(self, now: i64, failure: Failure) -> Next {
        let sent = self.sent.unwrap_or(now);
        Next::Over { ticket: self.ticket, sent, result: Err(failed(failure)) }
    }
}

/// A request with another shape to begin with.
fn prelude(device: &Device, batch: &Batch, owed: &[Shape]) -> Option<Request> {
    if !owed.contains(&batch.request.shape()) {
        return None;
    }
    let other = batch::differently(&device.spec.points, batch, &device.spec.limits, owed)?;
    other.into_iter().next().map(|batch| batch.request)
}

/// What a failure says about the device, its readings, and in words.
pub(crate) fn failed(failure: Failure) -> Failed {
    let kind = match failure {
        Failure::Timeout => FailedKind::Timeout,
        // A bridge answers in the place of a unit that is not there.
        Failure::Exception(Exception::NoPath | Exception::NoTarget) => FailedKind::Timeout,
        Failure::Exception(Exception::Acknowledge | Exception::Busy) => FailedKind::Later,
        Failure::Exception(_) => FailedKind::Refused,
        Failure::Malformed(_) | Failure::Foreign(_) => FailedKind::Malformed,
        Failure::Lost => FailedKind::Lost,
    };
    Failed { kind, quality: failure.quality(), words: failure.to_string().into() }
}

/// The read before a write of a part failed: nothing was written.
fn unwritten(failure: Failure) -> Failed {
    let words: Arc<str> =
        format!("nothing was written, the read before it failed: {failure}").into();
    Failed { kind: FailedKind::Refused, quality: Quality::bad(Cause::Refused), words }
}
