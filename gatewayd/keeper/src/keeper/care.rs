//! Alarms on their way: what rules say of them, and what operators ask.

use twin::{Care, Change, Command, CommandId, Handle, Origin, Outcome, Reason, Step, TwinId, What};

use super::{Keeper, stepped};
use crate::alarms::cared;

impl Keeper {
    /// Raises and clears the alarms of these twins.
    pub(super) async fn watch(&mut self, twins: &[Handle]) {
        let (heard, now) = (self.acquired(twins), self.now());
        let alarms = &mut self.alarms;
        let said: Vec<Change> = self.store.read(|state| {
            let each = heard.iter().filter_map(|(at, fresh)| Some((state.by_handle(*at)?, fresh)));
            each.flat_map(|(twin, fresh)| alarms.look(twin, fresh, now)).collect()
        });
        for change in said {
            self.submit(change).await;
        }
    }

    /// Carries out what is asked of an alarm.
    pub(super) async fn care(&self, twin: &TwinId, id: CommandId, command: &Command) {
        let now = self.now();
        let what = self.store.read(|state| {
            let known = state.twin(twin)?;
            let open = known.commands().get(&id)?;
            let event = Care::of(&command.order).and_then(|of| known.care(command.index, &of, now));
            Some((event, Origin::Principal(open.by.clone())))
        });
        match what {
            Some((Ok(event), origin)) => {
                let what = What::Event(event);
                self.submit(Change { twin: twin.clone(), origin, what }).await;
                // What was so already becomes no commit that could be followed.
                self.cared(twin, command.index).await;
            }
            Some((Err(words), _)) => {
                let outcome = Outcome::Rejected(Reason::NotStanding, words.into());
                self.submit(stepped(twin, id, Step::Ended(outcome))).await;
            }
            None => {}
        }
    }

    /// Ends the commands for an alarm that is as they ask.
    pub(super) async fn cared(&self, twin: &TwinId, index: u16) {
        let done: Vec<CommandId> = self.store.read(|state| {
            let Some(twin) = state.twin(twin).filter(|twin| twin.rule(index).is_some()) else {
                return Vec::new();
            };
            let open = twin.commands().iter().filter(|(_, open)| open.command.index == index);
            open.filter(|(_, open)| cared(twin, open)).map(|(id, _)| *id).collect()
        });
        for id in done {
            self.submit(stepped(twin, id, Step::Ended(Outcome::Confirmed))).await;
        }
    }
}
