//! The tool: asks the daemon over its socket and shows what it answers.

mod alarms;
mod check;
mod client;
mod commands;
mod generate;
mod history;
mod modbus;
mod paint;
mod plan;
mod recording;
mod replay;
mod rollback;
mod table;
mod tap;
mod twins;
mod works;

pub use commands::{chain, run};
