//! What can go wrong, said so that somebody can act on it.

use std::io;

use thiserror::Error;

/// Why the store cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The directory cannot be listed.
    #[error("cannot list the files of the store")]
    List(#[source] io::Error),
    /// A file cannot be read.
    #[error("cannot read {0} of the store")]
    Read(String, #[source] io::Error),
    /// A later version wrote it.
    #[error(
        "the store was written by a later version of this program ({name} is of format {found}, this version knows \
         {known}) and is left as it is: install that version again, or move the store away to begin with an empty one"
    )]
    Later {
        /// The file that shows it.
        name: String,
        /// Its format.
        found: u16,
        /// The latest format that this version knows.
        known: u16,
    },
    /// A segment cannot be completed.
    #[error("cannot complete {0} of the store; is the disk full or read-only?")]
    Seal(String, #[source] io::Error),
    /// The new epoch cannot be recorded.
    #[error("cannot begin a new epoch in the store; is the disk full or read-only? {0}")]
    Begin(String),
}

impl OpenError {
    pub(crate) fn read(name: &str, error: io::Error) -> Self {
        Self::Read(name.to_owned(), error)
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
