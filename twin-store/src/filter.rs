//! What a link wants of the log: classes, and twins by name pattern.

use twin::{Handle, State};

use crate::frame::{Class, Frame, Kind};

/// How a link reads the log.
#[derive(Debug, Clone)]
pub struct LinkOptions {
    /// The classes that it carries.
    pub classes: Vec<Class>,
    /// Patterns of twin ids (`*` any characters, `?` any one); empty = all twins.
    pub twins: Vec<String>,
    /// One lane per class even after an outage: older commits go before newer ones.
    pub strict: bool,
}

impl Default for LinkOptions {
    fn default() -> Self {
        Self { classes: Class::ALL.to_vec(), twins: Vec::new(), strict: false }
    }
}

/// A link's choice, decided once per twin.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    classes: [bool; 3],
    twins: Vec<String>,
    strict: bool,
    known: Vec<Option<bool>>,
}

impl Filter {
    pub(crate) fn new(options: LinkOptions) -> Self {
        let LinkOptions { classes, twins, strict } = options;
        let classes = Class::ALL.map(|class| classes.contains(&class));
        Self { classes, twins, strict, known: Vec::new() }
    }

    pub(crate) fn strict(&self) -> bool {
        self.strict
    }

    pub(crate) fn classes(&self) -> impl Iterator<Item = Class> + use<> {
        let classes = self.classes;
        Class::ALL.into_iter().filter(move |class| classes[*class as usize])
    }

    /// Whether the link carries this commit. The payload is not looked at.
    pub(crate) fn carries(&mut self, frame: &Frame, class: Class, state: &State) -> bool {
        frame.class == class
            && frame.kind.carried_by_lanes()
            && self.wants(frame.handle, state).unwrap_or(frame.kind == Kind::Purged)
    }

    /// Whether the link carries this twin; `None` where there is no such twin (any more).
    pub(crate) fn wants(&mut self, handle: Handle, state: &State) -> Option<bool> {
        let at = usize::try_from(handle.0).ok()?;
        if at == 0 {
            return Some(true);
        }
        if self.known.len() <= at {
            self.known.resize(at + 1, None);
        }
        let slot = self.known.get_mut(at)?;
        if slot.is_none() {
            let id = state.by_handle(handle)?.id().as_str();
            let patterns = &self.twins;
            let wanted = patterns.is_empty()
                || patterns.iter().any(|p| matches(p.as_bytes(), id.as_bytes()));
            *slot = Some(wanted);
        }
        *slot
    }

    /// The decision for twins that were asked for before; what is not known yet counts as wanted.
    pub(crate) fn decided(&self, handle: Handle) -> bool {
        let at = usize::try_from(handle.0).unwrap_or(usize::MAX);
        self.known.get(at).copied().flatten().unwrap_or(true)
    }
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
