//! Modbus RTU and ASCII: frames with a checksum but without any number, and the master that takes no answer for
//! another's.
//!
//! No ports: bytes and time come in. Frames are found by the length that the request leads to expect, not by pauses,
//! which USB adapters do not keep. After a timeout the line is quarantined, so that a late answer is heard by nobody.
//!
//! # What could still be wrong
//!
//! A value is accepted by unit, function, byte count and checksum; a serial frame says no more. Wrong ones remain where
//! - an answer comes later than the quarantine, into a request of the same shape to the same unit: a device whose map
//!   allows no other shape (see [`SerialMaster::must_differ`]; counted as `risked`), or a gateway on the way that lets
//!   the answer of the other shape overtake the one that is still owed;
//! - a device or repeater sends an answer twice, the second time after the silence and into such a request;
//! - a refusal comes that late: it fails another request of its function, but gives no value;
//! - noise turns a frame into another with a right checksum: four or more flipped bits, about one in 65,536 of the
//!   frames damaged so badly; in ASCII two flipped bits suffice, and it is one in some hundred;
//! - two devices have the same unit number, or one answers in the name of another;
//! - the adapter echoes and nobody said so: a single write is then acknowledged by its own copy (its read-back decides).

use std::collections::BTreeMap;

use crate::exchange::Owed;
use crate::serial_frame::{Found, SerialFraming, tells_echo};
use crate::spec::{SerialSpec, Timing};
use crate::{Completed, Counters, Exchange, Failure, Response, Shape, StartError};

/// USB adapters hand over what they have read every 16 ms by default; a pause within a frame may look that long.
const ADAPTER: i64 = 20_000;
/// The longest answer time that is learned, in timeouts of the exchange.
const LONGEST: i64 = 5;
/// What is kept of a babbling line: two frames of the greatest length.
const BUFFER: usize = 2 * SerialFraming::LONGEST;

/// The times of a serial line. All are microseconds unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SerialTimes {
    /// Nanoseconds that one character takes; 0 where nobody knows.
    pub character: i64,
    /// Silence between frames.
    pub silence: i64,
    /// Between the end of one exchange and the next request, beyond the silence.
    pub pause: i64,
    /// After a broadcast, until every unit has carried it out.
    pub turnaround: i64,
}

impl SerialTimes {
    /// The times of a serial line: 3.5 characters of silence, a fixed 1.75 ms above 19200 baud.
    #[must_use]
    pub fn serial(serial: &SerialSpec, timing: &Timing) -> Self {
        let bits = i64::from(serial.bits_per_character());
        let character = bits * 1_000_000_000 / i64::from(serial.baud.max(1));
        // Receivers count 11 bits to a character even where there is no parity bit. Rounded up: half a microsecond
        // less is not 3.5 characters.
        let bits = 35 * 11 * 1_000_000;
        let slow = (bits + 10 * i64::from(serial.baud) - 1) / (10 * i64::from(serial.baud.max(1)));
        let silence = if serial.baud > 19_200 { 1_750 } else { slow };
        let silence = if timing.silence > 0 { timing.silence } else { silence };
        Self { character, silence, pause: timing.pause, turnaround: timing.turnaround }
    }

    /// The times of a serial line behind a TCP connection, whose speed nobody tells.
    #[must_use]
    pub fn over_tcp(timing: &Timing) -> Self {
        let Timing { silence, pause, turnaround, .. } = *timing;
        Self { character: 0, silence, pause, turnaround }
    }

    /// How long this many characters take.
    fn of(self, characters: usize) -> i64 {
        let characters = i64::try_from(characters).unwrap_or(i64::MAX);
        characters.saturating_mul(self.character) / 1_000
    }
}

/// The master of one serial line.
#[derive(Debug)]
pub struct SerialMaster {
    framing: SerialFraming,
    times: SerialTimes,
    echo: bool,
    ready_at: i64,
    quarantined_until: i64,
    waiting: Option<Waiting>,
    /// Per unit, the longest time from request to answer.
    longest: BTreeMap<u8, i64>,
    /// The unit that did not answer last, when it was asked, and how far a late answer can teach.
    late: Option<(u8, i64, i64)>,
    owed: Owed,
    counters: Counters,
}

#[derive(Debug)]
struct Waiting {
    exchange: Exchange,
    frame: Vec<u8>,
    heard: Vec<u8>,
    /// The own request was heard and taken off.
    echoed: bool,
    sent: i64,
    /// The last bit of the request leaves not before this.
    left: i64,
    deadline: i64,
    /// The whole answer came damaged and the line has been silent since.
    damaged: Option<i64>,
}

impl SerialMaster {
    /// The master of a line with these times; `echo` where the adapter hears its own requests.
    ///
    /// A line that was just opened is as unknown as one after a timeout: give `quarantine` microseconds for the
    /// answers that somebody else's requests may still bring.
    #[must_use]
    pub fn new(
        framing: SerialFraming,
        times: SerialTimes,
        echo: bool,
        now: i64,
        quarantine: i64,
    ) -> Self {
        Self {
            framing,
            times,
            echo,
            ready_at: now.saturating_add(times.silence),
            quarantined_until: now.saturating_add(quarantine),
            waiting: None,
            longest: BTreeMap::new(),
            late: None,
            owed: Owed::default(),
            counters: Counters::default(),
        }
    }

    /// From when on a request may start, if the line stays silent; `None` while one is under way.
    #[must_use]
    pub fn ready_at(&self) -> Option<i64> {
        self.waiting.is_none().then_some(self.ready_at.max(self.quarantined_until))
    }

    /// Until when the line is quarantined after the last timeout.
    #[must_use]
    pub fn quarantined_until(&self) -> i64 {
        self.quarantined_until
    }

    /// Begins an exchange: appends to `out` what must be sent now.
    ///
    /// Right before, the driver reads what the kernel holds, gives it to [`SerialMaster::received`], and asks
    /// [`SerialMaster::ready_at`] again: bytes that wait there are no answer to what has not been asked.
    pub fn start(
        &mut self,
        now: i64,
        exchange: Exchange,
        out: &mut Vec<u8>,
    ) -> Result<(), StartError> {
        exchange.request.check()?;
        if exchange.unit == 0 && !exchange.request.is_write() {
            return Err(StartError::Broadcast);
        }
        if now < self.ready_at().ok_or(StartError::Full)? {
            return Err(StartError::NotReady);
        }
        let frame = self.framing.encode(exchange.unit, &exchange.request);
        out.extend_from_slice(&frame);
        let left = now.saturating_add(self.times.of(frame.len()));
        let answer = exchange.timeout
            + self.times.of(self.framing.characters(exchange.request.shape().length));
        let deadline = if exchange.unit == 0 { left } else { left.saturating_add(answer) };
        let heard = Vec::with_capacity(BUFFER);
        self.waiting = Some(Waiting {
            exchange,
            frame,
            heard,
            echoed: false,
            sent: now,
            left,
            deadline,
            damaged: None,
        });
        self.counters.begun += 1;
        Ok(())
    }

    /// Takes in what has arrived.
    pub fn received(&mut self, now: i64, bytes: &[u8], done: &mut Vec<Completed>) {
        if bytes.is_empty() {
            return;
        }
        self.ready_at = self.ready_at.max(now.saturating_add(self.times.silence));
        let Some(waiting) = &mut self.waiting else {
            self.counters.discarded += 1;
            if let Some((unit, sent, most)) = self.late {
                self.learn(unit, (now - sent).min(most));
            }
            return;
        };
        if waiting.exchange.unit == 0 || now < waiting.left && !self.echo {
            // Nothing answers before it has been asked, and nobody answers a broadcast.
            self.counters.discarded += 1;
            return;
        }
        waiting.damaged = None;
        let room = BUFFER.saturating_sub(waiting.heard.len());
        waiting.heard.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        self.look(now, done);
    }

    fn look(&mut self, now: i64, done: &mut Vec<Completed>) {
        let Some(waiting) = &mut self.waiting else { return };
        let Waiting { exchange, frame, heard, echoed, .. } = waiting;
        let own =
            (!*echoed && (self.echo || tells_echo(&exchange.request))).then_some(frame.as_slice());
        match self.framing.find(heard, exchange.unit, &exchange.request, own) {
            Found::Answer(result) => {
                let result = result.map_err(Failure::from);
                self.end(now, result, done);
            }
            Found::Echo(after) => {
                heard.drain(..after);
                *echoed = true;
                self.counters.echoes += 1;
                self.look(now, done);
            }
            Found::Damaged => {
                self.counters.checksums += 1;
                waiting.damaged = Some(now + self.times.silence + ADAPTER);
            }
            Found::Nothing(_) => {}
        }
    }

    /// Ends what has waited too long.
    pub fn tick(&mut self, now: i64, done: &mut Vec<Completed>) {
        let Some(waiting) = &self.waiting else { return };
        if waiting.exchange.unit == 0 && waiting.deadline <= now {
            self.end(now, Ok(Response::Written), done);
        } else if waiting.damaged.is_some_and(|at| at <= now) {
            self.end(now, Err(Failure::Malformed("checksum")), done);
        } else if waiting.deadline <= now {
            let Waiting { heard, exchange, .. } = waiting;
            let failure = match self.framing.find(heard, exchange.unit, &exchange.request, None) {
                Found::Nothing(Some(unit)) => Failure::Foreign(unit),
                _ if heard.is_empty() => Failure::Timeout,
                Found::Damaged => Failure::Malformed("checksum"),
                _ => Failure::Malformed("no whole frame"),
            };
            self.counters.timeouts += 1;
            self.end(now, Err(failure), done);
        }
    }

    fn end(&mut self, now: i64, result: Result<Response, Failure>, done: &mut Vec<Completed>) {
        let Some(Waiting { exchange, sent, left, damaged, .. }) = self.waiting.take() else {
            return;
        };
        self.ready_at = self.ready_at.max(now.saturating_add(self.times.silence));
        let unit = exchange.unit;
        match &result {
            Ok(_) if unit == 0 => {
                self.ready_at = self.ready_at.max(left.saturating_add(self.times.turnaround));
            }
            Ok(_) | Err(Failure::Exception(_)) => {
                self.counters.accepted += 1;
                self.counters.risked += u64::from(self.owed.settle(unit, &exchange.request));
                self.learn(unit, now - sent);
                if self.late.is_some_and(|(late, ..)| late == unit) {
                    self.late = None;
                }
            }
            Err(_) => {
                // Where the answer has come, only damaged, nothing more is expected than its like.
                let at_least = if damaged.is_some() { now - sent } else { exchange.timeout };
                let longest = self.longest.get(&unit).copied().unwrap_or(0);
                let quarantine = longest.saturating_mul(2).max(at_least);
                self.quarantined_until = self.quarantined_until.max(now.saturating_add(quarantine));
                self.owed.add(unit, exchange.request.shape());
                self.late = Some((unit, sent, exchange.timeout.saturating_mul(LONGEST)));
            }
        }
        self.ready_at = self.ready_at.saturating_add(self.times.pause);
        done.push(Completed { exchange, sent, at: now, result });
    }

    fn learn(&mut self, unit: u8, time: i64) {
        let longest = self.longest.entry(unit).or_default();
        *longest = (*longest).max(time);
    }

    /// When [`SerialMaster::tick`] must be called next.
    #[must_use]
    pub fn wake(&self) -> Option<i64> {
        let waiting = self.waiting.as_ref()?;
        Some(waiting.damaged.unwrap_or(i64::MAX).min(waiting.deadline))
    }

    /// The port is gone: what is under way ends, and the line is quarantined as after a timeout.
    pub fn lost(&mut self, now: i64, done: &mut Vec<Completed>) {
        self.end(now, Err(Failure::Lost), done);
    }

    /// How many requests are under way: 0 or 1.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        usize::from(self.waiting.is_some())
    }

    /// Shapes that the next request to this unit should not have, where its map allows another: an answer with one
    /// of them is still owed and may come even after the quarantine.
    #[must_use]
    pub fn must_differ(&self, unit: u8) -> Vec<Shape> {
        self.owed.of(unit).collect()
    }

    /// The longest time from request to answer that this unit was seen to need.
    #[must_use]
    pub fn longest_answer(&self, unit: u8) -> Option<i64> {
        self.longest.get(&unit).copied()
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }
}

/// Feeds a master arbitrary bytes, in arbitrary pieces; must never panic.
pub fn fuzz_one(data: &[u8]) {
    let times = SerialTimes { character: 0, silence: 1, pause: 0, turnaround: 2 };
    for framing in [SerialFraming::Rtu, SerialFraming::Ascii] {
        fuzz_framing(framing, times, data);
    }
}

fn fuzz_framing(framing: SerialFraming, times: SerialTimes, data: &[u8]) {
    let mut master = SerialMaster::new(framing, times, data.len() % 2 == 1, 0, 0);
    let mut done = Vec::new();
    for (now, piece) in (1..).zip(data.chunks(13)) {
        let exchange = Exchange::by_chance(piece[0]);
        // A busy or quarantined master refuses; that is part of the exercise.
        master.start(now, exchange, &mut Vec::new()).ok();
        master.received(now, piece, &mut done);
        master.tick(now, &mut done);
    }
}
