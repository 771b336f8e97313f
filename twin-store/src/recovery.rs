//! Opening: what survived is found, folded, and continued under a new epoch.
//!
//! Every valid frame of both families counts. The state is a snapshot and the commits after it; what is missing between
//! them is named by the new epoch's first records. The sequence goes on after the highest survivor.

mod found;
mod revs;
mod scan;

use std::collections::BTreeMap;
use std::sync::Arc;

use twin::{Body, GapCause, GatewayEvent, Handle, Seq, State};

use self::found::{Found, find, lost_files, never_began, whole_file};
use self::revs::Proof;
use self::scan::{Scan, scan};
use crate::catalog::Catalog;
use crate::disk::Disk;
use crate::error::OpenError;
use crate::frame::{Frame, Kind};
use crate::job::seal_found;
use crate::links::Links;
use crate::ranges::Ranges;
use crate::reader::numbers;
use crate::record;
use crate::segment::{Family, SegmentHeader};
use crate::snapshot::{self, Snapshot};

/// What was found at opening.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
    /// How many files earlier lives set aside that are still there.
    pub aside_before: usize,
    /// Bytes in segments that were no frames.
    pub damaged: u64,
    /// The newest segment of a family ends in something that is no frame: a torn write or damage.
    pub torn: bool,
}

/// Everything that the log says.
pub(crate) struct Recovered {
    pub(crate) state: State,
    pub(crate) links: Links,
    pub(crate) catalog: Catalog,
    /// Snapshots on disk that can be relied on, oldest first.
    pub(crate) snapshots: Vec<Seq>,
    /// Files of samples that were thinned, and what they hold: to be removed when that is on record.
    pub(crate) superseded: Vec<(String, (Seq, Seq))>,
    /// Revs that twins had at least, where the fold counts fewer.
    pub(crate) least: Vec<(Handle, u64)>,
    /// All that is known to be gone.
    pub(crate) damage: Ranges,
    pub(crate) recovery: Recovery,
}

/// A stretch that the log itself says is gone, and why.
type Told = ((Seq, Seq), GapCause);

/// Reads what is there and makes it whole.
pub(crate) fn recover(disk: &dyn Disk, boot: twin::BootId) -> Result<Recovered, OpenError> {
    let names = disk.list().map_err(OpenError::List)?;
    let aside_before = names.iter().filter(|n| n.ends_with(".bad")).count();
    let mut recovery = Recovery { aside_before, ..Recovery::default() };
    let mut snapshots = read_snapshots(disk, &names, &mut recovery)?;
    let good: Vec<Seq> = snapshots.iter().map(|s| s.seq).collect();
    let base = snapshots.pop();
    let alone = base.is_none();
    let mut catalog = Catalog::default();
    let mut damage = Ranges::default();
    let (mut state, mut links, clean) = match base {
        Some(base) => {
            recovery.snapshot = base.seq;
            (catalog.floors, damage) = (base.floors, base.damage);
            (base.state, base.links, base.clean)
        }
        None => (State::default(), Links::default(), names.iter().all(|n| !n.ends_with(".seg"))),
    };
    let (mut found, mut unused) = (Vec::new(), Vec::new());
    for name in names.iter().filter(|n| n.ends_with(".seg")) {
        match find(disk, name)? {
            Some(one) => found.push(one),
            None if never_began(disk, name, recovery.snapshot)? => unused.push(name.clone()),
            None => recovery.set_aside.push(name.clone()),
        }
    }
    let superseded = superseded(&mut found);
    let scan = scan(&found, recovery.snapshot)?;
    (recovery.surviving, recovery.damaged, recovery.torn) =
        (scan.surviving, scan.damaged, scan.torn);
    let mut proof = if alone { Proof::new(&found) } else { Proof::default() };
    let told = fold(&mut state, &mut links, &scan.frames, &mut proof);
    recovery.replayed = scan.frames.len() as u64;
    let headers = found.iter().map(|f| f.segment.header.epoch).max().unwrap_or(0);
    recovery.epoch = headers.max(state.epoch()) + 1;
    // A log that is there from its first commit counts every rev.
    let shortened = !scan.there.without(Seq(1), scan.surviving).is_empty();
    let least = if alone && shortened { proof.least(&state, &told) } else { Vec::new() };
    // What went on purpose are samples: what else is destroyed between them has not been told.
    let destroyed = |c: GapCause| !matches!(c, GapCause::Retention | GapCause::Thinned);
    damage.extend(told.iter().filter(|(_, c)| destroyed(*c)).map(|(range, _)| *range));
    let gone = told.iter().map(|(range, _)| *range).chain(damage.iter()).collect();
    recovery.gaps = missing(disk, &found, &scan, gone, &mut recovery)?;
    damage.extend(recovery.gaps.iter().copied());
    let ended = clean && recovery.surviving == recovery.snapshot;
    let rebooted = snapshot::last_boot(&state).is_some_and(|last| last != boot);
    if !ended && (rebooted || recovery.torn) && recovery.gaps.is_empty() {
        // A power cut may have taken commits that somebody has seen: how many, nobody can know.
        recovery.gaps.push((recovery.surviving.next(), recovery.surviving));
    }
    for one in found.iter().filter(|one| one.repaired) {
        let (name, header) = (&one.segment.name, &one.segment.header);
        let mended = one.file.write_at(0, &header.encode()).and_then(|()| one.file.sync());
        mended.map_err(|e| OpenError::Seal(name.clone(), e))?;
    }
    let proven = proven(&state, &least);
    for (one, summary) in scan.unsealed {
        let name = &one.segment.name;
        if summary.is_empty() {
            disk.remove(name).map_err(|e| OpenError::Seal(name.clone(), e))?;
            continue;
        }
        seal_found(&one.segment, &one.file, summary.footer(proven.as_ref().unwrap_or(&state)))
            .map_err(|e| OpenError::Seal(name.clone(), e))?;
        catalog.insert(one.segment.clone());
    }
    for one in found.iter().filter(|one| one.segment.footer().is_some()) {
        if !catalog.family(one.segment.header.family).iter().any(|s| Arc::ptr_eq(s, &one.segment)) {
            catalog.insert(one.segment.clone());
        }
    }
    raise_floors(&mut catalog, &told);
    clear(disk, &names, &unused, &recovery.set_aside);
    links.links.values_mut().for_each(|link| link.clamp(recovery.surviving));
    Ok(Recovered { state, links, catalog, snapshots: good, superseded, least, damage, recovery })
}

/// Takes out samples that were thinned and whose file is still there. Lanes may stand between the envelopes, so these win.
fn superseded(found: &mut Vec<Found>) -> Vec<(String, (Seq, Seq))> {
    let of = |one: &Found| one.segment.footer().map(|f| (one.segment.header, f.thin));
    let all: Vec<_> = found.iter().filter_map(of).collect();
    let place = |h: SegmentHeader| (h.family, h.epoch, h.base);
    let mut superseded = Vec::new();
    found.retain(|one| {
        let Some(((header, thin), footer)) = of(one).zip(one.segment.footer()) else { return true };
        let wins = !all.iter().any(|(h, t)| place(*h) == place(header) && *t > thin);
        if !wins {
            superseded.push((one.segment.name.clone(), (footer.first, footer.last)));
        }
        wins
    });
    superseded
}

/// The snapshots that can be relied on, oldest first.
fn read_snapshots(
    disk: &dyn Disk,
    names: &[String],
    recovery: &mut Recovery,
) -> Result<Vec<Snapshot>, OpenError> {
    let mut snapshots: Vec<Snapshot> = Vec::new();
    for name in names.iter().filter(|n| n.ends_with(".snap")) {
        let bytes = whole_file(disk, name).map_err(|e| OpenError::read(name, e))?;
        match snapshot::decode(&bytes) {
            Some(snapshot) => snapshots.push(snapshot),
            None => match snapshot::newer(&bytes) {
                Some(version) => {
                    return Err(OpenError::Newer(name.clone(), version, snapshot::VERSION));
                }
                None => recovery.set_aside.push(name.clone()),
            },
        }
    }
    snapshots.sort_by_key(|s| s.seq);
    Ok(snapshots)
}

/// The state with the revs that are proven, for the footers.
fn proven(state: &State, least: &[(Handle, u64)]) -> Option<State> {
    (!least.is_empty()).then(|| {
        let (seq, epoch, at) = (state.head(), state.epoch(), twin::Boottime(0));
        let body = Body::Gateway(GatewayEvent::Revs { least: least.to_vec() });
        let mut state = state.clone();
        state.apply(&twin::Commit { seq, epoch, at, body });
        state
    })
}

/// Which commits are neither there nor known to be gone.
fn missing(
    disk: &dyn Disk,
    found: &[Found],
    scan: &Scan<'_>,
    gone: Ranges,
    recovery: &mut Recovery,
) -> Result<Vec<(Seq, Seq)>, OpenError> {
    let after = recovery.snapshot;
    // After the snapshot every number is accounted for.
    let mut known = gone.clone();
    known.extend(scan.there.iter());
    let mut missing: Ranges = known.without(after.next(), recovery.surviving).into_iter().collect();
    // Up to it, only what should be in a destroyed place can be gone, and may be in another segment.
    let mut look = |except: Option<&Found>, first: Seq, last: Seq| {
        let last = last.min(after);
        if first > last {
            return Ok(());
        }
        let others = found.iter().map(|one| &one.segment);
        let others = others.filter(|s| except.is_none_or(|e| !Arc::ptr_eq(s, &e.segment)));
        let mut known =
            numbers(disk, others, (first, last)).map_err(|e| OpenError::Read(e.name, e.source))?;
        known.extend(gone.iter());
        missing.extend(known.without(first, last));
        Ok(())
    };
    for (one, (first, last)) in &scan.holes {
        look(Some(one), *first, *last)?;
    }
    for (first, last) in lost_files(&recovery.set_aside, found) {
        recovery.torn |= last.is_none();
        look(None, first, last.unwrap_or(after))?;
    }
    Ok(missing.iter().collect())
}

/// Folds the commits after the snapshot; says which gaps the log itself tells of.
fn fold(
    state: &mut State,
    links: &mut Links,
    frames: &BTreeMap<Seq, (Frame, u32)>,
    proof: &mut Proof,
) -> Vec<Told> {
    let mut told = Vec::new();
    for (frame, _) in frames.values() {
        proof.reached(frame.seq, state);
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
                if let Body::Gateway(GatewayEvent::Gap { first, last, cause }) = &commit.body {
                    told.push(((*first, *last), *cause));
                }
                state.apply(&commit);
            }
        }
    }
    told
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

/// Removes what an earlier life left half done, and sets aside what cannot be understood.
fn clear(disk: &dyn Disk, names: &[String], unused: &[String], set_aside: &[String]) {
    for name in names.iter().filter(|n| n.ends_with(".tmp")).chain(unused) {
        disk.remove(name).ok();
    }
    for name in set_aside {
        if let Err(error) = disk.rename(name, &format!("{name}.bad")) {
            tracing::warn!("cannot set {name} aside: {error}");
        }
    }
}
