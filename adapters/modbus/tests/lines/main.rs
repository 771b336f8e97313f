//! Lines against devices that were not written with this crate.

#[cfg(test)]
mod plant;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod tcp;
