//! The packet codec of both versions: pure functions between bytes and packets.

mod decode;
mod encode;
mod properties;
#[cfg(test)]
mod tests;

pub(super) use decode::{Packet, Publish, frame};
pub(super) use encode::{
    LONGEST, connect, disconnect, ping, puback, publish, seconds16, session_expiry, subscribe,
    too_long, unsubscribe,
};
pub(super) use properties::Found;
