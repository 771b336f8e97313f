//! Few requests for many points, and what their answers become.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use adapter_modbus::batch::{Batch, differently, plan};
use adapter_modbus::spec::{Hole, Limits, PointSpec};
use adapter_modbus::{
    Address, Format, Int, Kind, PointCodec, Request, Response, Table, decode_reply, fail_reply,
};
use proptest::prelude::*;
use twin::{Cause, Quality, Value};

fn point(index: u16, at: &str, kind: Kind) -> PointSpec {
    let codec = PointCodec::new(at.parse().unwrap(), Format::new(kind)).unwrap();
    PointSpec { index, group: 0, codec, write: None }
}

fn u16s(at: &[u16]) -> Vec<PointSpec> {
    let points = (0..).zip(at);
    points.map(|(i, at)| point(i, &format!("holding:{at}"), Kind::Int(Int::U16))).collect()
}

fn read(table: Table, start: u16, count: u16) -> Request {
    Request::Read { table, start, count }
}

fn requests(points: &[PointSpec], limits: &Limits) -> Vec<Request> {
    let which: Vec<usize> = (0..points.len()).collect();
    plan(points, &which, limits).into_iter().map(|batch| batch.request).collect()
}

#[test]
fn gaps_up_to_the_budget_are_read_along() {
    let limits = Limits { gap_registers: 3, ..Limits::default() };
    let points = u16s(&[10, 14, 18, 22, 27]);
    let holding = |start, count| read(Table::Holding, start, count);
    assert_eq!(requests(&points, &limits), [holding(10, 13), holding(27, 1)]);
    let none = Limits { gap_registers: 0, ..Limits::default() };
    assert_eq!(requests(&u16s(&[10, 11, 13]), &none), [holding(10, 2), holding(13, 1)]);
}

#[test]
fn a_device_may_want_one_request_per_point_or_coils_from_the_first() {
    let points = [
        point(0, "coil:5", Kind::Bool),
        point(1, "coil:9", Kind::Bool),
        point(2, "discrete:9", Kind::Bool),
        point(3, "coil:1999", Kind::Bool),
        point(4, "coil:2000", Kind::Bool),
    ];
    let limits = Limits { coils_from_zero: true, ..Limits::default() };
    let coils = |start, count| read(Table::Coil, start, count);
    // Coil 2000 cannot be had from coil 0: one request reads 2000.
    let expected = [coils(0, 2000), coils(2000, 1), read(Table::Discrete, 9, 1)];
    assert_eq!(requests(&points, &limits), expected);
    let batches = plan(&points, &[1], &limits);
    assert_eq!((batches[0].request.clone(), batches[0].items[0].at), (coils(0, 10), 9));
    let alone = Limits { alone: true, ..Limits::default() };
    let expected = [read(Table::Holding, 10, 1), read(Table::Holding, 11, 1)];
    assert_eq!(requests(&u16s(&[10, 11]), &alone), expected);
}

#[test]
fn holes_tables_and_limits_part_requests() {
    let holding = |start, count| read(Table::Holding, start, count);
    let hole = Hole { table: Table::Holding, first: 11, last: 11 };
    let limits = Limits { holes: vec![hole], ..Limits::default() };
    assert_eq!(requests(&u16s(&[10, 12]), &limits), [holding(10, 1), holding(12, 1)]);
    let other = Hole { table: Table::Input, ..hole };
    let limits = Limits { holes: vec![other], ..Limits::default() };
    assert_eq!(requests(&u16s(&[10, 12]), &limits), [holding(10, 3)]);

    let limits = Limits { max_registers: 4, ..Limits::default() };
    // A value of two registers is not taken in two, and one larger than the limit is asked for alone.
    let points = [
        point(0, "holding:0", Kind::F32),
        point(1, "holding:2", Kind::Int(Int::U16)),
        point(2, "holding:3", Kind::F32),
        point(3, "holding:5", Kind::Bytes { registers: 6 }),
        point(4, "input:0", Kind::F32),
    ];
    let expected = [holding(0, 3), holding(3, 2), holding(5, 6), read(Table::Input, 0, 2)];
    let mut found = requests(&points, &limits);
    found.sort_by_key(|r| expected.iter().position(|e| e == r));
    assert_eq!(found, expected);
}

#[test]
fn an_answer_becomes_readings_in_the_order_of_indexes() {
    let points = [
        point(7, "holding:10", Kind::Int(Int::I16)),
        point(3, "holding:12", Kind::F32),
        point(5, "holding:11", Kind::Bit { of: adapter_modbus::Whole::Bits16, bit: 0 }),
    ];
    let batches = plan(&points, &[0, 1, 2], &Limits::default());
    let [batch] = &batches[..] else { panic!("{batches:?}") };
    let wire = [0xFF, 0xFF, 0x00, 0x01, 0x3F, 0x80, 0x00, 0x00];
    let mut entries = Vec::new();
    decode_reply(&points, batch, &Response::Registers(wire.into()), 12, &mut entries);
    let found: Vec<_> = entries.iter().map(|e| (e.index, e.value.clone().unwrap())).collect();
    let one = (3, Value::Float(1.0));
    assert_eq!(found, [one, (5, Value::Bool(true)), (7, Value::Signed(-1))]);
    assert!(entries.iter().all(|e| e.quality == Quality::GOOD && e.offset == 12));

    entries.clear();
    fail_reply(&points, batch, Quality::bad(Cause::Timeout), 0, &mut entries);
    let found: Vec<_> = entries.iter().map(|e| (e.index, e.value.clone(), e.quality)).collect();
    assert_eq!(found, [3, 5, 7].map(|index| (index, None, Quality::bad(Cause::Timeout))));

    // An answer that is too short for its batch is no value for the points beyond its end.
    entries.clear();
    decode_reply(&points, batch, &Response::Registers(wire[..4].into()), 0, &mut entries);
    assert_eq!(entries[0].quality, Quality::bad(Cause::Malformed));
    assert_eq!(entries[2].value, Some(Value::Signed(-1)));

    let coils = [point(0, "coil:20", Kind::Bool), point(1, "coil:29", Kind::Bool)];
    let batch = &plan(&coils, &[0, 1], &Limits::default())[0];
    assert_eq!(batch.request, read(Table::Coil, 20, 10));
    entries.clear();
    decode_reply(&coils, batch, &Response::Bits([0x01, 0x00].into()), 0, &mut entries);
    let values: Vec<_> = entries.into_iter().map(|e| e.value.unwrap()).collect();
    assert_eq!(values, [Value::Bool(true), Value::Bool(false)]);
}

#[test]
fn after_a_timeout_the_same_is_read_in_another_shape() {
    let limits = Limits { gap_registers: 2, ..Limits::default() };
    // With a neighbour in reach it is read along.
    let points = u16s(&[10, 12, 30]);
    let batch = &plan(&points, &[0], &limits)[0];
    let avoid = [batch.request.shape()];
    let other = differently(&points, batch, &limits, &avoid).unwrap();
    assert_eq!(other.len(), 1);
    assert_eq!(other[0].request, read(Table::Holding, 10, 3));
    assert_eq!(other[0].items, batch.items);
    // Without, it is taken in two.
    let points = u16s(&[10, 11, 12]);
    let batch = &plan(&points, &[0, 1, 2], &limits)[0];
    let other = differently(&points, batch, &limits, &[batch.request.shape()]).unwrap();
    let found: Vec<_> = other.iter().map(|b| b.request.clone()).collect();
    assert_eq!(found, [read(Table::Holding, 10, 1), read(Table::Holding, 11, 2)]);
    // A device with one register answers the same way for ever.
    let points = u16s(&[10]);
    let batch = &plan(&points, &[0], &limits)[0];
    assert_eq!(differently(&points, batch, &limits, &[batch.request.shape()]), None);
    assert_eq!(differently(&points, batch, &limits, &[]), Some(vec![batch.clone()]));
}

fn points() -> impl Strategy<Value = Vec<PointSpec>> {
    let kind = prop_oneof![
        Just(Kind::Int(Int::U16)),
        Just(Kind::F32),
        Just(Kind::F64),
        (1u16..30).prop_map(|registers| Kind::Bytes { registers }),
    ];
    let register = (prop_oneof![Just(Table::Input), Just(Table::Holding)], 0u16..400, kind);
    let bit = (prop_oneof![Just(Table::Coil), Just(Table::Discrete)], 0u16..4000, Just(Kind::Bool));
    let one = prop_oneof![3 => register, 1 => bit];
    proptest::collection::vec(one, 0..80).prop_map(|all| {
        let spec = |(index, (table, number, kind))| {
            let codec = PointCodec::new(Address::new(table, number), Format::new(kind)).unwrap();
            PointSpec { index, group: 0, codec, write: None }
        };
        (0..).zip(all).map(spec).collect()
    })
}

fn limits() -> impl Strategy<Value = Limits> {
    let hole = (prop_oneof![Just(Table::Input), Just(Table::Coil)], 0u16..400, 0u16..20);
    let hole = hole.prop_map(|(table, first, more)| Hole { table, first, last: first + more });
    let holes = proptest::collection::vec(hole, 0..6);
    (1u16..=125, 1u16..=2000, 0u16..40, 0u16..300, holes).prop_map(
        |(max_registers, max_bits, gap_registers, gap_bits, holes)| Limits {
            max_registers,
            max_bits,
            gap_registers,
            gap_bits,
            holes,
            ..Limits::default()
        },
    )
}

/// Every point once, whole, in its own table, and no request beyond what the device and its holes allow.
fn check(points: &[PointSpec], which: &[usize], limits: &Limits, batches: &[Batch]) {
    let mut seen = BTreeMap::new();
    for batch in batches {
        let Request::Read { table, start, count } = batch.request else { panic!("a write") };
        batch.request.check().unwrap();
        let (start, end) = (u32::from(start), u32::from(start) + u32::from(count));
        let mut covered = vec![false; usize::from(count)];
        for item in &batch.items {
            *seen.entry(item.point).or_insert(0) += 1;
            let codec = &points[item.point].codec;
            let first = u32::from(codec.address().number);
            assert_eq!((codec.address().table, first - start), (table, u32::from(item.at)));
            assert!(first + u32::from(codec.count()) <= end);
            let place = usize::from(item.at)..usize::from(item.at + codec.count());
            covered[place].fill(true);
        }
        let most = if table.is_bits() { limits.max_bits } else { limits.max_registers };
        assert!(count <= most || batch.items.len() == 1 || covers_whole(points, batch, count));
        let holes = limits.holes.iter().filter(|hole| hole.table == table);
        for number in holes.flat_map(|hole| u32::from(hole.first)..=u32::from(hole.last)) {
            let at = number.checked_sub(start).and_then(|at| covered.get(at as usize));
            assert_ne!(at, Some(&false), "{number} is a hole: {batch:?}");
        }
    }
    assert!(seen.values().all(|times| *times == 1));
    assert!(which.iter().all(|at| seen.contains_key(at)) && seen.len() == which.len());
}

/// A value larger than the limit may carry others that stand within it.
fn covers_whole(points: &[PointSpec], batch: &Batch, count: u16) -> bool {
    batch.items.iter().any(|item| points[item.point].codec.count() == count)
}

proptest! {
    #[test]
    fn batches_cover_every_point_once_within_the_limits(
        points in points(),
        limits in limits(),
        shuffle in any::<prop::sample::Index>(),
    ) {
        let mut which: Vec<usize> = (0..points.len()).filter(|at| at % 5 != 3).collect();
        let batches = plan(&points, &which, &limits);
        check(&points, &which, &limits, &batches);
        if !which.is_empty() {
            let by = shuffle.index(which.len());
            which.rotate_left(by);
            prop_assert_eq!(plan(&points, &which, &limits), batches, "the order makes no difference");
        }
    }

    #[test]
    fn another_shape_reads_the_same(points in points(), limits in limits()) {
        let which: Vec<usize> = (0..points.len()).collect();
        for batch in plan(&points, &which, &limits) {
            let avoid = [batch.request.shape()];
            let Some(other) = differently(&points, &batch, &limits, &avoid) else { continue };
            prop_assert!(!avoid.contains(&other[0].request.shape()));
            let wanted: Vec<usize> = batch.items.iter().map(|item| item.point).collect();
            let mut found: Vec<usize> =
                other.iter().flat_map(|b| &b.items).map(|item| item.point).collect();
            found.sort_unstable();
            let mut sorted = wanted.clone();
            sorted.sort_unstable();
            prop_assert_eq!(found, sorted);
            for batch in &other {
                prop_assert!(batch.request.check().is_ok());
            }
        }
    }
}
