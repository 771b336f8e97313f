//! What a sealed segment says of itself, so that a reader who looks for something else can skip it.

use std::collections::BTreeSet;

use twin::{Boottime, Handle, Seq, State};

use crate::codec::{Put, Take};
use crate::frame::{self, Class, Header, Kind};

/// The summary of a segment's frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) first: Seq,
    pub(crate) last: Seq,
    pub(crate) first_at: Boottime,
    pub(crate) last_at: Boottime,
    /// Frames in all.
    pub(crate) count: u64,
    /// Frames that are more than lane positions.
    pub(crate) lasting: u64,
    /// One bit per class that occurs.
    pub(crate) classes: u8,
    /// The twins that occur, sorted, with their revs as of the segment's end and the description revision that reads them.
    pub(crate) twins: Vec<(Handle, u64, u32)>,
    /// How often its samples have been thinned.
    pub(crate) thin: u8,
}

/// A footer in the making: what the frames so far come to.
#[derive(Debug, Clone)]
pub(crate) struct Summary {
    first: Seq,
    last: Seq,
    first_at: Boottime,
    last_at: Boottime,
    count: u64,
    lasting: u64,
    classes: u8,
    handles: BTreeSet<Handle>,
    /// The last handle, so that a run of one twin costs no search.
    recent: Option<Handle>,
}

impl Default for Summary {
    fn default() -> Self {
        Self {
            first: Seq(0),
            last: Seq(0),
            first_at: Boottime(i64::MAX),
            last_at: Boottime(i64::MIN),
            count: 0,
            lasting: 0,
            classes: 0,
            handles: BTreeSet::new(),
            recent: None,
        }
    }
}

impl Summary {
    /// One more frame.
    pub(crate) fn add(&mut self, header: &Header) {
        if self.count == 0 {
            self.first = header.seq;
        }
        self.last = header.seq;
        self.first_at = self.first_at.min(header.at);
        self.last_at = self.last_at.max(header.at);
        self.count += 1;
        if header.kind != Kind::Positions as u8 {
            self.lasting += 1;
            self.classes |= 1 << (header.class & 7);
        }
        if self.recent != Some(header.handle) {
            self.recent = Some(header.handle);
            self.handles.insert(header.handle);
        }
    }

    pub(crate) fn last(&self) -> Seq {
        self.last
    }

    pub(crate) fn first_at(&self) -> Boottime {
        self.first_at
    }

    /// How many twins occur, the gateway included.
    pub(crate) fn twins(&self) -> usize {
        self.handles.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The footer, with revs as `state` knows them.
    pub(crate) fn footer(&self, state: &State) -> Footer {
        let twin = |h: &Handle| {
            let twin = state.by_handle(*h);
            (*h, twin.map_or(0, |t| t.rev()), twin.map_or(0, |t| t.description().revision))
        };
        Footer {
            first: self.first,
            last: self.last,
            first_at: self.first_at,
            last_at: self.last_at,
            count: self.count,
            lasting: self.lasting,
            classes: self.classes,
            twins: self.handles.iter().map(twin).collect(),
            thin: 0,
        }
    }

    /// The footer of frames that stand for those of another segment: what that one said of the log goes on to hold.
    pub(crate) fn instead_of(&self, other: &Footer) -> Footer {
        let Self { count, lasting, classes, .. } = *self;
        Footer { count, lasting, classes, ..other.clone() }
    }
}

impl Footer {
    /// Whether commits of this class occur.
    pub(crate) fn has_class(&self, class: Class) -> bool {
        self.classes & 1 << class as u8 != 0
    }

    /// Whether commits of this twin occur.
    pub(crate) fn has_twin(&self, handle: Handle) -> bool {
        self.twins.binary_search_by_key(&handle, |(h, _, _)| *h).is_ok()
    }

    /// The footer as a frame of this segment.
    pub(crate) fn encode(&self, segment: u64) -> Vec<u8> {
        let mut out = Vec::new();
        let start = frame::begin(&mut out, self.last, self.last_at, Handle(0));
        out.put_u64(self.first.0);
        out.put_i64(self.first_at.0);
        out.put_varint(self.count);
        out.put_varint(self.lasting);
        out.put_u8(self.classes);
        out.put_len(self.twins.len());
        for (handle, rev, revision) in &self.twins {
            out.put_varint(u64::from(handle.0));
            out.put_varint(*rev);
            out.put_varint(u64::from(*revision));
        }
        if self.thin > 0 {
            out.put_u8(self.thin);
        }
        frame::finish(&mut out, start, Kind::Footer, Class::Record);
        frame::seal(segment, &mut out);
        out
    }

    /// The footer at the beginning of `bytes`, if it is a whole one of this segment.
    pub(crate) fn decode(segment: u64, bytes: &[u8]) -> Option<Self> {
        let header = frame::check(segment, bytes)?;
        let (Kind::Footer, _) = header.known()? else { return None };
        let mut take = Take(bytes.get(frame::HEADER..header.frame_len())?);
        Some(Self {
            first: Seq(take.u64()?),
            last: header.seq,
            first_at: Boottime(take.i64()?),
            last_at: header.at,
            count: take.varint()?,
            lasting: take.varint()?,
            classes: take.u8()?,
            twins: take.list(|t| Some((Handle(t.varint32()?), t.varint()?, t.varint32()?)))?,
            thin: take.u8().unwrap_or(0),
        })
    }
}
