//! What each request of the local API is answered with.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use control::{Answer, Code, Failure, Request};
use tokio::sync::{mpsc, oneshot};
use twin::{Boottime, Care, GatewayEvent, Handle, Input, Name, Principal, TwinId};

use super::socket::{Answers, Replies};
use super::view::{self, Viewpoint};
use super::{alarms, command, find, history, lasting, line_bytes, watch, why};
use crate::daemon::{self, Hub};

/// Answers requests from what the hub shows.
pub struct Control {
    hub: Arc<Hub>,
}

impl Control {
    /// Answers by this hub.
    pub fn new(hub: Arc<Hub>) -> Self {
        Self { hub }
    }
}

impl Answers for Control {
    async fn answer(
        &self,
        by: &Principal,
        request: Request,
        replies: &mut Replies,
    ) -> io::Result<()> {
        let hub = &*self.hub;
        let answer = match request {
            Request::Version => Ok(Answer::Version(daemon::version())),
            Request::Status => Ok(Answer::Status(Box::new(hub.status()))),
            Request::Twins { twin } => twins(hub, twin.as_deref()),
            Request::Lines => Ok(Answer::Lines { lines: hub.lines.show(&hub.clock) }),
            Request::Links => Ok(Answer::Links { links: hub.links.show(&hub.store, &hub.clock) }),
            Request::LinksSkip { link } => skip(hub, by, &link),
            Request::Why { twin, point } => why::why(hub, &twin, point.as_deref()).await,
            Request::Writes { on } => writes(hub, by, on).await,
            Request::Relate { twin, name, target, on } => {
                lasting::relate(hub, by, &twin, (&name, &target), on).await
            }
            Request::Maintain { twin, for_ms, reason } => {
                lasting::maintain(hub, by, &twin, for_ms, &reason).await
            }
            Request::Alarms { twin, all } => alarms::show(hub, twin.as_deref(), all),
            Request::Acknowledge { twin, alarm } => {
                alarms::care(hub, by, &twin, alarm.as_deref(), Care::Acknowledge(None)).await
            }
            Request::Shelve { twin, alarm, for_ms } => shelve(hub, by, &twin, &alarm, for_ms).await,
            Request::Purge { twin } => lasting::purge(hub, by, &twin).await,
            Request::Plan => plan(hub).await,
            Request::Reload { window_ms } => return reload(hub, window_ms, replies).await,
            Request::Read { twin, points, timeout_ms } => {
                read(hub, &twin, &points, Duration::from_millis(timeout_ms)).await
            }
            Request::Ask { line, address, request, timeout_ms } => {
                line_bytes::ask(hub, &line, address, &request, Duration::from_millis(timeout_ms))
                    .await
            }
            Request::Tap { line } => return line_bytes::tap(hub, by, &line, replies).await,
            Request::Watch { twin, point } => {
                return watch::watch(hub, twin.as_deref(), point.as_deref(), replies).await;
            }
            Request::History(past) => return history::history(&self.hub, &past, replies).await,
            Request::Set { twin, point, value, wait, timeout_ms, key } => {
                let timeout = Duration::from_millis(timeout_ms);
                let wanted = command::Wanted { twin, point, value, wait, timeout, key };
                return command::command(hub, by, wanted, replies).await;
            }
        };
        replies.send(answer.unwrap_or_else(Answer::Error)).await
    }
}

fn twins(hub: &Hub, only: Option<&str>) -> Result<Answer, Failure> {
    let read = reads(hub);
    let view = Viewpoint { now: hub.moment(), read: &read };
    let ids: Vec<TwinId> = hub.store.read(|state| match only {
        Some(id) => find::twin(state, id).map(|twin| vec![twin.id().clone()]),
        None => Ok(state.twins().map(|twin| twin.id().clone()).collect()),
    })?;
    // One look per twin: the writer waits for whoever looks at the state, and thousands of points take a while.
    let show = |id: &TwinId| {
        let state = |state: &twin::State| Some(view::twin(state, state.twin(id)?, &view));
        let disabled = hub.disabled(id).map(|file| format!("{file} is broken"));
        Some(control::Twin { disabled, ..hub.store.read(state)? })
    };
    Ok(Answer::Twins { twins: ids.iter().filter_map(show).collect() })
}

/// When each group was last read completely: a copy, so that state and freshness are never locked together.
pub fn reads(hub: &Hub) -> impl Fn(Handle, u16) -> Option<Boottime> + use<> {
    let handles: Vec<Handle> =
        hub.store.read(|state| state.twins().map(twin::Twin::handle).collect());
    let mut all = std::collections::HashMap::new();
    hub.store.freshness(|freshness| {
        for handle in handles {
            let of = freshness.twin(handle).filter_map(|(group, f)| Some((group, f.last_ok?)));
            all.extend(of.map(|(group, at)| ((handle, group), at)));
        }
    });
    move |handle, group| all.get(&(handle, group)).copied()
}

fn skip(hub: &Hub, by: &Principal, link: &str) -> Result<Answer, Failure> {
    let name = link.parse::<Name>().ok().filter(|name| hub.links.has(name)).ok_or_else(|| {
        Failure::new(Code::NotFound, format!("there is no link {link:?}")).help("gatewayctl links")
    })?;
    let messages = daemon::waiting(&hub.store, &name);
    hub.store.skip(&name, None, hub.store.head().next());
    tracing::warn!(link = %name, "{by} gave up what waited, {messages} commits at most");
    Ok(Answer::Skipped { link: link.into(), messages })
}

async fn writes(hub: &Hub, by: &Principal, on: Option<bool>) -> Result<Answer, Failure> {
    if let Some(on) = on {
        let event = GatewayEvent::Writes { on, by: by.clone() };
        hub.settle(Input::Gateway(event)).await.map_err(|refusal| not_now(&refusal))?;
        tracing::warn!("{by} switched writes {}", if on { "on" } else { "off" });
    }
    Ok(Answer::Writes(hub.store.read(daemon::writes)))
}

async fn shelve(
    hub: &Hub,
    by: &Principal,
    twin: &str,
    alarm: &str,
    for_ms: Option<u64>,
) -> Result<Answer, Failure> {
    let micros = for_ms.map_or(0, |ms| i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1_000));
    if for_ms == Some(0) || micros > Care::LONGEST {
        let words = "an alarm is shelved for some time, 30 days at the longest";
        return Err(Failure::new(Code::BadRequest, words));
    }
    alarms::care(hub, by, twin, Some(alarm), Care::Shelve(micros)).await
}

fn stopping() -> Failure {
    Failure::new(Code::NotNow, "the daemon is stopping")
}

async fn plan(hub: &Hub) -> Result<Answer, Failure> {
    let (answer, answered) = oneshot::channel();
    hub.plan.send(answer).await.map_err(|_| stopping())?;
    answered.await.map_err(|_| stopping())?.map(Answer::Plan)
}

/// What was done, and where it is watched the verdict.
async fn reload(hub: &Hub, window_ms: u64, replies: &mut Replies) -> io::Result<()> {
    let (tell, mut told) = mpsc::channel(2);
    let request = daemon::ReloadRequest { window: Duration::from_millis(window_ms), tell };
    if hub.reload.send(request).await.is_err() {
        return replies.send(Answer::Error(stopping())).await;
    }
    loop {
        let answer = told.recv().await.unwrap_or_else(|| Err(stopping()));
        let more = matches!(&answer, Ok(Answer::Reloaded(done)) if done.watched_ms.is_some());
        replies.send(answer.unwrap_or_else(Answer::Error)).await?;
        if !more {
            return Ok(());
        }
    }
}

async fn read(
    hub: &Hub,
    id: &str,
    points: &[String],
    timeout: Duration,
) -> Result<Answer, Failure> {
    let (twin, indexes) = hub.store.read(|state| {
        let twin = find::twin(state, id)?;
        let indexes: Result<Vec<u16>, Failure> =
            points.iter().map(|called| find::point(twin, called)).collect();
        Ok::<_, Failure>((twin.id().clone(), indexes?))
    })?;
    let line = hub.lines.of(&twin).ok_or_else(|| {
        Failure::new(Code::NotNow, format!("no line serves {twin}")).help("gatewayctl lines")
    })?;
    let read = tokio::time::timeout(timeout, line.read(twin.clone(), indexes)).await;
    let read = read.map_err(|_| {
        let words = format!("{twin} gave no answer within {} ms", timeout.as_millis());
        Failure::new(Code::Timeout, words).help(format!("gatewayctl why {twin}"))
    })?;
    let reported = read.map_err(|no| {
        Failure::new(Code::NotNow, format!("{}: {}", no.reason, no.words))
            .help(format!("gatewayctl why {twin}"))
    })?;
    let head = hub.store.head();
    let points = hub.store.read(|state| match state.twin(&twin) {
        Some(known) => {
            reported.iter().flat_map(|r| view::readings(state, known, r, head)).collect()
        }
        None => Vec::new(),
    });
    Ok(Answer::Readings { twin: id.into(), points })
}

/// A refusal of the store as a failure.
pub fn not_now(refusal: &twin::Refusal) -> Failure {
    let words = daemon::words(refusal);
    match refusal {
        twin::Refusal::NoSuchTwin => Failure::new(Code::NotFound, words),
        twin::Refusal::Invalid(_) => Failure::new(Code::BadRequest, words),
        twin::Refusal::Storage(_) => Failure::new(Code::NotNow, words).help("df -h; dmesg"),
        twin::Refusal::Stopped => Failure::new(Code::NotNow, words),
    }
}
