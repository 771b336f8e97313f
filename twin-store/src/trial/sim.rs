//! A disk in memory that forgets what was not synced, in any order and in parts, and fails when told to.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::disk::{Disk, File};

/// What a power cut leaves whole: a sector is old or new, never half.
const SECTOR: usize = 512;

/// The disk. Clones are the same disk.
#[derive(Clone, Default)]
pub(super) struct Sim(Arc<Mutex<State>>);

#[derive(Clone, Default)]
struct State {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// Changes of names since the directory was synced.
    pending_names: Vec<NameOp>,
    /// Changing operations so far.
    ops: usize,
    /// Bytes written so far.
    written: usize,
    images: Option<Vec<Image>>,
    faults: Faults,
}

/// What goes wrong.
#[derive(Clone, Default)]
pub(super) struct Faults {
    /// The disk holds this many bytes.
    pub(super) capacity: Option<usize>,
    /// Every write is refused.
    pub(super) read_only: bool,
    /// Nothing is written into files whose names begin so, nor are any made.
    pub(super) refused: Option<&'static str>,
    /// No file is removed.
    pub(super) removes_refused: bool,
    /// No file is opened or made: the process has too many.
    pub(super) no_files: bool,
    /// Every read fails.
    pub(super) unreadable: bool,
    /// This many calls of sync from now, one fails; what it was to keep stays readable and is on no disk.
    pub(super) sync_fails_in: Option<usize>,
}

#[derive(Clone, Default)]
struct Inode {
    now: Arc<Vec<u8>>,
    durable: Arc<Vec<u8>>,
    pending: Arc<Vec<Op>>,
}

#[derive(Clone)]
enum Op {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

#[derive(Clone)]
enum NameOp {
    Link(String, usize),
    Unlink(String),
}

/// The disk as it was after one operation, with everything that a power cut may keep or lose.
#[derive(Clone)]
pub(super) struct Image(Box<Frozen>);

#[derive(Clone)]
struct Frozen {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    pending_names: Vec<NameOp>,
    pub(super) ops: usize,
}

/// What survives a crash of what was not synced.
#[derive(Debug, Clone, Copy)]
pub(super) enum Survival {
    Nothing,
    Everything,
    /// A random part: sectors of writes, each on its own.
    Some(u64),
}

impl Image {
    /// Operations before it was taken.
    pub(super) fn ops(&self) -> usize {
        self.0.ops
    }

    /// The disk after the power came back.
    pub(super) fn crash(&self, survival: Survival) -> Sim {
        let mut rng = fastrand::Rng::with_seed(match survival {
            Survival::Some(seed) => seed,
            _ => 0,
        });
        let keep = |rng: &mut fastrand::Rng| match survival {
            Survival::Nothing => false,
            Survival::Everything => true,
            Survival::Some(_) => rng.bool(),
        };
        let mut names = self.0.names.clone();
        // A journal keeps changes of names in order.
        for op in &self.0.pending_names {
            if !matches!(survival, Survival::Everything) && !keep(&mut rng) {
                break;
            }
            op.apply(&mut names);
        }
        let inodes: Vec<Inode> = self
            .0
            .inodes
            .iter()
            .map(|inode| {
                let mut bytes = Vec::clone(&inode.durable);
                for op in inode.pending.iter() {
                    match op {
                        Op::Write(offset, data) => {
                            for (at, sector) in sectors(*offset, data) {
                                if keep(&mut rng) {
                                    write(&mut bytes, at, sector);
                                }
                            }
                        }
                        Op::SetLen(len) if keep(&mut rng) => bytes.resize(*len, 0),
                        Op::SetLen(_) => {}
                    }
                }
                let bytes = Arc::new(bytes);
                Inode { now: bytes.clone(), durable: bytes, pending: Arc::default() }
            })
            .collect();
        let state = State { inodes, durable_names: names.clone(), names, ..State::default() };
        Sim(Arc::new(Mutex::new(state)))
    }
}

/// A write cut at the boundaries of sectors.
fn sectors(offset: usize, data: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let n = (SECTOR - (offset + at) % SECTOR).min(data.len() - at);
        let piece = (n > 0).then(|| (offset + at, &data[at..at + n]));
        at += n;
        piece
    })
}

fn write(bytes: &mut Vec<u8>, at: usize, data: &[u8]) {
    if bytes.len() < at + data.len() {
        bytes.resize(at + data.len(), 0);
    }
    bytes[at..at + data.len()].copy_from_slice(data);
}

impl NameOp {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Link(name, inode) => {
                names.retain(|_, i| i != inode);
                names.insert(name.clone(), *inode);
            }
            Self::Unlink(name) => {
                names.remove(name);
            }
        }
    }
}

impl Sim {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// From now on the disk is remembered after every operation.
    pub(super) fn record(&self) {
        self.lock().images = Some(Vec::new());
    }

    pub(super) fn images(&self) -> Vec<Image> {
        self.lock().images.take().unwrap_or_default()
    }

    pub(super) fn image(&self) -> Image {
        let s = self.lock();
        s.image()
    }

    pub(super) fn ops(&self) -> usize {
        self.lock().ops
    }

    pub(super) fn written(&self) -> usize {
        self.lock().written
    }

    pub(super) fn fail(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// Turns one bit of a file whose name begins so; says whether there was such a file.
    pub(super) fn flip(&self, prefix: &str, bit: u64) -> bool {
        let mut s = self.lock();
        let Some(inode) = s.names.iter().find(|(n, _)| n.starts_with(prefix)).map(|(_, i)| *i)
        else {
            return false;
        };
        let Inode { now, durable, .. } = &mut s.inodes[inode];
        let at = usize::try_from(bit / 8).unwrap() % now.len();
        Arc::make_mut(now)[at] ^= 1 << (bit % 8);
        let flipped = now[at];
        if let Some(byte) = Arc::make_mut(durable).get_mut(at) {
            *byte = flipped;
        }
        true
    }
}

impl State {
    fn image(&self) -> Image {
        Image(Box::new(Frozen {
            inodes: self.inodes.clone(),
            names: self.durable_names.clone(),
            pending_names: self.pending_names.clone(),
            ops: self.ops,
        }))
    }

    fn done(&mut self) {
        self.ops += 1;
        let image = self.images.is_some().then(|| self.image());
        if let Some(images) = &mut self.images {
            images.extend(image);
        }
    }

    fn writable(&self, more: usize) -> io::Result<()> {
        if self.faults.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let used = |i: &usize| self.inodes[*i].now.len();
        let used: usize = self.names.values().map(used).sum();
        match self.faults.capacity {
            Some(capacity) if more > 0 && used + more > capacity => {
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(()),
        }
    }

    fn taken(&self, name: &str) -> io::Result<()> {
        match self.faults.refused {
            Some(prefix) if name.starts_with(prefix) => Err(io::Error::other("refused")),
            _ => Ok(()),
        }
    }

    fn openable(&self) -> io::Result<()> {
        if self.faults.no_files { Err(io::Error::other("too many open files")) } else { Ok(()) }
    }

    /// Whether this call of sync is the one that fails.
    fn sync_fails(&mut self) -> bool {
        let left = self.faults.sync_fails_in;
        self.faults.sync_fails_in = left.and_then(|n| n.checked_sub(1));
        left == Some(0)
    }

    fn rename_op(&mut self, op: NameOp) {
        op.apply(&mut self.names);
        self.pending_names.push(op);
        self.done();
    }
}

impl Disk for Sim {
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut s = self.lock();
        s.writable(0)?;
        s.openable()?;
        s.taken(name)?;
        if s.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = s.inodes.len();
        s.inodes.push(Inode::default());
        s.rename_op(NameOp::Link(name.to_owned(), inode));
        Ok(Arc::new(SimFile { disk: self.clone(), inode }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let s = self.lock();
        s.openable()?;
        let inode = *s.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(SimFile { disk: self.clone(), inode }))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.lock().names.keys().cloned().collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut s = self.lock();
        s.writable(0)?;
        s.taken(to)?;
        let inode = *s.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        s.rename_op(NameOp::Link(to.to_owned(), inode));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut s = self.lock();
        s.writable(0)?;
        if !s.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if s.faults.removes_refused {
            return Err(io::Error::other("it is busy"));
        }
        s.rename_op(NameOp::Unlink(name.to_owned()));
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut s = self.lock();
        s.writable(0)?;
        if s.sync_fails() {
            return Err(io::Error::other("the directory could not be synced"));
        }
        s.durable_names = s.names.clone();
        s.pending_names.clear();
        s.done();
        Ok(())
    }
}

struct SimFile {
    disk: Sim,
    inode: usize,
}

impl File for SimFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let s = self.disk.lock();
        if s.faults.unreadable {
            return Err(io::Error::other("input/output error"));
        }
        let bytes = &s.inodes[self.inode].now;
        let from = usize::try_from(offset).unwrap().min(bytes.len());
        let n = buffer.len().min(bytes.len() - from);
        buffer[..n].copy_from_slice(&bytes[from..from + n]);
        Ok(n)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut s = self.disk.lock();
        let offset = usize::try_from(offset).unwrap();
        let name = s.names.iter().find(|(_, inode)| **inode == self.inode);
        name.map_or(Ok(()), |(name, _)| s.taken(name))?;
        s.writable((offset + bytes.len()).saturating_sub(s.inodes[self.inode].now.len()))?;
        s.written += bytes.len();
        let inode = &mut s.inodes[self.inode];
        write(Arc::make_mut(&mut inode.now), offset, bytes);
        Arc::make_mut(&mut inode.pending).push(Op::Write(offset, bytes.to_vec()));
        s.done();
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.lock().inodes[self.inode].now.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut s = self.disk.lock();
        s.writable(0)?;
        let len = usize::try_from(len).unwrap();
        let inode = &mut s.inodes[self.inode];
        Arc::make_mut(&mut inode.now).resize(len, 0);
        Arc::make_mut(&mut inode.pending).push(Op::SetLen(len));
        s.done();
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut s = self.disk.lock();
        s.writable(0)?;
        let fails = s.sync_fails();
        let inode = &mut s.inodes[self.inode];
        let pending = std::mem::take(&mut inode.pending);
        if fails {
            // As Linux has it: the pages stay readable, count as clean, and no later sync writes them.
            return Err(io::Error::other("the file could not be synced"));
        }
        let durable = Arc::make_mut(&mut inode.durable);
        for op in pending.iter() {
            match op {
                Op::Write(offset, data) => write(durable, *offset, data),
                Op::SetLen(len) => durable.resize(*len, 0),
            }
        }
        s.done();
        Ok(())
    }
}
