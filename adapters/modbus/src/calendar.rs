//! Dates and times in registers.

use jiff::Timestamp as Instant;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use twin::Timestamp;

use crate::Order;
use crate::format::{TimeField, TimeLayout, TimeUnit};

/// What registers say about an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// This instant.
    At(Timestamp),
    /// This instant or the same wall-clock time an hour away, or the device says that its clock is not to be trusted.
    Doubtful(Timestamp),
    /// The clock was never set.
    Unset,
    /// No date and time of any calendar.
    Impossible,
}

/// Bytes of the registers that a layout takes.
pub(crate) fn bytes_of(layout: &TimeLayout) -> usize {
    match layout {
        TimeLayout::Unix32(_) => 4,
        TimeLayout::Unix64(_) | TimeLayout::Iec870 => 8,
        TimeLayout::Registers(fields) => fields.len() * 2,
        TimeLayout::Bytes(fields) => fields.len().next_multiple_of(2),
    }
}

/// Whether a layout is one number, whose bytes have an order.
pub(crate) fn is_number(layout: &TimeLayout) -> bool {
    matches!(layout, TimeLayout::Unix32(_) | TimeLayout::Unix64(_))
}

/// Reads an instant.
pub(crate) fn read(layout: &TimeLayout, zone: &TimeZone, order: Order, wire: &[u8]) -> Read {
    let unit = match layout {
        TimeLayout::Unix32(unit) | TimeLayout::Unix64(unit) => *unit,
        _ => return read_civil(layout, zone, order, wire),
    };
    let raw = order.read(wire).cast_signed();
    let Some(micros) = raw.checked_mul(micros(unit)) else { return Read::Impossible };
    let Ok(instant) = Instant::from_microsecond(micros) else { return Read::Impossible };
    if *zone == TimeZone::UTC {
        return Read::At(Timestamp(micros));
    }
    resolve(TimeZone::UTC.to_datetime(instant), zone, None)
}

fn read_civil(layout: &TimeLayout, zone: &TimeZone, order: Order, wire: &[u8]) -> Read {
    let swap = order != Order::big(2);
    let bytes: Vec<u8> = if swap {
        wire.chunks(2).flat_map(|pair| pair.iter().rev().copied()).collect()
    } else {
        wire.to_vec()
    };
    if bytes.iter().all(|b| *b == 0) || bytes.iter().all(|b| *b == 0xFF) {
        return Read::Unset;
    }
    let mut parts = Parts::default();
    let (mut summer, mut invalid) = (None, false);
    match layout {
        TimeLayout::Registers(fields) => {
            for (field, word) in fields.iter().zip(bytes.chunks_exact(2)) {
                parts.set(*field, word.iter().fold(0, |sum, b| sum << 8 | i32::from(*b)));
            }
        }
        TimeLayout::Bytes(fields) => {
            for (field, byte) in fields.iter().zip(&bytes) {
                parts.set(*field, i32::from(*byte));
            }
        }
        _ => {
            let [_, year, month, day, hour, minute, high, low] = *bytes else {
                return Read::Impossible;
            };
            parts.set(TimeField::YearOfCentury, i32::from(year & 0x7F));
            parts.set(TimeField::Month, i32::from(month & 0x0F));
            parts.set(TimeField::Day, i32::from(day & 0x1F));
            parts.set(TimeField::Hour, i32::from(hour & 0x1F));
            parts.set(TimeField::Minute, i32::from(minute & 0x3F));
            let millis = i32::from(high) << 8 | i32::from(low);
            parts.set(TimeField::Second, millis / 1000);
            parts.set(TimeField::Millisecond, millis % 1000);
            // A device that does not use the summer bit leaves it 0, so only 1 says something.
            summer = (hour & 0x80 != 0).then_some(true);
            invalid = minute & 0x80 != 0;
        }
    }
    let read = parts.civil().map_or(Read::Impossible, |civil| resolve(civil, zone, summer));
    match read {
        Read::At(at) if invalid => Read::Doubtful(at),
        read => read,
    }
}

/// The instant of a wall-clock time. In the hour that is repeated when summer time ends, the summer bit decides.
fn resolve(civil: DateTime, zone: &TimeZone, summer: Option<bool>) -> Read {
    let ambiguous = zone.to_ambiguous_timestamp(civil);
    let at =
        |instant: Result<Instant, jiff::Error>| instant.ok().map(|i| Timestamp(i.as_microsecond()));
    let (instant, sure) = match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } => (at(ambiguous.compatible()), true),
        AmbiguousOffset::Fold { .. } => (at(ambiguous.earlier()), summer == Some(true)),
        AmbiguousOffset::Gap { .. } => return Read::Impossible,
    };
    match (instant, sure) {
        (Some(at), true) => Read::At(at),
        (Some(at), false) => Read::Doubtful(at),
        (None, _) => Read::Impossible,
    }
}

/// Writes an instant; `None` where the layout does not hold it. Fractions that the layout does not have are cut off.
pub(crate) fn write(
    layout: &TimeLayout,
    zone: &TimeZone,
    order: Order,
    at: Timestamp,
) -> Option<Vec<u8>> {
    let instant = Instant::from_microsecond(at.0).ok()?;
    let offset = zone.to_offset_info(instant);
    let civil = zone.to_datetime(instant);
    let mut wire = Vec::with_capacity(bytes_of(layout));
    if let TimeLayout::Unix32(unit) | TimeLayout::Unix64(unit) = layout {
        let local = if *zone == TimeZone::UTC {
            at.0
        } else {
            at.0 + i64::from(offset.offset().seconds()) * 1_000_000
        };
        let raw = local.div_euclid(micros(*unit));
        if matches!(layout, TimeLayout::Unix32(_)) {
            u32::try_from(raw).ok()?;
        }
        order.write(raw.cast_unsigned(), &mut wire);
        return Some(wire);
    }
    match layout {
        TimeLayout::Registers(fields) => {
            for field in fields {
                let word = u16::try_from(part(*field, civil)?).ok()?;
                wire.extend_from_slice(&word.to_be_bytes());
            }
        }
        TimeLayout::Bytes(fields) => {
            for field in fields {
                wire.push(u8::try_from(part(*field, civil)?).ok()?);
            }
            wire.resize(bytes_of(layout), 0);
        }
        _ => {
            let byte = |field| part(field, civil).and_then(|v| u8::try_from(v).ok());
            let year = byte(TimeField::YearOfCentury).filter(|year| *year <= 127)?;
            let summer = if offset.dst().is_dst() { 0x80 } else { 0 };
            let millis = u16::try_from(civil.second()).ok()? * 1000
                + u16::try_from(civil.millisecond()).ok()?;
            wire.extend([0, year, byte(TimeField::Month)?, byte(TimeField::Day)?]);
            wire.extend([byte(TimeField::Hour)? | summer, byte(TimeField::Minute)?]);
            wire.extend(millis.to_be_bytes());
        }
    }
    if order != Order::big(2) {
        wire.chunks_exact_mut(2).for_each(<[u8]>::reverse);
    }
    Some(wire)
}

fn micros(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Seconds => 1_000_000,
        TimeUnit::Milliseconds => 1_000,
        TimeUnit::Microseconds => 1,
    }
}

/// The fields that were read; the first day of 2000 where the layout says nothing.
struct Parts {
    year: i32,
    month: i32,
    day: i32,
    hour: i32,
    minute: i32,
    second: i32,
    nanosecond: i32,
}

impl Default for Parts {
    fn default() -> Self {
        Self { year: 2000, month: 1, day: 1, hour: 0, minute: 0, second: 0, nanosecond: 0 }
    }
}

impl Parts {
    fn set(&mut self, field: TimeField, value: i32) {
        match field {
            TimeField::Year => self.year = value,
            TimeField::YearOfCentury => self.year = 2000 + value,
            TimeField::Month => self.month = value,
            TimeField::Day => self.day = value,
            TimeField::Hour => self.hour = value,
            TimeField::Minute => self.minute = value,
            TimeField::Second => self.second = value,
            // Beyond its range a fraction is made impossible instead of carried into the seconds.
            TimeField::Hundredth if value > 99 => self.nanosecond = -1,
            TimeField::Millisecond if value > 999 => self.nanosecond = -1,
            TimeField::Hundredth => self.nanosecond = value * 10_000_000,
            TimeField::Millisecond => self.nanosecond = value * 1_000_000,
            TimeField::Ignored => {}
        }
    }

    fn civil(&self) -> Option<DateTime> {
        let small = |value: i32| i8::try_from(value).ok();
        DateTime::new(
            i16::try_from(self.year).ok()?,
            small(self.month)?,
            small(self.day)?,
            small(self.hour)?,
            small(self.minute)?,
            small(self.second)?,
            self.nanosecond,
        )
        .ok()
    }
}

fn part(field: TimeField, civil: DateTime) -> Option<i32> {
    Some(match field {
        TimeField::Year => i32::from(civil.year()),
        TimeField::YearOfCentury => i32::from(civil.year().checked_sub(2000)?),
        TimeField::Month => i32::from(civil.month()),
        TimeField::Day => i32::from(civil.day()),
        TimeField::Hour => i32::from(civil.hour()),
        TimeField::Minute => i32::from(civil.minute()),
        TimeField::Second => i32::from(civil.second()),
        TimeField::Hundredth => i32::from(civil.millisecond()) / 10,
        TimeField::Millisecond => i32::from(civil.millisecond()),
        TimeField::Ignored => 0,
    })
}
