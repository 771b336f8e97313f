//! Frames: a commit as it lies in a segment, in the ring and in a lane.
//!
//! ```text
//! 0 length u32 (of the payload) · 4 crc u32 · 8 seq u64 · 16 kind u8 · 17 version u8 · 18 class u8 · 19 zero
//! 20 at i64 (boottime µs) · 28 handle u32 · 32 payload
//! ```
//! The CRC-32 covers everything but itself and is seeded with the segment's id: a frame of another segment, left over in
//! a recycled file, is no frame here.

use bytes::Bytes;
use twin::{Boottime, Commit, Description, Handle, Name, Seq, State, TwinId};

use crate::codec::{Put, Take};
use crate::record::reported::{self, ReportedView};
use crate::record::{self, Raw};

/// Bytes before a payload.
pub(crate) const HEADER: usize = 32;
/// The longest payload; longer lengths are damage.
pub(crate) const LONGEST: usize = 64 << 20;
/// The version of every kind so far.
const VERSION: u8 = 1;

/// A commit as bytes. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Its place in the order.
    pub seq: Seq,
    /// The epoch in which it was written.
    pub epoch: u32,
    /// When it was written.
    pub at: Boottime,
    /// Whose; handle 0 is the gateway.
    pub handle: Handle,
    /// Which lanes carry it.
    pub class: Class,
    /// What it says.
    pub kind: Kind,
    pub(crate) payload: Bytes,
}

/// The classes that a link's lanes are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Events, and twins that fall out of sync.
    Alarm = 0,
    /// Everything else that happens to a twin or to the gateway.
    Record = 1,
    /// Readings.
    Sample = 2,
}

impl Class {
    /// All of them, most urgent first.
    pub const ALL: [Self; 3] = [Self::Alarm, Self::Record, Self::Sample];

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|class| *class as u8 == code)
    }

    /// The word used in configuration, CLI and messages.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Alarm => "alarm",
            Self::Record => "record",
            Self::Sample => "sample",
        }
    }
}

macro_rules! kinds {
    ($($variant:ident = $code:literal, $doc:literal;)*) => {
        /// What a record says. The codes are part of the disk format and never reused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind { $(#[doc = $doc] $variant = $code,)* }

        impl Kind {
            pub(crate) fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

kinds! {
    Reported = 1, "See [`twin::What::Reported`].";
    Backfilled = 2, "See [`twin::What::Backfilled`].";
    Thinned = 3, "See [`twin::What::Thinned`].";
    Heartbeat = 4, "See [`twin::What::Heartbeat`].";
    Described = 16, "See [`twin::What::Described`].";
    Binding = 17, "See [`twin::What::Binding`].";
    Transition = 18, "See [`twin::What::Transition`].";
    Command = 19, "See [`twin::What::Command`].";
    Refused = 20, "See [`twin::What::Refused`].";
    Step = 21, "See [`twin::What::Step`].";
    Event = 22, "See [`twin::What::Event`].";
    Related = 23, "See [`twin::What::Related`].";
    Unrelated = 24, "See [`twin::What::Unrelated`].";
    Purged = 25, "See [`twin::What::Purged`].";
    Carried = 26, "A description repeated by retention, because segments that need it are kept.";
    Entangled = 27, "See [`twin::What::Entangled`].";
    Maintained = 30, "See [`twin::What::Maintained`].";
    Opened = 64, "See [`twin::GatewayEvent::Opened`].";
    ClockSet = 65, "See [`twin::GatewayEvent::ClockSet`].";
    Gap = 66, "See [`twin::GatewayEvent::Gap`].";
    Writes = 67, "See [`twin::GatewayEvent::Writes`].";
    Revs = 68, "See [`twin::GatewayEvent::Revs`].";
    Forgotten = 69, "See [`twin::GatewayEvent::Forgotten`].";
    PassedOver = 70, "See [`twin::GatewayEvent::PassedOver`].";
    Positions = 96, "Where the lanes stand.";
    Keyspace = 128, "A batch of an application's own data.";
    Audit = 129, "Reserved: the hash of everything before.";
    Footer = 255, "The end of a sealed segment.";
}

impl Kind {
    /// Whether links and followers get to see it; the rest is the store's own business.
    #[must_use]
    pub fn shown(self) -> bool {
        !matches!(
            self,
            Self::Positions | Self::Keyspace | Self::Audit | Self::Carried | Self::Footer
        )
    }

    /// Whether lanes carry it: what is shown, apart from heartbeats, which are the keeper's, and from what only the fold
    /// needs.
    #[must_use]
    pub fn carried_by_lanes(self) -> bool {
        self.shown() && !matches!(self, Self::Heartbeat | Self::Revs | Self::Forgotten)
    }
}

/// What stands before a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) length: usize,
    pub(crate) crc: u32,
    pub(crate) seq: Seq,
    pub(crate) kind: u8,
    pub(crate) version: u8,
    pub(crate) class: u8,
    pub(crate) at: Boottime,
    pub(crate) handle: Handle,
}

impl Header {
    /// The header at the beginning of `bytes`; `None` where there is none that could be one.
    pub(crate) fn take(bytes: &[u8]) -> Option<Self> {
        let mut take = Take(bytes.get(..HEADER)?);
        let length = usize::try_from(take.u32()?).ok()?;
        let header = Self {
            length,
            crc: take.u32()?,
            seq: Seq(take.u64()?),
            kind: take.u8()?,
            version: take.u8()?,
            class: take.u8()?,
            at: {
                (take.u8()? == 0).then_some(())?;
                Boottime(take.i64()?)
            },
            handle: Handle(take.u32()?),
        };
        (length <= LONGEST && header.seq.0 > 0 && header.version > 0).then_some(header)
    }

    /// Bytes of the whole frame.
    pub(crate) fn frame_len(&self) -> usize {
        HEADER + self.length
    }

    /// The kind, where this version of the program knows it.
    pub(crate) fn known(&self) -> Option<(Kind, Class)> {
        let kind = Kind::from_code(self.kind).filter(|_| self.version == VERSION)?;
        Some((kind, Class::from_code(self.class)?))
    }
}

/// Begins a frame at the end of `out`; the payload follows, then [`finish`].
pub(crate) fn begin(out: &mut Vec<u8>, seq: Seq, at: Boottime, handle: Handle) -> usize {
    let start = out.len();
    out.put_u64(0);
    out.put_u64(seq.0);
    out.put_u32(0);
    out.put_i64(at.0);
    out.put_u32(handle.0);
    start
}

/// Completes the frame that begins at `start`, but for its CRC, which the segment gives.
pub(crate) fn finish(out: &mut [u8], start: usize, kind: Kind, class: Class) {
    let length = u32::try_from(out.len() - start - HEADER).unwrap_or(u32::MAX);
    if let Some(header) = out.get_mut(start..start + HEADER) {
        header[..4].copy_from_slice(&length.to_le_bytes());
        header[16..19].copy_from_slice(&[kind as u8, VERSION, class as u8]);
    }
}

/// The CRC of a whole frame in the segment with this id.
pub(crate) fn crc(segment: u64, frame: &[u8]) -> u32 {
    let [a, b, c, d, e, f, g, h] = segment.to_le_bytes();
    let (low, high) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
    let mut hasher = crc32fast::Hasher::new_with_initial(low ^ high.rotate_left(16));
    if let (Some(length), Some(rest)) = (frame.get(..4), frame.get(8..)) {
        hasher.update(length);
        hasher.update(rest);
    }
    hasher.finalize()
}

/// Gives every frame of `out` the CRC that makes it a frame of this segment.
pub(crate) fn seal(segment: u64, out: &mut [u8]) {
    let mut rest = out;
    while let Some(header) = Header::take(rest) {
        let Some((frame, after)) = rest.split_at_mut_checked(header.frame_len()) else { return };
        let crc = crc(segment, frame);
        frame[4..8].copy_from_slice(&crc.to_le_bytes());
        rest = after;
    }
}

/// The frame at the beginning of `bytes`, if it is a whole one of this segment.
pub(crate) fn check(segment: u64, bytes: &[u8]) -> Option<Header> {
    let header = Header::take(bytes)?;
    let frame = bytes.get(..header.frame_len())?;
    (crc(segment, frame) == header.crc).then_some(header)
}

impl Frame {
    /// The frame with this header, whose bytes `whole` are.
    pub(crate) fn of(header: &Header, epoch: u32, whole: &Bytes) -> Option<Self> {
        let (kind, class) = header.known()?;
        let payload = whole.slice(HEADER.min(whole.len())..);
        let Header { seq, at, handle, .. } = *header;
        Some(Self { seq, epoch, at, handle, class, kind, payload })
    }

    pub(crate) fn raw(&self) -> Raw<'_> {
        Raw { kind: self.kind, at: self.at, handle: self.handle, payload: &self.payload }
    }

    /// Bytes that it takes in a segment.
    #[must_use]
    pub fn size(&self) -> usize {
        HEADER + self.payload.len()
    }

    /// The whole commit. `None` for what is no commit, and for a twin that is not known (purged since).
    #[must_use]
    pub fn commit(&self, state: &State) -> Option<Commit> {
        let twin = state.by_handle(self.handle);
        let known = twin.map(|t| (t.id(), &**t.description()));
        record::commit(self.raw(), self.seq, self.epoch, known)
    }

    /// Which twin a `Purged` ends, and the features that it had; none where an older version wrote it.
    #[must_use]
    pub fn purged(&self) -> Option<(TwinId, Vec<Name>)> {
        (self.kind == Kind::Purged).then(|| record::purged(&self.payload))?
    }

    /// The readings of a `Reported` or `Backfilled`, without copying any. Indexes never change their type, so the current
    /// description serves for older commits as well.
    #[must_use]
    pub fn reported<'a>(&'a self, description: &'a Description) -> Option<ReportedView<'a>> {
        matches!(self.kind, Kind::Reported | Kind::Backfilled)
            .then(|| reported::view(Take(&self.payload), self.at, description))?
    }
}
