//! From lanes into the session: what goes out next, and how it is put into words.

use tokio::time::Instant;
use twin::{Handle, Seq, State};
use twin_store::{Frame, Kind, LaneId, Limit, Want};
use wire::{Publication, PublishError, Qos, Session};

use super::Link;
use super::flight::Carried;
use crate::dialect::{Document, Message};
use crate::spec::any;

/// At most this many commits are taken from a lane at once: live data is looked for in between.
const BATCH: usize = 64;
/// And so many bytes of records.
const BATCH_BYTES: usize = 256 << 10;

/// Commits taken from a lane and not yet published.
#[derive(Debug, Default)]
pub(super) struct Batch {
    lane: Option<LaneId>,
    frames: Vec<Frame>,
    /// So many of them are done.
    done: usize,
    /// Of these, commits that became no message.
    passed: Vec<Seq>,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Put {
    /// It is under way.
    Sent,
    /// It waits for others to become one message with them.
    Bundled,
    /// There is nothing to send.
    Passed,
    /// It has become several messages, which wait their turn.
    Parts,
    /// It can never be sent, for this reason.
    Never(String),
    /// There is no room now.
    Full,
}

impl Batch {
    pub(super) fn clear(&mut self) {
        self.lane = None;
        self.frames.clear();
        self.passed.clear();
        self.done = 0;
    }

    fn left(&self) -> usize {
        self.frames.len() - self.done
    }
}

impl Link {
    /// Publishes what there is room for: documents due since the connection first, then what is live, then documents
    /// that have become due, then backlogs.
    pub(super) fn fill(&mut self, session: &mut Session) {
        if !self.put_loose(session) {
            return;
        }
        if !self.caught_up {
            if !self.put_documents(session) {
                return;
            }
            self.caught_up = true;
            if std::mem::take(&mut self.refresh) {
                let Self { around, mirror, .. } = self;
                around.store.read(|state| mirror.refresh(state));
            }
        }
        if self.put_batch(session) {
            self.put_live(session);
        }
        let now = Instant::now();
        let wait = self.documents_wait;
        if !wait && self.mirror.waiting() && self.flushed + self.spec.state_interval <= now {
            self.mirror.flush();
            self.flushed = now;
        }
        if self.put_documents(session) && self.parts.is_empty() && self.batch.left() == 0 {
            self.put_waiting(session);
        }
        self.put_due_bundle(session, false);
    }

    /// Whether there is room for more commits.
    pub(super) fn hungry(&self, session: &Session) -> bool {
        let nothing_left = self.batch.left() == 0 && self.parts.is_empty();
        self.caught_up && nothing_left && self.room(session) > 0
    }

    /// How many messages of backlogs there is room for: a quarter of the window is kept for what is live.
    pub(super) fn backlog_room(&self, session: &Session) -> usize {
        let kept = if self.hold.limit(self.window) > 1 { self.window / 4 } else { 0 };
        self.room(session).saturating_sub(kept)
    }

    pub(super) fn room(&self, session: &Session) -> usize {
        // What cannot be put on record now waits in the log, not here.
        let window = if self.passed.is_full() { 0 } else { self.hold.limit(self.window) };
        session.room().min(window.saturating_sub(self.flight.commits()))
    }

    fn put_loose(&mut self, session: &mut Session) -> bool {
        while let Some(message) = self.loose.front() {
            match publish(session, self.flight.next(), message, self.retains) {
                Put::Full => return false,
                Put::Passed | Put::Parts | Put::Bundled => {}
                Put::Never(words) => self.seldom(words),
                Put::Sent => self.flight.took_off(Carried::Loose),
            }
            self.loose.pop_front();
        }
        true
    }

    /// `false` while messages that are owed wait for room: nothing may pass them.
    fn put_parts(&mut self, session: &mut Session) -> bool {
        while let Some((message, slot)) = self.parts.front() {
            if self.room(session) == 0 {
                return false;
            }
            let slot = *slot;
            match publish(session, self.flight.next(), message, self.retains) {
                Put::Full => return false,
                Put::Sent => self.flight.took_off(Carried::Part(slot)),
                Put::Passed | Put::Parts | Put::Bundled => self.landed(slot),
                Put::Never(words) => {
                    self.seldom(words);
                    self.landed(slot);
                }
            }
            self.parts.pop_front();
        }
        true
    }

    pub(super) fn landed(&mut self, slot: usize) {
        for (lane, seq) in self.owed.landed(slot) {
            self.lanes.settled(lane, seq);
        }
    }

    /// `false` when there was no room for all that are due.
    fn put_documents(&mut self, session: &mut Session) -> bool {
        if !self.mirror.due() || self.documents_wait || self.documents_hold.limit(self.window) == 0
        {
            return true;
        }
        if session.room() == 0 {
            return false;
        }
        let mut never = None;
        let Self {
            around, mirror, dialect, flight, topic, documents_hold, window, retains, ..
        } = self;
        let all = around.store.read(|state| {
            while let Some((handle, document, rev)) = mirror.next(state) {
                let mut payload = Vec::new();
                let there = state.by_handle(handle).is_some_and(|twin| {
                    dialect.document(state, twin, document, topic, &mut payload)
                });
                if there {
                    if flight.documents() >= documents_hold.limit(*window) {
                        return true;
                    }
                    let message = Publication {
                        retain: *retains,
                        ..Publication::new(topic, Qos::AtLeastOnce)
                    };
                    let token = flight.next();
                    match session.publish(&message, token, |out| out.extend_from_slice(&payload)) {
                        Ok(()) => flight.took_off(Carried::Document(handle, document, rev)),
                        Err(PublishError::WindowFull | PublishError::Closed) => return false,
                        Err(error) => never = Some(format!("{topic} cannot be sent: {error}")),
                    }
                }
                mirror.sent(handle, document, rev);
            }
            true
        });
        if let Some(words) = never {
            self.seldom(words);
        }
        all
    }

    fn put_live(&mut self, session: &mut Session) {
        loop {
            let room = self.room(session).min(BATCH);
            if room == 0 || !self.take(Want::Live, room) || !self.put_batch(session) {
                return;
            }
        }
    }

    /// Publishes what waited, where no other link goes first.
    fn put_waiting(&mut self, session: &mut Session) {
        let before = if self.no_backlog { None } else { self.turn.yields_to() };
        self.yields = before.is_some();
        if self.yields {
            self.turn.claim(false);
        } else {
            self.put_backlog(session);
            // Where the broker refuses what it gets, or a schedule holds it, others need not wait for this link.
            let sends = !self.no_backlog && !self.hold.holds() && !self.lanes.held();
            self.turn.claim(sends);
        }
        if self.status.borrow().yields_to != before {
            self.count(|status| status.yields_to = before);
        }
    }

    fn put_backlog(&mut self, session: &mut Session) {
        while !self.no_backlog {
            let mut room = self.backlog_room(session).min(BATCH);
            let now = self.around.clock.boottime();
            if let Some(bucket) = &mut self.bucket {
                #[expect(clippy::cast_precision_loss, reason = "at most a batch")]
                while room > 0 && !bucket.take(room as f64, now) {
                    room /= 2;
                }
            }
            if room == 0 {
                return;
            }
            let taken = self.take(Want::Backlog, room);
            self.no_backlog = !taken && !self.lanes.held();
            if let Some(bucket) = self.bucket.as_mut().filter(|_| !taken) {
                // Nothing was there, or it cannot be read now: that is no part of the rate.
                #[expect(clippy::cast_precision_loss, reason = "at most a batch")]
                bucket.spend(-(room as f64), now);
            }
            if !taken || !self.put_batch(session) {
                return;
            }
        }
    }

    /// Takes commits from the lanes; `false` where there are none.
    fn take(&mut self, want: Want, frames: usize) -> bool {
        self.batch.clear();
        let limit = Limit { frames, bytes: BATCH_BYTES };
        self.batch.lane = self.lanes.next(want, None, limit, &mut self.batch.frames);
        self.batch.lane.is_some()
    }

    /// Publishes what was taken; `false` when there was no room for all of it.
    fn put_batch(&mut self, session: &mut Session) -> bool {
        while self.put_parts(session) {
            if self.batch.left() == 0 {
                return true;
            }
            if !self.put_some(session) {
                return false;
            }
        }
        false
    }

    /// Publishes of what was taken as much as may go before messages that are owed; `false` when there was no room.
    fn put_some(&mut self, session: &mut Session) -> bool {
        let Some(lane) = self.batch.lane else { return true };
        let frames = std::mem::take(&mut self.batch.frames);
        let mut passed = std::mem::take(&mut self.batch.passed);
        let mut room = true;
        let store = self.around.store.clone();
        store.read(|state| {
            while let Some(frame) = frames.get(self.batch.done).filter(|_| self.parts.is_empty()) {
                let told = frame.kind == Kind::PassedOver;
                match self.put_frame(state, session, lane, frame) {
                    Put::Sent if told => self.flight.took_off(Carried::Notice(lane, frame.seq)),
                    Put::Sent => self.flight.took_off(Carried::Commit(lane, frame.seq)),
                    Put::Passed => passed.push(frame.seq),
                    Put::Never(_) if told => passed.push(frame.seq),
                    Put::Never(words) => self.pass_over(lane, frame.seq, &words),
                    Put::Parts | Put::Bundled => {}
                    Put::Full => {
                        room = false;
                        break;
                    }
                }
                self.batch.done += 1;
            }
        });
        self.batch.frames = frames;
        for seq in passed.drain(..) {
            self.lanes.settled(lane, seq);
        }
        self.batch.passed = passed;
        room
    }

    fn put_frame(
        &mut self,
        state: &State,
        session: &mut Session,
        lane: LaneId,
        frame: &Frame,
    ) -> Put {
        if frame.kind == Kind::Purged {
            return self.put_purged(state, lane, frame);
        }
        let twin = state.by_handle(frame.handle);
        if twin.is_some_and(|twin| !self.mirror.wants(twin)) {
            return Put::Passed;
        }
        let token = self.flight.next();
        let put = match (frame.kind, twin) {
            (_, Some(twin)) if self.bundles(lane, frame) => {
                self.put_bundled(state, session, lane, (twin, frame))
            }
            (Kind::Reported | Kind::Backfilled, Some(twin)) => {
                if !self.dialect.stream(twin, &mut self.topic) {
                    return Put::Passed;
                }
                let message = Publication::new(&self.topic, Qos::AtLeastOnce);
                let (dialect, mut values) = (&mut self.dialect, 0);
                let put = judged(session.publish(&message, token, |out| {
                    values = dialect.readings(state, twin, frame, lane.historical, out);
                }));
                if put == Put::Sent {
                    self.meter.values(values);
                }
                put
            }
            (Kind::Reported | Kind::Backfilled, None) => Put::Passed,
            _ => {
                let message = frame
                    .commit(state)
                    .and_then(|commit| self.dialect.record(state, &commit, lane.historical));
                message
                    .map_or(Put::Passed, |message| publish(session, token, &message, self.retains))
            }
        };
        if put != Put::Full {
            self.notice(state, lane, frame);
        }
        put
    }

    /// The end of a twin is settled once its retained topics are cleared as well.
    fn put_purged(&mut self, state: &State, lane: LaneId, frame: &Frame) -> Put {
        let known = self.mirror.purged(frame.handle);
        let Some((id, mut features)) = frame.purged() else { return Put::Passed };
        if !any(&self.spec.twins, id.as_str()) {
            return Put::Passed;
        }
        features.extend(known.map(|(_, features)| features).unwrap_or_default());
        features.sort();
        features.dedup();
        let told = frame
            .commit(state)
            .and_then(|commit| self.dialect.record(state, &commit, lane.historical));
        let topics = self.dialect.purged(state, frame.handle, &id, &features);
        let empty = |topic| Message { topic, payload: Vec::new(), retain: true };
        let clear = topics.into_iter().filter(|_| self.retains).map(empty);
        let messages: Vec<Message> = told.into_iter().chain(clear).collect();
        if messages.is_empty() {
            return Put::Passed;
        }
        let slot = self.owed.after(messages.len(), vec![(lane, frame.seq)]);
        self.parts.extend(messages.into_iter().map(|message| (message, slot)));
        Put::Parts
    }

    /// What a commit means for the retained documents.
    fn notice(&mut self, state: &State, lane: LaneId, frame: &Frame) {
        if lane.historical {
            return;
        }
        if frame.handle == Handle(0) {
            self.loose.extend(self.dialect.online(state));
        } else if let Some(twin) = state.by_handle(frame.handle) {
            if matches!(frame.kind, Kind::Related | Kind::Unrelated) {
                self.mirror.again(twin, Document::Description);
            }
            self.mirror.touch(twin);
        }
    }
}

fn publish(session: &mut Session, token: u64, message: &Message, retains: bool) -> Put {
    let publication = Publication::new(&message.topic, Qos::AtLeastOnce);
    let publication = if message.retain && retains { publication.retained() } else { publication };
    judged(session.publish(&publication, token, |out| out.extend_from_slice(&message.payload)))
}

pub(super) fn judged(result: Result<(), PublishError>) -> Put {
    match result {
        Ok(()) => Put::Sent,
        Err(PublishError::WindowFull | PublishError::Closed) => Put::Full,
        Err(error) => Put::Never(error.to_string()),
    }
}
