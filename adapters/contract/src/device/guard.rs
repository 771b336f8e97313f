//! What has to be so before a point is written: `requires`, `write_interval` and `hold`.

use settings::{Diagnostic, Duration, Place};
use twin::{Guard, Hold, Interlock, PointSpec};

use super::alarm::{AlarmKeys, condition, named};
use super::keys::WordKeys;
use super::merge::MergedPoint;

/// Microseconds between two writes of a value that is held, at least.
const LEAST: i64 = 1_000_000;

/// Adds to the declared points what their keys ask of commands. `declared` are all of `points`, in their order.
pub fn guard<P>(
    points: &[MergedPoint<P>],
    declared: &mut [PointSpec],
    found: &mut Vec<Diagnostic>,
) {
    let all = declared.to_vec();
    for (point, spec) in points.iter().zip(declared) {
        let (keys, place) = (&point.keys.words, &point.place);
        let requires = keys.requires.as_deref().unwrap_or_default();
        let said = [
            ("requires", !requires.is_empty()),
            ("write_interval", keys.write_interval.is_some()),
            ("hold", keys.hold == Some(true)),
        ];
        for (key, said) in said {
            if said && spec.access.writable.is_none() {
                let error = place.error(key, format!("only what may be written has {key}"));
                found.push(error.help("add writable = true, or leave it out"));
            }
        }
        let interlocks = requires.iter().enumerate().filter_map(|(n, required)| {
            let place = place.item("requires", n);
            let other = named(&required.point, &all, &place, found)?;
            let keys = AlarmKeys {
                above: required.above,
                below: required.below,
                bits: required.bits,
                is: required.is.clone(),
                ..AlarmKeys::default()
            };
            let when = condition(&keys, other, &place, found)?;
            Some(Interlock { feature: other.feature.clone(), point: other.name.clone(), when })
        });
        let interlocks = interlocks.collect();
        let interval = keys.write_interval.map_or(0, Duration::micros);
        let hold = hold(keys, place, found);
        spec.rules.guard = Guard { interlocks, interval, hold };
    }
}

fn hold(keys: &WordKeys, place: &Place, found: &mut Vec<Diagnostic>) -> Hold {
    let (interval, times) = (keys.hold_interval.map(Duration::micros), keys.hold_times);
    for (key, said) in [("hold_interval", interval.is_some()), ("hold_times", times.is_some())] {
        if said && keys.hold != Some(true) {
            let error = place.error(key, format!("nothing is held, so there is no {key}"));
            found.push(error.help("add hold = true, or leave it out"));
        }
    }
    if interval.is_some_and(|interval| interval < LEAST) {
        let error =
            place.error("hold_interval", "a value is not written again sooner than after 1s");
        found.push(error.help("a device that is written all the time wears out its memory"));
    }
    if times == Some(0) {
        let error = place.error("hold_times", "a value that is never written again is not held");
        found.push(error.help("leave out hold, or write at least 1"));
    }
    let other = Hold::default();
    Hold { interval: interval.unwrap_or(other.interval), times: times.unwrap_or(other.times) }
}
