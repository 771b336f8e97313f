//! From lanes into the session: what goes out next, and how it is put into words.

use tokio::time::Instant;
use twin::{Handle, Seq, State};
use twin_store::{Frame, Kind, LaneId, Limit, Want};
use wire::{Publication, PublishError, Qos, Session};

use super::Link;
use super::flight::Carried;
use crate::dialect::{Document, Message};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Put {
    /// It is under way.
    Sent,
    /// There is nothing to send.
    Passed,
    /// It can never be sent.
    Never,
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
        if self.mirror.waiting() && self.flushed + self.spec.state_interval <= now {
            self.mirror.flush();
            self.flushed = now;
        }
        if self.put_documents(session) && self.batch.left() == 0 {
            self.put_backlog(session);
        }
    }

    /// Whether there is room for more commits.
    pub(super) fn hungry(&self, session: &Session) -> bool {
        self.caught_up && self.batch.left() == 0 && self.room(session) > 0
    }

    fn room(&self, session: &Session) -> usize {
        let limit = self.hold.limit(self.window).saturating_sub(self.flight.commits());
        session.room().min(limit)
    }

    fn put_loose(&mut self, session: &mut Session) -> bool {
        while let Some(message) = self.loose.front() {
            match publish(session, self.flight.next(), message, self.retains) {
                Put::Full => return false,
                Put::Passed | Put::Never => {}
                Put::Sent => self.flight.took_off(Carried::Loose),
            }
            self.loose.pop_front();
        }
        true
    }

    /// `false` when there was no room for all that are due.
    fn put_documents(&mut self, session: &mut Session) -> bool {
        if !self.mirror.due() || self.documents_hold.limit(self.window) == 0 {
            return true;
        }
        if session.room() == 0 {
            return false;
        }
        let Self {
            around, mirror, dialect, flight, topic, documents_hold, window, retains, ..
        } = self;
        around.store.read(|state| {
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
                        Err(error) => tracing::warn!("{}", error),
                    }
                }
                mirror.sent(handle, document, rev);
            }
            true
        })
    }

    fn put_live(&mut self, session: &mut Session) {
        loop {
            let room = self.room(session).min(BATCH);
            if room == 0 || !self.take(Want::Live, room) || !self.put_batch(session) {
                return;
            }
        }
    }

    fn put_backlog(&mut self, session: &mut Session) {
        while !self.no_backlog {
            // A quarter of the window is kept for what is live.
            let kept = if self.hold.limit(self.window) > 1 { self.window / 4 } else { 0 };
            let mut room = self.room(session).saturating_sub(kept).min(BATCH);
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
        let Some(lane) = self.batch.lane else { return true };
        let frames = std::mem::take(&mut self.batch.frames);
        let mut passed = std::mem::take(&mut self.batch.passed);
        let mut never = 0;
        let store = self.around.store.clone();
        store.read(|state| {
            while let Some(frame) = frames.get(self.batch.done) {
                match self.put_frame(state, session, lane, frame) {
                    Put::Sent => self.flight.took_off(Carried::Commit(lane, frame.seq)),
                    Put::Passed => passed.push(frame.seq),
                    Put::Never => {
                        never += 1;
                        passed.push(frame.seq);
                    }
                    Put::Full => break,
                }
                self.batch.done += 1;
            }
        });
        self.batch.frames = frames;
        for seq in passed.drain(..) {
            self.lanes.settled(lane, seq);
        }
        self.batch.passed = passed;
        self.count(|status| status.passed_over += never);
        self.batch.left() == 0
    }

    fn put_frame(
        &mut self,
        state: &State,
        session: &mut Session,
        lane: LaneId,
        frame: &Frame,
    ) -> Put {
        let twin = state.by_handle(frame.handle);
        if twin.is_some_and(|twin| !self.mirror.wants(twin)) {
            return Put::Passed;
        }
        let token = self.flight.next();
        let put = match (frame.kind, twin) {
            (Kind::Reported | Kind::Backfilled, Some(twin)) => {
                if !self.dialect.stream(twin, &mut self.topic) {
                    return Put::Passed;
                }
                let message = Publication::new(&self.topic, Qos::AtLeastOnce);
                let dialect = &mut self.dialect;
                judged(session.publish(&message, token, |out| {
                    dialect.readings(state, twin, frame, lane.historical, out);
                }))
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

    /// What a commit means for the retained documents.
    fn notice(&mut self, state: &State, lane: LaneId, frame: &Frame) {
        if frame.kind == Kind::Purged
            && let Some((id, features)) = self.mirror.purged(frame.handle)
        {
            let topics = self.dialect.purged(frame.handle, &id, &features);
            let empty = |topic| Message { topic, payload: Vec::new(), retain: true };
            self.loose.extend(topics.into_iter().map(empty));
        }
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

fn judged(result: Result<(), PublishError>) -> Put {
    match result {
        Ok(()) => Put::Sent,
        Err(PublishError::WindowFull | PublishError::Closed) => Put::Full,
        Err(error) => {
            tracing::warn!("a message is passed over: {error}");
            Put::Never
        }
    }
}
