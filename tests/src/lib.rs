//! What the workspace tests share: the tree they read, the programs they start, the peers they trust.
//!
//! The peers are programs that we did not write (mosquitto, pymodbus, libmodbus, paho), and the
//! checker that judges the daemon is Python: it shares no line of code with what it judges.
//!
//! Deliberately absent: any crate of the workspace.
//! These tests see the daemon as a user does, through its files, its sockets and its exit status.
//! Only `tests/rtu` drives a line by itself, since it judges every single reading by its time, and `tests/allocations`
//! runs the path in its own process, to count.

pub mod gateway;
pub mod lab;
pub mod meter;
pub mod process;
pub mod tree;
pub mod wait;
