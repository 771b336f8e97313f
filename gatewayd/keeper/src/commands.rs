//! How commands end: confirmed by what came back, or by time.

use twin::{
    CommandId, CommandState, Desired, Moment, Outcome, Quality, Reason, Reported, Stage, Step,
    Twin, Value, ValueType,
};

/// Microseconds after the deadline during which an answer to something that was sent is still waited for,
/// besides the point's settle time.
const GRACE: i64 = 10_000_000;

/// What a read-back says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The asset has the value.
    Confirmed,
    /// It has another one.
    Differs,
    /// It could not be read.
    Unreadable,
}

/// Whether what was read back is what was expected, within the tolerance given in the point's unit.
#[must_use]
pub fn confirms(
    of: &ValueType,
    tolerance: f64,
    expected: &Value,
    found: Option<&Value>,
    quality: Quality,
) -> Verdict {
    // A value that was asked for and is not plausible is there all the same.
    let Some(found) = found.filter(|_| quality.is_said()) else { return Verdict::Unreadable };
    if of.alike(expected, found, tolerance) { Verdict::Confirmed } else { Verdict::Differs }
}

/// The step that a read-back of this command leads to. The state may be ahead of it: what was read back decides.
pub(crate) fn concluded(twin: &Twin, id: CommandId, reported: &Reported) -> Option<Step> {
    let open = twin.commands().get(&id)?;
    let expected = open.expected.as_ref()?;
    let point = twin.description().point(open.command.index)?;
    let reading = reported.entries.iter().find(|e| e.index == open.command.index)?;
    let tolerance = point.spec.access.writable.as_ref().map_or(0.0, |w| w.tolerance);
    let of = &point.spec.value_type;
    let verdict = |expected: &Value| {
        confirms(of, tolerance, expected, reading.value.as_ref(), reading.quality)
    };
    let newest = twin.desired().get(&open.command.index).filter(|newest| newest.command > id);
    let asks = |newest: &&Desired| {
        let open = twin.commands().get(&newest.command);
        let expected = open.and_then(|open| open.expected.as_ref());
        verdict(expected.unwrap_or(&newest.value)) == Verdict::Confirmed
    };
    let verdict = verdict(expected);
    Some(Step::Ended(match verdict {
        Verdict::Confirmed => Outcome::Confirmed,
        Verdict::Differs if let Some(newest) = newest.filter(asks) => {
            let words = "it was sent, and read back is what a newer command asked for, of";
            Outcome::Unknown(Reason::Superseded, format!("{words} {}", newest.by).into())
        }
        Verdict::Differs => {
            let words = format!("read back {:?} instead of {expected:?}", reading.value);
            Outcome::Rejected(Reason::Differs, words.into())
        }
        Verdict::Unreadable => {
            let words = format!("it was sent, but its read-back is {}", reading.quality);
            Outcome::Unknown(Reason::NoReadBack, words.into())
        }
    }))
}

/// The step that time alone leads to, if any is due.
pub(crate) fn overdue(twin: &Twin, open: &CommandState, now: Moment) -> Option<Step> {
    if !open.command.deadline.passed(now) {
        return None;
    }
    let point = twin.description().point(open.command.index);
    let settle = point.and_then(|p| p.spec.access.writable.as_ref()).map_or(0, |w| w.settle);
    let patience = settle.saturating_add(GRACE);
    let then = Moment {
        boottime: twin::Boottime(now.boottime.0.saturating_sub(patience)),
        boot: now.boot,
        utc: now.utc.map(|t| twin::Timestamp(t.0.saturating_sub(patience))),
    };
    let patient = !open.command.deadline.passed(then);
    let unknown =
        |reason: Reason| Some(Step::Ended(Outcome::Unknown(reason, reason.meaning().into())));
    match open.stage {
        Stage::Accepted => Some(Step::Ended(Outcome::Expired)),
        Stage::Sent | Stage::Acknowledged if patient => None,
        Stage::Sent => unknown(Reason::NoAnswer),
        Stage::Acknowledged => unknown(Reason::NoReadBack),
        Stage::Ended(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use twin::{Cause, IntKind};

    use super::*;

    #[test]
    fn a_read_back_is_compared_within_its_tolerance() {
        let tenth = ValueType::Decimal { raw: IntKind::I32, exponent: -1 };
        let check = |tolerance, found| {
            confirms(
                &tenth,
                tolerance,
                &Value::Decimal(200),
                Some(&Value::Decimal(found)),
                Quality::GOOD,
            )
        };
        assert_eq!(check(0.0, 200), Verdict::Confirmed);
        assert_eq!(check(0.0, 201), Verdict::Differs);
        assert_eq!(check(0.5, 205), Verdict::Confirmed);
        assert_eq!(check(0.5, 206), Verdict::Differs);
    }

    #[test]
    fn a_bad_reading_confirms_nothing() {
        let bad = Quality::bad(Cause::Timeout);
        let verdict =
            confirms(&ValueType::Bool, 0.0, &Value::Bool(true), Some(&Value::Bool(true)), bad);
        assert_eq!(verdict, Verdict::Unreadable);
    }
}
