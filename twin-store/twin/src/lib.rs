//! The digital twin model: what a twin is, what can happen to it, and what follows.
//!
//! Everything here is plain data and pure functions of it.
//! Deliberately absent: I/O, the clock, randomness, serialisation, tokio, any protocol or platform word.
//! Disk records (`twin-store`) and wire forms (`dialects`) have types of their own; this crate's types promise
//! nothing to anybody outside the process.
//!
//! Read in this order: [`Value`], [`Quality`], [`Description`], [`Reported`], [`Change`], [`Twin`], [`State`].

mod alarm;
mod change;
mod command;
mod conditioning;
mod description;
mod entanglement;
mod event;
mod guard;
mod held;
mod ledger;
mod lifecycle;
mod maintenance;
mod name;
mod nameplate;
mod parts;
mod quality;
mod reading;
mod relation;
mod report;
mod rules;
mod state;
mod text;
mod time;
mod twin;
mod value;

pub use alarm::{Alarm, Care, Condition, Standing};
pub use change::{
    Accepted, Binding, Body, Change, Commit, GapCause, GatewayEvent, GroupCounts, Input, Origin,
    Principal, PrincipalKind, Receipt, Refusal, Seen, Seq, Submission, What,
};
pub use command::{
    Command, CommandId, CommandOrder, CommandState, Deadline, Desired, Order, Outcome, Reason,
    Stage, Step, admit,
};
pub use description::{
    Access, Acquisition, Declaration, Description, Group, Kind, Point, PointSpec, Report, Revised,
    Writable,
};
pub use entanglement::{Closeness, Entangled, Window};
pub use event::{ConditionState, Event, EventInstance};
pub use guard::interlocked;
pub use held::{Held, Hold};
pub use ledger::{Ledger, LedgerEntry};
pub use lifecycle::{LifeCycle, TRANSITIONS, Trigger};
pub use maintenance::Maintenance;
pub use name::{Handle, Name, NameError, TwinId};
pub use nameplate::Nameplate;
pub use parts::{StateParts, TwinParts};
pub use quality::{Cause, Class, Quality};
pub use reading::{Entry, Envelope, EnvelopeEntry, Reading, Reported};
pub use relation::Relationship;
pub use rules::{Guard, Interlock, Measuring, Pace, Policy, Rules, Thresholds};
pub use state::State;
pub use text::{Shown, TextError};
pub use time::{
    BootId, Boottime, InstantText, Moment, SourceClock, Span, TimeBase, Timeline, Timestamp,
};
pub use twin::{Applied, Touched, Twin};
pub use value::{IntKind, Value, ValueType};
