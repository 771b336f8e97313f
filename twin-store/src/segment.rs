//! Segments: files of frames with growing sequence numbers, zero-filled ahead and sealed with a footer.
//!
//! ```text
//! header, 64 bytes: magic 8 · version u16 · family u8 · zero u8 · epoch u32 · id u64 · base seq u64 · zeros · crc u32
//! frames …
//! sealed: footer frame (kind 255) · its offset u64 · crc u32 of that offset · magic 4; the file ends here
//! open: zeros up to the capacity
//! ```
//! The id is random and seeds every frame's CRC. A frame whose sequence number does not grow ends the segment.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use twin::Seq;

use crate::codec::{Put, Take};
use crate::footer::Footer;
use crate::frame::Class;

/// Bytes before the first frame.
pub(crate) const HEADER: u64 = 64;
const HEADER_LEN: usize = 64;
/// Bytes after the footer frame.
pub(crate) const TRAILER: usize = 16;
pub(crate) const MAGIC: &[u8; 8] = b"TWINLOG\n";
const END_MAGIC: &[u8; 4] = b"SEAL";
/// The format in which this version writes segments.
pub const FORMAT: u16 = 1;

/// The families of segments: each has its own files and budgets, all share one sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Readings, envelopes, heartbeats.
    Samples = 0,
    /// Everything else that happens to twins and the gateway, and lane positions.
    Records = 1,
    /// What applications keep.
    Application = 2,
}

impl Family {
    /// All of them, in the order in which they are made durable: what a record tells of is on disk before it.
    pub const ALL: [Self; 3] = [Self::Samples, Self::Records, Self::Application];

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|family| *family as u8 == code)
    }

    /// The family's place in arrays.
    pub(crate) fn at(self) -> usize {
        self as usize
    }

    /// The word used in file names and metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Samples => "samples",
            Self::Records => "records",
            Self::Application => "application",
        }
    }

    /// Where commits of this class lie.
    pub(crate) fn of(class: Class) -> Self {
        match class {
            Class::Sample => Self::Samples,
            Class::Alarm | Class::Record => Self::Records,
        }
    }
}

/// What the first 64 bytes of a segment say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) family: Family,
    pub(crate) epoch: u32,
    pub(crate) id: u64,
    /// No frame has a lower sequence number.
    pub(crate) base: Seq,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_LEN);
        out.put(MAGIC);
        out.put_u16(FORMAT);
        out.put_u8(self.family as u8);
        out.put_u8(0);
        out.put_u32(self.epoch);
        out.put_u64(self.id);
        out.put_u64(self.base.0);
        out.resize(HEADER_LEN - 4, 0);
        out.put_u32(crc32fast::hash(&out));
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..HEADER_LEN)?;
        let (head, crc) = bytes.split_at(HEADER_LEN - 4);
        let crc = Take(crc).u32()?;
        let mut take = Take(head);
        let known = take.take(8)? == MAGIC && take.u16()? == FORMAT;
        if !known || crc32fast::hash(head) != crc {
            return None;
        }
        let family = Family::from_code(take.u8()?)?;
        take.u8()?;
        Some(Self { family, epoch: take.u32()?, id: take.u64()?, base: Seq(take.u64()?) })
    }

    /// The epoch that stands in a header, whether it is good or not.
    pub(crate) fn epoch_in(bytes: &[u8]) -> Option<u32> {
        Take(bytes.get(12..HEADER_LEN)?).u32()
    }

    /// The version that a header of a later format gives; none where one of ours has a flipped bit there.
    pub(crate) fn newer(bytes: &[u8]) -> Option<u16> {
        let mut ours = bytes.get(..HEADER_LEN)?.to_vec();
        let mut take = Take(bytes);
        let version = if take.take(8)? == MAGIC { take.u16()? } else { return None };
        ours.get_mut(8..10)?.copy_from_slice(&FORMAT.to_le_bytes());
        (version > FORMAT && Self::decode(&ours).is_none()).then_some(version)
    }

    pub(crate) fn file_name(&self) -> String {
        format!("{}-{:016x}-{:016x}.seg", self.family.word(), self.base.0, self.id)
    }
}

/// The bytes that follow a footer frame which begins at `offset`.
pub(crate) fn trailer(id: u64, offset: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(TRAILER);
    out.put_u64(offset);
    let crc = crc32fast::hash(&out) ^ u32::try_from(id >> 32).unwrap_or(0);
    out.put_u32(crc);
    out.put(END_MAGIC);
    out
}

/// Where the footer frame begins, if these last bytes of a file are a trailer of this segment.
pub(crate) fn footer_offset(id: u64, bytes: &[u8]) -> Option<u64> {
    let mut take = Take(bytes.get(bytes.len().checked_sub(TRAILER)?..)?);
    let offset = take.u64()?;
    (trailer(id, offset) == bytes.get(bytes.len() - TRAILER..)?).then_some(offset)
}

/// A segment as everybody in the process knows it; only the writer moves its end.
pub(crate) struct Segment {
    pub(crate) header: SegmentHeader,
    pub(crate) name: String,
    /// The offset after the last frame that may be read.
    end: AtomicU64,
    /// The last sequence number in it; 0 while it is empty.
    last: AtomicU64,
    /// Bytes that the file takes.
    size: AtomicU64,
    footer: OnceLock<Footer>,
    /// Another segment has taken its place: lanes read that one from now on.
    left: AtomicBool,
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (to seq {}, {} B)", self.name, self.last().0, self.end())
    }
}

impl Segment {
    pub(crate) fn new(header: SegmentHeader, size: u64) -> Self {
        Self {
            name: header.file_name(),
            header,
            end: AtomicU64::new(HEADER),
            last: AtomicU64::new(0),
            size: AtomicU64::new(size),
            footer: OnceLock::new(),
            left: AtomicBool::new(false),
        }
    }

    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    pub(crate) fn last(&self) -> Seq {
        Seq(self.last.load(Ordering::Acquire))
    }

    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }

    /// Frames up to this one may be read.
    pub(crate) fn grow(&self, end: u64, last: Seq) {
        // Whoever sees `last` sees an end that includes it.
        self.end.store(end, Ordering::Release);
        self.last.store(last.0, Ordering::Release);
    }

    pub(crate) fn resize(&self, size: u64) {
        self.size.store(size, Ordering::Relaxed);
    }

    pub(crate) fn footer(&self) -> Option<&Footer> {
        self.footer.get()
    }

    pub(crate) fn leave(&self) {
        self.left.store(true, Ordering::Release);
    }

    pub(crate) fn has_left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }

    pub(crate) fn sealed(&self, footer: Footer, size: u64) {
        self.resize(size);
        self.footer.set(footer).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back_and_no_bit_may_flip() {
        let header =
            SegmentHeader { family: Family::Records, epoch: 3, id: 0xfeed_beef, base: Seq(77) };
        let mut bytes = header.encode();
        assert_eq!(bytes.len(), HEADER_LEN);
        assert_eq!(SegmentHeader::decode(&bytes), Some(header));
        for bit in 0..HEADER_LEN * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&bytes), None, "bit {bit}");
            assert_eq!(SegmentHeader::newer(&bytes), None, "bit {bit} is no later version");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn a_later_version_is_known_by_its_number_alone() {
        let header = SegmentHeader { family: Family::Samples, epoch: 1, id: 5, base: Seq(1) };
        let mut bytes = header.encode();
        bytes[8] = 2;
        bytes[40..].fill(7);
        assert_eq!(SegmentHeader::newer(&bytes), Some(2));
        bytes[0] ^= 1;
        assert_eq!(SegmentHeader::newer(&bytes), None);
    }

    #[test]
    fn a_trailer_is_of_one_segment() {
        let bytes = trailer(7 << 32, 1234);
        assert_eq!(footer_offset(7 << 32, &bytes), Some(1234));
        assert_eq!(footer_offset(8 << 32, &bytes), None);
        assert_eq!(footer_offset(7 << 32, &bytes[1..]), None);
    }
}
