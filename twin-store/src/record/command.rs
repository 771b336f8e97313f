//! Commands on disk: what was asked, the steps it took, how it ended.

use twin::{
    Boottime, Command, CommandId, CommandState, Deadline, Desired, LedgerEntry, Maintenance, Order,
    Outcome, Reason, Seq, Stage, Step, Timestamp,
};

use super::common::{put_principal, put_timestamp, take_boot, take_principal, take_timestamp};
use super::value::{put_tagged, take_tagged};
use crate::codec::{Put, Take};

pub(crate) fn put(out: &mut impl Put, c: &Command) {
    out.put_text(&c.key);
    out.put_varint(u64::from(c.index));
    match &c.order {
        Order::Write(value) => {
            out.put_u8(0);
            put_tagged(out, value);
        }
        Order::Call(None) => out.put_u8(1),
        Order::Call(Some(value)) => {
            out.put_u8(2);
            put_tagged(out, value);
        }
    }
    put_deadline(out, c.deadline);
    put_timestamp(out, c.asked);
}

pub(crate) fn put_deadline(out: &mut impl Put, deadline: Deadline) {
    out.put(&deadline.boot.0);
    out.put_i64(deadline.at.0);
    put_timestamp(out, deadline.utc);
}

pub(crate) fn take_deadline(take: &mut Take<'_>) -> Option<Deadline> {
    let (boot, at) = (take_boot(take)?, Boottime(take.i64()?));
    Some(Deadline { boot, at, utc: take_timestamp(take)? })
}

pub(crate) fn put_maintenance(out: &mut impl Put, m: &Maintenance) {
    put_deadline(out, m.until);
    out.put_text(&m.reason);
    put_principal(out, &m.by);
}

pub(crate) fn take_maintenance(take: &mut Take<'_>) -> Option<Maintenance> {
    let (until, reason) = (take_deadline(take)?, take.text()?);
    Some(Maintenance { until, reason, by: take_principal(take)? })
}

pub(crate) fn take(take: &mut Take<'_>) -> Option<Command> {
    Some(Command {
        key: take.text()?,
        index: take.varint16()?,
        order: match take.u8()? {
            0 => Order::Write(take_tagged(take)?),
            1 => Order::Call(None),
            2 => Order::Call(Some(take_tagged(take)?)),
            _ => return None,
        },
        deadline: take_deadline(take)?,
        asked: take_timestamp(take)?,
    })
}

pub(crate) fn put_step(out: &mut impl Put, step: &Step) {
    match step {
        Step::Sent { expected } => {
            out.put_u8(0);
            put_tagged(out, expected);
        }
        Step::Acknowledged => out.put_u8(1),
        Step::Ended(outcome) => {
            out.put_u8(2);
            put_outcome(out, outcome);
        }
    }
}

pub(crate) fn take_step(take: &mut Take<'_>) -> Option<Step> {
    Some(match take.u8()? {
        0 => Step::Sent { expected: take_tagged(take)? },
        1 => Step::Acknowledged,
        2 => Step::Ended(take_outcome(take)?),
        _ => return None,
    })
}

fn put_outcome(out: &mut impl Put, outcome: &Outcome) {
    match outcome {
        Outcome::Confirmed => out.put_u8(0),
        Outcome::Rejected(reason, words) => {
            out.put_u8(1);
            put_reason(out, *reason, words);
        }
        Outcome::Expired => out.put_u8(2),
        Outcome::Unknown(reason, words) => {
            out.put_u8(3);
            put_reason(out, *reason, words);
        }
    }
}

pub(crate) fn put_reason(out: &mut impl Put, reason: Reason, words: &str) {
    out.put_u8(reason as u8);
    out.put_text(words);
}

fn take_outcome(take: &mut Take<'_>) -> Option<Outcome> {
    Some(match take.u8()? {
        0 => Outcome::Confirmed,
        1 => Outcome::Rejected(Reason::from_code(take.u8()?), take.text()?),
        2 => Outcome::Expired,
        3 => Outcome::Unknown(Reason::from_code(take.u8()?), take.text()?),
        _ => return None,
    })
}

fn put_stage(out: &mut impl Put, stage: &Stage) {
    match stage {
        Stage::Accepted => out.put_u8(0),
        Stage::Sent => out.put_u8(1),
        Stage::Acknowledged => out.put_u8(2),
        Stage::Ended(outcome) => {
            out.put_u8(3);
            put_outcome(out, outcome);
        }
    }
}

fn take_stage(take: &mut Take<'_>) -> Option<Stage> {
    Some(match take.u8()? {
        0 => Stage::Accepted,
        1 => Stage::Sent,
        2 => Stage::Acknowledged,
        3 => Stage::Ended(take_outcome(take)?),
        _ => return None,
    })
}

pub(crate) fn put_state(out: &mut impl Put, c: &CommandState) {
    put(out, &c.command);
    put_principal(out, &c.by);
    put_stage(out, &c.stage);
    out.put_option(c.expected.as_ref(), |out, v| put_tagged(out, v));
}

pub(crate) fn take_state(bytes: &mut Take<'_>) -> Option<CommandState> {
    Some(CommandState {
        command: take(bytes)?,
        by: take_principal(bytes)?,
        stage: take_stage(bytes)?,
        expected: bytes.option(take_tagged)?,
    })
}

pub(crate) fn put_desired(out: &mut impl Put, d: &Desired) {
    put_tagged(out, &d.value);
    out.put_varint(d.version);
    out.put_varint(d.command.0);
    put_principal(out, &d.by);
    out.put_i64(d.at.0);
    put_stage(out, &d.stage);
}

pub(crate) fn take_desired(take: &mut Take<'_>) -> Option<Desired> {
    Some(Desired {
        value: take_tagged(take)?,
        version: take.varint()?,
        command: CommandId(take.varint()?),
        by: take_principal(take)?,
        at: Boottime(take.i64()?),
        stage: take_stage(take)?,
    })
}

pub(crate) fn put_ledger(out: &mut impl Put, e: &LedgerEntry) {
    out.put_varint(e.seq.0);
    out.put_option(e.twin, |out, h| out.put_u32(h.0));
    put_stage(out, &e.stage);
    out.put_option(e.asked, |out, t| out.put_i64(t.0));
}

pub(crate) fn take_ledger(take: &mut Take<'_>) -> Option<LedgerEntry> {
    Some(LedgerEntry {
        seq: Seq(take.varint()?),
        twin: take.option(|t| t.u32().map(twin::Handle))?,
        stage: take_stage(take)?,
        asked: take.option(|t| t.i64().map(Timestamp))?,
    })
}
