//! Links: the lanes of the log in the words of a platform.

pub mod config;
mod dialect;
mod json;
mod link;
#[cfg(test)]
mod sample;
mod spec;
mod twins;
pub mod value;

pub use dialect::{Answer, Asked, Dialect, Document, Incoming, Message, Said};
pub use link::{LastError, Link, LinkStatus, Phase, Surroundings};
pub use spec::{LinkSpec, Pattern, SpecError};
pub use twins::{Twins, fuzz_command};
