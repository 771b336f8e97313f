//! What a session tells.

use bytes::Bytes;

use super::{Closed, Qos, Reason, RefusalClass};

/// What [`Session::event`](crate::Session::event) wakes for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// Everything, at once: while the window fills or a backlog drains.
    Acks,
    /// Not for acknowledgements: while messages follow each other closely they are read with the next one, at most
    /// `lazy` later, and the thread sleeps on when they arrive. A broker that vanishes is noticed as late. A session
    /// that has subscribed is never lazy: a command does not wait.
    Lazy,
}

/// What the broker granted at CONNACK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connected {
    /// Whether the broker still held our session (subscriptions and undelivered messages).
    pub session_present: bool,
    /// How many QoS 1 publications may be unacknowledged: the smaller of our window and the broker's receive maximum.
    pub window: u16,
    /// The longest packet that the broker accepts, in bytes.
    pub max_packet: u32,
    /// The highest QoS that the broker accepts.
    pub max_qos: Qos,
    /// Whether the broker keeps retained messages.
    pub retain_available: bool,
    /// The keep-alive in force, in seconds; zero is none.
    pub keep_alive: u16,
    /// How long the broker keeps the session after the connection, in seconds (version 5).
    pub session_expiry: u32,
    /// The client id that the broker gave where we gave none.
    pub assigned_client_id: Option<String>,
}

/// Something happened.
#[derive(Debug)]
pub enum Event {
    /// The broker has this publication.
    Acked {
        /// The token that `publish` was given.
        token: u64,
    },
    /// The broker refused this publication (version 5 only).
    Refused {
        /// The token that `publish` was given.
        token: u64,
        /// Why.
        reason: Reason,
        /// Whether the message or the link is at fault.
        class: RefusalClass,
        /// The broker's words, where it sent any.
        words: Option<String>,
    },
    /// A message arrived.
    Message(Box<Message>),
    /// A subscription was answered, filter by filter.
    Subscribed {
        /// What `subscribe` returned.
        id: u16,
        /// One answer per filter, in order.
        granted: Vec<Granted>,
    },
    /// An unsubscription was answered.
    Unsubscribed {
        /// What `unsubscribe` returned.
        id: u16,
    },
    /// All that was published has been given to the socket: QoS 0 publications are done, a full buffer has room.
    Flushed,
    /// The session is over; every publication that was neither acked nor refused is lost. It stays over.
    Closed(Closed),
}

/// The answer to one filter of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granted {
    /// Granted with this QoS.
    Qos(Qos),
    /// Refused; version 3.1.1 gives no reason but 0x80.
    Refused(Reason),
}

/// A message that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where it was published.
    pub topic: String,
    /// What was published.
    pub payload: Bytes,
    /// How surely it is delivered.
    pub qos: Qos,
    /// Whether it was kept by the broker from before our subscription.
    pub retain: bool,
    /// Whether the broker may have sent it before.
    pub duplicate: bool,
    /// At QoS 1, what [`Session::acknowledge`](crate::Session::acknowledge) must be given once the message is safe.
    pub packet: Option<u16>,
    /// What version 5 says besides.
    pub properties: ReceivedProperties,
}

/// Properties of a received message (version 5).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReceivedProperties {
    /// Remaining life time in seconds.
    pub message_expiry: Option<u32>,
    /// Media type of the payload.
    pub content_type: Option<String>,
    /// Where an answer is expected.
    pub response_topic: Option<String>,
    /// What an answer must repeat.
    pub correlation_data: Option<Bytes>,
    /// Names and values of the sender's own.
    pub user: Vec<(String, String)>,
}
