//! The task that owns a line: it opens the connection or port, puts the agenda's work on it, and tells what came.

mod requests;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use adapter::{Agenda, Context, Durable, Fault, LineEnd, LineState, Request, Shown, Timing};
use base::Backoff;
use tokio::sync::{mpsc, watch};
use twin::Boottime;

use crate::Master;
use crate::device::Device;
use crate::open::{OpenError, Opened, Opening, master, open};
use crate::sequence::{Next, Sequence};
use crate::slot::Slot;
use crate::spec::{DeviceSpec, LineSpec, Transport};
use crate::tap::Taps;
use requests::Tools;

/// The first and the longest pause before a line that failed is opened again, and how long it must have worked for
/// the pauses to be short again.
const PAUSES: [Duration; 3] =
    [Duration::from_millis(500), Duration::from_secs(30), Duration::from_secs(60)];
/// Unanswered requests in a row, with no answer from any unit between them, after which a TCP connection is made anew.
const STALLED: u32 = 3;
/// How soon the agenda is asked again where it has work that cannot start yet, in microseconds.
const SOON: i64 = 5_000;
/// The longest sleep, in microseconds.
const LONG: i64 = 3_600_000_000;

/// Drives a line until its context stops it.
///
/// # Errors
/// The line cannot work with this configuration.
pub async fn run(spec: LineSpec, context: Context, end: LineEnd<DeviceSpec>) -> Result<(), Fault> {
    let now = context.now().0;
    let (agenda, durable) = Agenda::new(end.name.clone(), context.grid.clone());
    let [first, longest, stable] = PAUSES;
    let mut driver = Driver {
        taps: Taps::new(&spec.transport),
        tools: Tools::default(),
        spec: Arc::new(spec),
        agenda,
        durable,
        requests: end.requests,
        devices: end.devices,
        shown: Shown::new(end.status),
        slots: Vec::new(),
        opening: None,
        retry: None,
        wanted: true,
        outage: None,
        backoff: Backoff::new(first, longest, stable),
        next_id: first_id(now),
        context,
    };
    driver.configure(now);
    let ended = driver.drive().await;
    driver.flush().await;
    let cause = ended.as_ref().err().map(|fault| fault.to_string().into());
    let now = driver.context.now().0;
    driver.shown.state(LineState::Ended { cause }, now);
    ended
}

/// A first transaction id that differs from that of the connection before.
fn first_id(now: i64) -> u16 {
    let [low, high, ..] = now.to_le_bytes();
    u16::from_le_bytes([low, high])
}

struct Driver {
    spec: Arc<LineSpec>,
    context: Context,
    agenda: Agenda<Device>,
    durable: mpsc::Receiver<Durable>,
    requests: mpsc::Receiver<Request>,
    devices: watch::Receiver<Arc<[DeviceSpec]>>,
    shown: Shown,
    slots: Vec<Slot>,
    opening: Option<Opening>,
    /// The line is down; when it is opened again.
    retry: Option<i64>,
    /// The line is to be opened though nothing is due.
    wanted: bool,
    /// When the outage began that has not been logged as over.
    outage: Option<i64>,
    backoff: Backoff,
    next_id: u16,
    taps: Taps,
    tools: Tools,
}

/// What a driver waits for.
enum Event {
    Stop,
    Configured,
    Asked(Request),
    Durable(Durable),
    Opened(Result<Opened, OpenError>),
    Read(usize, io::Result<usize>),
    Woken,
}

impl Driver {
    async fn drive(&mut self) -> Result<(), Fault> {
        let mut bytes = [0; 1024];
        let mut sleep = Box::pin(tokio::time::sleep(Duration::ZERO));
        loop {
            self.fill().await;
            if !self.flush().await {
                return Ok(());
            }
            let now = self.context.now().0;
            self.shown.devices(&mut self.agenda, now);
            let wake = self.context.instant(self.wake(now));
            if sleep.is_elapsed() || wake < sleep.deadline() {
                // The next poll is earlier than the end of patience for the one under way: an answer leaves the timer
                // as it is. A timer that moves to an earlier time costs the runtime a system call.
                let poll = self.agenda.wake().filter(|at| *at > now);
                let poll = poll.map_or(wake, |at| self.context.instant(at).min(wake));
                sleep.as_mut().reset(poll);
            }
            let event = self.event(sleep.as_mut(), &mut bytes).await;
            let now = self.context.now().0;
            match event {
                Event::Stop => return Ok(()),
                Event::Configured => self.configure(now),
                Event::Asked(request) => self.asked(request),
                Event::Durable(durable) => self.agenda.durable(durable),
                Event::Opened(opened) => self.opened(opened, now)?,
                Event::Read(at, Ok(n)) => self.received(at, bytes.get(..n).unwrap_or(&[]), now),
                Event::Read(at, Err(error)) => self.close(at, &closed(&error), now),
                Event::Woken => {}
            }
            for at in 0..self.slots.len() {
                if let Some(slot) = self.slots.get_mut(at) {
                    slot.tick(now);
                }
                self.ended(at, now);
            }
            self.close_stalled(now);
            self.close_idle(now);
        }
    }

    async fn event(&mut self, sleep: Pin<&mut tokio::time::Sleep>, bytes: &mut [u8]) -> Event {
        let slots = &mut self.slots;
        let read = poll_fn(|cx| {
            for (at, slot) in slots.iter_mut().enumerate() {
                if let Poll::Ready(read) = slot.poll_read(cx, bytes) {
                    return Poll::Ready((at, read));
                }
            }
            Poll::Pending
        });
        let opening = &mut self.opening;
        let open = poll_fn(|cx| match opening {
            Some(opening) => opening.as_mut().poll(cx),
            None => Poll::Pending,
        });
        tokio::select! {
            biased;
            () = self.context.stop.cancelled() => Event::Stop,
            (at, read) = read => Event::Read(at, read),
            Some(durable) = self.durable.recv() => Event::Durable(durable),
            Some(request) = self.requests.recv() => Event::Asked(request),
            Ok(()) = self.devices.changed() => Event::Configured,
            opened = open => Event::Opened(opened),
            () = sleep => Event::Woken,
        }
    }

    /// Starts what can be started.
    async fn fill(&mut self) {
        loop {
            let now = self.context.now().0;
            if self.retry.is_some() {
                // Nothing starts on a line that is down, but what is skipped is told.
                self.agenda.next(self.context.moment());
            }
            let Some(at) = self.slots.iter().position(|s| s.ready_at().is_some_and(|r| r <= now))
            else {
                return self.open(now);
            };
            match self.start(at, now).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => self.close(at, &closed(&error), now),
            }
        }
    }

    /// Starts something on a connection that is ready; `false` where there is nothing to start.
    async fn start(&mut self, at: usize, now: i64) -> io::Result<bool> {
        let Some(slot) = self.slots.get_mut(at) else { return Ok(false) };
        if matches!(slot.master, Master::Serial(_)) {
            slot.drain(now, &mut self.taps).await?;
            if slot.ready_at().is_none_or(|ready| ready > now) {
                return Ok(true);
            }
        }
        let sequence = if let Some(sequence) = slot.take_waiting() {
            sequence
        } else if let Some(task) = self.agenda.next(self.context.moment()) {
            let Some(device) = self.agenda.device(task.device) else { return Ok(true) };
            let owed = slot.master.must_differ(device.spec.unit);
            Sequence::new(task, device, &owed)
        } else if let Some(sequence) = self.tools.pop() {
            // What tools ask waits for a pause in the schedule.
            sequence
        } else {
            return Ok(false);
        };
        let now = self.context.now().0;
        if let Some(over) = slot.start(sequence, now, &mut self.taps).await? {
            self.over(at, over, now);
        }
        Ok(true)
    }

    fn received(&mut self, at: usize, bytes: &[u8], now: i64) {
        self.taps.note(now, false, bytes);
        let Some(slot) = self.slots.get_mut(at) else { return };
        if let Err(desync) = slot.received(now, bytes) {
            self.ended(at, now);
            self.close(at, &desync.to_string().into(), now);
        }
    }

    /// Tells the agenda which tasks are over.
    fn ended(&mut self, at: usize, now: i64) {
        while let Some(over) = self.slots.get_mut(at).and_then(Slot::ended) {
            self.over(at, over, now);
        }
        if self.slots.get(at).is_some_and(|slot| slot.answered)
            && let Some(outage) = self.outage.take()
        {
            let (line, seconds) = (&self.spec.id, (now - outage) / 1_000_000);
            tracing::info!(%line, "line {line} is back after {seconds} s");
        }
    }

    fn over(&mut self, at: usize, over: Next, now: i64) {
        let Next::Over { ticket, sent, result } = over else { return };
        let Some(result) = self.tools.over(ticket, now - sent, result) else { return };
        let free = self.slots.get(at).and_then(Slot::ready_at).unwrap_or(now).max(now);
        self.agenda.done(ticket, result, Timing { sent, ended: now, free });
    }

    /// Opens the line, or one more connection, where that is due.
    fn open(&mut self, now: i64) {
        let due = || self.agenda.wake().is_some_and(|wake| wake <= now);
        let most = match &self.spec.transport {
            Transport::Tcp { .. } | Transport::Tls(_) => {
                usize::from(self.spec.timing.max_connections.max(1))
            }
            _ => 1,
        };
        let wanted = match self.retry {
            Some(retry) => retry <= now,
            None if self.slots.is_empty() => self.wanted || due(),
            None => self.slots.len() < most && due(),
        };
        if self.opening.is_none() && wanted {
            self.wanted = false;
            self.opening = Some(Box::pin(open(self.spec.clone())));
        }
    }

    fn opened(&mut self, opened: Result<Opened, OpenError>, now: i64) -> Result<(), Fault> {
        self.opening = None;
        match opened {
            Ok(opened) => {
                self.next_id = self.next_id.wrapping_add(0x1001);
                // Somebody may have asked before us, and the answer may still come.
                let patience = self.devices.borrow().iter().map(|device| device.timeout).max();
                let quarantine = patience.unwrap_or(0);
                let master = master(&self.spec, opened.timeless, self.next_id, now, quarantine);
                let pause = self.spec.timing.connect_pause;
                self.slots.push(Slot::new(opened.stream, master, now, pause));
                self.retry = None;
                self.agenda.line_up(now);
                self.shown.state(LineState::Up, now);
                Ok(())
            }
            // Further connections are a convenience.
            Err(OpenError::Later(_)) if !self.slots.is_empty() => Ok(()),
            Err(OpenError::Later(words)) => {
                self.down(&words, now);
                Ok(())
            }
            Err(OpenError::Never(words)) => {
                self.down(&words, now);
                Err(Fault::Permanent(words))
            }
        }
    }

    /// A connection or the port is gone.
    fn close(&mut self, at: usize, words: &Arc<str>, now: i64) {
        if at >= self.slots.len() {
            return;
        }
        let mut slot = self.slots.remove(at);
        let lasted = u64::try_from(now - slot.opened).unwrap_or(0);
        for over in slot.lost(now) {
            self.over(usize::MAX, over, now);
        }
        let serial = matches!(self.spec.transport, Transport::Serial(_));
        let (answered, idle) = (slot.answered, slot.unanswered < STALLED);
        drop(slot);
        if answered {
            self.backoff.lasted(Duration::from_micros(lasted));
        }
        // A connection that served is made again when it is needed; one that brought nothing is a failure.
        if self.slots.is_empty() && (serial || (!answered && idle)) {
            self.down(words, now);
        }
    }

    fn down(&mut self, words: &Arc<str>, now: i64) {
        let pause = i64::try_from(self.backoff.pause().as_micros()).unwrap_or(LONG);
        let retry = now.saturating_add(pause);
        self.retry = Some(retry);
        self.agenda.line_down(now, words);
        self.tools.refuse(words);
        let state = LineState::Down { cause: words.clone(), next: Some(Boottime(retry)) };
        self.shown.state(state, now);
        if self.outage.is_none() {
            self.outage = Some(now);
            let line = &self.spec.id;
            tracing::warn!(%line, "line {line} is down: {words}");
        }
    }

    /// Makes connections anew on which nobody answers any more: the peer may have forgotten them.
    fn close_stalled(&mut self, now: i64) {
        if matches!(self.spec.transport, Transport::Serial(_)) {
            return;
        }
        while let Some(at) = self.slots.iter().position(|slot| slot.unanswered >= STALLED) {
            self.close(at, &"nobody answers on the connection".into(), now);
        }
    }

    fn close_idle(&mut self, now: i64) {
        let timing = &self.spec.timing;
        let due = self.agenda.wake().is_some_and(|wake| wake <= now);
        let limit = if timing.close_after_poll && !due { 0 } else { timing.idle_close };
        if (limit <= 0 && !timing.close_after_poll) || due || self.slots.is_empty() {
            return;
        }
        // One that was just opened still has to be used.
        let spare = |slot: &Slot| slot.idle() && (limit > 0 || slot.used > slot.opened);
        self.slots.retain(|slot| !spare(slot) || now < slot.used.saturating_add(limit));
        if self.slots.is_empty() {
            self.shown.state(LineState::Idle, now);
        }
    }

    /// When something is to be done at the latest.
    fn wake(&self, now: i64) -> i64 {
        let mut wake = now.saturating_add(LONG);
        let mut when = |at: i64| wake = wake.min(at);
        let agenda = self.agenda.wake();
        let mut free = None;
        for slot in &self.slots {
            when(slot.master.wake().unwrap_or(i64::MAX));
            if self.spec.timing.idle_close > 0 && slot.idle() {
                when(slot.used.saturating_add(self.spec.timing.idle_close));
            }
            if let Some(ready) = slot.ready_at() {
                free = Some(free.unwrap_or(i64::MAX).min(ready));
                if slot.has_waiting() || self.tools.waiting() {
                    when(ready.max(now));
                }
            }
        }
        if self.opening.is_none()
            && let Some(retry) = self.retry
        {
            when(retry.max(now));
        }
        let usable = free.or((self.slots.is_empty() && self.opening.is_none()).then_some(now));
        let usable = usable.or(self.retry.map(|_| now));
        if let (Some(due), Some(usable)) = (agenda, usable) {
            let due = due.max(usable);
            when(if due <= now { now + SOON } else { due });
        }
        wake
    }

    /// Submits what there is to say; `false` when the line is to stop.
    async fn flush(&mut self) -> bool {
        for submission in self.agenda.submissions() {
            let Err(full) = self.context.submissions.try_send(submission) else { continue };
            let mpsc::error::TrySendError::Full(submission) = full else { return false };
            tokio::select! {
                biased;
                () = self.context.stop.cancelled() => return false,
                sent = self.context.submissions.send(submission) => {
                    if sent.is_err() {
                        return false;
                    }
                }
            }
        }
        true
    }
}

fn closed(error: &io::Error) -> Arc<str> {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the other side closed it".into(),
        _ => error.to_string().into(),
    }
}
