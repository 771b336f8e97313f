//! State and twins as plain data, so that a snapshot can be written and read without replaying the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::state::alike;
use crate::twin::Touched;
use crate::{
    Binding, CommandId, CommandState, Description, Desired, Entangled, GroupCounts, Handle, Held,
    Ledger, LedgerEntry, LifeCycle, Maintenance, Principal, Reading, Relationship, Seq, Standing,
    State, Timeline, Twin, TwinId,
};

/// Everything that a [`State`] is made of.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StateParts {
    /// Twins by handle; `None` where a handle was given and its twin is gone. The next twin gets the next place.
    pub twins: Vec<Option<TwinParts>>,
    /// Commands known by their callers' keys.
    pub ledger: Vec<(Principal, Arc<str>, LedgerEntry)>,
    /// How times resolve.
    pub timeline: Timeline,
    /// Who switched writes off, if they are.
    pub writes_off: Option<Principal>,
    /// The last commit applied.
    pub head: Seq,
    /// The epoch.
    pub epoch: u32,
}

/// Everything that a [`Twin`] is made of.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each is documented at the method of the same name of `Twin`")]
pub struct TwinParts {
    pub id: TwinId,
    pub description: Arc<Description>,
    pub life_cycle: LifeCycle,
    pub since: Seq,
    pub reported: Vec<Option<Reading>>,
    pub desired: BTreeMap<u16, Desired>,
    pub relationships: Vec<Relationship>,
    pub bindings: BTreeMap<Arc<str>, Binding>,
    pub commands: BTreeMap<CommandId, CommandState>,
    pub counts: Vec<GroupCounts>,
    pub rev: u64,
    pub features: Vec<Touched>,
    pub entangled: Option<(Seq, Entangled)>,
    pub maintained: Option<(Seq, Option<Maintenance>)>,
    pub alarms: BTreeMap<u16, Standing>,
    pub alarmed: Seq,
    pub held: BTreeMap<u16, Held>,
}

impl State {
    /// The state as plain data.
    #[must_use]
    pub fn parts(&self) -> StateParts {
        let ledger = self.ledger.iter();
        StateParts {
            twins: self.twins.iter().map(|t| t.as_ref().map(Twin::parts)).collect(),
            ledger: ledger.map(|(by, key, e)| (by.clone(), key.clone(), e.clone())).collect(),
            timeline: self.timeline.clone(),
            writes_off: self.writes_off.clone(),
            head: self.head,
            epoch: self.epoch,
        }
    }

    /// The state that consists of this.
    #[must_use]
    pub fn from_parts(parts: StateParts) -> Self {
        let mut state = Self {
            timeline: parts.timeline,
            writes_off: parts.writes_off,
            head: parts.head,
            epoch: parts.epoch,
            ..Self::default()
        };
        let entries = parts.ledger.into_iter().map(|(by, key, entry)| ((by, key), entry)).collect();
        state.ledger = Ledger { entries };
        for (handle, mut twin) in (0..).zip(parts.twins) {
            if let Some(twin) = &mut twin {
                state.ids.insert(twin.id.clone(), Handle(handle));
                twin.description = alike(&state.twins, &twin.description);
            }
            state.twins.push(twin.map(|t| Twin::from_parts(Handle(handle), t)));
        }
        state
    }

    /// This handle was seen in the log, though its twin is not known: it is never given to another.
    pub fn reserve(&mut self, handle: Handle) {
        if let Ok(at) = usize::try_from(handle.0)
            && self.twins.len() <= at
        {
            self.twins.resize_with(at + 1, || None);
        }
    }
}

impl Twin {
    fn parts(&self) -> TwinParts {
        TwinParts {
            id: self.id.clone(),
            description: self.description.clone(),
            life_cycle: self.life_cycle,
            since: self.since,
            reported: self.reported.clone(),
            desired: self.desired.clone(),
            relationships: self.relationships.clone(),
            bindings: self.bindings.clone(),
            commands: self.commands.clone(),
            counts: self.counts.clone(),
            rev: self.rev,
            features: self.features.clone(),
            entangled: self.entangled,
            maintained: self.maintained.clone(),
            alarms: self.alarms.clone(),
            alarmed: self.alarmed,
            held: self.held.clone(),
        }
    }

    /// Readings and features are as many as the description says, whatever the parts say.
    fn from_parts(handle: Handle, parts: TwinParts) -> Self {
        let mut reported = parts.reported;
        reported.resize_with(parts.description.points.len(), || None);
        let mut features = parts.features;
        features.resize(parts.description.features.len(), Touched::default());
        Self {
            id: parts.id,
            handle,
            description: parts.description,
            life_cycle: parts.life_cycle,
            since: parts.since,
            reported,
            desired: parts.desired,
            relationships: parts.relationships,
            bindings: parts.bindings,
            commands: parts.commands,
            counts: parts.counts,
            rev: parts.rev,
            features,
            entangled: parts.entangled,
            maintained: parts.maintained,
            alarms: parts.alarms,
            alarmed: parts.alarmed,
            held: parts.held,
        }
    }
}
