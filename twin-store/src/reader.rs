//! Reading frames out of segments, one after the other, in chunks.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use twin::Seq;

use crate::disk::{Disk, File};
use crate::error::ReadError;
use crate::footer::Footer;
use crate::frame::{self, Frame, Header, Kind};
use crate::ranges::Ranges;
use crate::segment::{HEADER, Segment};

/// Bytes read at once.
const CHUNK: usize = 64 << 10;

/// Where a reader of one segment stands.
pub(crate) struct SegmentReader {
    pub(crate) segment: Arc<Segment>,
    file: Arc<dyn File>,
    /// The offset of the next frame.
    offset: u64,
    /// The last sequence number read, which the next one exceeds.
    last: Seq,
    chunk: Bytes,
    chunk_at: u64,
    /// Bytes that were passed over because they were no frames.
    pub(crate) damaged: u64,
}

/// One whole frame as it lies in a segment.
pub(crate) struct Whole {
    pub(crate) header: Header,
    pub(crate) bytes: Bytes,
    /// The offset of its first byte.
    pub(crate) at: u64,
    /// Before it, bytes were passed over: these commits may have been there.
    pub(crate) hole: Option<(Seq, Seq)>,
}

impl Whole {
    /// The frame, where this version of the program knows what it is.
    pub(crate) fn frame(&self, epoch: u32) -> Option<Frame> {
        Frame::of(&self.header, epoch, &self.bytes)
    }
}

impl SegmentReader {
    pub(crate) fn new(segment: Arc<Segment>, file: Arc<dyn File>) -> Self {
        Self {
            segment,
            file,
            offset: HEADER,
            last: Seq(0),
            chunk: Bytes::new(),
            chunk_at: 0,
            damaged: 0,
        }
    }

    /// The offset after the last frame read.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The lowest commit that may follow in this segment.
    pub(crate) fn next_seq(&self) -> Seq {
        self.last.next().max(self.segment.header.base)
    }

    /// The next frame before `end`; `None` where there is none (yet).
    ///
    /// Where bytes are no frame, the next place at which a frame of this segment begins is looked for: a page that never
    /// reached the disk must not hide those behind it.
    pub(crate) fn next(&mut self, end: u64) -> io::Result<Option<Whole>> {
        let (next, mut damaged) = (self.next_seq(), false);
        while self.offset + frame::HEADER as u64 <= end {
            let whole = self.frame_at(self.offset, end)?;
            if let Some(whole) = whole {
                self.offset = whole.at + whole.bytes.len() as u64;
                self.last = whole.header.seq;
                let hole = (damaged && next < whole.header.seq)
                    .then(|| (next, Seq(whole.header.seq.0 - 1)));
                return Ok(Some(Whole { hole, ..whole }));
            }
            match self.resume(end)? {
                Some(at) => {
                    self.damaged += at - self.offset;
                    (self.offset, damaged) = (at, true);
                }
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    fn frame_at(&mut self, at: u64, end: u64) -> io::Result<Option<Whole>> {
        let Some(header) = Header::take(&self.bytes(at, frame::HEADER, end)?) else {
            return Ok(None);
        };
        if header.seq <= self.last || header.kind == Kind::Footer as u8 {
            return Ok(None);
        }
        let bytes = self.bytes(at, header.frame_len(), end)?;
        let good = frame::check(self.segment.header.id, &bytes) == Some(header);
        let plausible = header.seq >= self.segment.header.base;
        Ok((good && plausible).then_some(Whole { header, bytes, at, hole: None }))
    }

    /// The next offset at which a frame begins.
    fn resume(&mut self, end: u64) -> io::Result<Option<u64>> {
        let mut at = self.offset + 1;
        while at + frame::HEADER as u64 <= end {
            let window = self.bytes(at, CHUNK, end)?;
            let starts = window.len().saturating_sub(frame::HEADER - 1);
            for i in 0..starts {
                // A sequence number and a kind are never all zero: most of an unwritten page is passed here.
                let bytes = window.get(i..).unwrap_or_default();
                if bytes.get(17) == Some(&1)
                    && Header::take(bytes).is_some()
                    && self.frame_at(at + i as u64, end)?.is_some()
                {
                    return Ok(Some(at + i as u64));
                }
            }
            at += starts.max(1) as u64;
        }
        Ok(None)
    }

    /// Up to `n` bytes at this offset, fewer where the file or `end` comes first.
    fn bytes(&mut self, at: u64, n: usize, end: u64) -> io::Result<Bytes> {
        let n = n.min(usize::try_from(end.saturating_sub(at)).unwrap_or(n));
        let held = |this: &Self| {
            let from = usize::try_from(at.checked_sub(this.chunk_at)?).ok()?;
            (from.checked_add(n)? <= this.chunk.len()).then(|| this.chunk.slice(from..from + n))
        };
        if let Some(bytes) = held(self) {
            return Ok(bytes);
        }
        let want = usize::try_from(end.saturating_sub(at)).unwrap_or(CHUNK).min(n.max(CHUNK));
        let mut buffer = vec![0; want];
        let read = self.file.read_at(at, &mut buffer)?;
        buffer.truncate(read);
        self.chunk = Bytes::from(buffer);
        self.chunk_at = at;
        Ok(held(self).unwrap_or_else(|| self.chunk.clone()))
    }
}

/// The commits between two numbers that these segments hold.
///
/// # Errors
/// A segment cannot be read now.
pub(crate) fn numbers<'a>(
    disk: &dyn Disk,
    segments: impl Iterator<Item = &'a Arc<Segment>>,
    (first, last): (Seq, Seq),
) -> Result<Ranges, ReadError> {
    let mut numbers = Ranges::default();
    for segment in segments {
        let outside = |f: &Footer| f.last < first || last < f.first;
        if segment.header.base > last || segment.footer().is_some_and(outside) {
            continue;
        }
        let failed = |source| ReadError { name: segment.name.clone(), source };
        let file = match disk.open(&segment.name) {
            Ok(file) => file,
            // Retention was quicker.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(error)),
        };
        let mut reader = SegmentReader::new(segment.clone(), file);
        while let Some(whole) = reader.next(segment.end()).map_err(failed)? {
            let seq = whole.header.seq;
            if seq > last {
                break;
            }
            if first <= seq {
                numbers.add(seq, seq);
            }
        }
    }
    Ok(numbers)
}
