//! The writing end of the segments: where the next frames go, and what has to be made durable.

use std::io;
use std::sync::Arc;

use twin::{Seq, State};

use crate::catalog::Catalog;
use crate::disk::{Disk, File, full, zero_fill};
use crate::footer::{Footer, Summary};
use crate::frame::{self, Header, Kind};
use crate::job::{Job, SyncFile};
use crate::segment::{Family, HEADER, Segment, SegmentHeader};

/// Room that a segment keeps for its footer, and for each twin in it; a full disk gives no more.
const FOOTER_ROOM: u64 = 256;
const FOOTER_ENTRY: u64 = 20;

/// Room of a segment of records that only gaps may use: a full disk gives none for the record which says what goes.
const GAP_ROOM: u64 = 512;

/// The segments that are being written.
pub(crate) struct Log {
    disk: Arc<dyn Disk>,
    epoch: u32,
    /// Bytes of a segment, per family.
    capacity: [u64; 3],
    active: [Option<Active>; 3],
    /// Segments that get no more frames; the next job seals them.
    closing: Vec<Active>,
    /// A name was made or changed that the directory may still forget.
    dir_dirty: bool,
    /// Files that failed and of which nothing is needed once what they held lies elsewhere.
    failed: Vec<String>,
    spare: [Spare; 3],
}

/// A zero-filled file that waits to become the next segment: room that a full disk cannot take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spare {
    Missing,
    Asked,
    /// There is no room for it.
    Refused,
    /// It could not be made, for another reason.
    Failed,
    Ready,
}

pub(crate) struct Active {
    pub(crate) segment: Arc<Segment>,
    pub(crate) file: Arc<dyn File>,
    pub(crate) end: u64,
    capacity: u64,
    /// Bytes before this are durable.
    pub(crate) synced: u64,
    pub(crate) summary: Summary,
}

pub(crate) fn spare_name(family: Family) -> String {
    format!("spare-{}", family.word())
}

impl Log {
    pub(crate) fn new(disk: Arc<dyn Disk>, epoch: u32, capacity: [u64; 3]) -> Self {
        Self {
            disk,
            epoch,
            capacity,
            active: [const { None }; 3],
            closing: Vec::new(),
            dir_dirty: false,
            failed: Vec::new(),
            spare: [Spare::Missing; 3],
        }
    }

    /// Takes over the reserve that an earlier life made; what is not as it should be goes.
    pub(crate) fn adopt_spares(&mut self) {
        for family in Family::ALL {
            let name = spare_name(family);
            let capacity = self.capacity[family.at()];
            match self.disk.open(&name).and_then(|file| is_spare(&*file, capacity)) {
                Ok(true) => self.spare[family.at()] = Spare::Ready,
                Ok(false) => drop(self.disk.remove(&name)),
                // There is none, or it cannot be told: it is made anew.
                Err(_) => {}
            }
        }
    }

    /// Writes whole frames, with one write, and makes them readable. Says how many bytes went to the disk.
    ///
    /// Where the segment's file fails, another one is tried: the frames are the same, so that finding both is harmless.
    pub(crate) fn append(
        &mut self,
        catalog: &mut Catalog,
        family: Family,
        first: Seq,
        bytes: &mut [u8],
    ) -> io::Result<()> {
        match self.try_append(catalog, family, first, bytes) {
            // No room for another segment: the current one still takes what is small, gaps above all.
            Err(error) if full(&error) => Err(error),
            Err(_) => {
                self.close(family);
                self.try_append(catalog, family, first, bytes).inspect_err(|_| self.close(family))
            }
            Ok(()) => Ok(()),
        }
    }

    /// Makes sure that there is a segment to write into.
    pub(crate) fn ensure(
        &mut self,
        catalog: &mut Catalog,
        family: Family,
        next: Seq,
    ) -> io::Result<()> {
        if self.active[family.at()].is_none() {
            self.begin(catalog, family, next, 0)?;
        }
        Ok(())
    }

    fn try_append(
        &mut self,
        catalog: &mut Catalog,
        family: Family,
        first: Seq,
        bytes: &mut [u8],
    ) -> io::Result<()> {
        let length = bytes.len() as u64;
        let gap = Header::take(bytes).is_some_and(|header| header.kind == Kind::Gap as u8);
        let kept = if family == Family::Records && !gap { GAP_ROOM } else { 0 };
        let fits = |active: &&mut Active| active.room() >= length + kept;
        match self.active[family.at()].as_mut().filter(fits) {
            Some(active) => active.write(bytes),
            None => self.begin(catalog, family, first, length)?.write(bytes),
        }
    }

    fn begin(
        &mut self,
        catalog: &mut Catalog,
        family: Family,
        base: Seq,
        length: u64,
    ) -> io::Result<&mut Active> {
        let active = self.create(family, base, length)?;
        self.close(family);
        catalog.insert(active.segment.clone());
        Ok(self.active[family.at()].insert(active))
    }

    /// A new segment with room for at least `length` bytes of frames.
    fn create(&mut self, family: Family, base: Seq, length: u64) -> io::Result<Active> {
        let header = SegmentHeader { family, epoch: self.epoch, id: fastrand::u64(1..), base };
        let name = header.file_name();
        let usual = self.capacity[family.at()];
        let capacity = usual.max(HEADER + length + FOOTER_ROOM + GAP_ROOM);
        let spare = self.spare[family.at()] == Spare::Ready;
        let file = if spare {
            self.spare[family.at()] = Spare::Missing;
            self.disk.rename(&spare_name(family), &name)?;
            self.disk.open(&name)?
        } else {
            self.disk.create(&name)?
        };
        self.dir_dirty = true;
        let from = if spare { usual } else { 0 };
        let filled =
            zero_fill(&*file, from, capacity).and_then(|()| file.write_at(0, &header.encode()));
        if let Err(error) = filled {
            // Half a segment helps nobody and takes room; recovery removes it where this does not.
            self.disk.remove(&name).ok();
            return Err(error);
        }
        let segment = Arc::new(Segment::new(header, capacity));
        let summary = Summary::default();
        Ok(Active { segment, file, end: HEADER, capacity, synced: HEADER, summary })
    }

    /// No more frames go into the family's current segment.
    pub(crate) fn close(&mut self, family: Family) {
        self.closing.extend(self.active[family.at()].take());
    }

    /// No more frames go into the family's current segment if its first one is older than this boottime.
    pub(crate) fn close_older(&mut self, family: Family, before: i64) {
        let old = |a: &Active| !a.summary.is_empty() && a.summary.first_at().0 < before;
        if self.active[family.at()].as_ref().is_some_and(old) {
            self.close(family);
        }
    }

    pub(crate) fn close_all(&mut self) {
        Family::ALL.into_iter().for_each(|family| self.close(family));
    }

    /// Bytes that a power cut could take.
    pub(crate) fn unsynced(&self) -> u64 {
        self.active.iter().flatten().chain(&self.closing).map(|a| a.end - a.synced).sum()
    }

    pub(crate) fn spare_missing(&self) -> bool {
        let [samples, records, _] = self.spare;
        samples == Spare::Missing || records == Spare::Missing
    }

    /// What has to happen on the disk so that everything up to `upto` is durable: samples first.
    pub(crate) fn job(&mut self, upto: Seq, state: &State) -> Job {
        let mut files = Vec::new();
        for family in Family::ALL {
            let (closing, kept) = std::mem::take(&mut self.closing)
                .into_iter()
                .partition(|a| a.segment.header.family == family);
            self.closing = kept;
            for active in closing {
                let footer = (!active.summary.is_empty()).then(|| active.summary.footer(state));
                files.push(SyncFile::of(active, true, footer));
            }
            if let Some(active) = self.active[family.at()].as_ref().filter(|a| a.end > a.synced) {
                files.push(SyncFile::of(active.share(), false, None));
            }
        }
        let mut job = Job::new(self.disk.clone(), upto, files);
        job.dir = std::mem::take(&mut self.dir_dirty);
        // Applications come later; until then their reserve would be wasted.
        for family in [Family::Records, Family::Samples] {
            if self.spare[family.at()] == Spare::Missing {
                self.spare[family.at()] = Spare::Asked;
                job.spares.push((family, self.capacity[family.at()]));
            }
        }
        job
    }

    pub(crate) fn spared(&mut self, family: Family, prepared: &io::Result<()>) {
        self.spare[family.at()] = match prepared {
            Ok(()) => Spare::Ready,
            Err(error) if full(error) => Spare::Refused,
            Err(_) => Spare::Failed,
        };
    }

    /// The disk had no room for a reserve.
    pub(crate) fn reserve_refused(&self) -> bool {
        self.spare.contains(&Spare::Refused)
    }

    /// What could not be made may be made now.
    pub(crate) fn ask_again(&mut self) {
        for spare in &mut self.spare {
            if let Spare::Refused | Spare::Failed = spare {
                *spare = Spare::Missing;
            }
        }
    }

    /// A file's frames are durable up to this offset.
    pub(crate) fn synced(&mut self, segment: &Arc<Segment>, end: u64) {
        let active = self.active[segment.header.family.at()].as_mut();
        if let Some(active) = active.filter(|a| Arc::ptr_eq(&a.segment, segment)) {
            active.synced = active.synced.max(end);
        }
    }

    /// Files that go with the round of disk work that makes what they held durable elsewhere.
    pub(crate) fn failed(&mut self) -> Vec<String> {
        std::mem::take(&mut self.failed)
    }

    /// A directory that could not be synced is tried again.
    pub(crate) fn dir_failed(&mut self) {
        self.dir_dirty = true;
    }

    /// A file could not be synced, which is fatal for it: what it may have lost is written into a new segment.
    pub(crate) fn rescue(
        &mut self,
        catalog: &mut Catalog,
        state: &State,
        failed: &mut SyncFile,
    ) -> io::Result<()> {
        let family = failed.segment.header.family;
        let same = |a: &Active| Arc::ptr_eq(&a.segment, &failed.segment);
        // What was written into it since goes along, also where it became full meanwhile and waits for its seal.
        let full = self.closing.iter().position(same).map(|at| self.closing.remove(at));
        if let Some(current) = self.active[family.at()].take_if(|a| same(a)).or(full) {
            failed.end = current.end;
            failed.footer = Some(current.summary.footer(state));
        }
        let n = usize::try_from(failed.end - failed.synced).unwrap_or(0);
        let mut bytes = vec![0; n];
        let read = failed.file.read_at(failed.synced, &mut bytes)?;
        bytes.truncate(read);
        let (first, whole) = whole_frames(failed.segment.header.id, &bytes);
        let damage =
            || io::Error::new(io::ErrorKind::InvalidData, "unsynced frames read back wrong");
        let first = first.filter(|_| whole == n).ok_or_else(damage)?;
        let mut rescued = self.create(family, first, bytes.len() as u64)?;
        rescued.write(&mut bytes)?;
        // The failed file keeps what it had on disk; nobody reads the rest of it any more.
        failed.segment.grow(failed.synced, Seq(first.0 - 1));
        if failed.synced == HEADER {
            catalog.remove(&failed.segment);
            self.failed.push(failed.segment.name.clone());
        } else if let Some(footer) = failed.footer.take() {
            // Not on disk, but retention has to know what it holds.
            let footer = Footer { last: Seq(first.0 - 1), ..footer };
            failed.segment.sealed(footer, failed.segment.size());
        }
        catalog.insert(rescued.segment.clone());
        self.closing.push(rescued);
        Ok(())
    }
}

/// Whether a file is nothing but this many zeros: a power cut may leave frames under the name of a spare.
fn is_spare(file: &dyn File, capacity: u64) -> io::Result<bool> {
    if file.len()? != capacity {
        return Ok(false);
    }
    let mut chunk = vec![0; 64 << 10];
    let mut at = 0;
    while at < capacity {
        let read = file.read_at(at, &mut chunk)?;
        if read == 0 || chunk.iter().take(read).any(|byte| *byte != 0) {
            return Ok(false);
        }
        at += read as u64;
    }
    Ok(true)
}

/// The first sequence number of the whole frames at the beginning of `bytes`, and how many bytes they take.
fn whole_frames(segment: u64, bytes: &[u8]) -> (Option<Seq>, usize) {
    let (mut first, mut whole) = (None, 0);
    while let Some(header) = bytes.get(whole..).and_then(|rest| frame::check(segment, rest)) {
        first = first.or(Some(header.seq));
        whole += header.frame_len();
    }
    (first, whole)
}

impl Active {
    /// Writes whole frames and makes them readable.
    fn write(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        frame::seal(self.segment.header.id, bytes);
        self.file.write_at(self.end, bytes)?;
        self.end += bytes.len() as u64;
        let mut rest = &*bytes;
        while let Some(header) = Header::take(rest) {
            self.summary.add(&header);
            rest = rest.get(header.frame_len()..).unwrap_or_default();
        }
        self.segment.grow(self.end, self.summary.last());
        Ok(())
    }

    fn room(&self) -> u64 {
        let twins = self.summary.twins() as u64 * FOOTER_ENTRY;
        self.capacity.saturating_sub(self.end + FOOTER_ROOM + twins)
    }

    fn share(&self) -> Self {
        Self {
            segment: self.segment.clone(),
            file: self.file.clone(),
            end: self.end,
            capacity: self.capacity,
            synced: self.synced,
            summary: Summary::default(),
        }
    }
}

impl SyncFile {
    fn of(active: Active, close: bool, footer: Option<Footer>) -> Self {
        let Active { segment, file, end, synced, .. } = active;
        Self { segment, file, end, synced, close, footer }
    }
}
