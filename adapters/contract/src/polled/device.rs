//! What the agenda keeps of one device: its breaker, its groups and what was counted.

use std::collections::HashMap;
use std::sync::Arc;

use twin::{Boottime, Quality};

use super::report::Reporter;
use super::{Failed, Polled, PolledGroup, Timing, Work};
use crate::{Breaker, Counters, Cycle, DeviceStatus, Grid, Seat, Trouble};

/// One device on the line.
#[derive(Debug)]
pub(super) struct Device<P: Polled> {
    pub spec: P,
    pub breaker: Breaker,
    pub groups: Vec<Group<P>>,
    pub trouble: Option<Trouble>,
    pub answered: Option<i64>,
    pub counters: Counters,
    /// Requests under way.
    pub in_flight: u32,
    /// A write is under way or waits for its turn: nothing else may start.
    pub writing: bool,
    /// Nothing may leave for it before this.
    pub ready: i64,
    /// The asset said which one it is, or cannot say.
    pub identified: bool,
    /// All that the asset said of itself.
    pub said: Option<Arc<str>>,
    /// What of that is not as configured.
    pub differs: Option<Arc<str>>,
    /// What the last `Binding` said of the asset, and what was not as configured; `None`: there was none.
    pub bound: Option<Told>,
    /// The quality of readings that are skipped.
    pub outage: Quality,
    /// It was silent, and what it is now nobody has said yet; see [`Polled::doubtful`].
    pub doubted: bool,
    /// The last exchange that was no poll.
    pub other: Option<Other<P>>,
}

/// What a `Binding` said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub asset: Option<Arc<str>>,
    pub differs: Option<Arc<str>>,
}

/// One group of a device.
#[derive(Debug)]
pub(super) struct Group<P: Polled> {
    pub index: u16,
    pub points: Vec<u16>,
    pub batches: Arc<[P::Batch]>,
    /// `None`: read only when somebody asks.
    pub cycle: Option<Cycle>,
    /// Its place among the line's groups with this period.
    nth: u32,
    pub reporter: Reporter,
    /// An acquisition of it is under way.
    pub busy: bool,
    /// Skipped turns are told at most once a second: not before this.
    pub quiet: i64,
    /// The last exchange of each batch.
    pub last: Vec<Option<Last<P::Answer>>>,
}

/// An exchange as it is kept for `why`.
#[derive(Debug)]
pub(super) struct Last<A> {
    pub timing: Timing,
    pub result: Result<A, Failed>,
}

/// An exchange that was no poll.
pub(super) type Other<P> =
    (Work<<P as Polled>::Batch, <P as Polled>::Write>, Last<<P as Polled>::Answer>);

/// The line's places on the grid, one per period.
#[derive(Debug, Default)]
pub(super) struct Seats(HashMap<i64, Arc<Seat>>);

impl Seats {
    fn of(&mut self, period: i64, grid: &Grid) -> Arc<Seat> {
        self.0.entry(period).or_insert_with(|| grid.seat(period).into()).clone()
    }

    /// Gives back the places that no group uses any more.
    pub(super) fn prune(&mut self) {
        self.0.retain(|_, seat| Arc::strong_count(seat) > 1);
    }
}

impl<P: Polled> Device<P> {
    pub(super) fn new(
        spec: P,
        others: &[Option<Self>],
        seats: &mut Seats,
        grid: &Grid,
        now: i64,
    ) -> Self {
        let mut groups: Vec<Group<P>> = Vec::new();
        for PolledGroup { index, every, points } in spec.groups() {
            let batches: Arc<[P::Batch]> = spec.plan(&points).into();
            let last = batches.iter().map(|_| None).collect();
            let taken = |nth: u32| {
                let of = |g: &Group<P>| {
                    g.nth == nth && g.cycle.as_ref().is_some_and(|c| Some(c.period()) == every)
                };
                groups.iter().any(of) || others.iter().flatten().any(|d| d.groups.iter().any(of))
            };
            let nth = (0..).find(|nth| !taken(*nth)).unwrap_or(0);
            let cycle = every.filter(|_| !batches.is_empty()).map(|period| {
                if spec.on_grid() {
                    Cycle::on_grid(period, nth, seats.of(period, grid), now)
                } else {
                    Cycle::off_grid(period, now)
                }
            });
            groups.push(Group {
                index,
                points,
                batches,
                cycle,
                nth,
                reporter: Reporter::default(),
                busy: false,
                quiet: 0,
                last,
            });
        }
        Self {
            identified: spec.identity().is_empty(),
            spec,
            breaker: Breaker::new(now),
            groups,
            trouble: None,
            answered: None,
            counters: Counters::default(),
            in_flight: 0,
            writing: false,
            ready: 0,
            said: None,
            differs: None,
            bound: None,
            outage: Quality::bad(twin::Cause::NotRead),
            doubted: false,
            other: None,
        }
    }

    /// Whether a request may leave for it now.
    pub(super) fn free(&self, now: i64) -> bool {
        !self.writing && now >= self.ready && (self.breaker.patient() || self.in_flight == 0)
    }

    pub(super) fn trouble(&mut self, at: i64, words: &Arc<str>) {
        self.trouble = Some(Trouble { at: Boottime(at), words: words.clone() });
    }

    /// Whether it may be polled, read and written.
    pub(super) fn serves(&self) -> bool {
        self.breaker.lets_through() && !self.doubted
    }

    pub(super) fn status(&self, next: Option<i64>) -> DeviceStatus {
        DeviceStatus {
            twin: self.spec.twin().clone(),
            breaker: self.breaker.shown(),
            doubted: self.doubted,
            since: Boottime(self.breaker.since()),
            trouble: self.trouble.clone(),
            answered: self.answered.map(Boottime),
            next: next.map(Boottime),
            counters: self.counters,
        }
    }
}

impl<P: Polled> Group<P> {
    /// When its next turn can be told or taken; `shut`: it can only be skipped.
    pub(super) fn wake(&self, shut: bool) -> Option<i64> {
        let cycle = self.cycle.as_ref().filter(|_| !self.busy)?;
        Some(if shut { cycle.due().max(self.quiet) } else { cycle.wake() })
    }
}
