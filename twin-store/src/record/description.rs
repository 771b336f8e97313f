//! Descriptions on disk, in their first form; see [`blocks`](super::blocks) for what came later.

use twin::{
    Access, Acquisition, Description, Group, Kind, Nameplate, Point, PointSpec, Policy, Report,
    Rules, Writable,
};

use super::value::{put_type, take_type};
use crate::codec::{Put, Take};

pub(crate) fn put(out: &mut impl Put, d: &Description) {
    out.put_u32(d.revision);
    out.put_option(d.model.as_ref(), |out, t| out.put_text(t));
    put_nameplate(out, &d.nameplate);
    out.put_len(d.semantics.len());
    d.semantics.iter().for_each(|t| out.put_text(t));
    out.put_len(d.groups.len());
    d.groups.iter().for_each(|g| put_group(out, g));
    out.put_len(d.features.len());
    d.features.iter().for_each(|f| out.put_text(f.as_str()));
    out.put_len(d.points.len());
    d.points.iter().for_each(|p| put_point(out, p));
}

pub(crate) fn take(take: &mut Take<'_>) -> Option<Description> {
    let revision = take.u32()?;
    let model = take.option(Take::text)?;
    let nameplate = take_nameplate(take)?;
    let semantics = take.list(Take::text)?;
    let groups = take.list(take_group)?;
    let features: Vec<twin::Name> = take.list(Take::parsed)?;
    let points = take.list(|t| take_point(t, &features))?;
    (points.len() <= Description::MAX_POINTS).then_some(Description {
        revision,
        model,
        nameplate,
        semantics,
        groups,
        points,
        features,
        policy: Policy::default(),
    })
}

fn put_nameplate(out: &mut impl Put, n: &Nameplate) {
    for text in [&n.manufacturer, &n.model, &n.serial, &n.hardware, &n.software] {
        out.put_option(text.as_ref(), |out, t| out.put_text(t));
    }
}

fn take_nameplate(take: &mut Take<'_>) -> Option<Nameplate> {
    Some(Nameplate {
        manufacturer: take.option(Take::text)?,
        model: take.option(Take::text)?,
        serial: take.option(Take::text)?,
        hardware: take.option(Take::text)?,
        software: take.option(Take::text)?,
    })
}

fn put_group(out: &mut impl Put, g: &Group) {
    out.put_text(g.name.as_str());
    match g.acquisition {
        Acquisition::Polled { interval } => {
            out.put_u8(0);
            out.put_i64(interval);
        }
        Acquisition::Pushed { interval, reception } => {
            out.put_u8(1);
            out.put_i64(interval);
            out.put_u8(reception);
        }
        Acquisition::OnDemand => out.put_u8(2),
    }
    out.put_i64(g.max_age);
    out.put_bool(g.retired);
}

fn take_group(take: &mut Take<'_>) -> Option<Group> {
    let name = take.parsed()?;
    let acquisition = match take.u8()? {
        0 => Acquisition::Polled { interval: take.i64()? },
        1 => Acquisition::Pushed { interval: take.i64()?, reception: take.u8()? },
        2 => Acquisition::OnDemand,
        _ => return None,
    };
    Some(Group { name, acquisition, max_age: take.i64()?, retired: take.bool()? })
}

fn put_point(out: &mut impl Put, p: &Point) {
    let spec = &p.spec;
    out.put_varint(u64::from(p.feature));
    out.put_bool(p.retired);
    out.put_text(spec.name.as_str());
    out.put_u8(spec.kind as u8);
    put_type(out, &spec.value_type);
    out.put_option(spec.unit.as_ref(), |out, t| out.put_text(t));
    out.put_option(spec.range, put_range);
    out.put_len(spec.labels.len());
    for (value, label) in spec.labels.iter() {
        out.put_zigzag(*value);
        out.put_text(label);
    }
    out.put_option(spec.title.as_ref(), |out, t| out.put_text(t));
    out.put_len(spec.semantics.len());
    spec.semantics.iter().for_each(|t| out.put_text(t));
    out.put_varint(u64::from(spec.group));
    out.put_bool(spec.access.readable);
    out.put_option(spec.access.writable.as_ref(), |out, w| {
        out.put_option(w.range, put_range);
        out.put_i64(w.settle);
        out.put_f64(w.tolerance);
        out.put_bool(w.unsynchronised);
        out.put_bool(w.hold);
    });
    match spec.report {
        // A percentage is a block's.
        Report::Change | Report::Percent(_) => out.put_u8(0),
        Report::Deadband(band) => {
            out.put_u8(1);
            out.put_f64(band);
        }
        Report::Always => out.put_u8(2),
    }
}

fn take_point(take: &mut Take<'_>, features: &[twin::Name]) -> Option<Point> {
    let feature = take.varint16()?;
    let retired = take.bool()?;
    let name = take.parsed()?;
    let kind = match take.u8()? {
        0 => Kind::State,
        1 => Kind::Telemetry,
        2 => Kind::Event,
        3 => Kind::Action,
        _ => return None,
    };
    let spec = PointSpec {
        feature: features.get(usize::from(feature))?.clone(),
        name,
        kind,
        value_type: take_type(take)?,
        unit: take.option(Take::text)?,
        range: take.option(take_range)?,
        labels: take.list(|t| Some((t.zigzag()?, t.text()?)))?.into(),
        title: take.option(Take::text)?,
        semantics: take.list(Take::text)?.into(),
        group: take.varint16()?,
        access: Access { readable: take.bool()?, writable: take.option(take_writable)? },
        report: match take.u8()? {
            0 => Report::Change,
            1 => Report::Deadband(take.f64()?),
            2 => Report::Always,
            _ => return None,
        },
        rules: Rules::default(),
    };
    Some(Point { spec, feature, retired })
}

fn take_writable(take: &mut Take<'_>) -> Option<Writable> {
    Some(Writable {
        range: take.option(take_range)?,
        settle: take.i64()?,
        tolerance: take.f64()?,
        unsynchronised: take.bool()?,
        hold: take.bool()?,
    })
}

pub(crate) fn put_range<P: Put>(out: &mut P, (low, high): (f64, f64)) {
    out.put_f64(low);
    out.put_f64(high);
}

pub(crate) fn take_range(take: &mut Take<'_>) -> Option<(f64, f64)> {
    Some((take.f64()?, take.f64()?))
}
