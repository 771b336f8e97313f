//! What becomes of readings before they count: a value that is not plausible is kept, and is uncertain.

use crate::{Cause, Entry, Quality, Reported, Twin};

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

    fn implausible(&self, entry: &Entry) -> bool {
        let Some(point) = self.description().point(entry.index) else { return false };
        let Some((low, high)) = point.spec.range else { return false };
        let value = entry.value.as_ref().and_then(|value| value.as_f64(&point.spec.value_type));
        value.is_some_and(|value| !(low..=high).contains(&value))
    }
}
