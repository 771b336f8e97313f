//! One request and what became of it: what a master is given and what it gives back.

use twin::{Cause, Quality};

use crate::{AnswerError, Exception, Request, RequestError, Response, Shape};

/// A request on its way to a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The caller's own number of it; comes back in [`Completed`].
    pub token: u64,
    /// The unit that is asked; 0 is every unit of a serial line at once and never answers.
    pub unit: u8,
    /// What it is asked.
    pub request: Request,
    /// Microseconds that the unit may take before its answer begins, once the request has left.
    pub timeout: i64,
}

impl Exchange {
    /// A read that this byte chooses, for the masters' `fuzz_one`.
    pub(crate) fn by_chance(byte: u8) -> Self {
        let table = crate::Table::ALL[usize::from(byte) % 4];
        let request = Request::Read { table, start: 0, count: u16::from(byte % 12) + 1 };
        Self { token: 0, unit: byte % 3, request, timeout: 5 }
    }
}

/// An exchange that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    /// What was asked.
    pub exchange: Exchange,
    /// When it was sent, boottime in microseconds.
    pub sent: i64,
    /// When it ended, boottime in microseconds.
    pub at: i64,
    /// The answer, or why there is none.
    pub result: Result<Response, Failure>,
}

/// Why an exchange has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nothing came in time.
    #[error("no answer in time")]
    Timeout,
    /// The device refused.
    #[error("the device refused: {0}")]
    Exception(Exception),
    /// Something came, but not what the protocol allows as the answer.
    #[error("the answer is malformed: {0}")]
    Malformed(&'static str),
    /// Only answers of other units came.
    #[error("unit {0} answered in its place")]
    Foreign(u8),
    /// The line was lost or the exchange was given up.
    #[error("the line was lost")]
    Lost,
}

impl From<AnswerError> for Failure {
    fn from(error: AnswerError) -> Self {
        match error {
            AnswerError::Exception(exception) => Self::Exception(exception),
            AnswerError::Malformed(what) => Self::Malformed(what),
        }
    }
}

impl Failure {
    /// The quality of readings that were not had because of it.
    #[must_use]
    pub fn quality(self) -> Quality {
        match self {
            Self::Timeout => Quality::bad(Cause::Timeout),
            Self::Exception(exception) => {
                Quality::bad(Cause::Refused).with_code(u32::from(exception.code()))
            }
            Self::Malformed(_) | Self::Foreign(_) => Quality::bad(Cause::Malformed),
            Self::Lost => Quality::bad(Cause::NotConnected),
        }
    }
}

/// Why an exchange was not begun; nothing has left.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The line is not ready yet: ask `ready_at`.
    #[error("the line is not ready")]
    NotReady,
    /// As many requests are under way as the device allows.
    #[error("too many requests are under way")]
    Full,
    /// Unit 0 is every unit: it can only be written, on a serial line.
    #[error("unit 0 cannot be asked: it is every unit at once and does not answer")]
    Broadcast,
    /// The protocol does not allow the request.
    #[error("the request is not allowed")]
    Request(#[from] RequestError),
}

/// The stream of a connection has lost its frames: nothing after this can be trusted, so it must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection lost its framing: {0}; it must be closed")]
pub struct Desync(pub &'static str);

/// What a master has counted since it was made; shown by `why`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Exchanges begun.
    pub begun: u64,
    /// Answers accepted.
    pub accepted: u64,
    /// Exchanges that nobody answered in time.
    pub timeouts: u64,
    /// Bytes or frames thrown away: late, foreign, repeated or noise.
    pub discarded: u64,
    /// Frames whose checksum was wrong.
    pub checksums: u64,
    /// Own requests heard back on the line.
    pub echoes: u64,
    /// Answers accepted that had the shape of one still owed after a timeout: the remaining risk.
    pub risked: u64,
}

/// The shapes of answers that a unit still owes after timeouts.
///
/// A late answer with the shape of the one being waited for cannot be told from it where frames carry no transaction
/// id. The next request to the unit should therefore have another shape; any accepted answer settles the debt.
#[derive(Debug, Clone, Default)]
pub(crate) struct Owed(Vec<(u8, Shape)>);

/// How many shapes are remembered per line; older ones are forgotten first.
const OWED: usize = 256;

impl Owed {
    pub(crate) fn add(&mut self, unit: u8, shape: Shape) {
        if !self.0.contains(&(unit, shape)) {
            if self.0.len() >= OWED {
                self.0.remove(0);
            }
            self.0.push((unit, shape));
        }
    }

    pub(crate) fn of(&self, unit: u8) -> impl Iterator<Item = Shape> {
        self.0.iter().filter(move |(u, _)| *u == unit).map(|(_, shape)| *shape)
    }

    /// The unit has answered; whether an answer of this request's shape was owed.
    pub(crate) fn settle(&mut self, unit: u8, request: &Request) -> bool {
        let owed = self.0.contains(&(unit, request.shape()));
        self.0.retain(|(u, _)| *u != unit);
        owed
    }
}
