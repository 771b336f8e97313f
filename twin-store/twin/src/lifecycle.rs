//! The guarded life cycle of a twin: one table, nothing else decides.
//!
//! The words are those of ETSI's digital-twin work and of WLDT: unbound, bound, shadowed, out of sync, done.

use std::fmt;

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($variant:ident = $code:literal, $word:literal, $doc:literal;)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $(#[doc = $doc] $variant = $code,)* }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The one with this code, if there is one.
            #[must_use]
            pub fn from_code(code: u8) -> Option<Self> {
                Self::ALL.iter().copied().find(|it| *it as u8 == code)
            }

            /// The word used in CLI and messages.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// What it means, for people.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $doc.trim_ascii(),)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.word())
            }
        }
    };
}

words! {
    /// Where a twin stands. The codes are part of the disk format.
    LifeCycle {
        Created = 0, "created", "It exists; nothing has been configured for it.";
        Unbound = 1, "unbound", "It is configured; its asset has not been reached.";
        Bound = 2, "bound", "Its asset has been reached and, where the protocol can, identified.";
        Shadowed = 3, "shadowed", "Its state mirrors the asset's.";
        OutOfSync = 4, "out of sync", "Its state is no longer known to mirror the asset's.";
        Done = 5, "done", "It is no longer shadowed; state and history are still served, commands refused.";
        Migrating = 6, "migrating", "It is moving to another gateway; reads are served, commands refused.";
    }
}

words! {
    /// What can move a twin from one state to another. The codes are part of the disk format.
    Trigger {
        Configured = 0, "configured", "A valid configuration names it.";
        AssetBound = 1, "asset bound", "Its asset answered and its identity was read, or cannot be read.";
        FirstCompletePoll = 2, "complete", "Every periodic acquisition group has been read completely.";
        Silence = 3, "silence", "Nothing was heard for longer than `max_age`.";
        AssetUnbound = 4, "asset unbound", "Its asset was given up, or answers with another identity.";
        Stopped = 5, "stopped", "An operator stopped it, or its configuration was removed.";
        Restarted = 6, "restarted", "The daemon started anew.";
        Threshold = 7, "threshold", "Its entanglement fell below the threshold for the hold time.";
        Recovered = 8, "recovered", "Its entanglement rose above the threshold for the hold time.";
        ExportBegun = 9, "export begun", "It begins to move to another gateway.";
        ExportDone = 10, "export done", "The other gateway has taken it over.";
        ExportAborted = 11, "export aborted", "It stays here after all.";
    }
}

use LifeCycle::{Bound, Created, Done, Migrating, OutOfSync, Shadowed, Unbound};
use Trigger::{
    AssetBound, AssetUnbound, Configured, ExportAborted, ExportBegun, ExportDone,
    FirstCompletePoll, Recovered, Restarted, Silence, Stopped, Threshold,
};

/// Every transition there is. What is not here is refused.
pub const TRANSITIONS: &[(LifeCycle, Trigger, LifeCycle)] = &[
    (Created, Configured, Unbound),
    (Done, Configured, Unbound),
    (Unbound, AssetBound, Bound),
    (Bound, FirstCompletePoll, Shadowed),
    (Bound, Silence, OutOfSync),
    (Shadowed, Silence, OutOfSync),
    (Shadowed, Threshold, OutOfSync),
    (OutOfSync, FirstCompletePoll, Shadowed),
    (OutOfSync, Recovered, Shadowed),
    (Bound, AssetUnbound, Unbound),
    (Shadowed, AssetUnbound, Unbound),
    (OutOfSync, AssetUnbound, Unbound),
    (Bound, Restarted, OutOfSync),
    (Shadowed, Restarted, OutOfSync),
    (Migrating, Restarted, OutOfSync),
    (Created, Stopped, Done),
    (Unbound, Stopped, Done),
    (Bound, Stopped, Done),
    (Shadowed, Stopped, Done),
    (OutOfSync, Stopped, Done),
    (Bound, ExportBegun, Migrating),
    (Shadowed, ExportBegun, Migrating),
    (OutOfSync, ExportBegun, Migrating),
    (Migrating, ExportDone, Done),
    (Migrating, ExportAborted, OutOfSync),
];

impl LifeCycle {
    /// Where `trigger` leads from here; `None` where it leads nowhere.
    #[must_use]
    pub fn after(self, trigger: Trigger) -> Option<Self> {
        TRANSITIONS
            .iter()
            .find(|(from, by, _)| *from == self && *by == trigger)
            .map(|(_, _, to)| *to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_state_and_trigger_lead_to_two_places() {
        for from in LifeCycle::ALL {
            for by in Trigger::ALL {
                let n = TRANSITIONS.iter().filter(|(f, b, _)| f == from && b == by).count();
                assert!(n <= 1, "{from} by {by} leads to {n} places");
            }
        }
    }

    #[test]
    fn only_configuration_leads_out_of_done() {
        for by in Trigger::ALL {
            assert_eq!(Done.after(*by).is_some(), *by == Configured, "{by}");
        }
    }

    #[test]
    fn no_twin_is_shadowed_without_a_complete_poll_or_recovery() {
        let ways: Vec<_> =
            TRANSITIONS.iter().filter(|(_, _, to)| *to == Shadowed).map(|(_, by, _)| *by).collect();
        assert!(ways.iter().all(|by| matches!(by, FirstCompletePoll | Recovered)));
        assert_eq!(Shadowed.after(Restarted), Some(OutOfSync));
    }

    #[test]
    fn every_state_is_reached_and_every_trigger_used() {
        for state in LifeCycle::ALL {
            assert!(
                *state == Created || TRANSITIONS.iter().any(|(_, _, to)| to == state),
                "{state}"
            );
        }
        for by in Trigger::ALL {
            assert!(TRANSITIONS.iter().any(|(_, b, _)| b == by), "{by}");
        }
    }
}
