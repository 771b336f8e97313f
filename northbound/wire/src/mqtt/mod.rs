//! MQTT 3.1.1 (OASIS standard, 2014) and MQTT 5.0 (OASIS standard, 2019), client side.

mod counters;
mod error;
mod event;
mod options;
mod reason;
mod session;

pub use counters::Counters;
pub use error::{Closed, ConnectError, ProtocolError, PublishError, Refusal, Stage};
pub use event::{Connected, Event, Granted, Message, ReceivedProperties, Wake};
pub use options::{Filter, MqttOptions, Properties, Publication, Qos, Version, Will};
pub use reason::{Reason, RefusalClass};
pub use session::Session;
