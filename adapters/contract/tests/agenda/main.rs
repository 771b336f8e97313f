//! The agenda of a line in virtual time.

mod commands;
mod dead_units;
mod schedule;
mod sim;
