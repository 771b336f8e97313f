//! Waiting for something to become true, with a deadline that names what did not.

use std::time::{Duration, Instant};

/// Sleeps; the one place of the tests that may.
#[expect(clippy::disallowed_methods, reason = "a test harness has no data path to stall")]
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Waits until `look` finds something, and returns it.
///
/// # Panics
/// If nothing was found before `limit`.
pub fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < limit, "not within {limit:?}: {what}");
        pause(Duration::from_millis(20));
    }
}
