//! Notices when the wall clock is set, and has it recorded: times in the log resolve through that.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use base::Clock;
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use twin::{GatewayEvent, Input, Submission};
use twin_store::Store;

use super::supervisor::{Fault, Life, Policy, Supervisor, Unit};

/// A smaller difference is drift, in microseconds.
const STEP: i64 = 1_000_000;
/// Drift adds up: it is looked at this often.
const LOOK: Duration = Duration::from_secs(600);

/// Starts the watch over the clock.
pub fn start(
    supervisor: &Supervisor,
    store: &Store,
    submissions: &mpsc::Sender<Submission>,
    clock: &Clock,
) -> Unit {
    let (store, submissions, clock) = (store.clone(), submissions.clone(), clock.clone());
    supervisor.start("clock", Policy::default(), move |stop| -> Life {
        let (store, submissions, clock) = (store.clone(), submissions.clone(), clock.clone());
        Box::pin(async move {
            let failed = |error: io::Error| {
                Fault::Transient(format!("cannot watch the clock: {error}").into())
            };
            let timer = Timer::new().map_err(failed)?;
            loop {
                let known = store.read(|state| state.timeline().spans().last().copied());
                if let Some(offset) = step(known.and_then(|span| span.offset), clock.offset()) {
                    tracing::info!("the clock was set");
                    let input = Input::Gateway(GatewayEvent::ClockSet { offset });
                    // The writer is gone only while the daemon stops.
                    submissions.send(Submission { input, receipt: None }).await.ok();
                }
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    set = timer.set() => set.map_err(failed)?,
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
        })
    })
}

/// The offset to record, where the clock was set for the first time or stepped.
fn step(known: Option<i64>, now: Option<i64>) -> Option<i64> {
    let now = now?;
    known.is_none_or(|known| (now - known).abs() > STEP).then_some(now)
}

/// A timer that never fires, but is cancelled when the clock is set (timerfd_create(2), `TFD_TIMER_CANCEL_ON_SET`).
struct Timer(AsyncFd<OwnedFd>);

impl Timer {
    fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Realtime, flags)?;
        arm(&fd)?;
        #[expect(
            deprecated,
            reason = "what takes its place is unsafe; the owned descriptor lives as long as its registration"
        )]
        Ok(Self(AsyncFd::new(fd)?))
    }

    /// Waits until the clock is set.
    async fn set(&self) -> io::Result<()> {
        loop {
            let mut ready = self.0.readable().await?;
            let mut count = [0; 8];
            match rustix::io::read(self.0.get_ref(), &mut count) {
                Err(Errno::CANCELED) => return arm(self.0.get_ref()),
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(error) => return Err(error.into()),
                Ok(_) => arm(self.0.get_ref())?,
            }
        }
    }
}

fn arm(fd: &OwnedFd) -> io::Result<()> {
    let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
    // The year 2200.
    let never = Timespec { tv_sec: 7_258_118_400, tv_nsec: 0 };
    let at = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: never };
    timerfd_settime(fd, flags, &at)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_first_setting_and_a_step_are_recorded() {
        assert_eq!(step(None, None), None);
        assert_eq!(step(None, Some(5)), Some(5));
        assert_eq!(step(Some(0), Some(STEP)), None);
        assert_eq!(step(Some(0), Some(STEP + 1)), Some(STEP + 1));
        assert_eq!(step(Some(0), None), None, "a clock is not unset by the daemon");
    }

    #[tokio::test]
    async fn a_timer_that_nobody_sets_waits() {
        let timer = Timer::new().unwrap();
        let waited = tokio::time::timeout(Duration::from_millis(50), timer.set()).await;
        assert!(waited.is_err(), "{waited:?}");
    }
}
