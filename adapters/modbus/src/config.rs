//! The TOML sections of Modbus lines, devices and points, and what they make of the pure specs in [`crate::spec`].
//!
//! Everything here reports mistakes with their place and returns what could be built; whether a device with mistakes
//! is used is for the caller to decide.

mod device;
mod format;
mod fuzz;
mod line;
mod point;
mod words;

pub use device::{Device, DeviceKeys, Draft, device, implied_name, units};
pub use fuzz::fuzz_one;
pub use line::{
    LineKeys, Rs485Keys, SerialKeys, TimingKeys, TlsKeys, TransportKeys, line, transport,
};
pub use point::{Notation, PointKeys, codec};
pub use words::{
    CharactersInWord, CharactersWord, ExtentWord, FieldWord, FramingWord, LayoutWord, PackingWord,
    PadWord, ParityWord, PartialWord, TypeWord,
};
