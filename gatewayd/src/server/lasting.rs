//! What operators change of twins that no configuration says: relationships, maintenance, and the end of a twin.

use control::{Answer, Code, Failure};
use twin::{
    Change, Deadline, Input, LifeCycle, Maintenance, Name, Origin, Principal, Relationship, State,
    TwinId, What,
};

use super::answers::not_now;
use super::find;
use crate::daemon::Hub;

/// Makes or ends a relationship of a twin; what is so already stays so.
pub async fn relate(
    hub: &Hub,
    by: &Principal,
    twin: &str,
    (name, target): (&str, &str),
    on: bool,
) -> Result<Answer, Failure> {
    let (id, relationship, known) = hub.store.read(|state| {
        let twin = find::twin(state, twin)?;
        let relationship = relationship(state, twin.id(), name, target, on)?;
        let known = twin.relationships().contains(&relationship);
        Ok::<_, Failure>((twin.id().clone(), relationship, known))
    })?;
    if !on && !known {
        let words = format!("{id} has no relationship {name} to {target}");
        return Err(Failure::new(Code::NotFound, words).help(format!("gatewayctl twins {id}")));
    }
    if on != known {
        let what = if on { What::Related(relationship) } else { What::Unrelated(relationship) };
        settle(hub, by, &id, what).await?;
        tracing::info!(twin = %id, "{by} {} {name} {target}", if on { "related" } else { "unrelated" });
    }
    let relationships = hub.store.read(|state| state.twin(&id).map(super::view::relationships));
    Ok(Answer::Related { twin: id.to_string(), relationships: relationships.unwrap_or_default() })
}

/// A relationship that may be made: to a twin here, or to one elsewhere by its URI.
fn relationship(
    state: &State,
    twin: &TwinId,
    name: &str,
    target: &str,
    on: bool,
) -> Result<Relationship, Failure> {
    let bad = |words: String| Failure::new(Code::BadRequest, words);
    let name: Name = name.parse().map_err(|error| {
        bad(format!("the name of a relationship, {name:?}: {error}"))
            .help("for example feeds, partOf")
    })?;
    // Whatever was made can be ended, also when its target is gone.
    if on && target == twin.as_str() {
        return Err(bad(format!("{twin} cannot be related to itself")));
    }
    if on && !is_uri(target) {
        find::twin(state, target).map_err(|failure| {
            let known = failure.help.unwrap_or_default();
            Failure::new(failure.code, failure.message)
                .help(format!("{known}; a twin on another gateway is named by its URI"))
        })?;
    }
    Ok(Relationship { name, target: target.into() })
}

/// Whether it begins with a scheme (RFC 3986 §3.1) and goes on.
fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let sound = scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(legal);
    sound && !rest.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// The longest maintenance: 30 days.
const LONGEST: u64 = 30 * 86_400_000;

/// Begins planned work on an asset, for so many milliseconds, or ends it.
pub async fn maintain(
    hub: &Hub,
    by: &Principal,
    twin: &str,
    for_ms: Option<u64>,
    reason: &str,
) -> Result<Answer, Failure> {
    let bad = |words: String| Failure::new(Code::BadRequest, words);
    let (id, under) = hub.store.read(|state| {
        let twin = find::twin(state, twin)?;
        Ok::<_, Failure>((twin.id().clone(), twin.maintenance().is_some()))
    })?;
    let maintenance = match for_ms {
        Some(0) => return Err(bad("maintenance takes some time".into())),
        Some(ms) if ms > LONGEST => {
            return Err(bad("maintenance ends after 30 days at the latest".into())
                .help("for longer, remove the device file: the twin is done until it comes back"));
        }
        Some(_) if reason.trim().is_empty() => {
            return Err(bad("maintenance has a reason".into()).help("--reason \"new bearings\""));
        }
        Some(ms) => Some(Maintenance {
            until: Deadline::after(hub.moment(), i64::try_from(ms).unwrap_or(i64::MAX) * 1_000),
            reason: reason.trim().into(),
            by: by.clone(),
        }),
        None if under => None,
        None => {
            return Err(Failure::new(Code::NotNow, format!("{id} is not under maintenance")));
        }
    };
    let word = if maintenance.is_some() { "begun" } else { "ended" };
    settle(hub, by, &id, What::Maintained(maintenance.clone())).await?;
    tracing::info!(twin = %id, "maintenance of {id} {word} by {by}");
    let maintenance = maintenance.as_ref().map(super::view::maintenance);
    Ok(Answer::Maintained { twin: id.to_string(), maintenance })
}

/// Ends a twin for good: its id may name another asset afterwards.
pub async fn purge(hub: &Hub, by: &Principal, twin: &str) -> Result<Answer, Failure> {
    let id = hub.store.read(|state| {
        let twin = find::twin(state, twin)?;
        if twin.life_cycle() == LifeCycle::Done {
            return Ok(twin.id().clone());
        }
        let (id, state) = (twin.id(), twin.life_cycle());
        let words = format!("{id} is {state}: only a twin that is done can be purged");
        let help = format!(
            "remove its file from devices.d, then: gatewayctl reload; gatewayctl purge {id}"
        );
        Err(Failure::new(Code::NotNow, words).help(help))
    })?;
    settle(hub, by, &id, What::Purged).await?;
    tracing::warn!(twin = %id, "{by} purged {id}");
    Ok(Answer::Purged { twin: id.to_string() })
}

async fn settle(hub: &Hub, by: &Principal, twin: &TwinId, what: What) -> Result<(), Failure> {
    let change = Change { twin: twin.clone(), origin: Origin::Principal(by.clone()), what };
    let done = hub.settle(Input::Change(change, None)).await;
    done.map(drop).map_err(|refusal| not_now(&refusal))
}

#[cfg(test)]
mod tests {
    use super::is_uri;

    #[test]
    fn uris_begin_with_a_scheme() {
        for uri in ["https://plant-8.example/twins/pump", "urn:dev:os:32473-1", "x:y"] {
            assert!(is_uri(uri), "{uri}");
        }
        for none in ["pump", "pump-7", ":x", "1a:x", "a b:c", "x:", "https://a b", "p/q:r"] {
            assert!(!is_uri(none), "{none}");
        }
    }
}
