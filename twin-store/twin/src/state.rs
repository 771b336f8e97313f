//! Everything that is known: the fold of the whole log.

use std::collections::HashMap;
use std::sync::Arc;

use crate::{
    Body, Boottime, Commit, Description, GapCause, GatewayEvent, Handle, Ledger, LedgerEntry,
    Origin, Outcome, Principal, Seq, Stage, Timeline, Twin, TwinId, What,
};

/// The twins, the commands known by key, the clock, and the write switch.
///
/// `state == fold(log)`: nothing changes it but [`State::apply`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    pub(crate) twins: Vec<Option<Twin>>,
    pub(crate) ids: HashMap<TwinId, Handle>,
    pub(crate) ledger: Ledger,
    pub(crate) timeline: Timeline,
    pub(crate) writes_off: Option<Principal>,
    pub(crate) head: Seq,
    pub(crate) epoch: u32,
}

impl State {
    /// The twin with this id.
    #[must_use]
    pub fn twin(&self, id: &TwinId) -> Option<&Twin> {
        self.by_handle(*self.ids.get(id)?)
    }

    /// The twin with this number.
    #[must_use]
    pub fn by_handle(&self, handle: Handle) -> Option<&Twin> {
        self.twins.get(usize::try_from(handle.0).ok()?)?.as_ref()
    }

    /// All twins, in the order in which they were first described.
    pub fn twins(&self) -> impl Iterator<Item = &Twin> {
        self.twins.iter().flatten()
    }

    /// The number that the next new twin gets.
    #[must_use]
    pub fn next_handle(&self) -> Handle {
        Handle(u32::try_from(self.twins.len().max(1)).unwrap_or(u32::MAX))
    }

    /// Commands known by their callers' keys.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// How times in the log resolve.
    #[must_use]
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Whether commands may be carried out at all.
    #[must_use]
    pub fn writes_on(&self) -> bool {
        self.writes_off.is_none()
    }

    /// Who switched writes off, if they are.
    #[must_use]
    pub fn writes_off_by(&self) -> Option<&Principal> {
        self.writes_off.as_ref()
    }

    /// The last commit applied.
    #[must_use]
    pub fn head(&self) -> Seq {
        self.head
    }

    /// The current epoch.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Applies a commit. Commits come in the order of their sequence numbers.
    pub fn apply(&mut self, commit: &Commit) {
        self.head = self.head.max(commit.seq);
        match &commit.body {
            Body::Gateway(event) => self.apply_gateway(commit.seq, event),
            Body::Twin { handle, twin, origin, what } => {
                let when = (commit.seq, commit.at);
                self.apply_twin(when, *handle, twin, origin, what);
            }
        }
    }

    fn apply_gateway(&mut self, seq: Seq, event: &GatewayEvent) {
        match event {
            GatewayEvent::Opened { epoch, boot, offset, .. } => {
                self.epoch = *epoch;
                self.timeline.opened(seq, *epoch, *boot, *offset);
            }
            GatewayEvent::ClockSet { offset } => self.timeline.clock_set(seq, *offset),
            GatewayEvent::Writes { on, by } => self.writes_off = (!on).then(|| by.clone()),
            // What was shown before and is lost now must never be taken for what comes instead.
            GatewayEvent::Gap { cause, .. } => match cause {
                GapCause::Crash | GapCause::Damage | GapCause::Full => {
                    self.twins.iter_mut().flatten().for_each(Twin::jump);
                }
                // What it drops was folded.
                GapCause::Retention | GapCause::Thinned => {}
            },
            GatewayEvent::Revs { least } => {
                for (handle, rev) in least {
                    let place = usize::try_from(handle.0).unwrap_or(usize::MAX);
                    if let Some(Some(twin)) = self.twins.get_mut(place) {
                        twin.raise(*rev);
                    }
                }
            }
            GatewayEvent::Forgotten { before } => {
                let mut timeline = std::mem::take(&mut self.timeline);
                timeline.forget(*before, self.mentioned());
                self.timeline = timeline;
            }
            GatewayEvent::PassedOver { .. } => {}
        }
    }

    /// The commits that the state itself still speaks of, though the log may have them no more.
    pub fn mentioned(&self) -> impl Iterator<Item = Seq> {
        let known = self.ledger.iter().map(|(_, _, entry)| entry.seq);
        known.chain(self.twins().flat_map(Twin::mentioned))
    }

    fn apply_twin(
        &mut self,
        (seq, at): (Seq, Boottime),
        handle: Handle,
        id: &TwinId,
        origin: &Origin,
        what: &What,
    ) {
        let Ok(place) = usize::try_from(handle.0) else { return };
        if place == 0 {
            return;
        }
        if self.twins.len() <= place {
            self.twins.resize_with(place + 1, || None);
        }
        let Some(slot) = self.twins.get_mut(place) else { return };
        if matches!(what, What::Purged) {
            let open = slot.take().map(|twin| twin.commands).unwrap_or_default();
            for (id, known) in &open {
                if let Some(outcome) = known.stage.when_purged() {
                    let stage = Stage::Ended(outcome);
                    self.ledger.settle(*id, known, &stage);
                }
            }
            self.ids.remove(id);
            return;
        }
        let shared;
        let what = match what {
            What::Described(described) => {
                shared = What::Described(alike(&self.twins, described));
                &shared
            }
            what => what,
        };
        let Some(slot) = self.twins.get_mut(place) else { return };
        let twin = match slot {
            Some(twin) => twin,
            None => {
                self.ids.insert(id.clone(), handle);
                slot.insert(Twin::new(id.clone(), handle))
            }
        };
        match what {
            What::Command(command) => {
                let entry = LedgerEntry {
                    seq,
                    twin: Some(handle),
                    stage: Stage::Accepted,
                    asked: command.asked,
                };
                self.ledger.remember(origin.principal(), command.key.clone(), entry);
            }
            What::Refused { key, reason, detail, .. } => {
                let stage = Stage::Ended(Outcome::Rejected(*reason, detail.clone()));
                self.ledger.remember(
                    origin.principal(),
                    key.clone(),
                    LedgerEntry { seq, twin: Some(handle), stage, asked: None },
                );
            }
            What::Step { command, step } => {
                if let Some(known) = twin.commands().get(command)
                    && let Some(stage) = known.stage.after(step)
                {
                    self.ledger.settle(*command, known, &stage);
                }
            }
            _ => {}
        }
        twin.apply(seq, at, origin, what);
    }
}

/// The description, as a twin has it already where one does: a hundred equal devices have one in memory.
pub(crate) fn alike(twins: &[Option<Twin>], new: &Arc<Description>) -> Arc<Description> {
    let mut known = twins.iter().flatten().map(|twin| &twin.description);
    known.find(|known| Arc::ptr_eq(known, new) || *known == new).unwrap_or(new).clone()
}
