//! The master of datagrams: they are lost, come twice, late, in another order, cut off, or from a device that errs.

use adapter_modbus::{Exchange, TcpMaster};

use super::slave::{answer, other_length};
use super::{Rng, Tally, request};

const TIMEOUT: i64 = 100_000;

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
            master: TcpMaster::of_datagrams(max_in_flight, 0, 65_000),
            rng: Rng::new(seed),
            coming: Vec::new(),
            truth: Vec::new(),
            tally: Tally::default(),
        }
    }

    fn step(&mut self) {
        let wake = self.master.wake();
        let mut done = Vec::new();
        self.coming.sort_by_key(|(at, _)| *at);
        match self.coming.first() {
            Some((at, _)) if wake.is_none_or(|wake| *at <= wake) => {
                let (at, datagram) = self.coming.remove(0);
                self.now = self.now.max(at);
                let received = self.master.received(self.now, &datagram, &mut done);
                assert!(received.is_ok(), "one bad datagram says nothing about the next");
            }
            _ => {
                self.now = self.now.max(wake.unwrap_or(self.now));
                self.master.tick(self.now, &mut done);
            }
        }
        for completed in done {
            let truth = &self.truth[completed.exchange.token as usize];
            self.tally.judge(&completed, Some(truth));
        }
    }

    fn exchange(&mut self) {
        while self.master.ready_at().is_none() {
            self.step();
        }
        let (unit, request) = (self.rng.within(1, 3) as u8, request(&mut self.rng));
        let token = self.truth.len() as u64;
        let mut sent = Vec::new();
        let exchange = Exchange { token, unit, request, timeout: TIMEOUT };
        self.master.start(self.now, exchange, &mut sent).unwrap();
        let truth = answer(unit, &sent[7..], token, &mut self.rng);
        self.truth.push(truth.clone());
        let frame = |pdu: &[u8]| [&sent[..2], &[0, 0, 0, pdu.len() as u8 + 1, unit], pdu].concat();
        let right = frame(&truth);
        let at = self.now + self.rng.within(100, TIMEOUT / 2);
        let datagrams = match self.rng.within(0, 9) {
            0..=2 => vec![(at, right)],
            3 => vec![],
            4 => vec![(at + TIMEOUT + self.rng.within(0, 3 * TIMEOUT), right)],
            5 => vec![(at, right.clone()), (at + self.rng.within(0, 2 * TIMEOUT), right)],
            6 => {
                let cut = self.rng.within(1, right.len() as i64 - 1) as usize;
                vec![(at, right[..cut].to_vec()), (at + 100, right)]
            }
            7 => vec![(at, frame(&other_length(&truth, &mut self.rng)))],
            8 => {
                let noise = (0..self.rng.within(1, 300)).map(|_| self.rng.byte()).collect();
                vec![(at, noise), (at + 100, right)]
            }
            // Whole frames may share a datagram.
            _ => vec![(at, [right.clone(), right].concat())],
        };
        self.coming.extend(datagrams);
    }
}

#[test]
fn no_wrong_value_out_of_ten_thousand_datagrams() {
    for max_in_flight in [1, 8] {
        let mut line = Line::new(u64::from(max_in_flight), max_in_flight);
        for _ in 0..10_000 {
            line.exchange();
        }
        while line.master.in_flight() > 0 {
            line.step();
        }
        let tally = line.tally;
        assert_eq!(tally.wrong, 0, "{tally:?}");
        assert!(tally.right > 5_000 && tally.failed > 2_000, "{tally:?}");
    }
}
