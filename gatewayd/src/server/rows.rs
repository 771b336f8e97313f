//! Commits as rows of the past.

use control::{Row, Summary};
use twin::{Body, Commit, Description, Envelope, Reported, Seq, State, TimeBase, What};
use twin_store::{Frame, Kind};

use super::{find, view};

/// What of a commit becomes rows.
pub struct Rows {
    /// Readings of these points alone; everything if empty.
    pub points: Vec<u16>,
}

impl Rows {
    /// Whether this point is asked for.
    pub fn wants(&self, index: u16) -> bool {
        self.points.is_empty() || self.points.contains(&index)
    }

    /// Whether a commit becomes any rows.
    pub fn has(&self, state: &State, frame: &Frame) -> bool {
        if frame.kind == Kind::Heartbeat {
            return false;
        }
        if self.points.is_empty() {
            return true;
        }
        let Some(twin) = state.by_handle(frame.handle) else { return false };
        match frame.kind {
            Kind::Reported | Kind::Backfilled => frame
                .reported(twin.description())
                .is_some_and(|view| view.iter().any(|entry| self.wants(entry.index))),
            Kind::Thinned => match frame.commit(state).map(|commit| commit.body) {
                Some(Body::Twin { what: What::Thinned(e), .. }) => {
                    e.entries.iter().any(|entry| self.wants(entry.index))
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// Puts the rows of a commit.
    pub fn put(&self, state: &State, frame: &Frame, out: &mut Vec<Row>) {
        if frame.kind == Kind::Heartbeat {
            return;
        }
        let Some(commit) = frame.commit(state) else { return };
        match &commit.body {
            Body::Twin { what: What::Reported(r) | What::Backfilled(r), .. } => {
                let what = if frame.kind == Kind::Reported { "reported" } else { "backfilled" };
                self.readings(state, &commit, r, what, out);
            }
            Body::Twin { what: What::Thinned(e), .. } => self.envelope(state, &commit, e, out),
            _ if self.points.is_empty() => out.extend(happened(state, &commit)),
            _ => {}
        }
    }

    fn readings(
        &self,
        state: &State,
        commit: &Commit,
        reported: &Reported,
        what: &str,
        out: &mut Vec<Row>,
    ) {
        let Body::Twin { handle, .. } = &commit.body else { return };
        let Some(twin) = state.by_handle(*handle) else { return };
        let shown = view::readings(state, twin, reported, commit.seq);
        for (entry, point) in reported.entries.iter().zip(shown) {
            if self.wants(entry.index) {
                out.push(Row {
                    time: point.time,
                    value: point.value,
                    text: point.text,
                    unit: point.unit,
                    quality: Some(point.quality),
                    cause: point.cause,
                    ..row(commit, what, Some(find::name(twin.description(), entry.index)))
                });
            }
        }
    }

    fn envelope(&self, state: &State, commit: &Commit, e: &Envelope, out: &mut Vec<Row>) {
        let Body::Twin { handle, .. } = &commit.body else { return };
        let Some(twin) = state.by_handle(*handle) else { return };
        let description = twin.description();
        let time = |base: TimeBase| resolved(state, commit.seq, base);
        for entry in e.entries.iter().filter(|entry| self.wants(entry.index)) {
            let (min, max, mean) = entry.range.map_or((None, None, None), |(low, high, mean)| {
                (Some(low), Some(high), Some(mean))
            });
            let summary = Summary {
                until: time(e.until),
                count: u64::from(entry.count),
                not_good: u64::from(entry.not_good),
                min,
                max,
                mean,
            };
            let mut row = Row {
                time: time(e.from),
                summary: Some(summary),
                ..row(commit, "envelope", Some(find::name(description, entry.index)))
            };
            last(&mut row, description, entry.index, entry.last.as_ref());
            out.push(row);
        }
    }
}

/// Shows the last value of an envelope or bucket.
pub fn last(row: &mut Row, description: &Description, index: u16, value: Option<&twin::Value>) {
    let Some(point) = description.point(index) else { return };
    row.unit = point.spec.unit.as_ref().map(ToString::to_string);
    if let Some(value) = value {
        row.value = view::json(&point.spec.value_type, value);
        row.text = Some(point.spec.show(value).to_string());
    }
}

fn row(commit: &Commit, what: &str, point: Option<String>) -> Row {
    let twin = match &commit.body {
        Body::Twin { twin, .. } => Some(twin.to_string()),
        Body::Gateway(_) => None,
    };
    let (seq, epoch) = (Some(commit.seq.0), Some(commit.epoch));
    Row { seq, epoch, twin, what: what.into(), point, ..Row::default() }
}

fn happened(state: &State, commit: &Commit) -> Option<Row> {
    let update = view::update(state, commit)?;
    Some(Row { time: update.time, detail: update.detail, ..row(commit, &update.what, None) })
}

fn resolved(state: &State, at: Seq, base: TimeBase) -> Option<String> {
    state.timeline().resolve_base(at, base).map(|t| t.to_string())
}
