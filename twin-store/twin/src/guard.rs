//! Interlocks and rates: what stands against a command besides the value that it asks for.

use std::sync::Arc;

use crate::{CommandId, Interlock, Moment, Point, Reason, State, Twin};

/// Whether the interlocks of a point hold and its last command is long enough ago.
///
/// # Errors
/// The reason why it may not be written, with words for the caller.
pub(crate) fn clear(
    state: &State,
    twin: &Twin,
    (index, point): (u16, &Point),
    now: Moment,
) -> Result<(), (Reason, Arc<str>)> {
    interlocked(twin, index, CommandId(u64::MAX))
        .map_err(|words| (Reason::Interlock, words.into()))?;
    let interval = point.spec.rules.guard.interval;
    // What was accepted during another boot is told on another clock; a boot takes longer than any device needs.
    let passed = twin.desired().get(&index).and_then(|last| last.passed(state, now));
    if let Some(passed) = passed.filter(|passed| *passed < interval) {
        let of = format!("{}/{}", point.spec.feature, point.spec.name);
        let left = seconds(interval - passed);
        let words = format!("the last command for {of} was accepted too recently; wait {left}");
        return Err((Reason::TooOften, words.into()));
    }
    Ok(())
}

/// Whether all that has to be so before a point is written is so, by good values that no command accepted before this
/// one is about to change.
///
/// # Errors
/// What is not, in words for the caller.
pub fn interlocked(twin: &Twin, index: u16, command: CommandId) -> Result<(), String> {
    let Some(point) = twin.description().point(index) else { return Ok(()) };
    for interlock in point.spec.rules.guard.interlocks.iter() {
        holds(twin, interlock, command).map_err(|words| {
            format!("{}/{} may be written only while {words}", point.spec.feature, point.spec.name)
        })?;
    }
    Ok(())
}

/// `Err`: what must be so, and what is so.
fn holds(twin: &Twin, interlock: &Interlock, before: CommandId) -> Result<(), String> {
    let name = format!("{}/{}", interlock.feature, interlock.point);
    let description = twin.description();
    let index = description.find(interlock.feature.as_str(), interlock.point.as_str());
    let known = index.and_then(|index| Some((index, &description.point(index)?.spec)));
    let Some((index, spec)) = known else {
        return Err(format!("{name} is known, and the twin has no such point"));
    };
    let must = format!("{name} {}", interlock.when.words(spec));
    let mut earlier = twin.commands().range(..before);
    if earlier.any(|(_, open)| open.command.index == index) {
        return Err(format!("{must}; a command for it is under way"));
    }
    let Some(reading) = twin.reading(index) else {
        return Err(format!("{must}; it has not been read yet"));
    };
    match reading.value.as_ref().filter(|_| reading.quality.is_good()) {
        None => Err(format!("{must}; its value is {}", reading.quality)),
        Some(value) if interlock.when.shows(&spec.value_type, value, false) == Some(true) => Ok(()),
        Some(value) => Err(format!("{must}; it is {}", spec.show(value))),
    }
}

fn seconds(micros: i64) -> String {
    format!("{} s", micros.div_euclid(1_000_000) + 1)
}
