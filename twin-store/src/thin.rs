//! Samples summarised: the frames of a segment go in, envelopes come out. Pure.
//!
//! An envelope stands for consecutive samples of one twin within one interval of their source time. It ends early where a
//! lane stands, where the twin was described anew, and where a sample has to stay as it is. A stretch that an envelope
//! would not make shorter stays as it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use twin::{
    Body, Boottime, Description, Envelope, EnvelopeEntry, Handle, Origin, Quality, Seq,
    SourceClock, TimeBase, Timeline, TwinId, ValueType, What,
};

use crate::frame::{self, Frame, Kind};
use crate::record;
use crate::record::reported::ReportedView;
use crate::record::value::ValueRef;

/// What has to be known of a twin to read its samples.
pub(crate) type Known = BTreeMap<Handle, (TwinId, Arc<Description>)>;

/// Where envelopes end: before this commit, those of one twin or of all.
pub(crate) type Cut = (Seq, Option<Handle>);

/// Summarises the frames of one segment.
pub(crate) struct Thinner<'a> {
    known: &'a Known,
    timeline: &'a Timeline,
    /// In microseconds.
    interval: i64,
    /// Sorted; those that are passed are gone.
    cuts: &'a [Cut],
    open: BTreeMap<Key, Window>,
    out: Vec<(Seq, Bytes)>,
}

/// Samples of one twin, of the past or not, on one clock: what can stand in one envelope.
type Key = (Handle, bool, bool);

struct Window {
    bucket: i64,
    revision: u32,
    first: Seq,
    last: Seq,
    at: Boottime,
    from: TimeBase,
    until: TimeBase,
    points: BTreeMap<u16, Sum>,
    frames: Vec<(Seq, Bytes)>,
}

#[derive(Default)]
struct Sum {
    count: u32,
    not_good: u32,
    last: Option<twin::Value>,
    /// Numbers so far; low, high and mean are theirs.
    numbers: u32,
    low: f64,
    high: f64,
    mean: f64,
}

impl<'a> Thinner<'a> {
    pub(crate) fn new(
        known: &'a Known,
        timeline: &'a Timeline,
        interval: i64,
        cuts: &'a [Cut],
    ) -> Self {
        let (open, out) = (BTreeMap::new(), Vec::new());
        Self { known, timeline, interval: interval.max(1), cuts, open, out }
    }

    /// The next frame, in the order of the log; `frame` is `None` for what this version does not know.
    pub(crate) fn add(&mut self, seq: Seq, frame: Option<&Frame>, whole: Bytes) {
        while let Some(((at, whose), rest)) = self.cuts.split_first()
            && *at <= seq
        {
            self.cuts = rest;
            self.end(*whose);
        }
        // The keeper's, and carried by no lane: it may lie within an envelope.
        if frame.is_some_and(|f| f.kind == Kind::Heartbeat) {
            return self.out.push((seq, whole));
        }
        let known = self.known;
        let view = frame.and_then(|f| Some((f, summable(known, f)?)));
        let Some((frame, view)) = view else {
            self.end(frame.map(|f| f.handle));
            return self.out.push((seq, whole));
        };
        let device = view.source.clock == SourceClock::Device;
        let key = (frame.handle, frame.kind == Kind::Backfilled, device);
        let micros =
            self.timeline.resolve_base(seq, view.source).map_or(view.source.micros, |t| t.0);
        let bucket = micros.div_euclid(self.interval);
        let other = |w: &Window| (w.bucket, w.revision) != (bucket, view.revision);
        if self.open.get(&key).is_some_and(other)
            && let Some(window) = self.open.remove(&key)
        {
            self.close(key, window);
        }
        let window = self.open.entry(key).or_insert_with(|| Window {
            bucket,
            revision: view.revision,
            first: seq,
            last: seq,
            at: frame.at,
            from: view.source,
            until: view.source,
            points: BTreeMap::new(),
            frames: Vec::new(),
        });
        (window.last, window.at, window.until) = (seq, frame.at, view.source);
        let Some((_, description)) = self.known.get(&frame.handle) else { return };
        for entry in view.iter() {
            let Some(point) = description.point(entry.index) else { continue };
            let sum = window.points.entry(entry.index).or_default();
            sum.add(entry.quality, entry.value, &point.spec.value_type);
        }
        window.frames.push((seq, whole));
    }

    /// What has become of the frames, in the order of the log.
    pub(crate) fn finish(mut self) -> Vec<(Seq, Bytes)> {
        self.end(None);
        self.out.sort_by_key(|(seq, _)| *seq);
        self.out
    }

    /// Ends what is open of one twin, or of all.
    fn end(&mut self, whose: Option<Handle>) {
        let ended = |(handle, _, _): &Key| whose.is_none_or(|whose| whose == *handle);
        let keys: Vec<Key> = self.open.keys().filter(|key| ended(key)).copied().collect();
        for key in keys {
            if let Some(window) = self.open.remove(&key) {
                self.close(key, window);
            }
        }
    }

    fn close(&mut self, (handle, _, _): Key, window: Window) {
        let before: usize = window.frames.iter().map(|(_, bytes)| bytes.len()).sum();
        let last = window.last;
        let envelope = match self.known.get(&handle) {
            Some((id, description)) if window.frames.len() > 1 => {
                let body = Body::Twin {
                    handle,
                    twin: id.clone(),
                    origin: Origin::Keeper,
                    what: What::Thinned(window.envelope()),
                };
                let mut out = Vec::new();
                let start = frame::begin(&mut out, last, window.at, handle);
                let (kind, class) = record::put(&mut out, window.at, description, &body);
                frame::finish(&mut out, start, kind, class);
                Some(out).filter(|out| out.len() < before)
            }
            _ => None,
        };
        match envelope {
            Some(envelope) => self.out.push((last, envelope.into())),
            None => self.out.extend(window.frames),
        }
    }
}

/// The readings, where they may become part of an envelope: what answers a command or came from elsewhere stays.
fn summable<'f>(known: &'f Known, frame: &'f Frame) -> Option<ReportedView<'f>> {
    let (_, description) = known.get(&frame.handle)?;
    let view = frame.reported(description)?;
    let plain = view.command.is_none() && view.origin == Origin::Asset && !view.is_empty();
    (plain && view.iter().count() == view.len()).then_some(view)
}

impl Window {
    fn envelope(&self) -> Envelope {
        let entry = |(index, sum): (&u16, &Sum)| EnvelopeEntry {
            index: *index,
            count: sum.count,
            not_good: sum.not_good,
            last: sum.last.clone(),
            range: (sum.numbers > 0).then_some((sum.low, sum.high, sum.mean)),
        };
        Envelope {
            revision: self.revision,
            first: self.first,
            last: self.last,
            thin: 1,
            from: self.from,
            until: self.until,
            entries: self.points.iter().map(entry).collect(),
        }
    }
}

impl Sum {
    fn add(&mut self, quality: Quality, value: Option<ValueRef<'_>>, of: &ValueType) {
        self.count += 1;
        self.not_good += u32::from(!quality.is_good());
        let Some(value) = value.map(ValueRef::to_value) else { return };
        let number = value.as_f64(of).filter(|v| v.is_finite());
        // A bad reading's value is shown, but says nothing of the asset.
        if let Some(v) = number.filter(|_| quality.class != twin::Class::Bad) {
            self.numbers += 1;
            if self.numbers == 1 {
                (self.low, self.high, self.mean) = (v, v, v);
            } else {
                (self.low, self.high) = (self.low.min(v), self.high.max(v));
                self.mean += (v - self.mean) / f64::from(self.numbers);
            }
        }
        self.last = Some(value);
    }
}
