//! What may happen: every submission is checked against the model before it becomes a commit.

use std::sync::Arc;

use twin::{
    Accepted, Acquisition, Boottime, Change, Command, Description, GatewayEvent, Handle, Input,
    Moment, Origin, Outcome, Refusal, Seen, Step, TwinId, What, admit,
};

use crate::core::{Answer, Core, accepted, refused};
use crate::record;
use crate::shared::Inner;

impl Core {
    pub(crate) fn input(&mut self, inner: &mut Inner, input: Input, now: Moment) -> Answer {
        match input {
            Input::Seen(seen) => match inner.state.twin(&seen.twin).map(twin::Twin::handle) {
                Some(handle) => {
                    see(inner, handle, &seen, now.boottime);
                    Ok(accepted(inner.head))
                }
                None => Err(Refusal::NoSuchTwin),
            },
            Input::Gateway(event) => self.event(inner, event, now),
            Input::Change(change, seen) => self.twin_change(inner, change, seen, now),
        }
    }

    fn event(&mut self, inner: &mut Inner, event: GatewayEvent, now: Moment) -> Answer {
        match &event {
            GatewayEvent::Writes { on, .. } if *on == inner.state.writes_on() => {
                Ok(accepted(inner.head))
            }
            GatewayEvent::Writes { .. }
            | GatewayEvent::ClockSet { .. }
            | GatewayEvent::PassedOver { .. } => self.gateway(inner, event, now).map(accepted),
            GatewayEvent::Opened { .. }
            | GatewayEvent::Gap { .. }
            | GatewayEvent::Revs { .. }
            | GatewayEvent::Forgotten { .. } => {
                Err(Refusal::Invalid("only the store itself says this".into()))
            }
        }
    }

    fn twin_change(
        &mut self,
        inner: &mut Inner,
        change: Change,
        seen: Option<Seen>,
        now: Moment,
    ) -> Answer {
        let Change { twin: id, origin, mut what } = change;
        let known = inner.state.twin(&id);
        let handle = match (known, &what) {
            (Some(twin), _) => twin.handle(),
            (None, What::Described(_)) => inner.state.next_handle(),
            (None, _) => return Err(Refusal::NoSuchTwin),
        };
        if let Some(seen) = seen {
            see(inner, handle, &seen, now.boottime);
        }
        let Some(twin) = inner.state.by_handle(handle) else {
            return match what {
                What::Described(d) => {
                    sound(&Description::default(), &d).map_err(invalid)?;
                    self.change(inner, (handle, id), origin, What::Described(d), now)
                }
                _ => Err(Refusal::NoSuchTwin),
            };
        };
        if !record::by_outsiders(&what) {
            return Err(invalid("only the store itself says this".to_owned()));
        }
        match &mut what {
            What::Command(command) => {
                let command = command.clone();
                return self.command(inner, (handle, id), origin, command, now);
            }
            What::Refused { key, .. } => {
                if let Some(answer) = known_command(inner, &origin, key) {
                    return Ok(answer);
                }
            }
            What::Step { step: Step::Sent { .. }, .. } if !inner.state.writes_on() => {
                return Err(invalid("writes are off on this gateway".to_owned()));
            }
            What::Described(d) if **d == **twin.description() => return Ok(accepted(inner.head)),
            What::Described(d) => sound(twin.description(), d).map_err(invalid)?,
            What::Event(event) => {
                let checked = twin.check(&What::Event(event.clone()));
                checked.map_err(invalid)?;
                if !twin.settle(&origin, event, now).map_err(invalid)? {
                    return Ok(accepted(inner.head));
                }
            }
            what => {
                let checked = twin.check(what);
                if checked.is_err() && matches!(what, What::Transition { .. }) {
                    inner.counters.refused_transitions += 1;
                }
                checked.map_err(invalid)?;
            }
        }
        if let What::Reported(reported) | What::Backfilled(reported) = &mut what {
            twin.condition(reported);
        }
        if let What::Reported(reported) = &mut what {
            twin.reduce(reported, inner.state.timeline().booted());
            if reported.entries.is_empty() {
                inner.counters.unchanged += 1;
                return Ok(accepted(inner.head));
            }
        }
        if matches!(what, What::Purged) {
            return self.purge(inner, (handle, id), origin, now);
        }
        self.change(inner, (handle, id), origin, what, now)
    }

    /// A twin goes for good. Whoever waits for a command of it hears first how that ended.
    fn purge(
        &mut self,
        inner: &mut Inner,
        twin: (Handle, TwinId),
        origin: Origin,
        now: Moment,
    ) -> Answer {
        let open = inner.state.by_handle(twin.0).map(|t| t.commands().clone());
        for (command, known) in open.unwrap_or_default() {
            let Some(outcome) = known.stage.when_purged() else { continue };
            let what = What::Step { command, step: Step::Ended(outcome) };
            self.change(inner, twin.clone(), Origin::Keeper, what, now)?;
        }
        let handle = twin.0;
        let answer = self.change(inner, twin, origin, What::Purged, now)?;
        inner.freshness.forget(handle);
        Ok(answer)
    }

    /// A command is accepted or refused on record; one that is known by its key is answered from the record.
    fn command(
        &mut self,
        inner: &mut Inner,
        twin: (Handle, TwinId),
        origin: Origin,
        command: Command,
        now: Moment,
    ) -> Answer {
        if let Some(answer) = known_command(inner, &origin, &command.key) {
            return Ok(answer);
        }
        let Some(known) = inner.state.by_handle(twin.0) else { return Err(Refusal::NoSuchTwin) };
        // What the keeper asks again it saw a moment ago: somebody may have asked for something else since, or nothing
        // may be asked any more. Then there is nothing to record.
        if origin == Origin::Keeper && !known.again(&inner.state, &command, now) {
            return Ok(accepted(inner.head));
        }
        match admit(&inner.state, known, &command, now) {
            Ok(()) => self.change(inner, twin, origin, What::Command(command), now),
            Err(_) if origin == Origin::Keeper => Ok(accepted(inner.head)),
            Err((reason, detail)) => {
                let outcome = Outcome::Rejected(reason, detail.clone());
                let (key, index) = (command.key, Some(command.index));
                let what = What::Refused { key, index, reason, detail };
                let told = self.change(inner, twin, origin, what, now)?;
                Ok(refused(told.seq, outcome))
            }
        }
    }
}

/// Where the command with this key stands, if its caller has asked before.
fn known_command(inner: &Inner, origin: &Origin, key: &Arc<str>) -> Option<Accepted> {
    let entry = inner.state.ledger().find(&origin.principal(), key)?;
    Some(Accepted { seq: entry.seq, known: Some(entry.clone()), refused: None })
}

fn invalid(words: String) -> Refusal {
    Refusal::Invalid(Arc::from(words))
}

/// Notes an acquisition. In time is what was asked for within a tenth of its interval, 10 ms at least.
fn see(inner: &mut Inner, handle: Handle, seen: &Seen, now: Boottime) {
    let twin = inner.state.by_handle(handle);
    let group = twin.and_then(|t| t.description().groups.get(usize::from(seen.group)));
    let interval = match group.map(|g| g.acquisition) {
        Some(Acquisition::Polled { interval } | Acquisition::Pushed { interval, .. }) => interval,
        Some(Acquisition::OnDemand) | None => 0,
    };
    let timeliness = twin.map_or(0, |twin| twin.description().policy.entanglement.timeliness);
    let prompt = now.0.saturating_sub(seen.at.0) <= timeliness;
    inner.freshness.seen(handle, seen, (interval / 10).max(10_000), prompt);
}

/// Whether `new` may follow `old`: revisions grow, and only add or retire.
fn sound(old: &Description, new: &Description) -> Result<(), String> {
    if new.revision <= old.revision {
        return Err(format!("revision {} does not follow {}", new.revision, old.revision));
    }
    if new.points.len() > Description::MAX_POINTS {
        return Err(format!("{} points are too many", new.points.len()));
    }
    if new.points.len() < old.points.len() {
        return Err("an index that was given is missing".into());
    }
    for (i, (a, b)) in old.points.iter().zip(&new.points).enumerate() {
        if a.spec.value_type != b.spec.value_type {
            return Err(format!("index {i} cannot change its type"));
        }
        if (&a.spec.feature, &a.spec.name) != (&b.spec.feature, &b.spec.name) {
            return Err(format!("index {i} cannot become another point"));
        }
    }
    if !new.features.starts_with(&old.features) {
        return Err("a feature cannot change its index".into());
    }
    let lost = |p: &twin::Point| new.features.get(usize::from(p.feature)) != Some(&p.spec.feature);
    match new.points.iter().find(|p| lost(p)) {
        Some(point) => Err(format!("{} does not name its feature", point.spec.name)),
        None => Ok(()),
    }
}
