//! How long each step of stopping may take. Their sum stays under `TimeoutStopSec` of the unit, 45 s.

use std::time::Duration;

/// The control socket and the health listener.
pub const SERVERS: Duration = Duration::from_secs(2);
/// All lines together: one transaction with the slowest device.
pub const LINE: Duration = Duration::from_secs(6);
/// Keeper, router, the watch over the clock and the watchdog, each.
pub const DECIDER: Duration = Duration::from_secs(1);
/// The writer takes in what the lines left.
pub const DRAIN: Duration = Duration::from_secs(5);
/// All links together: what is there, positions, farewell.
pub const LINK: Duration = Duration::from_secs(5);
/// The writer makes everything durable and keeps the state.
pub const STORE: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stopping_ends_before_systemd_loses_patience() {
        assert!(SERVERS + LINE + 4 * DECIDER + DRAIN + LINK + STORE < Duration::from_secs(40));
    }
}
