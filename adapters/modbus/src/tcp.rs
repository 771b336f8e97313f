//! Modbus TCP and UDP: frames with a transaction id, and the master that matches them. No sockets: bytes and time come
//! in.
//!
//! An answer with an unknown id (late, repeated, foreign) is discarded and the waiting goes on.
//!
//! # What could still be wrong
//!
//! A value is accepted by id, unit, function and byte count; a frame has no checksum of its own. Wrong ones remain where
//! - a bridge to a serial line gives a late serial answer the id of the next request (see [`TcpMaster::must_differ`]);
//! - a device cuts an answer off and at once goes on with another one, which then fills the gap;
//! - an answer comes 65,536 requests late.

use crate::exchange::Owed;
use crate::pdu::MAX_PDU;
use crate::{Completed, Counters, Desync, Exception, Exchange, Failure, Shape, StartError};

/// Transaction id, protocol id, length, unit.
const HEADER: usize = 7;

/// The master of one TCP connection. Make a new one, or call [`TcpMaster::lost`], for each connection.
#[derive(Debug)]
pub struct TcpMaster {
    datagrams: bool,
    max_in_flight: usize,
    pause: i64,
    ready_at: i64,
    next_id: u16,
    buffer: Vec<u8>,
    /// A frame had begun when its time was over; what comes now cannot be told from its rest.
    cut_off: bool,
    waiting: Vec<Waiting>,
    owed: Owed,
    counters: Counters,
}

#[derive(Debug)]
struct Waiting {
    id: u16,
    exchange: Exchange,
    sent: i64,
    deadline: i64,
}

impl TcpMaster {
    /// A master with at most this many requests under way, this many microseconds between an answer and the next
    /// request, and this first transaction id.
    #[must_use]
    pub fn new(max_in_flight: u16, pause: i64, first_id: u16) -> Self {
        Self {
            datagrams: false,
            max_in_flight: usize::from(max_in_flight.max(1)),
            pause,
            ready_at: i64::MIN,
            next_id: first_id,
            buffer: Vec::new(),
            cut_off: false,
            waiting: Vec::new(),
            owed: Owed::default(),
            counters: Counters::default(),
        }
    }

    /// The same for datagrams: what is received at once is one, holds whole frames, and can be lost or come twice.
    /// Nothing is sent again under its old id; whoever asks again gets a new one.
    #[must_use]
    pub fn of_datagrams(max_in_flight: u16, pause: i64, first_id: u16) -> Self {
        Self { datagrams: true, ..Self::new(max_in_flight, pause, first_id) }
    }

    /// From when on a request may start; `None` while as many as allowed are under way.
    #[must_use]
    pub fn ready_at(&self) -> Option<i64> {
        (self.waiting.len() < self.max_in_flight).then_some(self.ready_at)
    }

    /// Begins an exchange: appends to `out` what must be sent now.
    pub fn start(
        &mut self,
        now: i64,
        exchange: Exchange,
        out: &mut Vec<u8>,
    ) -> Result<(), StartError> {
        exchange.request.check()?;
        if now < self.ready_at().ok_or(StartError::Full)? {
            return Err(StartError::NotReady);
        }
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        let frame = out.len();
        out.extend_from_slice(&id.to_be_bytes());
        out.extend_from_slice(&[0, 0, 0, 0, exchange.unit]);
        exchange.request.encode(out);
        let length = u16::try_from(out.len() - frame - HEADER + 1).unwrap_or(u16::MAX);
        for (at, byte) in (frame + 4..).zip(length.to_be_bytes()) {
            if let Some(place) = out.get_mut(at) {
                *place = byte;
            }
        }
        let deadline = now.saturating_add(exchange.timeout);
        self.waiting.push(Waiting { id, exchange, sent: now, deadline });
        self.counters.begun += 1;
        Ok(())
    }

    /// Takes in what has arrived. After a [`Desync`] everything under way has ended and the connection must be closed.
    pub fn received(
        &mut self,
        now: i64,
        bytes: &[u8],
        done: &mut Vec<Completed>,
    ) -> Result<(), Desync> {
        if bytes.is_empty() {
            return Ok(());
        }
        if self.datagrams {
            match frames(bytes) {
                Ok((frames, [])) => frames.into_iter().for_each(|f| self.frame(now, f, done)),
                // It says nothing about the next one.
                _ => self.counters.discarded += 1,
            }
            return Ok(());
        }
        self.buffer.extend_from_slice(bytes);
        let buffer = std::mem::take(&mut self.buffer);
        // Frames are looked at before the first one is believed: a frame that was cut off swallows the next one's
        // head, and what follows then is no frame.
        match frames(&buffer) {
            Ok((frames, rest)) if !self.cut_off => {
                for frame in frames {
                    self.frame(now, frame, done);
                }
                self.buffer = rest.to_vec();
                Ok(())
            }
            result => {
                let desync = result.err().unwrap_or(Desync("a frame was cut off"));
                self.cut_off = false;
                self.end_all(now, Failure::Malformed(desync.0), done);
                Err(desync)
            }
        }
    }

    fn frame(&mut self, now: i64, frame: Frame<'_>, done: &mut Vec<Completed>) {
        let Some(at) = self.waiting.iter().position(|w| w.id == frame.id) else {
            self.counters.discarded += 1;
            return;
        };
        let Waiting { exchange, sent, .. } = self.waiting.remove(at);
        let result = if frame.unit == exchange.unit {
            exchange.request.accept(frame.pdu).map_err(Failure::from)
        } else {
            Err(Failure::Foreign(frame.unit))
        };
        match result {
            // A bridge gave up waiting: the unit behind it still owes the answer.
            Err(Failure::Exception(Exception::NoTarget)) => {
                self.counters.accepted += 1;
                self.owed.add(exchange.unit, exchange.request.shape());
            }
            Err(Failure::Exception(Exception::NoPath)) => self.counters.accepted += 1,
            Ok(_) | Err(Failure::Exception(_)) => {
                let risked = self.owed.settle(exchange.unit, &exchange.request);
                self.counters.accepted += 1;
                self.counters.risked += u64::from(risked);
            }
            Err(_) => {}
        }
        self.ready_at = now.saturating_add(self.pause);
        done.push(Completed { exchange, sent, at: now, result });
    }

    /// Ends what has waited too long. Its answer, should it still come, is discarded by its id.
    pub fn tick(&mut self, now: i64, done: &mut Vec<Completed>) {
        while let Some(at) = self.waiting.iter().position(|w| w.deadline <= now) {
            let Waiting { exchange, sent, .. } = self.waiting.remove(at);
            self.counters.timeouts += 1;
            self.cut_off = !self.buffer.is_empty();
            self.owed.add(exchange.unit, exchange.request.shape());
            self.ready_at = now.saturating_add(self.pause);
            done.push(Completed { exchange, sent, at: now, result: Err(Failure::Timeout) });
        }
    }

    /// When [`TcpMaster::tick`] must be called next.
    #[must_use]
    pub fn wake(&self) -> Option<i64> {
        self.waiting.iter().map(|w| w.deadline).min()
    }

    /// The connection is gone: everything under way ends.
    pub fn lost(&mut self, now: i64, done: &mut Vec<Completed>) {
        self.buffer.clear();
        self.cut_off = false;
        self.end_all(now, Failure::Lost, done);
    }

    fn end_all(&mut self, now: i64, failure: Failure, done: &mut Vec<Completed>) {
        for Waiting { exchange, sent, .. } in self.waiting.drain(..) {
            done.push(Completed { exchange, sent, at: now, result: Err(failure) });
        }
    }

    /// How many requests are under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.waiting.len()
    }

    /// Shapes that the next request to this unit should not have: a bridge to a serial line may still hold a late
    /// answer with one of them and send it under a new id.
    #[must_use]
    pub fn must_differ(&self, unit: u8) -> Vec<Shape> {
        self.owed.of(unit).collect()
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }
}

pub(crate) struct Frame<'a> {
    pub(crate) id: u16,
    pub(crate) unit: u8,
    pub(crate) pdu: &'a [u8],
}

/// Unit and protocol data unit as a frame.
pub(crate) fn encode(id: u16, unit_and_pdu: &[u8]) -> Vec<u8> {
    let length = u16::try_from(unit_and_pdu.len()).unwrap_or(u16::MAX);
    [&id.to_be_bytes(), &[0, 0], &length.to_be_bytes()[..], unit_and_pdu].concat()
}

/// All whole frames, and what follows them.
pub(crate) fn frames(mut bytes: &[u8]) -> Result<(Vec<Frame<'_>>, &[u8]), Desync> {
    let mut frames = Vec::new();
    while let Some((frame, rest)) = split(bytes)? {
        frames.push(frame);
        bytes = rest;
    }
    Ok((frames, bytes))
}

/// The first whole frame and what follows it.
fn split(bytes: &[u8]) -> Result<Option<(Frame<'_>, &[u8])>, Desync> {
    if bytes.get(2).is_some_and(|b| *b != 0) || bytes.get(3).is_some_and(|b| *b != 0) {
        return Err(Desync("the protocol id is not 0; check that this port speaks Modbus TCP"));
    }
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else { return Ok(None) };
    let [id_high, id_low, _, _, high, low, unit] = *header;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if !(2..=MAX_PDU + 1).contains(&length) {
        return Err(Desync("the length is not 2 to 254"));
    }
    let Some((pdu, after)) = rest.split_at_checked(length - 1) else { return Ok(None) };
    Ok(Some((Frame { id: u16::from_be_bytes([id_high, id_low]), unit, pdu }, after)))
}

/// Feeds a master arbitrary bytes, in arbitrary pieces; must never panic.
pub fn fuzz_one(data: &[u8]) {
    fuzz_master(TcpMaster::new(4, 0, 0), data);
    fuzz_master(TcpMaster::of_datagrams(4, 0, 0), data);
}

fn fuzz_master(mut master: TcpMaster, data: &[u8]) {
    let mut done = Vec::new();
    for (now, piece) in (0..).zip(data.chunks(11)) {
        let exchange = Exchange::by_chance(piece[0]);
        // A full master refuses; that is part of the exercise.
        master.start(now, exchange, &mut Vec::new()).ok();
        if master.received(now, piece, &mut done).is_err() {
            master.lost(now, &mut done);
        }
        master.tick(now, &mut done);
    }
}
