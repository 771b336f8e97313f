//! A serial line in real time against slaves that others wrote: pymodbus and libmodbus, on a bus that may misbehave.

#[cfg(test)]
mod bus;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod peers;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod truth;
