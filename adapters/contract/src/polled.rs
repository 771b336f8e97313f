//! What all polled protocols share: schedule, breaker, commands, quality and reporting of the devices on one line.
//!
//! [`Agenda`] is a pure state machine. A protocol gives it devices that implement [`Polled`]; its driver asks for the
//! [`Agenda::next`] piece of work, puts it on the wire, and says what became of it with [`Agenda::done`]. What the
//! agenda has to say to the twins comes out of [`Agenda::submissions`].

mod agenda;
mod command;
mod device;
mod explain;
mod job;
mod outcome;
mod raw;
mod read;
mod report;

use std::fmt::Debug;
use std::sync::Arc;

use twin::{Entry, Order, Quality, Reason, TwinId, Value};

pub use agenda::{Agenda, Durable};
pub use explain::Shown;

/// What a protocol knows of one device: how to ask, and what an answer means. Pure.
///
/// Two devices that are equal need no reconfiguration.
pub trait Polled: PartialEq + Debug {
    /// One request that reads, and which points its answer holds.
    type Batch: Clone + Debug;
    /// One request that writes.
    type Write: Clone + Debug;
    /// A sound answer.
    type Answer: Debug;

    /// The device's twin.
    fn twin(&self) -> &TwinId;
    /// The revision of the twin's description whose indexes are used.
    fn revision(&self) -> u32;
    /// The device's groups.
    fn groups(&self) -> Vec<PolledGroup>;
    /// The group of a point that can be read; `None` where there is no such point.
    fn group_of(&self, point: u16) -> Option<u16>;
    /// The requests that read these points, which belong to one group.
    fn plan(&self, points: &[u16]) -> Vec<Self::Batch>;
    /// The cheapest request that a living device answers.
    fn probe(&self) -> Option<Self::Batch>;
    /// The points that the answer to this request holds.
    fn points<'a>(&'a self, batch: &'a Self::Batch) -> impl Iterator<Item = u16> + 'a;
    /// Appends the readings of an answer.
    fn decode(&self, batch: &Self::Batch, answer: &Self::Answer, offset: i64, out: &mut Vec<Entry>);
    /// What carries out an order.
    ///
    /// # Errors
    /// Why it cannot be carried out, with words for the caller.
    fn encode(&self, point: u16, order: &Order)
    -> Result<Encoded<Self::Write>, (Reason, Arc<str>)>;
    /// The requests whose answers say which asset this is; none where it cannot say.
    fn identity(&self) -> Vec<Self::Batch>;
    /// Which asset it is, by the answers to [`Polled::identity`] in their order; `None` where one was refused.
    fn identify(&self, answers: &[Option<Self::Answer>]) -> Identity;
    /// The request in the protocol's own words, where it is one that reads.
    fn raw(&self, _request: &[u8]) -> Option<Self::Batch> {
        None
    }
    /// The data of an answer to [`Polled::raw`].
    fn raw_answer(&self, _answer: &Self::Answer) -> Vec<u8> {
        Vec::new()
    }
    /// Microseconds between the end of an exchange with it and the next request to it.
    fn pause(&self) -> i64 {
        0
    }
    /// Whether the start of its polls lies on the grid that all lines share.
    fn on_grid(&self) -> bool {
        true
    }
    /// Whether another asset may stand there after a silence, with other points: until somebody says that it is as it was
    /// ([`Agenda::proven`]) or gives it another specification, only probes and raw requests go to it.
    fn doubtful(&self) -> bool {
        false
    }
    /// How often an unanswered read is repeated before it counts as failed.
    fn retries(&self) -> u8 {
        1
    }

    /// How often it may ask for patience before its answer counts as a refusal, and the first pause then, in
    /// microseconds; each further one is twice as long.
    fn busy(&self) -> (u8, i64) {
        (3, 200_000)
    }

    /// Where a point lives, in the protocol's words; `None`: the device.
    fn place(&self, point: Option<u16>) -> String;
    /// The bytes of a request as they went over the wire.
    fn request_bytes(&self, work: &Work<Self::Batch, Self::Write>) -> Vec<u8>;
    /// The bytes of an answer as they came over the wire.
    fn answer_bytes(&self, work: &Work<Self::Batch, Self::Write>, answer: &Self::Answer)
    -> Vec<u8>;
    /// From the bytes to the value of a point, one step each.
    fn explain(&self, batch: &Self::Batch, answer: &Self::Answer, point: u16) -> Vec<String>;
    /// What remains at risk for a point.
    fn risks(&self, point: u16) -> Vec<String>;
}

/// Which asset a device says it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The asset's own id; `None` where it has none.
    pub asset: Option<Arc<str>>,
    /// All that it said, in words.
    pub said: Option<Arc<str>>,
    /// What should be otherwise by its configuration, in words.
    pub differs: Vec<String>,
}

/// A group of a polled device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolledGroup {
    /// Its index in the description.
    pub index: u16,
    /// Microseconds between two acquisitions; `None`: when somebody asks.
    pub every: Option<i64>,
    /// Its points that can be read, sorted.
    pub points: Vec<u16>,
}

/// An order turned into what the protocol writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded<W> {
    /// What goes over the wire.
    pub write: W,
    /// What a read-back should give: `decode(encode(value))`.
    pub expected: Value,
    /// Microseconds that the asset needs before a read-back tells the truth.
    pub settle: i64,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work<B, W> {
    /// It reads.
    Read(B),
    /// It writes.
    Write(W),
}

/// A piece of work for the driver.
#[derive(Debug)]
pub struct Task<B, W> {
    /// Comes back with the result.
    pub ticket: u64,
    /// The device, by its place in the agenda; see [`Agenda::device`].
    pub device: usize,
    /// What to do.
    pub work: Work<B, W>,
}

/// Why a request brought nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// What that says about the device.
    pub kind: FailedKind,
    /// The quality of the readings that it should have brought.
    pub quality: Quality,
    /// In words.
    pub words: Arc<str>,
}

/// What a failure says about the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailedKind {
    /// Nothing came in time: the device may be dead.
    Timeout,
    /// Something came that is no answer: as good as nothing.
    Malformed,
    /// The device lives and says no.
    Refused,
    /// The device lives and asks for patience.
    Later,
    /// The line broke under the request; that says nothing about the device.
    Lost,
}

/// When something happened on the wire. Times are boottime in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// When the request left.
    pub sent: i64,
    /// When the answer was there or was given up.
    pub ended: i64,
    /// When the line can be used again, quarantine included.
    pub free: i64,
}
