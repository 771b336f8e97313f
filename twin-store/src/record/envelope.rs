//! Envelopes on disk: samples summarised. Written by thinning, known to the format from the start.

use twin::{Boottime, Description, Envelope, EnvelopeEntry, Seq};

use super::common::{put_clocked, take_clocked};
use super::value;
use crate::codec::{Put, Take};

pub(crate) fn put(out: &mut impl Put, at: Boottime, description: &Description, e: &Envelope) {
    out.put_varint(u64::from(e.revision));
    out.put_u64(e.first.0);
    out.put_u64(e.last.0);
    out.put_u8(e.thin);
    put_clocked(out, at, e.from);
    put_clocked(out, at, e.until);
    out.put_len(e.entries.len());
    for entry in &e.entries {
        let point = description.point(entry.index);
        let last = entry.last.as_ref().zip(point);
        out.put_varint(u64::from(entry.index));
        out.put_varint(u64::from(entry.count));
        out.put_varint(u64::from(entry.not_good));
        out.put_option(last, |out, (v, p)| value::put(out, &p.spec.value_type, v));
        out.put_option(entry.range, |out, (low, high, mean)| {
            [low, high, mean].iter().for_each(|v| out.put_f64(*v));
        });
    }
}

pub(crate) fn take<'a>(
    take: &mut Take<'a>,
    at: Boottime,
    description: &'a Description,
) -> Option<Envelope> {
    Some(Envelope {
        revision: take.varint32()?,
        first: Seq(take.u64()?),
        last: Seq(take.u64()?),
        thin: take.u8()?,
        from: take_clocked(take, at)?,
        until: take_clocked(take, at)?,
        entries: take.list(|t| {
            let index = t.varint16()?;
            let of = &description.point(index)?.spec.value_type;
            Some(EnvelopeEntry {
                index,
                count: t.varint32()?,
                not_good: t.varint32()?,
                last: t.option(|t| value::take(t, of).map(|v| v.to_value()))?,
                range: t.option(|t| Some((t.f64()?, t.f64()?, t.f64()?)))?,
            })
        })?,
    })
}
