//! A line in real time against slaves that others wrote: pymodbus and libmodbus on a bus that may misbehave, and
//! pymodbus reached in every other way.

#[cfg(test)]
mod bus;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod framings;
#[cfg(test)]
mod peers;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod truth;
