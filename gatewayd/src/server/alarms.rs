//! Alarms of twins: what stands, and what operators do about it.

use control::{Answer, Code, Failure};
use twin::{Care, Change, Input, Moment, Origin, Principal, State, Twin, TwinId, What};

use super::answers::not_now;
use super::find;
use crate::daemon::Hub;

/// The alarms that stand, of this twin or of all; `all`: those that do not stand as well.
pub fn show(hub: &Hub, only: Option<&str>, all: bool) -> Result<Answer, Failure> {
    let now = hub.moment();
    let alarms = hub.store.read(|state| {
        let of = |twin: &Twin| -> Vec<control::TwinAlarm> {
            indexes(twin).filter_map(|index| alarm(state, twin, index, all, now)).collect()
        };
        match only {
            Some(id) => find::twin(state, id).map(of),
            None => Ok(state.twins().flat_map(of).collect()),
        }
    })?;
    Ok(Answer::Alarms { alarms })
}

/// The indexes of a twin's alarms.
pub fn indexes(twin: &Twin) -> impl Iterator<Item = u16> {
    let points = (0u16..).zip(&twin.description().points);
    points
        .map(|(index, _)| index)
        .filter(|index| twin.rule(*index).is_some() || twin.alarms().contains_key(index))
}

/// An alarm as it stands; `None` where it does not, unless `all`.
pub fn alarm(
    state: &State,
    twin: &Twin,
    index: u16,
    all: bool,
    now: Moment,
) -> Option<control::TwinAlarm> {
    let standing = twin.alarms().get(&index);
    if standing.is_none() && !all {
        return None;
    }
    let rule = twin.rule(index);
    let event = standing.map(|standing| &standing.event);
    let since = standing.and_then(|s| state.timeline().resolve_base(s.raised.0, s.raised.1));
    let when = rule.and_then(|rule| {
        let description = twin.description();
        let watched = description.find(rule.feature.as_str(), rule.point.as_str())?;
        let spec = &description.point(watched)?.spec;
        Some(format!("{}/{} {}", rule.feature, rule.point, rule.when.words(spec)))
    });
    let text = event.map(|event| event.text.clone()).filter(|text| !text.is_empty());
    Some(control::TwinAlarm {
        twin: twin.id().to_string(),
        alarm: find::name(twin.description(), index),
        active: event.is_some_and(|event| event.state.active),
        acknowledged: event.is_none_or(|event| event.state.acknowledged),
        shelved: event.is_some_and(|event| event.state.shelved),
        severity: rule.map(|rule| rule.severity).or(event.map(|e| e.severity)).unwrap_or(0),
        text: text.or_else(|| rule.map(|rule| rule.text.clone())).unwrap_or_default().to_string(),
        when,
        since: since.map(|at| at.to_string()),
        for_ms: since
            .zip(now.utc)
            .map(|(at, now)| u64::try_from((now.0 - at.0) / 1_000).unwrap_or(0)),
        shelved_until: event.and_then(|e| e.until?.utc).map(|until| until.to_string()),
        instance: event.map(|e| e.instance.iter().map(|byte| format!("{byte:02x}")).collect()),
    })
}

/// Acknowledges an alarm of a twin, or all of them that are not; or shelves one, for so many milliseconds.
pub async fn care(
    hub: &Hub,
    by: &Principal,
    twin: &str,
    alarm: Option<&str>,
    care: Care,
) -> Result<Answer, Failure> {
    let now = hub.moment();
    let (id, wanted) = hub.store.read(|state| {
        let twin = find::twin(state, twin)?;
        let wanted = match alarm {
            Some(called) => vec![named(twin, called)?],
            None => {
                let open = |index: &u16| {
                    twin.alarms().get(index).is_some_and(|s| !s.event.state.acknowledged)
                };
                indexes(twin).filter(open).collect()
            }
        };
        Ok::<_, Failure>((twin.id().clone(), wanted))
    })?;
    if wanted.is_empty() {
        let words = format!("{id} has no alarm that is not acknowledged");
        return Err(Failure::new(Code::NotNow, words).help(format!("gatewayctl alarms {id}")));
    }
    for index in &wanted {
        settle(hub, by, &id, *index, &care, now).await?;
    }
    let alarms = hub.store.read(|state| {
        let twin = state.twin(&id)?;
        Some(wanted.iter().filter_map(|at| self::alarm(state, twin, *at, true, now)).collect())
    });
    Ok(Answer::Alarms { alarms: alarms.unwrap_or_default() })
}

async fn settle(
    hub: &Hub,
    by: &Principal,
    id: &TwinId,
    index: u16,
    care: &Care,
    now: Moment,
) -> Result<(), Failure> {
    let (event, name) = hub.store.read(|state| {
        let gone = || Failure::new(Code::NotFound, format!("{id} is gone"));
        let twin = state.twin(id).ok_or_else(gone)?;
        let refused =
            |words| Failure::new(Code::NotNow, words).help(format!("gatewayctl alarms {id} --all"));
        let event = twin.care(index, care, now).map_err(refused)?;
        Ok::<_, Failure>((event, find::name(twin.description(), index)))
    })?;
    let origin = Origin::Principal(by.clone());
    let change = Change { twin: id.clone(), origin, what: What::Event(event) };
    hub.settle(Input::Change(change, None)).await.map_err(|refusal| not_now(&refusal))?;
    let did = match care {
        Care::Acknowledge(_) => "acknowledged",
        Care::Shelve(0) => "unshelved",
        Care::Shelve(_) => "shelved",
    };
    tracing::info!(twin = %id, "{by} {did} the alarm {name}");
    Ok(())
}

fn named(twin: &Twin, called: &str) -> Result<u16, Failure> {
    let description = twin.description();
    let last = |index: &u16| description.point(*index).map(|point| point.spec.name.to_string());
    let found: Vec<u16> = indexes(twin)
        .filter(|index| {
            find::name(description, *index) == called || last(index).as_deref() == Some(called)
        })
        .collect();
    let help = format!("its alarms: gatewayctl alarms {} --all", twin.id());
    find::one(twin, "alarm", called, (&found, indexes(twin)), help)
}
