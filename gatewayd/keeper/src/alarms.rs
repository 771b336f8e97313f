//! Raises and clears the alarms of twins: their rules held against what is read, and against time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use twin::{
    Alarm, Boottime, Care, Cause, Change, CommandState, Condition, ConditionState, Event,
    EventInstance, Handle, LifeCycle, Moment, Origin, Reading, State, TimeBase, Twin, What,
};
use twin_store::Fresh;

use crate::keeper::PATIENCE;

/// A rate is held against so many values of its time.
const STEPS: i64 = 16;

/// The alarms of all twins.
#[derive(Debug)]
pub(crate) struct Alarms {
    /// No other run has it.
    epoch: u32,
    /// How many occurrences this run has seen.
    occurrences: u32,
    twins: BTreeMap<Handle, Watches>,
}

/// The alarms of a twin, of one revision of its description.
#[derive(Debug, Default)]
struct Watches {
    revision: u32,
    all: Vec<Watch>,
}

/// One alarm.
#[derive(Debug)]
struct Watch {
    index: u16,
    rule: Arc<Alarm>,
    /// The point that it watches.
    point: u16,
    /// Whether the cause is present where that is otherwise than the alarm says, and since when.
    otherwise: Option<(bool, Boottime)>,
    /// What was submitted last, active and shelved, and when.
    said: Option<((bool, bool), Boottime)>,
    /// When the point was last known to be good.
    good: Boottime,
    past: Past,
}

impl Alarms {
    pub(crate) fn new(epoch: u32) -> Self {
        Self { epoch, occurrences: 0, twins: BTreeMap::new() }
    }

    /// Whether readings of this twin can raise an alarm.
    pub(crate) fn watches(&self, twin: Handle) -> bool {
        self.twins.get(&twin).is_some_and(|watches| !watches.all.is_empty())
    }

    /// Takes the rules of a twin, where they may be new.
    pub(crate) fn learn(&mut self, twin: &Twin, now: Boottime) {
        let watches = self.twins.entry(twin.handle()).or_default();
        if watches.revision != twin.description().revision {
            watches.revise(twin, now);
        }
    }

    /// The twins that have alarms.
    pub(crate) fn watched(&self) -> Vec<Handle> {
        let watched = self.twins.iter().filter(|(_, watches)| !watches.all.is_empty());
        watched.map(|(handle, _)| *handle).collect()
    }

    /// Holds the rules of a twin against what is known of it; gives back what is to be said.
    pub(crate) fn look(&mut self, twin: &Twin, fresh: &[(u16, Fresh)], now: Moment) -> Vec<Change> {
        self.learn(twin, now.boottime);
        let Some(watches) = self.twins.get_mut(&twin.handle()) else { return Vec::new() };
        let (epoch, occurrences) = (self.epoch, &mut self.occurrences);
        let mut said = Vec::new();
        for watch in &mut watches.all {
            let Some(active) = watch.due(twin, fresh, now) else { continue };
            let mut event = watch.event(twin, active, now);
            if active {
                *occurrences = occurrences.wrapping_add(1);
                event.instance = instance(epoch, *occurrences);
            }
            let (twin, origin) = (twin.id().clone(), Origin::Keeper);
            said.push(Change { twin, origin, what: What::Event(event) });
        }
        said
    }

    /// Twins that are gone.
    pub(crate) fn keep(&mut self, state: &State) {
        self.twins.retain(|handle, _| state.by_handle(*handle).is_some());
    }
}

fn instance(epoch: u32, occurrence: u32) -> EventInstance {
    [epoch.to_be_bytes(), occurrence.to_be_bytes()].concat().into()
}

impl Watches {
    /// A rule that stayed as it was keeps what is known of it.
    fn revise(&mut self, twin: &Twin, now: Boottime) {
        let description = twin.description();
        let mut before = std::mem::take(&mut self.all);
        self.revision = description.revision;
        for (index, spec) in (0u16..).zip(description.points.iter().map(|point| &point.spec)) {
            let Some(rule) = twin.rule(index).and(spec.rules.alarm.clone()) else { continue };
            let Some(point) = description.find(rule.feature.as_str(), rule.point.as_str()) else {
                continue;
            };
            let known = before
                .iter()
                .position(|w| (w.index, w.point) == (index, point) && w.rule == rule)
                .map(|at| before.swap_remove(at));
            self.all.push(known.unwrap_or_else(|| Watch {
                index,
                rule,
                point,
                otherwise: None,
                said: None,
                good: now,
                past: Past::default(),
            }));
        }
    }
}

impl Watch {
    /// Whether the alarm is to be active from now on, where something has to be said of it.
    fn due(&mut self, twin: &Twin, fresh: &[(u16, Fresh)], now: Moment) -> Option<bool> {
        let standing = twin.alarms().get(&self.index).map(|standing| &standing.event);
        let well = ConditionState { acknowledged: true, ..ConditionState::default() };
        let state = standing.map_or(well, |event| event.state);
        let present = match twin.life_cycle() {
            // Nobody looks at what is done any more.
            LifeCycle::Done => Some(false),
            LifeCycle::Created | LifeCycle::Migrating => None,
            _ => self.present(twin, fresh, state.active, now.boottime),
        };
        let active = match present {
            Some(present) if present != state.active => {
                let known = self.otherwise.filter(|(then, _)| *then == present);
                let (_, since) = *self.otherwise.insert(known.unwrap_or((present, now.boottime)));
                let wait = match (present, twin.life_cycle()) {
                    (_, LifeCycle::Done) => 0,
                    (true, _) => self.rule.delay,
                    (false, _) => self.rule.clear_delay,
                };
                if now.boottime.0 - since.0 >= wait { present } else { state.active }
            }
            // What is not known neither raises nor clears.
            _ => {
                self.otherwise = None;
                state.active
            }
        };
        let planned = twin.maintenance().is_some_and(|maintenance| maintenance.lasts(now));
        let silenced =
            standing.and_then(|event| event.until).is_some_and(|until| !until.passed(now));
        let wanted = (active, silenced || (planned && (active || !state.acknowledged)));
        if wanted == (state.active, state.shelved) {
            self.said = None;
            return None;
        }
        let waits = |(said, at): (_, Boottime)| said == wanted && now.boottime.0 - at.0 < PATIENCE;
        if self.said.is_some_and(waits) {
            return None;
        }
        self.said = Some((wanted, now.boottime));
        Some(active)
    }

    /// Whether the cause is present; `None` where that cannot be told.
    fn present(
        &mut self,
        twin: &Twin,
        fresh: &[(u16, Fresh)],
        active: bool,
        now: Boottime,
    ) -> Option<bool> {
        let spec = &twin.description().point(self.point)?.spec;
        // What an earlier run read says nothing of now.
        let fresh = fresh.iter().find(|(group, _)| *group == spec.group).map(|(_, fresh)| fresh);
        let reading = twin.reading(self.point).filter(|_| fresh.is_some());
        if let Condition::Stale(time) = self.rule.when {
            if let Some((reading, fresh)) = reading.zip(fresh)
                && reading.quality.is_good()
            {
                // An attempt that had failed would have left another quality.
                self.good = self.good.max(fresh.last_try.min(now));
            }
            return Some(now.0 - self.good.0 > time);
        }
        let told = |reading: &&Reading| {
            reading.quality.is_good() || reading.quality.cause == Cause::OutOfRange
        };
        let Some(value) = reading.filter(told).and_then(|reading| reading.value.as_ref()) else {
            self.past = Past::default();
            return None;
        };
        if let Condition::Rate { change, time } = self.rule.when {
            let number = value.as_f64(&spec.value_type).filter(|number| number.is_finite())?;
            return Some(self.past.moved(number, time, now) > change);
        }
        self.rule.when.shows(&spec.value_type, value, active)
    }

    /// What is to be said, before others have had their word.
    fn event(&self, twin: &Twin, active: bool, now: Moment) -> Event {
        let state = ConditionState { active, ..ConditionState::default() };
        let mut text = String::from(&*self.rule.text);
        let point = twin.description().point(self.point).map(|point| &point.spec);
        let value = twin.reading(self.point).and_then(|reading| reading.value.as_ref());
        if let Some((spec, value)) = point.zip(value) {
            let unit = spec.unit.as_ref().map(|unit| format!(" {unit}")).unwrap_or_default();
            text += &format!(": {}{unit}", spec.show(value));
        }
        Event {
            index: self.index,
            instance: EventInstance::default(),
            severity: self.rule.severity,
            state,
            occurred: TimeBase::gateway(now.boottime),
            text: text.into(),
            fields: None,
            until: None,
        }
    }
}

/// The values of a point within a time, thinned to so many that memory is bounded.
#[derive(Debug, Default)]
struct Past(VecDeque<(Boottime, f64)>);

impl Past {
    /// Takes the present value in; how far it is from the farthest of the last `time`.
    fn moved(&mut self, number: f64, time: i64, now: Boottime) -> f64 {
        // The newest of those before the time was the value when it began.
        while self.0.get(1).is_some_and(|(at, _)| now.0 - at.0 >= time) {
            self.0.pop_front();
        }
        let far = self.0.iter().map(|(_, then)| (number - then).abs()).fold(0.0, f64::max);
        if self.0.back().is_none_or(|(at, _)| now.0 - at.0 >= time / STEPS) {
            self.0.push_back((now, number));
        }
        far
    }
}

/// Whether what an operator asked of an alarm is so.
pub(crate) fn cared(twin: &Twin, command: &CommandState) -> bool {
    let event = twin.alarms().get(&command.command.index).map(|standing| &standing.event);
    match Care::of(&command.command.order) {
        Ok(Care::Acknowledge(_)) => event.is_none_or(|event| event.state.acknowledged),
        Ok(Care::Shelve(0)) => event.is_none_or(|event| event.until.is_none()),
        Ok(Care::Shelve(_)) => event.is_some_and(|event| event.until.is_some()),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000;

    #[test]
    fn a_rate_is_held_against_all_of_its_time_and_no_more() {
        let mut past = Past::default();
        let mut moved = |second: i64, number| past.moved(number, 60 * S, Boottime(second * S));
        assert!(moved(0, 10.0) == 0.0, "one value has not moved");
        assert!(moved(10, 12.0) == 2.0);
        assert!(moved(20, 8.0) == 4.0, "from the farthest, not from the first");
        assert!(moved(30, 12.0) == 4.0);
        assert!(moved(70, 12.0) == 4.0, "at its beginning it was 12, and then 8");
        assert!(moved(85, 12.0) == 4.0, "8 until 30");
        assert!(moved(91, 12.0) == 0.0);
    }

    #[test]
    fn its_memory_is_bounded_however_often_it_is_looked_at() {
        let mut past = Past::default();
        for tick in 0..10_000 {
            past.moved(1.0, 60 * S, Boottime(tick * S / 4));
        }
        assert!(past.0.len() <= STEPS as usize + 2, "{}", past.0.len());
    }
}
