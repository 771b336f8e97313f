//! The native dialect, "MQTT twins": the topic tree and JSON that TOPICS.md documents.

mod commands;
mod documents;
mod keys;
mod readings;
mod records;

use twin::{
    Body, Commit, Handle, Moment, Principal, PrincipalKind, Seq, State, Twin, TwinId, What,
};
use twin_store::{Frame, Kind};

use crate::dialect::{Answer, Asked, Dialect, Document, Envelope, Incoming, Message, Said};
use crate::json;
use crate::spec::Pattern;
use keys::Keys;
use readings::{Identity, Shared};

/// The native dialect of one link.
#[derive(Debug)]
pub struct Twins {
    gateway: String,
    prefix: String,
    principal: Principal,
    commands: bool,
    points: Vec<Pattern>,
    /// By handle.
    keys: Vec<Keys>,
}

impl Twins {
    /// The native dialect for the link `link` of this gateway, with all topics under `prefix`.
    ///
    /// `commands` says whether it listens for commands at all.
    #[must_use]
    pub fn new(gateway: &str, prefix: &str, link: &str, commands: bool) -> Self {
        Self {
            gateway: gateway.into(),
            prefix: prefix.into(),
            principal: Principal { kind: PrincipalKind::Link, name: link.into() },
            commands,
            points: vec![Pattern::new("*")],
            keys: Vec::new(),
        }
    }

    /// The same, with the points alone that match one of these patterns of `twin/feature/name`.
    #[must_use]
    pub fn of_points(self, points: &[Pattern]) -> Self {
        Self { points: points.to_vec(), ..self }
    }

    /// The fragments of a twin, made anew when its description has changed.
    fn keys<'a>(
        all: &'a mut Vec<Keys>,
        (prefix, gateway): (&str, &str),
        points: &[Pattern],
        twin: &Twin,
    ) -> Option<&'a Keys> {
        let at = usize::try_from(twin.handle().0).ok()?;
        if all.len() <= at {
            all.resize_with(at + 1, Keys::default);
        }
        let keys = all.get_mut(at)?;
        if keys.topics.is_empty() || keys.revision != twin.description().revision {
            *keys = Keys::new(prefix, gateway, (twin.id(), twin.description()), points);
        }
        Some(keys)
    }

    fn message(&self, level: &str, payload: Vec<u8>, retain: bool) -> Message {
        Message { topic: format!("{}/{level}", self.prefix), payload, retain }
    }
}

impl Dialect for Twins {
    fn offline(&self) -> Option<Message> {
        Some(self.message("status", documents::offline(&self.gateway), true))
    }

    fn online(&mut self, state: &State) -> Option<Message> {
        Some(self.message("status", documents::status(&self.gateway, state), true))
    }

    fn subscriptions(&self) -> Vec<String> {
        let commands = self.commands.then(|| format!("{}/twins/+/commands", self.prefix));
        commands.into_iter().collect()
    }

    fn stream(&mut self, twin: &Twin, topic: &mut String) -> bool {
        let of = (&*self.prefix, &*self.gateway);
        let keys = Self::keys(&mut self.keys, of, &self.points, twin);
        let Some(keys) = keys else { return false };
        topic.clone_from(&keys.topics);
        topic.push_str("stream");
        true
    }

    fn readings(
        &mut self,
        state: &State,
        twin: &Twin,
        frame: &Frame,
        historical: bool,
        out: &mut Vec<u8>,
    ) -> usize {
        let Some(keys) = key_of(&self.keys, twin.handle()) else { return 0 };
        let description = twin.description();
        let Some(view) = frame.reported(description) else { return 0 };
        let shared = Shared {
            source: view.source,
            server: view.server,
            command: view.command,
            continued: view.continued,
            backfilled: frame.kind == Kind::Backfilled,
        };
        let identity = Identity { epoch: frame.epoch, seq: frame.seq, historical };
        let timeline = state.timeline();
        if keys.all() {
            readings::write(out, keys, description, timeline, identity, &shared, view.iter());
            return view.len();
        }
        let wanted = view.iter().filter(|entry| keys.wants(entry.index));
        readings::write(out, keys, description, timeline, identity, &shared, wanted.clone());
        wanted.count()
    }

    fn envelope(&self) -> Option<Envelope> {
        Some(Envelope {
            topic: format!("{}/batch", self.prefix),
            gzip_topic: format!("{}/batch/gzip", self.prefix),
            begin: "[",
            between: ",",
            end: "]",
            content_type: "application/json",
        })
    }

    fn record(&mut self, state: &State, commit: &Commit, historical: bool) -> Option<Message> {
        let Body::Twin { handle, twin: id, what, .. } = &commit.body else {
            let own = &*self.principal.name;
            let (level, payload) = records::gateway(&self.gateway, own, state, commit, historical)?;
            return Some(self.message(level, payload, false));
        };
        let gone;
        let twin = match state.by_handle(*handle) {
            Some(twin) => twin,
            None if matches!(what, What::Purged) => {
                gone = Twin::new(id.clone(), *handle);
                &gone
            }
            None => return None,
        };
        let of = (&*self.prefix, &*self.gateway);
        let keys = Self::keys(&mut self.keys, of, &self.points, twin)?;
        let (level, payload) =
            records::twin(keys, state, twin, commit, historical, &self.principal)?;
        Some(Message { topic: format!("{}{level}", keys.topics), payload, retain: false })
    }

    fn document(
        &mut self,
        state: &State,
        twin: &Twin,
        document: Document,
        topic: &mut String,
        out: &mut Vec<u8>,
    ) -> bool {
        let of = (&*self.prefix, &*self.gateway);
        let keys = Self::keys(&mut self.keys, of, &self.points, twin);
        let Some(keys) = keys else { return false };
        topic.clone_from(&keys.topics);
        match document {
            Document::Description => {
                topic.push_str("description");
                out.extend_from_slice(&documents::description(&self.gateway, keys, twin));
            }
            Document::LifeCycle => {
                topic.push_str("lifecycle");
                documents::life_cycle(out, keys, state, twin);
            }
            Document::Entanglement => {
                topic.push_str("entanglement");
                documents::entanglement(out, keys, state, twin);
            }
            Document::Alarms => {
                topic.push_str("alarms");
                documents::alarms(out, keys, state, twin);
            }
            Document::Feature(feature) => {
                let Some(name) = twin.description().features.get(usize::from(feature)) else {
                    return false;
                };
                if !keys.all() && keys.properties(feature).is_empty() {
                    return false;
                }
                topic.push_str("state/");
                topic.push_str(name.as_str());
                documents::feature(out, keys, state, twin, feature);
            }
        }
        true
    }

    fn purged(
        &mut self,
        state: &State,
        handle: Handle,
        twin: &TwinId,
        features: &[twin::Name],
    ) -> Vec<String> {
        if let Some(keys) = usize::try_from(handle.0).ok().and_then(|at| self.keys.get_mut(at)) {
            *keys = Keys::default();
        }
        let heir = state.twin(twin).map(|heir| &heir.description().features);
        let left = features.iter().filter(|f| heir.is_none_or(|features| !features.contains(f)));
        let states = left.map(|feature| format!("state/{feature}"));
        let whole = ["description", "lifecycle", "entanglement", "alarms"];
        let whole = whole.map(String::from).into_iter();
        let levels = whole.filter(|_| heir.is_none()).chain(states);
        levels.map(|level| format!("{}/twins/{twin}/{level}", self.prefix)).collect()
    }

    fn incoming(&mut self, state: &State, now: Moment, message: &Incoming<'_>) -> Option<Asked> {
        let below = message.topic.strip_prefix(&*self.prefix)?.strip_prefix("/twins/")?;
        let twin: TwinId = below.strip_suffix("/commands")?.parse().ok()?;
        // Nothing is how a retained message is cleared (3.1.1 §3.3.1.3); it asks for nothing.
        if message.payload.is_empty() {
            return None;
        }
        Some(commands::parse(state, now, twin, message))
    }

    fn answer(&self, state: &State, answer: &Answer<'_>) -> Option<Message> {
        let mut out = b"{\"gateway\":".to_vec();
        json::string(&mut out, &self.gateway);
        out.extend_from_slice(b",\"twin\":");
        json::string(&mut out, answer.twin.as_str());
        if let Said::Known(entry, _) = answer.said {
            let epoch = state.timeline().span_of(entry.seq).map_or(state.epoch(), |s| s.epoch);
            out.extend_from_slice(b",\"epoch\":");
            json::number(&mut out, epoch);
            out.extend_from_slice(b",\"seq\":");
            json::number(&mut out, entry.seq.0);
        }
        if let Some(key) = answer.key {
            records::outcome_id(&mut out, key, None);
        }
        match answer.said {
            Said::Known(entry, differs) => {
                out.extend_from_slice(b",\"repeat\":true,");
                if differs {
                    out.extend_from_slice(b"\"differs\":true,");
                }
                documents::stage(&mut out, &entry.stage);
            }
            Said::Refused(reason, words) => {
                out.push(b',');
                records::refused(&mut out, reason, words);
            }
        }
        out.push(b'}');
        Some(self.message(&format!("twins/{}/outcomes", answer.twin), out, false))
    }

    fn overtaken(&self, state: &State, first: Seq, last: Seq, cause: &str) -> Option<Message> {
        let mut out = b"{\"gateway\":".to_vec();
        json::string(&mut out, &self.gateway);
        out.extend_from_slice(b",\"epoch\":");
        json::number(&mut out, state.epoch());
        records::gap(&mut out, first, last, cause);
        out.push(b'}');
        Some(self.message("gaps", out, false))
    }
}

fn key_of(keys: &[Keys], handle: Handle) -> Option<&Keys> {
    keys.get(usize::try_from(handle.0).ok()?)
}

/// Reads hostile bytes as a command to a twin of a small description; must never panic.
#[doc(hidden)]
pub fn fuzz_command(data: &[u8]) {
    let mut dialect = Twins::new("g", "p", "l", true);
    let state = State::default();
    let now = Moment { boottime: twin::Boottime(0), boot: twin::BootId([0; 16]), utc: None };
    let topic = "p/twins/t/commands";
    let asked = dialect.incoming(&state, now, &Incoming { topic, payload: data, retained: false });
    assert!(asked.is_none_or(|asked| asked.command.is_err()), "there is no twin to command");
}

#[cfg(test)]
mod tests;
