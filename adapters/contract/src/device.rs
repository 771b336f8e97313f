//! Device files: what they may say whatever the protocol, and what that makes of a twin.
//!
//! A protocol adds its own sections (`S`) to the file and its own keys (`P`) to each point; both are flat in the
//! file. What a device file does not say it takes from its profile, key by key.

mod alarm;
mod declare;
mod entanglement;
mod keys;
mod merge;
mod report;
mod words;

pub use alarm::{AlarmKeys, CodeWord, CodesWord, alarms, words as alarm_words};
pub use declare::{Common, common, nameplate, point};
pub use entanglement::{CommandsWord, EntanglementKeys, entanglement};
pub use keys::{DeviceFile, GroupKeys, KindWord, NameplateKeys, PointKeys, ReportWord, WordKeys};
pub use merge::{Layer, MergedGroup, MergedPoint, Over, groups, points};
pub use report::Deadband;
pub use words::{labels, point_name};
