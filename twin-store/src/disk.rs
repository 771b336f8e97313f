//! The seam below the store: one directory of files. A test can be the disk that fails.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::OpenError;

/// A directory of files with plain names.
///
/// What [`File::sync`] and [`Disk::sync_dir`] have not confirmed may be lost or torn by a power cut, in any order.
pub trait Disk: Send + Sync {
    /// Creates an empty file; fails where the name is taken.
    ///
    /// # Errors
    /// What the disk says.
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// What the disk says.
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// The names of all files.
    ///
    /// # Errors
    /// What the disk says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Gives a file another name, in place of whatever had it.
    ///
    /// # Errors
    /// What the disk says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the disk says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes creations, renames and removals last.
    ///
    /// # Errors
    /// What the disk says.
    fn sync_dir(&self) -> io::Result<()>;
}

/// A file of a [`Disk`].
pub trait File: Send + Sync {
    /// Reads at this offset until the buffer is full or the file ends; says how much it was.
    ///
    /// # Errors
    /// What the disk says.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes all bytes at this offset.
    ///
    /// # Errors
    /// What the disk says.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// The length in bytes.
    ///
    /// # Errors
    /// What the disk says.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file is empty.
    ///
    /// # Errors
    /// What the disk says.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|n| n == 0)
    }

    /// Cuts or extends the file with zeros.
    ///
    /// # Errors
    /// What the disk says.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes everything written last. A failure is fatal for the file: what it meant to keep may be gone, and a second
    /// call that succeeds proves nothing.
    ///
    /// # Errors
    /// What the disk says.
    fn sync(&self) -> io::Result<()>;
}

/// A real directory, held by one store at a time.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// Holds the lock for as long as it is open.
    _lock: fs::File,
}

impl Directory {
    /// Takes the directory for one store, and makes it where it is missing.
    ///
    /// # Errors
    /// It cannot be made or written into, or another process holds it.
    pub fn take(path: &Path) -> Result<Self, OpenError> {
        fs::create_dir_all(path).map_err(|e| OpenError::Make(path.to_owned(), e))?;
        let failed = |error| OpenError::Lock(path.to_owned(), error);
        let lock = path.join("lock");
        let lock = fs::File::options().create(true).truncate(false).write(true).open(lock);
        let lock = lock.map_err(failed)?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(
            |error| match error {
                rustix::io::Errno::WOULDBLOCK => OpenError::Held(path.to_owned()),
                other => failed(other.into()),
            },
        )?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }
}

impl Disk for Directory {
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let file = fs::File::options()
            .create_new(true)
            .read(true)
            .write(true)
            .open(self.path.join(name))?;
        Ok(Arc::new(RealFile(file)))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let file = fs::File::options().read(true).write(true).open(self.path.join(name))?;
        Ok(Arc::new(RealFile(file)))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        fs::File::open(&self.path)?.sync_all()
    }
}

#[derive(Debug)]
struct RealFile(fs::File);

impl File for RealFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut read = 0;
        while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, offset + read as u64) {
                Ok(0) => break,
                Ok(n) => read += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn len(&self) -> io::Result<u64> {
        self.0.metadata().map(|m| m.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// Whether an operation failed for want of room: only then does dropping something help.
pub(crate) fn full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Writes zeros up to this length, so that later writes need no room.
pub(crate) fn zero_fill(file: &dyn File, from: u64, to: u64) -> io::Result<()> {
    // Page by page: what is written at once becomes one large folio of the page cache, and a small record written into
    // it later counts as a write of all of it (ext4, Linux 6.18: 41 bytes per byte of log after 1 MiB, 1.1 after 4 KiB).
    let zeros = [0; 4 << 10];
    let mut at = from;
    while at < to {
        let n = usize::try_from(to - at).unwrap_or(zeros.len()).min(zeros.len());
        file.write_at(at, zeros.get(..n).unwrap_or_default())?;
        at += n as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_stores_do_not_share_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let first = Directory::take(dir.path()).unwrap();
        let second = Directory::take(dir.path()).unwrap_err();
        assert!(second.to_string().contains("another process holds"), "{second}");
        drop(first);
        Directory::take(dir.path()).unwrap();
    }

    #[test]
    fn a_directory_that_cannot_be_taken_says_why_and_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let error = Directory::take(&file.join("store")).unwrap_err().to_string();
        assert!(error.contains("file/store") && error.contains("store.dir"), "{error}");
        fs::create_dir(dir.path().join("lock")).unwrap();
        let error = Directory::take(dir.path()).unwrap_err().to_string();
        assert!(error.contains("cannot write into the store"), "{error}");
    }

    #[test]
    fn files_are_read_as_written() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Directory::take(dir.path()).unwrap();
        let file = disk.create("a").unwrap();
        zero_fill(&*file, 0, 100).unwrap();
        file.write_at(10, b"abc").unwrap();
        let mut buffer = [0; 8];
        assert_eq!(disk.open("a").unwrap().read_at(9, &mut buffer).unwrap(), 8);
        assert_eq!(&buffer, b"\0abc\0\0\0\0");
        assert_eq!(file.read_at(98, &mut buffer).unwrap(), 2);
        assert!(disk.create("a").is_err());
    }
}
