//! The serial master with either framing.

use adapter_modbus::{
    Completed, Exchange, Request, SerialFraming, SerialMaster, SerialTimes, Table,
};

use super::slave::{answer, carried, framed, other_length};
use super::{Rng, Tally, request};

const TIMEOUT: i64 = 100_000;
/// 19200 baud with 11 bits: one character and 3.5 of them.
const TIMES: SerialTimes =
    SerialTimes { character: 572_917, silence: 2_006, pause: 0, turnaround: 100_000 };

/// A line in virtual time: bytes on their way to the master, and what the slaves truly said.
struct Line {
    framing: SerialFraming,
    now: i64,
    master: SerialMaster,
    rng: Rng,
    coming: Vec<(i64, Vec<u8>)>,
    heard: u64,
    /// The longest answer that each unit gave.
    longest: [i64; 5],
    tally: Tally,
    done: Vec<Completed>,
}

/// Which requests may follow a timeout.
#[derive(Clone, Copy, PartialEq)]
enum Next {
    /// Any but those whose answer looks like one still owed; answers may then be late without bound.
    Other,
    /// Always the same, as with a device that has one register: only the quarantine protects.
    Same,
}

impl Line {
    fn new(framing: SerialFraming, seed: u64, echo: bool) -> Self {
        Self {
            framing,
            now: 0,
            master: SerialMaster::new(framing, TIMES, echo, 0, 0),
            rng: Rng::new(seed),
            coming: Vec::new(),
            heard: 0,
            longest: [0; 5],
            tally: Tally::default(),
            done: Vec::new(),
        }
    }

    /// Bytes that are heard from `at` on, in pieces with pauses shorter than the silence between frames. A piece is
    /// handed over before a request that began with it would have left: what comes later is the remaining risk.
    fn send(&mut self, mut at: i64, bytes: &[u8]) -> i64 {
        let mut rest = bytes;
        while !rest.is_empty() {
            let most = match self.framing {
                SerialFraming::Rtu => rest.len(),
                SerialFraming::Ascii => rest.len().min(9),
            };
            let (piece, after) = rest.split_at(self.rng.within(1, most as i64) as usize);
            at += piece.len() as i64 * 573 + self.rng.within(0, 1_400);
            self.coming.push((at, piece.to_vec()));
            rest = after;
        }
        self.coming.sort_by_key(|(at, _)| *at);
        at
    }

    /// Lets time pass until `until`, or until an exchange ends.
    fn run(&mut self, until: i64) {
        while self.done.is_empty() {
            let wake = self.master.wake().unwrap_or(i64::MAX).min(until);
            if self.coming.first().is_some_and(|(at, _)| *at <= wake) {
                let (at, bytes) = self.coming.remove(0);
                self.now = self.now.max(at);
                self.master.received(self.now, &bytes, &mut self.done);
            } else {
                self.now = self.now.max(wake);
                if wake == until && self.master.wake() != Some(until) {
                    return;
                }
                self.master.tick(self.now, &mut self.done);
            }
        }
    }

    fn ready(&mut self) {
        while let Some(at) = self.master.ready_at().filter(|at| *at > self.now) {
            self.run(at);
        }
        // What the port still holds is drained before a request leaves.
        while self.coming.first().is_some_and(|(at, _)| *at <= self.now) {
            let (_, bytes) = self.coming.remove(0);
            self.master.received(self.now, &bytes, &mut self.done);
            self.ready();
        }
    }

    /// One exchange with one fault.
    fn exchange(&mut self, next: Next, echo: bool) {
        self.ready();
        let unit = if next == Next::Same { 1 } else { self.rng.within(1, 3) as u8 };
        let owed = self.master.must_differ(unit);
        let request = match next {
            Next::Same => Request::Read { table: Table::Holding, start: 7, count: 2 },
            Next::Other => std::iter::repeat_with(|| request(&mut self.rng))
                .find(|request| !owed.contains(&request.shape()))
                .unwrap(),
        };
        let mut sent = Vec::new();
        let exchange =
            Exchange { token: self.heard, unit, request: request.clone(), timeout: TIMEOUT };
        self.master.start(self.now, exchange, &mut sent).unwrap();
        let left = self.now + sent.len() as i64 * 573;
        if echo {
            self.send(self.now, &sent);
        }

        self.heard += 1;
        let asked = carried(self.framing, &sent);
        let truth = answer(unit, &asked, self.heard, &mut self.rng);
        let framing = self.framing;
        let frame = framed(framing, unit, &truth);
        let begins = left + TIMES.silence + self.rng.within(0, TIMEOUT / 2);
        let fault = self.rng.within(0, 17);
        let mut late = None;
        match fault {
            0..=2 => {
                self.send(begins, &frame);
            }
            // Silence: the answer is lost, or late.
            3 => {}
            4..=6 => late = Some(frame),
            7 => {
                let cut = self.rng.within(1, frame.len() as i64 - 1) as usize;
                self.send(begins, &frame[..cut]);
            }
            8 => {
                let ends = self.send(begins, &frame);
                self.send(ends, &frame);
            }
            // The answer of another unit, alone or before the true one.
            9 => {
                let other = answer(unit + 1, &asked, self.heard, &mut self.rng);
                let ends = self.send(begins, &framed(framing, unit + 1, &other));
                if self.rng.byte() & 1 == 1 {
                    self.send(ends + TIMES.silence, &frame);
                }
            }
            10 => {
                let mut other = truth.clone();
                other[0] = self.rng.within(1, 6) as u8;
                if other[0] != truth[0] {
                    self.send(begins, &framed(framing, unit, &other));
                }
            }
            // Flipped bits, wherever they are: the CRC finds every pattern of up to three, the LRC every single one.
            11 | 12 => {
                let mut flipped = frame.clone();
                let most = if framing == SerialFraming::Rtu { 3 } else { 1 };
                for _ in 0..self.rng.within(1, most) {
                    let bit = self.rng.within(0, frame.len() as i64 * 8 - 1) as usize;
                    flipped[bit / 8] ^= 1 << (bit % 8);
                }
                if flipped != frame {
                    self.send(begins, &flipped);
                }
            }
            13 => {
                let noise: Vec<u8> = (0..self.rng.within(1, 20)).map(|_| self.rng.byte()).collect();
                let ends = self.send(begins, &noise);
                self.send(ends, &frame);
            }
            14 => {
                let ends = self.send(begins, &frame);
                let noise: Vec<u8> = (0..self.rng.within(1, 20)).map(|_| self.rng.byte()).collect();
                self.send(ends, &noise);
            }
            // Sound frames of other lengths, alone or around the true one.
            15 | 16 => {
                let other = framed(framing, unit, &other_length(&truth, &mut self.rng));
                let swapped = [&other[..], &frame].concat();
                let alone = self.rng.byte() & 1 == 1;
                self.send(begins, if alone { &other } else { &swapped });
            }
            _ => {
                // The own request comes back where nobody said that it would; single writes cannot tell.
                if matches!(request, Request::Read { .. }) {
                    self.send(left, &sent);
                    self.send(begins.max(left + 20_000), &frame);
                }
            }
        }
        self.run(i64::MAX);
        let completed = self.done.pop().unwrap();
        assert!(self.done.is_empty());
        self.tally.judge(&completed, Some(&truth));
        let longest = &mut self.longest[usize::from(unit)];
        if completed.result.is_ok() {
            *longest = (*longest).max(completed.at - completed.sent);
        }
        if let Some(frame) = late {
            // What is promised: twice the longest answer time seen, at least the timeout.
            let quarantined = self.now + TIMEOUT.max(2 * *longest);
            let unbounded = next == Next::Other && self.rng.byte() & 1 == 1;
            let length = frame.len() as i64 * 2_000;
            let last = if unbounded { self.now + 10 * TIMEOUT } else { quarantined - length };
            let at = self.rng.within(self.now, last.max(self.now));
            let ends = self.send(at, &frame);
            if unbounded {
                // A slave does one thing after the other: what it is asked meanwhile it answers after this.
                self.wait_for_answer_after(ends, unit, request);
            }
        }
    }

    /// The unit is busy until `ends`; it is asked again before, the same if the master does not object.
    fn wait_for_answer_after(&mut self, ends: i64, unit: u8, same: Request) {
        self.ready();
        let owed = self.master.must_differ(unit);
        let others = std::iter::repeat_with(|| request(&mut self.rng));
        let request = std::iter::once(same).chain(others);
        let request = request.into_iter().find(|r| !owed.contains(&r.shape())).unwrap();
        let mut sent = Vec::new();
        let exchange = Exchange { token: self.heard, unit, request, timeout: 20 * TIMEOUT };
        self.master.start(self.now, exchange, &mut sent).unwrap();
        self.heard += 1;
        let asked = carried(self.framing, &sent);
        let truth = answer(unit, &asked, self.heard, &mut self.rng);
        let begins = ends.max(self.now) + 10_000;
        self.send(begins, &framed(self.framing, unit, &truth));
        self.run(i64::MAX);
        let completed = self.done.pop().unwrap();
        self.tally.judge(&completed, Some(&truth));
    }
}

/// Two hundred lines, each with a master that has learned nothing yet, fifty exchanges on each.
fn ten_thousand(framing: SerialFraming, seed: u64, next: Next, echo: bool) -> Tally {
    let mut tally = Tally::default();
    for round in 0..200 {
        let mut line = Line::new(framing, seed * 1_000 + round, echo);
        line.tally = tally;
        for _ in 0..50 {
            line.exchange(next, echo);
        }
        tally = line.tally;
    }
    tally
}

#[test]
fn no_wrong_value_with_other_shapes_after_a_timeout() {
    for framing in [SerialFraming::Rtu, SerialFraming::Ascii] {
        let tally = ten_thousand(framing, 1, Next::Other, false);
        assert_eq!(tally.wrong, 0, "{framing:?}: {tally:?}");
        assert!(tally.right > 4_000 && tally.failed > 2_000 && tally.refused > 100, "{tally:?}");
    }
}

#[test]
fn no_wrong_value_by_the_quarantine_alone() {
    for framing in [SerialFraming::Rtu, SerialFraming::Ascii] {
        let tally = ten_thousand(framing, 2, Next::Same, false);
        assert_eq!(tally.wrong, 0, "{framing:?}: {tally:?}");
        assert!(tally.right > 4_000 && tally.failed > 2_000, "{tally:?}");
    }
}

#[test]
fn no_wrong_value_on_a_line_that_echoes() {
    for framing in [SerialFraming::Rtu, SerialFraming::Ascii] {
        let tally = ten_thousand(framing, 3, Next::Other, true);
        assert_eq!(tally.wrong, 0, "{framing:?}: {tally:?}");
        assert!(tally.right > 3_000 && tally.failed > 2_000, "{tally:?}");
    }
}
