//! While a connection lasts: acknowledgements settle lanes, refusals hold them, commands come in.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use base::CancellationToken;
use tokio::time::Instant;
use twin::{Boottime, Seq};
use twin_store::LaneId;
use wire::{Connected, Event, Filter, Granted, Qos, Reason, RefusalClass, Session, Wake};

use super::Link;
use super::bundle::Bundle;
use super::flight::{Carried, Flight};
use super::inbox::Reply;
use super::status::{LinkStatus, Phase, words};

/// How long a stopping link goes on sending what is there.
const FAREWELL: Duration = Duration::from_secs(1);
/// At most this many events are handled before the lanes are looked at.
const EVENTS: usize = 256;

/// At most this many answers wait for room in the window; further ones are not given.
const ANSWERS: usize = 1024;

/// How a connection ended.
pub(super) enum End {
    /// We were told to stop.
    Stopped,
    /// It broke, for this reason.
    Broken(String),
}

impl Link {
    /// Serves one connection until it ends.
    pub(super) async fn serve(
        &mut self,
        mut session: Session,
        connected: Connected,
        stop: &CancellationToken,
    ) -> End {
        if connected.max_qos < Qos::AtLeastOnce {
            session.disconnect().await;
            return End::Broken(
                "the broker takes nothing at QoS 1, so it cannot say what has arrived: nothing is sent; allow QoS 1 there"
                    .into(),
            );
        }
        self.begin(&mut session, &connected);
        let mut farewell = None;
        loop {
            self.tick();
            self.account(&session);
            self.fill(&mut session);
            if farewell.is_some() {
                self.put_due_bundle(&mut session, true);
            }
            let (in_flight, held) = (self.flight.len(), self.hold.holds());
            self.count(|status| {
                (status.in_flight, status.held) = (in_flight, held);
                status.turns += 1;
            });
            if farewell.is_some_and(|until| until <= Instant::now() || self.idle(&session)) {
                return self.leave(session).await;
            }
            let documents = self.mirror.due() && !self.documents_wait;
            let caught_up = self.no_backlog && self.hungry(&session) && !documents;
            let wake = if caught_up && farewell.is_none() { Wake::Lazy } else { Wake::Acks };
            let timer = self.timer(&session, farewell);
            tokio::select! {
                biased;
                event = session.event(wake) => {
                    if let Some(end) = self.events(&mut session, event, wake).await {
                        return end;
                    }
                }
                Some(told) = self.inbox.told() => {
                    let reply = self.inbox.reply(&self.around.store, &*self.dialect, told);
                    self.answer(&mut session, reply);
                }
                Some(told) = self.passed.told() => {
                    let settles = self.passed.settles(told);
                    self.count(|status| status.passed_over += settles.len() as u64);
                    for (lane, seq) in settles {
                        self.lanes.settled(lane, seq);
                    }
                }
                () = self.lanes.changed(), if self.hungry(&session) => {}
                () = self.turn.changed(), if !self.no_backlog => {}
                () = tokio::time::sleep_until(timer.unwrap_or_else(Instant::now)), if timer.is_some() => {}
                () = stop.cancelled(), if farewell.is_none() => {
                    farewell = Some(Instant::now() + FAREWELL);
                }
            }
        }
    }

    fn begin(&mut self, session: &mut Session, connected: &Connected) {
        self.flight = Flight::default();
        self.loose.clear();
        self.window = usize::from(connected.window);
        self.meter.begin();
        if let Some(bundle) = &mut self.bundle {
            bundle.begin(connected.max_packet);
        }
        self.retains = connected.retain_available;
        // A broker that kept our session has not lost the rest.
        self.refresh = !connected.session_present;
        self.resume();
        let since = Boottime(self.around.clock.boottime());
        let alarm = (!connected.retain_available).then(|| {
            "the broker keeps no retained messages: who subscribes later sees a state only when it changes".into()
        });
        let (window, held) = (self.window, self.hold.holds() || self.documents_hold.holds());
        self.status.send_modify(|status| {
            if status.failures > 0 || status.connections == 0 {
                tracing::info!(link = %status.name, broker = %status.broker, "connected");
            }
            status.phase = Phase::Connected { since };
            status.down_since = None;
            status.connections += 1;
            status.failures = 0;
            status.window = window;
            // A new connection takes no refusal back.
            status.alarm = alarm.or_else(|| status.alarm.take().filter(|_| held));
        });
        let topics = self.dialect.subscriptions();
        let filters: Vec<Filter<'_>> = topics.iter().map(|topic| Filter::new(topic)).collect();
        if !filters.is_empty()
            && let Err(error) = session.subscribe(&filters)
        {
            self.alarm(format!("commands cannot arrive: {}", words(&error)));
        }
    }

    /// What waited becomes backlog, the live lanes begin now; the documents that the broker may not have come first.
    fn resume(&mut self) {
        let overtaken = self.restart();
        self.caught_up = false;
        if overtaken {
            self.mirror.forget();
        }
        let Self { around, mirror, dialect, loose, .. } = self;
        around.store.read(|state| {
            mirror.connected(state);
            loose.extend(dialect.online(state));
        });
    }

    /// The lanes go back to what is settled; what is under way counts no more. Says whether retention was quicker than the
    /// link: the lanes move past what is gone once the broker has been told so.
    pub(super) fn restart(&mut self) -> bool {
        if let Some(bundle) = &mut self.bundle {
            bundle.clear();
        }
        let resume = self.lanes.connected();
        self.flight.disown_commits();
        self.batch.clear();
        self.parts.clear();
        self.owed.clear();
        self.passed.clear();
        self.no_backlog = false;
        let Some((first, last)) = resume.overtaken else { return false };
        let Self { around, dialect, .. } = self;
        let notice = around.store.read(|state| dialect.overtaken(state, first, last, "retention"));
        let slot = self.owed.after(1, resume.owed);
        match notice {
            Some(notice) => self.parts.push_back((notice, slot)),
            None => self.landed(slot),
        }
        true
    }

    /// Says goodbye: the broker does not publish our will, so we do.
    async fn leave(&mut self, mut session: Session) -> End {
        self.loose.extend(self.dialect.offline());
        self.fill(&mut session);
        let acked = async {
            while self.flight.len() > 0 {
                match session.event(Wake::Acks).await {
                    Event::Acked { token } => drop(self.flight.landed(token)),
                    Event::Closed(_) => return,
                    _ => {}
                }
            }
        };
        tokio::time::timeout(FAREWELL, acked).await.ok();
        self.account(&session);
        self.keep_account();
        session.disconnect().await;
        End::Stopped
    }

    /// Whether all there is has been sent and acknowledged.
    fn idle(&self, session: &Session) -> bool {
        self.hungry(session)
            && self.flight.len() == 0
            && self.loose.is_empty()
            && self.passed.is_empty()
            && self.bundle.as_ref().is_none_or(Bundle::is_empty)
            && (!self.mirror.due() || self.documents_wait)
    }

    /// Handles an event and those that are there with it: one look at the lanes for all of them.
    async fn events(&mut self, session: &mut Session, first: Event, wake: Wake) -> Option<End> {
        let mut next = Some(first);
        for _ in 0..EVENTS {
            match next.take()? {
                Event::Acked { token } => self.acked(token),
                Event::Refused { token, reason, class, words } => {
                    self.refused(token, reason, class, words.as_deref());
                }
                Event::Message(message) => {
                    self.count(|status| status.commands += 1);
                    let now = self.moment();
                    let Self { inbox, around, dialect, .. } = self;
                    let reply = inbox.take(&around.store, &mut **dialect, now, &message).await;
                    self.answer(session, reply);
                }
                Event::Subscribed { granted, .. } => {
                    if let Some(reason) = granted.iter().find_map(refusal) {
                        let reason = reason.name();
                        self.alarm(format!(
                            "the broker refuses the subscription to commands ({reason}); check its access list"
                        ));
                    }
                }
                Event::Unsubscribed { .. } | Event::Flushed => {}
                Event::Closed(closed) => return Some(End::Broken(words(&closed))),
            }
            next = ready(session.event(wake)).await;
        }
        None
    }

    fn answer(&mut self, session: &mut Session, reply: Reply) {
        if self.loose.len() < ANSWERS {
            self.loose.extend(reply.answer);
        }
        for packet in reply.packets {
            session.acknowledge(packet);
        }
    }

    fn acked(&mut self, token: u64) {
        let historical = match self.flight.landed(token) {
            Some(Carried::Commit(lane, seq) | Carried::Notice(lane, seq)) => {
                self.lanes.settled(lane, seq);
                if !self.apart.is_empty() {
                    self.apart.remove(&seq);
                }
                self.taken();
                lane.historical
            }
            Some(Carried::Bundle(slot, historical)) => {
                self.landed(slot);
                self.taken();
                historical
            }
            Some(Carried::Part(slot)) => {
                self.landed(slot);
                self.taken();
                false
            }
            Some(Carried::Document(handle, document, rev)) => {
                self.mirror.acked(handle, document, rev);
                if self.documents_hold.taken() {
                    self.status.send_modify(|status| status.alarm = None);
                }
                false
            }
            Some(Carried::Loose) | None => false,
        };
        self.count(|status| {
            status.acknowledged += 1;
            status.historical += u64::from(historical);
        });
    }

    /// The broker took a commit: where it had refused some, everything goes on.
    fn taken(&mut self) {
        if self.hold.taken() {
            self.status.send_modify(|status| status.alarm = None);
            self.resume();
        }
    }

    fn refused(&mut self, token: u64, reason: Reason, class: RefusalClass, said: Option<&str>) {
        let why = match said {
            Some(said) => format!("{} (0x{:02X}), saying {said:?}", reason.name(), reason.0),
            None => format!("{} (0x{:02X})", reason.name(), reason.0),
        };
        match (self.flight.landed(token), class) {
            (Some(Carried::Commit(lane, seq)), RefusalClass::Message) => {
                self.pass_over(lane, seq, &format!("the broker refuses it: {why}"));
            }
            (Some(Carried::Notice(lane, seq)), RefusalClass::Message) => {
                self.lanes.settled(lane, seq);
            }
            (Some(Carried::Part(slot)), RefusalClass::Message) => {
                for (lane, seq) in self.owed.landed(slot) {
                    self.pass_over(lane, seq, &format!("the broker refuses it: {why}"));
                }
            }
            (Some(Carried::Bundle(slot, _)), RefusalClass::Message) => {
                let settles = self.owed.landed(slot);
                match &*settles {
                    [(lane, seq)] => {
                        self.pass_over(*lane, *seq, &format!("the broker refuses it: {why}"));
                    }
                    all => {
                        self.take_apart(all.iter().map(|(_, seq)| *seq).collect());
                        self.seldom(format!("a message of several readings is refused: {why}"));
                    }
                }
            }
            (
                Some(
                    Carried::Commit(..)
                    | Carried::Notice(..)
                    | Carried::Part(_)
                    | Carried::Bundle(..),
                ),
                RefusalClass::Link,
            ) => {
                self.restart();
                self.hold.refused(Instant::now());
                self.alarm(format!(
                    "nothing goes out: the broker refuses messages: {why}; they are kept and tried again, or see `gatewayctl links skip`"
                ));
            }
            (Some(Carried::Document(handle, document, _)), class) => {
                self.note(format!("a state document is refused by the broker: {why}"));
                if class == RefusalClass::Link {
                    self.documents_hold.refused(Instant::now());
                    self.alarm(format!(
                        "the broker refuses state topics: {why}; check its access list"
                    ));
                    let Self { around, mirror, .. } = self;
                    around.store.read(|state| {
                        if let Some(twin) = state.by_handle(handle) {
                            mirror.again(twin, document);
                        }
                    });
                }
            }
            // Commits of a lane that is held already, and answers that nobody waits for.
            (Some(Carried::Loose) | None, _) => tracing::debug!("a message is refused: {why}"),
        }
    }

    /// What pauses have ended.
    fn tick(&mut self) {
        let now = Instant::now();
        self.hold.ended(now);
        self.documents_hold.ended(now);
        self.passed.record(now);
    }

    /// When the next pause ends.
    fn timer(&self, session: &Session, farewell: Option<Instant>) -> Option<Instant> {
        let state = self.mirror.waiting().then(|| self.flushed + self.spec.state_interval);
        let held = self.documents_hold.until().is_some() || self.documents_wait;
        let state = state.filter(|_| !held && self.caught_up);
        let (bundle, judge) = (self.bundle_due(session), self.judged_until());
        // What cannot be read now is waited for with the lanes; with a full window it is acknowledgements that are waited for.
        let waits = !self.no_backlog && self.hungry(session) && self.backlog_room(session) > 0;
        let waits = waits && !self.lanes.held() && !self.yields;
        let backlog = self.bucket.as_ref().filter(|_| waits).map(|bucket| {
            let micros = bucket.until(1.0, self.around.clock.boottime()).max(1_000);
            Instant::now() + Duration::from_micros(micros.unsigned_abs())
        });
        let (hold, documents) = (self.hold.until(), self.documents_hold.until());
        [state, backlog, hold, documents, bundle, judge, self.passed.due(), farewell]
            .into_iter()
            .flatten()
            .min()
    }

    /// Changes figures that nobody waits for.
    pub(super) fn count(&self, change: impl FnOnce(&mut LinkStatus)) {
        self.status.send_if_modified(|status| {
            change(status);
            false
        });
    }

    fn alarm(&mut self, words: String) {
        let new = self.status.borrow().alarm.as_ref() != Some(&words);
        if new {
            self.note(words.clone());
            self.status.send_modify(|status| status.alarm = Some(words));
        }
    }

    /// A commit that the broker refuses for what it is goes on record, and its lane on after that.
    pub(super) fn pass_over(&mut self, lane: LaneId, seq: Seq, why: &str) {
        self.passed.add(lane, seq, why);
        self.keep_error(format!("commit {} is passed over: {why}", seq.0));
    }

    /// Keeps an error that may come again with every message; the journal gets one in a minute.
    pub(super) fn seldom(&mut self, words: String) {
        const SELDOM: Duration = Duration::from_secs(60);
        if self.warned.is_none_or(|last| last.elapsed() >= SELDOM) {
            self.warned = Some(Instant::now());
            self.note(words);
        } else {
            self.keep_error(words);
        }
    }

    /// Keeps an error that ends nothing.
    fn note(&mut self, words: String) {
        tracing::warn!(link = %self.spec.name, "{words}");
        self.keep_error(words);
    }

    fn keep_error(&mut self, words: String) {
        let at = Boottime(self.around.clock.boottime());
        self.status.send_modify(|status| status.last_error = Some(super::LastError { at, words }));
    }
}

fn refusal(granted: &Granted) -> Option<Reason> {
    match granted {
        Granted::Refused(reason) => Some(*reason),
        Granted::Qos(_) => None,
    }
}

/// What the future gives, if it gives it at once.
async fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}
