//! Events, bindings, transitions, heartbeats and relationships on disk.

use twin::{
    Binding, Boottime, ConditionState, Entangled, Event, GroupCounts, LifeCycle, Relationship,
    Trigger, What,
};

use super::command::{put_deadline, take_deadline};
use super::common::{put_clocked, take_clocked};
use super::value::{put_tagged, take_tagged};
use crate::codec::{Put, Take};

pub(crate) fn put(out: &mut impl Put, at: Boottime, e: &Event) {
    out.put_varint(u64::from(e.index));
    out.put_bytes(&e.instance);
    out.put_u16(e.severity);
    let s = e.state;
    let flags = [s.active, s.acknowledged, s.confirmed, s.shelved, e.until.is_some()];
    out.put_u8(flags.iter().enumerate().map(|(i, on)| u8::from(*on) << i).sum());
    put_clocked(out, at, e.occurred);
    out.put_text(&e.text);
    out.put_option(e.fields.as_ref(), |out, v| put_tagged(out, v));
    // The first form ended here, and had no flag for it.
    if let Some(until) = e.until {
        put_deadline(out, until);
    }
}

pub(crate) fn take(take: &mut Take<'_>, at: Boottime) -> Option<Event> {
    let (index, instance, severity) = (take.varint16()?, take.bytes()?.into(), take.u16()?);
    let flags = take.u8()?;
    let on = |bit: u8| flags & 1 << bit != 0;
    let state =
        ConditionState { active: on(0), acknowledged: on(1), confirmed: on(2), shelved: on(3) };
    Some(Event {
        index,
        instance,
        severity,
        state,
        occurred: take_clocked(take, at)?,
        text: take.text()?,
        fields: take.option(take_tagged)?,
        until: if on(4) { Some(take_deadline(take)?) } else { None },
    })
}

pub(crate) fn put_binding(out: &mut impl Put, b: &Binding) {
    out.put_text(&b.line);
    out.put_bool(b.bound);
    out.put_option(b.asset.as_ref(), |out, t| out.put_text(t));
    out.put_option(b.cause.as_ref(), |out, t| out.put_text(t));
}

pub(crate) fn take_binding(take: &mut Take<'_>) -> Option<Binding> {
    Some(Binding {
        line: take.text()?,
        bound: take.bool()?,
        asset: take.option(Take::text)?,
        cause: take.option(Take::text)?,
    })
}

pub(crate) fn put_transition(
    out: &mut impl Put,
    (from, to, trigger): (LifeCycle, LifeCycle, Trigger),
    detail: Option<&str>,
    entanglement: Option<[f32; 3]>,
) {
    out.put(&[from as u8, to as u8, trigger as u8]);
    out.put_option(detail, |out, t| out.put_text(t));
    out.put_option(entanglement, |out, e| e.iter().for_each(|v| out.put_u32(v.to_bits())));
}

pub(crate) fn take_transition(take: &mut Take<'_>) -> Option<What> {
    let f32 = |t: &mut Take<'_>| t.u32().map(f32::from_bits);
    Some(What::Transition {
        from: LifeCycle::from_code(take.u8()?)?,
        to: LifeCycle::from_code(take.u8()?)?,
        trigger: Trigger::from_code(take.u8()?)?,
        detail: take.option(Take::text)?,
        entanglement: take.option(|t| Some([f32(t)?, f32(t)?, f32(t)?]))?,
    })
}

pub(crate) fn put_entangled(out: &mut impl Put, e: &Entangled) {
    e.figures().iter().for_each(|figure| out.put_u32(figure.to_bits()));
}

pub(crate) fn take_entangled(take: &mut Take<'_>) -> Option<Entangled> {
    let mut figure = || take.u32().map(f32::from_bits).filter(|f| (0.0..=1.0).contains(f));
    Some(Entangled { timeliness: figure()?, reliability: figure()?, availability: figure()? })
}

pub(crate) fn put_counts(out: &mut impl Put, at: Boottime, counts: &[GroupCounts]) {
    out.put_len(counts.len());
    for c in counts {
        out.put_varint(u64::from(c.group));
        for n in [c.expected, c.received, c.on_time] {
            out.put_varint(u64::from(n));
        }
        out.put_option(c.last, |out, t| put_clocked(out, at, t));
    }
}

pub(crate) fn take_counts(take: &mut Take<'_>, at: Boottime) -> Option<Vec<GroupCounts>> {
    take.list(|t| {
        Some(GroupCounts {
            group: t.varint16()?,
            expected: t.varint32()?,
            received: t.varint32()?,
            on_time: t.varint32()?,
            last: t.option(|t| take_clocked(t, at))?,
        })
    })
}

pub(crate) fn put_relationship(out: &mut impl Put, r: &Relationship) {
    out.put_text(r.name.as_str());
    out.put_text(&r.target);
}

pub(crate) fn take_relationship(take: &mut Take<'_>) -> Option<Relationship> {
    Some(Relationship { name: take.parsed()?, target: take.text()? })
}
