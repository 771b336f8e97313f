//! Readings summed up per stretch of time. What is kept grows with the answer, not with what is read for it.

use std::collections::BTreeMap;

use control::{Code, Failure, Row, Summary};
use twin::{Body, Class, EnvelopeEntry, Handle, State, Timestamp, Value, What};
use twin_store::Frame;

use super::find;
use super::rows::{Rows, last};

/// At most this many rows come of one answer.
const MOST: usize = 20_000;

/// Buckets in the making, by their beginning and point.
pub struct Buckets {
    /// Microseconds.
    every: i64,
    handle: Option<Handle>,
    sums: BTreeMap<(i64, u16), Sum>,
}

#[derive(Debug, Default)]
struct Sum {
    count: u64,
    not_good: u64,
    last: Option<Value>,
    /// Weight of the mean so far.
    numbers: f64,
    low: f64,
    high: f64,
    mean: f64,
}

impl Buckets {
    /// Buckets of so many milliseconds; `None` where that makes no sense.
    pub fn new(every_ms: u64) -> Option<Self> {
        let every = i64::try_from(every_ms.checked_mul(1_000)?).ok()?;
        let sound = (1_000_000..=366 * 86_400 * 1_000_000).contains(&every);
        sound.then(|| Self { every, handle: None, sums: BTreeMap::new() })
    }

    /// The readings of one more commit. Those of an unset clock have no time and are left out; an envelope counts where it
    /// ends.
    pub fn add(&mut self, state: &State, rows: &Rows, frame: &Frame) -> Result<(), Failure> {
        let Some(commit) = frame.commit(state) else { return Ok(()) };
        let Body::Twin { handle, what, .. } = &commit.body else { return Ok(()) };
        let Some(twin) = state.by_handle(*handle) else { return Ok(()) };
        self.handle = Some(*handle);
        let description = twin.description();
        let timeline = state.timeline();
        match what {
            What::Reported(r) | What::Backfilled(r) => {
                for entry in r.entries.iter().filter(|entry| rows.wants(entry.index)) {
                    let at = timeline.resolve_base(commit.seq, r.source.plus(entry.offset));
                    let Some(sum) = self.sum(at, entry.index)? else { continue };
                    sum.count += 1;
                    sum.not_good += u64::from(!entry.quality.is_good());
                    let Some(value) = &entry.value else { continue };
                    let of = description.point(entry.index).map(|p| &p.spec.value_type);
                    let number = of.and_then(|of| value.as_f64(of)).filter(|v| v.is_finite());
                    if let Some(v) = number.filter(|_| entry.quality.class != Class::Bad) {
                        sum.numbers(1.0, (v, v, v));
                    }
                    sum.last = Some(value.clone());
                }
            }
            What::Thinned(e) => {
                for entry in e.entries.iter().filter(|entry| rows.wants(entry.index)) {
                    let at = timeline.resolve_base(commit.seq, e.until);
                    if let Some(sum) = self.sum(at, entry.index)? {
                        sum.envelope(entry);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The rows, in the order of their times.
    pub fn rows(self, state: &State) -> Vec<Row> {
        let Some(twin) = self.handle.and_then(|handle| state.by_handle(handle)) else {
            return Vec::new();
        };
        let every = self.every;
        let row = |((begin, index), sum): ((i64, u16), Sum)| {
            let number = |v: f64| (sum.numbers > 0.0).then_some(v);
            let summary = Summary {
                until: Some(Timestamp(begin + every).to_string()),
                count: sum.count,
                not_good: sum.not_good,
                min: number(sum.low),
                max: number(sum.high),
                mean: number(sum.mean),
            };
            let mut row = Row {
                time: Some(Timestamp(begin).to_string()),
                twin: Some(twin.id().to_string()),
                what: "bucket".into(),
                point: Some(find::name(twin.description(), index)),
                summary: Some(summary),
                ..Row::default()
            };
            last(&mut row, twin.description(), index, sum.last.as_ref());
            row
        };
        self.sums.into_iter().map(row).collect()
    }

    fn sum(&mut self, at: Option<Timestamp>, index: u16) -> Result<Option<&mut Sum>, Failure> {
        let Some(at) = at else { return Ok(None) };
        let begin = at.0.div_euclid(self.every) * self.every;
        if self.sums.len() >= MOST && !self.sums.contains_key(&(begin, index)) {
            let words = format!("these are more than {MOST} buckets");
            let help = "give a longer --every, a shorter time, or fewer points";
            return Err(Failure::new(Code::BadRequest, words).help(help));
        }
        Ok(Some(self.sums.entry((begin, index)).or_default()))
    }
}

impl Sum {
    fn numbers(&mut self, weight: f64, (low, high, mean): (f64, f64, f64)) {
        if self.numbers > 0.0 {
            (self.low, self.high) = (self.low.min(low), self.high.max(high));
        } else {
            (self.low, self.high) = (low, high);
        }
        self.numbers += weight;
        self.mean += (mean - self.mean) * weight / self.numbers;
    }

    fn envelope(&mut self, entry: &EnvelopeEntry) {
        self.count += u64::from(entry.count);
        self.not_good += u64::from(entry.not_good);
        if let Some(range) = entry.range {
            let good = entry.count.saturating_sub(entry.not_good).max(1);
            self.numbers(f64::from(good), range);
        }
        if entry.last.is_some() {
            self.last.clone_from(&entry.last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_readings_and_envelopes_sum_up_alike() {
        let mut sum = Sum::default();
        for v in [1.0, 2.0, 9.0] {
            sum.count += 1;
            sum.numbers(1.0, (v, v, v));
        }
        let entry = EnvelopeEntry {
            index: 0,
            count: 4,
            not_good: 1,
            last: Some(Value::Float(5.0)),
            range: Some((-1.0, 5.0, 2.0)),
        };
        sum.envelope(&entry);
        assert_eq!((sum.count, sum.not_good, sum.low, sum.high), (7, 1, -1.0, 9.0));
        assert!((sum.mean - 3.0).abs() < 1e-9, "{}", sum.mean);
        assert_eq!(sum.last, Some(Value::Float(5.0)));
    }

    #[test]
    fn buckets_have_sensible_widths() {
        assert!(Buckets::new(999).is_none() && Buckets::new(u64::MAX).is_none());
        assert!(Buckets::new(1_000).is_some() && Buckets::new(366 * 86_400_000).is_some());
    }
}
