//! Hostile bytes never panic: every decoder's `fuzz_one` under a deterministic mutation loop and under proptest.

use adapter_modbus::{codec, pdu, pdu_raw, probe, serial_master, serving, sunspec, tap, tcp};
use proptest::prelude::*;

const SEEDS: [&[u8]; 8] = [
    b":01030400010002F5\r\n:018302",
    &[0, 0x6B, 3, 0x03, 0x06, 0x02, 0x2B, 0x00, 0x00, 0x00, 0x64],
    &[0, 0x13, 19, 0x01, 0x03, 0xCD, 0x6B, 0x05],
    &[0, 1, 2, 0x10, 0x00, 0x01, 0x00, 0x02],
    &[0, 1, 0, 0, 0, 7, 1, 3, 4, 0, 1, 0, 2, 0, 2, 0, 0, 0, 3, 1, 0x83, 2],
    &[0x11, 0x03, 0x06, 0xAE, 0x41, 0x56, 0x52, 0x43, 0x40, 0x49, 0xAD],
    &[12, 0, 0, 0, 0x00, 0x10, 0x04, 0x19, 0x0E, 0x25, 0x14, 0x82],
    &[10, 1, 32, 4, b'P', b'M', b'5', b'5', b'6', b'0', 0, 0],
];

fn all(data: &[u8]) {
    pdu::fuzz_one(data);
    tcp::fuzz_one(data);
    serial_master::fuzz_one(data);
    codec::fuzz_one(data);
    sunspec::fuzz_one(data);
    pdu_raw::fuzz_one(data);
    tap::fuzz_one(data);
    serving::fuzz_one(data);
    probe::fuzz_one(data);
}

#[test]
fn mutated_seeds() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap_or(0)
    };
    for round in 0..40_000 {
        let mut data = SEEDS[round % SEEDS.len()].to_vec();
        for _ in 0..random() % 6 + 1 {
            let at = random() % (data.len() + 1);
            match random() % 5 {
                0 => data.insert(at, random() as u8),
                1 => data.truncate(at),
                2 => data.extend_from_slice(SEEDS[random() % SEEDS.len()]),
                _ => {
                    if let Some(byte) = data.get_mut(at) {
                        *byte ^= 1 << (random() % 8);
                    }
                }
            }
        }
        all(&data);
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes(data in proptest::collection::vec(any::<u8>(), 0..300)) {
        all(&data);
    }
}
