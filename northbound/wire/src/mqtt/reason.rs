//! Reason codes of MQTT 5 (§2.4) and what they mean for us.

use std::fmt;

/// A reason code; below 0x80 is success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reason(pub u8);

/// Whose fault a refused publication is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalClass {
    /// This message's: it will never be accepted, record it and pass over.
    Message,
    /// The link's (quota, access, broker): the next message fares no better, hold and try again.
    Link,
}

impl Reason {
    /// Not authorized.
    pub const NOT_AUTHORIZED: Self = Self(0x87);
    /// Another client took the session over.
    pub const SESSION_TAKEN_OVER: Self = Self(0x8E);
    /// Topic name invalid.
    pub const TOPIC_NAME_INVALID: Self = Self(0x90);
    /// Packet too large.
    pub const PACKET_TOO_LARGE: Self = Self(0x95);
    /// Quota exceeded.
    pub const QUOTA_EXCEEDED: Self = Self(0x97);
    /// Payload format invalid.
    pub const PAYLOAD_FORMAT_INVALID: Self = Self(0x99);

    /// Whether the code says that something failed.
    #[must_use]
    pub fn is_refusal(self) -> bool {
        self.0 >= 0x80
    }

    /// What a PUBACK with this code is about. Unknown codes hold the link: nothing is passed over by guess.
    #[must_use]
    pub fn class(self) -> RefusalClass {
        match self {
            Self::TOPIC_NAME_INVALID | Self::PACKET_TOO_LARGE | Self::PAYLOAD_FORMAT_INVALID => {
                RefusalClass::Message
            }
            _ => RefusalClass::Link,
        }
    }

    /// The standard's name of the code.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            0x00 => "success",
            0x04 => "disconnect with will message",
            0x10 => "no matching subscribers",
            0x80 => "unspecified error",
            0x81 => "malformed packet",
            0x82 => "protocol error",
            0x83 => "implementation specific error",
            0x84 => "unsupported protocol version",
            0x85 => "client identifier not valid",
            0x86 => "bad user name or password",
            0x87 => "not authorized",
            0x88 => "server unavailable",
            0x89 => "server busy",
            0x8A => "banned",
            0x8B => "server shutting down",
            0x8C => "bad authentication method",
            0x8D => "keep alive timeout",
            0x8E => "session taken over",
            0x8F => "topic filter invalid",
            0x90 => "topic name invalid",
            0x91 => "packet identifier in use",
            0x93 => "receive maximum exceeded",
            0x94 => "topic alias invalid",
            0x95 => "packet too large",
            0x96 => "message rate too high",
            0x97 => "quota exceeded",
            0x98 => "administrative action",
            0x99 => "payload format invalid",
            0x9A => "retain not supported",
            0x9B => "QoS not supported",
            0x9C => "use another server",
            0x9D => "server moved",
            0x9E => "shared subscriptions not supported",
            0x9F => "connection rate exceeded",
            0xA0 => "maximum connect time",
            0xA1 => "subscription identifiers not supported",
            0xA2 => "wildcard subscriptions not supported",
            code if code < 0x80 => "an unknown success",
            _ => "an unknown refusal",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (0x{:02X})", self.name(), self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_three_codes_blame_the_message() {
        let message: Vec<u8> =
            (0..=255).filter(|c| Reason(*c).class() == RefusalClass::Message).collect();
        assert_eq!(message, [0x90, 0x95, 0x99]);
        assert_eq!(Reason(0x87).to_string(), "not authorized (0x87)");
        assert_eq!(Reason(0xF0).to_string(), "an unknown refusal (0xF0)");
    }
}
