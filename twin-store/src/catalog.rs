//! Which segments there are.

use std::sync::Arc;

use twin::Seq;

use crate::segment::{Family, Segment};

/// All segments, per family, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    families: [Vec<Arc<Segment>>; 3],
    /// Per family, the last sequence number that retention dropped.
    pub(crate) floors: [Seq; 3],
}

impl Catalog {
    pub(crate) fn family(&self, family: Family) -> &[Arc<Segment>] {
        &self.families[family.at()]
    }

    /// A segment more, in its place by its base.
    pub(crate) fn insert(&mut self, segment: Arc<Segment>) {
        let family = &mut self.families[segment.header.family.at()];
        let at = family.partition_point(|s| s.header.base <= segment.header.base);
        family.insert(at, segment);
    }

    pub(crate) fn remove(&mut self, segment: &Arc<Segment>) {
        self.families[segment.header.family.at()].retain(|s| !Arc::ptr_eq(s, segment));
    }

    /// The first segment that has commits from `seq` on.
    pub(crate) fn find(&self, family: Family, seq: Seq) -> Option<&Arc<Segment>> {
        // Almost sorted by their last commits: a rescued segment may lie between.
        self.family(family).iter().find(|s| s.last() >= seq)
    }

    /// No commit before this one is kept; `None` while none is at all.
    pub(crate) fn oldest(&self) -> Option<Seq> {
        self.families.iter().flatten().map(|s| s.header.base).min()
    }

    /// Bytes that a family takes on disk.
    pub(crate) fn bytes(&self, family: Family) -> u64 {
        self.family(family).iter().map(|s| s.size()).sum()
    }
}
