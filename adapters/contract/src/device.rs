//! Device files: what they may say whatever the protocol, and what that makes of a twin.
//!
//! A protocol adds its own sections (`S`) to the file and its own keys (`P`) to each point; both are flat in the
//! file. What a device file does not say it takes from its profile, key by key.

mod alarm;
mod declare;
mod entanglement;
mod guard;
mod keys;
mod merge;
mod report;
mod words;

pub use alarm::{AlarmKeys, CodeWord, CodesWord, alarms};
pub use declare::{Common, common, nameplate, point};
pub use entanglement::{CommandsWord, EntanglementKeys, entanglement};
pub use guard::guard;
pub use keys::{
    DeviceFile, GroupKeys, KindWord, NameplateKeys, PointKeys, ReportWord, RequireKeys, WordKeys,
};
pub use merge::{Layer, MergedGroup, MergedPoint, Over, groups, points};
pub use report::Deadband;
pub use words::{labels, point_name};
