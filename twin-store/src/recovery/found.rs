//! The files of the store as they lie there: segments with their footers, and what is no segment.

use std::io;
use std::sync::Arc;

use twin::Seq;

use crate::disk::{Disk, File};
use crate::error::OpenError;
use crate::footer::Footer;
use crate::segment::{FORMAT, Family, HEADER, Segment, SegmentHeader, TRAILER, footer_offset};

/// A segment that was found.
pub(super) struct Found {
    pub(super) segment: Arc<Segment>,
    pub(super) file: Arc<dyn File>,
    /// Its header was destroyed and is known from its name.
    pub(super) repaired: bool,
}

/// The segment in this file, with its footer where it is sealed; `None` where the file is none.
pub(super) fn find(disk: &dyn Disk, name: &str) -> Result<Option<Found>, OpenError> {
    let failed = |error| OpenError::read(name, error);
    let file = disk.open(name).map_err(failed)?;
    let mut head = [0; HEADER as usize];
    let read = file.read_at(0, &mut head).map_err(failed)?;
    let head = head.get(..read).unwrap_or_default();
    if let Some(version) = SegmentHeader::newer(head) {
        return Err(OpenError::Newer(name.to_owned(), version, FORMAT));
    }
    let good = SegmentHeader::decode(head);
    let Some(header) = good.or_else(|| by_name(name, head)) else { return Ok(None) };
    found(header, file, good.is_none()).map(Some).map_err(failed)
}

/// The header of a segment by its name, where what is left of it proves the epoch.
fn by_name(name: &str, head: &[u8]) -> Option<SegmentHeader> {
    let mut parts = name.strip_suffix(".seg")?.split('-');
    let word = parts.next()?;
    let family = Family::ALL.into_iter().find(|family| family.word() == word)?;
    let base = Seq(u64::from_str_radix(parts.next()?, 16).ok()?);
    let id = u64::from_str_radix(parts.next()?, 16).ok()?;
    let read = SegmentHeader::epoch_in(head)?;
    let checks = |epoch: u32| {
        let header = SegmentHeader { family, epoch, id, base };
        let whole = header.encode();
        // Either the checksum vouches for the epoch, or everything but the checksum is as it should be.
        let (rest, sum) = whole.split_last_chunk::<4>()?;
        let good = head.get(rest.len()..whole.len())? == sum
            || (epoch == read && head.get(..rest.len())? == rest);
        good.then_some(header)
    };
    // One bit of the epoch itself may be the one that flipped.
    checks(read).or_else(|| (0..u32::BITS).find_map(|bit| checks(read ^ 1 << bit)))
}

fn found(header: SegmentHeader, file: Arc<dyn File>, repaired: bool) -> io::Result<Found> {
    let len = file.len()?;
    let segment = Arc::new(Segment::new(header, len));
    let sealed = match footer_place(&*file, header.id, len)? {
        Some(at) => footer_at(&*file, header.id, at, len)?.map(|footer| (footer, at)),
        None => None,
    };
    if let Some((footer, at)) = sealed {
        segment.grow(at, footer.last);
        segment.sealed(footer, len);
    } else {
        segment.grow(len, Seq(u64::MAX));
    }
    Ok(Found { segment, file, repaired })
}

/// Where the trailer says that the footer is.
fn footer_place(file: &dyn File, id: u64, len: u64) -> io::Result<Option<u64>> {
    let mut end = [0; TRAILER];
    let Some(at) = len.checked_sub(TRAILER as u64) else { return Ok(None) };
    if file.read_at(at, &mut end)? < TRAILER {
        return Ok(None);
    }
    Ok(footer_offset(id, &end).filter(|o| HEADER <= *o && *o < at))
}

fn footer_at(file: &dyn File, id: u64, at: u64, len: u64) -> io::Result<Option<Footer>> {
    let mut bytes = vec![0; usize::try_from(len.saturating_sub(at)).unwrap_or(0)];
    file.read_at(at, &mut bytes)?;
    Ok(Footer::decode(id, &bytes))
}

/// Whether a segment without a footer that reads well was sealed where its last good frame ends: then either the footer
/// or the trailer is destroyed, and no frame is.
pub(super) fn was_sealed(one: &Found, end: u64, len: u64) -> io::Result<bool> {
    let id = one.segment.header.id;
    Ok(footer_place(&*one.file, id, len)? == Some(end)
        || footer_at(&*one.file, id, end, len)?.is_some())
}

/// The stretches whose segments have no readable header, by their names; open where nothing follows.
pub(super) fn lost_files(names: &[String], found: &[Found]) -> Vec<(Seq, Option<Seq>)> {
    let mut lost = Vec::new();
    for name in names.iter().filter(|n| n.ends_with(".seg")) {
        let Some((family, base)) = place(name) else { continue };
        let headers = found.iter().map(|f| f.segment.header);
        let later = headers.filter(|h| h.family.word() == family && h.base > base);
        lost.push((base, later.map(|h| Seq(h.base.0 - 1)).min()));
    }
    lost
}

/// The family's word and the first commit of a segment, by its name.
fn place(name: &str) -> Option<(&str, Seq)> {
    let (family, rest) = name.split_once('-')?;
    let (base, _) = rest.split_once('-')?;
    Some((family, Seq(u64::from_str_radix(base, 16).ok()?)))
}

/// Whether this is a segment that had no time to begin: there is nothing in it, and the snapshot was not there before
/// it. One that lies below the snapshot held what was durable.
pub(super) fn never_began(disk: &dyn Disk, name: &str, snapshot: Seq) -> Result<bool, OpenError> {
    if place(name).is_some_and(|(_, base)| base <= snapshot) {
        return Ok(false);
    }
    let bytes = whole_file(disk, name).map_err(|e| OpenError::read(name, e))?;
    Ok(bytes.iter().all(|byte| *byte == 0))
}

pub(super) fn whole_file(disk: &dyn Disk, name: &str) -> io::Result<Vec<u8>> {
    let file = disk.open(name)?;
    let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(0)];
    let read = file.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Whether there is nothing in this part of a file.
pub(super) fn zeros(file: &dyn File, from: u64, to: u64) -> io::Result<bool> {
    let mut rest = vec![0; usize::try_from(to - from).unwrap_or(0)];
    file.read_at(from, &mut rest)?;
    Ok(rest.iter().all(|byte| *byte == 0))
}
