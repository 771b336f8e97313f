//! Revs when no snapshot is left: footers prove what the shortened log cannot count.
//!
//! A footer says which rev a twin had when its segment was sealed, at its last commit or later. What the log counts after
//! that commit comes on top: the sum is never less than what was shown.

use std::collections::BTreeMap;

use twin::{GapCause, Handle, Seq, State, Twin};

use super::Told;
use super::found::Found;

/// What the footers say, as the fold passes them.
#[derive(Default)]
pub(super) struct Proof {
    /// Per footer and twin, in the order of the footers' last commits, latest first.
    said: Vec<(Seq, Handle, u64)>,
    /// By how much the fold counts too little, and up to which commit that is proven.
    missing: BTreeMap<Handle, (u64, Seq)>,
}

impl Proof {
    pub(super) fn new(found: &[Found]) -> Self {
        let footers = found.iter().filter_map(|one| one.segment.footer());
        let twin = |last| move |(handle, rev, _): &(Handle, u64, u32)| (last, *handle, *rev);
        let mut said: Vec<_> = footers.flat_map(|f| f.twins.iter().map(twin(f.last))).collect();
        said.sort_unstable();
        said.reverse();
        Self { said, missing: BTreeMap::new() }
    }

    /// The fold has taken in every commit before this one.
    pub(super) fn reached(&mut self, seq: Seq, state: &State) {
        while let Some((last, handle, rev)) = self.said.pop_if(|(last, ..)| *last < seq) {
            let counted = state.by_handle(handle).map_or(0, Twin::rev);
            let (missing, until) = self.missing.entry(handle).or_default();
            *missing = (*missing).max(rev.saturating_sub(counted));
            *until = last;
        }
    }

    /// The revs that twins had at least. Where the log says that commits went which no footer counts, they jump.
    pub(super) fn least(mut self, state: &State, told: &[Told]) -> Vec<(Handle, u64)> {
        self.reached(Seq(u64::MAX), state);
        // After every other loss the fold itself jumps.
        let gone = told.iter().filter(|(_, cause)| *cause == GapCause::Retention);
        let gone = gone.map(|((_, last), _)| *last);
        let gone = gone.max();
        let least = |twin: &Twin| {
            let known = self.missing.get(&twin.handle());
            let (missing, until) = known.copied().unwrap_or_default();
            let proven = known.is_some() && gone.is_none_or(|gone| gone <= until);
            let jump = if proven { 0 } else { Twin::JUMP };
            let rev = twin.rev().saturating_add(missing).saturating_add(jump);
            (rev > twin.rev()).then_some((twin.handle(), rev))
        };
        state.twins().filter_map(least).collect()
    }
}
