//! The servers: the control socket, health and metrics. All on a thread of their own.

mod alarms;
mod answers;
mod buckets;
mod command;
mod find;
mod health;
mod history;
mod lasting;
mod line_bytes;
mod metrics;
mod peer;
mod rows;
mod socket;
mod view;
mod watch;
mod why;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use base::{CancellationToken, Thread};
use tokio::sync::watch as wanted;

use crate::config::Plan;
use crate::daemon::Hub;
pub use line_bytes::{hex, unhex};
use socket::Socket;

/// Takes the control socket; refuses to be the second daemon. Before anything is said to devices or brokers.
pub fn bind(plan: &Plan) -> anyhow::Result<Socket> {
    let control = &plan.control;
    Socket::bind(&control.socket, control.group.as_deref())
        .context("the control socket is not available")
}

/// Lets another group use the control socket.
pub fn admit(plan: &Plan) -> Result<(), socket::SocketError> {
    socket::admit(&plan.control.socket, plan.control.group.as_deref())
}

/// The running servers.
pub struct Servers {
    stop: CancellationToken,
    thread: Thread,
    address: wanted::Sender<Option<SocketAddr>>,
}

impl Servers {
    /// From now on health and metrics are served here.
    pub fn listen(&self, address: Option<SocketAddr>) {
        self.address.send_replace(address);
    }

    /// Stops them; `false` where they do not obey in time.
    pub async fn stop(self, patience: Duration) -> bool {
        self.stop.cancel();
        tokio::time::timeout(patience, self.thread.join()).await.is_ok()
    }
}

/// Starts the servers.
pub fn start(hub: Arc<Hub>, socket: Socket, plan: &Plan) -> anyhow::Result<Servers> {
    let (address, told) = wanted::channel(plan.health);
    let stop = CancellationToken::new();
    let until = stop.clone();
    let thread = Thread::start("servers", move || async move {
        let answers = Arc::new(answers::Control::new(hub.clone()));
        tokio::join!(socket.serve(answers, until.clone()), health::serve(hub, told, until.clone()));
    });
    Ok(Servers { stop, thread: thread.context("cannot start the servers' thread")?, address })
}
