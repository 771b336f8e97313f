//! One connection to a broker: the only file of the client that moves bytes over a socket.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::machine::{Answer, Machine};
use super::{
    Closed, ConnectError, Connected, Counters, Event, Filter, MqttOptions, Publication,
    PublishError, Wake, connect,
};
use crate::stream::Stream;

/// How much is read at once.
const CHUNK: usize = 16 * 1024;
/// One sleep at most, in microseconds: an hour.
const LONGEST_SLEEP: i64 = 3_600_000_000;
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// One connection to a broker. It does not reconnect and remembers nothing beyond its end.
#[derive(Debug)]
pub struct Session {
    machine: Machine,
    stream: Stream,
    counters: Arc<Counters>,
    chunk: Box<[u8]>,
    /// Whether TLS may hold bytes that the socket has not taken.
    unflushed: bool,
    /// Zero of the machine's time.
    start: Instant,
    sleep: Pin<Box<Sleep>>,
    /// The machine's time at which `sleep` ends.
    armed: i64,
    lazy: i64,
    /// When something was last sent, and how long after what was sent before.
    sent: i64,
    gap: i64,
    /// While the socket is not watched: whether it is worth a look.
    look: bool,
}

impl Session {
    /// Connects and waits for CONNACK.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(options: &MqttOptions) -> Result<(Self, Connected), ConnectError> {
        connect::connect(options).await
    }

    /// A session that is about to say CONNECT.
    pub(super) fn new(options: &MqttOptions, stream: Stream) -> Self {
        let start = Instant::now();
        let counters = Arc::new(Counters::default());
        Self {
            machine: Machine::new(options, counters.clone(), 0),
            stream,
            counters,
            chunk: vec![0; CHUNK].into(),
            unflushed: false,
            start,
            sleep: Box::pin(sleep_until(start)),
            armed: 0,
            lazy: i64::try_from(options.lazy.as_micros()).unwrap_or(i64::MAX / 2),
            sent: 0,
            gap: i64::MAX,
            look: false,
        }
    }

    /// Sends CONNECT and waits for the answer.
    pub(super) async fn answer(&mut self) -> Answer {
        poll_fn(|cx| {
            loop {
                if let Some(answer) = self.machine.answer() {
                    return Poll::Ready(answer);
                }
                self.write(cx);
                if !self.read(cx) && !self.machine.is_over() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Encodes a publication into the outgoing buffer; the next [`event`](Self::event) sends it. No I/O.
    ///
    /// `token` returns in [`Event::Acked`] or [`Event::Refused`] at QoS 1; at QoS 0 [`Event::Flushed`] ends it.
    /// `payload` appends to the buffer it is given and must not touch what is there.
    ///
    /// # Errors
    /// See [`PublishError`]; a publication that is not taken has left no trace.
    pub fn publish(
        &mut self,
        publication: &Publication<'_>,
        token: u64,
        payload: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), PublishError> {
        self.machine.publish(publication, token, self.now(), payload)
    }

    /// How many more QoS 1 publications the window takes now.
    #[must_use]
    pub fn room(&self) -> usize {
        self.machine.room()
    }

    /// The tokens of the QoS 1 publications that the broker has not answered, oldest first. After
    /// [`Event::Closed`] these are the lost ones.
    pub fn unacknowledged(&self) -> impl Iterator<Item = u64> {
        self.machine.unacknowledged()
    }

    /// Asks for messages; [`Event::Subscribed`] answers with the returned id.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub fn subscribe(&mut self, filters: &[Filter<'_>]) -> Result<u16, PublishError> {
        self.machine.subscribe(filters, self.now())
    }

    /// Ends subscriptions; [`Event::Unsubscribed`] answers with the returned id.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub fn unsubscribe(&mut self, filters: &[&str]) -> Result<u16, PublishError> {
        self.machine.unsubscribe(filters, self.now())
    }

    /// Acknowledges a received message; an unknown packet id is ignored.
    pub fn acknowledge(&mut self, packet: u16) {
        self.machine.acknowledge(packet);
    }

    /// Sends what is encoded, in one write where the socket takes it, and waits for what happens next.
    ///
    /// Cancel-safe: dropping the future loses neither bytes nor events.
    pub async fn event(&mut self, wake: Wake) -> Event {
        poll_fn(|cx| self.poll_event(wake, cx)).await
    }

    /// What the session has done so far.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Sends what is encoded and says goodbye, so that the broker does not publish the will, and closes.
    pub async fn disconnect(mut self) {
        self.machine.goodbye();
        // Where that fails, so does the goodbye.
        self.watch(true).ok();
        let goodbye = poll_fn(|cx| {
            self.write(cx);
            if !self.machine.is_over() && !self.is_flushed() {
                return Poll::Pending;
            }
            self.stream.poll_shutdown(cx)
        });
        // A broker that does not take the goodbye publishes the will; there is nobody left to tell.
        timeout(GOODBYE, goodbye).await.ok();
    }

    fn poll_event(&mut self, wake: Wake, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            let now = self.now();
            if let Some(event) = self.machine.next(now) {
                return Poll::Ready(event);
            }
            self.write(cx);
            let lazy = wake == Wake::Lazy && self.may_be_lazy(now);
            if let Err(error) = self.watch(!lazy) {
                self.machine.end(Closed::Socket(Arc::new(error)));
            }
            self.look |= now >= self.machine.deadline();
            let came = (!lazy || std::mem::take(&mut self.look)) && self.read(cx);
            if came && wake == Wake::Acks {
                self.stream.confirm();
            }
            if came || self.machine.has_event() {
                continue;
            }
            self.machine.tick(now);
            self.write(cx);
            if self.machine.has_event() {
                continue;
            }
            let mut until = self.machine.deadline();
            if lazy {
                until = until.min(self.sent.saturating_add(self.lazy));
            }
            if self.wait(until, cx).is_pending() {
                return Poll::Pending;
            }
            self.look = true;
        }
    }

    /// Whether the next message is likely to follow soon, so that acknowledgements can be read with it, and nobody is in
    /// need of what may come.
    fn may_be_lazy(&self, now: i64) -> bool {
        let soon = self.gap < self.lazy && now - self.sent < self.lazy;
        soon && self.machine.may_be_lazy() && self.is_flushed()
    }

    /// Has the runtime watch the socket, or no longer. What TLS or the socket did not take goes out once it is watched.
    fn watch(&mut self, watch: bool) -> io::Result<()> {
        if watch != self.stream.is_watched() {
            self.stream.watch(watch)?;
            self.look = true;
        }
        Ok(())
    }

    fn is_flushed(&self) -> bool {
        self.machine.outgoing().is_empty() && !self.unflushed
    }

    /// Gives the socket what it takes.
    fn write(&mut self, cx: &mut Context<'_>) {
        let result = loop {
            if self.machine.outgoing().is_empty() {
                if !self.unflushed {
                    return;
                }
                match self.stream.poll_flush(cx) {
                    Poll::Ready(Ok(())) => self.unflushed = false,
                    Poll::Ready(Err(error)) => break error,
                    Poll::Pending => return,
                }
                continue;
            }
            match self.stream.poll_write(cx, self.machine.outgoing()) {
                Poll::Ready(Ok(0)) => break io::ErrorKind::WriteZero.into(),
                Poll::Ready(Ok(n)) => {
                    let now = micros(self.start);
                    self.machine.wrote(n, now);
                    (self.gap, self.sent) = (now - self.sent, now);
                    (self.unflushed, self.look) = (true, true);
                }
                Poll::Ready(Err(error)) => break error,
                Poll::Pending => return,
            }
        };
        // The broker may have said why before it closed: that is worth more than a broken pipe.
        while self.read(&mut Context::from_waker(Waker::noop())) {}
        self.machine.end(Closed::Socket(Arc::new(result)));
    }

    /// Takes what the socket has; whether anything came.
    fn read(&mut self, cx: &mut Context<'_>) -> bool {
        if self.machine.is_over() {
            return false;
        }
        let mut buffer = ReadBuf::new(&mut self.chunk);
        match self.stream.poll_read(cx, &mut buffer) {
            Poll::Pending => return false,
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                self.machine.received(buffer.filled(), micros(self.start));
                return true;
            }
            // TLS calls an end without a close_notify an unexpected one; brokers that crash do not say goodbye.
            Poll::Ready(Ok(())) => self.machine.ended(),
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.machine.ended();
            }
            Poll::Ready(Err(error)) => self.machine.end(Closed::Socket(Arc::new(error))),
        }
        false
    }

    /// Ready at the machine's time `until`. The sleep is moved only where it would end too late.
    fn wait(&mut self, until: i64, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let now = self.now();
            if now >= until {
                return Poll::Ready(());
            }
            if until < self.armed || self.armed <= now {
                self.armed = until.min(now + LONGEST_SLEEP);
                let length = u64::try_from(self.armed).unwrap_or(0);
                self.sleep.as_mut().reset(self.start + Duration::from_micros(length));
            }
            if self.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn now(&self) -> i64 {
        micros(self.start)
    }
}

fn micros(since: Instant) -> i64 {
    i64::try_from(since.elapsed().as_micros()).unwrap_or(i64::MAX)
}
