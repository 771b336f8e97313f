//! What several kinds of records contain: origins, principals, times, qualities.

use twin::{
    BootId, Boottime, Cause, Class, Origin, Principal, PrincipalKind, Quality, Seq, SourceClock,
    TimeBase, Timestamp,
};

use crate::codec::{Put, Take};

pub(crate) fn put_principal(out: &mut impl Put, by: &Principal) {
    out.put_u8(by.kind as u8);
    out.put_text(&by.name);
}

pub(crate) fn take_principal(take: &mut Take<'_>) -> Option<Principal> {
    let kind = match take.u8()? {
        0 => PrincipalKind::Link,
        1 => PrincipalKind::User,
        2 => PrincipalKind::Application,
        _ => return None,
    };
    Some(Principal { kind, name: take.text()? })
}

pub(crate) fn put_origin(out: &mut impl Put, origin: &Origin) {
    match origin {
        Origin::Asset => out.put_u8(0),
        Origin::Keeper => out.put_u8(1),
        Origin::Configuration => out.put_u8(2),
        Origin::Principal(by) => {
            out.put_u8(3);
            put_principal(out, by);
        }
        Origin::Foreign { gateway, epoch, seq } => {
            out.put_u8(4);
            out.put_text(gateway.as_str());
            out.put_u32(*epoch);
            out.put_u64(seq.0);
        }
    }
}

pub(crate) fn take_origin(take: &mut Take<'_>) -> Option<Origin> {
    Some(match take.u8()? {
        0 => Origin::Asset,
        1 => Origin::Keeper,
        2 => Origin::Configuration,
        3 => Origin::Principal(take_principal(take)?),
        4 => Origin::Foreign { gateway: take.parsed()?, epoch: take.u32()?, seq: Seq(take.u64()?) },
        _ => return None,
    })
}

/// Puts a time: on our clock as the distance before `at`, on the asset's clock as it is.
pub(crate) fn put_time(out: &mut impl Put, at: Boottime, time: TimeBase) {
    match time.clock {
        SourceClock::Gateway => out.put_zigzag(at.0.wrapping_sub(time.micros)),
        SourceClock::Device => out.put_i64(time.micros),
    }
}

pub(crate) fn take_time(take: &mut Take<'_>, at: Boottime, device: bool) -> Option<TimeBase> {
    Some(if device {
        TimeBase { clock: SourceClock::Device, micros: take.i64()? }
    } else {
        TimeBase { clock: SourceClock::Gateway, micros: at.0.wrapping_sub(take.zigzag()?) }
    })
}

/// Puts a time together with the clock that it was read from.
pub(crate) fn put_clocked(out: &mut impl Put, at: Boottime, time: TimeBase) {
    out.put_bool(time.clock == SourceClock::Device);
    put_time(out, at, time);
}

pub(crate) fn take_clocked(take: &mut Take<'_>, at: Boottime) -> Option<TimeBase> {
    let device = take.bool()?;
    take_time(take, at, device)
}

pub(crate) fn put_timestamp(out: &mut impl Put, at: Option<Timestamp>) {
    out.put_option(at, |out, t| out.put_i64(t.0));
}

pub(crate) fn take_timestamp(take: &mut Take<'_>) -> Option<Option<Timestamp>> {
    take.option(|t| t.i64().map(Timestamp))
}

pub(crate) fn take_boot(take: &mut Take<'_>) -> Option<BootId> {
    take.id().map(BootId)
}

const HAS_CODE: u8 = 1 << 7;
const NO_VALUE: u8 = 1 << 6;

/// Puts a quality and whether a value comes with it.
pub(crate) fn put_quality(out: &mut impl Put, quality: Quality, value: bool) {
    let code = if quality.code.is_some() { HAS_CODE } else { 0 };
    let none = if value { 0 } else { NO_VALUE };
    out.put_u8(quality.class as u8 | code | none);
    out.put_u8(quality.cause as u8);
    if let Some(code) = quality.code {
        out.put_u32(code);
    }
}

pub(crate) fn take_quality(take: &mut Take<'_>) -> Option<(Quality, bool)> {
    let flags = take.u8()?;
    let class = Class::from_code(flags & 0x0f)?;
    let cause = Cause::from_code(take.u8()?);
    let code = if flags & HAS_CODE != 0 { Some(take.u32()?) } else { None };
    Some((Quality { class, cause, code }, flags & NO_VALUE == 0))
}
