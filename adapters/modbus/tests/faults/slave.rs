//! A slave in bytes: it knows the protocol by heart and nothing of the crate under test.

use adapter_modbus::SerialFraming;

use super::Rng;

/// The checksum bit by bit.
pub(crate) fn crc(bytes: &[u8]) -> [u8; 2] {
    let mut sum = 0xFFFF_u16;
    for byte in bytes {
        sum ^= u16::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0xA001 } else { sum >> 1 };
        }
    }
    [sum as u8, (sum >> 8) as u8]
}

pub(crate) fn with_crc(mut frame: Vec<u8>) -> Vec<u8> {
    let sum = crc(&frame);
    frame.extend(sum);
    frame
}

/// A unit's frame on a serial line.
pub(crate) fn framed(framing: SerialFraming, unit: u8, pdu: &[u8]) -> Vec<u8> {
    let bytes = [&[unit], pdu].concat();
    match framing {
        SerialFraming::Rtu => with_crc(bytes),
        SerialFraming::Ascii => {
            let sum: u32 = bytes.iter().map(|byte| u32::from(*byte)).sum();
            let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            format!(":{hex}{:02X}\r\n", (256 - sum % 256) % 256).into_bytes()
        }
    }
}

/// What a frame of the master carries.
pub(crate) fn carried(framing: SerialFraming, frame: &[u8]) -> Vec<u8> {
    match framing {
        SerialFraming::Rtu => frame[1..frame.len() - 2].to_vec(),
        SerialFraming::Ascii => {
            let digits = &frame[3..frame.len() - 4];
            let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
            pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
        }
    }
}

/// What a unit answers as the `heard`-th request that the line carried.
pub(crate) fn answer(unit: u8, pdu: &[u8], heard: u64, rng: &mut Rng) -> Vec<u8> {
    let number = |at: usize| u16::from(pdu[at]) << 8 | u16::from(pdu[at + 1]);
    let function = pdu[0];
    if rng.within(0, 19) == 0 {
        return vec![function | 0x80, rng.within(1, 11) as u8];
    }
    match function {
        1..=4 => {
            let count = usize::from(number(3));
            let bytes = if function < 3 { count.div_ceil(8) } else { count * 2 };
            let mut content = Rng::new(
                u64::from(unit) << 48
                    | u64::from(function) << 40
                    | u64::from(number(1)) << 24
                    | heard,
            );
            let mut out = vec![function, bytes as u8];
            out.extend((0..bytes).map(|_| content.byte()));
            out
        }
        5 | 6 | 15 | 16 => pdu[..5].to_vec(),
        _ => panic!("the test asks nothing else"),
    }
}

/// An answer of the same function with another number of data bytes, sound in itself.
pub(crate) fn other_length(answer: &[u8], rng: &mut Rng) -> Vec<u8> {
    if answer.len() == 2 {
        return vec![answer[0], answer[1], 0];
    }
    if !(1..=4).contains(&answer[0]) {
        return vec![answer[0] ^ 1 | 1, answer[1], answer[2].wrapping_add(1), 0, 1];
    }
    let bytes = usize::from(answer[1]) + 2 * rng.within(1, 20) as usize;
    let mut out = vec![answer[0], bytes as u8];
    out.extend((0..bytes).map(|_| rng.byte()));
    out
}
