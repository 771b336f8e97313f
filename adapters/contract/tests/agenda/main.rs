//! The agenda of a line in virtual time.

#[cfg(test)]
mod commands;
#[cfg(test)]
mod dead_units;
#[cfg(test)]
mod schedule;
#[cfg(test)]
mod sim;
