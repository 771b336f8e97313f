use adapter_modbus::{Format, Kind, TimeField, TimeLayout, TimeUnit};
use jiff::tz::{Offset, TimeZone};
use twin::{Cause, Quality, Timestamp, Value};

use super::{bad, codec, good, ordered};

fn time(layout: TimeLayout, zone: &TimeZone) -> Kind {
    Kind::Time { layout, zone: zone.clone() }
}

fn at(text: &str) -> Value {
    let instant: jiff::Timestamp = text.parse().unwrap();
    Value::Time(Timestamp(instant.as_microsecond()))
}

/// Summer time from the last Sunday of March to the last of October.
fn berlin() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}

#[test]
fn seconds_since_1970() {
    let utc = codec(Format::new(time(TimeLayout::Unix32(TimeUnit::Seconds), &TimeZone::UTC)));
    let wire = 1_767_225_600u32.to_be_bytes();
    assert_eq!(good(&utc, &wire), at("2026-01-01T00:00:00Z"));
    assert!(utc.encode(&at("2106-02-07T06:28:16Z")).is_err(), "beyond 32 bits");
    let millis = TimeLayout::Unix64(TimeUnit::Milliseconds);
    let millis = ordered(time(millis, &TimeZone::UTC), "HGFEDCBA");
    let wire = 1_767_225_600_123u64.to_le_bytes();
    assert_eq!(good(&millis, &wire), at("2026-01-01T00:00:00.123Z"));
    // Some count wall-clock seconds (Electrex X3M, registers 166 and 167: UTC plus the zone's offset).
    let local = time(TimeLayout::Unix32(TimeUnit::Seconds), &berlin());
    let wire = 1_767_229_200u32.to_be_bytes();
    assert_eq!(good(&codec(Format::new(local)), &wire), at("2026-01-01T00:00:00Z"));
}

/// Layouts as manuals print them: Schneider Electric EM3xxx "DATETIME", Rockwell 1404 registers 40102 to 40108,
/// Bender PEM575 registers 9000 to 9002 (high and low byte), Socomec ITYS clock table 0x00CB.
#[test]
fn fields_as_in_manuals() {
    use TimeField::{Day, Hour, Hundredth, Ignored, Minute, Month, Second, Year, YearOfCentury};
    let utc = TimeZone::UTC;
    let schneider = codec(Format::new(time(TimeLayout::Iec870, &utc)));
    let wire = [0x00, 0x10, 0x04, 0x19, 0x0E, 0x25, 0x14, 0x82];
    assert_eq!(good(&schneider, &wire), at("2016-04-25T14:37:05.250Z"));
    // The weekday stands in the three bits above the day.
    let monday = [0x00, 0x10, 0x04, 0x59, 0x0E, 0x25, 0x14, 0x82];
    assert_eq!(good(&schneider, &monday), at("2016-04-25T14:37:05.250Z"));

    let rockwell = vec![Year, Month, Day, Hour, Minute, Second, Hundredth];
    let rockwell = codec(Format::new(time(TimeLayout::Registers(rockwell), &utc)));
    let wire: Vec<u8> =
        [2009u16, 11, 30, 23, 59, 58, 99].into_iter().flat_map(u16::to_be_bytes).collect();
    assert_eq!(good(&rockwell, &wire), at("2009-11-30T23:59:58.99Z"));

    let bender = vec![YearOfCentury, Month, Day, Hour, Minute, Second];
    let bender = codec(Format::new(time(TimeLayout::Bytes(bender), &utc)));
    assert_eq!(good(&bender, &[15, 2, 28, 13, 5, 9]), at("2015-02-28T13:05:09Z"));

    let socomec = vec![Minute, Second, Day, Hour, Month, Ignored, Ignored, YearOfCentury];
    let socomec = codec(Format::new(time(TimeLayout::Bytes(socomec), &utc)));
    assert_eq!(good(&socomec, &[5, 9, 28, 13, 2, 6, 0, 15]), at("2015-02-28T13:05:09Z"));
}

#[test]
fn a_clock_that_is_not_set_or_impossible_is_no_value() {
    let schneider = codec(Format::new(time(TimeLayout::Iec870, &TimeZone::UTC)));
    assert_eq!(bad(&schneider, &[0; 8]), Cause::NotAValue);
    assert_eq!(bad(&schneider, &[0xFF; 8]), Cause::NotAValue);
    assert_eq!(bad(&schneider, &[0, 16, 13, 1, 0, 0, 0, 0]), Cause::Malformed, "month 13");
    assert_eq!(bad(&schneider, &[0, 16, 2, 30, 0, 0, 0, 0]), Cause::Malformed, "30 February");
    assert_eq!(bad(&schneider, &[0, 16, 2, 1, 0, 0, 0xEA, 0x60]), Cause::Malformed, "60 s");
    let invalid = schneider.decode(&[0x00, 0x10, 0x04, 0x19, 0x0E, 0xA5, 0x14, 0x82]);
    assert_eq!(invalid.1, Quality::uncertain(Cause::Other), "the device says that it is unsure");
}

#[test]
fn local_time_with_its_two_odd_hours() {
    use TimeField::{Day, Hour, Minute, Month, Second, Year};
    let six = TimeLayout::Registers(vec![Year, Month, Day, Hour, Minute, Second]);
    let local = codec(Format::new(time(six, &berlin())));
    let wire =
        |fields: [u16; 6]| -> Vec<u8> { fields.into_iter().flat_map(u16::to_be_bytes).collect() };
    assert_eq!(good(&local, &wire([2026, 7, 1, 12, 0, 0])), at("2026-07-01T10:00:00Z"));
    // It occurs twice: the earlier one, and not for sure. It cannot be written.
    let twice = local.decode(&wire([2026, 10, 25, 2, 30, 0]));
    assert_eq!(twice, (Some(at("2026-10-25T00:30:00Z")), Quality::uncertain(Cause::Other)));
    assert!(local.encode(&at("2026-10-25T01:30:00Z")).is_err());
    // It never occurs.
    assert_eq!(bad(&local, &wire([2026, 3, 29, 2, 30, 0])), Cause::Malformed);
    // IEC 870 has a bit for summer time.
    let schneider = codec(Format::new(time(TimeLayout::Iec870, &berlin())));
    let summer = [0x00, 26, 10, 25, 0x80 | 2, 30, 0, 0];
    assert_eq!(good(&schneider, &summer), at("2026-10-25T00:30:00Z"));

    let east = TimeZone::fixed(Offset::from_hours(5).unwrap());
    let fixed = codec(Format::new(time(TimeLayout::Unix32(TimeUnit::Seconds), &east)));
    assert_eq!(fixed.expected(&at("2026-10-25T01:30:00Z")), Ok(at("2026-10-25T01:30:00Z")));
}
