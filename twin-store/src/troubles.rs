//! What stands between the store and its disk: told once when it begins, standing until it is over.

use std::collections::BTreeMap;
use std::io;

use twin::Boottime;

use crate::error::advice;

/// What of the store is in trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Readings cannot be written.
    Samples,
    /// Records cannot be written.
    Records,
    /// What is written cannot be made durable.
    Durability,
    /// The state cannot be kept as a snapshot.
    Snapshot,
    /// Stored commits cannot be read.
    Reading,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Samples, Self::Records, Self::Durability, Self::Snapshot, Self::Reading];

    /// The word used in metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Samples => "samples",
            Self::Records => "records",
            Self::Durability => "durability",
            Self::Snapshot => "snapshot",
            Self::Reading => "reading",
        }
    }

    /// What fails.
    fn fails(self) -> &'static str {
        match self {
            Self::Samples => "the disk takes no readings",
            Self::Records => "the disk takes no records",
            Self::Durability => "the disk does not confirm what was written",
            Self::Snapshot => "the disk takes no snapshot of the state",
            Self::Reading => "stored commits cannot be read",
        }
    }

    /// What is done about it.
    fn done(self) -> &'static str {
        match self {
            Self::Samples => {
                "they stay in memory and go to the links; a gap will say which ones are on no disk"
            }
            Self::Records => "commands are refused, and what else happens to twins is not kept",
            Self::Durability => {
                "it is written once more into another file, and nothing counts as kept before"
            }
            Self::Snapshot => "the log is kept for as long; it is tried again each second",
            Self::Reading => "nothing is passed over; it is tried again each second",
        }
    }
}

/// Something that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What of the store.
    pub part: Part,
    /// What fails and what is done about it.
    pub what: String,
    /// What the operator can do.
    pub help: &'static str,
    /// Since when.
    pub since: Boottime,
}

/// All that stands.
#[derive(Debug, Default)]
pub(crate) struct Troubles(BTreeMap<Part, Trouble>);

impl Troubles {
    /// It fails, for this reason; told where it did not fail before.
    pub(crate) fn begin(&mut self, part: Part, error: &io::Error, now: i64) {
        self.0.entry(part).or_insert_with(|| {
            let what = format!("{} ({error}): {}", part.fails(), part.done());
            let help = advice(error);
            tracing::error!(help, "{what}");
            Trouble { part, what, help, since: Boottime(now) }
        });
    }

    /// It works.
    pub(crate) fn over(&mut self, part: Part) {
        if self.0.remove(&part).is_some() {
            tracing::info!("over: {}", part.fails());
        }
    }

    pub(crate) fn standing(&self) -> Vec<Trouble> {
        self.0.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_keeps_its_first_words_until_it_is_over() {
        let mut troubles = Troubles::default();
        troubles.begin(Part::Samples, &io::ErrorKind::StorageFull.into(), 5);
        troubles.begin(Part::Samples, &io::Error::other("something else"), 9);
        let [trouble] = &troubles.standing()[..] else { panic!("{troubles:?}") };
        assert!(trouble.what.contains("takes no readings (no storage space)"), "{}", trouble.what);
        assert!(trouble.help.contains("df -h"), "{}", trouble.help);
        assert_eq!(trouble.since, Boottime(5));
        troubles.over(Part::Records);
        assert_eq!(troubles.standing().len(), 1);
        troubles.over(Part::Samples);
        assert_eq!(troubles.standing(), []);
    }
}
