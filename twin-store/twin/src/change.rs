//! What can happen: changes on their way to the writer, and commits that came of them.

use std::sync::Arc;

use crate::{
    BootId, Boottime, Command, CommandId, Description, Entangled, Envelope, Event, Handle,
    LedgerEntry, LifeCycle, Maintenance, Name, Outcome, Reason, Relationship, Reported, Step,
    TimeBase, Trigger, TwinId,
};

/// A number in the one order of everything that happened; never reused, from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

impl Seq {
    /// The next number.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Something that happens to a twin.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Whose.
    pub twin: TwinId,
    /// Where it comes from.
    pub origin: Origin,
    /// What happens.
    pub what: What,
}

/// Where a change comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The asset itself, through its adapter.
    Asset,
    /// The gateway's own decision.
    Keeper,
    /// The gateway's configuration.
    Configuration,
    /// Somebody: a person, a link, an application.
    Principal(Principal),
    /// Another gateway, where it had this identity (reserved for migration and import).
    Foreign {
        /// Which gateway.
        gateway: Name,
        /// Its epoch.
        epoch: u32,
        /// Its sequence number.
        seq: Seq,
    },
}

impl Origin {
    /// Who a command of this origin counts as from. The ledger, the twin and the writer's admission know a command by
    /// this principal and its key, so it is said once.
    #[must_use]
    pub fn principal(&self) -> Principal {
        match self {
            Self::Principal(by) => by.clone(),
            _ => Principal { kind: PrincipalKind::User, name: "gatewayd".into() },
        }
    }
}

/// Who asks for something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Principal {
    /// What kind of somebody.
    pub kind: PrincipalKind,
    /// Their name: of the link, of the local user.
    pub name: Arc<str>,
}

/// The kinds of principals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PrincipalKind {
    /// A northbound link; the protocol does not tell who stands behind it.
    Link = 0,
    /// A local user, proven by the kernel.
    User = 1,
    /// An application with credentials of its own.
    Application = 2,
}

impl std::fmt::Display for Principal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.kind {
            PrincipalKind::Link => "link",
            PrincipalKind::User => "user",
            PrincipalKind::Application => "application",
        };
        write!(f, "{kind}:{}", self.name)
    }
}

/// What happens to a twin.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// It is described, for the first time or anew.
    Described(Arc<Description>),
    /// Its asset reported.
    Reported(Reported),
    /// Readings of the past arrived; the reported state is not touched.
    Backfilled(Reported),
    /// Samples were summarised.
    Thinned(Envelope),
    /// Its asset was reached or given up by one of its adapters.
    Binding(Binding),
    /// It moved in its life cycle.
    Transition {
        /// From this state.
        from: LifeCycle,
        /// To this one.
        to: LifeCycle,
        /// By this trigger.
        trigger: Trigger,
        /// In words, where there is more to say.
        detail: Option<Arc<str>>,
        /// Timeliness, reliability and availability at that time, where they are known.
        entanglement: Option<[f32; 3]>,
    },
    /// A command was accepted. Its id is this commit's sequence number.
    Command(Command),
    /// A command was refused.
    Refused {
        /// The caller's id of it.
        key: Arc<str>,
        /// Which point, where that was understood.
        index: Option<u16>,
        /// Why.
        reason: Reason,
        /// In words.
        detail: Arc<str>,
    },
    /// An accepted command took a step.
    Step {
        /// Which command.
        command: CommandId,
        /// Which step.
        step: Step,
    },
    /// An event occurred.
    Event(Event),
    /// A relationship was made.
    Related(Relationship),
    /// A relationship was ended.
    Unrelated(Relationship),
    /// How acquisition went since the last heartbeat, per group. At most one per twin and minute.
    Heartbeat(Vec<GroupCounts>),
    /// How close it is to its asset has changed by enough to be said.
    Entangled(Entangled),
    /// Planned work on its asset began, or ended.
    Maintained(Option<Maintenance>),
    /// It is gone for good: its id may name another asset.
    Purged,
}

/// Whether one adapter has reached the asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Which adapter, by the name of its line.
    pub line: Arc<str>,
    /// Reached or given up.
    pub bound: bool,
    /// The asset's own id (serial number, vendor id), where the protocol lets us read it.
    pub asset: Option<Arc<str>>,
    /// Why it was given up; or what of it is not as configured, where it was reached.
    pub cause: Option<Arc<str>>,
}

/// How the acquisition of one group went over a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupCounts {
    /// Which group.
    pub group: u16,
    /// Acquisitions that were due.
    pub expected: u32,
    /// Acquisitions that succeeded.
    pub received: u32,
    /// Acquisitions that succeeded in time.
    pub on_time: u32,
    /// The last success.
    pub last: Option<TimeBase>,
}

/// Something that happens to the gateway itself.
#[derive(Debug, Clone, PartialEq)]
pub enum GatewayEvent {
    /// The store was opened.
    Opened {
        /// The new epoch.
        epoch: u32,
        /// The boot during which it was opened.
        boot: BootId,
        /// UTC minus boottime in microseconds; `None` while the clock is not set.
        offset: Option<i64>,
        /// The highest sequence number that survived.
        surviving: Seq,
    },
    /// The clock was set.
    ClockSet {
        /// UTC minus boottime in microseconds.
        offset: i64,
    },
    /// Commits are gone: lost in a crash, dropped by retention.
    Gap {
        /// The first one.
        first: Seq,
        /// The last one.
        last: Seq,
        /// Why.
        cause: GapCause,
    },
    /// Writes were switched on or off.
    Writes {
        /// On or off.
        on: bool,
        /// Who did it.
        by: Principal,
    },
    /// What was shown of these twins had at least these revs, though the log that is left counts fewer: the store has
    /// proven it after a loss.
    Revs {
        /// Twins and their revs.
        least: Vec<(Handle, u64)>,
    },
    /// No commit older than this is kept: how its time resolves need not be known any more.
    Forgotten {
        /// The oldest commit that may still be there.
        before: Seq,
    },
    /// A link's far side refused messages for what they are, and the link went on without them.
    PassedOver {
        /// Which link.
        link: Name,
        /// The first commit that it refused.
        first: Seq,
        /// The last one.
        last: Seq,
        /// How many they are; the link's others between them arrived.
        count: u32,
        /// Why the first was refused, in words.
        why: Arc<str>,
    },
}

/// Why commits are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GapCause {
    /// A crash or power cut took what was not yet on disk.
    Crash = 0,
    /// The disk returned something else than was written.
    Damage = 1,
    /// Retention dropped the oldest samples.
    Retention = 2,
    /// The disk was full.
    Full = 3,
    /// They were readings; envelopes stand for them now.
    Thinned = 4,
}

/// Something that happened, for good.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// Its place in the order.
    pub seq: Seq,
    /// The epoch in which it was written.
    pub epoch: u32,
    /// When it was written.
    pub at: Boottime,
    /// What happened to whom.
    pub body: Body,
}

/// What happened to whom.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// To a twin.
    Twin {
        /// Which one.
        handle: Handle,
        /// Its id.
        twin: TwinId,
        /// Where the change came from.
        origin: Origin,
        /// What happened.
        what: What,
    },
    /// To the gateway.
    Gateway(GatewayEvent),
}

/// Freshness: an acquisition that is no commit, because nothing changed or nothing came.
///
/// Kept in memory by the store, read by the keeper on its ticks, and summed into heartbeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Whose.
    pub twin: TwinId,
    /// Which group.
    pub group: u16,
    /// Whether it was complete: every required reading is good.
    pub ok: bool,
    /// When it was due; the base of "in time".
    pub due: Boottime,
    /// When it was asked for.
    pub at: Boottime,
    /// How many acquisitions were due since the last one, this one included; more than 1 where some were skipped.
    pub expected: u32,
}

/// What the writer takes in.
#[derive(Debug)]
pub struct Submission {
    /// What happens.
    pub input: Input,
    /// Whom to tell once it is durable, or why not. Asking makes the writer sync the disk before it answers.
    pub receipt: Option<Receipt>,
}

/// What can be submitted.
#[derive(Debug)]
pub enum Input {
    /// A change of a twin, and the freshness that comes with it when it is a completed acquisition.
    Change(Change, Option<Seen>),
    /// Freshness alone.
    Seen(Seen),
    /// The clock was set or writes were switched.
    Gateway(GatewayEvent),
}

/// Answers a submission, once.
pub struct Receipt(Box<dyn FnOnce(Result<Accepted, Refusal>) + Send>);

/// What became of a durable submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The commit that it became; the highest one so far where it changed nothing.
    pub seq: Seq,
    /// The command was known already: this is where it stands.
    pub known: Option<LedgerEntry>,
    /// The command was refused for this reason, and the refusal is durable.
    pub refused: Option<Outcome>,
}

/// Why a submission became no commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such twin.
    NoSuchTwin,
    /// It contradicts the model.
    Invalid(Arc<str>),
    /// It could not be made durable.
    Storage(Arc<str>),
    /// The writer has stopped.
    Stopped,
}

impl Receipt {
    /// A receipt that calls this when the submission is durable or refused. The call must not block.
    pub fn new(tell: impl FnOnce(Result<Accepted, Refusal>) + Send + 'static) -> Self {
        Self(Box::new(tell))
    }

    /// Answers.
    pub fn tell(self, answer: Result<Accepted, Refusal>) {
        (self.0)(answer);
    }
}

impl std::fmt::Debug for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Receipt")
    }
}

impl Submission {
    /// A change that nobody waits for.
    #[must_use]
    pub fn change(change: Change) -> Self {
        Self { input: Input::Change(change, None), receipt: None }
    }

    /// Freshness alone.
    #[must_use]
    pub fn seen(seen: Seen) -> Self {
        Self { input: Input::Seen(seen), receipt: None }
    }

    /// The same, with somebody to tell.
    #[must_use]
    pub fn with_receipt(self, receipt: Receipt) -> Self {
        Self { receipt: Some(receipt), ..self }
    }
}
