//! Desired values that are held: what the asset has confirmed is asked of it again when it leaves it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{
    Boottime, Command, CommandId, Desired, Moment, Order, Origin, Outcome, PointSpec, Reading,
    Stage, State, Twin, Value, Writable,
};

/// Microseconds without a re-assertion after which they are counted anew.
const ROW: i64 = 3_600_000_000;

/// How often a desired value is asserted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// Microseconds between two commands at least.
    pub interval: i64,
    /// So many times in a row at most, that is each within an hour of the last; then only a new command helps.
    pub times: u16,
}

impl Default for Hold {
    fn default() -> Self {
        Self { interval: 10_000_000, times: 10 }
    }
}

/// A desired value that its asset has confirmed, and has to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// What the asset gives while it keeps the value: `decode(encode(value))`.
    pub expected: Value,
    /// How often it was asserted again in a row.
    pub times: u32,
}

impl Twin {
    /// Desired values that are held, by index.
    #[must_use]
    pub fn held(&self) -> &BTreeMap<u16, Held> {
        &self.held
    }

    /// What was asked of a property that its asset does not keep, and by which reading, where the description wants it
    /// asserted again and the time for it has come; whether a command may be given is [`crate::admit`]'s to say.
    #[must_use]
    pub fn left(&self, state: &State, index: u16, now: Moment) -> Option<(&Desired, &Reading)> {
        let (held, desired) = (self.held.get(&index)?, self.desired.get(&index)?);
        let (spec, writable) = self.holding(index)?;
        let limits = &spec.rules.guard.hold;
        let passed = desired.passed(state, now);
        // Between two re-assertions there is room for a command of somebody, whatever `write_interval` is.
        let interval = limits.interval.max(spec.rules.guard.interval.saturating_mul(2));
        let waits = passed.is_some_and(|passed| passed < interval);
        if waits || !desired.stage.ended() || held.times >= u32::from(limits.times) {
            return None;
        }
        let reading = self.reading(index).filter(|reading| reading.quality.is_said())?;
        let found = reading.value.as_ref()?;
        let kept = spec.value_type.alike(&held.expected, found, writable.tolerance);
        (!kept).then_some((desired, reading))
    }

    /// The key of the command that asks again for what somebody has asked for. As long as the last command is the same,
    /// so is the key: what is submitted twice is asked once.
    #[must_use]
    pub fn hold_key(desired: &Desired) -> Arc<str> {
        format!("hold-{}", desired.command.0).into()
    }

    /// Whether this command of the keeper still asks for what [`Twin::left`] says.
    #[must_use]
    pub fn again(&self, state: &State, command: &Command, now: Moment) -> bool {
        let left = self.left(state, command.index, now);
        left.is_some_and(|(desired, _)| Self::hold_key(desired) == command.key)
    }

    /// A command was accepted. One of the keeper repeats what somebody has asked for; who that was stays.
    pub(crate) fn desire(
        &mut self,
        id: CommandId,
        at: Boottime,
        origin: &Origin,
        command: &Command,
    ) {
        let Order::Write(value) = &command.order else { return };
        let index = command.index;
        if *origin == Origin::Keeper
            && let Some(held) = self.held.get_mut(&index)
            && let Some(desired) = self.desired.get_mut(&index)
        {
            let passed = at.0.saturating_sub(desired.at.0);
            held.times = if passed > ROW { 1 } else { held.times.saturating_add(1) };
            (desired.command, desired.at, desired.stage) = (id, at, Stage::Accepted);
            return;
        }
        self.held.remove(&index);
        let desired = Desired {
            value: value.clone(),
            version: self.desired.get(&index).map_or(1, |d| d.version + 1),
            command: id,
            by: origin.principal(),
            at,
            stage: Stage::Accepted,
        };
        self.desired.insert(index, desired);
    }

    /// A command went on to this stage; `expected` is what its read-back should give.
    pub(crate) fn desired_at(
        &mut self,
        (index, id): (u16, CommandId),
        stage: &Stage,
        expected: Option<Value>,
    ) {
        let Some(desired) = self.desired.get_mut(&index).filter(|d| d.command == id) else {
            return;
        };
        desired.stage = stage.clone();
        if *stage == Stage::Ended(Outcome::Confirmed)
            && self.holding(index).is_some()
            && let Some(expected) = expected
        {
            self.held.entry(index).or_insert(Held { expected, times: 0 });
        }
    }

    /// The description has changed: what it does not want held any more is let go.
    pub(crate) fn let_go(&mut self) {
        let mut held = std::mem::take(&mut self.held);
        held.retain(|index, _| self.holding(*index).is_some());
        self.held = held;
    }

    /// The point, where the description wants what it is asked for held.
    fn holding(&self, index: u16) -> Option<(&PointSpec, &Writable)> {
        let spec = &self.description.point(index).filter(|point| !point.retired)?.spec;
        let writable = spec.access.writable.as_ref().filter(|writable| writable.hold)?;
        Some((spec, writable))
    }
}

impl Desired {
    /// Microseconds since its command was accepted; `None` where that was during another boot, on another clock.
    #[must_use]
    pub fn passed(&self, state: &State, now: Moment) -> Option<i64> {
        let comparable = self.command.0 >= state.timeline().booted().0;
        comparable.then(|| now.boottime.0.saturating_sub(self.at.0))
    }
}
