//! History: stored commits by range, by time, by twin and class, as a stream; and the latest of them.
//!
//! Sealed segments say in their footers what they hold, so that those without anything wanted are never opened; commits are
//! passed over by their headers, and only what is wanted is handed out to be decoded. The order is that of the log.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use twin::{Handle, Seq, Timeline, Timestamp};

use crate::error::ReadError;
use crate::frame::{Class, Frame};
use crate::merge::Merge;
use crate::segment::{Family, Segment};
use crate::shared::Shared;
use crate::store::Store;

/// Which commits.
#[derive(Debug, Clone)]
pub struct Query {
    /// From this commit on.
    pub from: Seq,
    /// Up to this one.
    pub until: Seq,
    /// Made at or after this time, where their time is known.
    pub after: Option<Timestamp>,
    /// Made before this time, where their time is known.
    pub before: Option<Timestamp>,
    /// Of this twin alone.
    pub twin: Option<Handle>,
    /// Of this class alone.
    pub class: Option<Class>,
}

/// Commits as a query asks for them, one after the other, oldest first. It holds one chunk of each family in memory.
///
/// Reads the disk: use it where blocking does no harm.
pub struct History {
    shared: Arc<Shared>,
    query: Query,
    timeline: Timeline,
    merge: Merge,
    effort: Effort,
}

/// What a history had to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Effort {
    /// Segments opened.
    pub segments: u64,
    /// Commits whose headers were looked at.
    pub passed: u64,
    /// Commits handed out.
    pub wanted: u64,
}

impl Default for Query {
    fn default() -> Self {
        let (from, until) = (Seq(0), Seq(u64::MAX));
        Self { from, until, after: None, before: None, twin: None, class: None }
    }
}

impl Query {
    fn within(&self, first: Option<Timestamp>, last: Option<Timestamp>) -> bool {
        let late = self.after.is_none_or(|after| last.is_none_or(|t| t >= after));
        late && self.before.is_none_or(|before| first.is_none_or(|t| t < before))
    }

    fn wants(&self, timeline: &Timeline, frame: &Frame) -> bool {
        let at = || timeline.resolve(frame.seq, frame.at);
        frame.kind.shown()
            && self.twin.is_none_or(|handle| frame.handle == handle)
            && self.class.is_none_or(|class| frame.class == class)
            && ((self.after.is_none() && self.before.is_none()) || self.within(at(), at()))
    }

    /// Whether a segment may hold something that is wanted; one that is not sealed may hold anything.
    fn touches(&self, timeline: &Timeline, segment: &Segment) -> bool {
        let family = segment.header.family;
        let class = self.class.is_none_or(|class| Family::of(class) == family);
        class
            && segment.footer().is_none_or(|f| {
                let first = timeline.resolve(f.first, f.first_at);
                let last = timeline.resolve(f.last, f.last_at);
                self.twin.is_none_or(|handle| f.has_twin(handle))
                    && self.class.is_none_or(|class| f.has_class(class))
                    // A clock that was set back may turn the two around.
                    && (first > last || self.within(first, last))
            })
    }
}

impl History {
    fn new(shared: Arc<Shared>, query: Query) -> Self {
        let inner = shared.lock();
        let timeline = inner.state.timeline().clone();
        let until = query.until.min(inner.head);
        drop(inner);
        let merge = Merge::new(query.from);
        Self { shared, query: Query { until, ..query }, timeline, merge, effort: Effort::default() }
    }

    /// The next commit that is wanted.
    ///
    /// # Errors
    /// A segment cannot be read; the next call goes on behind it.
    #[expect(
        clippy::should_implement_trait,
        reason = "an error does not end it, as `?` in a loop would make one believe"
    )]
    pub fn next(&mut self) -> Result<Option<Frame>, ReadError> {
        while let Some(frame) = self.step()? {
            if self.query.wants(&self.timeline, &frame) {
                self.effort.wanted += 1;
                return Ok(Some(frame));
            }
        }
        Ok(None)
    }

    /// The same, giving up after looking at this many commits: then `Some(None)`. `None` at the end.
    ///
    /// # Errors
    /// A segment cannot be read; the next call goes on behind it.
    pub fn next_within(&mut self, mut commits: usize) -> Result<Option<Option<Frame>>, ReadError> {
        while let Some(frame) = self.step()? {
            if self.query.wants(&self.timeline, &frame) {
                self.effort.wanted += 1;
                return Ok(Some(Some(frame)));
            }
            commits = commits.saturating_sub(1);
            if commits == 0 {
                return Ok(Some(None));
            }
        }
        Ok(None)
    }

    /// What it had to do so far.
    #[must_use]
    pub fn effort(&self) -> Effort {
        Effort { segments: self.merge.opened(), ..self.effort }
    }

    fn step(&mut self) -> Result<Option<Frame>, ReadError> {
        let Self { shared, query, timeline, merge, effort } = self;
        let want = |segment: &Segment| {
            segment.header.base <= query.until && query.touches(timeline, segment)
        };
        let frame = merge.next(shared, query.from, &want)?;
        effort.passed += u64::from(frame.is_some());
        Ok(frame.filter(|frame| frame.seq <= query.until))
    }
}

impl Store {
    /// The commits that a query asks for, oldest first.
    #[must_use]
    pub fn browse(&self, query: Query) -> History {
        History::new(self.shared.clone(), query)
    }

    /// The commits that a query asks for, oldest first, at most `limit`; and where to go on, if that was not all.
    ///
    /// Reads the disk: call it where blocking does no harm.
    ///
    /// # Errors
    /// A segment cannot be read.
    pub fn history(
        &self,
        query: &Query,
        limit: usize,
    ) -> Result<(Vec<Frame>, Option<Seq>), ReadError> {
        let mut history = self.browse(query.clone());
        let mut out = Vec::new();
        while let Some(frame) = history.next()? {
            if out.len() >= limit {
                return Ok((out, Some(frame.seq)));
            }
            out.push(frame);
        }
        Ok((out, None))
    }

    /// The last `n` commits of a query that are wanted as well, oldest first. Goes back segment by segment, and no further
    /// than it must.
    ///
    /// Reads the disk: call it where blocking does no harm.
    ///
    /// # Errors
    /// A segment cannot be read.
    pub fn latest(
        &self,
        query: &Query,
        n: usize,
        mut wanted: impl FnMut(&Frame) -> bool,
    ) -> Result<(Vec<Frame>, Effort), ReadError> {
        let mut out = VecDeque::new();
        let mut effort = Effort::default();
        let (bases, mut until) = {
            let inner = self.shared.lock();
            let timeline = inner.state.timeline();
            let families = [Family::Samples, Family::Records].map(|f| inner.catalog.family(f));
            let segments = families.into_iter().flatten();
            let wanted = segments.filter(|segment| query.touches(timeline, segment));
            let bases: BTreeSet<Seq> = wanted.map(|segment| segment.header.base).collect();
            (bases, query.until.min(inner.head))
        };
        for base in bases.into_iter().rev().chain([Seq(0)]) {
            let from = base.max(query.from);
            if from > until {
                continue;
            }
            let mut part = VecDeque::new();
            let mut history = self.browse(Query { from, until, ..query.clone() });
            while let Some(frame) = history.next()? {
                if wanted(&frame) {
                    // A frame that is kept must not keep the chunk that it was read with.
                    let payload = Bytes::copy_from_slice(&frame.payload);
                    part.push_back(Frame { payload, ..frame });
                    while part.len() + out.len() > n {
                        part.pop_front();
                    }
                }
            }
            let Effort { segments, passed, wanted } = history.effort();
            effort.segments += segments;
            effort.passed += passed;
            effort.wanted += wanted;
            part.into_iter().rev().for_each(|frame| out.push_front(frame));
            if out.len() >= n || from == query.from || from.0 == 0 {
                break;
            }
            until = Seq(from.0 - 1);
        }
        Ok((out.into(), effort))
    }
}
