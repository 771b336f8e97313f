//! Entanglement: how close a twin is to its asset, as timeliness × reliability × availability over a sliding window
//! (ETSI's digital-twin work asks that a twin measures and exposes it; the three factors are those of the ODTE).
//!
//! What counts is an update that was due, not a message: an acquisition that found nothing new is one. Time without any
//! update is what the figures fall by, so nothing has to happen for them to decay.

use crate::Boottime;

/// Into how many buckets a window is divided; the figures are as fine as one of them.
const BUCKETS: usize = 60;

/// How a twin is entangled with its asset, each from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Entangled {
    /// The share of the updates that came into the state in time after the asset was asked.
    pub timeliness: f32,
    /// The share of the updates that were due and came.
    pub reliability: f32,
    /// The share of the time during which gateway and asset were in contact.
    pub availability: f32,
}

impl Entangled {
    /// The three as one: their product.
    #[must_use]
    pub fn value(&self) -> f32 {
        self.timeliness * self.reliability * self.availability
    }

    /// The three in the order of their names.
    #[must_use]
    pub fn figures(&self) -> [f32; 3] {
        [self.timeliness, self.reliability, self.availability]
    }

    /// A twin is entangled as badly as its worst group.
    #[must_use]
    pub fn or_worse(self, other: Self) -> Self {
        if other.value() < self.value() { other } else { self }
    }

    /// Whether it differs from what was said last by enough to be said: by more than a twentieth, or it has become
    /// whole or nothing.
    #[must_use]
    pub fn is_news(&self, said: Option<&Self>) -> bool {
        const ENOUGH: f32 = 0.05;
        let Some(said) = said else { return true };
        let extreme = |value: f32| value <= 0.0 || value >= 1.0;
        let pairs = self.figures().into_iter().zip(said.figures());
        let moved = pairs.map(|(now, said)| (now - said).abs()).any(|by| by > ENOUGH);
        moved || (extreme(self.value()) && self.value() != said.value())
    }
}

/// What a twin's entanglement is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closeness {
    /// In contact and within its target: fit for control and live monitoring.
    Strong,
    /// In contact, but late, with gaps, or out of sync: fit for analysis.
    Weak,
    /// Without contact to the asset.
    Indirect,
}

impl Closeness {
    /// The word used in CLI and messages.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Strong => "strong",
            Self::Weak => "weak",
            Self::Indirect => "indirect",
        }
    }
}

/// What is counted of one acquisition group over a sliding window, in constant memory.
#[derive(Debug, Clone)]
pub struct Window {
    /// Microseconds in a bucket.
    bucket: i64,
    /// The number of the newest bucket.
    newest: i64,
    /// Time before this counts as nothing.
    began: i64,
    /// Up to here it is known whether there was contact.
    known: i64,
    buckets: [Bucket; BUCKETS],
    sum: Sum,
}

#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    received: u32,
    prompt: u32,
    /// Microseconds of contact.
    up: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    received: u64,
    prompt: u64,
    up: u64,
}

impl Window {
    /// The longest window, in microseconds: a day.
    pub const LONGEST: i64 = 86_400_000_000;

    /// A window of so many microseconds, in which time counts from `began` on.
    #[must_use]
    pub fn new(length: i64, began: Boottime) -> Self {
        let parts = i64::try_from(BUCKETS).unwrap_or(1);
        let bucket = length.clamp(parts, Self::LONGEST) / parts;
        Self {
            bucket,
            newest: began.0.div_euclid(bucket),
            began: began.0,
            known: began.0,
            buckets: [Bucket::default(); BUCKETS],
            sum: Sum::default(),
        }
    }

    /// Time has come to `now`; since the last call there was contact, or not. Time that goes back is none.
    pub fn advance(&mut self, now: Boottime, up: bool) {
        self.turn(now.0);
        let from = self.known.max(self.oldest());
        if up && now.0 > from {
            // By whole buckets: a wait of hours passes each of them once.
            let (first, last) = (from.div_euclid(self.bucket), now.0.div_euclid(self.bucket));
            for number in first..=last {
                let begin = from.max(number.saturating_mul(self.bucket));
                let end = now.0.min(number.saturating_add(1).saturating_mul(self.bucket));
                let part = u32::try_from(end - begin).unwrap_or(0);
                if let Some(bucket) = self.at(number) {
                    bucket.up += part;
                    self.sum.up += u64::from(part);
                }
            }
        }
        self.known = self.known.max(now.0);
    }

    /// Updates came, some of them in time.
    pub fn receive(&mut self, now: Boottime, received: u32, prompt: u32) {
        self.turn(now.0);
        let number = self.newest;
        let Some(bucket) = self.at(number) else { return };
        // Saturated together, so that late ones stay late.
        let received = received.min(u32::MAX - bucket.received);
        let prompt = prompt.min(received);
        bucket.received += received;
        bucket.prompt += prompt;
        self.sum.received += u64::from(received);
        self.sum.prompt += u64::from(prompt);
    }

    /// Whether it is too young to say anything: nothing came, and nothing was due yet.
    #[must_use]
    pub fn waits(&self, interval: i64, patience: i64) -> bool {
        self.sum.received == 0 && self.covered() < interval.saturating_add(patience)
    }

    fn covered(&self) -> i64 {
        (self.known - self.began.max(self.oldest())).max(0)
    }

    /// The figures, where an update is due every `interval` microseconds and counts as missing `patience` after that;
    /// without an interval one is enough.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "shares need no more than a float has")]
    pub fn figures(&self, interval: Option<i64>, patience: i64) -> Entangled {
        let covered = self.covered();
        let share = |part: u64, whole: u64| {
            if whole == 0 { 0.0 } else { (part as f32 / whole as f32).min(1.0) }
        };
        let due = interval.filter(|interval| *interval > 0);
        let due = due.map_or(1, |interval| ((covered - patience.max(0)) / interval).max(1));
        Entangled {
            timeliness: share(self.sum.prompt, self.sum.received),
            reliability: share(self.sum.received, due.unsigned_abs()),
            availability: share(self.sum.up, covered.unsigned_abs()),
        }
    }

    /// The time at which the oldest bucket begins.
    fn oldest(&self) -> i64 {
        let back = i64::try_from(BUCKETS - 1).unwrap_or(0);
        (self.newest - back).saturating_mul(self.bucket)
    }

    /// The newest bucket is that of `now`; what it displaces is forgotten.
    fn turn(&mut self, now: i64) {
        let number = now.div_euclid(self.bucket);
        let steps = number.saturating_sub(self.newest);
        for _ in 0..steps.clamp(0, i64::try_from(BUCKETS).unwrap_or(0)) {
            self.newest += 1;
            self.forget();
        }
        if number > self.newest {
            self.newest = number;
        }
    }

    /// The newest bucket begins empty.
    fn forget(&mut self) {
        let number = self.newest;
        if let Some(bucket) = self.at(number) {
            let old = std::mem::take(bucket);
            self.sum.received -= u64::from(old.received);
            self.sum.prompt -= u64::from(old.prompt);
            self.sum.up -= u64::from(old.up);
        }
    }

    fn at(&mut self, number: i64) -> Option<&mut Bucket> {
        let parts = i64::try_from(BUCKETS).unwrap_or(1);
        let place = usize::try_from(number.rem_euclid(parts)).unwrap_or(0);
        self.buckets.get_mut(place)
    }
}
