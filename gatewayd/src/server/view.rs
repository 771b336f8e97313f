//! The twin model in the types of the local API.

use control::{Point, Update};
use serde_json::Value as Json;
use twin::{
    Body, Boottime, Class, Commit, ConditionState, Description, GatewayEvent, Handle, Kind,
    Maintenance, Moment, Quality, Reading, Reported, Seq, SourceClock, State, Step, TimeBase, Twin,
    Value, ValueType, What,
};

/// What the view of a twin needs besides the state.
pub struct Viewpoint<'a> {
    /// Now.
    pub now: Moment,
    /// When a group was last read completely.
    pub read: &'a dyn Fn(Handle, u16) -> Option<Boottime>,
}

/// A twin with its points.
pub fn twin(state: &State, twin: &Twin, view: &Viewpoint<'_>) -> control::Twin {
    let description = twin.description();
    let line = twin.bindings().values().find(|b| b.bound).or(twin.bindings().values().next());
    let groups = (0u16..).zip(&description.groups).filter(|(_, group)| !group.retired);
    // The twin is as old as its oldest group: younger would hide a group that is no longer read.
    let oldest = groups.filter_map(|(index, _)| (view.read)(twin.handle(), index)).min();
    control::Twin {
        id: twin.id().to_string(),
        life_cycle: twin.life_cycle().to_string(),
        model: description.model.as_ref().map(ToString::to_string),
        asset: line.and_then(|b| b.asset.as_ref()).map(ToString::to_string),
        line: line.map(|b| b.line.to_string()),
        rev: twin.rev(),
        age_ms: oldest.map(|at| age(view.now.boottime, at)),
        entanglement: entanglement(twin),
        maintenance: twin.maintenance().map(maintenance),
        disabled: None,
        relationships: relationships(twin),
        alarms: super::alarms::indexes(twin)
            .filter_map(|index| super::alarms::alarm(state, twin, index, false, view.now))
            .collect(),
        points: indexes(description).map(|index| point(state, twin, index, view)).collect(),
    }
}

/// Planned work on its asset.
pub fn maintenance(of: &Maintenance) -> control::Maintenance {
    control::Maintenance {
        until: of.until.utc.map(text),
        reason: of.reason.to_string(),
        by: of.by.to_string(),
    }
}

/// Its links to other twins.
pub fn relationships(twin: &Twin) -> Vec<control::Relationship> {
    let each = twin.relationships().iter();
    each.map(|r| control::Relationship { name: r.name.to_string(), target: r.target.to_string() })
        .collect()
}

/// How close it is to its asset, where that was measured.
pub fn entanglement(twin: &Twin) -> Option<control::Entanglement> {
    let (_, entangled) = twin.entangled()?;
    let measuring = &twin.description().policy.entanglement;
    Some(control::Entanglement {
        value: entangled.value(),
        timeliness: entangled.timeliness,
        reliability: entangled.reliability,
        availability: entangled.availability,
        class: twin.closeness().word().into(),
        target: measuring.target(),
        window_ms: millis(measuring.window),
        timeliness_ms: millis(measuring.timeliness),
    })
}

/// The indexes of the points in use that have values or take commands.
pub fn indexes(description: &Description) -> impl Iterator<Item = u16> {
    let points = (0u16..).zip(&description.points);
    points.filter(|(_, p)| !p.retired && p.spec.kind != Kind::Event).map(|(index, _)| index)
}

/// A point and what is known of it.
pub fn point(state: &State, twin: &Twin, index: u16, view: &Viewpoint<'_>) -> Point {
    let mut shown = described(twin.description(), index);
    let Some(point) = twin.description().point(index) else { return shown };
    let (of, spec) = (&point.spec.value_type, &point.spec);
    if let Some(reading) = twin.reading(index) {
        value(&mut shown, twin.description(), index, reading.value.as_ref(), reading.quality);
        shown.time = state.timeline().resolve_base(reading.seq, reading.source).map(text);
        shown.age_ms = confirmed(state, twin, reading, spec.group, view);
    }
    if let Some(desired) = twin.desired().get(&index) {
        shown.desired = Some(of.show(&desired.value).to_string());
        shown.command = Some(desired.stage.word().into());
    }
    shown
}

fn described(description: &Description, index: u16) -> Point {
    let quality = Quality::bad(twin::Cause::NotRead);
    let mut shown = Point { quality: quality.class.word().into(), ..Point::default() };
    shown.cause = Some(quality.cause.word().into());
    if let Some(point) = description.point(index) {
        shown.feature = point.spec.feature.to_string();
        shown.name = point.spec.name.to_string();
        shown.unit = point.spec.unit.as_ref().map(ToString::to_string);
        shown.writable = point.spec.access.writable.is_some();
    }
    shown
}

fn value(
    shown: &mut Point,
    description: &Description,
    index: u16,
    value: Option<&Value>,
    quality: Quality,
) {
    if let (Some(point), Some(value)) = (description.point(index), value) {
        shown.value = json(&point.spec.value_type, value);
        shown.text = Some(point.spec.show(value).to_string());
        shown.label = point.spec.label(value).map(ToString::to_string);
    }
    shown.quality = quality.class.word().into();
    shown.cause = (quality.class != Class::Good).then(|| quality.cause.word().into());
    shown.code = quality.code;
}

/// Milliseconds since the asset last confirmed a reading: unchanged polls confirm it without a commit.
fn confirmed(
    state: &State,
    twin: &Twin,
    reading: &Reading,
    group: u16,
    view: &Viewpoint<'_>,
) -> Option<u64> {
    let own = match state.timeline().span_of(reading.seq) {
        Some(span)
            if span.boot == view.now.boot && reading.source.clock == SourceClock::Gateway =>
        {
            Some(age(view.now.boottime, Boottime(reading.source.micros)))
        }
        _ => {
            let then = state.timeline().resolve_base(reading.seq, reading.source);
            view.now.utc.zip(then).map(|(now, then)| millis(now.0 - then.0))
        }
    };
    let fresh = reading.quality.is_good().then(|| (view.read)(twin.handle(), group)).flatten();
    let fresh = fresh.map(|at| age(view.now.boottime, at));
    [own, fresh].into_iter().flatten().min()
}

fn age(now: Boottime, then: Boottime) -> u64 {
    millis(now.0 - then.0)
}

fn millis(micros: i64) -> u64 {
    u64::try_from(micros / 1_000).unwrap_or(0)
}

fn text(at: twin::Timestamp) -> String {
    at.to_string()
}

/// A value for programs. A decimal beyond 2^53 loses low digits here, never in `text`.
pub fn json(of: &ValueType, value: &Value) -> Json {
    match value {
        Value::Bool(v) => Json::from(*v),
        Value::Signed(v) => Json::from(*v),
        Value::Unsigned(v) => Json::from(*v),
        Value::Float(v) if v.is_finite() => Json::from(*v),
        Value::Decimal(raw) if of.exponent() == 0 => Json::from(*raw),
        Value::Decimal(_) => value.as_f64(of).map_or(Json::Null, Json::from),
        Value::List(values) => match of {
            ValueType::List(of) => values.iter().map(|v| json(of, v)).collect(),
            _ => Json::Null,
        },
        Value::Record(values) => match of {
            ValueType::Record(fields) => {
                let pairs = fields.iter().zip(values.iter());
                pairs.map(|((name, of), v)| (name.to_string(), json(of, v))).collect()
            }
            _ => Json::Null,
        },
        Value::Float(_) | Value::Time(_) | Value::Text(_) | Value::Bytes(_) => {
            Json::from(of.show(value).to_string())
        }
    }
}

/// Readings that arrived outside the state: for `read`.
pub fn readings(state: &State, twin: &Twin, reported: &Reported, at: Seq) -> Vec<Point> {
    let show = |entry: &twin::Entry| {
        let mut shown = described(twin.description(), entry.index);
        value(&mut shown, twin.description(), entry.index, entry.value.as_ref(), entry.quality);
        shown.time = resolved(state, at, reported.source.plus(entry.offset));
        shown
    };
    reported.entries.iter().map(show).collect()
}

fn resolved(state: &State, at: Seq, base: TimeBase) -> Option<String> {
    state.timeline().resolve_base(at, base).map(text)
}

/// A commit for those who watch; `None` for what is of no interest to people.
pub fn update(state: &State, commit: &Commit) -> Option<Update> {
    let mut update = Update {
        seq: commit.seq.0,
        epoch: commit.epoch,
        time: state.timeline().resolve(commit.seq, commit.at).map(text),
        twin: None,
        what: String::new(),
        detail: None,
        points: Vec::new(),
    };
    match &commit.body {
        Body::Gateway(event) => gateway(&mut update, event),
        Body::Twin { handle, twin: id, what, .. } => {
            update.twin = Some(id.to_string());
            happened(&mut update, state, state.by_handle(*handle), commit.seq, what)?;
        }
    }
    Some(update)
}

fn gateway(update: &mut Update, event: &GatewayEvent) {
    let (what, detail) = match event {
        GatewayEvent::Opened { epoch, .. } => ("opened", format!("epoch {epoch}")),
        GatewayEvent::ClockSet { .. } => ("clock set", String::new()),
        GatewayEvent::Gap { first, last, cause } => {
            ("gap", format!("{} to {} are gone: {cause:?}", first.0, last.0))
        }
        GatewayEvent::Writes { on, by } => {
            ("writes", format!("switched {} by {by}", if *on { "on" } else { "off" }))
        }
        GatewayEvent::Revs { least } => ("revs", format!("of {} twins were proven", least.len())),
        GatewayEvent::Forgotten { before } => {
            ("forgotten", format!("how times before {} resolve", before.0))
        }
        GatewayEvent::PassedOver { link, first, last, count, why } => {
            let these = format!("{count} of the commits {} to {}", first.0, last.0);
            ("passed over", format!("the link {link} went on without {these}: {why}"))
        }
    };
    (update.what, update.detail) = (what.into(), Some(detail));
}

fn happened(
    update: &mut Update,
    state: &State,
    twin: Option<&Twin>,
    seq: Seq,
    what: &What,
) -> Option<()> {
    let name = |index: u16| {
        let point = twin.and_then(|t| t.description().point(index));
        point.map_or_else(String::new, |p| format!("{}/{}", p.spec.feature, p.spec.name))
    };
    let (word, detail) = match what {
        What::Reported(reported) | What::Backfilled(reported) => {
            update.points = twin.map(|t| readings(state, t, reported, seq)).unwrap_or_default();
            let backfilled = matches!(what, What::Backfilled(_));
            (if backfilled { "backfilled" } else { "reported" }, None)
        }
        What::Described(d) => {
            ("described", Some(format!("revision {}, {} points", d.revision, d.points.len())))
        }
        What::Binding(binding) => {
            let cause = binding.cause.as_ref().map(|c| format!(": {c}")).unwrap_or_default();
            let word = if binding.bound { "reached" } else { "given up" };
            ("binding", Some(format!("{word} on {}{cause}", binding.line)))
        }
        What::Transition { from, to, trigger, detail, .. } => {
            let detail = detail.as_ref().map(|d| format!(", {d}")).unwrap_or_default();
            ("transition", Some(format!("{from} to {to}: {trigger}{detail}")))
        }
        What::Command(command) => {
            ("command", Some(format!("{} accepted, id {}", name(command.index), seq.0)))
        }
        What::Refused { index, reason, detail, .. } => {
            let point = index.map(name).unwrap_or_default();
            ("refused", Some(format!("{point} {reason}: {detail}")))
        }
        What::Step { command, step } => {
            let words = match step {
                Step::Sent { .. } => "sent".into(),
                Step::Acknowledged => "acknowledged".into(),
                Step::Ended(outcome) => ended(outcome),
            };
            ("command", Some(format!("{} {words}", command.0)))
        }
        What::Event(event) => {
            let words = format!("{} {}: {}", name(event.index), states(event.state), event.text);
            ("event", Some(words))
        }
        What::Related(r) => ("related", Some(format!("{} {}", r.name, r.target))),
        What::Unrelated(r) => ("unrelated", Some(format!("{} {}", r.name, r.target))),
        What::Maintained(Some(m)) => {
            ("maintenance", Some(format!("begun by {}: {}", m.by, m.reason)))
        }
        What::Maintained(None) => ("maintenance", Some("over".into())),
        What::Entangled(entangled) => {
            let [timeliness, reliability, availability] = entangled.figures();
            let factors = format!(
                "timeliness {timeliness:.2}, reliability {reliability:.2}, availability {availability:.2}"
            );
            ("entangled", Some(format!("{:.2}: {factors}", entangled.value())))
        }
        What::Purged => ("purged", None),
        What::Heartbeat(_) | What::Thinned(_) => return None,
    };
    (update.what, update.detail) = (word.into(), detail);
    Some(())
}

/// Where an alarm stands, in words; a plain event stands nowhere.
fn states(of: ConditionState) -> &'static str {
    match of {
        ConditionState { shelved: true, .. } => "is shelved",
        ConditionState { active: true, acknowledged: false, .. } => "is active",
        ConditionState { active: true, acknowledged: true, .. } => "is active and acknowledged",
        ConditionState { active: false, acknowledged: true, .. } => "is over and acknowledged",
        ConditionState { active: false, .. } => "is over",
    }
}

/// An outcome in words.
pub fn ended(outcome: &twin::Outcome) -> String {
    match outcome {
        twin::Outcome::Confirmed | twin::Outcome::Expired => outcome.word().into(),
        twin::Outcome::Rejected(reason, words) | twin::Outcome::Unknown(reason, words) => {
            format!("{} ({reason}): {words}", outcome.word())
        }
    }
}
