//! MQTT 3.1.1 (OASIS standard, 2014) and MQTT 5.0 (OASIS standard, 2019), client side.

mod connect;
mod counters;
mod error;
mod event;
mod fuzz;
mod machine;
mod options;
mod packet;
mod reason;
mod session;
mod timers;
mod window;

pub use counters::Counters;
pub use error::{Closed, ConnectError, ProtocolError, PublishError, Refusal, Stage};
pub use event::{Connected, Event, Granted, Message, ReceivedProperties, Wake};
pub use fuzz::fuzz_one;
pub use options::{Filter, MqttOptions, Properties, Publication, Qos, Version, Will};
pub use reason::{Reason, RefusalClass};
pub use session::Session;
