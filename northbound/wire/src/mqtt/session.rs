//! One connection to a broker: the only file of the client that touches a socket.

use std::sync::Arc;

use super::{
    Closed, ConnectError, Connected, Counters, Event, Filter, MqttOptions, Publication,
    PublishError, Wake,
};

/// One connection to a broker. It does not reconnect and remembers nothing beyond its end.
#[derive(Debug)]
pub struct Session {
    counters: Arc<Counters>,
    closed: Closed,
}

impl Session {
    /// Connects and waits for CONNACK.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(options: &MqttOptions) -> Result<(Self, Connected), ConnectError> {
        Err(ConnectError::Options { to: options.host.clone(), what: "not built yet".into() })
    }

    /// Encodes a publication into the outgoing buffer; the next [`event`](Self::event) sends it. No I/O.
    ///
    /// `token` returns in [`Event::Acked`] or [`Event::Refused`] at QoS 1; at QoS 0 [`Event::Flushed`] ends it.
    /// `payload` appends to the buffer it is given and must not touch what is there.
    ///
    /// # Errors
    /// See [`PublishError`]; a publication that is not taken has left no trace.
    pub fn publish(
        &mut self,
        publication: &Publication<'_>,
        token: u64,
        payload: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), PublishError> {
        let _ = (publication, token, payload);
        Err(PublishError::Closed)
    }

    /// How many more QoS 1 publications the window takes now.
    #[must_use]
    pub fn room(&self) -> usize {
        0
    }

    /// Asks for messages; [`Event::Subscribed`] answers with the returned id.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub fn subscribe(&mut self, filters: &[Filter<'_>]) -> Result<u16, PublishError> {
        let _ = filters;
        Err(PublishError::Closed)
    }

    /// Ends subscriptions; [`Event::Unsubscribed`] answers with the returned id.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub fn unsubscribe(&mut self, filters: &[&str]) -> Result<u16, PublishError> {
        let _ = filters;
        Err(PublishError::Closed)
    }

    /// Acknowledges a received message; an unknown packet id is ignored.
    pub fn acknowledge(&mut self, packet: u16) {
        let _ = packet;
    }

    /// Sends what is encoded, in one write where the socket takes it, and waits for what happens next.
    ///
    /// Cancel-safe: dropping the future loses neither bytes nor events.
    pub async fn event(&mut self, wake: Wake) -> Event {
        let _ = wake;
        Event::Closed(self.closed.clone())
    }

    /// What the session has done so far.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Says goodbye, so that the broker does not publish the will, and closes.
    pub async fn disconnect(self) {}
}
