//! Several readings in one message: into the bundle, out of it, and apart again where the broker refuses the whole.

use tokio::time::Instant;
use twin::{Seq, State, Twin};
use twin_store::{Class, Frame, Kind, LaneId};
use wire::{Properties, Publication, Qos, Session};

use super::Link;
use super::bundle::Bundle;
use super::flight::Carried;
use super::pump::{Put, judged};

/// At most so many commits of refused bundles are remembered to go singly.
const APART: usize = 65_536;

impl Link {
    /// Whether this commit goes into a message with others.
    pub(super) fn bundles(&self, lane: LaneId, frame: &Frame) -> bool {
        self.bundle.is_some()
            && lane.class == Class::Sample
            && matches!(frame.kind, Kind::Reported | Kind::Backfilled)
            && !self.apart.contains(&frame.seq)
    }

    /// Takes a reading into the bundle, after sending what is there where it has to go first.
    pub(super) fn put_bundled(
        &mut self,
        state: &State,
        session: &mut Session,
        lane: LaneId,
        (twin, frame): (&Twin, &Frame),
    ) -> Put {
        if !self.dialect.stream(twin, &mut self.topic) {
            return Put::Passed;
        }
        loop {
            let Some(bundle) = &mut self.bundle else { return Put::Passed };
            let dialect = &mut self.dialect;
            let now = Instant::now();
            if !bundle.must_go(lane)
                && bundle.add(lane, frame.seq, now, |out| {
                    dialect.readings(state, twin, frame, lane.historical, out)
                })
            {
                return Put::Bundled;
            }
            if !self.put_bundle(session) {
                return Put::Full;
            }
        }
    }

    /// Sends the bundle where it is due; `false` while it waits for room.
    pub(super) fn put_due_bundle(&mut self, session: &mut Session, all: bool) -> bool {
        let due = self.bundle.as_ref().and_then(Bundle::due);
        due.is_none_or(|due| !all && due > Instant::now()) || self.put_bundle(session)
    }

    /// When the bundle is due, as long as there is room for it.
    pub(super) fn bundle_due(&self, session: &Session) -> Option<Instant> {
        let due = self.bundle.as_ref().and_then(Bundle::due);
        due.filter(|_| self.room(session) > 0)
    }

    fn put_bundle(&mut self, session: &mut Session) -> bool {
        if self.room(session) == 0 {
            return false;
        }
        let Some(bundle) = &mut self.bundle else { return true };
        let token = self.flight.next();
        let put = bundle.send(|sent| {
            let encoding = sent.encoding.map(|encoding| [("content-encoding", encoding)]);
            let user = encoding.as_ref().map_or(&[][..], |user| user.as_slice());
            let content_type = Some(sent.content_type);
            let properties = Properties { content_type, user, ..Properties::default() };
            let publication = Publication::new(sent.topic, Qos::AtLeastOnce).with(properties);
            judged(session.publish(&publication, token, |out| out.extend_from_slice(sent.payload)))
        });
        match put {
            Put::Full => return false,
            Put::Never(words) => {
                for (lane, seq) in bundle.take().0 {
                    self.pass_over(lane, seq, &words);
                }
            }
            _ => {
                let (settles, values) = bundle.take();
                let historical = settles.first().is_some_and(|(lane, _)| lane.historical);
                let slot = self.owed.after(1, settles);
                self.flight.took_off(Carried::Bundle(slot, historical));
                self.meter.values(values);
            }
        }
        true
    }

    /// A whole bundle was refused for what it is: its commits go again, each by itself, so that only those are passed over
    /// that are refused then.
    pub(super) fn take_apart(&mut self, seqs: Vec<Seq>) {
        if self.apart.len() + seqs.len() > APART {
            self.apart.clear();
        }
        self.apart.extend(seqs);
        self.restart();
    }
}
