//! Every frame after the snapshot, where unsealed segments end, and what is destroyed.

use std::collections::BTreeMap;

use twin::Seq;

use super::found::{Found, was_sealed, zeros};
use crate::error::OpenError;
use crate::footer::Summary;
use crate::frame::Frame;
use crate::ranges::Ranges;
use crate::reader::SegmentReader;

/// What the segments hold.
#[derive(Default)]
pub(super) struct Scan<'a> {
    /// Frames after the snapshot, with their epochs, as far as this version knows what they are.
    pub(super) frames: BTreeMap<Seq, (Frame, u32)>,
    /// The commits after the snapshot that are there, known or not.
    pub(super) there: Ranges,
    /// Of these, what this version does not know.
    unknown: Vec<Seq>,
    /// In this segment, these commits may have been destroyed.
    pub(super) holes: Vec<(&'a Found, (Seq, Seq))>,
    /// Segments that have to be sealed, with what they hold.
    pub(super) unsealed: Vec<(&'a Found, Summary)>,
    /// The highest commit that is there or was given.
    pub(super) surviving: Seq,
    /// Bytes that are no frames.
    pub(super) damaged: u64,
    /// The newest segment of a family ends in something that is no frame.
    pub(super) torn: bool,
}

/// Reads what the snapshot does not have.
pub(super) fn scan(found: &[Found], after: Seq) -> Result<Scan<'_>, OpenError> {
    let mut scan = Scan { surviving: after, ..Scan::default() };
    for one in found {
        let segment = &one.segment;
        scan.surviving = scan.surviving.max(Seq(segment.header.base.0.saturating_sub(1)));
        if segment.footer().is_some_and(|f| f.last <= after) {
            scan.surviving = scan.surviving.max(segment.last());
            continue;
        }
        scan.one(found, one, after)?;
    }
    scan.there = scan.frames.keys().map(|seq| (*seq, *seq)).collect();
    scan.there.extend(scan.unknown.iter().map(|seq| (*seq, *seq)));
    Ok(scan)
}

impl<'a> Scan<'a> {
    fn one(&mut self, all: &[Found], one: &'a Found, after: Seq) -> Result<(), OpenError> {
        let segment = &one.segment;
        let mut reader = SegmentReader::new(segment.clone(), one.file.clone());
        let mut summary = Summary::default();
        let mut count = 0;
        let end = segment.end();
        let epoch = segment.header.epoch;
        let failed = |e| OpenError::read(&segment.name, e);
        while let Some(whole) = reader.next(end).map_err(failed)? {
            let seq = whole.header.seq;
            // Of what is sealed, readers tell when they meet it.
            self.holes
                .extend(whole.hole.filter(|_| segment.footer().is_none()).map(|hole| (one, hole)));
            summary.add(&whole.header);
            self.surviving = self.surviving.max(seq);
            count += 1;
            if seq > after {
                match whole.frame(epoch) {
                    Some(frame) => drop(self.frames.insert(seq, (frame, epoch))),
                    None => self.unknown.push(seq),
                }
            }
        }
        self.damaged += reader.damaged;
        if let Some(footer) = segment.footer() {
            self.damaged += u64::from(footer.count > count);
            // It may have reached the disk before its last frames: their numbers are used up all the same.
            self.surviving = self.surviving.max(footer.last);
            return Ok(());
        }
        let (next, stop) = (reader.next_seq(), reader.offset());
        if !zeros(&*one.file, stop, end).map_err(failed)?
            && !was_sealed(one, stop, end).map_err(failed)?
        {
            let header = &segment.header;
            let later = all.iter().map(|f| &f.segment.header).filter(|h| h.family == header.family);
            match later.map(|h| h.base).filter(|base| *base > header.base).min() {
                Some(base) => self.holes.push((one, (next, Seq(base.0 - 1)))),
                None => {
                    // Up to the snapshot everything was durable: what is not there is destroyed. What came after it may
                    // never have been.
                    self.torn = true;
                    self.holes.push((one, (next, after)));
                }
            }
        }
        segment.grow(stop, summary.last());
        self.unsealed.push((one, summary));
        Ok(())
    }
}
