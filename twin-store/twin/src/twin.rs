//! A twin: the fold of its commits.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{
    Binding, Boottime, Closeness, CommandId, CommandState, Description, Desired, Entangled,
    GroupCounts, Handle, Held, Kind, LifeCycle, Maintenance, Nameplate, Origin, Point, Quality,
    Reading, Relationship, Reported, Seq, Stage, Standing, Step, Trigger, TwinId, Value, What,
};

/// The digital counterpart of one asset.
#[derive(Debug, Clone, PartialEq)]
pub struct Twin {
    pub(crate) id: TwinId,
    pub(crate) handle: Handle,
    pub(crate) description: Arc<Description>,
    pub(crate) life_cycle: LifeCycle,
    pub(crate) since: Seq,
    pub(crate) reported: Vec<Option<Reading>>,
    pub(crate) desired: BTreeMap<u16, Desired>,
    pub(crate) relationships: Vec<Relationship>,
    pub(crate) bindings: BTreeMap<Arc<str>, Binding>,
    pub(crate) commands: BTreeMap<CommandId, CommandState>,
    pub(crate) counts: Vec<GroupCounts>,
    pub(crate) rev: u64,
    pub(crate) features: Vec<Touched>,
    pub(crate) entangled: Option<(Seq, Entangled)>,
    pub(crate) maintained: Option<(Seq, Option<Maintenance>)>,
    pub(crate) alarms: BTreeMap<u16, Standing>,
    pub(crate) alarmed: Seq,
    pub(crate) held: BTreeMap<u16, Held>,
}

/// How often a feature changed, and when last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Touched {
    /// Grows by one with each commit that changes the feature.
    pub rev: u64,
    /// The last commit that did.
    pub seq: Seq,
}

/// What a commit did to a twin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// Its rev grew.
    pub changed: bool,
}

impl Twin {
    /// How far revs jump where commits may be missing.
    pub const JUMP: u64 = 1 << 20;

    /// A twin of which nothing is known but its id.
    #[must_use]
    pub fn new(id: TwinId, handle: Handle) -> Self {
        Self {
            id,
            handle,
            description: Arc::default(),
            life_cycle: LifeCycle::Created,
            since: Seq(0),
            reported: Vec::new(),
            desired: BTreeMap::new(),
            relationships: Vec::new(),
            bindings: BTreeMap::new(),
            commands: BTreeMap::new(),
            counts: Vec::new(),
            rev: 0,
            features: Vec::new(),
            entangled: None,
            maintained: None,
            alarms: BTreeMap::new(),
            alarmed: Seq(0),
            held: BTreeMap::new(),
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &TwinId {
        &self.id
    }

    /// Its number in the log.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// What it consists of.
    #[must_use]
    pub fn description(&self) -> &Arc<Description> {
        &self.description
    }

    /// What is on its asset's plate.
    #[must_use]
    pub fn nameplate(&self) -> &Nameplate {
        &self.description.nameplate
    }

    /// Where it stands.
    #[must_use]
    pub fn life_cycle(&self) -> LifeCycle {
        self.life_cycle
    }

    /// The commit since which it stands there.
    #[must_use]
    pub fn since(&self) -> Seq {
        self.since
    }

    /// What is known of the point at this index.
    #[must_use]
    pub fn reading(&self, index: u16) -> Option<&Reading> {
        self.reported.get(usize::from(index))?.as_ref()
    }

    /// What was last asked of each property.
    #[must_use]
    pub fn desired(&self) -> &BTreeMap<u16, Desired> {
        &self.desired
    }

    /// Its links to other twins.
    #[must_use]
    pub fn relationships(&self) -> &[Relationship] {
        &self.relationships
    }

    /// Which lines have reached its asset.
    #[must_use]
    pub fn bindings(&self) -> &BTreeMap<Arc<str>, Binding> {
        &self.bindings
    }

    /// Commands that have not ended.
    #[must_use]
    pub fn commands(&self) -> &BTreeMap<CommandId, CommandState> {
        &self.commands
    }

    /// The last heartbeat.
    #[must_use]
    pub fn counts(&self) -> &[GroupCounts] {
        &self.counts
    }

    /// How close it is to its asset, as was said last, and by which commit; `None` before it was ever measured.
    #[must_use]
    pub fn entangled(&self) -> Option<(Seq, Entangled)> {
        self.entangled
    }

    /// The planned work on its asset, where there is some. It may be over already: [`Maintenance::lasts`].
    #[must_use]
    pub fn maintenance(&self) -> Option<&Maintenance> {
        self.maintained.as_ref()?.1.as_ref()
    }

    /// The commit since which there is planned work, or none any more.
    #[must_use]
    pub fn maintained(&self) -> Seq {
        self.maintained.as_ref().map_or(Seq(0), |(seq, _)| *seq)
    }

    /// Events with a state that somebody has to look at: active, shelved, or not acknowledged yet; by index.
    #[must_use]
    pub fn alarms(&self) -> &BTreeMap<u16, Standing> {
        &self.alarms
    }

    /// The last commit that changed what stands of its alarms.
    #[must_use]
    pub fn alarmed(&self) -> Seq {
        self.alarmed
    }

    /// What its entanglement is good for.
    #[must_use]
    pub fn closeness(&self) -> Closeness {
        let target = self.description.policy.entanglement.target();
        let entangled = self.entangled.is_some_and(|(_, entangled)| entangled.value() >= target);
        match self.life_cycle {
            LifeCycle::Shadowed if entangled => Closeness::Strong,
            LifeCycle::Bound | LifeCycle::Shadowed | LifeCycle::OutOfSync => Closeness::Weak,
            _ => Closeness::Indirect,
        }
    }

    /// Grows by one with each commit that changes the twin.
    #[must_use]
    pub fn rev(&self) -> u64 {
        self.rev
    }

    /// How often the feature with this index changed, and when last.
    #[must_use]
    pub fn feature(&self, feature: u16) -> Touched {
        self.features.get(usize::from(feature)).copied().unwrap_or_default()
    }

    /// Whether `what` can happen to this twin.
    ///
    /// # Errors
    /// What contradicts the model, in words.
    pub fn check(&self, what: &What) -> Result<(), String> {
        match what {
            What::Reported(reported) | What::Backfilled(reported) => self.check_reported(reported),
            What::Transition { from, to, trigger, .. } => {
                if *from == self.life_cycle && from.after(*trigger) == Some(*to) {
                    return Ok(());
                }
                Err(format!(
                    "{} is {}: {trigger} does not lead from {from} to {to}",
                    self.id, self.life_cycle
                ))
            }
            What::Step { command, step } => match self.commands.get(command) {
                Some(known) if known.stage.after(step).is_some() => Ok(()),
                Some(known) => Err(format!("command {} is {}", command.0, known.stage.word())),
                None => Err(format!("command {} is not open", command.0)),
            },
            What::Event(event) if !self.description.point(event.index).is_some_and(occurs) => {
                Err(format!("there is no event with index {}", event.index))
            }
            _ => Ok(()),
        }
    }

    fn check_reported(&self, reported: &Reported) -> Result<(), String> {
        if reported.revision > self.description.revision {
            return Err(format!("revision {} is not known yet", reported.revision));
        }
        if !reported.entries.is_sorted_by(|a, b| a.index < b.index) {
            return Err("readings are not sorted by index, or an index occurs twice".into());
        }
        for entry in &reported.entries {
            let Some(point) = self.description.point(entry.index) else {
                return Err(format!("there is no point with index {}", entry.index));
            };
            if entry.value.as_ref().is_some_and(|v| !point.spec.value_type.admits(v)) {
                let (feature, name) = (&point.spec.feature, &point.spec.name);
                return Err(format!("{feature}/{name} cannot hold {:?}", entry.value));
            }
        }
        Ok(())
    }

    /// Applies what happened. Total: what [`Twin::check`] would refuse leaves the twin as it is.
    pub fn apply(&mut self, seq: Seq, at: Boottime, origin: &Origin, what: &What) -> Applied {
        let changed = match what {
            What::Described(description) => self.describe(seq, description),
            What::Reported(reported) => self.report(seq, reported),
            What::Backfilled(_) | What::Thinned(_) | What::Refused { .. } | What::Purged => false,
            What::Event(event) => {
                self.stand(seq, event);
                self.touch_point(seq, event.index)
            }
            What::Heartbeat(counts) => {
                self.counts.clone_from(counts);
                false
            }
            What::Maintained(maintenance) => {
                self.maintained = Some((seq, maintenance.clone()));
                false
            }
            What::Entangled(entangled) => {
                self.entangled = Some((seq, *entangled));
                false
            }
            What::Binding(binding) => {
                self.bindings.insert(binding.line.clone(), binding.clone());
                true
            }
            What::Transition { to, trigger, .. } => {
                self.life_cycle = *to;
                self.since = seq;
                if *trigger == Trigger::Restarted {
                    self.restored(seq);
                }
                if *to == LifeCycle::Done {
                    // What comes back under this name may be another asset, which has confirmed nothing.
                    self.held.clear();
                }
                true
            }
            What::Command(command) => self.ask(seq, at, origin, command),
            What::Step { command, step } => self.step(seq, *command, step),
            What::Related(relationship) => {
                let new = !self.relationships.contains(relationship);
                if new {
                    self.relationships.push(relationship.clone());
                }
                new
            }
            What::Unrelated(relationship) => {
                let before = self.relationships.len();
                self.relationships.retain(|r| r != relationship);
                self.relationships.len() < before
            }
        };
        self.rev += u64::from(changed);
        Applied { changed }
    }

    fn describe(&mut self, seq: Seq, description: &Arc<Description>) -> bool {
        self.description = description.clone();
        self.let_go();
        self.reported.resize_with(description.points.len(), || None);
        self.features.resize(description.features.len(), Touched::default());
        let before = self.alarms.len();
        self.alarms.retain(|index, _| description.point(*index).is_some_and(occurs));
        if self.alarms.len() < before {
            self.alarmed = seq;
        }
        for feature in &mut self.features {
            *feature = Touched { rev: feature.rev + 1, seq };
        }
        true
    }

    fn report(&mut self, seq: Seq, reported: &Reported) -> bool {
        let mut touched = None;
        for entry in &reported.entries {
            let Some(slot) = self.reported.get_mut(usize::from(entry.index)) else { continue };
            let source = reported.source.plus(entry.offset);
            match slot {
                Some(reading) => {
                    if entry.value.is_some() {
                        reading.value.clone_from(&entry.value);
                    }
                    (reading.quality, reading.source, reading.server) =
                        (entry.quality, source, reported.server);
                    (reading.seq, reading.command) = (seq, reported.command);
                }
                None => {
                    *slot = Some(Reading {
                        value: entry.value.clone(),
                        quality: entry.quality,
                        source,
                        server: reported.server,
                        seq,
                        command: reported.command,
                    });
                }
            }
            let feature = self.description.point(entry.index).map(|p| p.feature);
            if feature != touched {
                touched = feature;
                if let Some(f) = feature {
                    self.touch(seq, f);
                }
            }
        }
        !reported.entries.is_empty()
    }

    pub(crate) fn touch(&mut self, seq: Seq, feature: u16) {
        if let Some(touched) = self.features.get_mut(usize::from(feature))
            && touched.seq != seq
        {
            *touched = Touched { rev: touched.rev + 1, seq };
        }
    }

    fn touch_point(&mut self, seq: Seq, index: u16) -> bool {
        if let Some(feature) = self.description.point(index).map(|p| p.feature) {
            self.touch(seq, feature);
        }
        true
    }

    fn ask(&mut self, seq: Seq, at: Boottime, origin: &Origin, command: &crate::Command) -> bool {
        let id = CommandId(seq.0);
        self.desire(id, at, origin, command);
        let state = CommandState {
            command: command.clone(),
            by: origin.principal(),
            stage: Stage::Accepted,
            expected: None,
        };
        self.commands.insert(id, state);
        self.touch_point(seq, command.index)
    }

    fn step(&mut self, seq: Seq, id: CommandId, step: &Step) -> bool {
        let Some(known) = self.commands.get_mut(&id) else { return false };
        let Some(stage) = known.stage.after(step) else { return false };
        if let Step::Sent { expected } = step {
            known.expected = Some(expected.clone());
        }
        known.stage = stage.clone();
        let (index, expected) = (known.command.index, known.expected.clone());
        self.desired_at((index, id), &stage, expected);
        if stage.ended() {
            self.commands.remove(&id);
        }
        self.touch_point(seq, index)
    }

    /// Commits may be missing: revs jump so far ahead that none is ever shown twice for different content.
    pub(crate) fn jump(&mut self) {
        self.rev += Self::JUMP;
        for feature in &mut self.features {
            feature.rev += Self::JUMP;
        }
    }

    /// Its rev was at least this: it and its features' grow by what is missing, since each commit raises either by one
    /// at most.
    pub(crate) fn raise(&mut self, least: u64) {
        let missing = least.saturating_sub(self.rev);
        self.rev += missing;
        for feature in &mut self.features {
            feature.rev += missing;
        }
    }

    /// The commits that it speaks of.
    pub(crate) fn mentioned(&self) -> impl Iterator<Item = Seq> {
        let readings = self.reported.iter().flatten().map(|reading| reading.seq);
        let asked = self.desired.values().map(|desired| Seq(desired.command.0));
        let open = self.commands.keys().map(|id| Seq(id.0));
        let features = self.features.iter().map(|feature| feature.seq);
        let alarms = self.alarms.values().flat_map(|alarm| [alarm.seq, alarm.raised.0]);
        readings.chain(asked).chain(open).chain(features).chain(alarms).chain([self.since])
    }

    /// The reading's value where it is good; what a control decision may use.
    #[must_use]
    pub fn good(&self, index: u16) -> Option<&Value> {
        self.reading(index).filter(|r| r.quality == Quality::GOOD).and_then(|r| r.value.as_ref())
    }
}

/// Whether the point is an event that is in use.
fn occurs(point: &Point) -> bool {
    !point.retired && point.spec.kind == Kind::Event
}
