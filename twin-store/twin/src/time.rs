//! Instants, clocks, and how the log turns a boot's own time into wall-clock time.

use std::collections::BTreeSet;
use std::fmt;

use crate::Seq;

/// Wall-clock time: microseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The instant that an RFC 3339 text in UTC names, to the microsecond; finer digits are cut.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (date, clock) = text.strip_suffix(['Z', 'z'])?.split_once(['T', 't', ' '])?;
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
        let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
        let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
        let all_digits = !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit());
        let legal = (1..=12).contains(&month) && day >= 1 && hour < 24 && minute < 60;
        if !(all_digits && legal && second <= 60) {
            return None;
        }
        let days = days_of(year, month, day);
        if date_of(days) != (year, month, day) {
            return None;
        }
        let micros = fraction.bytes().chain(std::iter::repeat(b'0')).take(6);
        let micros = micros.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        Some(Self((days * 86_400 + hour * 3600 + minute * 60 + second) * 1_000_000 + micros))
    }

    /// Year, month, day, hour, minute, second and microseconds.
    fn fields(self) -> [i64; 7] {
        let (year, month, day) = date_of(self.0.div_euclid(86_400_000_000));
        let micros = self.0.rem_euclid(86_400_000_000);
        let (second, micros) = (micros / 1_000_000, micros % 1_000_000);
        [year, month, day, second / 3600, second / 60 % 60, second % 60, micros]
    }

    /// The text of [`fmt::Display`] for the hot path; `None` outside the years 0 to 9999.
    #[must_use]
    pub fn text(self) -> Option<InstantText> {
        let [year, month, day, hour, minute, second, micros] = self.fields();
        if !(0..=9999).contains(&year) {
            return None;
        }
        let mut bytes = *b"0000-00-00T00:00:00.000000Z";
        let fields = [
            (year, 0..4),
            (month, 5..7),
            (day, 8..10),
            (hour, 11..13),
            (minute, 14..16),
            (second, 17..19),
        ];
        for (number, place) in fields {
            digits(bytes.get_mut(place), number);
        }
        digits(bytes.get_mut(20..26), micros);
        if micros % 1000 != 0 {
            return Some(InstantText { bytes, len: 27 });
        }
        bytes[23] = b'Z';
        Some(InstantText { bytes, len: 24 })
    }
}

/// An instant as RFC 3339 writes it.
#[derive(Debug, Clone, Copy)]
pub struct InstantText {
    bytes: [u8; 27],
    len: usize,
}

impl InstantText {
    /// Its characters.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds, or with microseconds where there are any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = self.text() {
            return f.write_str(std::str::from_utf8(text.as_bytes()).map_err(|_| fmt::Error)?);
        }
        // RFC 3339 has no such years; ISO 8601 signs them.
        let [year, month, day, hour, minute, second, micros] = self.fields();
        write!(f, "{year:+05}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

/// Writes a number that is not negative with leading zeros.
fn digits(place: Option<&mut [u8]>, mut number: i64) {
    for digit in place.into_iter().flatten().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

/// Numbers of exactly these many digits.
fn numbers(text: &str, by: char, widths: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(by);
    let mut all = [0; 3];
    for (number, width) in all.iter_mut().zip(widths) {
        let part = parts.next().filter(|p| p.len() == width)?;
        *number = part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())??;
    }
    parts.next().is_none().then_some(all)
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March here, so that the leap day is the last one.
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date this many days after 1970-01-01.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let month = if march < 10 { march + 3 } else { march - 9 };
    (year + era * 400 + i64::from(month <= 2), month, of_year - (153 * march + 2) / 5 + 1)
}

/// Time since the machine booted, sleep included (`CLOCK_BOOTTIME`), in microseconds.
///
/// It goes on over restarts of the daemon and begins anew with each boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Boottime(pub i64);

/// Which boot of the machine: the kernel's random id of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BootId(pub [u8; 16]);

impl fmt::Debug for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Which clock a time was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceClock {
    /// Ours: microseconds of [`Boottime`], resolved to UTC by the [`Timeline`].
    Gateway = 0,
    /// The asset's: microseconds since 1970 UTC, never adjusted by us.
    Device = 1,
}

/// A base time of a change and the clock that it was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeBase {
    /// Whose clock.
    pub clock: SourceClock,
    /// Microseconds on that clock.
    pub micros: i64,
}

impl TimeBase {
    /// A time of our own clock.
    #[must_use]
    pub fn gateway(at: Boottime) -> Self {
        Self { clock: SourceClock::Gateway, micros: at.0 }
    }

    /// A time of the asset's clock.
    #[must_use]
    pub fn device(at: Timestamp) -> Self {
        Self { clock: SourceClock::Device, micros: at.0 }
    }

    /// The same base, this many microseconds later.
    #[must_use]
    pub fn plus(self, offset: i64) -> Self {
        Self { micros: self.micros.saturating_add(offset), ..self }
    }
}

/// Now, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Time since boot.
    pub boottime: Boottime,
    /// Which boot.
    pub boot: BootId,
    /// Wall-clock time; `None` while the clock is not set.
    pub utc: Option<Timestamp>,
}

/// A stretch of the log whose times resolve with one offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first sequence number of the stretch.
    pub from: Seq,
    /// The epoch: grows at each opening of the store.
    pub epoch: u32,
    /// The boot during which it was written.
    pub boot: BootId,
    /// UTC minus boottime in microseconds; `None` while the clock was not set.
    pub offset: Option<i64>,
}

/// How [`Boottime`] in the log resolves to wall-clock time: the fold of epoch openings and clock settings.
///
/// Invariant: `spans` is sorted by `from`. Nothing in the log is ever rewritten when the clock is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    spans: Vec<Span>,
}

impl Timeline {
    /// A timeline of these spans, sorted by their first sequence number.
    #[must_use]
    pub fn new(mut spans: Vec<Span>) -> Self {
        spans.sort_by_key(|span| span.from);
        Self { spans }
    }

    /// All spans, oldest first.
    #[must_use]
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// An epoch begins at `from`.
    ///
    /// If the clock was set between two epochs of one boot, the earlier one's stretches get their offset now.
    pub fn opened(&mut self, from: Seq, epoch: u32, boot: BootId, offset: Option<i64>) {
        self.time(boot, offset);
        self.spans.push(Span { from, epoch, boot, offset });
    }

    /// The clock was set at `from`.
    ///
    /// The first setting of a boot that started unset gives that boot's earlier stretches their offset;
    /// any later step is valid from here on only, so that a wrong step never falsifies good history.
    pub fn clock_set(&mut self, from: Seq, offset: i64) {
        let Some(last) = self.spans.last().copied() else { return };
        self.time(last.boot, Some(offset));
        if last.offset.is_some_and(|known| known != offset) {
            self.spans.push(Span { from, offset: Some(offset), ..last });
        }
    }

    /// Gives the stretches of a boot that have no offset this one.
    fn time(&mut self, boot: BootId, offset: Option<i64>) {
        for span in self.spans.iter_mut().filter(|s| s.boot == boot && s.offset.is_none()) {
            span.offset = offset;
        }
    }

    /// The span that the commit with this sequence number belongs to.
    #[must_use]
    pub fn span_of(&self, seq: Seq) -> Option<Span> {
        let after = self.spans.partition_point(|span| span.from <= seq);
        after.checked_sub(1).and_then(|i| self.spans.get(i)).copied()
    }

    /// The first commit of the present boot that is known to be one: boottimes of earlier commits cannot be compared
    /// with today's.
    #[must_use]
    pub fn booted(&self) -> Seq {
        let boot = self.spans.last().map(|span| span.boot);
        let of_it = self.spans.iter().rev().take_while(|span| Some(span.boot) == boot);
        of_it.last().map_or(Seq(0), |span| span.from)
    }

    /// Wall-clock time of a boottime found in the commit `seq`; `None` while that boot's clock is unset.
    #[must_use]
    pub fn resolve(&self, seq: Seq, at: Boottime) -> Option<Timestamp> {
        self.span_of(seq)?.offset.map(|offset| Timestamp(at.0.saturating_add(offset)))
    }

    /// Wall-clock time of a time base found in the commit `seq`.
    #[must_use]
    pub fn resolve_base(&self, seq: Seq, base: TimeBase) -> Option<Timestamp> {
        match base.clock {
            SourceClock::Device => Some(Timestamp(base.micros)),
            SourceClock::Gateway => self.resolve(seq, Boottime(base.micros)),
        }
    }

    /// Drops the spans that end before `first`, the oldest commit that is still kept, and that none of these commits
    /// lies in.
    pub fn forget(&mut self, first: Seq, mentioned: impl IntoIterator<Item = Seq>) {
        let before = self.spans.partition_point(|span| span.from <= first).saturating_sub(1);
        let place = |seq| self.spans.partition_point(|span| span.from <= seq).checked_sub(1);
        let needed: BTreeSet<usize> = mentioned.into_iter().filter_map(place).collect();
        let mut place = 0;
        self.spans.retain(|_| {
            place += 1;
            place > before || needed.contains(&(place - 1))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: BootId = BootId([1; 16]);
    const B: BootId = BootId([2; 16]);

    #[test]
    fn instants_read_as_written() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000Z"),
            (4_107_542_399_123_456, "2100-02-28T23:59:59.123456Z"),
            (253_402_300_799_999_000, "9999-12-31T23:59:59.999Z"),
            (-62_167_219_200_000_000, "0000-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(Timestamp(micros).to_string(), text);
            assert_eq!(Timestamp::parse(text), Some(Timestamp(micros)));
        }
        assert_eq!(Timestamp(253_402_300_800_000_000).to_string(), "+10000-01-01T00:00:00.000000Z");
        assert!(Timestamp(i64::MIN).to_string().starts_with('-'));
        for day in -800_000..800_000 {
            let (y, m, d) = date_of(day);
            assert_eq!(days_of(y, m, d), day);
        }
        for bad in [
            "",
            "2026-02-30T00:00:00Z",
            "2026-01-01T00:00:00",
            "2026-1-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00.Z",
        ] {
            assert_eq!(Timestamp::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_boot_without_a_clock_is_timed_when_the_clock_is_set() {
        let mut line = Timeline::default();
        line.opened(Seq(1), 1, A, None);
        line.opened(Seq(10), 2, A, None);
        assert_eq!(line.resolve(Seq(5), Boottime(7)), None);
        line.clock_set(Seq(20), 1_000);
        assert_eq!(line.resolve(Seq(5), Boottime(7)), Some(Timestamp(1_007)));
        assert_eq!(line.resolve(Seq(25), Boottime(9)), Some(Timestamp(1_009)));
    }

    #[test]
    fn a_clock_that_was_set_between_two_epochs_of_a_boot_times_the_first() {
        let mut line = Timeline::default();
        line.opened(Seq(1), 1, B, None);
        line.opened(Seq(5), 2, A, None);
        line.opened(Seq(10), 3, A, Some(1_000));
        assert_eq!(line.resolve(Seq(7), Boottime(7)), Some(Timestamp(1_007)));
        assert_eq!(line.resolve(Seq(2), Boottime(7)), None, "of another boot nothing is known");
        line.clock_set(Seq(20), 9_000);
        assert_eq!(line.resolve(Seq(7), Boottime(7)), Some(Timestamp(1_007)));
    }

    #[test]
    fn a_boot_begins_with_its_first_epoch() {
        let mut line = Timeline::default();
        assert_eq!(line.booted(), Seq(0));
        line.opened(Seq(1), 1, B, None);
        line.opened(Seq(5), 2, A, None);
        line.opened(Seq(10), 3, A, Some(1_000));
        line.clock_set(Seq(20), 9_000);
        assert_eq!(line.booted(), Seq(5));
        line.opened(Seq(30), 4, B, Some(1));
        assert_eq!(line.booted(), Seq(30), "a boot whose id comes again is another stretch");
    }

    #[test]
    fn a_later_step_leaves_history_alone() {
        let mut line = Timeline::default();
        line.opened(Seq(1), 1, A, Some(1_000));
        line.clock_set(Seq(20), 999_000);
        assert_eq!(line.resolve(Seq(19), Boottime(0)), Some(Timestamp(1_000)));
        assert_eq!(line.resolve(Seq(20), Boottime(0)), Some(Timestamp(999_000)));
    }

    #[test]
    fn another_boots_unset_clock_is_not_touched() {
        let mut line = Timeline::default();
        line.opened(Seq(1), 1, A, None);
        line.opened(Seq(10), 2, B, None);
        line.clock_set(Seq(11), 5);
        assert_eq!(line.resolve(Seq(1), Boottime(0)), None);
        assert_eq!(line.resolve(Seq(10), Boottime(0)), Some(Timestamp(5)));
    }

    #[test]
    fn forgetting_keeps_the_spans_that_are_needed() {
        let mut line = Timeline::default();
        for n in 0..6 {
            line.opened(Seq(n * 10 + 1), 1, A, Some(n.cast_signed()));
        }
        line.forget(Seq(45), [Seq(15), Seq(50)]);
        let from: Vec<u64> = line.spans().iter().map(|span| span.from.0).collect();
        assert_eq!(from, [11, 41, 51], "a commit mentioned, the oldest kept, and what follows");
        assert_eq!(line.resolve(Seq(45), Boottime(0)), Some(Timestamp(4)));
        assert_eq!(line.resolve(Seq(15), Boottime(0)), Some(Timestamp(1)));
        let before = line.clone();
        line.forget(Seq(0), []);
        assert_eq!(line, before);
    }
}
