//! `why`: what each part of the gateway knows of a twin or a point.

use std::time::Duration;

use adapter::{BreakerState, Inspection};
use control::{Answer, Failure, Section, Why};
use settings::Duration as Span;
use twin::{
    Acquisition, Boottime, Description, Handle, Moment, PointSpec, Report, State, Twin, TwinId,
    Value, ValueType,
};
use twin_store::Fresh;

use super::answers::reads;
use super::view::{self, Viewpoint};
use super::{alarms, find};
use crate::daemon::Hub;

/// How long the line may take to answer: it does so between two transactions.
const PATIENCE: Duration = Duration::from_secs(10);

/// Everything that explains a twin or one of its points.
pub async fn why(hub: &Hub, id: &str, point: Option<&str>) -> Result<Answer, Failure> {
    let (twin, index, mut why, group) = known(hub, id, point)?;
    let now = hub.clock.boottime();
    if let Some((handle, group)) = group {
        let fresh = hub.store.freshness(|f| f.group(handle, group).copied());
        why.sections.push(about_freshness(fresh.as_ref(), now));
    }
    why.sections.push(match hub.lines.of(&twin) {
        None => section("line", vec![("line", "none serves this twin: gatewayctl lines".into())]),
        Some(line) => {
            let asked = tokio::time::timeout(PATIENCE, line.inspect(twin.clone(), index)).await;
            match asked {
                Ok(Some(inspection)) => about_line(&inspection, now),
                Ok(None) => {
                    section("line", vec![("line", format!("{} is not running", line.name()))])
                }
                Err(_) => {
                    section("line", vec![("line", format!("{} gives no answer", line.name()))])
                }
            }
        }
    });
    why.sections.push(about_links(hub));
    if let Some(file) = hub.disabled(&twin) {
        why.verdict = format!("{file} is broken (gatewayctl check); {}", why.verdict);
    }
    Ok(Answer::Why(why))
}

/// The index of an alarm, and that of the point that it watches.
type Alarmed = (u16, Option<u16>);

type Known = (TwinId, Option<u16>, Why, Option<(Handle, u16)>);

/// What the state says.
fn known(hub: &Hub, id: &str, point: Option<&str>) -> Result<Known, Failure> {
    let read = reads(hub);
    let view = Viewpoint { now: hub.moment(), read: &read };
    hub.store.read(|state| {
        let twin = find::twin(state, id)?;
        let index = point.map(|called| find::point(twin, called)).transpose()?;
        let description = twin.description();
        let mut sections = vec![about_twin(twin)];
        sections
            .extend(view::entanglement(twin).map(|entanglement| about_entanglement(&entanglement)));
        let watched = index.and_then(|index| watched(twin, index));
        let of_point = |of: &&Alarmed| index.is_none_or(|at| of.0 == at || of.1 == Some(at));
        sections.extend(about_alarms(state, twin, view.now, of_point));
        let mut verdict = format!("{}", twin.life_cycle());
        match index {
            Some(index) if watched.is_some() => {
                let alarm = alarms::alarm(state, twin, index, true, view.now);
                let (stands, text) = alarm.map(|alarm| (stands(&alarm), alarm.text)).unzip();
                let text = text.unwrap_or_default();
                verdict = format!("{}: {text}; twin {verdict}", stands.unwrap_or_default());
            }
            Some(index) => {
                let shown = view::point(state, twin, index, &view);
                let cause = shown.cause.as_ref().map(|c| format!(", {c}")).unwrap_or_default();
                let value = shown.text.clone().unwrap_or_else(|| "no value".into());
                let unit = shown.unit.as_ref().map(|u| format!(" {u}")).unwrap_or_default();
                verdict = format!("{value}{unit}, {}{cause}; twin {verdict}", shown.quality);
                sections.push(about_reading(&shown));
                sections.extend(about_hold(twin, index));
                sections.push(about_point(description, index));
            }
            None => {}
        }
        let group = index.and_then(|i| description.point(i)).map(|p| (twin.handle(), p.spec.group));
        let name = index.map(|index| find::name(description, index));
        let why = Why { twin: id.into(), point: name, verdict, sections };
        // The line knows what is read, not what is made of it.
        Ok((twin.id().clone(), watched.or(index), why, group))
    })
}

fn section(title: &str, rows: Vec<(&str, String)>) -> Section {
    let rows = rows.into_iter().map(|(name, value)| (name.into(), value)).collect();
    Section { title: title.into(), rows }
}

fn about_twin(twin: &Twin) -> Section {
    let mut rows = vec![
        ("life cycle", twin.life_cycle().to_string()),
        ("revision", twin.description().revision.to_string()),
        ("rev", twin.rev().to_string()),
    ];
    if let Some(maintenance) = twin.maintenance().map(view::maintenance) {
        let until = maintenance.until.map(|until| format!(" until {until}")).unwrap_or_default();
        rows.push(("maintenance", format!("{}, by {}{until}", maintenance.reason, maintenance.by)));
    }
    for binding in twin.bindings().values() {
        let word = if binding.bound { "reached" } else { "not reached" };
        let cause = binding.cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
        rows.push(("asset", format!("{word} on {}{cause}", binding.line)));
    }
    for (id, command) in twin.commands() {
        let stage = command.stage.word();
        let name = find::name(twin.description(), command.command.index);
        rows.push(("open command", format!("{} {name} by {}: {stage}", id.0, command.by)));
    }
    section("twin", rows)
}

fn about_entanglement(of: &control::Entanglement) -> Section {
    let seconds = |ms: u64| Duration::from_millis(ms).as_secs_f64();
    let rows = vec![
        ("value", format!("{:.2}, {} from {:.2} on", of.value, of.class, of.target)),
        ("timeliness", format!("{:.2} within {} s", of.timeliness, seconds(of.timeliness_ms))),
        ("reliability", format!("{:.2}", of.reliability)),
        ("availability", format!("{:.2}", of.availability)),
        ("window", format!("{} s", seconds(of.window_ms))),
    ];
    section("entanglement", rows)
}

/// The alarms of a twin, or those of a point: when each is raised, and how it stands.
fn about_alarms(
    state: &State,
    twin: &Twin,
    now: Moment,
    wanted: impl Fn(&&Alarmed) -> bool,
) -> Option<Section> {
    let watched = |index| watched(twin, index);
    let all: Vec<Alarmed> = alarms::indexes(twin).map(|index| (index, watched(index))).collect();
    let rows = all.iter().filter(wanted).filter_map(|(index, _)| {
        let alarm = alarms::alarm(state, twin, *index, true, now)?;
        let when = alarm.when.as_ref().map(|when| format!("raised while {when}"));
        let when = when.unwrap_or_default();
        let delays = twin.rule(*index).map(delays).unwrap_or_default();
        Some((alarm.alarm.clone(), format!("{}; {when}{delays}", stands(&alarm))))
    });
    let rows: Vec<(String, String)> = rows.collect();
    (!rows.is_empty()).then(|| Section { title: "alarms".into(), rows })
}

/// The index of the point that an alarm watches.
fn watched(twin: &Twin, index: u16) -> Option<u16> {
    let rule = twin.rule(index)?;
    twin.description().find(rule.feature.as_str(), rule.point.as_str())
}

fn stands(alarm: &control::TwinAlarm) -> String {
    format!("{}{}", alarm.state(), if alarm.shelved { ", shelved" } else { "" })
}

fn delays(rule: &twin::Alarm) -> String {
    let time = |micros: i64| Span::from_micros(u64::try_from(micros).unwrap_or(0));
    let mut words = String::new();
    if rule.delay > 0 {
        words += &format!(" for {}", time(rule.delay));
    }
    if rule.clear_delay > 0 {
        words += &format!(", cleared when that is over for {}", time(rule.clear_delay));
    }
    words
}

fn about_reading(point: &control::Point) -> Section {
    let mut rows = vec![("quality", point.quality.clone())];
    let mut add = |name, value: Option<String>| rows.extend(value.map(|value| (name, value)));
    add("cause", point.cause.clone());
    add("code", point.code.map(|code| code.to_string()));
    add("time", point.time.clone());
    add("age", point.age_ms.map(|ms| format!("{ms} ms")));
    add("asked", point.desired.clone());
    add("command", point.command.clone());
    section("reading", rows)
}

fn about_hold(twin: &Twin, index: u16) -> Option<Section> {
    let held = twin.held().get(&index)?;
    let spec = &twin.description().point(index)?.spec;
    let limits = spec.rules.guard.hold;
    let apart = Span::from_micros(u64::try_from(limits.interval).unwrap_or(0));
    let again = if held.times >= u32::from(limits.times) {
        "not any more: it was left too often; a new command begins anew".into()
    } else {
        format!("when the asset leaves it, {apart} apart, {} times in a row at most", limits.times)
    };
    let rows = vec![
        ("value", spec.show(&held.expected).to_string()),
        ("written again", again),
        ("so far", format!("{} times in a row", held.times)),
    ];
    Some(section("held", rows))
}

fn about_point(description: &Description, index: u16) -> Section {
    let Some(point) = description.point(index) else { return section("point", Vec::new()) };
    let spec = &point.spec;
    let mut rows = vec![("index", index.to_string()), ("type", kind(&spec.value_type))];
    rows.push(("report", report(spec)));
    if let Some(group) = description.groups.get(usize::from(spec.group)) {
        let how = match group.acquisition {
            Acquisition::Polled { interval } => format!("polled every {} ms", interval / 1_000),
            Acquisition::Pushed { interval, .. } => {
                format!("pushed, about every {} ms", interval / 1_000)
            }
            Acquisition::OnDemand => "read when somebody asks".into(),
        };
        rows.push(("group", format!("{}, {how}", group.name)));
    }
    if let Some((low, high)) = spec.range {
        rows.push(("plausible", format!("from {low} to {high}; a value outside is uncertain")));
    }
    let guard = &spec.rules.guard;
    for interlock in guard.interlocks.iter() {
        let name = format!("{}/{}", interlock.feature, interlock.point);
        let other = description.find(interlock.feature.as_str(), interlock.point.as_str());
        let other = other.and_then(|index| description.point(index));
        let words = other.map(|other| interlock.when.words(&other.spec)).unwrap_or_default();
        rows.push(("written only while", format!("{name} {words}")));
    }
    if guard.interval > 0 {
        let time = Span::from_micros(u64::try_from(guard.interval).unwrap_or(0));
        rows.push(("commands", format!("{time} apart at least")));
    }
    if let Some(writable) = &spec.access.writable {
        let range = writable.range.map(|(low, high)| format!(" from {low} to {high}"));
        rows.push(("writable", format!("yes{}", range.unwrap_or_default())));
    }
    section("point", rows)
}

/// When a point is reported.
fn report(spec: &PointSpec) -> String {
    let time = |micros: i64| Span::from_micros(u64::try_from(micros).unwrap_or(0));
    let mut words = match spec.report {
        Report::Change => "when it changes".to_owned(),
        Report::Deadband(band) => format!("when it changes by more than {band}"),
        Report::Percent(band) => format!("when it changes by more than {band} %"),
        Report::Always => "always".to_owned(),
    };
    let twin::Pace { least, most } = spec.rules.pace;
    if least != 0 {
        words += &format!(", not sooner than {} after the last report", time(least));
    }
    if most != 0 {
        words += &format!(", changed or not {} after the last report at the latest", time(most));
    }
    words
}

/// A type as people write it.
fn kind(of: &ValueType) -> String {
    match of {
        ValueType::Bool => "bool".into(),
        ValueType::Int(kind) => format!("{kind:?}").to_lowercase(),
        ValueType::F32 => "f32".into(),
        ValueType::F64 => "f64".into(),
        ValueType::Decimal { raw, exponent } => {
            let step = of.show(&Value::Decimal(1)).to_string();
            let step = if *exponent > 0 { format!("1e{exponent}") } else { step };
            format!("{} in steps of {step}", format!("{raw:?}").to_lowercase())
        }
        ValueType::Time => "time".into(),
        ValueType::Text => "text".into(),
        ValueType::Bytes => "bytes".into(),
        ValueType::List(of) => format!("list of {}", kind(of)),
        ValueType::Record(fields) => format!("record of {} fields", fields.len()),
    }
}

fn about_freshness(fresh: Option<&Fresh>, now: i64) -> Section {
    let Some(fresh) = fresh else {
        return section("acquisition", vec![("acquired", "not since the daemon started".into())]);
    };
    let ago = |at: Boottime| format!("{} ms ago", (now - at.0) / 1_000);
    section(
        "acquisition",
        vec![
            ("last complete", fresh.last_ok.map_or_else(|| "never".into(), ago)),
            ("last attempt", ago(fresh.last_try)),
            ("failures in a row", fresh.failures.to_string()),
            (
                "complete, in time",
                format!("{} and {} of {}", fresh.received, fresh.on_time, fresh.expected),
            ),
        ],
    )
}

fn about_line(inspection: &Inspection, now: i64) -> Section {
    let mut rows =
        vec![("line", inspection.line.to_string()), ("place", inspection.place.to_string())];
    let state = match inspection.breaker {
        BreakerState::Closed => "asked as scheduled",
        BreakerState::HalfOpen => "answered a probe, is tried again",
        BreakerState::Open => "does not answer, is only probed",
    };
    rows.push(("device", state.into()));
    if let Some(exchange) = &inspection.exchange {
        rows.push(("request", hex(&exchange.request)));
        rows.push(("answer", hex(&exchange.answer)));
        let ago = (now - exchange.at.0) / 1_000;
        rows.push(("took", format!("{:.1} ms, {ago} ms ago", millis(exchange.took))));
        if let Some(failure) = &exchange.failure {
            rows.push(("failure", failure.to_string()));
        }
    }
    rows.extend(inspection.steps.iter().map(|step| ("decoded", step.clone())));
    // A device as a whole has no quality, and each of its groups is asked at a time of its own.
    if inspection.index.is_some() {
        rows.push(("quality", inspection.quality.to_string()));
    }
    rows.extend(inspection.remarks.iter().map(|remark| ("remark", remark.clone())));
    let next = inspection.next.map(|at| millis(at.0 - now).max(0.0) / 1_000.0);
    match (next, inspection.index) {
        (Some(seconds), _) => rows.push(("next attempt", format!("in {seconds:.1} s"))),
        (None, Some(_)) => rows.push(("next attempt", "when somebody asks".into())),
        (None, None) => {}
    }
    section("line", rows)
}

fn about_links(hub: &Hub) -> Section {
    let links = hub.links.show(&hub.store, &hub.clock);
    if links.is_empty() {
        return section("links", vec![("link", "none is configured".into())]);
    }
    let rows = links.into_iter().map(|link| {
        let waiting = link.pending.iter().map(|pending| pending.commits).max().unwrap_or(0);
        (link.name, format!("{}, at most {waiting} commits wait", link.state))
    });
    Section { title: "links".into(), rows: rows.collect() }
}

fn hex(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    if pairs.is_empty() { "-".into() } else { pairs.join(" ") }
}

#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn millis(micros: i64) -> f64 {
    micros as f64 / 1_000.0
}
