//! Lines against devices that were not written with this crate.

mod plant;
mod rig;
mod tcp;
