//! Few requests for many points: runs of one table, never through a hole, never in the middle of a value.

use crate::spec::{Hole, Limits, PointSpec};
use crate::{MAX_READ_BITS, MAX_READ_REGISTERS, Request, Shape, Table};

/// One request and the points that its answer holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// What to ask; always [`Request::Read`].
    pub request: Request,
    /// What the answer holds, by the points' index in the description.
    pub items: Vec<Item>,
}

/// A point in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Its place among the device's points.
    pub point: usize,
    /// Its first register or bit, counted from the request's start.
    pub at: u16,
}

/// A run of items that is being put together.
#[derive(Debug, Clone)]
struct Run {
    table: Table,
    first: u32,
    /// One beyond the last item.
    end: u32,
    points: Vec<usize>,
}

/// The requests that read these points, given by their place among the device's points.
///
/// Deterministic: the same points and limits give the same requests, whatever the order of the points. A value that
/// is larger than the device's limit gets a request of its own.
#[must_use]
pub fn plan(points: &[PointSpec], which: &[usize], limits: &Limits) -> Vec<Batch> {
    let mut wanted: Vec<Run> = which.iter().filter_map(|at| single(points, *at, limits)).collect();
    wanted.sort_by_key(|run| (run.table, run.first, run.end, run.points.first().copied()));
    wanted.dedup_by_key(|run| run.points.first().copied());
    let mut runs: Vec<Run> = Vec::new();
    for next in wanted {
        match runs.last_mut().filter(|run| joins(run, &next, limits)) {
            Some(run) => {
                run.end = run.end.max(next.end);
                run.points.extend(next.points);
            }
            None => runs.push(next),
        }
    }
    runs.into_iter().filter_map(|run| batch(points, run)).collect()
}

/// Another way to read what a batch reads, whose first answer has none of these shapes; `None` where the map of the
/// device allows no other.
///
/// It reads along a value that stands next to the batch, else it takes the batch in two. Either only touches items
/// on which points stand, or gaps and no holes, within the device's limits.
#[must_use]
pub fn differently(
    points: &[PointSpec],
    batch: &Batch,
    limits: &Limits,
    avoid: &[Shape],
) -> Option<Vec<Batch>> {
    if !avoid.contains(&batch.request.shape()) {
        return Some(vec![batch.clone()]);
    }
    let differs = |batches: &Vec<Batch>| {
        batches.first().is_some_and(|first| !avoid.contains(&first.request.shape()))
    };
    let which: Vec<usize> = batch.items.iter().map(|item| item.point).collect();
    let own = which.iter().filter_map(|at| single(points, *at, limits)).reduce(|a, b| Run {
        table: a.table,
        first: a.first.min(b.first),
        end: a.end.max(b.end),
        points: [a.points, b.points].concat(),
    })?;
    let others = (0..points.len()).filter(|at| !which.contains(at));
    let longer = others.filter_map(|at| single(points, at, limits)).filter_map(|other| {
        let (low, high) = if other.first < own.first { (&other, &own) } else { (&own, &other) };
        let end = low.end.max(high.end);
        let grown = Run { first: low.first, end, ..own.clone() };
        joins(low, high, limits).then(|| self::batch(points, grown)).flatten()
    });
    let longer = longer.map(|batch| vec![batch]).find(|batches| differs(batches));
    longer.or_else(|| {
        let mut order = which.clone();
        order.sort_by_key(|at| single(points, *at, limits).map(|run| (run.first, run.end)));
        (1..order.len()).find_map(|cut| {
            let (head, tail) = order.split_at(cut);
            let mut batches = plan(points, head, limits);
            batches.extend(plan(points, tail, limits));
            Some(batches).filter(differs)
        })
    })
}

fn single(points: &[PointSpec], at: usize, limits: &Limits) -> Option<Run> {
    let codec = &points.get(at)?.codec;
    let table = codec.address().table;
    let first = u32::from(codec.address().number);
    let end = first + u32::from(codec.count());
    let from_zero = limits.coils_from_zero && table == Table::Coil;
    let first = if from_zero && end <= u32::from(limits.max_bits) { 0 } else { first };
    Some(Run { table, first, end, points: vec![at] })
}

/// Whether `next`, which begins at or after the start of `run`, may be read by the same request.
fn joins(run: &Run, next: &Run, limits: &Limits) -> bool {
    let bits = run.table.is_bits();
    let (limit, gap) = if bits {
        (limits.max_bits.min(MAX_READ_BITS), limits.gap_bits)
    } else {
        (limits.max_registers.min(MAX_READ_REGISTERS), limits.gap_registers)
    };
    let end = run.end.max(next.end);
    !limits.alone
        && run.table == next.table
        && next.first.saturating_sub(run.end) <= u32::from(gap)
        && end - run.first <= u32::from(limit)
        && !limits.holes.iter().any(|hole| between(hole, run, next))
}

/// Whether a hole has an item in the gap between two runs.
fn between(hole: &Hole, run: &Run, next: &Run) -> bool {
    hole.table == run.table
        && u32::from(hole.first) < next.first
        && u32::from(hole.last) >= run.end
        && run.end < next.first
}

fn batch(points: &[PointSpec], run: Run) -> Option<Batch> {
    let start = u16::try_from(run.first).ok()?;
    let count = u16::try_from(run.end - run.first).ok()?;
    let mut items: Vec<Item> = Vec::with_capacity(run.points.len());
    for point in run.points {
        let at = points.get(point)?.codec.address().number - start;
        items.push(Item { point, at });
    }
    items.sort_by_key(|item| points.get(item.point).map(|point| point.index));
    Some(Batch { request: Request::Read { table: run.table, start, count }, items })
}
