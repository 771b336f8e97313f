//! Desired values that are held: what an asset has left is asked of it again.

use twin::{Change, Command, Deadline, Moment, Order, Origin, State, Twin, What, admit};

use super::Keeper;

/// Microseconds after which a re-assertion that has not left is not worth sending.
const DEADLINE: i64 = 10_000_000;

impl Keeper {
    /// Asks again for what assets have left, where a command would be accepted now.
    pub(super) async fn hold(&mut self, now: Moment) {
        let due: Vec<Change> = self.store.read(|state| {
            let twins = state.twins().filter(|twin| !twin.held().is_empty());
            twins.flat_map(|twin| left(state, twin, now)).collect()
        });
        for change in due {
            self.submit(change).await;
        }
    }
}

fn left(state: &State, twin: &Twin, now: Moment) -> Vec<Change> {
    let again = |(index, held): (&u16, &twin::Held)| {
        let (desired, reading) = twin.left(state, *index, now)?;
        let command = Command {
            key: Twin::hold_key(desired),
            index: *index,
            order: Order::Write(desired.value.clone()),
            deadline: Deadline::after(now, DEADLINE),
            asked: now.utc,
        };
        admit(state, twin, &command, now).ok()?;
        let spec = &twin.description().point(*index)?.spec;
        let (id, name) = (twin.id(), format!("{}/{}", spec.feature, spec.name));
        let found = reading.value.as_ref().map(|value| spec.show(value).to_string());
        let (found, wanted) = (found.unwrap_or_default(), spec.show(&desired.value));
        let (count, most) = (held.times + 1, spec.rules.guard.hold.times);
        let words = format!("{id}: {name} is {found}, {} asked for {wanted}", desired.by);
        if count < u32::from(most) {
            tracing::info!("{words}: it is written again, {count} of {most} times in a row");
        } else {
            tracing::warn!(
                "{words}: it is written again for the last time; a new command is needed then"
            );
        }
        let what = What::Command(command);
        Some(Change { twin: id.clone(), origin: Origin::Keeper, what })
    };
    twin.held().iter().filter_map(again).collect()
}
