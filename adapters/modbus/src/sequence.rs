//! A task on the wire: usually one exchange, sometimes two with nothing of ours for that unit in between.

use std::sync::Arc;

use adapter::{Failed, FailedKind, Task, Work};
use twin::{Cause, Quality};

use crate::batch::{self, Batch};
use crate::device::Device;
use crate::write::{Modify, Write};
use crate::{Exception, Exchange, Failure, Identification, Request, Response, Shape};

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
    /// The rest of what the device says of itself, where it does not fit into one answer.
    Gather(Identification),
    /// The write that the answer leads to.
    Modify(Modify),
    /// Both requests of this: the first one only settles what the unit still owes.
    Settled(Modify),
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
                None if matches!(batch.request, Request::Identify { .. }) => {
                    (batch.request, Then::Gather(Identification::default()))
                }
                None => (batch.request, Then::End),
            },
            Work::Write(Write::Request(request)) => (request, Then::End),
            Work::Write(Write::Modify(modify)) => match settling(device, modify.read(), owed) {
                Some(first) => (first, Then::Settled(modify)),
                None => (modify.read().clone(), Then::Modify(modify)),
            },
        };
        let (unit, timeout) = (device.spec.unit, device.spec.timeout);
        Self { ticket: task.ticket, unit, timeout, request, then, sent: None }
    }

    /// One exchange on nobody's behalf but a tool's.
    pub(crate) fn alone(ticket: u64, unit: u8, timeout: i64, request: Request) -> Self {
        Self { ticket, unit, timeout, request, then: Then::End, sent: None }
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
            (Then::Gather(mut said), Ok(Response::Identification(further))) => {
                match (said.extend(further), said.next, &self.request) {
                    (true, Some(object), Request::Identify { extent, .. }) => {
                        let request = Request::Identify { extent: *extent, object };
                        again(request, Then::Gather(said), Some(first))
                    }
                    _ => over(Ok(Response::Identification(said))),
                }
            }
            // What it has said it has said.
            (Then::Gather(said), Err(Failure::Exception(_))) if !said.objects.is_empty() => {
                over(Ok(Response::Identification(said)))
            }
            (Then::Gather(_), result) => over(result.map_err(failed)),
            (Then::Read(_), Err(failure)) => over(Err(failed(failure))),
            (Then::Modify(modify), Ok(answer)) => match modify.write(&answer) {
                Some(request) => again(request, Then::End, Some(first)),
                None => over(Err(unwritten(Failure::Malformed("length")))),
            },
            (Then::Settled(modify), Ok(_) | Err(Failure::Exception(_))) => {
                again(modify.read().clone(), Then::Modify(modify), Some(first))
            }
            (Then::Modify(_) | Then::Settled(_), Err(failure)) => over(Err(unwritten(failure))),
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

/// Any read of the device's map whose answer cannot be taken for what the unit still owes, where `next` could.
fn settling(device: &Device, next: &Request, owed: &[Shape]) -> Option<Request> {
    if !owed.contains(&next.shape()) {
        return None;
    }
    let spec = &device.spec;
    let alone =
        (0..spec.points.len()).flat_map(|at| batch::plan(&spec.points, &[at], &spec.limits));
    let mut settling = alone
        .filter_map(|batch| batch::differently(&spec.points, &batch, &spec.limits, owed))
        .filter_map(|batches| Some(batches.into_iter().next()?.request));
    settling.next()
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

#[cfg(test)]
mod tests {
    use adapter::Polled;
    use twin::{Order, Value};

    use super::*;
    use crate::spec::{DeviceSpec, Limits, PointSpec, WriteSpec};
    use crate::{Address, Format, Int, Kind, PartialWrite, PointCodec, Table, Whole};

    /// A bit of register 7 that is written by reading, changing and writing; `others` are single registers far away.
    fn device(others: &[(Table, u16)]) -> Device {
        let codec =
            |table, number, format| PointCodec::new(Address { table, number }, format).unwrap();
        let bit = Kind::Bit { of: Whole::Bits16, bit: 2 };
        let flag = Format { partial: PartialWrite::ReadModifyWrite, ..Format::new(bit) };
        let mut codecs = vec![codec(Table::Holding, 7, flag)];
        for (table, number) in others {
            codecs.push(codec(*table, *number, Format::new(Kind::Int(Int::U16))));
        }
        let point = |(codec, index): (PointCodec, u16)| PointSpec {
            index,
            group: 0,
            codec,
            write: Some(WriteSpec { settle: 0 }),
        };
        let spec = DeviceSpec {
            doubtful: false,
            twin: "t".parse().unwrap(),
            revision: 1,
            unit: 3,
            timeout: 1_000,
            pause: 0,
            limits: Limits { gap_registers: 0, ..Limits::default() },
            groups: Vec::new(),
            points: codecs.into_iter().zip(0..).map(point).collect(),
            identity: Vec::new(),
            identification: None,
            nameplate: twin::Nameplate::default(),
            retries: 1,
            busy: (3, 200_000),
        };
        Device { spec, numbered: false }
    }

    fn requests(device: &Device, owed: &[Shape]) -> Vec<Request> {
        let write = device.encode(0, &Order::Write(Value::Bool(true))).unwrap().write;
        let task = Task { ticket: 1, device: 0, work: Work::Write(write) };
        let mut sequence = Sequence::new(task, device, owed);
        let mut requests = Vec::new();
        loop {
            let request = sequence.exchange().request;
            let answer = match &request {
                Request::Read { count, .. } => {
                    Response::Registers(vec![0; usize::from(*count) * 2].into())
                }
                _ => Response::Written,
            };
            requests.push(request);
            match sequence.next(0, Ok(answer)) {
                Next::Again(next) => sequence = next,
                Next::Over { result, .. } => {
                    assert_eq!(result, Ok(Response::Written));
                    return requests;
                }
            }
        }
    }

    #[test]
    fn a_partial_write_after_a_timeout_first_asks_for_something_else() {
        let read = Request::Read { table: Table::Holding, start: 7, count: 1 };
        let write = Request::WriteRegister { number: 7, value: 4 };
        let with = device(&[(Table::Holding, 20), (Table::Input, 30)]);
        assert_eq!(requests(&with, &[]), [read.clone(), write.clone()]);
        // An answer of one holding register is still owed: an input register looks otherwise.
        let other = Request::Read { table: Table::Input, start: 30, count: 1 };
        assert_eq!(requests(&with, &[read.shape()]), [other, read.clone(), write.clone()]);
        // Where every read of the map looks the same, the quarantine alone protects.
        let without = device(&[(Table::Holding, 20)]);
        assert_eq!(requests(&without, &[read.shape()]), [read, write]);
    }
}
