//! The order in which the bytes of a value travel, written as letters.

use std::fmt;
use std::str::FromStr;

/// The order of a value's bytes on the wire: `A` is the most significant byte, letters stand as bytes appear.
///
/// `ABCD` is big-endian, `CDAB` sends the low register first, `BADC` swaps the bytes within each register.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Order {
    len: u8,
    /// For each byte on the wire its place in the value, 0 = most significant.
    place: [u8; 8],
    how: How,
}

/// The orders that devices really have, for the hot path, and all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum How {
    /// `ABCD`.
    Plain,
    /// `BADC`.
    Bytes,
    /// `CDAB`.
    Words,
    /// `DCBA`.
    Both,
    Other,
}

/// The bytes of each register swapped.
fn pairs(value: u64) -> u64 {
    const LOW: u64 = 0x00FF_00FF_00FF_00FF;
    (value & LOW) << 8 | value >> 8 & LOW
}

/// Why letters are no byte order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no byte order: write each of the letters A to H that the value has once, as its bytes appear on the wire (A is the most significant), such as \"ABCD\" or \"CDAB\""
)]
pub struct OrderError(String);

impl Order {
    /// Most significant byte first, for a value of this many bytes (at most 8).
    #[must_use]
    pub const fn big(len: u8) -> Self {
        Self {
            len: if len > 8 { 8 } else { len },
            place: [0, 1, 2, 3, 4, 5, 6, 7],
            how: How::Plain,
        }
    }

    fn how(self) -> How {
        let is = |place: fn(u8, u8) -> u8| {
            let places = (0..self.len).map(|at| place(at, self.len));
            self.len.is_multiple_of(2)
                && places.eq(self.place.into_iter().take(usize::from(self.len)))
        };
        if is(|at, _| at) {
            How::Plain
        } else if is(|at, _| at ^ 1) {
            How::Bytes
        } else if is(|at, len| (len - 1 - at) ^ 1) {
            How::Words
        } else if is(|at, len| len - 1 - at) {
            How::Both
        } else {
            How::Other
        }
    }

    /// How many bytes the value has.
    #[must_use]
    pub fn width(self) -> u8 {
        self.len
    }

    /// The value that these bytes on the wire are; missing bytes count as 0.
    #[must_use]
    pub fn read(self, wire: &[u8]) -> u64 {
        let plain = match *wire {
            [a, b] => u64::from(u16::from_be_bytes([a, b])),
            [a, b, c, d] => u64::from(u32::from_be_bytes([a, b, c, d])),
            _ => wire.iter().take(8).fold(0, |value, byte| value << 8 | u64::from(*byte)),
        };
        let spare = 64 - 8 * u32::from(self.len);
        match self.how {
            How::Plain => plain,
            How::Bytes => pairs(plain),
            How::Words => pairs(plain.swap_bytes() >> spare),
            How::Both => plain.swap_bytes() >> spare,
            How::Other => {
                let mut bytes = [0; 8];
                for (byte, place) in wire.iter().zip(self.place).take(usize::from(self.len)) {
                    if let Some(place) = bytes.get_mut(usize::from(place)) {
                        *place = *byte;
                    }
                }
                u64::from_be_bytes(bytes) >> spare
            }
        }
    }

    /// Appends the bytes of the value as they travel.
    pub fn write(self, value: u64, wire: &mut Vec<u8>) {
        let big = value.to_be_bytes();
        let first = 8 - usize::from(self.len);
        for place in self.place.iter().take(usize::from(self.len)) {
            wire.push(big.get(first + usize::from(*place)).copied().unwrap_or(0));
        }
    }
}

impl FromStr for Order {
    type Err = OrderError;

    fn from_str(text: &str) -> Result<Self, OrderError> {
        let error = || OrderError(text.into());
        let len = u8::try_from(text.len()).ok().filter(|len| matches!(len, 1..=8));
        let mut order = Self::big(len.ok_or_else(error)?);
        let mut seen = 0u8;
        for (place, letter) in order.place.iter_mut().zip(text.bytes()) {
            let at = letter.checked_sub(b'A').filter(|at| *at < order.len).ok_or_else(error)?;
            *place = at;
            seen |= 1 << at;
        }
        order.how = order.how();
        if seen.count_ones() == u32::from(order.len) { Ok(order) } else { Err(error()) }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = self.place.iter().take(usize::from(self.len));
        letters.map(|place| char::from(b'A' + place)).try_for_each(|c| write!(f, "{c}"))
    }
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_stand_as_bytes_appear() {
        for (letters, wire) in [
            ("ABCD", [0x11, 0x22, 0x33, 0x44]),
            ("CDAB", [0x33, 0x44, 0x11, 0x22]),
            ("BADC", [0x22, 0x11, 0x44, 0x33]),
            ("DCBA", [0x44, 0x33, 0x22, 0x11]),
        ] {
            let order: Order = letters.parse().unwrap();
            assert_eq!(order.read(&wire), 0x1122_3344, "{letters}");
            let mut out = Vec::new();
            order.write(0x1122_3344, &mut out);
            assert_eq!(out, wire, "{letters}");
            assert_eq!(order.to_string(), letters);
        }
    }

    #[test]
    fn eight_letters_and_less() {
        let order: Order = "GHEFCDAB".parse().unwrap();
        assert_eq!(order.read(&[7, 8, 5, 6, 3, 4, 1, 2]), 0x0102_0304_0506_0708);
        assert_eq!("BA".parse::<Order>().unwrap().read(&[0x34, 0x12]), 0x1234);
    }

    #[test]
    fn what_is_no_order_is_refused() {
        for letters in ["", "AA", "AC", "ABCDEFGHI", "abcd", "1234", "B"] {
            assert!(letters.parse::<Order>().is_err(), "{letters}");
        }
    }
}
