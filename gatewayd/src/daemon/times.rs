//! How long each step of stopping may take. Their sum stays under `TimeoutStopSec` in systemd/gatewayd.service, 30 s.

use std::time::Duration;

/// The control socket and the health listener.
pub const SERVERS: Duration = Duration::from_secs(1);
/// All lines together: one transaction with the slowest device.
pub const LINE: Duration = Duration::from_secs(5);
/// Keeper, router, the watch over the clock, who asks SunSpec devices and the watchdog, each.
pub const DECIDER: Duration = Duration::from_secs(1);
/// The writer takes in what the lines left.
pub const DRAIN: Duration = Duration::from_secs(4);
/// All links together: what is there, positions, farewell.
pub const LINK: Duration = Duration::from_secs(4);
/// The writer makes everything durable and keeps the state.
pub const STORE: Duration = Duration::from_secs(9);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stopping_ends_before_systemd_loses_patience() {
        let unit = include_str!("../../../systemd/gatewayd.service");
        let line = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec="));
        let patience = Duration::from_secs(line.unwrap().parse().unwrap());
        let ours = SERVERS + LINE + 5 * DECIDER + DRAIN + LINK + STORE;
        assert!(ours < patience, "{ours:?} of {patience:?}");
    }
}
