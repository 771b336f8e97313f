//! Little-endian bytes: how numbers and texts are put into a record and taken out again.
//!
//! Taking never panics and never allocates more than the bytes at hand can justify.

use std::sync::Arc;

/// Puts numbers and texts at the end of a record.
pub(crate) trait Put {
    fn put(&mut self, bytes: &[u8]);

    fn put_u8(&mut self, v: u8) {
        self.put(&[v]);
    }

    fn put_bool(&mut self, v: bool) {
        self.put(&[u8::from(v)]);
    }

    fn put_u16(&mut self, v: u16) {
        self.put(&v.to_le_bytes());
    }

    fn put_u32(&mut self, v: u32) {
        self.put(&v.to_le_bytes());
    }

    fn put_u64(&mut self, v: u64) {
        self.put(&v.to_le_bytes());
    }

    fn put_i64(&mut self, v: i64) {
        self.put(&v.to_le_bytes());
    }

    fn put_f64(&mut self, v: f64) {
        self.put(&v.to_bits().to_le_bytes());
    }

    /// Seven bits per byte, low ones first.
    fn put_varint(&mut self, mut v: u64) {
        loop {
            let [low, ..] = v.to_le_bytes();
            v >>= 7;
            if v == 0 {
                return self.put_u8(low & 0x7f);
            }
            self.put_u8(low | 0x80);
        }
    }

    /// A signed number whose small magnitudes are short.
    fn put_zigzag(&mut self, v: i64) {
        self.put_varint((v << 1 ^ v >> 63).cast_unsigned());
    }

    fn put_len(&mut self, n: usize) {
        self.put_varint(n as u64);
    }

    fn put_bytes(&mut self, bytes: &[u8]) {
        self.put_len(bytes.len());
        self.put(bytes);
    }

    fn put_text(&mut self, text: &str) {
        self.put_bytes(text.as_bytes());
    }

    fn put_option<T>(&mut self, option: Option<T>, put: impl FnOnce(&mut Self, T))
    where
        Self: Sized,
    {
        self.put_bool(option.is_some());
        if let Some(it) = option {
            put(self, it);
        }
    }
}

impl Put for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// What is left of a record that is being read. Every method is `None` where the bytes do not suffice or make no sense.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Take<'a>(pub(crate) &'a [u8]);

impl<'a> Take<'a> {
    pub(crate) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(crate) fn id(&mut self) -> Option<[u8; 16]> {
        self.array()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn bool(&mut self) -> Option<bool> {
        self.u8().map(|v| v != 0)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    pub(crate) fn f64(&mut self) -> Option<f64> {
        self.u64().map(f64::from_bits)
    }

    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut v = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            v |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(v);
            }
        }
        None
    }

    pub(crate) fn varint16(&mut self) -> Option<u16> {
        self.varint()?.try_into().ok()
    }

    pub(crate) fn varint32(&mut self) -> Option<u32> {
        self.varint()?.try_into().ok()
    }

    pub(crate) fn zigzag(&mut self) -> Option<i64> {
        let v = self.varint()?;
        Some((v >> 1).cast_signed() ^ -(v & 1).cast_signed())
    }

    /// How many things follow, each of at least one byte: never more than there are bytes left.
    pub(crate) fn len(&mut self) -> Option<usize> {
        usize::try_from(self.varint()?).ok().filter(|n| *n <= self.0.len())
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let n = self.len()?;
        self.take(n)
    }

    pub(crate) fn str(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    pub(crate) fn text(&mut self) -> Option<Arc<str>> {
        self.str().map(Arc::from)
    }

    pub(crate) fn parsed<T: std::str::FromStr>(&mut self) -> Option<T> {
        self.str()?.parse().ok()
    }

    /// An optional thing; the outer `None` means that the bytes make no sense.
    pub(crate) fn option<T>(
        &mut self,
        take: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        if self.bool()? { take(self).map(Some) } else { Some(None) }
    }

    pub(crate) fn list<T>(
        &mut self,
        mut take: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let n = self.len()?;
        (0..n).map(|_| take(self)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(u in any::<u64>(), i in any::<i64>(), text in ".*") {
            let mut bytes = Vec::new();
            bytes.put_varint(u);
            bytes.put_zigzag(i);
            bytes.put_text(&text);
            let mut take = Take(&bytes);
            prop_assert_eq!(take.varint(), Some(u));
            prop_assert_eq!(take.zigzag(), Some(i));
            prop_assert_eq!(take.str(), Some(&*text));
            prop_assert!(take.0.is_empty());
        }
    }

    #[test]
    fn a_length_beyond_the_bytes_is_refused() {
        let mut bytes = Vec::new();
        bytes.put_len(3);
        bytes.put(b"ab");
        assert_eq!(Take(&bytes).bytes(), None);
        assert_eq!(Take(&[0xff; 11]).varint(), None);
    }
}
