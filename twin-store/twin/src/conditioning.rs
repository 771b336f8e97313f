//! What values are worth: one that is not plausible, or that an earlier run of the daemon read, is kept and is uncertain.

use std::collections::BTreeSet;

use crate::{Cause, Entry, Quality, Reported, Seq, Twin};

impl Twin {
    /// Judges each good value of `reported` by the range of plausible values of its point.
    ///
    /// The value stays what the asset said. Both ends belong to the range; a float that is no number does not.
    pub fn condition(&self, reported: &mut Reported) {
        for entry in &mut reported.entries {
            if entry.quality == Quality::GOOD && self.implausible(entry) {
                entry.quality = Quality::uncertain(Cause::OutOfRange);
            }
        }
    }

    /// The daemon has started anew: good values of before are not known to hold until they are read again.
    pub(crate) fn restored(&mut self, seq: Seq) {
        let mut features = BTreeSet::new();
        for (reading, point) in self.reported.iter_mut().zip(&self.description.points) {
            if let Some(reading) = reading.as_mut().filter(|reading| reading.quality.is_good()) {
                reading.quality = Quality::uncertain(Cause::Restored);
                features.insert(point.feature);
            }
        }
        features.into_iter().for_each(|feature| self.touch(seq, feature));
    }

    fn implausible(&self, entry: &Entry) -> bool {
        let Some(point) = self.description().point(entry.index) else { return false };
        let Some((low, high)) = point.spec.range else { return false };
        let value = entry.value.as_ref().and_then(|value| value.as_f64(&point.spec.value_type));
        value.is_some_and(|value| !(low..=high).contains(&value))
    }
}
