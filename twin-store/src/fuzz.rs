//! One entry for hostile bytes into every decoder of the store.

use std::sync::OnceLock;

use twin::{
    Boottime, Description, Handle, IntKind, Kind as PointKind, Point, PointSpec, ValueType,
};

use crate::codec::Take;
use crate::footer::Footer;
use crate::frame::{self, Kind};
use crate::links::Links;
use crate::record::{self, Raw};
use crate::segment::{SegmentHeader, footer_offset};
use crate::snapshot;

/// Feeds bytes to every decoder of the disk format. Must return for any bytes.
pub fn fuzz_one(data: &[u8]) {
    let description = description();
    let id: Option<twin::TwinId> = "fuzz".parse().ok();
    let Some(id) = id else { return };
    for handle in [Handle(0), Handle(1)] {
        for kind in (0..=u8::MAX).filter_map(Kind::from_code) {
            let raw = Raw { kind, at: Boottime(0), handle, payload: data };
            record::take(raw, Some((&id, description)));
        }
    }
    if let Some(view) = record::reported::view(Take(data), Boottime(0), description) {
        view.iter().for_each(|entry| drop(entry.value.map(record::value::ValueRef::to_value)));
    }
    Links::default().apply(data);
    SegmentHeader::decode(data);
    SegmentHeader::newer(data);
    footer_offset(0, data);
    frame::check(0, data);
    Footer::decode(0, data);
    snapshot::decode(data);
    snapshot::newer(data);
    // What lies behind a checksum is reached by giving the bytes the right one.
    let mut sealed = data.to_vec();
    sealed.extend(crc32fast::hash(data).to_le_bytes());
    snapshot::decode(&sealed);
    frame::seal(0, &mut sealed);
    Footer::decode(0, &sealed);
}

/// A description with a point of every type.
fn description() -> &'static Description {
    static DESCRIPTION: OnceLock<Description> = OnceLock::new();
    DESCRIPTION.get_or_init(|| {
        let mut description = Description::default();
        let Ok(name) = "x".parse::<twin::Name>() else { return description };
        let list = ValueType::List(Box::new(ValueType::Text));
        let record: Box<[_]> = [(name.clone(), list.clone())].into();
        let types = [
            ValueType::Bool,
            ValueType::Int(IntKind::I16),
            ValueType::Int(IntKind::U64),
            ValueType::F32,
            ValueType::F64,
            ValueType::Decimal { raw: IntKind::I32, exponent: -2 },
            ValueType::Time,
            ValueType::Text,
            ValueType::Bytes,
            list,
            ValueType::Record(record),
        ];
        description.features.push(name.clone());
        description.points.extend(types.into_iter().map(|value_type| Point {
            spec: PointSpec::new(name.clone(), name.clone(), PointKind::State, value_type),
            feature: 0,
            retired: false,
        }));
        description
    })
}
