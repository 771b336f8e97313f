//! The protocol of one connection without its socket: bytes and times in, bytes and events out.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::packet::{self, Found, Packet, frame};
use super::timers::{Due, Timers};
use super::window::{LAST, Window};
use super::{
    Closed, Connected, Counters, Event, Filter, Granted, Message, MqttOptions, Properties,
    ProtocolError, Publication, PublishError, Qos, Reason, ReceivedProperties, Version,
};

mod incoming;
mod outgoing;
#[cfg(test)]
mod tests;

/// How many subscriptions may wait for their answer.
const REQUESTS: usize = 64;
/// A buffer that grew beyond this is given back once empty.
const KEPT: usize = 256 * 1024;

/// One connection, from CONNECT to its end.
#[derive(Debug)]
pub(super) struct Machine {
    version: Version,
    client_id: String,
    counters: Arc<Counters>,
    // Outgoing: `sent` of `out` are with the socket.
    out: Vec<u8>,
    sent: usize,
    max_waiting: usize,
    max_packet: usize,
    max_qos: Qos,
    retain_available: bool,
    window: Window,
    // Subscriptions and unsubscriptions that wait for an answer: id and time.
    requests: VecDeque<(u16, i64)>,
    next_request: u16,
    /// Messages may come.
    listens: bool,
    // Whether the caller waits for the buffer to empty.
    flush: Flush,
    // Incoming: `read` of `input` are decoded.
    input: Vec<u8>,
    read: usize,
    max_input: usize,
    receive_maximum: u16,
    /// Received messages that we have not acknowledged.
    owed: BTreeSet<u16>,
    keep_alive: u16,
    session_expiry: u32,
    timers: Timers,
    state: State,
    /// Why the connection ends once all that arrived is decoded.
    ending: Option<Closed>,
}

/// Whether [`Event::Flushed`] is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flush {
    Unwanted,
    Wanted,
    Done,
}

#[derive(Debug)]
enum State {
    Connecting,
    Open,
    Closed(Closed),
}

/// How CONNECT was answered.
#[derive(Debug)]
pub(super) enum Answer {
    Connected(Connected),
    Refused { reason: Reason, words: Option<String>, server: Option<String> },
    Closed(Closed),
}

impl Machine {
    /// A machine whose first bytes out are CONNECT.
    pub(super) fn new(options: &MqttOptions, counters: Arc<Counters>, now: i64) -> Self {
        let keep_alive = packet::seconds16(options.keep_alive);
        let mut out = Vec::with_capacity(4096);
        packet::connect(&mut out, options);
        Self {
            version: options.version,
            client_id: options.client_id.clone(),
            counters,
            out,
            sent: 0,
            max_waiting: options.max_waiting,
            max_packet: packet::LONGEST,
            max_qos: Qos::AtLeastOnce,
            retain_available: true,
            window: Window::new(options.window.max(1)),
            requests: VecDeque::new(),
            next_request: LAST,
            listens: false,
            flush: Flush::Unwanted,
            input: Vec::new(),
            read: 0,
            max_input: usize::try_from(options.max_packet).unwrap_or(usize::MAX),
            receive_maximum: match options.version {
                Version::V311 => u16::MAX,
                Version::V5 => options.receive_window.max(1),
            },
            owed: BTreeSet::new(),
            keep_alive,
            session_expiry: packet::session_expiry(options),
            timers: Timers::new(keep_alive, options.ack_timeout, now),
            state: State::Connecting,
            ending: None,
        }
    }

    /// How many more QoS 1 publications fit into the window.
    pub(super) fn room(&self) -> usize {
        self.window.room()
    }

    /// How many publications the broker has not answered.
    pub(super) fn unacknowledged(&self) -> impl Iterator<Item = u64> {
        self.window.tokens()
    }

    /// Whether only acknowledgements can come, and nobody is in need of them.
    pub(super) fn may_be_lazy(&self) -> bool {
        !self.listens && self.window.room() > 0 && self.requests.is_empty()
    }

    /// When [`tick`](Self::tick) has something to do; `i64::MAX` is never.
    pub(super) fn deadline(&self) -> i64 {
        if matches!(self.state, State::Open) {
            self.timers.deadline(self.oldest())
        } else {
            i64::MAX
        }
    }

    /// Pings or gives up where that is due. To be called only when all that arrived is decoded.
    pub(super) fn tick(&mut self, now: i64) {
        if !matches!(self.state, State::Open) {
            return;
        }
        match self.timers.due(self.oldest(), now) {
            None => {}
            Some(Due::Ping) => {
                packet::ping(&mut self.out);
                self.counters.pings.add(1);
            }
            Some(Due::Close(why)) => self.close(why),
        }
    }

    /// The socket is done; what arrived before is still decoded.
    pub(super) fn end(&mut self, why: Closed) {
        self.ending.get_or_insert(why);
    }

    /// The socket has come to its end in an orderly way.
    pub(super) fn ended(&mut self) {
        self.end(Closed::Ended { client_id: self.client_id.clone() });
    }

    /// Whether [`next`](Self::next) has something to say without another byte.
    pub(super) fn has_event(&self) -> bool {
        self.is_over() || self.flush == Flush::Done
    }

    /// Whether the connection is over or ends when the input is decoded.
    pub(super) fn is_over(&self) -> bool {
        self.ending.is_some() || matches!(self.state, State::Closed(_))
    }

    fn close(&mut self, why: Closed) {
        if !matches!(self.state, State::Closed(_)) {
            self.state = State::Closed(why);
        }
        self.out.clear();
        self.sent = 0;
    }

    fn oldest(&self) -> Option<i64> {
        let request = self.requests.front().map(|(_, at)| *at);
        [self.window.oldest(), request].into_iter().flatten().min()
    }
}
