//! What can be asked of a running line, besides another configuration.

use std::sync::Arc;

use tokio::sync::oneshot;
use twin::{CommandId, CommandOrder, Reason, Reported, TwinId};

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
}
