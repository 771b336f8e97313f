//! gatewayd, the daemon, and gatewayctl, its tool: composition only.
//!
//! Deliberately absent: any protocol, any platform's words, any rule about twins. What can be decided without
//! knowing which crates exist lives in those crates.

#![expect(
    unreachable_pub,
    reason = "a program exports nothing; here `pub` marks what a module offers to its siblings"
)]

#[cfg(panic = "abort")]
compile_error!("a panic in one line must not end the others: supervision rests on unwinding");

mod cli;
mod config;
mod ctl;
mod daemon;
mod pool;
mod server;

use std::process::ExitCode;

use cli::Invocation;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        Ok(Invocation::Daemon(args)) => daemon::main(&args),
        Ok(Invocation::Tool(tool)) => ctl::run(&tool),
        Err(error) => error.exit(),
    }
}
