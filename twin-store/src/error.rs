//! What can go wrong, said so that somebody can act on it.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why the store cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The directory cannot be made.
    #[error("cannot make the directory {0} for the store; {advice}", advice = advice(.1))]
    Make(PathBuf, #[source] io::Error),
    /// The directory cannot be written into.
    #[error("cannot write into the store in {0}; {advice}", advice = advice(.1))]
    Lock(PathBuf, #[source] io::Error),
    /// Somebody else has it.
    #[error(
        "another process holds the store in {0}: only one gatewayd can; \
         see `systemctl status gatewayd` and `fuser -v {0}/lock`"
    )]
    Held(PathBuf),
    /// It is of a later version. Nothing was touched.
    #[error(
        "{0} of the store was written by a newer gatewayd: its format is {1}, this one knows {2}; \
         nothing was touched: install the newer version again, or give this one a store.dir of its own"
    )]
    Newer(String, u16, u16),
    /// The directory cannot be listed.
    #[error("cannot list the files of the store; {advice}", advice = advice(.0))]
    List(#[source] io::Error),
    /// A file cannot be read.
    #[error("cannot read {0} of the store, nothing was touched; {advice}", advice = advice(.1))]
    Read(String, #[source] io::Error),
    /// A segment cannot be completed.
    #[error("cannot complete {0} of the store; {advice}", advice = advice(.1))]
    Seal(String, #[source] io::Error),
    /// The new epoch cannot be recorded.
    #[error("cannot begin a new epoch in the store; is the disk full or read-only? {0}")]
    Begin(String),
}

impl OpenError {
    pub(crate) fn read(name: &str, error: io::Error) -> Self {
        Self::Read(name.to_owned(), error)
    }

    /// Whether another attempt can never help.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::Newer(..))
    }
}

/// Why stored commits cannot be read.
#[derive(Debug, Error)]
#[error("cannot read stored commits from {name}")]
pub struct ReadError {
    pub(crate) name: String,
    #[source]
    pub(crate) source: io::Error,
}

/// What an operator can do where the disk says this.
pub(crate) fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk is full: free some room on it (df -h)"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "its file system is read-only: see why (dmesg), then mount it writable again"
        }
        io::ErrorKind::PermissionDenied => {
            "let it belong to the user of gatewayd (chown -R gatewayd: on the directory)"
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists => {
            "see that the path of store.dir is right"
        }
        _ => {
            "see what the kernel says of the disk (dmesg), and how many files may be open (ulimit -n)"
        }
    }
}
