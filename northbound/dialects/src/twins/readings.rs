//! The hot path: the readings of one commit as one `stream` message, value by value into the session's buffer.

use twin::{Cause, Class, Description, Quality, Seq, SourceClock, TimeBase, Timeline, ValueType};
use twin_store::{EntryView, ValueRef};

use super::keys::Keys;
use crate::json;

/// Which commit a message tells of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity {
    /// Its epoch.
    pub epoch: u32,
    /// Its sequence number.
    pub seq: Seq,
    /// It was written before the link connected.
    pub historical: bool,
}

/// What the readings of a commit share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shared {
    /// See [`twin::Reported::source`].
    pub source: TimeBase,
    /// See [`twin::Reported::server`].
    pub server: Option<TimeBase>,
    /// See [`twin::Reported::command`].
    pub command: Option<twin::CommandId>,
    /// See [`twin::Reported::continued`].
    pub continued: bool,
    /// They are of the past and never touched the reported state.
    pub backfilled: bool,
}

/// Appends the message. `keys` and `description` are of the same revision.
pub(crate) fn write<'a>(
    out: &mut Vec<u8>,
    keys: &Keys,
    description: &Description,
    timeline: &Timeline,
    identity: Identity,
    shared: &Shared,
    items: impl Iterator<Item = EntryView<'a>> + Clone,
) {
    head(out, keys, identity);
    time(out, timeline, identity.seq, shared.source);
    if let Some(server) = shared.server.and_then(|base| timeline.resolve_base(identity.seq, base)) {
        out.extend_from_slice(b",\"server\":");
        json::time(out, server);
    }
    if let Some(command) = shared.command {
        out.extend_from_slice(b",\"command\":");
        json::number(out, command.0);
    }
    if shared.backfilled {
        out.extend_from_slice(b",\"backfilled\":true");
    }
    if shared.continued {
        out.extend_from_slice(b",\"continued\":true");
    }
    out.extend_from_slice(b",\"values\":{");
    let (mut all_good, mut one_time, mut first) = (true, true, true);
    for item in items.clone() {
        let Some(point) = description.point(item.index) else { continue };
        comma(out, &mut first);
        out.extend_from_slice(keys.key(item.index));
        let finite = match item.value {
            Some(value) => write_ref(out, &point.spec.value_type, value),
            None => {
                out.extend_from_slice(b"null");
                true
            }
        };
        all_good &= finite && item.quality.is_good();
        one_time &= item.offset == 0;
    }
    out.push(b'}');
    if !all_good {
        out.extend_from_slice(b",\"quality\":{");
        let mut first = true;
        for item in items.clone() {
            let quality = worse(&item);
            if !quality.is_good() {
                comma(out, &mut first);
                out.extend_from_slice(keys.key(item.index));
                out.push(b'{');
                write_quality(out, quality);
                out.push(b'}');
            }
        }
        out.push(b'}');
    }
    if !one_time {
        out.extend_from_slice(b",\"times\":{");
        let mut first = true;
        for item in items.filter(|item| item.offset != 0) {
            comma(out, &mut first);
            out.extend_from_slice(keys.key(item.index));
            let base = shared.source.plus(item.offset);
            match timeline.resolve_base(identity.seq, base) {
                Some(at) => json::time(out, at),
                None => json::number(out, base.micros),
            }
        }
        out.push(b'}');
    }
    out.push(b'}');
}

/// `{"gateway":"g","twin":"t","epoch":3,"seq":15512` and whether it is historical.
pub(crate) fn head(out: &mut Vec<u8>, keys: &Keys, identity: Identity) {
    out.extend_from_slice(&keys.head);
    json::number(out, identity.epoch);
    out.extend_from_slice(b",\"seq\":");
    json::number(out, identity.seq.0);
    if identity.historical {
        out.extend_from_slice(b",\"hist\":true");
    }
}

/// `,"time":"…"` and which clock it is by where that is not our own, set one.
pub(crate) fn time(out: &mut Vec<u8>, timeline: &Timeline, seq: Seq, base: TimeBase) {
    if let Some(at) = timeline.resolve_base(seq, base) {
        out.extend_from_slice(b",\"time\":");
        json::time(out, at);
        if base.clock == SourceClock::Device {
            out.extend_from_slice(b",\"clock\":\"device\"");
        }
        return;
    }
    out.extend_from_slice(b",\"clock\":\"unset\",\"boottime\":");
    json::number(out, base.micros);
    if let Some(span) = timeline.span_of(seq) {
        out.extend_from_slice(b",\"boot\":");
        json::bytes(out, &span.boot.0);
    }
}

/// `"class":"bad","cause":"timeout","code":11`
pub(crate) fn write_quality(out: &mut Vec<u8>, quality: Quality) {
    out.extend_from_slice(b"\"class\":\"");
    out.extend_from_slice(quality.class.word().as_bytes());
    out.push(b'"');
    if quality.cause != Cause::None {
        out.extend_from_slice(b",\"cause\":\"");
        out.extend_from_slice(quality.cause.word().as_bytes());
        out.push(b'"');
    }
    if let Some(code) = quality.code {
        out.extend_from_slice(b",\"code\":");
        json::number(out, code);
    }
}

/// A comma before every item but the first.
pub(crate) fn comma(out: &mut Vec<u8>, first: &mut bool) {
    if !std::mem::take(first) {
        out.push(b',');
    }
}

/// The quality as it is shown: a number that is none is bad, whatever its reading says.
fn worse(item: &EntryView<'_>) -> Quality {
    let finite = !matches!(item.value, Some(ValueRef::Float(v)) if !v.is_finite());
    if finite || item.quality.class == Class::Bad {
        return item.quality;
    }
    Quality::bad(Cause::NotAValue)
}

/// `false` where a number is none; within a list it shows as `null` in its place and the reading stays as it is.
fn write_ref(out: &mut Vec<u8>, of: &ValueType, value: ValueRef<'_>) -> bool {
    match (value, of) {
        (ValueRef::Bool(v), _) => out.extend_from_slice(if v { b"true" } else { b"false" }),
        (ValueRef::Signed(v), _) => json::signed(out, v),
        (ValueRef::Unsigned(v), _) => json::unsigned(out, v),
        (ValueRef::Decimal(raw), of) => json::decimal(out, raw, of.exponent()),
        (ValueRef::Float(v), of) => return json::float(out, of, v),
        (ValueRef::Time(v), _) => json::time(out, v),
        (ValueRef::Text(v), _) => json::string(out, v),
        (ValueRef::Bytes(v), _) => json::bytes(out, v),
        (ValueRef::Nested(nested), ValueType::Record(fields)) => {
            let named = fields.iter().zip(nested.iter());
            json::list(out, *b"{}", named, |out, ((name, _), (of, v))| {
                json::string(out, name.as_str());
                out.push(b':');
                write_ref(out, of, v)
            });
        }
        (ValueRef::Nested(nested), _) => {
            json::list(out, *b"[]", nested.iter(), |out, (of, v)| write_ref(out, of, v));
        }
    }
    true
}
