//! What goes wrong, and what to do about it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::Reason;

/// Why a connection did not come to be.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The options cannot be put into a CONNECT packet.
    #[error("cannot connect to {to}: {what}")]
    Options {
        /// `host:port`.
        to: String,
        /// What is wrong with which option.
        what: String,
    },
    /// The host name has no address.
    #[error("looking up {host} failed; check the name and the machine's DNS")]
    Resolve {
        /// The name.
        host: String,
        /// The resolver's words.
        source: io::Error,
    },
    /// No address answers.
    #[error("no TCP connection to {to}; check host, port and firewall, and that the broker runs")]
    Unreachable {
        /// `host:port`.
        to: String,
        /// The last address's failure.
        source: io::Error,
    },
    /// TLS failed.
    #[error("no TLS connection to {to}: {advice}")]
    Tls {
        /// `host:port`.
        to: String,
        /// What to do.
        advice: String,
        /// The handshake's failure.
        source: io::Error,
    },
    /// It took too long.
    #[error("connecting to {to} took longer than {after:?} and stood at: {stage}")]
    Timeout {
        /// `host:port`.
        to: String,
        /// The limit.
        after: Duration,
        /// How far it got.
        stage: Stage,
    },
    /// The broker answered no.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// The connection ended before CONNACK.
    #[error(
        "{to} ended the connection before it answered CONNECT; check that the port speaks MQTT {over}"
    )]
    Ended {
        /// `host:port`.
        to: String,
        /// With or without TLS.
        over: &'static str,
        /// Why it ended.
        source: Closed,
    },
}

/// How far connecting got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The host name.
    Lookup,
    /// The TCP connection.
    Tcp,
    /// The TLS handshake.
    Tls,
    /// CONNECT is sent, CONNACK is awaited.
    Connack,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Lookup => "looking up the host name",
            Self::Tcp => "TCP",
            Self::Tls => "the TLS handshake",
            Self::Connack => "waiting for CONNACK",
        })
    }
}

/// A CONNACK that says no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{to} refused client \"{client_id}\": {reason}{}; {advice}", tail(words.as_deref(), server.as_deref()))]
pub struct Refusal {
    /// `host:port`.
    pub to: String,
    /// Our client id.
    pub client_id: String,
    /// Why; return codes of version 3.1.1 are given as their version 5 counterparts.
    pub reason: Reason,
    /// The broker's words (version 5).
    pub words: Option<String>,
    /// Where the broker sends us (version 5).
    pub server: Option<String>,
    /// What to do.
    pub advice: &'static str,
}

/// Why a publication was not taken. It has left no trace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// As many are unacknowledged, or as many bytes wait, as may: try again after the next event.
    #[error("the window is full")]
    WindowFull,
    /// The broker takes no packet of that size.
    #[error("a packet of {size} bytes exceeds the broker's maximum of {limit}")]
    TooLarge {
        /// What it would take.
        size: usize,
        /// What the broker takes.
        limit: usize,
    },
    /// The topic cannot be published to, or a property is longer than 65535 bytes.
    #[error("cannot publish to \"{topic}\": {what}")]
    Invalid {
        /// The topic.
        topic: String,
        /// What is wrong.
        what: &'static str,
    },
    /// The broker told at CONNACK that it does not do this.
    #[error("the broker does not support {0}")]
    Unsupported(&'static str),
    /// The session is over.
    #[error("the session is closed")]
    Closed,
}

/// Why a session is over.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Closed {
    /// The broker ended the connection without a word.
    #[error(
        "the broker ended the connection of client \"{client_id}\" without a word; if that repeats, see the broker's log, \
         and whether another client uses this client id"
    )]
    Ended {
        /// Our client id.
        client_id: String,
    },
    /// The broker said goodbye (version 5).
    #[error("the broker disconnected client \"{client_id}\": {reason}{}{}", tail(words.as_deref(), server.as_deref()), advice(*reason))]
    Broker {
        /// Our client id.
        client_id: String,
        /// Why.
        reason: Reason,
        /// The broker's words.
        words: Option<String>,
        /// Where the broker sends us.
        server: Option<String>,
    },
    /// The socket failed.
    #[error("the connection to the broker broke")]
    Socket(#[source] Arc<io::Error>),
    /// Nothing came back after a ping.
    #[error("the broker has been silent for {silent:?} and did not answer a ping")]
    NoPing {
        /// Since the last byte.
        silent: Duration,
    },
    /// An acknowledgement did not come.
    #[error("the broker has not acknowledged within {waited:?}")]
    NoAck {
        /// Since it was encoded.
        waited: Duration,
    },
    /// The broker broke the protocol.
    #[error("the broker broke the MQTT protocol")]
    Protocol(#[from] ProtocolError),
}

/// Bytes that no broker may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A remaining length of more than four bytes.
    #[error("a packet length of more than four bytes")]
    Length,
    /// A packet longer than we accept.
    #[error("a packet of {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Its length.
        size: usize,
        /// Our limit.
        limit: usize,
    },
    /// A packet that ends within a field.
    #[error("a packet of type {0} that ends within a field")]
    Truncated(u8),
    /// Bytes after the last field.
    #[error("a packet of type {0} with bytes after its end")]
    Trailing(u8),
    /// Text that is not UTF-8.
    #[error("text that is not UTF-8")]
    Text,
    /// Reserved flags.
    #[error("a packet with first byte 0x{0:02X}, whose flags are reserved")]
    Flags(u8),
    /// A packet that has no place here.
    #[error("a packet of type {0} out of place")]
    Unexpected(u8),
    /// A property that does not exist or has no place.
    #[error("property 0x{0:02X} out of place")]
    Property(u8),
    /// A property with a value that it may not have.
    #[error("property 0x{0:02X} with a value that it may not have")]
    PropertyValue(u8),
    /// Packet id zero.
    #[error("packet id 0")]
    PacketId,
    /// A quality of service that we did not ask for.
    #[error("a message at QoS {0}, which we never ask for")]
    Qos(u8),
    /// More unacknowledged messages than we allowed.
    #[error("more than {0} unacknowledged messages")]
    ReceiveMaximum(u16),
}

fn tail(words: Option<&str>, server: Option<&str>) -> String {
    let mut tail = String::new();
    for (before, what) in [(", saying ", words), (", naming the server ", server)] {
        if let Some(what) = what {
            tail.push_str(before);
            tail.push_str(&format!("{what:?}"));
        }
    }
    tail
}

/// What to do about a DISCONNECT.
fn advice(reason: Reason) -> &'static str {
    match reason.0 {
        0x8E => "; another client connected with the same client id: give each gateway its own",
        0x8B | 0x89 => "; it should come back by itself",
        0x87 => "; check the broker's access list for this client",
        0x98 => "; ask the broker's operator",
        0x9C | 0x9D => "; change the configured host",
        _ => "",
    }
}
