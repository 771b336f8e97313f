//! Retention: the oldest segments go when a family takes too much room or has become too old, and the log says so.
//!
//! Nothing goes that a snapshot has not passed: of the two that are kept, the older one decides.

use std::collections::BTreeSet;
use std::sync::Arc;

use twin::{GapCause, Seq};

use crate::core::Core;
use crate::frame::{self, Class, Kind};
use crate::maintenance::micros;
use crate::reader::SegmentReader;
use crate::record;
use crate::segment::{Family, Segment};
use crate::shared::Inner;

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
                if oldest.last() > self.passed() {
                    self.snapshot_due = true;
                    break;
                }
                self.drop_segment(inner, &oldest);
            }
        }
    }

    /// Makes room on a full disk at the cost of the oldest samples; says whether there was something to give.
    pub(crate) fn make_room(&mut self, inner: &mut Inner) -> bool {
        let sealed = |s: &&Arc<Segment>| s.footer().is_some();
        let oldest = inner.catalog.family(Family::Samples).first().filter(sealed).cloned();
        let Some(oldest) = oldest.filter(|oldest| oldest.last() <= self.passed()) else {
            return false;
        };
        let removed = self.shared.disk.remove(&oldest.name);
        if let Err(error) = removed {
            tracing::error!("cannot make room by removing {}: {error}", oldest.name);
            return false;
        }
        self.forget_segment(inner, &oldest);
        true
    }

    /// Everything up to here is in both snapshots that are kept, or in the only one.
    fn passed(&self) -> Seq {
        self.snapshots.first().copied().unwrap_or(Seq(0))
    }

    /// The family's oldest segment, where it has to go.
    fn outlived(&self, inner: &Inner, family: Family) -> Option<Arc<Segment>> {
        let segments = inner.catalog.family(family);
        let oldest = segments.first().filter(|s| s.footer().is_some())?;
        let budget = self.shared.options.budget(family);
        let too_much = segments.len() > 1 && inner.catalog.bytes(family) > budget.bytes;
        let too_old = || {
            self.ages_count().then_some(())?;
            let footer = oldest.footer()?;
            let then = inner.state.timeline().resolve(footer.last, footer.last_at)?;
            let now = self.shared.clock.utc()?;
            Some(now.saturating_sub(then.0) > micros(budget.age?))
        };
        // Positions that a snapshot holds are good for nothing.
        let empty = || oldest.footer().is_some_and(|f| f.lasting == 0);
        let goes =
            too_much || too_old() == Some(true) || (empty() && oldest.last() <= self.passed());
        goes.then(|| oldest.clone())
    }

    fn drop_segment(&mut self, inner: &mut Inner, segment: &Arc<Segment>) {
        if segment.header.family == Family::Records {
            self.carry(inner, segment);
        }
        self.removing.push(segment.name.clone());
        self.forget_segment(inner, segment);
    }

    fn forget_segment(&mut self, inner: &mut Inner, segment: &Arc<Segment>) {
        inner.catalog.remove(segment);
        inner.readable(&segment.name);
        inner.counters.dropped_segments += 1;
        let Some(footer) = segment.footer().filter(|f| f.lasting > 0) else { return };
        let (first, last) = (footer.first, footer.last);
        let floor = &mut inner.catalog.floors[segment.header.family.at()];
        *floor = (*floor).max(last);
        self.dropped.push((first, last));
    }

    /// Repeats the descriptions that a segment has, of twins that are still there: what is kept needs them.
    fn carry(&mut self, inner: &mut Inner, segment: &Arc<Segment>) {
        let Ok(file) = self.shared.disk.open(&segment.name) else { return };
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
                tracing::error!("cannot repeat a description before its segment goes");
            }
        }
    }

    /// Records what was dropped. Apart from dropping, which may happen while a record is being written.
    pub(crate) fn tell_dropped(&mut self, inner: &mut Inner) {
        for range in std::mem::take(&mut self.dropped) {
            if !self.gap(inner, range, GapCause::Retention) {
                self.dropped.push(range);
            }
        }
    }
}
