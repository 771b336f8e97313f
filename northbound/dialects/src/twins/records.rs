//! Every commit that is not readings, as one message.

use twin::{
    Body, Care, Command, CommandId, Commit, Event, GapCause, GatewayEvent, Order, Origin, Outcome,
    Principal, Reason, Seq, SourceClock, Stage, State, Step, TimeBase, Timeline, Trigger, Twin,
    Value, What,
};

use super::documents;
use super::keys::Keys;
use super::readings::{self, Identity, comma};
use crate::json;

/// The last topic level and the payload for a commit of a twin; `None` where it carries nothing.
///
/// `own` is the link's principal: only what it asked for gets outcomes.
pub(super) fn twin(
    keys: &Keys,
    state: &State,
    twin: &Twin,
    commit: &Commit,
    historical: bool,
    own: &Principal,
) -> Option<(&'static str, Vec<u8>)> {
    let Body::Twin { origin, what, .. } = &commit.body else { return None };
    let mut out = Vec::with_capacity(256);
    let out_ref = &mut out;
    readings::head(out_ref, keys, identity(commit, historical));
    let level = match what {
        What::Reported(_) | What::Backfilled(_) | What::Heartbeat(_) => return None,
        What::Command(command) => {
            asked_by(origin, own)?;
            command_accepted(out_ref, keys, state, twin, commit, command);
            "outcomes"
        }
        What::Refused { key, index, reason, detail } => {
            asked_by(origin, own)?;
            time(out_ref, state.timeline(), commit);
            outcome_id(out_ref, key, None);
            point(out_ref, keys, *index, is_alarm(twin, *index));
            out_ref.push(b',');
            let stage = Stage::Ended(Outcome::Rejected(*reason, detail.clone()));
            documents::stage(out_ref, &stage);
            "outcomes"
        }
        What::Step { command, step } => {
            step_taken(out_ref, keys, state, twin, commit, (*command, step), own)?;
            "outcomes"
        }
        What::Event(event) => {
            occurred(out_ref, keys, state.timeline(), twin, commit.seq, event);
            if let Origin::Principal(by) = origin {
                out_ref.extend_from_slice(b",\"by\":");
                json::string(out_ref, &by.to_string());
            }
            "events"
        }
        other => {
            time(out_ref, state.timeline(), commit);
            told(out_ref, keys, state.timeline(), twin, commit.seq, other);
            "stream"
        }
    };
    out.push(b'}');
    Some((level, out))
}

/// The last topic level and the payload for a commit of the gateway itself. What a link passed over is told by that link,
/// `own`, alone.
pub(super) fn gateway(
    gateway: &str,
    own: &str,
    state: &State,
    commit: &Commit,
    historical: bool,
) -> Option<(&'static str, Vec<u8>)> {
    let Body::Gateway(event) = &commit.body else { return None };
    let mut out = b"{\"gateway\":".to_vec();
    json::string(&mut out, gateway);
    out.extend_from_slice(b",\"epoch\":");
    json::number(&mut out, commit.epoch);
    out.extend_from_slice(b",\"seq\":");
    json::number(&mut out, commit.seq.0);
    if historical {
        out.extend_from_slice(b",\"hist\":true");
    }
    time(&mut out, state.timeline(), commit);
    let level = match event {
        GatewayEvent::Gap { first, last, cause } => {
            gap(&mut out, *first, *last, cause_word(*cause));
            "gaps"
        }
        GatewayEvent::Opened { boot, .. } => {
            out.extend_from_slice(b",\"opened\":true,\"boot\":");
            json::bytes(&mut out, &boot.0);
            "gateway"
        }
        GatewayEvent::ClockSet { offset } => {
            let boot = state.timeline().span_of(commit.seq).map(|span| span.boot.0);
            out.extend_from_slice(b",\"clock_set\":true,\"offset\":");
            json::signed(&mut out, *offset);
            out.extend_from_slice(b",\"boot\":");
            json::bytes(&mut out, &boot.unwrap_or_default());
            "gateway"
        }
        GatewayEvent::Writes { on, by } => {
            out.extend_from_slice(if *on { b",\"writes\":true" } else { b",\"writes\":false" });
            out.extend_from_slice(b",\"by\":");
            json::string(&mut out, &by.to_string());
            "gateway"
        }
        // The store's own business: lanes do not carry them.
        GatewayEvent::Revs { .. } | GatewayEvent::Forgotten { .. } => return None,
        GatewayEvent::PassedOver { link, first, last, count, why } => {
            (link.as_str() == own).then_some(())?;
            gap(&mut out, *first, *last, "refused");
            out.extend_from_slice(b",\"count\":");
            json::number(&mut out, *count);
            out.extend_from_slice(b",\"detail\":");
            json::string(&mut out, why);
            "gaps"
        }
    };
    out.push(b'}');
    Some((level, out))
}

/// `,"first":1001,"last":1399,"cause":"crash"`
pub(super) fn gap(out: &mut Vec<u8>, first: Seq, last: Seq, cause: &str) {
    out.extend_from_slice(b",\"first\":");
    json::number(out, first.0);
    out.extend_from_slice(b",\"last\":");
    json::number(out, last.0);
    out.extend_from_slice(b",\"cause\":");
    json::string(out, cause);
}

fn identity(commit: &Commit, historical: bool) -> Identity {
    Identity { epoch: commit.epoch, seq: commit.seq, historical }
}

fn time(out: &mut Vec<u8>, timeline: &Timeline, commit: &Commit) {
    readings::time(out, timeline, commit.seq, TimeBase::gateway(commit.at));
}

fn asked_by(origin: &Origin, own: &Principal) -> Option<()> {
    matches!(origin, Origin::Principal(by) if by == own).then_some(())
}

fn command_accepted(
    out: &mut Vec<u8>,
    keys: &Keys,
    state: &State,
    twin: &Twin,
    commit: &Commit,
    command: &Command,
) {
    time(out, state.timeline(), commit);
    outcome_id(out, &command.key, Some(CommandId(commit.seq.0)));
    let alarm = twin.rule(command.index).is_some();
    point(out, keys, Some(command.index), alarm);
    if alarm {
        care(out, &command.order);
        out.push(b',');
        return documents::stage(out, &Stage::Accepted);
    }
    let value = match &command.order {
        Order::Write(value) => Some((b",\"value\":".as_slice(), value)),
        Order::Call(input) => input.as_ref().map(|value| (b",\"input\":".as_slice(), value)),
    };
    if let Some((key, value)) = value {
        out.extend_from_slice(key);
        typed(out, twin, command.index, value);
    }
    out.push(b',');
    documents::stage(out, &Stage::Accepted);
}

fn step_taken(
    out: &mut Vec<u8>,
    keys: &Keys,
    state: &State,
    twin: &Twin,
    commit: &Commit,
    (id, step): (CommandId, &Step),
    own: &Principal,
) -> Option<()> {
    let (_, key, _) =
        state.ledger().iter().find(|(by, _, entry)| entry.seq.0 == id.0 && *by == own)?;
    let open = twin.commands().get(&id).map(|known| known.command.index);
    let desired = || twin.desired().iter().find(|(_, d)| d.command == id).map(|(index, _)| *index);
    let index = open.or_else(desired);
    time(out, state.timeline(), commit);
    outcome_id(out, key, Some(id));
    point(out, keys, index, is_alarm(twin, index));
    let stage = match step {
        Step::Sent { expected } => {
            if let Some(index) = index {
                out.extend_from_slice(b",\"expected\":");
                typed(out, twin, index, expected);
            }
            Stage::Sent
        }
        Step::Acknowledged => Stage::Acknowledged,
        Step::Ended(outcome) => Stage::Ended(outcome.clone()),
    };
    out.push(b',');
    documents::stage(out, &stage);
    Some(())
}

/// `,"id":"c-1","command":15500`
pub(super) fn outcome_id(out: &mut Vec<u8>, key: &str, command: Option<CommandId>) {
    out.extend_from_slice(b",\"id\":");
    json::string(out, key);
    if let Some(command) = command {
        out.extend_from_slice(b",\"command\":");
        json::number(out, command.0);
    }
}

/// `,"acknowledge":true`, `,"acknowledge":"2a01"` or `,"shelve":7200`
fn care(out: &mut Vec<u8>, order: &Order) {
    match Care::of(order) {
        Ok(Care::Acknowledge(None)) => out.extend_from_slice(b",\"acknowledge\":true"),
        Ok(Care::Acknowledge(Some(instance))) => {
            out.extend_from_slice(b",\"acknowledge\":");
            json::bytes(out, &instance);
        }
        Ok(Care::Shelve(micros)) => {
            out.extend_from_slice(b",\"shelve\":");
            json::number(out, u64::try_from(micros / 1_000_000).unwrap_or(0));
        }
        Err(_) => {}
    }
}

fn is_alarm(twin: &Twin, index: Option<u16>) -> bool {
    index.is_some_and(|index| twin.rule(index).is_some())
}

fn point(out: &mut Vec<u8>, keys: &Keys, index: Option<u16>, alarm: bool) {
    let key = index.and_then(|index| keys.key(index).strip_suffix(b":"));
    if let Some(key) = key {
        out.extend_from_slice(if alarm { b",\"alarm\":" } else { b",\"property\":" });
        out.extend_from_slice(key);
    }
}

fn typed(out: &mut Vec<u8>, twin: &Twin, index: u16, value: &Value) {
    match twin.description().point(index) {
        Some(point) => drop(json::value(out, &point.spec.value_type, value)),
        None => out.extend_from_slice(b"null"),
    }
}

fn occurred(
    out: &mut Vec<u8>,
    keys: &Keys,
    timeline: &Timeline,
    twin: &Twin,
    seq: Seq,
    event: &Event,
) {
    readings::time(out, timeline, seq, event.occurred);
    out.extend_from_slice(b",\"event\":");
    out.extend_from_slice(keys.key(event.index).strip_suffix(b":").unwrap_or(b"null"));
    condition(out, event);
    if let Some(fields) = &event.fields {
        out.extend_from_slice(b",\"fields\":");
        typed(out, twin, event.index, fields);
    }
}

/// `,"instance":"2a01","severity":700,"state":["active"],"text":"…"`, and until when it is shelved.
pub(super) fn condition(out: &mut Vec<u8>, event: &Event) {
    out.extend_from_slice(b",\"instance\":");
    json::bytes(out, &event.instance);
    out.extend_from_slice(b",\"severity\":");
    json::number(out, event.severity);
    out.extend_from_slice(b",\"state\":[");
    let state = event.state;
    let mut first = true;
    for (is, word) in [
        (state.active, "active"),
        (state.acknowledged, "acknowledged"),
        (state.confirmed, "confirmed"),
        (state.shelved, "shelved"),
    ] {
        if is {
            comma(out, &mut first);
            json::string(out, word);
        }
    }
    out.extend_from_slice(b"],\"text\":");
    json::string(out, &event.text);
    if let Some(until) = event.until.and_then(|until| until.utc) {
        out.extend_from_slice(b",\"shelved_until\":");
        json::string(out, &until.to_string());
    }
}

/// What the other commits of a twin tell, each under a key of its own.
fn told(out: &mut Vec<u8>, keys: &Keys, timeline: &Timeline, twin: &Twin, seq: Seq, what: &What) {
    let mut text = |key: &str, value: &str| {
        out.extend_from_slice(key.as_bytes());
        json::string(out, value);
    };
    match what {
        What::Transition { from, to, trigger, detail, entanglement } => {
            text(",\"lifecycle\":{\"from\":", from.word());
            text(",\"to\":", to.word());
            text(",\"trigger\":", Trigger::word(*trigger));
            if let Some(detail) = detail {
                text(",\"detail\":", detail);
            }
            if let Some(measured) = entanglement {
                out.extend_from_slice(b",\"entanglement\":");
                json::list(out, *b"[]", measured.iter(), |out, v| {
                    json::float(out, &twin::ValueType::F32, f64::from(*v))
                });
            }
            out.push(b'}');
        }
        What::Maintained(Some(maintenance)) => documents::maintenance(out, Some(maintenance)),
        What::Maintained(None) => out.extend_from_slice(b",\"maintenance\":null"),
        What::Entangled(entangled) => {
            out.extend_from_slice(b",\"entanglement\":{");
            let from = out.len();
            documents::entangled_figures(out, *entangled);
            // The first key has no comma before it.
            out.remove(from);
            out.push(b'}');
        }
        What::Binding(binding) => {
            text(",\"binding\":{\"line\":", &binding.line);
            out.extend_from_slice(if binding.bound {
                b",\"bound\":true"
            } else {
                b",\"bound\":false"
            });
            let asset = binding.asset.as_ref().map(|asset| (",\"asset\":", asset));
            let cause = binding.cause.as_ref().map(|cause| (",\"cause\":", cause));
            for (key, value) in asset.into_iter().chain(cause) {
                out.extend_from_slice(key.as_bytes());
                json::string(out, value);
            }
            out.push(b'}');
        }
        What::Related(to) | What::Unrelated(to) => {
            let related = matches!(what, What::Related(_));
            text(
                if related { ",\"related\":{\"name\":" } else { ",\"unrelated\":{\"name\":" },
                to.name.as_str(),
            );
            text(",\"target\":", &to.target);
            out.push(b'}');
        }
        What::Described(description) => {
            out.extend_from_slice(b",\"described\":{\"revision\":");
            json::number(out, description.revision);
            out.push(b'}');
        }
        What::Thinned(envelope) => thinned(out, keys, timeline, twin, seq, envelope),
        What::Purged => out.extend_from_slice(b",\"purged\":true"),
        _ => {}
    }
}

fn thinned(
    out: &mut Vec<u8>,
    keys: &Keys,
    timeline: &Timeline,
    twin: &Twin,
    seq: Seq,
    envelope: &twin::Envelope,
) {
    out.extend_from_slice(b",\"envelope\":{\"first\":");
    json::number(out, envelope.first.0);
    out.extend_from_slice(b",\"last\":");
    json::number(out, envelope.last.0);
    out.extend_from_slice(b",\"thin\":");
    json::number(out, envelope.thin);
    for (key, base) in [(",\"from\":", envelope.from), (",\"until\":", envelope.until)] {
        out.extend_from_slice(key.as_bytes());
        match timeline.resolve_base(seq, base) {
            Some(at) => json::time(out, at),
            None if base.clock == SourceClock::Gateway => json::number(out, base.micros),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.extend_from_slice(b",\"values\":{");
    let mut first = true;
    for entry in envelope.entries.iter().filter(|entry| keys.wants(entry.index)) {
        comma(out, &mut first);
        out.extend_from_slice(keys.key(entry.index));
        out.extend_from_slice(b"{\"count\":");
        json::number(out, entry.count);
        if entry.not_good > 0 {
            out.extend_from_slice(b",\"not_good\":");
            json::number(out, entry.not_good);
        }
        if let Some(last) = &entry.last {
            out.extend_from_slice(b",\"last\":");
            typed(out, twin, entry.index, last);
        }
        if let Some((low, high, mean)) = entry.range {
            for (key, v) in [(",\"min\":", low), (",\"max\":", high), (",\"mean\":", mean)] {
                out.extend_from_slice(key.as_bytes());
                json::float(out, &twin::ValueType::F64, v);
            }
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"}}");
}

fn cause_word(cause: GapCause) -> &'static str {
    match cause {
        GapCause::Crash => "crash",
        GapCause::Damage => "damage",
        GapCause::Retention => "retention",
        GapCause::Full => "full",
        GapCause::Thinned => "thinned",
    }
}

/// A refusal that is in no log: `"stage":"rejected","reason":"no-id","detail":"…"`.
pub(super) fn refused(out: &mut Vec<u8>, reason: Reason, words: &str) {
    documents::stage(out, &Stage::Ended(Outcome::Rejected(reason, words.into())));
}
