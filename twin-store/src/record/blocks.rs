//! What a description has beyond its first form: blocks, each a tag and its bytes, of which unknown ones are skipped.
//!
//! They stand at the end of a `Described` record, and in a section of their own in a snapshot, where descriptions lie
//! in the middle. A description that asks nothing has no blocks, and its bytes are those of the first form.

use twin::{Description, Measuring, Pace, Point, Report, Thresholds};

use crate::codec::{Put, Take};

/// Tags are never reused.
const PACE: u8 = 1;
const PERCENT: u8 = 2;
const OPTIONAL: u8 = 3;
const MEASURING: u8 = 4;

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
