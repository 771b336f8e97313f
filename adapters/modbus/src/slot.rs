//! One connection of a line, or its serial port: the stream, its master, and what is under way on it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::sequence::{Next, Sequence};
use crate::tap::Taps;
use crate::{Completed, Desync, Failure, Master, StartError};

/// A peer that takes no bytes for this long is gone.
const WRITE: Duration = Duration::from_secs(2);

/// Bytes both ways.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An open connection. Times are boottime in microseconds.
pub(crate) struct Slot {
    stream: Box<dyn Stream>,
    pub(crate) master: Master,
    /// When it was opened.
    pub(crate) opened: i64,
    /// Nothing leaves before this.
    from: i64,
    /// When something last left or arrived.
    pub(crate) used: i64,
    /// Something sound has arrived.
    pub(crate) answered: bool,
    /// Requests in a row that nobody answered.
    pub(crate) unanswered: u32,
    under_way: Vec<Sequence>,
    /// What goes on as soon as the master is ready.
    waiting: VecDeque<Sequence>,
    out: Vec<u8>,
    done: Vec<Completed>,
}

impl Slot {
    pub(crate) fn new(stream: Box<dyn Stream>, master: Master, now: i64, pause: i64) -> Self {
        Self {
            stream,
            master,
            opened: now,
            from: now.saturating_add(pause),
            used: now,
            answered: false,
            unanswered: 0,
            under_way: Vec::new(),
            waiting: VecDeque::new(),
            out: Vec::with_capacity(260),
            done: Vec::new(),
        }
    }

    /// From when on a request may leave; `None` while as many as allowed are under way.
    pub(crate) fn ready_at(&self) -> Option<i64> {
        self.master.ready_at().map(|at| at.max(self.from))
    }

    /// What goes on before anything new begins.
    pub(crate) fn take_waiting(&mut self) -> Option<Sequence> {
        self.waiting.pop_front()
    }

    /// Whether something is to be sent as soon as the master is ready.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether nothing is under way.
    pub(crate) fn idle(&self) -> bool {
        self.under_way.is_empty() && self.waiting.is_empty()
    }

    /// Reads what lies in the kernel and belongs to nothing that is under way.
    pub(crate) async fn drain(&mut self, now: i64, taps: &mut Taps) -> io::Result<()> {
        let mut bytes = [0; 512];
        loop {
            let read = poll_fn(|cx| match self.poll_read(cx, &mut bytes) {
                Poll::Ready(read) => Poll::Ready(Some(read)),
                Poll::Pending => Poll::Ready(None),
            });
            let Some(n) = read.await.transpose()? else { return Ok(()) };
            taps.note(now, false, bytes.get(..n).unwrap_or_default());
            // With nothing under way there is nothing to lose the framing of.
            self.master.received(now, bytes.get(..n).unwrap_or_default(), &mut self.done).ok();
        }
    }

    /// Puts the next exchange of a sequence on the wire.
    pub(crate) async fn start(
        &mut self,
        sequence: Sequence,
        now: i64,
        taps: &mut Taps,
    ) -> io::Result<Option<Next>> {
        self.out.clear();
        match self.master.start(now, sequence.exchange(), &mut self.out) {
            Ok(()) => {}
            Err(StartError::NotReady | StartError::Full) => {
                self.waiting.push_back(sequence);
                return Ok(None);
            }
            Err(StartError::Broadcast | StartError::Request(_)) => {
                let failure = Failure::Malformed("the request is not allowed");
                return Ok(Some(sequence.fail(now, failure)));
            }
        }
        self.under_way.push(sequence);
        self.used = now;
        taps.note(now, true, &self.out);
        let written = tokio::time::timeout(WRITE, self.stream.write_all(&self.out));
        written.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        Ok(None)
    }

    /// Reads what has arrived; the end of the stream is an error.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(bytes);
        match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()))
            }
            Poll::Ready(Ok(())) => Poll::Ready(Ok(buffer.filled().len())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Takes in what has arrived.
    pub(crate) fn received(&mut self, now: i64, bytes: &[u8]) -> Result<(), Desync> {
        self.used = now;
        self.master.received(now, bytes, &mut self.done)
    }

    /// Ends what has waited too long.
    pub(crate) fn tick(&mut self, now: i64) {
        self.master.tick(now, &mut self.done);
    }

    /// The connection is gone: everything under way ends.
    pub(crate) fn lost(&mut self, now: i64) -> Vec<Next> {
        self.master.lost(now, &mut self.done);
        let mut over: Vec<Next> = std::iter::from_fn(|| self.ended()).collect();
        let rest = self.under_way.drain(..).chain(self.waiting.drain(..));
        over.extend(rest.map(|sequence| sequence.fail(now, Failure::Lost)));
        over
    }

    /// The next task that is over.
    pub(crate) fn ended(&mut self) -> Option<Next> {
        loop {
            let completed = (!self.done.is_empty()).then(|| self.done.remove(0))?;
            let Completed { exchange, sent, result, .. } = completed;
            match &result {
                Ok(_) | Err(Failure::Exception(_)) => {
                    (self.answered, self.unanswered) = (true, 0);
                }
                Err(Failure::Timeout) => self.unanswered += 1,
                Err(_) => {}
            }
            let token = exchange.token;
            let Some(at) = self.under_way.iter().position(|s| s.ticket == token) else { continue };
            match self.under_way.remove(at).next(sent, result) {
                Next::Again(sequence) => self.waiting.push_back(sequence),
                over @ Next::Over { .. } => return Some(over),
            }
        }
    }
}
