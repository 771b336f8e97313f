//! What has to happen on the disk, away from the data path: sync, seal, snapshot, remove, prepare.

use std::io;
use std::sync::Arc;

use twin::Seq;

use crate::disk::{Disk, File, zero_fill};
use crate::footer::Footer;
use crate::log::spare_name;
use crate::segment::{Family, HEADER, Segment, trailer};

/// One round of disk work. It blocks: it runs on a thread of its own while the writer goes on.
pub(crate) struct Job {
    disk: Arc<dyn Disk>,
    /// Everything up to here is durable when it is done.
    pub(crate) upto: Seq,
    pub(crate) files: Vec<SyncFile>,
    pub(crate) dir: bool,
    /// A snapshot to be kept, once everything that it stands on is durable.
    pub(crate) snapshot: Option<SnapshotFile>,
    /// Files that nobody needs any more, once that and what says so is durable.
    pub(crate) remove: Vec<String>,
    pub(crate) spares: Vec<(Family, u64)>,
}

/// A segment's file that has to be synced.
pub(crate) struct SyncFile {
    pub(crate) segment: Arc<Segment>,
    pub(crate) file: Arc<dyn File>,
    /// The end of its frames.
    pub(crate) end: u64,
    /// Before this offset everything was durable already.
    pub(crate) synced: u64,
    /// No more frames will come.
    pub(crate) close: bool,
    pub(crate) footer: Option<Footer>,
}

/// A snapshot as it is to lie on disk.
pub(crate) struct SnapshotFile {
    pub(crate) name: String,
    pub(crate) seq: Seq,
    pub(crate) bytes: Vec<u8>,
}

/// What came of a job.
pub(crate) struct Done {
    pub(crate) upto: Seq,
    /// Segments whose frames are durable up to an offset; sealed where a footer comes along.
    pub(crate) synced: Vec<(Arc<Segment>, u64)>,
    pub(crate) failed: Vec<(SyncFile, io::Error)>,
    pub(crate) dir: Option<io::Error>,
    pub(crate) snapshot: Option<Result<Seq, io::Error>>,
    /// How many files were to be removed.
    pub(crate) asked_to_remove: usize,
    /// Files that are there no more.
    pub(crate) removed: Vec<String>,
    pub(crate) spares: Vec<(Family, io::Result<()>)>,
    /// Calls of fsync and fdatasync.
    pub(crate) syncs: u64,
}

impl Done {
    /// Whether everything up to `upto` is durable.
    pub(crate) fn durable(&self) -> bool {
        self.failed.is_empty() && self.dir.is_none()
    }
}

impl Job {
    pub(crate) fn new(disk: Arc<dyn Disk>, upto: Seq, files: Vec<SyncFile>) -> Self {
        let (remove, spares) = (Vec::new(), Vec::new());
        Self { disk, upto, files, dir: false, snapshot: None, remove, spares }
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.files.is_empty()
            && !self.dir
            && self.snapshot.is_none()
            && self.remove.is_empty()
            && self.spares.is_empty()
    }

    /// Does it. What comes later stands on what came before, so the first failure ends what depends on it.
    pub(crate) fn run(self) -> Done {
        let mut done = Done {
            upto: self.upto,
            synced: Vec::new(),
            failed: Vec::new(),
            dir: None,
            snapshot: None,
            asked_to_remove: self.remove.len(),
            removed: Vec::new(),
            spares: Vec::new(),
            syncs: 0,
        };
        for file in self.files {
            done.syncs += 1;
            match file.sync() {
                Ok(()) => done.synced.push((file.segment, file.end)),
                Err(error) => done.failed.push((file, error)),
            }
        }
        if self.dir {
            done.syncs += 1;
            done.dir = self.disk.sync_dir().err();
        }
        if done.durable() {
            if let Some(snapshot) = self.snapshot {
                done.syncs += 2;
                let kept = keep(&*self.disk, &snapshot);
                done.snapshot = Some(kept.map(|()| snapshot.seq));
            }
            for name in self.remove {
                match self.disk.remove(&name) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        tracing::warn!("cannot remove {name} from the store yet: {error}");
                    }
                    _ => done.removed.push(name),
                }
            }
        } else if self.snapshot.is_some() {
            done.snapshot = Some(Err(io::Error::other("the log below it is not durable")));
        }
        for (family, capacity) in self.spares {
            done.spares.push((family, prepare(&*self.disk, family, capacity)));
        }
        done
    }
}

impl SyncFile {
    fn sync(&self) -> io::Result<()> {
        if let Some(footer) = self.footer.as_ref().filter(|_| self.close) {
            match self.seal(footer) {
                Ok(size) => {
                    self.file.sync()?;
                    self.segment.sealed(footer.clone(), size);
                    return Ok(());
                }
                // Without a footer it is read in full at the next start; no commit is lost by that.
                Err(error) => {
                    tracing::warn!("cannot seal {}: {error}", self.segment.name);
                    self.file.sync()?;
                    self.segment.sealed(footer.clone(), self.segment.size());
                    return Ok(());
                }
            }
        }
        self.file.sync()
    }

    fn seal(&self, footer: &Footer) -> io::Result<u64> {
        let id = self.segment.header.id;
        let mut bytes = footer.encode(id);
        bytes.extend(trailer(id, self.end));
        self.file.write_at(self.end, &bytes)?;
        let size = self.end + bytes.len() as u64;
        self.file.set_len(size)?;
        Ok(size)
    }
}

/// Seals a segment that was found unsealed: what it holds is written once more, since a failed sync of an earlier life
/// may have left it in memory only.
pub(crate) fn seal_found(
    segment: &Arc<Segment>,
    file: &Arc<dyn File>,
    footer: Footer,
) -> io::Result<()> {
    let end = segment.end();
    let mut at = 0;
    let mut chunk = vec![0; 256 << 10];
    while at < end {
        let n = usize::try_from(end - at).unwrap_or(chunk.len()).min(chunk.len());
        let buffer = chunk.get_mut(..n).unwrap_or_default();
        let read = file.read_at(at, buffer)?;
        if read == 0 {
            break;
        }
        file.write_at(at, buffer.get(..read).unwrap_or_default())?;
        at += read as u64;
    }
    let found = SyncFile {
        segment: segment.clone(),
        file: file.clone(),
        end,
        synced: HEADER,
        close: true,
        footer: Some(footer),
    };
    found.sync()
}

fn keep(disk: &dyn Disk, snapshot: &SnapshotFile) -> io::Result<()> {
    let draft = format!("{}.tmp", snapshot.name);
    // A draft of an earlier attempt may lie there.
    disk.remove(&draft).ok();
    let file = disk.create(&draft)?;
    file.write_at(0, &snapshot.bytes)?;
    file.sync()?;
    disk.rename(&draft, &snapshot.name)?;
    disk.sync_dir()
}

/// Room for a segment. It gets its name when it is whole: the next life takes over what has it.
fn prepare(disk: &dyn Disk, family: Family, capacity: u64) -> io::Result<()> {
    let name = spare_name(family);
    let draft = format!("{name}.tmp");
    disk.remove(&draft).ok();
    let file = disk.create(&draft)?;
    let made = zero_fill(&*file, 0, capacity).and_then(|()| file.sync());
    let made = made.and_then(|()| disk.rename(&draft, &name));
    if made.is_err() {
        disk.remove(&draft).ok();
    }
    made
}
