//! Records: what a frame's payload says, in types of the disk's own.
//!
//! Everything is little-endian. A payload may grow at its end: readers ignore what they do not know, and skip kinds and
//! versions that they do not know by the frame's length. Codes are never reused.

pub(crate) mod blocks;
pub(crate) mod command;
pub(crate) mod common;
pub(crate) mod description;
pub(crate) mod envelope;
pub(crate) mod event;
pub(crate) mod gateway;
#[cfg_attr(not(test), expect(dead_code, reason = "the format has it before it has a user"))]
pub(crate) mod keyspace;
pub(crate) mod reported;
#[cfg(test)]
mod tests;
pub(crate) mod value;

use std::sync::Arc;

use twin::{
    Body, Boottime, CommandId, Commit, Description, Handle, LifeCycle, Name, Origin, Reason,
    TwinId, What,
};

use self::common::{put_origin, take_origin};
use crate::codec::{Put, Take};
use crate::frame::{Class, Kind};

/// Puts a commit's body as a payload; says its kind and class. `description` is the twin's at this time.
pub(crate) fn put(
    out: &mut Vec<u8>,
    at: Boottime,
    description: &Description,
    body: &Body,
) -> (Kind, Class) {
    let (origin, what, id) = match body {
        Body::Gateway(event) => return (gateway::put(out, event), Class::Record),
        Body::Twin { origin, what, twin, .. } => (origin, what, twin),
    };
    match what {
        What::Reported(r) => {
            reported::put(out, at, description, origin, r);
            return (Kind::Reported, Class::Sample);
        }
        What::Backfilled(r) => {
            reported::put(out, at, description, origin, r);
            return (Kind::Backfilled, Class::Sample);
        }
        _ => put_origin(out, origin),
    }
    put_what(out, at, description, id, what)
}

fn put_what(
    out: &mut Vec<u8>,
    at: Boottime,
    description: &Description,
    id: &TwinId,
    what: &What,
) -> (Kind, Class) {
    match what {
        // Put by the caller, whose origin lies elsewhere.
        What::Reported(_) | What::Backfilled(_) => (Kind::Reported, Class::Sample),
        What::Described(d) => {
            out.put_text(id.as_str());
            description::put(out, d);
            blocks::put(out, d);
            (Kind::Described, Class::Record)
        }
        What::Thinned(e) => {
            envelope::put(out, at, description, e);
            (Kind::Thinned, Class::Sample)
        }
        What::Binding(b) => {
            event::put_binding(out, b);
            (Kind::Binding, Class::Record)
        }
        What::Transition { from, to, trigger, detail, entanglement } => {
            event::put_transition(out, (*from, *to, *trigger), detail.as_deref(), *entanglement);
            // Out of sync is what somebody is to be woken for.
            let alarm = *to == LifeCycle::OutOfSync;
            (Kind::Transition, if alarm { Class::Alarm } else { Class::Record })
        }
        What::Command(c) => {
            command::put(out, c);
            (Kind::Command, Class::Record)
        }
        What::Refused { key, index, reason, detail } => {
            out.put_text(key);
            out.put_option(*index, |out, i| out.put_u16(i));
            command::put_reason(out, *reason, detail);
            (Kind::Refused, Class::Record)
        }
        What::Step { command, step } => {
            out.put_varint(command.0);
            command::put_step(out, step);
            (Kind::Step, Class::Record)
        }
        What::Event(e) => {
            event::put(out, at, e);
            (Kind::Event, Class::Alarm)
        }
        What::Related(r) => {
            event::put_relationship(out, r);
            (Kind::Related, Class::Record)
        }
        What::Unrelated(r) => {
            event::put_relationship(out, r);
            (Kind::Unrelated, Class::Record)
        }
        What::Heartbeat(counts) => {
            event::put_counts(out, at, counts);
            (Kind::Heartbeat, Class::Sample)
        }
        What::Maintained(m) => {
            out.put_option(m.as_ref(), command::put_maintenance);
            (Kind::Maintained, Class::Record)
        }
        What::Entangled(e) => {
            event::put_entangled(out, e);
            (Kind::Entangled, Class::Sample)
        }
        What::Purged => {
            out.put_text(id.as_str());
            out.put_len(description.features.len());
            description.features.iter().for_each(|feature| out.put_text(feature.as_str()));
            (Kind::Purged, Class::Record)
        }
    }
}

/// Where a frame stands and what it says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Raw<'a> {
    pub(crate) kind: Kind,
    pub(crate) at: Boottime,
    pub(crate) handle: Handle,
    pub(crate) payload: &'a [u8],
}

/// Takes a payload apart; `None` for kinds that are no commits, and where the bytes make no sense.
///
/// `known` is the twin as it is known to whoever asks, where it is.
pub(crate) fn take(raw: Raw<'_>, known: Option<(&TwinId, &Description)>) -> Option<Body> {
    let Raw { kind, at, handle, payload } = raw;
    let mut take = Take(payload);
    if handle.0 == 0 {
        return gateway::take(kind, &mut take).map(Body::Gateway);
    }
    if let Kind::Reported | Kind::Backfilled = kind {
        let (id, description) = known?;
        let view = reported::view(take, at, description)?;
        let (origin, reported) = (view.origin.clone(), view.to_reported()?);
        let what = match kind {
            Kind::Reported => What::Reported(reported),
            _ => What::Backfilled(reported),
        };
        return Some(Body::Twin { handle, twin: id.clone(), origin, what });
    }
    let origin = take_origin(&mut take)?;
    let id = match kind {
        Kind::Described | Kind::Purged => take.parsed()?,
        _ => known?.0.clone(),
    };
    let what = take_what(kind, &mut take, at, known.map(|(_, d)| d))?;
    Some(Body::Twin { handle, twin: id, origin, what })
}

/// The commit that a carried description stands for, where its twin is not known otherwise.
pub(crate) fn carried(raw: Raw<'_>, seq: twin::Seq, epoch: u32) -> Option<Commit> {
    commit(Raw { kind: Kind::Described, ..raw }, seq, epoch, None)
}

fn take_what<'a>(
    kind: Kind,
    take: &mut Take<'a>,
    at: Boottime,
    description: Option<&'a Description>,
) -> Option<What> {
    Some(match kind {
        Kind::Described => {
            let mut described = description::take(take)?;
            blocks::take(take, &mut described)?;
            What::Described(Arc::new(described))
        }
        Kind::Thinned => What::Thinned(envelope::take(take, at, description?)?),
        Kind::Binding => What::Binding(event::take_binding(take)?),
        Kind::Transition => event::take_transition(take)?,
        Kind::Command => What::Command(command::take(take)?),
        Kind::Refused => What::Refused {
            key: take.text()?,
            index: take.option(Take::u16)?,
            reason: Reason::from_code(take.u8()?),
            detail: take.text()?,
        },
        Kind::Step => {
            What::Step { command: CommandId(take.varint()?), step: command::take_step(take)? }
        }
        Kind::Event => What::Event(event::take(take, at)?),
        Kind::Related => What::Related(event::take_relationship(take)?),
        Kind::Unrelated => What::Unrelated(event::take_relationship(take)?),
        Kind::Heartbeat => What::Heartbeat(event::take_counts(take, at)?),
        Kind::Maintained => What::Maintained(take.option(command::take_maintenance)?),
        Kind::Entangled => What::Entangled(event::take_entangled(take)?),
        Kind::Purged => What::Purged,
        _ => return None,
    })
}

/// Which declared event an `Event` is an occurrence of.
pub(crate) fn event_index(payload: &[u8]) -> Option<u16> {
    let mut take = Take(payload);
    take_origin(&mut take)?;
    take.varint16()
}

/// The twin that a `Purged` ends, and its features where they were written.
pub(crate) fn purged(payload: &[u8]) -> Option<(TwinId, Vec<Name>)> {
    let mut take = Take(payload);
    take_origin(&mut take)?;
    Some((take.parsed()?, take.list(Take::parsed).unwrap_or_default()))
}

/// Puts a description once more, so that segments which need it can be read without the one that had it.
pub(crate) fn put_carried(out: &mut Vec<u8>, id: &TwinId, description: &Description) {
    put_origin(out, &Origin::Keeper);
    out.put_text(id.as_str());
    description::put(out, description);
    blocks::put(out, description);
}

/// Whether a commit of this origin and kind may be made by somebody outside the store.
pub(crate) fn by_outsiders(what: &What) -> bool {
    !matches!(what, What::Thinned(_))
}

/// The commit that a payload stands for.
pub(crate) fn commit(
    raw: Raw<'_>,
    seq: twin::Seq,
    epoch: u32,
    known: Option<(&TwinId, &Description)>,
) -> Option<Commit> {
    take(raw, known).map(|body| Commit { seq, epoch, at: raw.at, body })
}
