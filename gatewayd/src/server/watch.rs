//! `watch`: a follower of the log. A slow caller only lags; it holds nothing but its place in the log.

use std::io;
use std::time::Duration;

use control::{Answer, Update};

use super::socket::Replies;
use super::{find, view};
use crate::daemon::Hub;

/// How often a silent watch looks whether its caller is still there.
const LOOK: Duration = Duration::from_secs(5);

/// Tells everything that happens to this twin, this point, or at all, until the caller hangs up.
pub async fn watch(
    hub: &Hub,
    twin: Option<&str>,
    point: Option<&str>,
    replies: &mut Replies,
) -> io::Result<()> {
    let wanted = hub.store.read(|state| {
        let Some(id) = twin else { return Ok((None, None)) };
        let twin = find::twin(state, id)?;
        let index = point.map(|called| find::point(twin, called)).transpose()?;
        let name = index.map(|index| find::name(twin.description(), index));
        Ok((Some(twin.id().to_string()), name))
    });
    let (twin, point) = match wanted {
        Ok(wanted) => wanted,
        Err(failure) => return replies.send(Answer::Error(failure)).await,
    };
    let mut follower = hub.store.follow(hub.store.head().next());
    loop {
        let Ok(frames) = tokio::time::timeout(LOOK, follower.next()).await else {
            if replies.gone().await {
                return Ok(());
            }
            continue;
        };
        if frames.is_empty() {
            return Ok(());
        }
        for frame in frames {
            let update = hub.store.read(|state| view::update(state, &frame.commit(state)?));
            if let Some(update) = update.and_then(|update| chosen(update, &twin, &point)) {
                replies.send(Answer::Update(update)).await?;
            }
        }
    }
}

/// The update, or what of it was asked for.
fn chosen(mut update: Update, twin: &Option<String>, point: &Option<String>) -> Option<Update> {
    if twin.is_some() && update.twin != *twin {
        return None;
    }
    if let Some(name) = point {
        update.points.retain(|p| *name == format!("{}/{}", p.feature, p.name));
        let about = update.detail.as_ref().is_some_and(|detail| detail.contains(name.as_str()));
        return (!update.points.is_empty() || about).then_some(update);
    }
    Some(update)
}
