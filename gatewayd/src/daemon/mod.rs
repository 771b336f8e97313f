//! The daemon: starts the parts in order, keeps them running, and stops them in flow order.

mod alarms;
mod clock;
mod describe;
mod fallback;
mod hub;
mod lines;
mod links;
mod logging;
mod modbus;
mod notify;
mod options;
mod parts;
mod progress;
mod reload;
mod router;
mod run;
mod sunspec;
mod supervisor;
mod times;
mod trial;

pub use describe::words;
pub use hub::{Hub, ReloadRequest, version, writes};
pub use links::waiting;
pub use run::main;
