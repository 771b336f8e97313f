//! Standing alarms: conditions that last until somebody does something about them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use base::Clock;

/// The standing alarms of this process, by what raised them.
#[derive(Debug, Clone)]
pub struct Alarms {
    clock: Clock,
    standing: Arc<Mutex<BTreeMap<String, Standing>>>,
}

#[derive(Debug)]
struct Standing {
    what: String,
    help: Option<String>,
    /// Boottime in microseconds.
    since: i64,
}

impl Alarms {
    /// No alarms.
    pub fn new(clock: Clock) -> Self {
        Self { clock, standing: Arc::default() }
    }

    /// Raises an alarm, or changes its words; logged when it is new.
    pub fn raise(&self, key: &str, what: &str, help: Option<&str>) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let since = standing.get(key).map_or_else(
            || {
                tracing::error!(alarm = key, "{what}");
                self.clock.boottime()
            },
            |known| known.since,
        );
        let help = help.map(Into::into);
        standing.insert(key.into(), Standing { what: what.into(), help, since });
    }

    /// Ends an alarm; logged when it stood.
    pub fn clear(&self, key: &str) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(over) = standing.remove(key) {
            tracing::info!(alarm = key, "over: {}", over.what);
        }
    }

    /// Ends the alarms whose keys are not wanted.
    pub fn keep(&self, wanted: impl Fn(&str) -> bool) {
        let standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let over: Vec<String> = standing.keys().filter(|key| !wanted(key)).cloned().collect();
        drop(standing);
        over.iter().for_each(|key| self.clear(key));
    }

    /// All that stand.
    pub fn standing(&self) -> Vec<control::Alarm> {
        let now = self.clock.boottime();
        let standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let show = |alarm: &Standing| control::Alarm {
            what: alarm.what.clone(),
            help: alarm.help.clone(),
            for_ms: u64::try_from((now - alarm.since) / 1_000).unwrap_or(0),
            outside: false,
        };
        standing.values().map(show).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_alarm_stands_from_its_first_raising_until_it_is_cleared() {
        let (clock, hand) = Clock::manual(0, None, [0; 16]);
        let alarms = Alarms::new(clock);
        alarms.raise("config", "the file is broken", Some("gatewayctl check"));
        hand.advance(Duration::from_secs(2));
        alarms.raise("config", "the file is still broken", None);
        let [alarm] = &*alarms.standing() else { panic!("one alarm") };
        assert_eq!((&*alarm.what, alarm.for_ms), ("the file is still broken", 2_000));
        alarms.clear("config");
        assert!(alarms.standing().is_empty());
    }
}
