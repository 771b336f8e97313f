//! A store that a later version has written is left as it is.
//!
//! Without this, files of a format that is not known would look like damage and be set aside: going back to an older
//! version would cost the whole store. A later format keeps what is looked at here: the magic, the version behind it,
//! and where the checksum lies (a segment's in its first 64 bytes, a snapshot's at its end).

use crate::disk::{Disk, File};
use crate::error::OpenError;
use crate::segment::{self, HEADER};
use crate::snapshot;

/// The format in which this version writes.
pub const FORMAT: u16 = segment::VERSION;

/// Refuses a store with a file of a later format. A file that is damaged says nothing about formats.
pub(crate) fn refuse_later(disk: &dyn Disk) -> Result<(), OpenError> {
    for name in disk.list().map_err(OpenError::List)? {
        let (magic, known) = match name.rsplit_once('.') {
            Some((_, "seg")) => (segment::MAGIC, segment::VERSION),
            Some((_, "snap")) => (snapshot::MAGIC, snapshot::VERSION),
            _ => continue,
        };
        let file = disk.open(&name).map_err(|e| OpenError::read(&name, e))?;
        let found = version(&*file, magic, known).map_err(|e| OpenError::read(&name, e))?;
        if let Some(found) = found {
            return Err(OpenError::Later { name, found, known });
        }
    }
    Ok(())
}

/// The version of a sound file that is later than `known`.
fn version(file: &dyn File, magic: &[u8; 8], known: u16) -> std::io::Result<Option<u16>> {
    let mut head = [0; 10];
    if file.read_at(0, &mut head)? < head.len() || !head.starts_with(magic) {
        return Ok(None);
    }
    let [.., low, high] = head;
    let found = u16::from_le_bytes([low, high]);
    if found <= known {
        return Ok(None);
    }
    let end = if magic == segment::MAGIC { HEADER } else { file.len()? };
    let mut bytes = vec![0; usize::try_from(end).unwrap_or(0)];
    let read = file.read_at(0, &mut bytes)?;
    let sound = bytes
        .get(..read)
        .and_then(|bytes| bytes.split_last_chunk::<4>())
        .is_some_and(|(body, crc)| crc32fast::hash(body) == u32::from_le_bytes(*crc));
    Ok(sound.then_some(found))
}
