//! Ten thousand faulty exchanges against each master, in virtual time, with slaves that share nothing with the codec:
//! no wrong value is ever accepted.
//!
//! Every answer depends on how many requests the slave has heard before, so that a stale answer to an equal request
//! is as wrong as an answer of another unit.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod serial;
mod slave;
mod tcp;
mod udp;

use adapter_modbus::{Completed, Request, Response, Table};

/// A small random generator, so that every run is the same.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }

    /// From `low` to `high`, both included.
    pub(crate) fn within(&mut self, low: i64, high: i64) -> i64 {
        low + (self.next() % ((high - low).max(0) as u64 + 1)) as i64
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.next() as u8
    }
}

/// A request of one of three kinds: registers, bits, a write.
pub(crate) fn request(rng: &mut Rng) -> Request {
    let start = rng.within(0, 2_000) as u16;
    match rng.within(0, 9) {
        0 => Request::WriteRegister { number: start, value: rng.next() as u16 },
        1 => {
            let values = (0..rng.within(2, 20)).map(|_| rng.next() as u16).collect();
            Request::WriteRegisters { start, values }
        }
        2 => Request::WriteCoil { number: start, on: rng.byte() & 1 == 1 },
        3 => Request::Read { table: Table::Coil, start, count: rng.within(40, 200) as u16 },
        4 => Request::Read { table: Table::Discrete, start, count: rng.within(40, 200) as u16 },
        5 => Request::Read { table: Table::Input, start, count: rng.within(2, 40) as u16 },
        _ => Request::Read { table: Table::Holding, start, count: rng.within(2, 40) as u16 },
    }
}

/// What became of all exchanges.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) right: u32,
    pub(crate) refused: u32,
    pub(crate) failed: u32,
    pub(crate) wrong: u32,
    /// The first wrong one.
    pub(crate) example: Option<String>,
}

impl Tally {
    /// Compares an exchange with what the slave truly said to it; `truth` is the answer's protocol data unit.
    pub(crate) fn judge(&mut self, completed: &Completed, truth: Option<&[u8]>) {
        use adapter_modbus::Failure;
        match (&completed.result, truth) {
            (Ok(Response::Registers(bytes) | Response::Bits(bytes)), Some(truth))
                if truth[0] < 0x80 && truth[2..] == **bytes =>
            {
                self.right += 1;
            }
            (Ok(Response::Written), Some(truth)) if truth[0] < 0x80 => self.right += 1,
            (Err(Failure::Exception(code)), Some(truth))
                if truth == [truth[0] | 0x80, code.code()] =>
            {
                self.refused += 1;
            }
            (Ok(_), _) => {
                let words = || format!("{completed:?} instead of {truth:?}");
                self.example.get_or_insert_with(words);
                self.wrong += 1;
            }
            (Err(_), _) => self.failed += 1,
        }
    }
}
