//! `/health` and `/metrics` over HTTP, for this machine only.

use std::net::SocketAddr;
use std::sync::Arc;

use base::CancellationToken;
use wire::http::{Answer, Http};

use super::metrics;
use crate::daemon::Hub;

/// Serves until stopped; nothing where no address is configured.
pub async fn serve(hub: Arc<Hub>, address: Option<SocketAddr>, stop: CancellationToken) {
    let Some(address) = address else { return };
    match Http::bind(address).await {
        Ok(http) => http.serve(stop, Arc::new(move |path| answer(&hub, path))).await,
        Err(error) => {
            let what = crate::ctl::chain(&error);
            hub.alarms.raise("health", &what, Some("change health.listen in gatewayd.toml"));
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

/// 200 when all is well, 503 while an alarm stands: the same alarms as `gatewayctl status` shows.
fn health(hub: &Hub) -> Answer {
    let alarms = hub.standing();
    let body = serde_json::json!({ "healthy": alarms.is_empty(), "alarms": alarms });
    Answer {
        status: if alarms.is_empty() { 200 } else { 503 },
        content_type: "application/json",
        body: body.to_string().into_bytes(),
    }
}
