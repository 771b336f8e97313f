//! What systemd is told: ready, reloading, stopping, and that real progress is being made.

use std::time::Duration;

use sd_notify::NotifyState;

/// Everything is up.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The daemon reads its configuration again; [`ready`] ends it.
pub fn reloading() {
    let now = NotifyState::monotonic_usec_now().ok();
    let states: Vec<_> = [Some(NotifyState::Reloading), now].into_iter().flatten().collect();
    tell(&states);
}

/// The daemon goes down.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Progress was proven just now.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often systemd wants proof, where it does.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("cannot tell systemd: {error}");
    }
}
