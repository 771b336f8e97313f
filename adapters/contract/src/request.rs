//! What can be asked of a running line, besides another configuration.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use twin::{Boottime, CommandId, CommandOrder, Reason, Reported, TwinId};

use crate::Inspection;

/// Something asked of a line. It is served between two transactions, ahead of polls.
#[derive(Debug)]
#[non_exhaustive]
pub enum Request {
    /// Carry out a command.
    Order(CommandOrder),
    /// Read points now.
    ReadNow(ReadNow),
    /// Send this and tell what came back.
    Raw(Raw),
    /// Tell everything that explains a point.
    Inspect {
        /// Whose point.
        twin: TwinId,
        /// Which point; `None`: the device as a whole.
        index: Option<u16>,
        /// Takes the answer; dropped where the line does not know the twin.
        answer: oneshot::Sender<Inspection>,
    },
    /// This twin's asset, which was silent, is the one that it was.
    Proven(TwinId),
    /// Ask something in the protocol's own bytes that changes nothing.
    Ask(Ask),
    /// From now on tell the bytes that go over the line, until the receiver is gone.
    Tap(mpsc::Sender<Tapped>),
}

/// Something asked in the protocol's own bytes.
#[derive(Debug)]
pub struct Ask {
    /// Which device, by its address on the line.
    pub address: u8,
    /// The request, as the protocol has it inside its frames.
    pub request: Vec<u8>,
    /// Microseconds that the answer may take.
    pub timeout: i64,
    /// Takes the answer.
    pub answer: oneshot::Sender<Result<Asked, NotRead>>,
}

/// An answer in the protocol's own bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The answer; as the protocol has it inside its frames.
    pub answer: Vec<u8>,
    /// Microseconds from the request to it.
    pub took: i64,
}

/// Bytes that went over a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tapped {
    /// When, boottime.
    pub at: Boottime,
    /// From us, or to us.
    pub sent: bool,
    /// The bytes, as they were written or read at once.
    pub bytes: Vec<u8>,
    /// What they are, in words.
    pub words: String,
    /// How many pieces before this one were lost because the receiver was slow.
    pub lost: u64,
}

/// Points to be read now, whatever their group's interval is.
#[derive(Debug)]
pub struct ReadNow {
    /// Whose points.
    pub twin: TwinId,
    /// Which points; empty: all that can be read.
    pub points: Vec<u16>,
    /// The command that the readings answer.
    pub command: Option<CommandId>,
    /// Takes what was read, one change per group; the same changes are submitted.
    pub answer: oneshot::Sender<Result<Vec<Reported>, NotRead>>,
}

/// A request in the protocol's own words, for those who find out what a device consists of. Only what reads is sent.
#[derive(Debug)]
pub struct Raw {
    /// Whom to ask.
    pub twin: TwinId,
    /// The request, without address and checksum.
    pub request: Vec<u8>,
    /// Takes the data of the answer.
    pub answer: oneshot::Sender<Result<Vec<u8>, NotRead>>,
}

/// Why nothing was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRead {
    /// Why.
    pub reason: Reason,
    /// In words for the caller.
    pub words: Arc<str>,
    /// The protocol's own code of a refusal.
    pub code: Option<u32>,
}
