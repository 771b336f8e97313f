//! What a description has beyond its first form: blocks, each a tag and its bytes, of which unknown ones are skipped.
//!
//! They stand at the end of a `Described` record, and in a section of their own in a snapshot, where descriptions lie
//! in the middle. A description that asks nothing has no blocks, and its bytes are those of the first form.

use std::sync::Arc;

use twin::{
    Alarm, Condition, Description, Guard, Hold, Interlock, Measuring, Pace, Point, Report,
    Thresholds,
};

use crate::codec::{Put, Take};

/// Tags are never reused.
const PACE: u8 = 1;
const PERCENT: u8 = 2;
const OPTIONAL: u8 = 3;
const MEASURING: u8 = 4;
const ALARM: u8 = 5;
const GUARD: u8 = 7;

pub(crate) fn put(out: &mut impl Put, d: &Description) {
    let pace = |p: &Point| Some(p.spec.rules.pace).filter(|pace| *pace != Pace::default());
    points(out, PACE, d, pace, |out, pace| {
        out.put_i64(pace.least);
        out.put_i64(pace.most);
    });
    let percent = |p: &Point| match p.spec.report {
        Report::Percent(band) => Some(band),
        _ => None,
    };
    points(out, PERCENT, d, percent, |out, band| out.put_f64(band));
    if !d.policy.optional.is_empty() {
        let mut block = Vec::new();
        block.put_len(d.policy.optional.len());
        d.policy.optional.iter().for_each(|line| block.put_text(line));
        put_block(out, OPTIONAL, &block);
    }
    if d.policy.entanglement != Measuring::default() {
        let mut block = Vec::new();
        put_measuring(&mut block, &d.policy.entanglement);
        put_block(out, MEASURING, &block);
    }
    points(out, ALARM, d, |p| p.spec.rules.alarm.clone(), |out, alarm| put_alarm(out, &alarm));
    let guard = |p: &Point| Some(p.spec.rules.guard.clone()).filter(|g| *g != Guard::default());
    points(out, GUARD, d, guard, |out, guard| put_guard(out, &guard));
}

/// Adds to the description what the blocks say, to the end of the bytes.
pub(crate) fn take(take: &mut Take<'_>, d: &mut Description) -> Option<()> {
    while !take.0.is_empty() {
        let (tag, mut block) = (take.u8()?, Take(take.bytes()?));
        match tag {
            PACE => each(&mut block, d, |t, point| {
                point.spec.rules.pace = Pace { least: t.i64()?, most: t.i64()? };
                Some(())
            })?,
            PERCENT => each(&mut block, d, |t, point| {
                point.spec.report = Report::Percent(t.f64()?);
                Some(())
            })?,
            OPTIONAL => d.policy.optional = block.list(Take::text)?,
            ALARM => each(&mut block, d, |t, point| {
                point.spec.rules.alarm = Some(Arc::new(take_alarm(t)?));
                Some(())
            })?,
            GUARD => each(&mut block, d, |t, point| {
                point.spec.rules.guard = take_guard(t)?;
                Some(())
            })?,
            MEASURING => d.policy.entanglement = take_measuring(&mut block)?,
            _ => {}
        }
    }
    Some(())
}

fn put_measuring(out: &mut impl Put, measuring: &Measuring) {
    out.put_i64(measuring.window);
    out.put_i64(measuring.timeliness);
    out.put_option(measuring.thresholds, |out, t| {
        out.put_u32(t.enter.to_bits());
        out.put_u32(t.leave.to_bits());
        out.put_i64(t.hold_in);
        out.put_i64(t.hold_out);
    });
    out.put_bool(measuring.strong);
}

fn take_measuring(take: &mut Take<'_>) -> Option<Measuring> {
    let thresholds = |t: &mut Take<'_>| {
        let (enter, leave) = (f32::from_bits(t.u32()?), f32::from_bits(t.u32()?));
        Some(Thresholds { enter, leave, hold_in: t.i64()?, hold_out: t.i64()? })
    };
    let (window, timeliness) = (take.i64()?, take.i64()?);
    let thresholds = take.option(thresholds)?;
    Some(Measuring { window, timeliness, thresholds, strong: take.bool()? })
}

fn put_alarm(out: &mut impl Put, alarm: &Alarm) {
    // Its length first: a later form may have more to say of each.
    let mut of = Vec::new();
    of.put_text(alarm.feature.as_str());
    of.put_text(alarm.point.as_str());
    put_condition(&mut of, &alarm.when);
    of.put_u16(alarm.severity);
    of.put_i64(alarm.delay);
    of.put_i64(alarm.clear_delay);
    of.put_bool(alarm.acknowledge);
    of.put_text(&alarm.text);
    out.put_bytes(&of);
}

fn put_guard(out: &mut impl Put, guard: &Guard) {
    // Its length first: a later form may have more to say.
    let mut of = Vec::new();
    of.put_len(guard.interlocks.len());
    for interlock in guard.interlocks.iter() {
        of.put_text(interlock.feature.as_str());
        of.put_text(interlock.point.as_str());
        put_condition(&mut of, &interlock.when);
    }
    of.put_i64(guard.interval);
    if guard.hold != Hold::default() {
        of.put_i64(guard.hold.interval);
        of.put_u16(guard.hold.times);
    }
    out.put_bytes(&of);
}

fn take_guard(take: &mut Take<'_>) -> Option<Guard> {
    let mut t = Take(take.bytes()?);
    let interlocks = t.list(|t| {
        let (feature, point) = (t.parsed()?, t.parsed()?);
        Some(Interlock { feature, point, when: take_condition(t)? })
    })?;
    let interval = t.i64()?;
    let hold = match t.0.is_empty() {
        true => Hold::default(),
        false => Hold { interval: t.i64()?, times: t.u16()? },
    };
    Some(Guard { interlocks: interlocks.into(), interval, hold })
}

fn put_condition(of: &mut Vec<u8>, when: &Condition) {
    match when {
        Condition::Above { limit, hysteresis } => {
            of.put_u8(0);
            of.put_f64(*limit);
            of.put_f64(*hysteresis);
        }
        Condition::Below { limit, hysteresis } => {
            of.put_u8(1);
            of.put_f64(*limit);
            of.put_f64(*hysteresis);
        }
        Condition::Bits(mask) => {
            of.put_u8(2);
            of.put_u64(*mask);
        }
        Condition::Is(codes) => {
            of.put_u8(3);
            of.put_len(codes.len());
            codes.iter().for_each(|code| of.put_f64(*code));
        }
        Condition::Rate { change, time } => {
            of.put_u8(4);
            of.put_f64(*change);
            of.put_i64(*time);
        }
        Condition::Stale(time) => {
            of.put_u8(5);
            of.put_i64(*time);
        }
    }
}

fn take_alarm(take: &mut Take<'_>) -> Option<Alarm> {
    let mut t = Take(take.bytes()?);
    let (feature, point) = (t.parsed()?, t.parsed()?);
    let when = take_condition(&mut t)?;
    Some(Alarm {
        feature,
        point,
        when,
        severity: t.u16()?,
        delay: t.i64()?,
        clear_delay: t.i64()?,
        acknowledge: t.bool()?,
        text: t.text()?,
    })
}

fn take_condition(t: &mut Take<'_>) -> Option<Condition> {
    Some(match t.u8()? {
        0 => Condition::Above { limit: t.f64()?, hysteresis: t.f64()? },
        1 => Condition::Below { limit: t.f64()?, hysteresis: t.f64()? },
        2 => Condition::Bits(t.u64()?),
        3 => Condition::Is(t.list(Take::f64)?.into()),
        4 => Condition::Rate { change: t.f64()?, time: t.i64()? },
        5 => Condition::Stale(t.i64()?),
        _ => return None,
    })
}

fn put_block(out: &mut impl Put, tag: u8, block: &[u8]) {
    out.put_u8(tag);
    out.put_bytes(block);
}

/// A block with what some points have; no block where none has it.
fn points<T>(
    out: &mut impl Put,
    tag: u8,
    d: &Description,
    of: impl Fn(&Point) -> Option<T>,
    put: impl Fn(&mut Vec<u8>, T),
) {
    let mut block = Vec::new();
    for (index, point) in (0u64..).zip(&d.points) {
        if let Some(it) = of(point) {
            block.put_varint(index);
            put(&mut block, it);
        }
    }
    if !block.is_empty() {
        put_block(out, tag, &block);
    }
}

/// Takes what a block has for points, one after the other.
fn each(
    block: &mut Take<'_>,
    d: &mut Description,
    mut one: impl FnMut(&mut Take<'_>, &mut Point) -> Option<()>,
) -> Option<()> {
    while !block.0.is_empty() {
        let index = usize::from(block.varint16()?);
        one(block, d.points.get_mut(index)?)?;
    }
    Some(())
}
