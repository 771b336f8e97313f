//! Lines against devices that were not written with this crate.

#[cfg(test)]
mod bus;
#[cfg(test)]
mod plant;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod serial;
#[cfg(test)]
mod tcp;
