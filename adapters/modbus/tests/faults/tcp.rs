//! The TCP master.

use adapter_modbus::{Completed, Exchange, TcpMaster};

use super::slave::{answer, other_length};
use super::{Rng, Tally, request};

const TIMEOUT: i64 = 100_000;

/// A connection in virtual time.
struct Line {
    now: i64,
    master: TcpMaster,
    rng: Rng,
    coming: Vec<(i64, Vec<u8>)>,
    /// The true answer of each exchange by its token.
    truth: Vec<Vec<u8>>,
    tally: Tally,
}

impl Line {
    fn new(seed: u64, max_in_flight: u16) -> Self {
        Self {
            now: 0,
            master: TcpMaster::new(max_in_flight, 0, 65_000),
            rng: Rng::new(seed),
            coming: Vec::new(),
            truth: Vec::new(),
            tally: Tally::default(),
        }
    }

    fn judge(&mut self, done: Vec<Completed>) {
        for completed in done {
            let truth = &self.truth[completed.exchange.token as usize];
            self.tally.judge(&completed, Some(truth));
        }
    }

    /// The bytes arrive as one stream: never out of order, in pieces of any size.
    fn send(&mut self, at: i64, bytes: &[u8]) {
        let at = at.max(self.now);
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(self.rng.within(1, rest.len() as i64) as usize);
            self.coming.push((at, piece.to_vec()));
            rest = after;
        }
    }

    fn step(&mut self) {
        let wake = self.master.wake();
        let mut done = Vec::new();
        // Pieces of one frame stay together: a stable sort keeps the order in which they were sent.
        self.coming.sort_by_key(|(at, _)| *at);
        match self.coming.first() {
            Some((at, _)) if wake.is_none_or(|wake| *at <= wake) => {
                let (at, bytes) = self.coming.remove(0);
                self.now = self.now.max(at);
                if self.master.received(self.now, &bytes, &mut done).is_err() {
                    self.reconnect(&mut done);
                }
            }
            _ => {
                self.now = self.now.max(wake.unwrap_or(self.now));
                self.master.tick(self.now, &mut done);
            }
        }
        self.judge(done);
    }

    fn reconnect(&mut self, done: &mut Vec<Completed>) {
        self.master.lost(self.now, done);
        self.coming.clear();
    }

    fn exchange(&mut self, pipelined: bool) {
        while self.master.ready_at().is_none() {
            self.step();
        }
        let (unit, request) = (self.rng.within(1, 3) as u8, request(&mut self.rng));
        let token = self.truth.len() as u64;
        let mut sent = Vec::new();
        let exchange = Exchange { token, unit, request, timeout: TIMEOUT };
        self.master.start(self.now, exchange, &mut sent).unwrap();
        assert_eq!(sent[2..6], [0, 0, 0, (sent.len() - 6) as u8]);
        let truth = answer(unit, &sent[7..], token, &mut self.rng);
        self.truth.push(truth.clone());

        let id = [sent[0], sent[1]];
        let frame = |id: [u8; 2], unit: u8, pdu: &[u8]| {
            [&id[..], &[0, 0, 0, pdu.len() as u8 + 1, unit], pdu].concat()
        };
        let right = frame(id, unit, &truth);
        let at = self.now + self.rng.within(100, TIMEOUT / 2);
        // Where one fault hits all that is under way, faults are rarer.
        let sound = pipelined && self.rng.within(0, 3) > 0;
        match if sound { 0 } else { self.rng.within(0, 14) } {
            0..=3 => self.send(at, &right),
            4 => {}
            // However late: the id is no longer waited for.
            5 | 6 => {
                let at = self.now + TIMEOUT + self.rng.within(0, 3 * TIMEOUT);
                self.send(at, &right);
            }
            7 => {
                self.send(at, &[right.clone(), right].concat());
            }
            // Cut off: a device that stops in the middle of its answer says nothing more before the time is over, or
            // the connection breaks. That it goes on with another answer at once is the remaining risk.
            8 => {
                let cut = self.rng.within(1, right.len() as i64 - 1) as usize;
                self.send(at, &right[..cut]);
                if pipelined {
                    let mut done = Vec::new();
                    self.reconnect(&mut done);
                    self.judge(done);
                } else {
                    let silent = self.now + TIMEOUT + 1;
                    let later = self.coming.iter_mut().filter(|(then, _)| *then > at);
                    later.for_each(|(then, _)| *then = (*then).max(silent));
                }
            }
            // Another transaction's id with another content, before the true answer.
            9 => {
                let near = u16::from_be_bytes(id).wrapping_sub(self.rng.within(1, 300) as u16);
                let other = frame(near.to_be_bytes(), unit, &other_content(&truth, &mut self.rng));
                let ours = self.master.in_flight() > 1;
                self.send(at, &if ours { right } else { [other, right].concat() });
            }
            10 => {
                let other = other_content(&truth, &mut self.rng);
                self.send(at, &frame(id, unit + 1, &other));
            }
            11 => {
                let mut other = other_content(&truth, &mut self.rng);
                other[0] = if other[0] == 3 { 4 } else { 3 };
                self.send(at, &frame(id, unit, &other));
            }
            12 => {
                let other = other_length(&truth, &mut self.rng);
                self.send(at, &frame(id, unit, &other));
            }
            // A flipped bit in protocol id or length, or in the byte count.
            13 => {
                let mut flipped = right;
                let bit = self.rng.within(16, 47) as usize;
                flipped[bit / 8] ^= 1 << (bit % 8);
                self.send(at, &flipped);
            }
            _ => {
                let noise: Vec<u8> =
                    (0..self.rng.within(1, 20)).map(|_| self.rng.byte() | 1).collect();
                self.send(at, &[noise, right].concat());
            }
        }
        if !pipelined {
            while self.master.in_flight() > 0 {
                self.step();
            }
        }
    }
}

fn other_content(truth: &[u8], rng: &mut Rng) -> Vec<u8> {
    let head = if truth[0] < 5 { 2 } else { 5.min(truth.len()) };
    let mut other = truth.to_vec();
    other[head.min(truth.len())..].iter_mut().for_each(|byte| *byte = rng.byte());
    other
}

fn ten_thousand(seed: u64, max_in_flight: u16) -> Tally {
    let mut line = Line::new(seed, max_in_flight);
    for _ in 0..10_000 {
        line.exchange(max_in_flight > 1);
    }
    while line.master.in_flight() > 0 {
        line.step();
    }
    line.tally
}

#[test]
fn no_wrong_value_one_at_a_time() {
    let tally = ten_thousand(1, 1);
    assert_eq!(tally.wrong, 0, "{tally:?}");
    assert!(tally.right > 3_000 && tally.failed > 2_000, "{tally:?}");
}

#[test]
fn no_wrong_value_with_eight_under_way() {
    let tally = ten_thousand(2, 8);
    assert_eq!(tally.wrong, 0, "{tally:?}");
    assert!(tally.right > 2_000 && tally.failed > 2_000, "{tally:?}");
}
