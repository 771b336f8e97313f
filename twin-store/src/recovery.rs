//! Opening: what survived is found, folded, and continued under a new epoch.
//!
//! Every valid frame of both families counts. The state is a snapshot and the commits after it; what is missing between
//! them is named by the new epoch's first records. The sequence goes on after the highest survivor.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use twin::{GapCause, Seq, State};

use crate::catalog::Catalog;
use crate::disk::{Disk, File};
use crate::error::OpenError;
use crate::footer::{Footer, Summary};
use crate::frame::{Frame, Kind};
use crate::job::seal_found;
use crate::links::Links;
use crate::reader::SegmentReader;
use crate::record;
use crate::segment::{Family, HEADER, Segment, SegmentHeader, TRAILER, footer_offset};
use crate::snapshot::{self, Snapshot};

/// What was found at opening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// The new epoch.
    pub epoch: u32,
    /// The highest commit that survived.
    pub surviving: Seq,
    /// The commit of the snapshot that the state was built on; 0 without one.
    pub snapshot: Seq,
    /// Commits replayed after it.
    pub replayed: u64,
    /// Stretches that are missing; an empty one (last before first) says that commits after the survivors may be.
    pub gaps: Vec<(Seq, Seq)>,
    /// Files that could not be understood and were set aside.
    pub set_aside: Vec<String>,
    /// Bytes in segments that were no frames.
    pub damaged: u64,
    /// A segment ends in something that is no frame: a torn write or damage.
    pub torn: bool,
}

/// Everything that the log says.
pub(crate) struct Recovered {
    pub(crate) state: State,
    pub(crate) links: Links,
    pub(crate) catalog: Catalog,
    /// Snapshots on disk that can be relied on, oldest first.
    pub(crate) snapshots: Vec<Seq>,
    pub(crate) recovery: Recovery,
}

struct Found {
    segment: Arc<Segment>,
    file: Arc<dyn File>,
}

/// Reads what is there and makes it whole.
pub(crate) fn recover(disk: &dyn Disk, boot: twin::BootId) -> Result<Recovered, OpenError> {
    let names = disk.list().map_err(OpenError::List)?;
    let mut recovery = Recovery {
        epoch: 0,
        surviving: Seq(0),
        snapshot: Seq(0),
        replayed: 0,
        gaps: Vec::new(),
        set_aside: Vec::new(),
        damaged: 0,
        torn: false,
    };
    let mut snapshots: Vec<Snapshot> = Vec::new();
    for name in names.iter().filter(|n| n.ends_with(".snap")) {
        let bytes = whole_file(disk, name).map_err(|e| OpenError::read(name, e))?;
        match snapshot::decode(&bytes) {
            Some(snapshot) => snapshots.push(snapshot),
            None => recovery.set_aside.push(name.clone()),
        }
    }
    snapshots.sort_by_key(|s| s.seq);
    let good = snapshots.iter().map(|s| s.seq).collect();
    let base = snapshots.pop();
    let mut catalog = Catalog::default();
    let (mut state, mut links, clean) = match base {
        Some(base) => {
            recovery.snapshot = base.seq;
            catalog.floors = base.floors;
            (base.state, base.links, base.clean)
        }
        None => (State::default(), Links::default(), names.iter().all(|n| !n.ends_with(".seg"))),
    };
    let mut found = Vec::new();
    for name in names.iter().filter(|n| n.ends_with(".seg")) {
        match find(disk, name).map_err(|e| OpenError::read(name, e))? {
            Some(one) => found.push(one),
            None => recovery.set_aside.push(name.clone()),
        }
    }
    let unreadable = lost_files(disk, &recovery.set_aside, &found);
    let (frames, unsealed) = scan(&found, recovery.snapshot, &mut recovery)?;
    let mut told = Vec::new();
    fold(&mut state, &mut links, &frames, &mut told, &mut recovery);
    let headers = found.iter().map(|f| f.segment.header.epoch).max().unwrap_or(0);
    recovery.epoch = headers.max(state.epoch()) + 1;
    for (first, last) in unreadable {
        recovery.torn = true;
        recovery.gaps.push((first, last.unwrap_or(recovery.surviving)));
    }
    recovery.gaps.retain(|(first, last)| first <= last);
    let ranges: Vec<_> = told.iter().map(|(range, _)| *range).collect();
    missing(&frames, &ranges, clean, boot, &state, &mut recovery);
    for (one, summary) in unsealed {
        if summary.is_empty() {
            disk.remove(&one.segment.name).map_err(|e| OpenError::read(&one.segment.name, e))?;
            continue;
        }
        seal_found(&one.segment, &one.file, summary.footer(&state))
            .map_err(|e| OpenError::Seal(one.segment.name.clone(), e))?;
        catalog.insert(one.segment.clone());
    }
    for one in found.iter().filter(|one| one.segment.footer().is_some()) {
        if !catalog.family(one.segment.header.family).iter().any(|s| Arc::ptr_eq(s, &one.segment)) {
            catalog.insert(one.segment.clone());
        }
    }
    raise_floors(&mut catalog, &told);
    clear(disk, &names, &recovery);
    links.links.values_mut().for_each(|link| link.clamp(recovery.surviving));
    Ok(Recovered { state, links, catalog, snapshots: good, recovery })
}

/// The stretches whose segments have no readable header, by their names; open where nothing follows.
fn lost_files(disk: &dyn Disk, names: &[String], found: &[Found]) -> Vec<(Seq, Option<Seq>)> {
    let mut lost = Vec::new();
    for name in names.iter().filter(|n| n.ends_with(".seg")) {
        let mut parts = name.split('-');
        let (Some(family), Some(base)) = (parts.next(), parts.next()) else { continue };
        let Ok(base) = u64::from_str_radix(base, 16) else { continue };
        // Zeros alone are a segment that had no time to begin.
        if whole_file(disk, name).is_ok_and(|bytes| bytes.iter().all(|b| *b == 0)) {
            continue;
        }
        let headers = found.iter().map(|f| f.segment.header);
        let later = headers.filter(|h| h.family.word() == family && h.base.0 > base);
        lost.push((Seq(base), later.map(|h| Seq(h.base.0 - 1)).min()));
    }
    lost
}

fn whole_file(disk: &dyn Disk, name: &str) -> io::Result<Vec<u8>> {
    let file = disk.open(name)?;
    let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(0)];
    let read = file.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// The segment in this file, with its footer where it is sealed; `None` where the file is none.
fn find(disk: &dyn Disk, name: &str) -> io::Result<Option<Found>> {
    let file = disk.open(name)?;
    let mut head = [0; HEADER as usize];
    let read = file.read_at(0, &mut head)?;
    let Some(header) = head.get(..read).and_then(SegmentHeader::decode) else { return Ok(None) };
    let len = file.len()?;
    let segment = Arc::new(Segment::new(header, len));
    if let Some((footer, at)) = footer(&*file, header.id, len)? {
        segment.grow(at, footer.last);
        segment.sealed(footer, len);
    } else {
        segment.grow(len, Seq(u64::MAX));
    }
    Ok(Some(Found { segment, file }))
}

fn footer(file: &dyn File, id: u64, len: u64) -> io::Result<Option<(Footer, u64)>> {
    let mut end = [0; TRAILER];
    let Some(at) = len.checked_sub(TRAILER as u64) else { return Ok(None) };
    if file.read_at(at, &mut end)? < TRAILER {
        return Ok(None);
    }
    let Some(offset) = footer_offset(id, &end).filter(|o| HEADER <= *o && *o < at) else {
        return Ok(None);
    };
    let mut bytes = vec![0; usize::try_from(at - offset).unwrap_or(0)];
    file.read_at(offset, &mut bytes)?;
    Ok(Footer::decode(id, &bytes).map(|footer| (footer, offset)))
}

/// A stretch that the log itself says is gone, and why.
type Told = ((Seq, Seq), GapCause);
type Scanned<'a> = (BTreeMap<Seq, (Frame, u32)>, Vec<(&'a Found, Summary)>);

/// Reads every frame after the snapshot, and finds where unsealed segments end.
fn scan<'a>(
    found: &'a [Found],
    after: Seq,
    recovery: &mut Recovery,
) -> Result<Scanned<'a>, OpenError> {
    let mut frames = BTreeMap::new();
    let mut unsealed = Vec::new();
    for one in found {
        let segment = &one.segment;
        recovery.surviving = recovery.surviving.max(Seq(segment.header.base.0.saturating_sub(1)));
        if segment.footer().is_some_and(|f| f.last <= after) {
            recovery.surviving = recovery.surviving.max(segment.last());
            continue;
        }
        let mut reader = SegmentReader::new(segment.clone(), one.file.clone());
        let mut summary = Summary::default();
        let mut count = 0;
        let end = segment.end();
        let read = |e| OpenError::read(&segment.name, e);
        while let Some(whole) = reader.next(end).map_err(read)? {
            if whole.after_damage && segment.footer().is_none() {
                let first = summary.last().next().max(segment.header.base);
                recovery.gaps.push((first, Seq(whole.header.seq.0 - 1)));
            }
            summary.add(&whole.header);
            recovery.surviving = recovery.surviving.max(whole.header.seq);
            count += 1;
            let epoch = segment.header.epoch;
            if whole.header.seq > after
                && let Some(frame) = whole.frame(epoch)
            {
                frames.insert(whole.header.seq, (frame, epoch));
            }
        }
        recovery.damaged += reader.damaged;
        if segment.footer().is_none() {
            // Below the snapshot everything was durable: what is unreadable there is damage, and will be cut off.
            let first = summary.last().next().max(segment.header.base);
            if !zeros(&*one.file, reader.offset(), end).map_err(read)? {
                recovery.torn = true;
                if first <= after {
                    recovery.gaps.push((first, after));
                }
            }
            segment.grow(reader.offset(), summary.last());
            unsealed.push((one, summary));
        } else if segment.footer().is_some_and(|f| f.count > count) {
            recovery.damaged += 1;
        }
    }
    recovery.surviving = recovery.surviving.max(after);
    Ok((frames, unsealed))
}

/// Whether there is nothing in this part of a file.
fn zeros(file: &dyn File, from: u64, to: u64) -> io::Result<bool> {
    let mut rest = vec![0; usize::try_from(to - from).unwrap_or(0)];
    file.read_at(from, &mut rest)?;
    Ok(rest.iter().all(|byte| *byte == 0))
}

/// Folds the commits after the snapshot; notes the gaps that the log itself tells of.
fn fold(
    state: &mut State,
    links: &mut Links,
    frames: &BTreeMap<Seq, (Frame, u32)>,
    told: &mut Vec<Told>,
    recovery: &mut Recovery,
) {
    for (frame, _) in frames.values() {
        recovery.replayed += 1;
        match frame.kind {
            Kind::Positions => links.apply(&frame.payload),
            Kind::Carried if state.by_handle(frame.handle).is_none() => {
                let carried = record::carried(frame.raw(), frame.seq, frame.epoch);
                carried.iter().for_each(|commit| state.apply(commit));
            }
            Kind::Carried => {}
            _ => {
                let Some(commit) = frame.commit(state) else {
                    // Its description was lost: nobody else may get the handle, or these would become their readings.
                    state.reserve(frame.handle);
                    continue;
                };
                if let twin::Body::Gateway(twin::GatewayEvent::Gap { first, last, cause }) =
                    &commit.body
                {
                    told.push(((*first, *last), *cause));
                }
                state.apply(&commit);
            }
        }
    }
}

/// Retention dropped up to these commits. Of which family they were is not said: of one that keeps nothing so old. Lanes
/// that have not passed what another family still keeps are not overtaken.
fn raise_floors(catalog: &mut Catalog, told: &[Told]) {
    for family in Family::ALL {
        let oldest = catalog.family(family).first().map(|s| s.header.base);
        let dropped = told.iter().filter(|(_, cause)| *cause == GapCause::Retention);
        let last = dropped.map(|((_, last), _)| *last).filter(|l| oldest.is_none_or(|o| o > *l));
        let floor = &mut catalog.floors[family.at()];
        *floor = last.max().unwrap_or_default().max(*floor);
    }
}

/// Which sequence numbers after the snapshot are neither there nor known to be gone.
fn missing(
    frames: &BTreeMap<Seq, (Frame, u32)>,
    told: &[(Seq, Seq)],
    clean: bool,
    boot: twin::BootId,
    state: &State,
    recovery: &mut Recovery,
) {
    let mut next = recovery.snapshot.next();
    let mut add = |first: Seq, last: Seq| {
        let mut at = first;
        while at <= last {
            // The rest of the stretch after what an earlier gap covers.
            if let Some((_, until)) = told.iter().find(|(a, b)| *a <= at && at <= *b) {
                at = until.next();
                continue;
            }
            let until = told.iter().map(|(a, _)| *a).filter(|a| *a > at).min();
            let end = until.map_or(last, |a| Seq(a.0 - 1)).min(last);
            recovery.gaps.push((at, end));
            at = end.next();
        }
    };
    for seq in frames.keys() {
        if *seq > next {
            add(next, Seq(seq.0 - 1));
        }
        next = seq.next();
    }
    if recovery.surviving >= next {
        add(next, recovery.surviving);
    }
    let ended = clean && recovery.surviving == recovery.snapshot;
    let rebooted = snapshot::last_boot(state).is_some_and(|last| last != boot);
    if !ended && (rebooted || recovery.torn) && recovery.gaps.is_empty() {
        // A power cut may have taken commits that somebody has seen: how many, nobody can know.
        recovery.gaps.push((recovery.surviving.next(), recovery.surviving));
    }
}

/// Removes what an earlier life left half done, and sets aside what cannot be understood.
fn clear(disk: &dyn Disk, names: &[String], recovery: &Recovery) {
    for name in names.iter().filter(|n| n.ends_with(".tmp") || n.starts_with("spare-")) {
        disk.remove(name).ok();
    }
    for name in &recovery.set_aside {
        // A file that was never more than zeros is a segment that had no time to begin.
        let zeros = whole_file(disk, name).is_ok_and(|bytes| bytes.iter().all(|b| *b == 0));
        let done =
            if zeros { disk.remove(name) } else { disk.rename(name, &format!("{name}.bad")) };
        if let Err(error) = done {
            tracing::warn!("cannot set {name} aside: {error}");
        }
    }
}
