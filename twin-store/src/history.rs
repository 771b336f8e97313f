//! History: stored commits by range, by time, by twin.

use twin::{Handle, Seq, Timestamp};

use crate::error::ReadError;
use crate::frame::{Class, Frame};
use crate::merge::Merge;
use crate::segment::Segment;
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

impl Default for Query {
    fn default() -> Self {
        let (from, until) = (Seq(0), Seq(u64::MAX));
        Self { from, until, after: None, before: None, twin: None, class: None }
    }
}

impl Store {
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
        let timeline = self.read(|state| state.timeline().clone());
        let until = query.until.min(self.head());
        let within = |first: Option<Timestamp>, last: Option<Timestamp>| {
            let late = query.after.is_none_or(|after| last.is_none_or(|t| t >= after));
            late && query.before.is_none_or(|before| first.is_none_or(|t| t < before))
        };
        let want = |segment: &Segment| {
            segment.footer().is_none_or(|f| {
                let first = timeline.resolve(f.first, f.first_at);
                let last = timeline.resolve(f.last, f.last_at);
                // A clock that was set back may turn the two around.
                query.twin.is_none_or(|handle| f.has_twin(handle))
                    && query.class.is_none_or(|class| f.has_class(class))
                    && (first > last || within(first, last))
            })
        };
        let mut reader = Merge::new(query.from);
        let mut out = Vec::new();
        while let Some(frame) = reader.next(&self.shared, query.from, &want)? {
            if frame.seq > until {
                break;
            }
            let at = timeline.resolve(frame.seq, frame.at);
            let wanted = frame.kind.shown()
                && query.twin.is_none_or(|handle| frame.handle == handle)
                && query.class.is_none_or(|class| frame.class == class)
                && within(at, at);
            if wanted {
                if out.len() >= limit {
                    return Ok((out, Some(frame.seq)));
                }
                out.push(frame);
            }
        }
        Ok((out, None))
    }
}
