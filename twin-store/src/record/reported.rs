//! Readings on disk: which indexes, which of them are not good, their values in the width of their described type.
//!
//! ```text
//! flags u8 · revision, group varint · source · [server] · [command varint] · [origin]
//! count and form varint · indexes (bitmap, or deltas where that is shorter)
//! [exceptions: count, then per exception distance, quality, cause, code]
//! values, in the order of the indexes · [offsets, zigzag varints]
//! ```

use twin::{
    Boottime, CommandId, Description, Entry, Origin, Quality, Reported, SourceClock, TimeBase,
};

use super::common::{put_origin, put_quality, put_time, take_origin, take_quality, take_time};
use super::value::{self, ValueRef};
use crate::codec::{Put, Take};

const DEVICE: u8 = 1;
const SERVER: u8 = 1 << 1;
const SERVER_DEVICE: u8 = 1 << 2;
const COMMAND: u8 = 1 << 3;
const CONTINUED: u8 = 1 << 4;
const EXCEPTIONS: u8 = 1 << 5;
const OFFSETS: u8 = 1 << 6;
const ORIGIN: u8 = 1 << 7;

/// Puts a change whose entries are sorted, unique and of the description's types.
pub(crate) fn put(
    out: &mut Vec<u8>,
    at: Boottime,
    description: &Description,
    origin: &Origin,
    reported: &Reported,
) {
    let entries = &reported.entries;
    let odd = |e: &Entry| e.quality != Quality::GOOD || e.value.is_none();
    let exceptions = entries.iter().filter(|e| odd(e)).count();
    let offsets = entries.iter().any(|e| e.offset != 0);
    let flag = |on: bool, flag: u8| if on { flag } else { 0 };
    let device = |time: TimeBase| time.clock == SourceClock::Device;
    out.put_u8(
        flag(device(reported.source), DEVICE)
            | flag(reported.server.is_some(), SERVER)
            | flag(reported.server.is_some_and(device), SERVER_DEVICE)
            | flag(reported.command.is_some(), COMMAND)
            | flag(reported.continued, CONTINUED)
            | flag(exceptions > 0, EXCEPTIONS)
            | flag(offsets, OFFSETS)
            | flag(*origin != Origin::Asset, ORIGIN),
    );
    out.put_varint(u64::from(reported.revision));
    out.put_varint(u64::from(reported.group));
    put_time(out, at, reported.source);
    if let Some(server) = reported.server {
        put_time(out, at, server);
    }
    if let Some(command) = reported.command {
        out.put_varint(command.0);
    }
    if *origin != Origin::Asset {
        put_origin(out, origin);
    }
    put_indexes(out, entries);
    if exceptions > 0 {
        out.put_len(exceptions);
        let mut next = 0;
        for (i, entry) in entries.iter().enumerate().filter(|(_, e)| odd(e)) {
            out.put_len(i - next);
            next = i + 1;
            put_quality(out, entry.quality, entry.value.is_some());
        }
    }
    for entry in entries {
        if let (Some(v), Some(point)) = (&entry.value, description.point(entry.index)) {
            value::put(out, &point.spec.value_type, v);
        }
    }
    if offsets {
        entries.iter().for_each(|e| out.put_zigzag(e.offset));
    }
}

fn put_indexes(out: &mut Vec<u8>, entries: &[Entry]) {
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
        return out.put_varint(0);
    };
    let base = first.index / 8;
    let width = usize::from(last.index / 8 - base) + 1;
    if entries.len() < width {
        out.put_varint((entries.len() as u64) << 1 | 1);
        let mut next = 0;
        for entry in entries {
            out.put_varint(u64::from(entry.index - next));
            next = entry.index.saturating_add(1);
        }
        return;
    }
    out.put_varint((entries.len() as u64) << 1);
    out.put_varint(u64::from(base));
    out.put_len(width);
    let start = out.len();
    out.resize(start + width, 0);
    for entry in entries {
        if let Some(byte) = out.get_mut(start + usize::from(entry.index / 8 - base)) {
            *byte |= 1 << (entry.index % 8);
        }
    }
}

/// A change of readings as it lies in its record; iterating copies and allocates nothing.
#[derive(Debug, Clone)]
pub struct ReportedView<'a> {
    /// The description revision whose indexes are used.
    pub revision: u32,
    /// The acquisition group.
    pub group: u16,
    /// When the asset had these values.
    pub source: TimeBase,
    /// When the asset's server handled them.
    pub server: Option<TimeBase>,
    /// The command that this reading answers.
    pub command: Option<CommandId>,
    /// The next change of this twin belongs to the same atom.
    pub continued: bool,
    /// Where the change came from.
    pub origin: Origin,
    description: &'a Description,
    indexes: Indexes<'a>,
    exceptions: Take<'a>,
    n_exceptions: usize,
    values: Take<'a>,
    offsets: Option<Take<'a>>,
}

/// One reading of a [`ReportedView`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EntryView<'a> {
    /// Which point.
    pub index: u16,
    /// How far it can be trusted.
    pub quality: Quality,
    /// The value; `None` where none was had.
    pub value: Option<ValueRef<'a>>,
    /// Microseconds after the change's source time.
    pub offset: i64,
}

/// What stands before the values.
struct Head<'a> {
    flags: u8,
    revision: u32,
    group: u16,
    source: TimeBase,
    server: Option<TimeBase>,
    command: Option<CommandId>,
    origin: Origin,
    indexes: Indexes<'a>,
}

fn head<'a>(take: &mut Take<'a>, at: Boottime) -> Option<Head<'a>> {
    let flags = take.u8()?;
    let has = |flag: u8| flags & flag != 0;
    let (revision, group) = (take.varint32()?, take.varint16()?);
    let source = take_time(take, at, has(DEVICE))?;
    let server = if has(SERVER) { Some(take_time(take, at, has(SERVER_DEVICE))?) } else { None };
    let command = if has(COMMAND) { Some(CommandId(take.varint()?)) } else { None };
    let origin = if has(ORIGIN) { take_origin(take)? } else { Origin::Asset };
    let indexes = Indexes::take(take)?;
    Some(Head { flags, revision, group, source, server, command, origin, indexes })
}

/// Whether a change has a reading of one of these points. No value is looked at.
pub(crate) fn touches(mut take: Take<'_>, at: Boottime, points: &[bool]) -> Option<bool> {
    let mut indexes = head(&mut take, at)?.indexes;
    let mut all = std::iter::from_fn(|| indexes.next());
    Some(all.any(|index| points.get(usize::from(index)).is_some_and(|wanted| *wanted)))
}

#[cfg(test)]
thread_local! {
    /// How many changes this thread has taken apart.
    pub(crate) static VIEWED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Takes a change apart; `None` where the bytes make no sense under this description.
pub(crate) fn view<'a>(
    mut take: Take<'a>,
    at: Boottime,
    description: &'a Description,
) -> Option<ReportedView<'a>> {
    #[cfg(test)]
    VIEWED.set(VIEWED.get() + 1);
    let Head { flags, revision, group, source, server, command, origin, indexes } =
        head(&mut take, at)?;
    let has = |flag: u8| flags & flag != 0;
    let n_exceptions = if has(EXCEPTIONS) { take.len()? } else { 0 };
    let exceptions = take;
    for _ in 0..n_exceptions {
        take.varint()?;
        take_quality(&mut take)?;
    }
    let mut view = ReportedView {
        revision,
        group,
        source,
        server,
        command,
        continued: has(CONTINUED),
        origin,
        description,
        indexes,
        exceptions,
        n_exceptions,
        values: take,
        offsets: None,
    };
    if has(OFFSETS) {
        let mut iter = view.iter();
        if iter.by_ref().count() != indexes.count {
            return None;
        }
        view.offsets = Some(iter.values);
    }
    Some(view)
}

impl<'a> ReportedView<'a> {
    /// How many readings there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.indexes.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.indexes.count == 0
    }

    /// The readings, sorted by index.
    #[must_use]
    pub fn iter(&self) -> Entries<'a> {
        Entries {
            description: self.description,
            indexes: self.indexes,
            exceptions: self.exceptions,
            n_exceptions: self.n_exceptions,
            distance: None,
            values: self.values,
            offsets: self.offsets,
        }
    }

    /// The change as the model holds it; `None` where the bytes make no sense.
    #[must_use]
    pub fn to_reported(&self) -> Option<Reported> {
        let entries: Vec<Entry> = self
            .iter()
            .map(|e| Entry {
                index: e.index,
                quality: e.quality,
                value: e.value.map(ValueRef::to_value),
                offset: e.offset,
            })
            .collect();
        (entries.len() == self.len()).then_some(Reported {
            revision: self.revision,
            group: self.group,
            source: self.source,
            server: self.server,
            command: self.command,
            continued: self.continued,
            entries,
        })
    }
}

/// The readings of a change, one after the other. Ends early where the bytes make no sense.
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    description: &'a Description,
    indexes: Indexes<'a>,
    exceptions: Take<'a>,
    n_exceptions: usize,
    /// Good readings before the next exception.
    distance: Option<u64>,
    values: Take<'a>,
    offsets: Option<Take<'a>>,
}

impl Entries<'_> {
    fn quality(&mut self) -> Option<(Quality, bool)> {
        if self.n_exceptions == 0 {
            return Some((Quality::GOOD, true));
        }
        let distance = match self.distance {
            Some(distance) => distance,
            None => self.exceptions.varint()?,
        };
        self.distance = distance.checked_sub(1);
        if self.distance.is_some() {
            return Some((Quality::GOOD, true));
        }
        self.n_exceptions -= 1;
        take_quality(&mut self.exceptions)
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = EntryView<'a>;

    #[inline]
    fn next(&mut self) -> Option<EntryView<'a>> {
        let index = self.indexes.next()?;
        let (quality, has_value) = self.quality()?;
        let of = &self.description.point(index)?.spec.value_type;
        let value = if has_value { Some(value::take(&mut self.values, of)?) } else { None };
        let offset = match &mut self.offsets {
            Some(offsets) => offsets.zigzag()?,
            None => 0,
        };
        Some(EntryView { index, quality, value, offset })
    }
}

/// The indexes of a change.
#[derive(Debug, Clone, Copy)]
struct Indexes<'a> {
    /// How many there are in all.
    count: usize,
    left: usize,
    bytes: Take<'a>,
    bitmap: bool,
    /// Bitmap: what is left of the current byte, and the index of its first bit. Deltas: the lowest possible next index.
    bits: u8,
    base: u32,
}

impl<'a> Indexes<'a> {
    fn take(take: &mut Take<'a>) -> Option<Self> {
        let head = take.varint()?;
        let (count, bitmap) = (usize::try_from(head >> 1).ok()?, head & 1 == 0);
        if count > usize::from(u16::MAX) + 1 {
            return None;
        }
        let empty = Self { count, left: count, bytes: Take(&[]), bitmap, bits: 0, base: 0 };
        if count == 0 {
            return Some(empty);
        }
        if bitmap {
            let base = u32::from(take.varint16()?) * 8;
            let bytes = take.bytes()?;
            let ones: usize = bytes.iter().map(|b| b.count_ones() as usize).sum();
            let end = bytes.len().checked_mul(8)?.checked_add(usize::try_from(base).ok()?)?;
            return (ones == count && end <= usize::from(u16::MAX) + 1).then_some(Self {
                bytes: Take(bytes),
                base: base.wrapping_sub(8),
                ..empty
            });
        }
        let start = *take;
        let mut next = 0_u64;
        for _ in 0..count {
            next = next.checked_add(take.varint()?)?.checked_add(1)?;
        }
        (next <= u64::from(u16::MAX) + 1).then_some(Self { bytes: start, ..empty })
    }

    #[inline]
    fn next(&mut self) -> Option<u16> {
        self.left = self.left.checked_sub(1)?;
        if self.bitmap {
            while self.bits == 0 {
                self.bits = self.bytes.u8()?;
                self.base = self.base.wrapping_add(8);
            }
            let bit = self.bits.trailing_zeros();
            self.bits &= self.bits - 1;
            return u16::try_from(self.base + bit).ok();
        }
        let index = u64::from(self.base) + self.bytes.varint()?;
        self.base = u32::try_from(index).ok()? + 1;
        u16::try_from(index).ok()
    }
}

#[cfg(test)]
mod tests {

    use twin::{IntKind, Kind, Point, PointSpec, Value, ValueType};

    use super::*;

    #[test]
    fn a_register_value_takes_its_width_and_little_more() {
        let mut d = Description::default();
        let point = PointSpec::new(
            "f".parse().unwrap(),
            "p".parse().unwrap(),
            Kind::State,
            ValueType::Int(IntKind::U16),
        );
        d.points =
            std::iter::repeat_n(Point { spec: point, feature: 0, retired: false }, 98).collect();
        let entry = |index| Entry {
            index,
            quality: Quality::GOOD,
            value: Some(Value::Unsigned(7)),
            offset: 0,
        };
        let source = TimeBase::gateway(Boottime(1_000_000));
        let mut reported = Reported {
            revision: 1,
            group: 0,
            source,
            server: None,
            command: None,
            continued: false,
            entries: (0..98).map(entry).collect(),
        };
        let mut bytes = Vec::new();
        put(&mut bytes, Boottime(1_000_900), &d, &Origin::Asset, &reported);
        assert_eq!(bytes.len(), 1 + 1 + 1 + 2 + 2 + 1 + 1 + 13 + 2 * 98);
        reported.entries = vec![entry(3), entry(97)];
        bytes.clear();
        put(&mut bytes, Boottime(1_000_900), &d, &Origin::Asset, &reported);
        assert_eq!(
            bytes.len(),
            1 + 1 + 1 + 2 + 1 + 2 + 2 * 2,
            "two of many are not a bitmap of all"
        );
        let view = view(Take(&bytes), Boottime(1_000_900), &d).unwrap();
        assert_eq!(view.iter().map(|e| e.index).collect::<Vec<_>>(), [3, 97]);
    }
}
