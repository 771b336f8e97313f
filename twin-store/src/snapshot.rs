//! Snapshots: the state as of one commit, so that a start need not read the whole log.
//!
//! ```text
//! magic 8 · version u16 · flags u16 (1 = clean: the writer ended here) · seq u64 · body
//! [stretches of destroyed commits] · [sections: tag u8, bytes] · crc u32 of all before
//! ```
//! The body may grow at its end. The stretches stand there where any are known or sections follow.
//! Two are kept. One that does not check is as if it were not there.

use std::collections::BTreeMap;
use std::sync::Arc;

use twin::{
    Boottime, CommandId, GatewayEvent, Held, LifeCycle, Seq, Span, Standing, State, StateParts,
    Timeline, Touched, TwinParts,
};

use crate::codec::{Put, Take};
use crate::links::{self, Links};
use crate::ranges::Ranges;
use crate::record::command::{
    put_desired, put_ledger, put_state, take_desired, take_ledger, take_state,
};
use crate::record::common::{
    put_clocked, put_principal, put_quality, take_boot, take_clocked, take_principal, take_quality,
};
use crate::record::value::{put_tagged, take_tagged};
use crate::record::{blocks, command, description, event};

const MAGIC: &[u8; 8] = b"TWINSNAP";
pub(crate) const VERSION: u16 = 1;
const CLEAN: u16 = 1;
/// The section with what links keep. A section is a tag and its bytes; unknown ones are skipped.
const NOTES: u8 = 1;
/// The section with what twins have beyond the first form of a snapshot: per twin its handle and blocks, each a tag and
/// its bytes; unknown ones are skipped.
const TWINS: u8 = 2;
/// Blocks of a twin. Tags are never reused.
const DESCRIBED: u8 = 1;
const ALARMS: u8 = 2;
const MAINTAINED: u8 = 3;
const ENTANGLED: u8 = 4;
const HELD: u8 = 5;
/// Times in a snapshot count from here: it has no commit of its own.
const ORIGIN: Boottime = Boottime(0);

/// What a snapshot holds.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) seq: Seq,
    /// The writer had ended: nothing came after it.
    pub(crate) clean: bool,
    pub(crate) state: State,
    pub(crate) links: Links,
    /// Per family, the last sequence number that retention dropped.
    pub(crate) floors: [Seq; 3],
    /// Commits that are known to be destroyed.
    pub(crate) damage: Ranges,
}

pub(crate) fn file_name(seq: Seq) -> String {
    format!("state-{:016x}.snap", seq.0)
}

pub(crate) fn encode(
    seq: Seq,
    clean: bool,
    state: &State,
    links: &Links,
    floors: [Seq; 3],
    damage: &Ranges,
) -> Vec<u8> {
    let mut out = Vec::new();
    out.put(MAGIC);
    out.put_u16(VERSION);
    out.put_u16(if clean { CLEAN } else { 0 });
    out.put_u64(seq.0);
    let parts = state.parts();
    put_parts(&mut out, &parts);
    links::put(&mut out, links.links.iter());
    floors.iter().for_each(|floor| out.put_u64(floor.0));
    let mut notes = Vec::new();
    links::put_notes(&mut notes, links.links.iter());
    let twins = put_blocks(&parts);
    if !damage.is_empty() || !notes.is_empty() || !twins.is_empty() {
        let all: Vec<_> = damage.iter().collect();
        out.put_len(all.len());
        for (first, last) in all {
            out.put_u64(first.0);
            out.put_u64(last.0);
        }
    }
    if !notes.is_empty() {
        out.put_u8(NOTES);
        out.put_bytes(&notes);
    }
    if !twins.is_empty() {
        out.put_u8(TWINS);
        out.put_bytes(&twins);
    }
    out.put_u32(crc32fast::hash(&out));
    out
}

pub(crate) fn decode(bytes: &[u8]) -> Option<Snapshot> {
    let (head, crc) = bytes.split_last_chunk::<4>()?;
    if crc32fast::hash(head) != u32::from_le_bytes(*crc) {
        return None;
    }
    let mut take = Take(head);
    if take.take(8)? != MAGIC || take.u16()? != VERSION {
        return None;
    }
    let clean = take.u16()? & CLEAN != 0;
    let seq = Seq(take.u64()?);
    let mut parts = take_parts(&mut take)?;
    let mut links = Links { links: links::take(&mut take)?.into_iter().collect() };
    let floors = [Seq(take.u64()?), Seq(take.u64()?), Seq(take.u64()?)];
    let damage = if take.0.is_empty() {
        Ranges::default()
    } else {
        take.list(|t| Some((Seq(t.u64()?), Seq(t.u64()?))))?.into_iter().collect()
    };
    while let Some((tag, section)) = take.u8().zip(take.bytes()) {
        match tag {
            NOTES => links.note(links::take_notes(&mut Take(section))),
            TWINS => take_blocks(&mut Take(section), &mut parts)?,
            _ => {}
        }
    }
    let state = State::from_parts(parts);
    Some(Snapshot { seq, clean, state, links, floors, damage })
}

/// The version that a snapshot of a later format gives; none where one of ours has a flipped bit there.
pub(crate) fn newer(bytes: &[u8]) -> Option<u16> {
    let mut take = Take(bytes);
    let version = if take.take(8)? == MAGIC { take.u16()? } else { return None };
    let mut ours = bytes.to_vec();
    ours.get_mut(8..10)?.copy_from_slice(&VERSION.to_le_bytes());
    (version > VERSION && decode(&ours).is_none()).then_some(version)
}

fn put_parts(out: &mut Vec<u8>, parts: &StateParts) {
    out.put_u64(parts.head.0);
    out.put_u32(parts.epoch);
    out.put_option(parts.writes_off.as_ref(), put_principal);
    out.put_len(parts.timeline.spans().len());
    for span in parts.timeline.spans() {
        out.put_u64(span.from.0);
        out.put_u32(span.epoch);
        out.put(&span.boot.0);
        out.put_option(span.offset, |out, v| out.put_i64(v));
    }
    out.put_len(parts.ledger.len());
    for (by, key, entry) in &parts.ledger {
        put_principal(out, by);
        out.put_text(key);
        put_ledger(out, entry);
    }
    out.put_len(parts.twins.len());
    for twin in &parts.twins {
        out.put_option(twin.as_ref(), put_twin);
    }
}

fn take_parts(take: &mut Take<'_>) -> Option<StateParts> {
    let (head, epoch) = (Seq(take.u64()?), take.u32()?);
    let writes_off = take.option(take_principal)?;
    let spans = take.list(|t| {
        Some(Span {
            from: Seq(t.u64()?),
            epoch: t.u32()?,
            boot: take_boot(t)?,
            offset: t.option(Take::i64)?,
        })
    })?;
    let ledger = take.list(|t| Some((take_principal(t)?, t.text()?, take_ledger(t)?)))?;
    let twins = take.list(|t| t.option(take_twin))?;
    let timeline = Timeline::new(spans);
    Some(StateParts { twins, ledger, timeline, writes_off, head, epoch })
}

/// What the twins have beyond the first form; nothing where none has anything.
fn put_blocks(parts: &StateParts) -> Vec<u8> {
    let mut out = Vec::new();
    for (handle, twin) in (0u64..).zip(&parts.twins) {
        let Some(twin) = twin else { continue };
        let mut of_twin = Vec::new();
        let mut described = Vec::new();
        blocks::put(&mut described, &twin.description);
        if !described.is_empty() {
            of_twin.put_u8(DESCRIBED);
            of_twin.put_bytes(&described);
        }
        if twin.alarmed > Seq(0) {
            let mut block = Vec::new();
            block.put_varint(twin.alarmed.0);
            twin.alarms.values().for_each(|standing| put_standing(&mut block, standing));
            of_twin.put_u8(ALARMS);
            of_twin.put_bytes(&block);
        }
        if let Some((seq, maintenance)) = &twin.maintained {
            let mut block = Vec::new();
            block.put_varint(seq.0);
            block.put_option(maintenance.as_ref(), command::put_maintenance);
            of_twin.put_u8(MAINTAINED);
            of_twin.put_bytes(&block);
        }
        if let Some((seq, entangled)) = &twin.entangled {
            let mut block = Vec::new();
            block.put_varint(seq.0);
            event::put_entangled(&mut block, entangled);
            of_twin.put_u8(ENTANGLED);
            of_twin.put_bytes(&block);
        }
        if !twin.held.is_empty() {
            let mut block = Vec::new();
            for (index, held) in &twin.held {
                block.put_varint(u64::from(*index));
                put_tagged(&mut block, &held.expected);
                block.put_u32(held.times);
            }
            of_twin.put_u8(HELD);
            of_twin.put_bytes(&block);
        }
        if !of_twin.is_empty() {
            out.put_varint(handle);
            out.put_bytes(&of_twin);
        }
    }
    out
}

fn take_blocks(take: &mut Take<'_>, parts: &mut StateParts) -> Option<()> {
    while !take.0.is_empty() {
        let handle = usize::try_from(take.varint()?).ok()?;
        let mut of_twin = Take(take.bytes()?);
        let twin = parts.twins.get_mut(handle)?.as_mut()?;
        while !of_twin.0.is_empty() {
            let (tag, mut block) = (of_twin.u8()?, Take(of_twin.bytes()?));
            match tag {
                DESCRIBED => blocks::take(&mut block, Arc::make_mut(&mut twin.description))?,
                ALARMS => {
                    twin.alarmed = Seq(block.varint()?);
                    while !block.0.is_empty() {
                        let standing = take_standing(&mut block)?;
                        twin.alarms.insert(standing.event.index, standing);
                    }
                }
                MAINTAINED => {
                    let seq = Seq(block.varint()?);
                    twin.maintained = Some((seq, block.option(command::take_maintenance)?));
                }
                ENTANGLED => {
                    let seq = Seq(block.varint()?);
                    twin.entangled = Some((seq, event::take_entangled(&mut block)?));
                }
                HELD => {
                    while !block.0.is_empty() {
                        let index = block.varint16()?;
                        let expected = take_tagged(&mut block)?;
                        twin.held.insert(index, Held { expected, times: block.u32()? });
                    }
                }
                _ => {}
            }
        }
    }
    Some(())
}

fn put_standing(out: &mut Vec<u8>, standing: &Standing) {
    // Events grow at their end.
    let mut event = Vec::new();
    event::put(&mut event, ORIGIN, &standing.event);
    out.put_bytes(&event);
    out.put_varint(standing.seq.0);
    out.put_varint(standing.raised.0.0);
    put_clocked(out, ORIGIN, standing.raised.1);
}

fn take_standing(take: &mut Take<'_>) -> Option<Standing> {
    let event = event::take(&mut Take(take.bytes()?), ORIGIN)?;
    let (seq, raised) = (Seq(take.varint()?), Seq(take.varint()?));
    Some(Standing { event, seq, raised: (raised, take_clocked(take, ORIGIN)?) })
}

fn put_twin(out: &mut Vec<u8>, t: &TwinParts) {
    out.put_text(t.id.as_str());
    description::put(out, &t.description);
    out.put_u8(t.life_cycle as u8);
    out.put_u64(t.since.0);
    out.put_len(t.reported.len());
    for reading in &t.reported {
        out.put_option(reading.as_ref(), |out, r| {
            put_quality(out, r.quality, r.value.is_some());
            r.value.iter().for_each(|v| put_tagged(out, v));
            put_clocked(out, ORIGIN, r.source);
            out.put_option(r.server, |out, t| put_clocked(out, ORIGIN, t));
            out.put_varint(r.seq.0);
            out.put_varint(r.command.map_or(0, |c| c.0));
        });
    }
    out.put_len(t.desired.len());
    for (index, desired) in &t.desired {
        out.put_u16(*index);
        put_desired(out, desired);
    }
    out.put_len(t.relationships.len());
    t.relationships.iter().for_each(|r| event::put_relationship(out, r));
    out.put_len(t.bindings.len());
    t.bindings.values().for_each(|b| event::put_binding(out, b));
    out.put_len(t.commands.len());
    for (id, command) in &t.commands {
        out.put_u64(id.0);
        put_state(out, command);
    }
    event::put_counts(out, ORIGIN, &t.counts);
    out.put_u64(t.rev);
    out.put_len(t.features.len());
    for feature in &t.features {
        out.put_varint(feature.rev);
        out.put_varint(feature.seq.0);
    }
}

fn take_twin(take: &mut Take<'_>) -> Option<TwinParts> {
    Some(TwinParts {
        id: take.parsed()?,
        description: description::take(take)?.into(),
        life_cycle: LifeCycle::from_code(take.u8()?)?,
        since: Seq(take.u64()?),
        reported: take.list(|t| t.option(take_reading))?,
        desired: take.list(|t| Some((t.u16()?, take_desired(t)?)))?.into_iter().collect(),
        relationships: take.list(event::take_relationship)?,
        bindings: take
            .list(event::take_binding)?
            .into_iter()
            .map(|b| (b.line.clone(), b))
            .collect::<BTreeMap<_, _>>(),
        commands: take.list(|t| Some((CommandId(t.u64()?), take_state(t)?)))?.into_iter().collect(),
        counts: event::take_counts(take, ORIGIN)?,
        rev: take.u64()?,
        features: take.list(|t| Some(Touched { rev: t.varint()?, seq: Seq(t.varint()?) }))?,
        entangled: None,
        maintained: None,
        alarms: BTreeMap::new(),
        alarmed: Seq(0),
        held: BTreeMap::new(),
    })
}

fn take_reading(t: &mut Take<'_>) -> Option<twin::Reading> {
    let (quality, has_value) = take_quality(t)?;
    Some(twin::Reading {
        value: if has_value { Some(take_tagged(t)?) } else { None },
        quality,
        source: take_clocked(t, ORIGIN)?,
        server: t.option(|t| take_clocked(t, ORIGIN))?,
        seq: Seq(t.varint()?),
        command: Some(CommandId(t.varint()?)).filter(|c| c.0 > 0),
    })
}

/// The boot during which the last epoch ran.
pub(crate) fn last_boot(state: &State) -> Option<twin::BootId> {
    state.timeline().spans().last().map(|span| span.boot)
}

/// What the log says at the beginning of an epoch.
pub(crate) fn opened(epoch: u32, clock: &base::Clock, surviving: Seq) -> GatewayEvent {
    let boot = twin::BootId(clock.boot());
    GatewayEvent::Opened { epoch, boot, offset: clock.offset(), surviving }
}
