//! What a link wants of the log: classes, twins and points by name pattern. Nothing is decoded to find out.

use twin::{Handle, State, Twin};

use crate::codec::Take;
use crate::frame::{Class, Frame, Kind};
use crate::record::{self, reported};

/// How a link reads the log.
#[derive(Debug, Clone)]
pub struct LinkOptions {
    /// The classes that it carries.
    pub classes: Vec<Class>,
    /// Patterns of twin ids (`*` any characters, `?` any one); empty = all twins.
    pub twins: Vec<String>,
    /// Patterns of `twin/feature/name`; empty = all points. Readings and events of others are left out.
    pub points: Vec<String>,
    /// One lane per class even after an outage: older commits go before newer ones.
    pub strict: bool,
}

impl Default for LinkOptions {
    fn default() -> Self {
        let (twins, points) = (Vec::new(), Vec::new());
        Self { classes: Class::ALL.to_vec(), twins, points, strict: false }
    }
}

/// A link's choice, decided once per twin.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    classes: [bool; 3],
    twins: Vec<String>,
    points: Vec<String>,
    strict: bool,
    known: Vec<Option<Choice>>,
}

/// What a link wants of one twin.
#[derive(Debug, Clone)]
struct Choice {
    wanted: bool,
    /// By index; empty where all are wanted.
    points: Vec<bool>,
}

impl Choice {
    fn of(twin: &Twin, filter: &Filter) -> Self {
        let wanted = filter.twins.is_empty() || any(&filter.twins, twin.id().as_str());
        let points = twin.description().points.iter().map(|point| {
            let path = format!("{}/{}/{}", twin.id(), point.spec.feature, point.spec.name);
            any(&filter.points, &path)
        });
        let points = if filter.points.is_empty() { Vec::new() } else { points.collect() };
        Self { wanted, points }
    }

    /// Points are only ever added to a description.
    fn is_of(&self, twin: &Twin) -> bool {
        self.points.is_empty() || self.points.len() == twin.description().points.len()
    }

    /// Whether something of it is for the link.
    fn touches(&self, frame: &Frame) -> bool {
        if self.points.is_empty() {
            return true;
        }
        match frame.kind {
            Kind::Reported | Kind::Backfilled => {
                // What makes no sense is found out by whoever decodes it.
                reported::touches(Take(&frame.payload), frame.at, &self.points).unwrap_or(true)
            }
            Kind::Event => record::event_index(&frame.payload)
                .and_then(|index| self.points.get(usize::from(index)).copied())
                .unwrap_or(true),
            _ => true,
        }
    }
}

impl Filter {
    pub(crate) fn new(options: LinkOptions) -> Self {
        let LinkOptions { classes, twins, points, strict } = options;
        let classes = Class::ALL.map(|class| classes.contains(&class));
        Self { classes, twins, points, strict, known: Vec::new() }
    }

    pub(crate) fn strict(&self) -> bool {
        self.strict
    }

    /// The classes that it leaves out.
    pub(crate) fn omits(&self) -> [bool; 3] {
        self.classes.map(|carried| !carried)
    }

    pub(crate) fn classes(&self) -> impl Iterator<Item = Class> + use<> {
        let classes = self.classes;
        Class::ALL.into_iter().filter(move |class| classes[*class as usize])
    }

    /// Whether the link carries this commit. Of its payload at most the indexes are looked at, no value.
    pub(crate) fn carries(&mut self, frame: &Frame, class: Class, state: &State) -> bool {
        if frame.class != class || !frame.kind.carried_by_lanes() {
            return false;
        }
        if frame.handle.0 == 0 {
            return true;
        }
        match self.choice(frame.handle, state) {
            Some(choice) => choice.wanted && choice.touches(frame),
            None => frame.kind == Kind::Purged,
        }
    }

    /// Whether the link carries this twin; `None` where there is no such twin (any more).
    pub(crate) fn wants(&mut self, handle: Handle, state: &State) -> Option<bool> {
        if handle.0 == 0 {
            return Some(true);
        }
        self.choice(handle, state).map(|choice| choice.wanted)
    }

    fn choice(&mut self, handle: Handle, state: &State) -> Option<&Choice> {
        let at = usize::try_from(handle.0).ok()?;
        if self.known.len() <= at {
            self.known.resize(at + 1, None);
        }
        let twin = state.by_handle(handle);
        let current = |choice: &Choice| twin.is_none_or(|twin| choice.is_of(twin));
        if !self.known.get(at)?.as_ref().is_some_and(current) {
            let choice = Choice::of(twin?, self);
            *self.known.get_mut(at)? = Some(choice);
        }
        self.known.get(at)?.as_ref()
    }

    /// The decision for twins that were asked for before; what is not known yet counts as wanted.
    pub(crate) fn decided(&self, handle: Handle) -> bool {
        let at = usize::try_from(handle.0).unwrap_or(usize::MAX);
        self.known.get(at).and_then(Option::as_ref).is_none_or(|choice| choice.wanted)
    }
}

fn any(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern.as_bytes(), text.as_bytes()))
}

/// Whether a pattern of `*` and `?` covers the whole text.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on when the text does not fit: behind the last star, one character later.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                p += 1;
                retry = Some((p, t));
            }
            Some(c) if *c == b'?' || Some(c) == text.get(t) => (p, t) = (p + 1, t + 1),
            _ => match retry {
                Some((star, from)) => {
                    (p, t) = (star, from + 1);
                    retry = Some((star, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|c| *c == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_stars_and_question_marks() {
        let cases = [
            ("pump-*", "pump-7", true),
            ("pump-*", "pump-", true),
            ("pump-?", "pump-", false),
            ("*-7", "pump-7-7", true),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b", "xxaxxbxx", false),
            ("*", "", true),
            ("", "a", false),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }
}
