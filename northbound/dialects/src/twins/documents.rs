//! Retained documents, written from the state as it is when they are sent: features, life cycle, description, status.

use std::ops::Range;

use serde_json::{Map, Value as Json, json};
use twin::{
    Acquisition, Cause, Desired, Entangled, Kind, Maintenance, Outcome, Point, Quality, Seq, Stage,
    State, TimeBase, Timeline, Twin, Value, ValueType,
};

use super::keys::Keys;
use super::readings::{self, Identity, comma};
use super::records;
use crate::json;

/// `state/<feature>`: all properties of a feature with value, quality, time, unit, label and what is desired.
pub(super) fn feature(out: &mut Vec<u8>, keys: &Keys, state: &State, twin: &Twin, feature: u16) {
    let touched = twin.feature(feature);
    head(out, keys, state, touched.seq);
    out.extend_from_slice(b",\"rev\":");
    json::number(out, touched.rev);
    out.extend_from_slice(b",\"properties\":{");
    let (mut first, mut times) = (true, LastTime::default());
    for index in keys.properties(feature) {
        let Some(point) = twin.description().point(*index) else { continue };
        comma(out, &mut first);
        json::string(out, point.spec.name.as_str());
        out.push(b':');
        property(out, state, twin, *index, point, &mut times);
    }
    out.extend_from_slice(b"}}");
}

/// `lifecycle`: where the twin stands, and the commit since which it does.
pub(super) fn life_cycle(out: &mut Vec<u8>, keys: &Keys, state: &State, twin: &Twin) {
    head(out, keys, state, twin.since());
    out.extend_from_slice(b",\"state\":");
    json::string(out, twin.life_cycle().word());
    maintenance(out, twin.maintenance());
    out.push(b'}');
}

/// `,"maintenance":{"until":"...","reason":"...","by":"..."}`
pub(super) fn maintenance(out: &mut Vec<u8>, maintenance: Option<&Maintenance>) {
    let Some(Maintenance { until, reason, by }) = maintenance else { return };
    out.extend_from_slice(b",\"maintenance\":{");
    if let Some(until) = until.utc {
        out.extend_from_slice(b"\"until\":");
        json::string(out, &until.to_string());
        out.push(b',');
    }
    out.extend_from_slice(b"\"reason\":");
    json::string(out, reason);
    out.extend_from_slice(b",\"by\":");
    json::string(out, &by.to_string());
    out.push(b'}');
}

/// `entanglement`: how closely the twin follows its asset, and the commit that says so.
pub(super) fn entanglement(out: &mut Vec<u8>, keys: &Keys, state: &State, twin: &Twin) {
    let Some((seq, entangled)) = twin.entangled() else { return };
    let measuring = &twin.description().policy.entanglement;
    head(out, keys, state, seq);
    out.extend_from_slice(b",\"class\":");
    json::string(out, twin.closeness().word());
    entangled_figures(out, entangled);
    out.extend_from_slice(b",\"target\":");
    json::float(out, &ValueType::F32, f64::from(measuring.target()));
    for (key, micros) in [
        (&b",\"window_ms\":"[..], measuring.window),
        (b",\"timeliness_ms\":", measuring.timeliness),
    ] {
        out.extend_from_slice(key);
        json::signed(out, micros / 1_000);
    }
    out.push(b'}');
}

/// `,"value":0.9,"timeliness":1.0,"reliability":0.9,"availability":1.0`
pub(super) fn entangled_figures(out: &mut Vec<u8>, entangled: Entangled) {
    for (key, figure) in [
        (&b",\"value\":"[..], entangled.value()),
        (b",\"timeliness\":", entangled.timeliness),
        (b",\"reliability\":", entangled.reliability),
        (b",\"availability\":", entangled.availability),
    ] {
        out.extend_from_slice(key);
        json::float(out, &ValueType::F32, f64::from(figure));
    }
}

/// `alarms`: those that stand, by name.
pub(super) fn alarms(out: &mut Vec<u8>, keys: &Keys, state: &State, twin: &Twin) {
    head(out, keys, state, twin.alarmed());
    out.extend_from_slice(b",\"alarms\":{");
    let mut first = true;
    for (index, standing) in twin.alarms().iter().filter(|(index, _)| keys.wants(**index)) {
        comma(out, &mut first);
        out.extend_from_slice(keys.key(*index));
        out.push(b'{');
        let from = out.len();
        // When it was raised; what was said of it since has times of its own.
        readings::time(out, state.timeline(), standing.raised.0, standing.raised.1);
        records::condition(out, &standing.event);
        // The first key has no comma before it.
        out.remove(from);
        out.push(b'}');
    }
    out.extend_from_slice(b"}}");
}

/// `status`: this gateway is online, and how it stands.
pub(super) fn status(gateway: &str, state: &State) -> Vec<u8> {
    let set = state.timeline().spans().last().is_some_and(|span| span.offset.is_some());
    let clock = if set { "set" } else { "unset" };
    json!({
        "gateway": gateway, "online": true, "epoch": state.epoch(),
        "writes": state.writes_on(), "clock": clock,
    })
    .to_string()
    .into_bytes()
}

/// `status` of a gateway that left or vanished.
pub(super) fn offline(gateway: &str) -> Vec<u8> {
    json!({ "gateway": gateway, "online": false }).to_string().into_bytes()
}

/// `description`: what the twin consists of.
pub(super) fn description(gateway: &str, keys: &Keys, twin: &Twin) -> Vec<u8> {
    let of = twin.description();
    let mut all = Map::new();
    all.insert("gateway".into(), gateway.into());
    all.insert("twin".into(), twin.id().as_str().into());
    all.insert("revision".into(), of.revision.into());
    put(&mut all, "model", of.model.as_deref());
    let mut plate = Map::new();
    let nameplate = &of.nameplate;
    put(&mut plate, "manufacturer", nameplate.manufacturer.as_deref());
    put(&mut plate, "model", nameplate.model.as_deref());
    put(&mut plate, "serial", nameplate.serial.as_deref());
    put(&mut plate, "hardware", nameplate.hardware.as_deref());
    put(&mut plate, "software", nameplate.software.as_deref());
    if !plate.is_empty() {
        all.insert("nameplate".into(), plate.into());
    }
    if !of.semantics.is_empty() {
        all.insert("semantics".into(), of.semantics.iter().map(|iri| &**iri).collect());
    }
    let mut groups = Map::new();
    for group in of.groups.iter().filter(|group| !group.retired) {
        groups.insert(group.name.to_string(), acquisition(group.acquisition));
    }
    all.insert("groups".into(), groups.into());
    let mut features = Map::new();
    for (at, name) in of.features.iter().enumerate() {
        let points = (0..).zip(&of.points).filter(|(index, point)| {
            usize::from(point.feature) == at && !point.retired && keys.wants(*index)
        });
        let points: Map<String, Json> =
            points.map(|(_, p)| (p.spec.name.to_string(), described(of, p))).collect();
        if !points.is_empty() {
            features.insert(name.to_string(), points.into());
        }
    }
    all.insert("features".into(), features.into());
    let to = twin.relationships().iter();
    let to: Vec<Json> =
        to.map(|r| json!({ "name": r.name.as_str(), "target": &*r.target })).collect();
    if !to.is_empty() {
        all.insert("relationships".into(), to.into());
    }
    Json::from(all).to_string().into_bytes()
}

/// Where a command stands and, when it failed, why: `"stage":"rejected","reason":"differs","detail":"…"`.
pub(super) fn stage(out: &mut Vec<u8>, stage: &Stage) {
    out.extend_from_slice(b"\"stage\":");
    json::string(out, stage.word());
    if let Stage::Ended(Outcome::Rejected(reason, words) | Outcome::Unknown(reason, words)) = stage
    {
        out.extend_from_slice(b",\"reason\":");
        json::string(out, reason.word());
        out.extend_from_slice(b",\"detail\":");
        json::string(out, if words.is_empty() { reason.meaning() } else { words });
    }
}

fn head(out: &mut Vec<u8>, keys: &Keys, state: &State, seq: Seq) {
    let epoch = state.timeline().span_of(seq).map_or(state.epoch(), |span| span.epoch);
    readings::head(out, keys, Identity { epoch, seq, historical: false });
}

/// The time written last and where it stands: the readings of one poll share it.
#[derive(Debug, Default)]
struct LastTime {
    of: Option<(Seq, TimeBase)>,
    text: Range<usize>,
}

impl LastTime {
    fn write(&mut self, out: &mut Vec<u8>, timeline: &Timeline, seq: Seq, base: TimeBase) {
        if self.of == Some((seq, base)) {
            out.extend_from_within(self.text.clone());
            return;
        }
        let begin = out.len();
        readings::time(out, timeline, seq, base);
        *self = Self { of: Some((seq, base)), text: begin..out.len() };
    }
}

fn property(
    out: &mut Vec<u8>,
    state: &State,
    twin: &Twin,
    index: u16,
    point: &Point,
    times: &mut LastTime,
) {
    let of = &point.spec.value_type;
    out.extend_from_slice(b"{\"value\":");
    let reading = twin.reading(index);
    let value = reading.and_then(|r| r.value.as_ref());
    let finite = match value {
        Some(value) => json::value(out, of, value),
        None => {
            out.extend_from_slice(b"null");
            true
        }
    };
    if let Some(label) = value.and_then(|value| point.spec.label(value)) {
        out.extend_from_slice(b",\"label\":");
        json::string(out, label);
    }
    if let Some(unit) = &point.spec.unit {
        out.extend_from_slice(b",\"unit\":");
        json::string(out, unit);
    }
    let quality = reading.map_or(Quality::bad(Cause::NotRead), |r| r.quality);
    let none = !finite && matches!(value, Some(Value::Float(_))) && quality.is_good();
    let quality = if none { Quality::bad(Cause::NotAValue) } else { quality };
    if !quality.is_good() {
        out.extend_from_slice(b",\"quality\":{");
        readings::write_quality(out, quality);
        out.push(b'}');
    }
    if let Some(reading) = reading {
        times.write(out, state.timeline(), reading.seq, reading.source);
    }
    if let Some(desired) = twin.desired().get(&index) {
        out.extend_from_slice(b",\"desired\":");
        self::desired(out, of, desired);
    }
    out.push(b'}');
}

fn desired(out: &mut Vec<u8>, of: &ValueType, desired: &Desired) {
    out.extend_from_slice(b"{\"value\":");
    json::value(out, of, &desired.value);
    out.extend_from_slice(b",\"version\":");
    json::number(out, desired.version);
    out.extend_from_slice(b",\"command\":");
    json::number(out, desired.command.0);
    out.extend_from_slice(b",\"by\":");
    json::string(out, &desired.by.to_string());
    out.push(b',');
    stage(out, &desired.stage);
    out.push(b'}');
}

fn described(of: &twin::Description, point: &Point) -> Json {
    let spec = &point.spec;
    let mut all = Map::new();
    let kind = match spec.kind {
        Kind::State => "state",
        Kind::Telemetry => "telemetry",
        Kind::Event => "event",
        Kind::Action => "action",
    };
    all.insert("kind".into(), kind.into());
    all.insert("type".into(), type_name(&spec.value_type));
    put(&mut all, "unit", spec.unit.as_deref());
    put(&mut all, "title", spec.title.as_deref());
    if let Some((low, high)) = spec.range {
        all.insert("range".into(), json!([low, high]));
    }
    if !spec.labels.is_empty() {
        let labels = spec.labels.iter().map(|(raw, label)| (raw.to_string(), (&**label).into()));
        all.insert("labels".into(), Json::Object(labels.collect()));
    }
    if !spec.semantics.is_empty() {
        all.insert("semantics".into(), spec.semantics.iter().map(|iri| &**iri).collect());
    }
    if let Some(group) = of.groups.get(usize::from(spec.group)) {
        all.insert("group".into(), group.name.as_str().into());
    }
    if let Some(alarm) = &spec.rules.alarm {
        all.insert("watches".into(), format!("{}/{}", alarm.feature, alarm.point).into());
        all.insert("severity".into(), alarm.severity.into());
    }
    if let Some(writable) = &spec.access.writable {
        let range = writable.range.map(|(low, high)| json!([low, high]));
        all.insert("writable".into(), range.unwrap_or(true.into()));
    }
    all.into()
}

fn acquisition(how: Acquisition) -> Json {
    // Microseconds become seconds; an interval is far below 2^53.
    #[expect(clippy::cast_precision_loss, reason = "see above")]
    let seconds = |micros: i64| micros as f64 / 1e6;
    match how {
        Acquisition::Polled { interval } => json!({ "polled": seconds(interval) }),
        Acquisition::Pushed { interval, reception } => {
            json!({ "pushed": seconds(interval), "reception": reception })
        }
        Acquisition::OnDemand => json!({ "on_demand": true }),
    }
}

fn type_name(of: &ValueType) -> Json {
    match of {
        ValueType::Bool => "bool".into(),
        ValueType::Int(kind) => format!("{kind:?}").to_lowercase().into(),
        ValueType::F32 => "f32".into(),
        ValueType::F64 => "f64".into(),
        ValueType::Decimal { exponent, .. } => {
            let step = ValueType::Decimal { raw: twin::IntKind::I64, exponent: *exponent };
            json!({ "decimal": step.show(&Value::Decimal(1)).to_string() })
        }
        ValueType::Time => "time".into(),
        ValueType::Text => "text".into(),
        ValueType::Bytes => "bytes".into(),
        ValueType::List(of) => json!({ "list": type_name(of) }),
        ValueType::Record(fields) => {
            let fields = fields.iter().map(|(name, of)| (name.to_string(), type_name(of)));
            json!({ "record": Json::Object(fields.collect()) })
        }
    }
}

fn put(map: &mut Map<String, Json>, key: &str, value: Option<&str>) {
    if let Some(value) = value {
        map.insert(key.into(), value.into());
    }
}
