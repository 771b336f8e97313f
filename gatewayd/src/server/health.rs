//! `/health` and `/metrics` over HTTP, for this machine only.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base::CancellationToken;
use tokio::sync::watch;
use wire::http::{Answer, Http};

use super::metrics;
use crate::daemon::Hub;

/// An address that is taken is asked for again after this long.
const AGAIN: Duration = Duration::from_secs(5);

/// Serves at the wanted address until stopped; nowhere while there is none.
pub async fn serve(
    hub: Arc<Hub>,
    mut wanted: watch::Receiver<Option<SocketAddr>>,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        let address = *wanted.borrow_and_update();
        let until = stop.child_token();
        let serving = listen(&hub, address, until.clone());
        tokio::pin!(serving);
        tokio::select! {
            () = &mut serving => {}
            changed = wanted.changed() => {
                until.cancel();
                serving.await;
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}

async fn listen(hub: &Arc<Hub>, address: Option<SocketAddr>, until: CancellationToken) {
    let Some(address) = address else {
        hub.alarms.clear("health");
        return until.cancelled().await;
    };
    while !until.is_cancelled() {
        match Http::bind(address).await {
            Ok(http) => {
                hub.alarms.clear("health");
                let hub = hub.clone();
                return http.serve(until, Arc::new(move |path| answer(&hub, path))).await;
            }
            Err(error) => {
                let what = crate::ctl::chain(&error);
                hub.alarms.raise("health", &what, Some("change health.listen in gatewayd.toml"));
                until.run_until_cancelled(tokio::time::sleep(AGAIN)).await;
            }
        }
    }
}

fn answer(hub: &Hub, path: &str) -> Option<Answer> {
    match path {
        "/health" => Some(health(hub)),
        "/metrics" => Some(Answer {
            status: 200,
            content_type: "application/openmetrics-text; version=1.0.0; charset=utf-8",
            body: metrics::encode(hub),
        }),
        _ => None,
    }
}

fn health(hub: &Hub) -> Answer {
    judge(&hub.standing())
}

/// 503 while an alarm stands that is this gateway's own: the same alarms as `gatewayctl status` shows. A broker that stays
/// away is told as well, as `degraded`, but with 200: whoever restarts or replaces what is not healthy would help nobody.
fn judge(alarms: &[control::Alarm]) -> Answer {
    let healthy = alarms.iter().all(|alarm| alarm.outside);
    let degraded = !alarms.is_empty();
    let body = serde_json::json!({ "healthy": healthy, "degraded": degraded, "alarms": alarms });
    Answer {
        status: if healthy { 200 } else { 503 },
        content_type: "application/json",
        body: body.to_string().into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_outside_is_told_and_does_not_make_the_gateway_ill() {
        let alarm = |outside| control::Alarm { what: "w".into(), help: None, for_ms: 1, outside };
        let of = |alarms: &[control::Alarm]| {
            let answer = judge(alarms);
            let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            (answer.status, json["healthy"] == true, json["degraded"] == true)
        };
        assert_eq!(of(&[]), (200, true, false));
        assert_eq!(of(&[alarm(true)]), (200, true, true));
        assert_eq!(of(&[alarm(true), alarm(false)]), (503, false, true));
    }
}
