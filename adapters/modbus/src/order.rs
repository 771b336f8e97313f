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
        Self { len: if len > 8 { 8 } else { len }, place: [0, 1, 2, 3, 4, 5, 6, 7] }
    }

    /// How many bytes the value has.
    #[must_use]
    pub fn width(self) -> u8 {
        self.len
    }

    /// The value that these bytes on the wire are; missing bytes count as 0.
    #[must_use]
    pub fn read(self, wire: &[u8]) -> u64 {
        if self == Self::big(self.len) {
            let bytes = wire.iter().take(usize::from(self.len));
            return bytes.fold(0, |value, byte| value << 8 | u64::from(*byte));
        }
        let shift = |place: u8| u32::from(self.len - 1 - place) * 8;
        let placed = wire.iter().zip(self.place).take(usize::from(self.len));
        placed.fold(0, |value, (byte, place)| value | u64::from(*byte) << shift(place))
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
