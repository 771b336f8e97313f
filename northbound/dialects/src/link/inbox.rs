//! Commands from the far side: each is durable, or durably refused, before the broker is told that we have it.

use std::collections::HashMap;
use std::sync::Arc;

use base::{Scope, TokenBucket};
use tokio::sync::mpsc;
use twin::{
    Accepted, Body, Change, Command, Input, LedgerEntry, Moment, Origin, Principal, PrincipalKind,
    Reason, Receipt, Refusal, Submission, TwinId, What,
};
use twin_store::Store;

use super::Surroundings;
use crate::dialect::{Answer, Asked, Dialect, Incoming, Message, Said};
use crate::spec::{LinkSpec, Pattern, any};

/// How many commands may wait for the disk at once.
const OPEN: usize = 128;

/// The commands of one link that wait for the disk.
pub(super) struct Inbox {
    allowed: Vec<Pattern>,
    by: Principal,
    submissions: mpsc::Sender<Submission>,
    tell: mpsc::Sender<Told>,
    told: mpsc::Receiver<Told>,
    open: HashMap<Arc<str>, Open>,
    /// New commands, and looks into the log for old ones.
    new: TokenBucket,
    looks: TokenBucket,
    rate: u32,
    blocking: Scope,
}

/// A command that waits for the disk.
struct Open {
    twin: TwinId,
    /// What the broker wants acknowledged; repeats arrive under packet ids of their own.
    packets: Vec<u16>,
}

/// What the writer said about a command.
pub(super) struct Told {
    key: Arc<str>,
    answer: Result<Accepted, Refusal>,
}

/// What the link does about a message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Reply {
    /// To publish.
    pub answer: Option<Message>,
    /// To acknowledge.
    pub packets: Vec<u16>,
}

impl Inbox {
    pub(super) fn new(spec: &LinkSpec, around: &Surroundings) -> Self {
        let (tell, told) = mpsc::channel(OPEN);
        let (rate, now) = (spec.command_rate.max(1), around.clock.boottime());
        // Whoever sets all setpoints of a machine at once is no flood.
        let bucket = TokenBucket::new(f64::from(rate), f64::from(rate.max(5)) * 2.0, now);
        Self {
            allowed: spec.commands.clone().unwrap_or_default(),
            by: Principal { kind: PrincipalKind::Link, name: spec.name.as_str().into() },
            submissions: around.submissions.clone(),
            tell,
            told,
            open: HashMap::new(),
            new: bucket.clone(),
            looks: bucket,
            rate,
            blocking: around.blocking.clone(),
        }
    }

    /// The connection is gone, and the packet ids with it.
    pub(super) fn disconnected(&mut self) {
        self.open.values_mut().for_each(|open| open.packets.clear());
    }

    /// Takes a message in.
    pub(super) async fn take(
        &mut self,
        store: &Store,
        dialect: &mut dyn Dialect,
        now: Moment,
        message: &wire::Message,
    ) -> Reply {
        let packets: Vec<u16> = message.packet.into_iter().collect();
        let incoming =
            Incoming { topic: &message.topic, payload: &message.payload, retained: message.retain };
        let Some(asked) = store.read(|state| dialect.incoming(state, now, &incoming)) else {
            return Reply { answer: None, packets };
        };
        let answer = |key: Option<&str>, said: Said<'_>| {
            store.read(|state| dialect.answer(state, &Answer { twin: &asked.twin, key, said }))
        };
        let Some(key) = asked.key.clone() else {
            let (reason, words) = refusal(&asked);
            return Reply { answer: answer(None, Said::Refused(reason, &words)), packets };
        };
        if let Some(open) = self.open.get_mut(&key) {
            open.packets.extend(packets);
            return Reply::default();
        }
        let known = store.read(|state| state.ledger().find(&self.by, &key).cloned());
        if let Some(entry) = known {
            let differs = self.differs(store, now, &asked, &entry).await;
            return Reply { answer: answer(Some(&key), Said::Known(&entry, differs)), packets };
        }
        let exists = store.read(|state| state.twin(&asked.twin).is_some());
        let not_now = if !exists {
            Some(refusal(&asked))
        } else if self.open.len() >= OPEN {
            Some((Reason::Busy, "too many commands wait for the disk; repeat it later".into()))
        } else if !self.new.take(1.0, now.boottime.0) {
            let words = format!(
                "more than {} commands per second came through this link (`command_rate`); repeat it later",
                self.rate
            );
            Some((Reason::Rate, words.into()))
        } else {
            None
        };
        if let Some((reason, words)) = not_now {
            return Reply { answer: answer(Some(&key), Said::Refused(reason, &words)), packets };
        }
        let what = match self.judge(store, &asked) {
            Ok(command) => What::Command(command),
            Err((reason, detail)) => {
                What::Refused { key: key.clone(), index: asked.index, reason, detail }
            }
        };
        self.submit(key, asked.twin, what, packets).await;
        Reply::default()
    }

    /// What the writer said about some command.
    pub(super) async fn told(&mut self) -> Option<Told> {
        self.told.recv().await
    }

    /// What to do about what the writer said.
    pub(super) fn reply(&mut self, store: &Store, dialect: &dyn Dialect, told: Told) -> Reply {
        let Some(open) = self.open.remove(&told.key) else { return Reply::default() };
        let said = match &told.answer {
            // The lanes carry what became of it.
            Ok(Accepted { known: None, .. }) => {
                return Reply { answer: None, packets: open.packets };
            }
            Ok(Accepted { known: Some(entry), .. }) => Said::Known(entry, false),
            Err(Refusal::NoSuchTwin) => {
                Said::Refused(Reason::NoSuchTwin, Reason::NoSuchTwin.meaning())
            }
            Err(Refusal::Invalid(words)) => Said::Refused(Reason::Malformed, words),
            Err(Refusal::Storage(words)) => Said::Refused(Reason::Storage, words),
            // Nobody may be told: the broker will deliver it again.
            Err(Refusal::Stopped) => return Reply::default(),
        };
        let answer = Answer { twin: &open.twin, key: Some(&told.key), said };
        let answer = store.read(|state| dialect.answer(state, &answer));
        Reply { answer, packets: open.packets }
    }

    /// Whether a repeat asks for something else than the command whose id it carries. The log knows; it is read on a
    /// thread of its own, and not for a flood of repeats.
    async fn differs(
        &mut self,
        store: &Store,
        now: Moment,
        asked: &Asked,
        entry: &LedgerEntry,
    ) -> bool {
        if !self.looks.take(1.0, now.boottime.0) {
            return false;
        }
        let (log, seq) = (store.clone(), entry.seq);
        let look = move || {
            let frame = log.follow(seq).ready().into_iter().next().filter(|f| f.seq == seq)?;
            log.read(|state| frame.commit(state))
        };
        let Some(Some(commit)) = self.blocking.blocking(look).await else { return false };
        let Body::Twin { twin, what, .. } = commit.body else { return false };
        let same = match (&what, &asked.command) {
            (What::Command(then), Ok(now)) => (then.index, &then.order) == (now.index, &now.order),
            (What::Command(_), Err(_)) => false,
            // What was refused is on record without its value.
            (What::Refused { index, .. }, _) => *index == asked.index,
            _ => true,
        };
        twin != asked.twin || !same
    }

    fn judge(&self, store: &Store, asked: &Asked) -> Result<Command, (Reason, Arc<str>)> {
        let command = asked.command.clone()?;
        let path = store.read(|state| {
            let point = state.twin(&asked.twin)?.description().point(command.index)?;
            Some(format!("{}/{}/{}", asked.twin, point.spec.feature, point.spec.name))
        });
        let path = path.unwrap_or_default();
        if any(&self.allowed, &path) {
            return Ok(command);
        }
        let words = format!("the link {} does not list {path} under `commands`", self.by.name);
        Err((Reason::NotAllowed, words.into()))
    }

    async fn submit(&mut self, key: Arc<str>, twin: TwinId, what: What, packets: Vec<u16>) {
        let (tell, of) = (self.tell.clone(), key.clone());
        // There are never more open commands than the channel holds.
        let receipt = Receipt::new(move |answer| drop(tell.try_send(Told { key: of, answer })));
        self.open.insert(key, Open { twin: twin.clone(), packets });
        let change = Change { twin, origin: Origin::Principal(self.by.clone()), what };
        let submission = Submission { input: Input::Change(change, None), receipt: Some(receipt) };
        // Without a writer there is no receipt and no acknowledgement: the broker keeps the command.
        self.submissions.send(submission).await.ok();
    }
}

fn refusal(asked: &Asked) -> (Reason, Arc<str>) {
    match &asked.command {
        Err((reason, words)) => (*reason, words.clone()),
        Ok(_) => (Reason::Other, Reason::Other.meaning().into()),
    }
}
