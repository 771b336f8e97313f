//! The tool: asks the daemon over its socket and shows what it answers.

mod check;
mod client;
mod commands;
mod generate;
mod history;
mod paint;
mod plan;
mod rollback;
mod table;
mod twins;
mod works;

pub use commands::{chain, run};
