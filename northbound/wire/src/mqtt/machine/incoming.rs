//! What comes in.

use bytes::Bytes;

use super::*;
use crate::mqtt::packet::Publish;

impl Machine {
    /// Bytes arrived.
    pub(in crate::mqtt) fn received(&mut self, bytes: &[u8], now: i64) {
        self.counters.bytes_in.add(bytes.len());
        self.timers.received(now);
        if self.read > 0 {
            self.input.drain(..self.read);
            self.read = 0;
        }
        self.input.extend_from_slice(bytes);
    }

    /// The answer to CONNECT, once it has arrived.
    pub(in crate::mqtt) fn answer(&mut self) -> Option<Answer> {
        let mut answer = None;
        self.decode(
            |machine, packet, _| {
                let Packet::ConnAck { session_present, code, properties } = packet else {
                    return Err(out_of_place(packet));
                };
                answer = Some(machine.connack(session_present, code, &properties));
                Ok(true)
            },
            0,
        );
        match &self.state {
            State::Closed(why) => Some(Answer::Closed(why.clone())),
            _ => answer,
        }
    }

    fn connack(&mut self, session_present: bool, code: u8, found: &Found<'_>) -> Answer {
        if code != 0 {
            let reason = Reason(match code {
                // Return codes of version 3.1.1 (§3.2.2.3).
                1 => 0x84,
                2 => 0x85,
                3 => 0x88,
                4 => 0x86,
                5 => 0x87,
                code => code,
            });
            let words = found.words.map(Into::into);
            let server = found.server.map(Into::into);
            return Answer::Refused { reason, words, server };
        }
        let u16_of = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
        self.state = State::Open;
        self.window.narrow(found.receive_maximum.map_or(u16::MAX, u16_of));
        if let Some(limit) = found.max_packet {
            self.max_packet = self.max_packet.min(usize::try_from(limit).unwrap_or(usize::MAX));
        }
        if found.max_qos == Some(0) {
            self.max_qos = Qos::AtMostOnce;
        }
        self.retain_available = found.retain_available != Some(0);
        if let Some(seconds) = found.keep_alive {
            self.keep_alive = u16_of(seconds);
            self.timers.set_keep_alive(self.keep_alive);
        }
        Answer::Connected(Connected {
            session_present,
            window: u16::try_from(self.window.limit()).unwrap_or(u16::MAX),
            max_packet: u32::try_from(self.max_packet).unwrap_or(u32::MAX),
            max_qos: self.max_qos,
            retain_available: self.retain_available,
            keep_alive: self.keep_alive,
            session_expiry: found.session_expiry.unwrap_or(self.session_expiry),
            assigned_client_id: found.assigned_client_id.map(Into::into),
        })
    }

    /// The next event of what arrived; `None` means that more must arrive, or time pass.
    pub(in crate::mqtt) fn next(&mut self, now: i64) -> Option<Event> {
        if let State::Closed(why) = &self.state {
            return Some(Event::Closed(why.clone()));
        }
        if self.flush == Flush::Done {
            self.flush = Flush::Unwanted;
            return Some(Event::Flushed);
        }
        let mut event = None;
        self.decode(
            |machine, packet, now| {
                event = machine.take(packet, now)?;
                Ok(event.is_some())
            },
            now,
        );
        if event.is_none()
            && let State::Closed(why) = &self.state
        {
            return Some(Event::Closed(why.clone()));
        }
        event
    }

    /// Decodes packets until `take` says that it is enough.
    fn decode(
        &mut self,
        mut take: impl FnMut(&mut Self, Packet<'_>, i64) -> Result<bool, ProtocolError>,
        now: i64,
    ) {
        // The packets borrow the input while they change the rest of the machine.
        let input = std::mem::take(&mut self.input);
        let result = loop {
            if matches!(self.state, State::Closed(_)) {
                break Ok(());
            }
            let rest = input.get(self.read..).unwrap_or_default();
            let found = match frame(rest, self.max_input) {
                Err(error) => break Err(error),
                Ok(None) => {
                    if let Some(why) = self.ending.take() {
                        self.close(why);
                    }
                    break Ok(());
                }
                Ok(Some(found)) => found,
            };
            self.read += found.end;
            let body = rest.get(found.start..found.end).unwrap_or_default();
            let taken = Packet::decode(self.version, found.first, body)
                .and_then(|packet| take(self, packet, now));
            match taken {
                Ok(false) => {}
                Ok(true) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.input = input;
        if self.read >= self.input.len() {
            self.input.clear();
            self.read = 0;
            if self.input.capacity() > KEPT {
                self.input.shrink_to(KEPT);
            }
        }
        if let Err(error) = result {
            self.close(Closed::Protocol(error));
        }
    }

    fn take(&mut self, packet: Packet<'_>, now: i64) -> Result<Option<Event>, ProtocolError> {
        Ok(match packet {
            Packet::PubAck { packet, code, properties } => {
                self.puback(packet, Reason(code), &properties, now)
            }
            Packet::Publish(publish) => Some(self.message(&publish)?),
            Packet::SubAck { packet, codes } => self.answered(packet, now).then(|| {
                let granted = |code: &u8| match code {
                    0 => Granted::Qos(Qos::AtMostOnce),
                    1 | 2 => Granted::Qos(Qos::AtLeastOnce),
                    code => Granted::Refused(Reason(*code)),
                };
                Event::Subscribed { id: packet, granted: codes.iter().map(granted).collect() }
            }),
            Packet::UnsubAck { packet } => {
                self.answered(packet, now).then_some(Event::Unsubscribed { id: packet })
            }
            Packet::PingResp => {
                self.timers.ponged();
                None
            }
            Packet::Disconnect { code, properties } => {
                self.close(Closed::Broker {
                    client_id: self.client_id.clone(),
                    reason: Reason(code),
                    words: properties.words.map(Into::into),
                    server: properties.server.map(Into::into),
                });
                None
            }
            Packet::ConnAck { .. } => return Err(ProtocolError::Unexpected(2)),
        })
    }

    fn puback(&mut self, id: u16, reason: Reason, found: &Found<'_>, now: i64) -> Option<Event> {
        let Some(token) = self.window.settle(id) else {
            self.counters.strays.add(1);
            return None;
        };
        self.timers.progress(now);
        if !reason.is_refusal() {
            self.counters.acknowledged.add(1);
            return Some(Event::Acked { token });
        }
        self.counters.refused.add(1);
        let words = found.words.map(Into::into);
        Some(Event::Refused { token, reason, class: reason.class(), words })
    }

    /// Whether a subscription waited for this answer.
    fn answered(&mut self, id: u16, now: i64) -> bool {
        let waiting = self.requests.iter().position(|(waiting, _)| *waiting == id);
        match waiting {
            Some(index) => {
                self.requests.remove(index);
                self.timers.progress(now);
            }
            None => self.counters.strays.add(1),
        }
        waiting.is_some()
    }

    fn message(&mut self, publish: &Publish<'_>) -> Result<Event, ProtocolError> {
        if let Some(id) = publish.packet {
            // A repeat within one connection is owed one acknowledgement all the same.
            self.owed.insert(id);
            if self.owed.len() > self.receive_maximum.into() {
                return Err(ProtocolError::ReceiveMaximum(self.receive_maximum));
            }
        }
        self.counters.messages.add(1);
        let found = &publish.properties;
        Ok(Event::Message(Box::new(Message {
            topic: publish.topic.into(),
            payload: Bytes::copy_from_slice(publish.payload),
            qos: if publish.qos == 0 { Qos::AtMostOnce } else { Qos::AtLeastOnce },
            retain: publish.retain,
            duplicate: publish.duplicate,
            packet: publish.packet,
            properties: ReceivedProperties {
                message_expiry: found.message_expiry,
                content_type: found.content_type.map(Into::into),
                response_topic: found.response_topic.map(Into::into),
                correlation_data: found.correlation_data.map(Bytes::copy_from_slice),
                user: found.user(),
            },
        })))
    }
}

fn out_of_place(packet: Packet<'_>) -> ProtocolError {
    ProtocolError::Unexpected(match packet {
        Packet::ConnAck { .. } => 2,
        Packet::Publish(_) => 3,
        Packet::PubAck { .. } => 4,
        Packet::SubAck { .. } => 9,
        Packet::UnsubAck { .. } => 11,
        Packet::PingResp => 13,
        Packet::Disconnect { .. } => 14,
    })
}
