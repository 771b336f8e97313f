//! `[[alarm]]` of a device file or profile: when a point is wrong, and how loudly that is said.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use settings::{Diagnostic, Duration, Place};
use twin::{Alarm, Condition, Kind, Name, PointSpec, Report, Rules, ValueType};

use super::declare::numeric;
use super::merge::{self, Layer, Merged};
use super::words::point_name;

/// The severity of an alarm that does not say it: the middle of the scale.
const SEVERITY: u16 = 500;

/// An alarm: when a point is wrong. Exactly one of `above`, `below`, `bits`, `is`, `change` and `stale` says when.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
pub struct AlarmKeys {
    /// The feature and the alarm, `"feature/alarm"`; no point may be called so.
    pub name: String,
    /// `false` leaves out an alarm of the profile.
    pub used: Option<bool>,
    /// The point that it watches, `"feature/property"`.
    pub point: Option<String>,
    /// Raised while the value is greater than this, in the unit.
    pub above: Option<f64>,
    /// Raised while the value is less than this, in the unit.
    pub below: Option<f64>,
    /// How far the value has to come back from `above` or `below`, in the unit; 0 if absent.
    pub hysteresis: Option<f64>,
    /// Raised while one of these bits of a whole number is set: `bits = 0x0C`.
    pub bits: Option<u64>,
    /// Raised while the value is this, or one of these: a number, a label, `true` or `false`.
    pub is: Option<CodesWord>,
    /// Raised while the value has moved by more than this `within` a time, up or down, in the unit.
    pub change: Option<f64>,
    /// The time of `change`.
    pub within: Option<Duration>,
    /// Raised while there was no good value for so long.
    pub stale: Option<Duration>,
    /// 1 (nothing) to 1000 (worst); 500 if absent.
    #[schemars(range(min = 1, max = 1000))]
    pub severity: Option<u16>,
    /// It has to be so for this long before the alarm is raised; at once if absent.
    pub delay: Option<Duration>,
    /// It has to be over for this long before the alarm is cleared; at once if absent.
    pub clear_delay: Option<Duration>,
    /// It stands until somebody has acknowledged it, even when it is over; true if absent.
    pub acknowledge: Option<bool>,
    /// What an operator reads; what is wrong with the point if absent. The value follows by itself.
    pub text: Option<String>,
}

crate::over!(keyed AlarmKeys { name }: used, point, above, below, hysteresis, bits, is, change, within, stale, severity,
    delay, clear_delay, acknowledge, text);

/// One value or several.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum CodesWord {
    /// Of a point that is true or false.
    Bool(bool),
    /// In the unit.
    Number(f64),
    /// A label.
    Label(String),
    /// Any of these.
    Several(Vec<CodeWord>),
}

/// A value that a point can have.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum CodeWord {
    /// Of a point that is true or false.
    Bool(bool),
    /// In the unit.
    Number(f64),
    /// A label.
    Label(String),
}

impl CodesWord {
    fn all(&self) -> Vec<CodeWord> {
        match self {
            Self::Bool(value) => vec![CodeWord::Bool(*value)],
            Self::Number(number) => vec![CodeWord::Number(*number)],
            Self::Label(label) => vec![CodeWord::Label(label.clone())],
            Self::Several(all) => all.clone(),
        }
    }
}

/// The alarms over these points, as the events that they are. They are in the profile's order, then the device file's
/// own.
pub fn alarms<S, P>(
    layers: &[Layer<'_, S, P>],
    points: &[PointSpec],
    found: &mut Vec<Diagnostic>,
) -> Vec<PointSpec> {
    let mut events: Vec<PointSpec> = Vec::new();
    let merged = merge::entries(layers, "alarm", (|file| &file.alarm, |keys| &keys.name), found);
    for Merged { keys, place } in merged {
        if keys.used == Some(false) {
            continue;
        }
        let Ok((feature, name)) = point_name(&keys.name) else {
            let error = place.error("name", "the name of an alarm is \"feature/alarm\"");
            found.push(error.help("for example name = \"bearing/hot\""));
            continue;
        };
        if points.iter().any(|point| (&point.feature, &point.name) == (&feature, &name)) {
            let words = format!("there is a point {:?} already", keys.name);
            found.push(place.error("name", words).help("an alarm needs a name of its own"));
            continue;
        }
        let Some(point) = watched(&keys, points, &place, found) else { continue };
        let Some(rule) = rule(&keys, point, &place, found) else { continue };
        events.push(event((feature, name), point.group, rule));
    }
    events
}

fn event((feature, name): (Name, Name), group: u16, rule: Alarm) -> PointSpec {
    PointSpec {
        title: Some(rule.text.clone()),
        group,
        report: Report::Always,
        rules: Rules { alarm: Some(Arc::new(rule)), ..Rules::default() },
        ..PointSpec::new(feature, name, Kind::Event, ValueType::Bool)
    }
}

fn watched<'a>(
    keys: &AlarmKeys,
    points: &'a [PointSpec],
    place: &Place,
    found: &mut Vec<Diagnostic>,
) -> Option<&'a PointSpec> {
    let Some(wanted) = &keys.point else {
        let error = place.whole("the alarm does not say which point it watches");
        found.push(error.help("add point = \"feature/property\""));
        return None;
    };
    named(wanted, points, place, found)
}

/// The point of this name.
pub(super) fn named<'a>(
    wanted: &str,
    points: &'a [PointSpec],
    place: &Place,
    found: &mut Vec<Diagnostic>,
) -> Option<&'a PointSpec> {
    let name = |point: &PointSpec| format!("{}/{}", point.feature, point.name);
    if let Some(point) = points.iter().find(|point| name(point) == wanted) {
        return Some(point);
    }
    let names: Vec<String> = points.iter().map(name).collect();
    let error = place.error("point", format!("the device has no point {wanted:?}"));
    found.push(match settings::nearest(wanted, names.iter().map(String::as_str)) {
        Some(near) => error.help(format!("did you mean {near:?}?")),
        None => error,
    });
    None
}

fn rule(
    keys: &AlarmKeys,
    point: &PointSpec,
    place: &Place,
    found: &mut Vec<Diagnostic>,
) -> Option<Alarm> {
    let before = found.len();
    let when = condition(keys, point, place, found);
    let severity = keys.severity.unwrap_or(SEVERITY);
    if !(1..=1000).contains(&severity) {
        found.push(place.error("severity", "a severity is 1 to 1000"));
    }
    let micros = |key: Option<Duration>| key.map_or(0, Duration::micros);
    let when = when.filter(|_| found.len() == before)?;
    let text = match &keys.text {
        Some(text) => text.as_str().into(),
        None => format!("{}/{} {}", point.feature, point.name, when.words(point)).into(),
    };
    Some(Alarm {
        feature: point.feature.clone(),
        point: point.name.clone(),
        when,
        severity,
        delay: micros(keys.delay),
        clear_delay: micros(keys.clear_delay),
        acknowledge: keys.acknowledge != Some(false),
        text,
    })
}

/// What these keys say that the point is.
pub(super) fn condition(
    keys: &AlarmKeys,
    point: &PointSpec,
    place: &Place,
    found: &mut Vec<Diagnostic>,
) -> Option<Condition> {
    let said = [
        ("above", keys.above.is_some()),
        ("below", keys.below.is_some()),
        ("bits", keys.bits.is_some()),
        ("is", keys.is.is_some()),
        ("change", keys.change.is_some()),
        ("stale", keys.stale.is_some()),
    ];
    let said: Vec<&str> = said.into_iter().filter(|(_, said)| *said).map(|(key, _)| key).collect();
    let key = match *said {
        [key] => key,
        [] => {
            let error = place.whole("nothing says what the value is then");
            found.push(
                error.help("give above, below, bits or is; an alarm also has change and stale"),
            );
            return None;
        }
        [first, second, ..] => {
            let error = place.error(second, format!("`{first}` says already what the value is"));
            found.push(error.help("leave out one of them, or write two"));
            return None;
        }
    };
    let limited = matches!(key, "above" | "below");
    for (other, given, fits) in [
        ("hysteresis", keys.hysteresis.is_some(), limited),
        ("within", keys.within.is_some(), key == "change"),
    ] {
        if given && !fits {
            found.push(place.error(other, format!("an alarm with `{key}` has no {other}")));
        }
    }
    let of = &point.value_type;
    if (limited || key == "change") && !numeric(of) {
        found.push(place.error(key, "only numbers have limits and rates"));
    }
    let finite = |key: &str, number: f64, least: f64, found: &mut Vec<Diagnostic>| {
        if !(number.is_finite() && number >= least) {
            let not = if least == 0.0 { " that is not negative" } else { "" };
            found.push(place.error(key, format!("it is a finite number{not}")));
        }
        number
    };
    let hysteresis = finite("hysteresis", keys.hysteresis.unwrap_or(0.0), 0.0, found);
    if let Some(limit) = keys.above {
        return Some(Condition::Above { limit: finite(key, limit, f64::MIN, found), hysteresis });
    }
    if let Some(limit) = keys.below {
        return Some(Condition::Below { limit: finite(key, limit, f64::MIN, found), hysteresis });
    }
    if let Some(mask) = keys.bits {
        if !matches!(of, ValueType::Int(_)) {
            found.push(place.error(key, "only whole numbers without a scale have bits"));
        }
        if mask == 0 {
            found.push(place.error(key, "no bit is named").help("write bits = 0x0C"));
        }
        return Some(Condition::Bits(mask));
    }
    if let Some(codes) = &keys.is {
        let codes = codes.all();
        if codes.is_empty() {
            found.push(place.error(key, "no value is named"));
        }
        let numbers = codes.iter().map(|code| code_of(code, point));
        let numbers: Result<Vec<f64>, String> = numbers.collect();
        return match numbers {
            Ok(numbers) => Some(Condition::Is(numbers.into())),
            Err(words) => {
                found.push(place.error(key, words));
                None
            }
        };
    }
    if let Some(change) = keys.change {
        let change = finite(key, change, 0.0, found);
        let time = keys.within.map_or(0, Duration::micros);
        if time < 1_000_000 {
            let error = place.error(key, "the time within which it moves is 1 s or more");
            found.push(error.help("add within = \"1min\""));
        }
        return Some(Condition::Rate { change, time });
    }
    let time = keys.stale.map_or(0, Duration::micros);
    if time < 1_000_000 {
        found.push(place.error(key, "it is 1 s or more"));
    }
    Some(Condition::Stale(time))
}

/// The number that a code of this point is.
fn code_of(code: &CodeWord, point: &PointSpec) -> Result<f64, String> {
    let (of, name) = (&point.value_type, format!("{}/{}", point.feature, point.name));
    match code {
        CodeWord::Bool(value) if *of == ValueType::Bool => Ok(f64::from(u8::from(*value))),
        CodeWord::Bool(_) => Err(format!("{name} is not true or false")),
        CodeWord::Number(number) if numeric(of) && number.is_finite() => Ok(*number),
        CodeWord::Number(_) => Err(format!("{name} is no number")),
        CodeWord::Label(label) => {
            let labels: Vec<&str> = point.labels.iter().map(|(_, label)| &**label).collect();
            let unknown = || match settings::nearest(label, labels.iter().copied()) {
                Some(near) => format!("{name} has no label {label:?}; did you mean {near:?}?"),
                None if labels.is_empty() => format!("{name} has no labels"),
                None => format!("{name} has no label {label:?}; it has {}", labels.join(", ")),
            };
            let value = point.parse(label).ok().filter(|_| labels.contains(&label.as_str()));
            value.and_then(|value| value.as_f64(of)).ok_or_else(unknown)
        }
    }
}
