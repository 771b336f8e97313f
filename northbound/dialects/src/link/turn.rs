//! Whose backlog goes first, where several links of one gateway have one: that of the higher priority.
//!
//! Links often share one way out, and what waited for hours fills it. A link that is connected and has a backlog which
//! it may send claims the way; the backlogs of links with a lower priority wait. What is live never does.

use std::collections::BTreeMap;

use tokio::sync::watch;
use twin::Name;

/// The links that send what waited, with their priorities. Clones share one directory.
#[derive(Debug, Clone, Default)]
pub struct Precedence(watch::Sender<BTreeMap<Name, u8>>);

/// One link's place among the others.
#[derive(Debug)]
pub(super) struct Turn {
    name: Name,
    priority: u8,
    all: Precedence,
    seen: watch::Receiver<BTreeMap<Name, u8>>,
    claims: bool,
}

impl Turn {
    pub(super) fn new(name: Name, priority: u8, all: Precedence) -> Self {
        let seen = all.0.subscribe();
        Self { name, priority, all, seen, claims: false }
    }

    /// The link that goes first, where there is one.
    pub(super) fn yields_to(&mut self) -> Option<Name> {
        let all = self.seen.borrow_and_update();
        let before = all.iter().filter(|(_, priority)| **priority > self.priority);
        before.max_by_key(|(_, priority)| **priority).map(|(name, _)| name.clone())
    }

    /// Whether this link has a backlog and sends it.
    pub(super) fn claim(&mut self, drains: bool) {
        if drains == self.claims {
            return;
        }
        self.claims = drains;
        self.all.0.send_modify(|all| {
            if drains {
                all.insert(self.name.clone(), self.priority);
            } else {
                all.remove(&self.name);
            }
        });
    }

    /// Waits until another link begins or ends to send what waited.
    pub(super) async fn changed(&mut self) {
        // The sender lives as long as this does.
        self.seen.changed().await.ok();
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.claim(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(name: &str, priority: u8, all: &Precedence) -> Turn {
        Turn::new(name.parse().unwrap(), priority, all.clone())
    }

    #[test]
    fn the_higher_goes_first_and_equals_go_together() {
        let all = Precedence::default();
        let (mut low, mut also_low) = (turn("a", 0, &all), turn("b", 0, &all));
        let (mut middle, mut high) = (turn("c", 4, &all), turn("d", 9, &all));
        for turn in [&mut low, &mut also_low, &mut middle] {
            turn.claim(true);
        }
        assert_eq!(low.yields_to().unwrap().as_str(), "c");
        assert_eq!(middle.yields_to(), None);
        high.claim(true);
        assert_eq!(low.yields_to().unwrap().as_str(), "d");
        assert_eq!(middle.yields_to().unwrap().as_str(), "d");
        // A link that ends, however it ends, stands in nobody's way.
        drop(high);
        assert_eq!(middle.yields_to(), None);
        middle.claim(false);
        assert_eq!(low.yields_to(), None);
        assert_eq!(also_low.yields_to(), None);
    }

    #[tokio::test]
    async fn who_waits_is_told() {
        let all = Precedence::default();
        let (mut low, mut high) = (turn("a", 0, &all), turn("b", 1, &all));
        high.claim(true);
        low.changed().await;
        assert!(low.yields_to().is_some());
        high.claim(true);
        let waited = tokio::time::timeout(std::time::Duration::from_millis(20), low.changed());
        assert!(waited.await.is_err(), "nothing has changed");
        high.claim(false);
        low.changed().await;
        assert!(low.yields_to().is_none());
    }
}
