//! What is worth a commit: report by change, deadbands, and the shortest and longest time between two reports.

use crate::{
    Acquisition, Entry, Pace, Point, Reading, Report, Reported, Seq, TimeBase, Twin, Value,
};

/// How much earlier or later than asked still counts as asked, as a part of the polling interval: polls never come at
/// exactly their instant.
const SLACK: i64 = 10;

/// What the last report and its age say of the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// Too soon for a change of value.
    Wait,
    /// A change is reported.
    Change,
    /// It is reported whatever it is.
    Now,
}

impl Twin {
    /// Leaves in `reported` what is worth a commit. `booted` is the first commit of the present boot.
    ///
    /// A reading that answers a command is always worth one.
    pub fn reduce(&self, reported: &mut Reported, booted: Seq) {
        if reported.command.is_none() {
            let base = reported.source;
            reported.entries.retain(|entry| self.news(entry, base.plus(entry.offset), booted));
        }
    }

    fn news(&self, entry: &Entry, source: TimeBase, booted: Seq) -> bool {
        let (Some(point), Some(last)) =
            (self.description().point(entry.index), self.reading(entry.index))
        else {
            return true;
        };
        if point.spec.report == Report::Always || entry.quality != last.quality {
            return true;
        }
        match self.due(point, last, source, booted) {
            Due::Now => true,
            Due::Change => differs(point, entry.value.as_ref(), last.value.as_ref()),
            // A value where there was none does not wait: nothing has been said yet that it could follow too soon.
            Due::Wait => last.value.is_none() && entry.value.is_some(),
        }
    }

    fn due(&self, point: &Point, last: &Reading, source: TimeBase, booted: Seq) -> Due {
        let Pace { least, most } = point.spec.rules.pace;
        if (least, most) == (0, 0) {
            return Due::Change;
        }
        // Only a poll is followed by another one: what is held back here of anything else might never be said.
        let group = self.description().groups.get(usize::from(point.spec.group));
        let Some(Acquisition::Polled { interval }) = group.map(|group| group.acquisition) else {
            return Due::Change;
        };
        let age = source.micros.saturating_sub(last.source.micros);
        let comparable = source.clock == last.source.clock && last.seq >= booted && age >= 0;
        let slack = interval / SLACK;
        if !comparable || (most > 0 && age.saturating_add(interval) > most.saturating_add(slack)) {
            return if most > 0 { Due::Now } else { Due::Change };
        }
        if age.saturating_add(slack) < least { Due::Wait } else { Due::Change }
    }
}

/// Whether a value differs enough from the last one reported.
fn differs(point: &Point, new: Option<&Value>, old: Option<&Value>) -> bool {
    let Some(new) = new else { return false };
    let Some(old) = old else { return true };
    let of = &point.spec.value_type;
    let band = |old: f64| match point.spec.report {
        Report::Deadband(band) => Some(band),
        Report::Percent(percent) => Some(old.abs() * percent / 100.0),
        Report::Change | Report::Always => None,
    };
    let numbers = new.as_f64(of).zip(old.as_f64(of));
    match numbers.and_then(|(new, old)| Some((new, old, band(old)?))) {
        Some((new, old, band)) if new.is_finite() && old.is_finite() => (new - old).abs() > band,
        Some((new, old, _)) => new != old && !(new.is_nan() && old.is_nan()),
        None => new != old,
    }
}
