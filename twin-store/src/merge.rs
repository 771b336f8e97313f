//! Reading stored commits across segments, of one family or merged by sequence number.

use std::sync::Arc;

use twin::Seq;

use crate::error::ReadError;
use crate::frame::Frame;
use crate::reader::{SegmentReader, Whole, numbers};
use crate::segment::{Family, Segment};
use crate::shared::Shared;

/// Reads the stored commits of one family in order. Stays where it is between calls.
pub(crate) struct FamilyReader {
    family: Family,
    /// The next sequence number wanted.
    next: Seq,
    current: Option<SegmentReader>,
    peeked: Option<(Whole, u32)>,
    /// The last attempt to read did not fail.
    well: bool,
    /// The current segment was opened, and its end not reached since.
    unfinished: bool,
    /// Segments opened so far.
    opened: u64,
}

impl FamilyReader {
    pub(crate) fn new(family: Family, from: Seq) -> Self {
        Self {
            family,
            next: from,
            current: None,
            peeked: None,
            well: true,
            unfinished: false,
            opened: 0,
        }
    }

    /// What it reads is no longer what is kept.
    pub(crate) fn stale(&self) -> bool {
        self.current.as_ref().is_some_and(|reader| reader.segment.has_left())
    }

    /// The next commit's place in the order.
    pub(crate) fn at(&self) -> Seq {
        self.next
    }

    /// The next stored frame from `from` on; segments that `want` refuses are skipped whole. `None` at the end.
    pub(crate) fn next(
        &mut self,
        shared: &Shared,
        from: Seq,
        want: &dyn Fn(&Segment) -> bool,
    ) -> Result<Option<Frame>, ReadError> {
        self.next = self.next.max(from);
        loop {
            let Some((whole, epoch)) = self.whole(shared, want)? else { return Ok(None) };
            self.next = whole.header.seq.next();
            if let Some(frame) = whole.frame(epoch) {
                return Ok(Some(frame));
            }
        }
    }

    /// The sequence number of the next stored frame, which stays where it is.
    pub(crate) fn peek(
        &mut self,
        shared: &Shared,
        want: &dyn Fn(&Segment) -> bool,
    ) -> Result<Option<Seq>, ReadError> {
        if self.peeked.is_none() {
            self.peeked = self.whole(shared, want)?;
        }
        Ok(self.peeked.as_ref().map(|(whole, _)| whole.header.seq))
    }

    fn whole(
        &mut self,
        shared: &Shared,
        want: &dyn Fn(&Segment) -> bool,
    ) -> Result<Option<(Whole, u32)>, ReadError> {
        if let Some(peeked) = self.peeked.take().filter(|(w, _)| w.header.seq >= self.next) {
            return Ok(Some(peeked));
        }
        loop {
            let Some(mut reader) = self.segment(shared, want)? else { return Ok(None) };
            let last = reader.segment.last();
            let end = reader.segment.end();
            let read = loop {
                match reader.next(end) {
                    Ok(Some(whole)) if whole.header.seq < self.next => {}
                    other => break other,
                }
            };
            let epoch = reader.segment.header.epoch;
            match read {
                Ok(Some(whole)) => {
                    if let Some(hole) = whole.hole
                        && let Err(error) = report(shared, &reader.segment, hole)
                    {
                        return Err(self.hold(shared, error));
                    }
                    if !self.well {
                        shared.lock().readable(&reader.segment.name);
                        self.well = true;
                    }
                    self.current = Some(reader);
                    return Ok(Some((whole, epoch)));
                }
                Ok(None) if last < self.next => {
                    // All read. The writer may still add to it.
                    if std::mem::take(&mut self.unfinished) {
                        // Whoever could not read it may have gone.
                        shared.lock().readable(&reader.segment.name);
                    }
                    let written = reader.segment.footer().is_none();
                    let newer = shared.lock().catalog.find(self.family, self.next).is_some();
                    self.current = Some(reader).filter(|_| written && !newer);
                    if self.current.is_some() {
                        return Ok(None);
                    }
                }
                Ok(None) => {
                    // What should be here cannot be found.
                    let hole = (reader.next_seq(), last);
                    if let Err(error) = report(shared, &reader.segment, hole) {
                        return Err(self.hold(shared, error));
                    }
                    self.next = last.next();
                }
                Err(source) => {
                    let error = ReadError { name: reader.segment.name.clone(), source };
                    self.current = Some(reader);
                    return Err(self.hold(shared, error));
                }
            }
        }
    }

    /// Nothing is passed over because of an error: it says nothing of what the disk holds.
    fn hold(&mut self, shared: &Shared, error: ReadError) -> ReadError {
        shared.lock().held_by(&error, shared.clock.boottime());
        self.well = false;
        error
    }

    /// A reader of the segment that has the next commit.
    fn segment(
        &mut self,
        shared: &Shared,
        want: &dyn Fn(&Segment) -> bool,
    ) -> Result<Option<SegmentReader>, ReadError> {
        if let Some(current) = self.current.take() {
            return Ok(Some(current));
        }
        loop {
            let found = shared.lock().catalog.find(self.family, self.next).cloned();
            let Some(segment) = found else { return Ok(None) };
            if !want(&segment) {
                self.next = segment.last().next();
                continue;
            }
            match shared.disk.open(&segment.name) {
                Ok(file) => {
                    self.unfinished = true;
                    self.opened += 1;
                    return Ok(Some(SegmentReader::new(segment, file)));
                }
                // Retention was quicker.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    shared.lock().readable(&segment.name);
                    self.next = segment.last().next();
                }
                Err(source) => {
                    let name = segment.name.clone();
                    return Err(self.hold(shared, ReadError { name, source }));
                }
            }
        }
    }
}

/// Reports what is destroyed in a segment: of the numbers that may have been there those that no other segment has.
fn report(shared: &Shared, segment: &Arc<Segment>, hole: (Seq, Seq)) -> Result<(), ReadError> {
    let others: Vec<Arc<Segment>> = {
        let inner = shared.lock();
        if inner.known_damage.without(hole.0, hole.1).is_empty() {
            return Ok(());
        }
        let all = Family::ALL.into_iter().flat_map(|family| inner.catalog.family(family));
        all.filter(|other| !Arc::ptr_eq(other, segment)).cloned().collect()
    };
    let there = numbers(&*shared.disk, others.iter(), hole)?;
    shared.lock().damaged(hole, &there);
    Ok(())
}

/// Reads the stored commits of samples and records, merged.
pub(crate) struct Merge {
    families: [FamilyReader; 2],
}

impl Merge {
    pub(crate) fn new(from: Seq) -> Self {
        Self { families: [Family::Samples, Family::Records].map(|f| FamilyReader::new(f, from)) }
    }

    /// Segments opened so far.
    pub(crate) fn opened(&self) -> u64 {
        self.families.iter().map(|family| family.opened).sum()
    }

    /// The next stored frame from `from` on.
    pub(crate) fn next(
        &mut self,
        shared: &Arc<Shared>,
        from: Seq,
        want: &dyn Fn(&Segment) -> bool,
    ) -> Result<Option<Frame>, ReadError> {
        let [samples, records] = &mut self.families;
        samples.next = samples.next.max(from);
        records.next = records.next.max(from);
        let first = match (samples.peek(shared, want)?, records.peek(shared, want)?) {
            (Some(a), Some(b)) if a <= b => samples,
            (Some(_), None) => samples,
            (_, Some(_)) => records,
            (None, None) => return Ok(None),
        };
        first.next(shared, from, want)
    }
}
