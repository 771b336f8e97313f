//! What goes out.

use super::*;

impl Machine {
    /// Encodes a publication, or leaves no trace.
    pub(in crate::mqtt) fn publish(
        &mut self,
        publication: &Publication<'_>,
        token: u64,
        now: i64,
        payload: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), PublishError> {
        self.open()?;
        self.check(publication)?;
        if publication.qos == Qos::AtLeastOnce && self.window.room() == 0 {
            return Err(PublishError::WindowFull);
        }
        if self.out.len() - self.sent >= self.max_waiting {
            self.flush = Flush::Wanted;
            return Err(PublishError::WindowFull);
        }
        let start = self.out.len();
        let id = self.window.next_id();
        let size = packet::publish(&mut self.out, self.version, publication, id, payload);
        if size > self.max_packet {
            self.out.truncate(start);
            return Err(PublishError::TooLarge { size, limit: self.max_packet });
        }
        match publication.qos {
            Qos::AtMostOnce => self.flush = Flush::Wanted,
            Qos::AtLeastOnce => self.window.push(token, now),
        }
        self.counters.published.add(1);
        Ok(())
    }

    fn check(&self, publication: &Publication<'_>) -> Result<(), PublishError> {
        if publication.qos > self.max_qos {
            return Err(PublishError::Unsupported("QoS 1"));
        }
        if publication.retain && !self.retain_available {
            return Err(PublishError::Unsupported("retained messages"));
        }
        let invalid = |what| {
            Err(PublishError::Invalid {
                topic: publication.topic.chars().take(200).collect(),
                what,
            })
        };
        let topic = publication.topic.as_bytes();
        if topic.is_empty() || topic.iter().any(|byte| matches!(byte, b'+' | b'#' | 0)) {
            return invalid("a topic has at least one character and neither +, # nor NUL");
        }
        let Properties { content_type, response_topic, correlation_data, user, .. } =
            publication.properties;
        let fields = [content_type, response_topic].into_iter().flatten().map(str::as_bytes);
        let pairs = user.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        if fields.chain(correlation_data).chain(pairs).chain([topic]).any(packet::too_long) {
            return invalid("topic and properties have at most 65535 bytes each");
        }
        Ok(())
    }

    /// Encodes a subscription and returns its id.
    pub(in crate::mqtt) fn subscribe(
        &mut self,
        filters: &[Filter<'_>],
        now: i64,
    ) -> Result<u16, PublishError> {
        let topics = filters.iter().map(|filter| filter.topic);
        self.listens = true;
        self.request(topics, now, |out, version, id| packet::subscribe(out, version, id, filters))
    }

    /// Encodes an unsubscription and returns its id.
    pub(in crate::mqtt) fn unsubscribe(
        &mut self,
        filters: &[&str],
        now: i64,
    ) -> Result<u16, PublishError> {
        let topics = filters.iter().copied();
        self.request(topics, now, |out, version, id| packet::unsubscribe(out, version, id, filters))
    }

    fn request<'a>(
        &mut self,
        mut filters: impl ExactSizeIterator<Item = &'a str>,
        now: i64,
        encode: impl FnOnce(&mut Vec<u8>, Version, u16),
    ) -> Result<u16, PublishError> {
        self.open()?;
        if self.requests.len() >= REQUESTS {
            return Err(PublishError::WindowFull);
        }
        let none = filters.len() == 0;
        let bad = |filter: &&str| {
            filter.is_empty() || filter.contains('\0') || packet::too_long(filter.as_bytes())
        };
        let bad = if none { Some("") } else { filters.find(bad) };
        if let Some(filter) = bad {
            return Err(PublishError::Invalid {
                topic: filter.chars().take(200).collect(),
                what: "a subscription has filters of 1 to 65535 bytes without NUL",
            });
        }
        // Ids go round above those of publications; at most REQUESTS of 16384 are in use.
        self.next_request =
            if self.next_request == u16::MAX { LAST } else { self.next_request } + 1;
        let id = self.next_request;
        let start = self.out.len();
        encode(&mut self.out, self.version, id);
        let size = self.out.len() - start;
        if size > self.max_packet {
            self.out.truncate(start);
            return Err(PublishError::TooLarge { size, limit: self.max_packet });
        }
        self.requests.push_back((id, now));
        Ok(id)
    }

    /// Encodes the acknowledgement of a received message; an id that waits for none is ignored.
    pub(in crate::mqtt) fn acknowledge(&mut self, id: u16) {
        if self.owed.remove(&id) && self.open().is_ok() {
            packet::puback(&mut self.out, id);
        }
    }

    /// Encodes the goodbye; nothing can be sent after it.
    pub(in crate::mqtt) fn goodbye(&mut self) {
        if self.open().is_ok() {
            packet::disconnect(&mut self.out);
        }
    }

    /// The bytes that wait for the socket.
    pub(in crate::mqtt) fn outgoing(&self) -> &[u8] {
        self.out.get(self.sent..).unwrap_or_default()
    }

    /// The socket took the first `n` bytes that waited.
    pub(in crate::mqtt) fn wrote(&mut self, n: usize, now: i64) {
        self.counters.bytes_out.add(n);
        self.counters.writes.add(1);
        self.timers.sent(now);
        self.sent += n;
        if self.sent >= self.out.len() {
            self.sent = 0;
            self.out.clear();
            if self.out.capacity() > KEPT {
                self.out.shrink_to(KEPT);
            }
            if self.flush == Flush::Wanted {
                self.flush = Flush::Done;
            }
        } else if self.sent > KEPT {
            self.out.drain(..self.sent);
            self.sent = 0;
        }
    }

    fn open(&self) -> Result<(), PublishError> {
        match self.state {
            State::Open if self.ending.is_none() => Ok(()),
            _ => Err(PublishError::Closed),
        }
    }
}
