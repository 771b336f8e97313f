//! Which commands are known: a repeat gets the stored outcome, and nothing acts twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{CommandId, CommandState, Handle, Principal, Seq, Stage, Timestamp};

/// Which commands are known by their callers' keys, so that a repeat gets the stored outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    pub(crate) entries: BTreeMap<(Principal, Arc<str>), LedgerEntry>,
}

/// A command known by its caller's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// The commit that accepted or refused it.
    pub seq: Seq,
    /// Whose asset; `None` where the command was refused before that was known.
    pub twin: Option<Handle>,
    /// Where it stands.
    pub stage: Stage,
    /// When it was asked, where the clock was set.
    pub asked: Option<Timestamp>,
}

impl Ledger {
    /// How long a key is remembered, in microseconds: 24 hours.
    pub const REMEMBERED: i64 = 24 * 3600 * 1_000_000;
    /// How many keys are remembered at most; of those whose commands have ended the oldest go first.
    pub const MOST: usize = 10_000;

    /// The command with this key.
    #[must_use]
    pub fn find(&self, by: &Principal, key: &Arc<str>) -> Option<&LedgerEntry> {
        self.entries.get(&(by.clone(), key.clone()))
    }

    /// All remembered commands.
    pub fn iter(&self) -> impl Iterator<Item = (&Principal, &Arc<str>, &LedgerEntry)> {
        self.entries.iter().map(|((by, key), entry)| (by, key, entry))
    }

    /// Remembers a command and forgets what has become too old by its time.
    pub fn remember(&mut self, by: Principal, key: Arc<str>, entry: LedgerEntry) {
        if let Some(now) = entry.asked {
            let oldest = now.0.saturating_sub(Self::REMEMBERED);
            self.entries
                .retain(|_, e| !e.stage.ended() || e.asked.is_none_or(|asked| asked.0 >= oldest));
        }
        let (own, newest) = (by.clone(), entry.seq);
        self.entries.insert((by, key), entry);
        while self.entries.len() > Self::MOST {
            // What is open has to stay known, and a flood of one caller forgets that caller's keys first.
            let worth = |by: &Principal, e: &LedgerEntry| {
                (!e.stage.ended(), e.seq == newest, *by != own, e.seq)
            };
            let least = self.entries.iter().min_by_key(|((by, _), e)| worth(by, e));
            let Some(key) = least.map(|(key, _)| key.clone()) else { break };
            self.entries.remove(&key);
        }
    }

    /// The command with this id took a step. The key may be another command's by now.
    pub(crate) fn settle(&mut self, id: CommandId, of: &CommandState, stage: &Stage) {
        let entry = self.entries.get_mut(&(of.by.clone(), of.command.key.clone()));
        if let Some(entry) = entry.filter(|entry| entry.seq.0 == id.0) {
            entry.stage = stage.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Outcome, Reason};

    #[test]
    fn a_flood_of_one_caller_makes_no_other_callers_command_act_twice() {
        let caller = |name: &str| Principal { kind: crate::PrincipalKind::Link, name: name.into() };
        let entry = |seq, stage| LedgerEntry { seq: Seq(seq), twin: None, stage, asked: None };
        let refused = || Stage::Ended(Outcome::Rejected(Reason::OutOfRange, "".into()));
        let mut ledger = Ledger::default();
        ledger.remember(caller("a"), "open".into(), entry(1, Stage::Sent));
        ledger.remember(caller("a"), "done".into(), entry(2, Stage::Ended(Outcome::Confirmed)));
        ledger.remember(caller("b"), "open".into(), entry(3, Stage::Accepted));
        for n in 0..Ledger::MOST as u64 + 5 {
            ledger.remember(caller("b"), n.to_string().into(), entry(4 + n, refused()));
        }
        assert_eq!(ledger.iter().count(), Ledger::MOST);
        assert!(ledger.find(&caller("a"), &"open".into()).is_some());
        assert!(ledger.find(&caller("a"), &"done".into()).is_some());
        assert!(ledger.find(&caller("b"), &"open".into()).is_some());
        assert!(ledger.find(&caller("b"), &"0".into()).is_none(), "the oldest of the flood");
    }
}
