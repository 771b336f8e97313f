//! How many bytes and values went over a link: today, this month, ever. Kept over restarts beside its positions.

use jiff::tz::TimeZone;
use jiff::{Timestamp as Instant, ToSpan};
use twin::Timestamp;

/// Whatever a later version appends is ignored.
const VERSION: u8 = 1;
/// So many bytes more are worth a record of their own; fewer go with the next one.
const WORTH: u64 = 16 << 10;

/// What went over a link.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Months since year 0, and days since 1970, of the link's zone; 0 before the clock was set.
    month: i32,
    day: i32,
    /// Bytes of MQTT in both directions, in this month.
    pub(super) month_bytes: u64,
    /// The same, today.
    pub(super) day_bytes: u64,
    /// The same, ever.
    pub(super) bytes: u64,
    /// Values sent, today.
    pub(super) day_values: u64,
    /// The same, ever.
    pub(super) values: u64,
}

/// A tally that follows a session's counters and the clock.
#[derive(Debug)]
pub(super) struct Meter {
    pub(super) tally: Tally,
    zone: TimeZone,
    /// What the present session had counted at the last look.
    seen: u64,
    /// Where today began and ends, in UTC.
    today: (i64, i64),
    /// The bytes when the tally was last kept.
    kept: u64,
}

impl Meter {
    /// Goes on from what was kept.
    pub(super) fn new(zone: TimeZone, note: &[u8]) -> Self {
        let tally = Tally::decode(note).unwrap_or_default();
        let kept = tally.bytes;
        Self { tally, zone, seen: 0, today: (0, 0), kept }
    }

    /// A session begins, and its counters with it.
    pub(super) fn begin(&mut self) {
        self.seen = 0;
    }

    /// The present session has moved this many bytes so far. Says whether a day or a month has ended.
    pub(super) fn look(&mut self, moved: u64, now: Option<Timestamp>) -> bool {
        let turned = now.is_some_and(|now| self.turn(now));
        let more = moved.saturating_sub(self.seen);
        self.seen = moved;
        let tally = &mut self.tally;
        for sum in [&mut tally.month_bytes, &mut tally.day_bytes, &mut tally.bytes] {
            *sum = sum.saturating_add(more);
        }
        turned
    }

    /// These values were sent.
    pub(super) fn values(&mut self, n: usize) {
        self.tally.values += n as u64;
        self.tally.day_values += n as u64;
    }

    /// What to keep, where that is worth it, or `now` in any case.
    pub(super) fn note(&mut self, now: bool) -> Option<Vec<u8>> {
        let more = self.tally.bytes - self.kept;
        (more >= WORTH || (now && more > 0)).then(|| {
            self.kept = self.tally.bytes;
            self.tally.encode()
        })
    }

    fn turn(&mut self, now: Timestamp) -> bool {
        let (begins, ends) = self.today;
        if (begins..ends).contains(&now.0) {
            return false;
        }
        let Ok(instant) = Instant::from_microsecond(now.0) else { return false };
        let local = instant.to_zoned_datetime(self.zone.clone());
        let date = local.date();
        let begins = local.start_of_day().map_or(now.0, |at| at.timestamp().as_microsecond());
        let ends =
            date.checked_add(1.day()).and_then(|next| next.to_zoned_datetime(self.zone.clone()));
        let ends = ends.map_or(i64::MAX, |at| at.timestamp().as_microsecond());
        self.today = (begins, ends);
        let month = i32::from(date.year()) * 12 + i32::from(date.month());
        // Rounds down before 1970, too.
        let since = Instant::UNIX_EPOCH.to_zoned_datetime(TimeZone::UTC).date().until(date);
        let day = since.map_or(0, |span| span.get_days());
        self.tally.turn(month, day)
    }
}

impl Tally {
    /// A new month or day begins where it is later than the one that was counted. A clock that went back takes nothing
    /// back, and a budget that was used up does not come again.
    fn turn(&mut self, month: i32, day: i32) -> bool {
        let known = self.month != 0;
        let (month_over, day_over) = (known && month > self.month, known && day > self.day);
        (self.month, self.day) = (month, day);
        if month_over {
            self.month_bytes = 0;
        }
        if day_over {
            (self.day_bytes, self.day_values) = (0, 0);
        }
        month_over || day_over
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.month.to_le_bytes());
        out.extend_from_slice(&self.day.to_le_bytes());
        for sum in [self.month_bytes, self.day_bytes, self.bytes, self.day_values, self.values] {
            out.extend_from_slice(&sum.to_le_bytes());
        }
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (month, rest) = rest.split_first_chunk::<4>()?;
        let (day, mut rest) = rest.split_first_chunk::<4>()?;
        let mut sum = || {
            let (sum, after) = rest.split_first_chunk::<8>()?;
            rest = after;
            Some(u64::from_le_bytes(*sum))
        };
        (*version == VERSION).then_some(())?;
        Some(Self {
            month: i32::from_le_bytes(*month),
            day: i32::from_le_bytes(*day),
            month_bytes: sum()?,
            day_bytes: sum()?,
            bytes: sum()?,
            day_values: sum()?,
            values: sum()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn when(text: &str) -> Option<Timestamp> {
        Some(Timestamp::parse(text).unwrap())
    }

    fn sums(meter: &Meter) -> (u64, u64, u64) {
        (meter.tally.day_bytes, meter.tally.month_bytes, meter.tally.bytes)
    }

    #[test]
    fn days_and_months_end_where_the_link_is() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let mut meter = Meter::new(berlin.clone(), &[]);
        assert!(!meter.look(100, when("2026-11-30T22:30:00Z")), "the first look ends nothing");
        assert!(!meter.look(150, when("2026-11-30T22:59:59Z")));
        assert_eq!(sums(&meter), (150, 150, 150));
        assert!(meter.look(160, when("2026-11-30T23:00:00Z")), "December in Berlin");
        assert_eq!(sums(&meter), (10, 10, 160));
        meter.begin();
        assert!(meter.look(5, when("2026-12-02T00:00:00Z")));
        assert_eq!(sums(&meter), (5, 15, 165));

        let note = meter.note(true).unwrap();
        assert_eq!(meter.note(true), None, "nothing new");
        let mut next = Meter::new(berlin, &note);
        assert_eq!(sums(&next), (5, 15, 165));
        next.look(1, when("2026-12-02T01:00:00Z"));
        assert_eq!(sums(&next), (6, 16, 166), "a restart goes on counting");
        assert_eq!(next.note(false), None, "a byte is not worth a record");
        next.look(20_000, when("2026-12-02T01:00:00Z"));
        assert!(next.note(false).is_some());
    }

    #[test]
    fn a_clock_that_goes_back_gives_no_second_budget() {
        let mut meter = Meter::new(TimeZone::UTC, &[]);
        meter.look(100, when("2026-12-15T00:00:00Z"));
        assert!(!meter.look(100, when("2026-11-15T00:00:00Z")));
        assert_eq!(sums(&meter), (100, 100, 100));
        assert!(meter.look(100, when("2026-12-15T00:00:00Z")), "a month that ends again, ends");
        let mut unset = Meter::new(TimeZone::UTC, &[]);
        unset.look(7, None);
        assert!(!unset.look(9, when("2026-11-15T00:00:00Z")), "before the clock was set is today");
        assert_eq!(sums(&unset), (9, 9, 9));
    }

    #[test]
    fn what_is_kept_makes_sense_or_nothing() {
        let tally =
            Tally { month: 24_000, day: -3, bytes: u64::MAX, values: 7, ..Tally::default() };
        let bytes = tally.encode();
        assert_eq!(Tally::decode(&bytes), Some(tally));
        for end in 0..bytes.len() {
            assert_eq!(Tally::decode(&bytes[..end]), None);
        }
    }
}
