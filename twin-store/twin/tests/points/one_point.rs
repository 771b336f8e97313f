//! A twin with one point, `f/p`, and what is read of it.

use std::sync::Arc;

use twin::{
    Access, Acquisition, Boottime, Declaration, Description, Entry, Group, Handle, Kind, Origin,
    PointSpec, Quality, Reported, Seq, TimeBase, Twin, Value, ValueType, What,
};

/// A point of this name as a declaration that asks nothing has it: a 64-bit float that reports by change.
pub(crate) fn point(name: &str) -> PointSpec {
    PointSpec {
        access: Access { readable: true, writable: None },
        ..PointSpec::new("f".parse().unwrap(), name.parse().unwrap(), Kind::State, ValueType::F64)
    }
}

/// A twin with these points in one group.
pub(crate) fn described(acquisition: Acquisition, points: Vec<PointSpec>) -> Twin {
    let group = Group { name: "main".parse().unwrap(), acquisition, max_age: 0, retired: false };
    let declared = Declaration { groups: vec![group], points, ..Default::default() };
    let description = Description::default().revise(&declared).unwrap().description;
    let mut twin = Twin::new("t".parse().unwrap(), Handle(1));
    let what = What::Described(Arc::new(description));
    twin.apply(Seq(1), Boottime(0), &Origin::Configuration, &what);
    twin
}

/// One reading.
pub(crate) fn reading(at: i64, index: u16, quality: Quality, value: Option<Value>) -> Reported {
    Reported {
        revision: 1,
        group: 0,
        source: TimeBase::gateway(Boottime(at)),
        server: None,
        command: None,
        continued: false,
        entries: vec![Entry { index, quality, value, offset: 0 }],
    }
}
