//! What has to be so before a point is written: `requires` and `write_interval`.

use settings::{Diagnostic, Duration};
use twin::{Guard, Interlock, PointSpec};

use super::alarm::{AlarmKeys, condition, named};
use super::merge::MergedPoint;

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
        for (key, said) in
            [("requires", !requires.is_empty()), ("write_interval", keys.write_interval.is_some())]
        {
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
        spec.rules.guard = Guard { interlocks, interval };
    }
}
