//! Commands as they arrive: `{"id":"c-1","property":"heating/setpoint","value":21.5,"timeout":"30s"}`,
//! `{"id":"a-1","alarm":"heating/overheated","acknowledge":true}`.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use twin::{
    Care, Command, Deadline, Kind, Moment, Order, Point, Reason, State, Timestamp, Twin, TwinId,
};

use crate::dialect::{Asked, Incoming};
use crate::value;

/// How long a command may take that names neither `deadline` nor `timeout`: 30 s, in microseconds.
const TIMEOUT: i64 = 30_000_000;
/// The longest id, in bytes.
const LONGEST_ID: usize = 128;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request<'a> {
    #[serde(rename = "id")]
    _id: Option<serde_json::Value>,
    property: Option<String>,
    action: Option<String>,
    alarm: Option<String>,
    acknowledge: Option<Seen>,
    #[serde(borrow)]
    shelve: Option<&'a RawValue>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    timeout: Option<&'a RawValue>,
    deadline: Option<String>,
}

/// Which occurrence of an alarm was seen.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seen {
    /// The one that stands.
    Any(bool),
    /// The one with this `instance`.
    Instance(String),
}

#[derive(Deserialize)]
struct Id {
    id: Option<serde_json::Value>,
}

type Refused = (Reason, Arc<str>);

/// What a message to `<twin>/commands` asks for.
pub(super) fn parse(state: &State, now: Moment, twin: TwinId, message: &Incoming<'_>) -> Asked {
    let mut asked = Asked { twin, key: None, index: None, command: no(Reason::Malformed, "") };
    asked.command = understand(state, now, message, &mut asked);
    asked
}

fn understand(
    state: &State,
    now: Moment,
    message: &Incoming<'_>,
    asked: &mut Asked,
) -> Result<Command, Refused> {
    let id = serde_json::from_slice::<Id>(message.payload).map_err(malformed)?.id;
    let key: Arc<str> = match id {
        Some(serde_json::Value::String(id)) if (1..=LONGEST_ID).contains(&id.len()) => id.into(),
        Some(serde_json::Value::Number(id)) => id.to_string().into(),
        Some(_) => return no(Reason::NoId, "`id` is a text of 1 to 128 bytes or a number"),
        None => {
            return no(
                Reason::NoId,
                "give each command an `id` of its own, so that a repeat acts once",
            );
        }
    };
    asked.key = Some(key.clone());
    if message.retained {
        return no(Reason::Retained, "publish commands without the retain flag");
    }
    let request: Request<'_> = serde_json::from_slice(message.payload).map_err(malformed)?;
    let Some(twin) = state.twin(&asked.twin) else {
        let words = format!("this gateway has no twin {}", asked.twin);
        return no(Reason::NoSuchTwin, &words);
    };
    let (index, order) = order(twin, &request, asked)?;
    let deadline = deadline(&request, now)?;
    Ok(Command { key, index, order, deadline, asked: now.utc })
}

fn order(twin: &Twin, request: &Request<'_>, asked: &mut Asked) -> Result<(u16, Order), Refused> {
    let (path, action) = match (&request.property, &request.action, &request.alarm) {
        (Some(path), None, None) => (path, false),
        (None, Some(path), None) => (path, true),
        (None, None, Some(path)) => return care(twin, path, request, asked),
        _ => {
            let words = "give either `property` and `value`, or `action`, or `alarm`";
            return no(Reason::Malformed, words);
        }
    };
    if request.acknowledge.is_some() || request.shelve.is_some() {
        return no(Reason::Malformed, "`acknowledge` and `shelve` go with `alarm`");
    }
    let point = find(twin, path);
    let Some((index, point)) = point.filter(|(_, p)| (p.spec.kind == Kind::Action) == action)
    else {
        let kind = if action { "action" } else { "property" };
        let words = format!("{} has no {kind} `{path}`; it is named `feature/name`", twin.id());
        return no(Reason::NoSuchPoint, &words);
    };
    asked.index = Some(index);
    let value = match (action, request.value, request.input) {
        (false, Some(value), None) => value,
        (true, None, Some(input)) => input,
        (true, None, None) => return Ok((index, Order::Call(None))),
        (false, _, _) => return no(Reason::Malformed, "a property takes `value` and no `input`"),
        (true, _, _) => return no(Reason::Malformed, "an action takes `input` and no `value`"),
    };
    let value = value::parse(value.get(), &point.spec)
        .map_err(|words| (Reason::WrongType, format!("`{path}`: {words}").into()))?;
    Ok((index, if action { Order::Call(Some(value)) } else { Order::Write(value) }))
}

fn find<'a>(twin: &'a Twin, path: &str) -> Option<(u16, &'a Point)> {
    let (feature, name) = path.split_once('/')?;
    let index = twin.description().find(feature, name)?;
    Some((index, twin.description().point(index)?))
}

/// What is asked of an alarm.
fn care(
    twin: &Twin,
    path: &str,
    request: &Request<'_>,
    asked: &mut Asked,
) -> Result<(u16, Order), Refused> {
    let found = find(twin, path).filter(|(_, point)| point.spec.rules.alarm.is_some());
    let Some((index, _)) = found else {
        let words = format!("{} has no alarm `{path}`; it is named `feature/name`", twin.id());
        return no(Reason::NoSuchPoint, &words);
    };
    asked.index = Some(index);
    if request.value.is_some() || request.input.is_some() {
        return no(Reason::Malformed, "an alarm takes `acknowledge` or `shelve`");
    }
    let care = match (&request.acknowledge, request.shelve) {
        (Some(Seen::Any(true)), None) => Care::Acknowledge(None),
        (Some(Seen::Instance(text)), None) => match bytes(text) {
            Some(instance) => Care::Acknowledge(Some(instance)),
            None => return no(Reason::Malformed, "`acknowledge` is true, or an `instance` in hex"),
        },
        (None, Some(time)) => match micros(time.get()).filter(|time| *time <= Care::LONGEST) {
            Some(micros) => Care::Shelve(micros),
            None => {
                let words = "`shelve` is seconds or a text such as \"2h\", 30 days at the longest; 0 ends it";
                return no(Reason::Malformed, words);
            }
        },
        _ => return no(Reason::Malformed, "give `acknowledge`: true, or `shelve`: \"2h\""),
    };
    Ok((index, care.order()))
}

/// Pairs of hexadecimal digits.
fn bytes(text: &str) -> Option<Arc<[u8]>> {
    match twin::ValueType::Bytes.parse(text) {
        Ok(twin::Value::Bytes(bytes)) => Some(bytes),
        _ => None,
    }
}

fn deadline(request: &Request<'_>, now: Moment) -> Result<Deadline, Refused> {
    match (&request.deadline, request.timeout) {
        (Some(_), Some(_)) => no(Reason::Malformed, "give `deadline` or `timeout`, not both"),
        (None, Some(timeout)) => {
            let micros = micros(timeout.get()).ok_or_else(|| {
                let words = "`timeout` is seconds, or a text such as \"500ms\", \"30s\", \"5min\"";
                (Reason::Malformed, Arc::from(words))
            })?;
            Ok(Deadline::after(now, micros))
        }
        (Some(text), None) => {
            let Some(utc) = now.utc else {
                return no(Reason::NoDeadline, "this gateway's clock is not set: give `timeout`");
            };
            let Some(until) = Timestamp::parse(text) else {
                let words = "`deadline` is a UTC time such as \"2026-11-23T10:00:00Z\"";
                return no(Reason::Malformed, words);
            };
            Ok(Deadline::after(now, until.0.saturating_sub(utc.0)))
        }
        (None, None) if now.utc.is_none() => {
            no(Reason::NoDeadline, "this gateway's clock is not set: give `timeout`")
        }
        (None, None) => Ok(Deadline::after(now, TIMEOUT)),
    }
}

/// Microseconds of `30`, `0.5`, `"500ms"`, `"30s"`, `"5min"`.
fn micros(json: &str) -> Option<i64> {
    if json.starts_with('"') {
        let text: String = serde_json::from_str(json).ok()?;
        return text.parse::<settings::Duration>().ok().map(settings::Duration::micros);
    }
    let micros = json.parse::<f64>().ok()? * 1e6;
    #[expect(clippy::cast_possible_truncation, reason = "bounded on both sides just before")]
    (0.0..1e15).contains(&micros).then_some(micros as i64)
}

fn malformed(error: serde_json::Error) -> Refused {
    (Reason::Malformed, format!("the payload is not a command as JSON: {error}").into())
}

fn no<T>(reason: Reason, words: &str) -> Result<T, Refused> {
    Err((reason, words.into()))
}
