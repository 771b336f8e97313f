//! `set`: a command from acceptance to its outcome.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use control::{Answer, Code, Command, Failure};
use serde_json::Value as Json;
use twin::{
    Body, Change, CommandId, Deadline, Input, Kind, LedgerEntry, Order, Origin, Outcome, PointSpec,
    Principal, Stage, Step, TwinId, What,
};

use super::answers::not_now;
use super::find;
use super::socket::Replies;
use crate::daemon::Hub;

/// How long after its deadline a command may take to end: settle time, read-back, the keeper's tick.
const GRACE: Duration = Duration::from_secs(60);

/// What is wanted of an asset.
pub struct Wanted {
    pub twin: String,
    pub point: String,
    pub value: Json,
    pub wait: bool,
    pub timeout: Duration,
    pub key: Option<String>,
}

/// Accepts a command and tells its steps.
pub async fn command(
    hub: &Hub,
    by: &Principal,
    wanted: Wanted,
    replies: &mut Replies,
) -> io::Result<()> {
    let began = hub.clock.boottime();
    let submitted = match understood(hub, &wanted, began) {
        Ok(submitted) => submitted,
        Err(failure) => return replies.send(Answer::Error(failure)).await,
    };
    let Submitted { twin, name, command } = submitted;
    let shown = Command {
        twin: twin.to_string(),
        point: name,
        key: command.key.to_string(),
        id: None,
        stage: String::new(),
        after_ms: 0.0,
        ended: false,
        known: false,
        reason: None,
        detail: None,
    };
    let origin = Origin::Principal(by.clone());
    let change = Change { twin: twin.clone(), origin, what: What::Command(command) };
    let accepted = match hub.settle(Input::Change(change, None)).await {
        Ok(accepted) => accepted,
        Err(refusal) => return replies.send(Answer::Error(not_now(&refusal))).await,
    };
    let after = after(began, hub.clock.boottime());
    if let Some(outcome) = accepted.refused {
        return tell(replies, &shown, &Stage::Ended(outcome), after, false).await.map(drop);
    }
    let (id, stage, known) = match accepted.known {
        Some(LedgerEntry { seq, stage, .. }) => (seq, stage, true),
        None => (accepted.seq, Stage::Accepted, false),
    };
    let shown = Command { id: Some(id.0), known, ..shown };
    let ended = stage.ended() || !wanted.wait;
    let told = Command { ended, ..staged(&shown, &stage, after) };
    replies.send(Answer::Command(told)).await?;
    if ended {
        return Ok(());
    }
    let patience = wanted.timeout + GRACE;
    let steps = steps(hub, &shown, CommandId(id.0), began, replies);
    match tokio::time::timeout(patience, steps).await {
        Ok(told) => told,
        Err(_) => {
            let words = format!("command {} has not ended after {} s", id.0, patience.as_secs());
            let help = format!("gatewayctl why {}/{}", shown.twin, shown.point);
            replies.send(Answer::Error(Failure::new(Code::Timeout, words).help(help))).await
        }
    }
}

/// Follows the log from the acceptance on: what happened before we looked is not missed.
async fn steps(
    hub: &Hub,
    shown: &Command,
    id: CommandId,
    began: i64,
    replies: &mut Replies,
) -> io::Result<()> {
    let mut follower = hub.store.follow(twin::Seq(id.0).next());
    loop {
        let frames = follower.next().await;
        if frames.is_empty() {
            let failure = Failure::new(Code::NotNow, "the daemon is stopping");
            return replies.send(Answer::Error(failure)).await;
        }
        for frame in frames {
            let commit = hub.store.read(|state| frame.commit(state));
            let Some(Body::Twin { what: What::Step { command, step }, .. }) =
                commit.map(|commit| commit.body)
            else {
                continue;
            };
            let after = after(began, hub.clock.boottime());
            if command == id && tell(replies, shown, &reached(&step), after, shown.known).await? {
                return Ok(());
            }
        }
    }
}

fn reached(step: &Step) -> Stage {
    match step {
        Step::Sent { .. } => Stage::Sent,
        Step::Acknowledged => Stage::Acknowledged,
        Step::Ended(outcome) => Stage::Ended(outcome.clone()),
    }
}

/// Tells a step; says whether it was the last one.
async fn tell(
    replies: &mut Replies,
    shown: &Command,
    stage: &Stage,
    after_ms: f64,
    known: bool,
) -> io::Result<bool> {
    let told = Command { known, ..staged(shown, stage, after_ms) };
    let ended = told.ended;
    replies.send(Answer::Command(told)).await?;
    Ok(ended)
}

fn staged(shown: &Command, stage: &Stage, after_ms: f64) -> Command {
    let (reason, detail) = match stage {
        Stage::Ended(Outcome::Rejected(reason, words) | Outcome::Unknown(reason, words)) => {
            (Some(reason.to_string()), Some(words.to_string()))
        }
        Stage::Ended(Outcome::Expired) => {
            (None, Some("its deadline passed before anything left".into()))
        }
        _ => (None, None),
    };
    let (stage, ended) = (stage.word().into(), stage.ended());
    Command { stage, after_ms, ended, reason, detail, ..shown.clone() }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of an hour fit")]
fn after(began: i64, at: i64) -> f64 {
    (at - began).max(0) as f64 / 1_000.0
}

struct Submitted {
    twin: TwinId,
    name: String,
    command: twin::Command,
}

fn understood(hub: &Hub, wanted: &Wanted, began: i64) -> Result<Submitted, Failure> {
    let now = hub.moment();
    hub.store.read(|state| {
        let twin = find::twin(state, &wanted.twin)?;
        if wanted.point.is_empty() {
            let words = "the point is missing";
            let help = format!("write gatewayctl set {}/POINT VALUE", wanted.twin);
            return Err(Failure::new(Code::BadRequest, words).help(help));
        }
        let index = find::point(twin, &wanted.point)?;
        let name = find::name(twin.description(), index);
        let Some(point) = twin.description().point(index) else {
            return Err(Failure::new(Code::NotFound, format!("there is no point {name}")));
        };
        let order = order(&point.spec, &wanted.value).map_err(|words| {
            Failure::new(Code::BadRequest, format!("{}/{name}: {words}", wanted.twin))
                .help(format!("see what it holds now: gatewayctl twins {}", wanted.twin))
        })?;
        let micros = i64::try_from(wanted.timeout.as_micros()).unwrap_or(i64::MAX);
        let command = twin::Command {
            key: wanted.key.as_deref().map_or_else(|| own_key(began), Into::into),
            index,
            order,
            deadline: Deadline::after(now, micros),
            asked: now.utc,
        };
        Ok(Submitted { twin: twin.id().clone(), name, command })
    })
}

fn order(spec: &PointSpec, value: &Json) -> Result<Order, String> {
    let text = match value {
        Json::Null if spec.kind == Kind::Action => return Ok(Order::Call(None)),
        Json::String(text) => text.clone(),
        Json::Bool(_) | Json::Number(_) => value.to_string(),
        _ => return Err("the value is a bool, a number or a text".into()),
    };
    let value = spec.parse(&text).map_err(|error| format!("{text:?}: {error}"))?;
    Ok(if spec.kind == Kind::Action { Order::Call(Some(value)) } else { Order::Write(value) })
}

/// A key that nobody else uses: the time since boot and a count. The ledger forgets keys after a day.
fn own_key(now: i64) -> Arc<str> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("ctl-{now:x}-{:x}", COUNT.fetch_add(1, Ordering::Relaxed)).into()
}
