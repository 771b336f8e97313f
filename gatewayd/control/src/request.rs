//! What can be asked of the daemon.

use serde::{Deserialize, Serialize};

/// A line to the daemon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// The version of the encoding, [`crate::VERSION`].
    pub v: u32,
    /// What is asked.
    #[serde(flatten)]
    pub request: Request,
}

impl Ask {
    /// A request in this version of the encoding.
    #[must_use]
    pub fn new(request: Request) -> Self {
        Self { v: crate::VERSION, request }
    }
}

/// What can be asked. Points are named `feature/name`, or `name` alone where that is unique in the twin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Request {
    /// Which program answers.
    Version,
    /// How the daemon is.
    Status,
    /// The twins and what is known of them.
    Twins {
        /// Only this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        twin: Option<String>,
    },
    /// Everything that happens from now on.
    Watch {
        /// Only to this twin.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        twin: Option<String>,
        /// Only to this point.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        point: Option<String>,
    },
    /// Reads points from the asset now.
    Read {
        /// Whose.
        twin: String,
        /// Which; all readable ones where none is named.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        points: Vec<String>,
        /// How long to wait for the asset, in milliseconds.
        #[serde(default = "seconds_10")]
        timeout_ms: u64,
    },
    /// Writes a value to the asset, or calls an action.
    Set {
        /// Whose.
        twin: String,
        /// Which property or action.
        point: String,
        /// The value: a bool, a number, or a text as people write it (`on`, `21.50`, a label), which is exact.
        value: serde_json::Value,
        /// Tell every step until the command has ended.
        #[serde(default)]
        wait: bool,
        /// The command is never executed later than this after it was accepted, in milliseconds.
        #[serde(default = "seconds_10")]
        timeout_ms: u64,
        /// The caller's id of the command: a repeat with the same key is the same command.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    /// The upstream connections and what waits for them.
    Links,
    /// Gives up what a held link refuses, on the operator's explicit word.
    LinksSkip {
        /// Which link.
        link: String,
    },
    /// The lines to the assets.
    Lines,
    /// Why a twin or a point is as it is: bytes, decode steps, quality, next attempt, lanes.
    Why {
        /// Which twin.
        twin: String,
        /// Which point.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        point: Option<String>,
    },
    /// Whether commands may be carried out at all; switches it where `on` is there.
    Writes {
        /// On or off.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        on: Option<bool>,
    },
    /// Makes a relationship of a twin, or ends it.
    Relate {
        /// Whose.
        twin: String,
        /// What it means: `feeds`, `partOf`.
        name: String,
        /// The other twin, by its id here or by its URI elsewhere.
        target: String,
        /// `false` ends it.
        on: bool,
    },
    /// Planned work on an asset begins, or ends.
    Maintain {
        /// Whose.
        twin: String,
        /// For so many milliseconds from now on; absent: it ends now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        for_ms: Option<u64>,
        /// Why.
        #[serde(default)]
        reason: String,
    },
    /// The alarms of twins.
    Alarms {
        /// Only of this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        twin: Option<String>,
        /// Those that do not stand as well.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        all: bool,
    },
    /// An alarm was seen.
    Acknowledge {
        /// Whose.
        twin: String,
        /// Which; all that are not acknowledged where none is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        alarm: Option<String>,
    },
    /// An alarm is silenced, or no longer.
    Shelve {
        /// Whose.
        twin: String,
        /// Which.
        alarm: String,
        /// For so many milliseconds from now on, 30 days at the longest; absent: no longer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        for_ms: Option<u64>,
    },
    /// Ends a twin that is done, for good.
    Purge {
        /// Which.
        twin: String,
    },
    /// What a reload would do; nothing is touched.
    Plan,
    /// What was.
    History(crate::Past),
    /// Reads the configuration again and applies what changed.
    Reload {
        /// What changed is watched this long for permanent faults and panics, in milliseconds, and given up for the
        /// configuration before it where it fails; 0: not at all.
        #[serde(default = "seconds_10")]
        window_ms: u64,
    },
    /// Asks a device on a line something in the protocol's own bytes that changes nothing.
    Ask {
        /// Which line, by its name or by where it goes.
        line: String,
        /// Which device, by its address on the line.
        address: u8,
        /// The request as the protocol has it inside its frames, in hexadecimal.
        request: String,
        /// How long to wait for the asset, in milliseconds.
        #[serde(default = "seconds_1")]
        timeout_ms: u64,
    },
    /// Everything that goes over a line from now on.
    Tap {
        /// Which line, by its name or by where it goes.
        line: String,
    },
}

fn seconds_1() -> u64 {
    1_000
}

fn seconds_10() -> u64 {
    10_000
}
