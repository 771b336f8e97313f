//! What the daemon answers.

use serde::{Deserialize, Serialize};

use crate::{
    Asked, Command, Line, Link, Maintenance, Page, Plan, Point, Relationship, Reloaded, Status,
    Tapped, Twin, TwinAlarm, Update, Verdict, Version, Why, Writes,
};

/// A line from the daemon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The version of the encoding, [`crate::VERSION`].
    pub v: u32,
    /// The answer.
    #[serde(flatten)]
    pub answer: Answer,
}

impl Reply {
    /// An answer in this version of the encoding.
    #[must_use]
    pub fn new(answer: Answer) -> Self {
        Self { v: crate::VERSION, answer }
    }
}

/// What the daemon answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Answer {
    /// To [`crate::Request::Version`].
    Version(Version),
    /// To [`crate::Request::Status`].
    Status(Box<Status>),
    /// To [`crate::Request::Twins`].
    Twins {
        /// In the order in which they were first described.
        twins: Vec<Twin>,
    },
    /// To [`crate::Request::Watch`], for each thing that happens.
    Update(Update),
    /// To [`crate::Request::Read`].
    Readings {
        /// Whose.
        twin: String,
        /// What was read.
        points: Vec<Point>,
    },
    /// To [`crate::Request::Set`], for each step.
    Command(Command),
    /// To [`crate::Request::Links`].
    Links {
        /// In the order of the configuration.
        links: Vec<Link>,
    },
    /// To [`crate::Request::LinksSkip`].
    Skipped {
        /// Which link.
        link: String,
        /// How many messages were passed over.
        messages: u64,
    },
    /// To [`crate::Request::Lines`].
    Lines {
        /// In the order of the configuration.
        lines: Vec<Line>,
    },
    /// To [`crate::Request::Why`].
    Why(Why),
    /// To [`crate::Request::Writes`].
    Writes(Writes),
    /// To [`crate::Request::Relate`].
    Related {
        /// Whose.
        twin: String,
        /// All that it has now.
        relationships: Vec<Relationship>,
    },
    /// To [`crate::Request::Maintain`].
    Maintained {
        /// Whose.
        twin: String,
        /// What goes on now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        maintenance: Option<Maintenance>,
    },
    /// To [`crate::Request::Alarms`], [`crate::Request::Acknowledge`] and [`crate::Request::Shelve`].
    Alarms {
        /// By twin, in the order of their indexes.
        alarms: Vec<TwinAlarm>,
    },
    /// To [`crate::Request::Purge`].
    Purged {
        /// Which.
        twin: String,
    },
    /// To [`crate::Request::Plan`].
    Plan(Plan),
    /// To [`crate::Request::History`], part by part.
    History(Page),
    /// To [`crate::Request::Reload`].
    Reloaded(Reloaded),
    /// To [`crate::Request::Reload`], after [`Answer::Reloaded`] with `watched_ms`.
    Verdict(Verdict),
    /// To [`crate::Request::Ask`].
    Asked(Asked),
    /// To [`crate::Request::Tap`], for each piece.
    Tapped(Tapped),
    /// To anything that cannot be done.
    Error(Failure),
}

/// Why something cannot be done, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The reason for programs.
    pub code: Code,
    /// The reason for people.
    pub message: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// The reasons for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The request is not understood.
    BadRequest,
    /// The request is in another version of the encoding.
    Version,
    /// There is no such twin, point, link.
    NotFound,
    /// The caller may not do this.
    NotAllowed,
    /// It is not possible in the present state.
    NotNow,
    /// It took too long.
    Timeout,
    /// The configuration is broken.
    Configuration,
    /// The daemon is at fault.
    Internal,
    /// A reason that this version does not know.
    #[serde(other)]
    Other,
}

impl Failure {
    /// A failure without advice.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None }
    }

    /// The same with what to do next.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}
