//! What a dialect is: a translator that gets no handle to anything and returns messages.

use std::sync::Arc;

use twin::{Command, Commit, Handle, LedgerEntry, Moment, Name, Reason, Seq, State, Twin, TwinId};
use twin_store::Frame;

/// The words of one platform.
///
/// The link owns connection, window, lanes and time; a dialect only turns what happened into messages and messages
/// into commands. Every commit becomes at most one message, so that the broker's acknowledgement of a message settles
/// its commit. Retained documents are written from the state at the moment they are sent and may be skipped or
/// repeated at any time.
pub trait Dialect: Send + Sync {
    /// What the broker publishes when the gateway vanishes, and the gateway when it leaves.
    fn offline(&self) -> Option<Message>;

    /// What is published after connecting and whenever the gateway's own state changes.
    fn online(&mut self, state: &State) -> Option<Message>;

    /// Topic filters of what the platform sends to us.
    fn subscriptions(&self) -> Vec<String>;

    /// Hot path: the topic for readings of this twin; `false` where the dialect has none.
    fn stream(&mut self, twin: &Twin, topic: &mut String) -> bool;

    /// Hot path: appends the message for a commit with readings; says how many values it has. Called right after
    /// [`Dialect::stream`], or between the parts of [`Dialect::envelope`].
    fn readings(
        &mut self,
        state: &State,
        twin: &Twin,
        frame: &Frame,
        historical: bool,
        out: &mut Vec<u8>,
    ) -> usize;

    /// How several messages of [`Dialect::readings`] become one; `None` where the platform knows no such thing.
    fn envelope(&self) -> Option<Envelope>;

    /// The message for any other commit; `None` where it carries nothing for the platform.
    fn record(&mut self, state: &State, commit: &Commit, historical: bool) -> Option<Message>;

    /// Where a retained document belongs, and its content; `false` where the dialect has no such document.
    fn document(
        &mut self,
        state: &State,
        twin: &Twin,
        document: Document,
        topic: &mut String,
        out: &mut Vec<u8>,
    ) -> bool;

    /// Retained topics to clear because this twin was purged; it had these features. Another twin of its name may be
    /// there by now: its documents stay.
    fn purged(
        &mut self,
        state: &State,
        handle: Handle,
        twin: &TwinId,
        features: &[Name],
    ) -> Vec<String>;

    /// What a message from the platform asks for; `None` where it is not for us.
    fn incoming(&mut self, state: &State, now: Moment, message: &Incoming<'_>) -> Option<Asked>;

    /// The answer to something that was asked and is not, or not again, in the log.
    fn answer(&self, state: &State, answer: &Answer<'_>) -> Option<Message>;

    /// What this link will never get: commits `first..=last` were dropped before it could send them.
    fn overtaken(&self, state: &State, first: Seq, last: Seq, cause: &str) -> Option<Message>;
}

/// A message on its way to the broker, at QoS 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where.
    pub topic: String,
    /// What.
    pub payload: Vec<u8>,
    /// Whether the broker keeps it for later subscribers.
    pub retain: bool,
}

/// What stands around several readings in one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Where.
    pub topic: String,
    /// Where, when it is compressed as gzip.
    pub gzip_topic: String,
    /// Before the first.
    pub begin: &'static str,
    /// Before each further one.
    pub between: &'static str,
    /// After the last.
    pub end: &'static str,
    /// The media type of the whole.
    pub content_type: &'static str,
}

/// A retained document of a twin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Document {
    /// What it consists of.
    Description,
    /// Where it stands in its life cycle.
    LifeCycle,
    /// How closely it follows its asset.
    Entanglement,
    /// Which of its alarms stand.
    Alarms,
    /// The state of the feature with this index.
    Feature(u16),
}

/// A message from the platform.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// Where it was published.
    pub topic: &'a str,
    /// What was published.
    pub payload: &'a [u8],
    /// Whether the broker had kept it.
    pub retained: bool,
}

/// What a message asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The twin that it names; it may not exist.
    pub twin: TwinId,
    /// The caller's id, where there is a usable one.
    pub key: Option<Arc<str>>,
    /// The point that it names, where there is one.
    pub index: Option<u16>,
    /// The command, or why it is none, in words that say what to do.
    pub command: Result<Command, (Reason, Arc<str>)>,
}

/// An answer that does not come from the lanes.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// Whose twin was asked for.
    pub twin: &'a TwinId,
    /// The caller's id, where there was one.
    pub key: Option<&'a str>,
    /// What the answer is.
    pub said: Said<'a>,
}

/// The content of an [`Answer`].
#[derive(Debug, Clone, Copy)]
pub enum Said<'a> {
    /// It was asked before; this is where it stands, and whether something else is asked now.
    Known(&'a LedgerEntry, bool),
    /// It was refused and could not be recorded.
    Refused(Reason, &'a str),
}
