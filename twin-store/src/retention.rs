//! Retention: the oldest segments go when a family takes too much room or has become too old, and the log says so.
//!
//! Nothing goes that a snapshot has not passed: of the two that are kept, the older one decides.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use twin::{GapCause, Seq};

use crate::core::Core;
use crate::footer::Footer;
use crate::frame::{self, Class, Kind};
use crate::maintenance::micros;
use crate::ranges::Ranges;
use crate::reader::SegmentReader;
use crate::record;
use crate::segment::{Family, HEADER, Segment};
use crate::shared::Inner;

/// A segment that is no longer read and whose file is still there.
pub(crate) struct Dropped {
    name: String,
    /// What went with it, where that was more than positions.
    range: Option<(Seq, Seq)>,
}

impl Core {
    /// Drops what is over its budget.
    pub(crate) fn retain(&mut self, inner: &mut Inner) {
        for family in Family::ALL {
            if let Some(age) = self.shared.options.budget(family).age {
                // A segment that is never full would never grow old.
                let before = self.now().boottime.0.saturating_sub(micros(age) / 8);
                self.log.close_older(family, before);
            }
            while let Some(oldest) = self.outlived(inner, family) {
                if family == Family::Samples && self.thins_instead(inner, &oldest) {
                    break;
                }
                if oldest.last() > self.passed() {
                    self.snapshot_due = true;
                    break;
                }
                if !self.drop_segment(inner, &oldest) {
                    break;
                }
            }
        }
        let age = self.shared.options.thin_age;
        if self.thin_due.is_none() && !self.thinning && age.is_some() {
            let old = |s: &Arc<Segment>| s.footer().is_some_and(|f| self.older(inner, f, age));
            self.thin_due = self.thinnable(inner).filter(old);
        }
    }

    /// Makes room on a full disk at the cost of the oldest samples; says whether there is something to give.
    ///
    /// First the record of it: the file goes with the round of disk work that makes the record durable.
    pub(crate) fn make_room(&mut self, inner: &mut Inner) -> bool {
        if self.thinning {
            // Its room comes.
            return false;
        }
        if !std::mem::take(&mut self.too_full_to_thin) {
            self.thin_due = self.thinnable(inner);
            if self.thin_due.is_some() {
                return false;
            }
        }
        let sealed = |s: &&Arc<Segment>| s.footer().is_some();
        let oldest = inner.catalog.family(Family::Samples).first().filter(sealed).cloned();
        let Some(oldest) = oldest.filter(|oldest| oldest.last() <= self.passed()) else {
            return false;
        };
        tracing::warn!("the disk is full: the oldest readings go, to {}", oldest.last().0);
        // It may have room for this where it has none for other records.
        self.sulking[Family::Records.at()] = false;
        self.drop_segment(inner, &oldest);
        self.tell_dropped(inner);
        !self.removing.is_empty()
    }

    /// Makes room on a disk that is so full that not even an epoch can begin. Nobody reads yet, so the oldest samples are
    /// cut off within the file: a torn segment is named as lost by the next opening, should this one not come to say it.
    pub(crate) fn cut_oldest(&mut self, inner: &mut Inner) -> Option<(Seq, Seq)> {
        if !std::mem::take(&mut self.crowded) {
            return None;
        }
        let oldest = inner.catalog.family(Family::Samples).first().cloned()?;
        let footer = oldest.footer().filter(|f| f.last <= self.passed())?;
        let cut = self.shared.disk.open(&oldest.name).and_then(|file| file.set_len(HEADER + 16));
        if let Err(error) = cut {
            tracing::error!("cannot make room by cutting {}: {error}", oldest.name);
            return None;
        }
        tracing::warn!("the disk is full: the oldest readings go, to {}", footer.last.0);
        inner.catalog.remove(&oldest);
        inner.counters.dropped_segments += 1;
        let floor = &mut inner.catalog.floors[Family::Samples.at()];
        *floor = (*floor).max(footer.last);
        self.removing.push(oldest.name.clone());
        self.sulking = [false; 3];
        self.lost = Ranges::default();
        Some((footer.first, footer.last))
    }

    /// Everything up to here is in both snapshots that are kept, or in the only one.
    pub(crate) fn passed(&self) -> Seq {
        self.snapshots.first().copied().unwrap_or(Seq(0))
    }

    /// Samples that are over their budget become envelopes before any are dropped; says whether that helps now.
    ///
    /// What was delivered is kept for history alone: of that, envelopes take at most half the budget.
    fn thins_instead(&mut self, inner: &Inner, oldest: &Arc<Segment>) -> bool {
        let Some(footer) = oldest.footer().filter(|f| f.lasting > 0) else { return false };
        if self.thinning {
            return true;
        }
        if self.older(inner, footer, self.shared.options.samples.age) {
            return false;
        }
        let samples = inner.catalog.family(Family::Samples);
        let envelopes = samples.iter().filter(|s| s.footer().is_some_and(|f| f.thin > 0));
        let half = self.shared.options.samples.bytes / 2;
        let history = footer.thin > 0 && inner.links.delivered(footer.last);
        if history && envelopes.map(|s| s.size()).sum::<u64>() > half {
            return false;
        }
        self.thin_due = self.thinnable(inner);
        self.thin_due.is_some()
    }

    /// Room within the budget for what lies beside the segments: the reserve, and envelopes in the making.
    fn headroom(&self, family: Family) -> u64 {
        let thins = family == Family::Samples && !self.shared.options.thin.is_zero();
        if thins { 2 * self.shared.options.samples.segment } else { 0 }
    }

    /// Whether its last commit is older than this.
    fn older(&self, inner: &Inner, footer: &Footer, age: Option<Duration>) -> bool {
        let older = || {
            self.ages_count().then_some(())?;
            let then = inner.state.timeline().resolve(footer.last, footer.last_at)?;
            Some(self.shared.clock.utc()?.saturating_sub(then.0) > micros(age?))
        };
        older() == Some(true)
    }

    /// The family's oldest segment, where it has to go.
    fn outlived(&self, inner: &Inner, family: Family) -> Option<Arc<Segment>> {
        let segments = inner.catalog.family(family);
        let oldest = segments.first().filter(|s| s.footer().is_some())?;
        let budget = self.shared.options.budget(family);
        let too_much = segments.len() > 1
            && inner.catalog.bytes(family) + self.headroom(family) > budget.bytes;
        let too_old = || oldest.footer().is_some_and(|f| self.older(inner, f, budget.age));
        // Positions that a snapshot holds are good for nothing.
        let empty = || oldest.footer().is_some_and(|f| f.lasting == 0);
        let goes = too_much || too_old() || (empty() && oldest.last() <= self.passed());
        goes.then(|| oldest.clone())
    }

    /// The segment is no longer read; its file goes when that is on record. Says whether it may go.
    fn drop_segment(&mut self, inner: &mut Inner, segment: &Arc<Segment>) -> bool {
        self.spent.remove(&segment.header.id);
        if segment.header.family == Family::Records && !self.carry(inner, segment) {
            return false;
        }
        inner.catalog.remove(segment);
        inner.readable(&segment.name);
        inner.counters.dropped_segments += 1;
        let lasting = segment.footer().filter(|f| f.lasting > 0);
        let range = lasting.map(|footer| (footer.first, footer.last));
        if let Some((_, last)) = range {
            let floor = &mut inner.catalog.floors[segment.header.family.at()];
            *floor = (*floor).max(last);
        }
        self.dropped.push(Dropped { name: segment.name.clone(), range });
        true
    }

    /// Repeats the descriptions that a segment has, of twins that are still there: what is kept needs them. Says whether
    /// the segment may go.
    fn carry(&mut self, inner: &mut Inner, segment: &Arc<Segment>) -> bool {
        let file = match self.shared.disk.open(&segment.name) {
            Ok(file) => file,
            Err(error) => {
                let gone = error.kind() == std::io::ErrorKind::NotFound;
                tracing::error!("cannot open {} before it goes: {error}", segment.name);
                return gone;
            }
        };
        let mut reader = SegmentReader::new(segment.clone(), file);
        let mut handles = BTreeSet::new();
        while let Ok(Some(whole)) = reader.next(segment.end()) {
            if let Some((Kind::Described | Kind::Carried, _)) = whole.header.known() {
                handles.insert(whole.header.handle);
            }
        }
        for handle in handles {
            let Some(twin) = inner.state.by_handle(handle) else { continue };
            let mut bytes = Vec::new();
            let seq = inner.head.next();
            let start = frame::begin(&mut bytes, seq, self.now().boottime, handle);
            record::put_carried(&mut bytes, twin.id(), twin.description());
            frame::finish(&mut bytes, start, Kind::Carried, Class::Record);
            if self.write_record(inner, seq, &mut bytes, Family::Records).is_err() {
                tracing::error!("cannot repeat a description yet: its segment stays");
                return false;
            }
        }
        true
    }

    /// Records what was dropped; only then may the files go. Apart from dropping, which may happen while a record is being
    /// written.
    pub(crate) fn tell_dropped(&mut self, inner: &mut Inner) {
        for dropped in std::mem::take(&mut self.dropped) {
            match dropped.range {
                Some(range) if !self.gap(inner, range, GapCause::Retention) => {
                    self.dropped.push(dropped);
                }
                _ => {
                    self.positions_wait = inner.head;
                    self.removing.push(dropped.name);
                }
            }
        }
    }
}
