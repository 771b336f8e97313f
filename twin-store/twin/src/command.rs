//! Commands: writes of a desired value and action calls, from acceptance to an outcome. Every command ends.

use std::fmt;
use std::sync::Arc;

use crate::guard;
use crate::{
    BootId, Boottime, Care, Closeness, LifeCycle, Moment, Principal, State, Timestamp, Twin, Value,
};

/// A command's own identity: the sequence number of the commit that accepted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u64);

/// What somebody wants of an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The caller's id of it: the same key from the same principal is the same command.
    pub key: Arc<str>,
    /// Which property or action.
    pub index: u16,
    /// What to do with it.
    pub order: Order,
    /// After this it is never executed.
    pub deadline: Deadline,
    /// Wall-clock time at which the caller asked, where the clock was set.
    pub asked: Option<Timestamp>,
}

/// What to do with the property or action that a command names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Write this value.
    Write(Value),
    /// Call the action with this input.
    Call(Option<Value>),
}

/// An instant after which a command is never executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// The boot on whose clock `at` counts.
    pub boot: BootId,
    /// The instant on that boot's clock.
    pub at: Boottime,
    /// The same instant as wall-clock time, where the clock was set.
    pub utc: Option<Timestamp>,
}

impl Deadline {
    /// This many microseconds after `now`.
    #[must_use]
    pub fn after(now: Moment, micros: i64) -> Self {
        Self {
            boot: now.boot,
            at: Boottime(now.boottime.0.saturating_add(micros)),
            utc: now.utc.map(|t| Timestamp(t.0.saturating_add(micros))),
        }
    }

    /// Whether it has passed. After another boot wall-clock time decides; where that is unknown it has passed.
    #[must_use]
    pub fn passed(&self, now: Moment) -> bool {
        if self.boot == now.boot {
            return now.boottime >= self.at;
        }
        match (self.utc, now.utc) {
            (Some(deadline), Some(now)) => now >= deadline,
            _ => true,
        }
    }
}

/// A command on its way to an adapter, which gets it once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandOrder {
    /// Its identity.
    pub id: CommandId,
    /// Who asks: between callers the newest wins, what one caller asks is done in its order.
    pub by: Principal,
    /// Whose asset.
    pub twin: crate::TwinId,
    /// Which property or action.
    pub index: u16,
    /// What to do.
    pub order: Order,
    /// Until when.
    pub deadline: Deadline,
    /// Only read back, never write: the daemon restarted after the bytes may have left.
    pub read_back_only: bool,
}

/// A step of a command after its acceptance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// About to leave for the asset; a read-back should give this. Durable before any byte leaves.
    Sent {
        /// `decode(encode(value))`.
        expected: Value,
    },
    /// The asset has said yes.
    Acknowledged,
    /// It has ended.
    Ended(Outcome),
}

/// Where a command stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Durable here; nothing has left.
    Accepted,
    /// It may have reached the asset.
    Sent,
    /// The asset has said yes.
    Acknowledged,
    /// It has ended.
    Ended(Outcome),
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Read back from the asset as expected.
    Confirmed,
    /// Not carried out, for this reason.
    Rejected(Reason, Arc<str>),
    /// Its deadline passed before anything left.
    Expired,
    /// It may or may not have been carried out.
    Unknown(Reason, Arc<str>),
}

macro_rules! reasons {
    ($($variant:ident = $code:literal, $word:literal, $doc:literal;)*) => {
        /// Why a command was refused or could not be confirmed. The codes are part of the disk format.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason { $(#[doc = $doc] $variant = $code,)* }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word used in CLI and messages.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// What it means, for people.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $doc.trim_ascii(),)* }
            }
        }
    };
}

reasons! {
    Other = 0, "other", "A reason that this version does not know.";
    WritesOff = 1, "writes-off", "Writes are switched off on this gateway (`gatewayctl writes on`).";
    NotWritable = 2, "not-writable", "The device file does not declare this point writable.";
    NotShadowed = 3, "not-shadowed", "The twin is not shadowed, and the point's policy asks for it.";
    OutOfRange = 4, "out-of-range", "The value lies outside the point's writable range.";
    WrongType = 5, "wrong-type", "The value does not fit the point's type.";
    NoSuchPoint = 6, "no-such-point", "The twin has no such property or action.";
    NoSuchTwin = 7, "no-such-twin", "There is no such twin.";
    NotAllowed = 8, "not-allowed", "The caller is not allowed to command this point.";
    Retained = 9, "retained", "The message was retained: it would act again at every reconnect.";
    NoId = 10, "no-id", "The message has no id.";
    NoDeadline = 11, "no-deadline", "The clock is not set and the message has no relative deadline.";
    Late = 12, "late", "The deadline had passed on arrival.";
    Busy = 13, "busy", "The line cannot take more commands now.";
    LineDown = 14, "line-down", "The line is not there or is parked.";
    Refused = 15, "refused", "The asset refused it.";
    Differs = 16, "differs", "The asset reads back another value.";
    NoAnswer = 17, "no-answer", "The asset did not answer.";
    NoReadBack = 18, "no-read-back", "The asset answered, but could not be read back.";
    Restarted = 19, "restarted", "The daemon restarted while the command was on its way.";
    Malformed = 20, "malformed", "The message could not be understood.";
    Storage = 21, "storage", "It could not be recorded, so it was not carried out.";
    Superseded = 22, "superseded", "A newer command of somebody else for the same point took its place.";
    Purged = 23, "purged", "The twin was purged before the command had ended.";
    Rate = 24, "rate", "More commands came than the caller may give; nothing was recorded.";
    Entanglement = 25, "entanglement", "The twin does not follow its asset closely enough for commands.";
    Interlock = 26, "interlock", "Something that has to be so before the point may be written is not so.";
    TooOften = 27, "too-often", "The last command for the point was accepted too recently.";
    Maintenance = 29, "maintenance", "The asset is under maintenance.";
    NotStanding = 30, "not-standing", "The alarm does not stand, or another occurrence of it does.";
}

impl Reason {
    /// The reason with this code; [`Reason::Other`] where it is unknown.
    #[must_use]
    pub fn from_code(code: u8) -> Self {
        Self::ALL.iter().copied().find(|reason| *reason as u8 == code).unwrap_or(Self::Other)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl Stage {
    /// The word used in CLI and messages.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Sent => "sent",
            Self::Acknowledged => "acknowledged",
            Self::Ended(outcome) => outcome.word(),
        }
    }

    /// Whether nothing more will follow.
    #[must_use]
    pub fn ended(&self) -> bool {
        matches!(self, Self::Ended(_))
    }

    /// How a command that stands here ends when its twin goes for good; `None` where it has ended already.
    #[must_use]
    pub fn when_purged(&self) -> Option<Outcome> {
        match self {
            Self::Accepted => {
                Some(Outcome::Rejected(Reason::Purged, "it had not left for the asset".into()))
            }
            Self::Sent | Self::Acknowledged => {
                Some(Outcome::Unknown(Reason::Purged, "it was not read back".into()))
            }
            Self::Ended(_) => None,
        }
    }

    /// Where it stands after `step`; `None` where the step cannot follow.
    #[must_use]
    pub fn after(&self, step: &Step) -> Option<Self> {
        match (self, step) {
            (Self::Ended(_), _) => None,
            (_, Step::Ended(outcome)) => Some(Self::Ended(outcome.clone())),
            (Self::Accepted, Step::Sent { .. }) => Some(Self::Sent),
            (Self::Sent, Step::Acknowledged) => Some(Self::Acknowledged),
            _ => None,
        }
    }
}

impl Outcome {
    /// The word used in CLI and messages.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Rejected(..) => "rejected",
            Self::Expired => "expired",
            Self::Unknown(..) => "unknown",
        }
    }
}

/// An open or ended command as the state keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandState {
    /// What was asked.
    pub command: Command,
    /// Who asked.
    pub by: Principal,
    /// Where it stands.
    pub stage: Stage,
    /// What the read-back should give, once it was sent.
    pub expected: Option<Value>,
}

/// What was last asked of a property. It stays readable with its outcome until it is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// The value asked for.
    pub value: Value,
    /// Grows with each command for this property.
    pub version: u64,
    /// The command that asked.
    pub command: CommandId,
    /// Who asked.
    pub by: Principal,
    /// When it was accepted; resolves with the sequence number that `command` is.
    pub at: Boottime,
    /// Where the command stands.
    pub stage: Stage,
}

/// Whether a command may be accepted now, by what the twin's description and the gateway's switch say.
///
/// # Errors
/// The reason why it may not, with words for the caller.
pub fn admit(
    state: &State,
    twin: &Twin,
    command: &Command,
    now: Moment,
) -> Result<(), (Reason, Arc<str>)> {
    let no = |reason: Reason, words: String| Err((reason, Arc::from(words)));
    // Looking after an alarm asks nothing of the asset.
    if twin.rule(command.index).is_some() {
        if command.deadline.passed(now) {
            return no(Reason::Late, "the deadline has passed".into());
        }
        let care = Care::of(&command.order).map_err(|words| (Reason::WrongType, words.into()))?;
        let done = twin.care(command.index, &care, now);
        return done.map(drop).or_else(|words| no(Reason::NotStanding, words));
    }
    if !state.writes_on() {
        return no(
            Reason::WritesOff,
            "writes are off on this gateway; `gatewayctl writes on` allows them".into(),
        );
    }
    let Some(point) = twin.description().point(command.index).filter(|p| !p.retired) else {
        return no(
            Reason::NoSuchPoint,
            format!("{} has no point with index {}", twin.id(), command.index),
        );
    };
    let (feature, name) = (&point.spec.feature, &point.spec.name);
    let Some(writable) = &point.spec.access.writable else {
        return no(
            Reason::NotWritable,
            format!("{feature}/{name} is not declared `writable = true`"),
        );
    };
    if command.deadline.passed(now) {
        return no(Reason::Late, "the deadline has passed".into());
    }
    let life_cycle = twin.life_cycle();
    let never = matches!(life_cycle, LifeCycle::Done | LifeCycle::Migrating | LifeCycle::Created);
    if never || (life_cycle != LifeCycle::Shadowed && !writable.unsynchronised) {
        return no(Reason::NotShadowed, format!("{} is {life_cycle}, not shadowed", twin.id()));
    }
    if let Some(maintenance) = twin.maintenance().filter(|m| m.lasts(now)) {
        let id = twin.id();
        let words = format!("{id} is under maintenance, says {}", maintenance.by);
        let words =
            format!("{words}: {}; `gatewayctl maintain {id} --end` ends it", maintenance.reason);
        return no(Reason::Maintenance, words);
    }
    let measuring = &twin.description().policy.entanglement;
    if measuring.strong && twin.closeness() != Closeness::Strong {
        let value = twin.entangled().map_or(0.0, |(_, entangled)| entangled.value());
        let (word, target) = (twin.closeness().word(), measuring.target());
        let words = format!("the entanglement of {} is {word}, {value:.2}", twin.id());
        return no(
            Reason::Entanglement,
            format!("{words}; commands need {target:.2} (`commands = \"strong\"`)"),
        );
    }
    guard::clear(state, twin, (command.index, point), now)?;
    if let Order::Write(value) = &command.order {
        let value_type = &point.spec.value_type;
        if !value_type.admits(value) {
            return no(
                Reason::WrongType,
                format!("the value does not fit the type of {feature}/{name}"),
            );
        }
        if let (Some((low, high)), Some(v)) = (writable.range, value.as_f64(value_type))
            && !(low <= v && v <= high)
        {
            return no(
                Reason::OutOfRange,
                format!("{v} is outside {low} to {high} of {feature}/{name}"),
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_another_boot_only_wall_clock_time_counts() {
        let now = |boot, boottime, utc: Option<i64>| Moment {
            boottime: Boottime(boottime),
            boot: BootId([boot; 16]),
            utc: utc.map(Timestamp),
        };
        let deadline = Deadline::after(now(1, 100, Some(1_000)), 50);
        assert!(!deadline.passed(now(1, 149, None)));
        assert!(deadline.passed(now(1, 150, None)));
        assert!(!deadline.passed(now(1, 149, Some(i64::MAX))), "a clock that leaps ends nothing");
        assert!(deadline.passed(now(1, 150, Some(0))), "and one that is set back prolongs nothing");
        assert!(!deadline.passed(now(2, 9_999, Some(1_049))));
        assert!(deadline.passed(now(2, 0, Some(1_050))));
        assert!(deadline.passed(now(2, 0, None)), "an unset clock proves nothing");
    }

    #[test]
    fn steps_follow_in_one_order_only() {
        let sent = Step::Sent { expected: Value::Bool(true) };
        assert_eq!(Stage::Accepted.after(&sent), Some(Stage::Sent));
        assert_eq!(Stage::Sent.after(&sent), None, "a command is never sent twice");
        assert_eq!(Stage::Accepted.after(&Step::Acknowledged), None);
        assert_eq!(Stage::Ended(Outcome::Expired).after(&Step::Ended(Outcome::Confirmed)), None);
    }
}
