//! The servers: the control socket, health and metrics. All on a thread of their own.

mod answers;
mod buckets;
mod command;
mod find;
mod health;
mod history;
mod metrics;
mod peer;
mod rows;
mod socket;
mod view;
mod watch;
mod why;

use std::sync::Arc;

use anyhow::Context;
use base::{CancellationToken, Thread};

use crate::config::Plan;
use crate::daemon::Hub;
use socket::Socket;

/// Takes the control socket; refuses to be the second daemon. Before anything is said to devices or brokers.
pub fn bind(plan: &Plan) -> anyhow::Result<Socket> {
    let control = &plan.control;
    Socket::bind(&control.socket, control.group.as_deref())
        .context("the control socket is not available")
}

/// Starts the servers.
pub fn start(
    hub: Arc<Hub>,
    socket: Socket,
    plan: &Plan,
) -> anyhow::Result<(CancellationToken, Thread)> {
    let (stop, address) = (CancellationToken::new(), plan.health);
    let until = stop.clone();
    let thread = Thread::start("servers", move || async move {
        let answers = Arc::new(answers::Control::new(hub.clone()));
        tokio::join!(
            socket.serve(answers, until.clone()),
            health::serve(hub, address, until.clone())
        );
    });
    Ok((stop, thread.context("cannot start the servers' thread")?))
}
