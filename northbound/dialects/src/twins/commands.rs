//! Commands as they arrive: `{"id":"c-1","property":"heating/setpoint","value":21.5,"timeout":"30s"}`.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use twin::{Command, Deadline, Kind, Moment, Order, Reason, State, Timestamp, Twin, TwinId};

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
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    timeout: Option<&'a RawValue>,
    deadline: Option<String>,
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
    let (path, action) = match (&request.property, &request.action) {
        (Some(path), None) => (path, false),
        (None, Some(path)) => (path, true),
        _ => return no(Reason::Malformed, "give either `property` and `value`, or `action`"),
    };
    let found =
        path.split_once('/').and_then(|(feature, name)| twin.description().find(feature, name));
    let point = found.and_then(|index| Some((index, twin.description().point(index)?)));
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
