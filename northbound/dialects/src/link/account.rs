//! What a link may send now, and what it has sent: the gate and the meter beside the lanes.

use tokio::time::Instant;
use twin::{Boottime, Timestamp};
use twin_store::Class;
use wire::Session;

use super::Link;
use super::gate::Verdict;

impl Link {
    /// Counts what the session has moved, and judges anew what may go where that is due.
    pub(super) fn account(&mut self, session: &Session) {
        let counters = session.counters();
        let moved = counters.bytes_out.get() + counters.bytes_in.get();
        let clock = &self.around.clock;
        let turned = self.meter.look(moved, clock.utc().map(Timestamp));
        if let Some(note) = self.meter.note(turned) {
            self.lanes.keep(note);
        }
        let tally = self.meter.tally.clone();
        let spent = self.gate.spent(tally.month_bytes);
        self.count(|status| {
            (status.bytes, status.values) = (tally.bytes, tally.values);
            (status.day_bytes, status.day_values) = (tally.day_bytes, tally.day_values);
            status.month_bytes = tally.month_bytes;
        });
        if !self.gate.is_open()
            && (Instant::now() >= self.judged_until || turned || spent != self.spent)
        {
            self.spent = spent;
            self.judge();
        }
    }

    /// Asks the gate, and holds what it says.
    fn judge(&mut self) {
        let now = self.around.clock.utc().map(Timestamp);
        let Verdict { held, micros, words } = self.gate.judge(now, self.meter.tally.month_bytes);
        self.judged_until =
            Instant::now() + std::time::Duration::from_micros(micros.unsigned_abs());
        self.lanes.hold(&held);
        // State is what readings come to; a link without readings takes it as it takes records.
        let mut of_state = [Class::Sample, Class::Record].into_iter();
        let like = of_state.find(|class| self.spec.classes.contains(class));
        self.documents_wait = like.is_some_and(|class| held.contains(&class));
        self.no_backlog = false;
        let changed = self.status.borrow().waits != words;
        if changed {
            if let Some(words) = &words {
                tracing::info!(link = %self.spec.name, "{words}");
            }
            self.status.send_modify(|status| status.waits = words);
        }
    }

    /// Everything counted is kept now: nothing will be counted for a while.
    pub(super) fn keep_account(&mut self) {
        if let Some(note) = self.meter.note(true) {
            self.lanes.keep(note);
        }
    }

    /// When the gate has to be asked again.
    pub(super) fn judged_until(&self) -> Option<Instant> {
        (!self.gate.is_open()).then_some(self.judged_until)
    }

    pub(super) fn boottime(&self) -> Boottime {
        Boottime(self.around.clock.boottime())
    }
}
