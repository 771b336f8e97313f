//! Thinning: the oldest segment of samples becomes one of envelopes, before anything is dropped.
//!
//! ```text
//! read the segment · write the envelopes as a draft, synced · check that no lane has moved into them · record what was
//! thinned · give the draft its name · (with the next round of disk work: sync both, then remove the samples)
//! ```
//! A crash in between is harmless: drafts are removed by the next opening; where samples and their envelopes are both
//! there, the envelopes win and what was thinned is said again. Envelopes end where lanes stand, in memory or as any record
//! on disk says; positions of lanes that go on among envelopes are written when these are there to stay.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use twin::{GapCause, Seq, Timeline};

use crate::codec::Put;
use crate::core::Core;
use crate::disk::full;
use crate::footer::{Footer, Summary};
use crate::frame::{self, Header, Kind};
use crate::maintenance::micros;
use crate::merge::FamilyReader;
use crate::reader::SegmentReader;
use crate::segment::{Family, HEADER, Segment, SegmentHeader, trailer};
use crate::shared::{Inner, Shared};
use crate::thin::{Cut, Known, Thinner};

/// One segment to be thinned. It blocks: it runs on a thread of its own while everything goes on.
pub(crate) struct Thinning {
    shared: Arc<Shared>,
    samples: Arc<Segment>,
    /// Where lanes stand.
    marks: BTreeSet<Seq>,
    known: Known,
    timeline: Timeline,
    interval: i64,
}

/// How often a segment is tried in which lanes move meanwhile; then the others come, and the budget.
const TRIES: u8 = 60;

/// What came of it.
pub(crate) struct Thinned {
    samples: Arc<Segment>,
    marks: BTreeSet<Seq>,
    /// The envelopes, still under the name of a draft; `None` where they would take as much room as the samples.
    envelopes: io::Result<Option<Arc<Segment>>>,
}

fn draft(segment: &Segment) -> String {
    format!("{}.tmp", segment.name)
}

impl Core {
    /// The oldest samples that can be thinned now.
    pub(crate) fn thinnable(&self, inner: &Inner) -> Option<Arc<Segment>> {
        if self.shared.options.thin.is_zero() || self.snapshots.len() < 2 {
            return None;
        }
        let in_memory = inner.ring.first().unwrap_or(inner.head.next());
        let old = |s: &&Arc<Segment>| s.last() <= self.passed() && s.last() < in_memory;
        let fit = |s: &&Arc<Segment>| {
            let raw = s.footer().is_some_and(|f| f.thin == 0 && f.lasting > 0);
            let tries = self.spent.get(&s.header.id).copied().unwrap_or(0);
            raw && tries < TRIES && !inner.links.busy(s.header.base, s.last())
        };
        inner.catalog.family(Family::Samples).iter().take_while(old).find(fit).cloned()
    }

    /// The thinning that is due, if none is under way.
    pub(crate) fn begin_thinning(&mut self) -> Option<Thinning> {
        let samples = self.thin_due.take().filter(|_| !self.thinning)?;
        let shared = self.shared.clone();
        let inner = shared.lock();
        let footer = samples.footer()?;
        let mut known = Known::new();
        for (handle, _, _) in &footer.twins {
            if let Some(twin) = inner.state.by_handle(*handle) {
                known.insert(*handle, (twin.id().clone(), twin.description().clone()));
            }
        }
        self.thinning = true;
        *self.spent.entry(samples.header.id).or_default() += 1;
        Some(Thinning {
            shared: shared.clone(),
            marks: inner.links.marks(),
            known,
            timeline: inner.state.timeline().clone(),
            interval: micros(shared.options.thin),
            samples,
        })
    }

    /// Puts the envelopes in the place of the samples, if nothing has moved that they depend on.
    pub(crate) fn finish_thinning(&mut self, done: Thinned) {
        let shared = self.shared.clone();
        let mut inner = shared.lock();
        self.thinning = false;
        let Thinned { samples, marks, envelopes } = done;
        let envelopes = match envelopes {
            Ok(Some(envelopes)) => envelopes,
            Ok(None) => {
                self.spent.insert(samples.header.id, TRIES);
                return;
            }
            Err(error) if full(&error) => {
                tracing::warn!("no room to thin {}: {error}", samples.name);
                (self.crowded, self.too_full_to_thin) = (true, true);
                return;
            }
            Err(error) => {
                tracing::error!("cannot thin {}: {error}", samples.name);
                self.spent.insert(samples.header.id, TRIES);
                return;
            }
        };
        if !self.exchange(&mut inner, &samples, &marks, &envelopes) {
            self.removing.push(draft(&envelopes));
        }
        self.publish(&inner);
    }

    /// A thinning came to nothing.
    pub(crate) fn lost_thinning(&mut self) {
        self.thinning = false;
    }

    fn exchange(
        &mut self,
        inner: &mut Inner,
        samples: &Arc<Segment>,
        marks: &BTreeSet<Seq>,
        envelopes: &Arc<Segment>,
    ) -> bool {
        let Some(footer) = samples.footer() else { return false };
        let (first, last) = (footer.first, footer.last);
        let listed = inner.catalog.family(Family::Samples).iter().any(|s| Arc::ptr_eq(s, samples));
        let moved = inner.links.marks().range(first.next()..=last).any(|m| !marks.contains(m));
        if !listed || moved || inner.links.busy(first, last) {
            return false;
        }
        if !self.gap(inner, (first, last), GapCause::Thinned) {
            return false;
        }
        if let Err(error) = self.shared.disk.rename(&draft(envelopes), &envelopes.name) {
            tracing::error!("cannot put {} in place: {error}", envelopes.name);
            return false;
        }
        // The name has to last before the samples go.
        self.log.dir_failed();
        inner.catalog.remove(samples);
        inner.catalog.insert(envelopes.clone());
        samples.leave();
        inner.links.links.values_mut().for_each(|link| link.generation += 1);
        inner.counters.thinned_segments += 1;
        self.removing.push(samples.name.clone());
        self.positions_wait = inner.head;
        true
    }
}

impl Thinning {
    pub(crate) fn run(self) -> Thinned {
        let envelopes = self.write();
        Thinned { samples: self.samples, marks: self.marks, envelopes }
    }

    fn write(&self) -> io::Result<Option<Arc<Segment>>> {
        let disk = &self.shared.disk;
        let Some(old) = self.samples.footer() else { return Ok(None) };
        let cuts = self.cuts(old)?;
        let frames = self.summarise(old, &cuts)?;
        let header = SegmentHeader { id: fastrand::u64(1..), ..self.samples.header };
        let (mut bytes, mut summary) = (Vec::new(), Summary::default());
        for (_, frame) in &frames {
            Header::take(frame).iter().for_each(|header| summary.add(header));
            bytes.put(frame);
        }
        frame::seal(header.id, &mut bytes);
        let end = HEADER + bytes.len() as u64;
        let footer = Footer { thin: old.thin.saturating_add(1), ..summary.instead_of(old) };
        bytes.extend(footer.encode(header.id));
        bytes.extend(trailer(header.id, end));
        let size = HEADER + bytes.len() as u64;
        if size + size / 8 > self.samples.size() {
            return Ok(None);
        }
        let segment = Arc::new(Segment::new(header, size));
        let name = draft(&segment);
        let file = disk.create(&name)?;
        let written = file
            .write_at(0, &header.encode())
            .and_then(|()| file.write_at(HEADER, &bytes))
            .and_then(|()| file.sync());
        if let Err(error) = written {
            disk.remove(&name).ok();
            return Err(error);
        }
        segment.grow(end, old.last);
        segment.sealed(footer, size);
        Ok(Some(segment))
    }

    fn summarise(&self, old: &Footer, cuts: &[Cut]) -> io::Result<Vec<(Seq, Bytes)>> {
        let samples = &self.samples;
        let file = self.shared.disk.open(&samples.name)?;
        let mut reader = SegmentReader::new(samples.clone(), file);
        let mut thinner = Thinner::new(&self.known, &self.timeline, self.interval, cuts);
        let mut count = 0;
        while let Some(whole) = reader.next(samples.end())? {
            count += 1;
            let frame = whole.frame(samples.header.epoch);
            thinner.add(whole.header.seq, frame.as_ref(), whole.bytes);
        }
        if count != old.count {
            // What is damaged stays, so that whoever reads it says so.
            let words = format!("{count} of its {} commits are readable", old.count);
            return Err(io::Error::new(io::ErrorKind::InvalidData, words));
        }
        Ok(thinner.finish())
    }

    /// Where envelopes end: at lanes, and where a twin was described anew.
    fn cuts(&self, old: &Footer) -> io::Result<Vec<Cut>> {
        let mut cuts: Vec<Cut> =
            self.marks.range(old.first..=old.last).map(|seq| (*seq, None)).collect();
        let mut records = FamilyReader::new(Family::Records, old.first);
        let want = |segment: &Segment| {
            let footer = segment.footer();
            footer.is_none_or(|f| f.twins.iter().any(|(h, _, _)| self.known.contains_key(h)))
        };
        loop {
            match records.next(&self.shared, old.first, &want) {
                Ok(Some(frame)) if frame.seq <= old.last => {
                    if frame.kind == Kind::Described {
                        cuts.push((frame.seq, Some(frame.handle)));
                    }
                }
                Ok(_) => break,
                Err(error) => return Err(error.source),
            }
        }
        cuts.sort_by_key(|(seq, _)| *seq);
        Ok(cuts)
    }
}
