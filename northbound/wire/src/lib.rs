//! The only northbound sockets: an MQTT 3.1.1 and 5 client session over TCP and TLS, and a small HTTP responder.
//!
//! [`Session`] is one connection to a broker: what is published is encoded straight into one buffer and leaves in one
//! write, what comes back is an [`Event`]. Protocol and time live in a state machine without I/O.
//! The packet codec is our own: rumqttc's `mqttbytes`, which checks it in the tests, allocates for each publication,
//! refuses PUBACK codes that brokers send, and waits for ever after a DISCONNECT that carries only its reason.
//!
//! Deliberately absent: reconnection and the memory of what was published (a link reads the log again), QoS 2
//! (identities make duplicates recognisable), topic aliases, any knowledge of twins.

pub mod http;
mod mqtt;
mod socket;
mod stream;

pub use mqtt::{
    Closed, ConnectError, Connected, Counters, Event, Filter, Granted, Message, MqttOptions,
    Properties, ProtocolError, Publication, PublishError, Qos, Reason, ReceivedProperties, Refusal,
    RefusalClass, Session, Stage, Version, Wake, Will, fuzz_one,
};
