//! A line of one's own, outside the daemon's schedule: for tools that try what a device bears.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use base::Clock;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

use crate::exchange::{Completed, Exchange, Failure};
use crate::open::{OpenError, master, open};
use crate::slot::Stream;
use crate::spec::LineSpec;
use crate::{Master, Request, Response};

/// As many as a master may have under way: whoever asks decides how many that are.
const MOST: u16 = 64;

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The answer, or why there is none.
    pub result: Result<Response, Failure>,
    /// Microseconds from the request to that.
    pub took: i64,
}

/// Asks units of one line.
pub trait Exchanges {
    /// Asks all these at once, as far as the line can, and waits until each has ended. Times are microseconds.
    fn ask(
        &mut self,
        unit: u8,
        requests: &[Request],
        timeout: i64,
    ) -> impl Future<Output = Vec<Answered>>;
    /// Waits so many microseconds.
    fn rest(&mut self, time: i64) -> impl Future<Output = ()>;
}

/// An open line.
pub struct Asker {
    stream: Box<dyn Stream>,
    master: Master,
    clock: Clock,
}

impl Asker {
    /// Opens a line for oneself.
    ///
    /// # Errors
    /// Why that cannot be, in words.
    pub async fn open(spec: &LineSpec, clock: Clock) -> Result<Self, Arc<str>> {
        let mut spec = spec.clone();
        spec.timing.max_in_flight = MOST;
        let spec = Arc::new(spec);
        let opened = open(spec.clone()).await.map_err(|error| match error {
            OpenError::Later(words) | OpenError::Never(words) => words,
        })?;
        let now = clock.boottime();
        let first_id = u16::try_from(now & 0xFFFF).unwrap_or(0);
        let master = master(&spec, opened.timeless, first_id, now, 0);
        Ok(Self { stream: opened.stream, master, clock })
    }

    /// Reads what is there, or waits until it comes or `until`.
    async fn read(&mut self, until: i64, done: &mut Vec<Completed>) -> io::Result<()> {
        let left = u64::try_from(until - self.clock.boottime()).unwrap_or(0);
        let mut bytes = [0; 1024];
        let stream = &mut self.stream;
        let read = poll_fn(|cx| {
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = Pin::new(&mut *stream).poll_read(cx, &mut buffer);
            read.map_ok(|()| buffer.filled().len())
        });
        let read = tokio::time::timeout(Duration::from_micros(left), read).await;
        let now = self.clock.boottime();
        match read {
            Ok(Ok(0)) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(Ok(n)) => {
                let heard = bytes.get(..n).unwrap_or_default();
                self.master.received(now, heard, done).map_err(io::Error::other)
            }
            Ok(Err(error)) => Err(error),
            Err(_) => {
                self.master.tick(now, done);
                Ok(())
            }
        }
    }

    async fn all(
        &mut self,
        unit: u8,
        requests: &[Request],
        timeout: i64,
        done: &mut Vec<Completed>,
    ) -> io::Result<()> {
        let mut waiting = (0..).zip(requests);
        let mut next = waiting.next();
        while next.is_some() || self.master.in_flight() > 0 {
            let now = self.clock.boottime();
            let ready = self.master.ready_at();
            if let (Some((token, request)), Some(ready)) = (next, ready)
                && ready <= now
            {
                let mut out = Vec::new();
                let request = request.clone();
                let exchange = Exchange { token, unit, request, timeout };
                self.master.start(now, exchange, &mut out).map_err(io::Error::other)?;
                self.stream.write_all(&out).await?;
                next = waiting.next();
                continue;
            }
            let wake = self.master.wake().unwrap_or(i64::MAX);
            let ready = next.and(ready).unwrap_or(i64::MAX);
            self.read(wake.min(ready).min(now + 1_000_000), done).await?;
        }
        Ok(())
    }
}

impl Exchanges for Asker {
    async fn ask(&mut self, unit: u8, requests: &[Request], timeout: i64) -> Vec<Answered> {
        let mut done = Vec::new();
        if self.all(unit, requests, timeout, &mut done).await.is_err() {
            self.master.lost(self.clock.boottime(), &mut done);
        }
        let answered = |token: u64| {
            let completed = done.iter().find(|completed| completed.exchange.token == token);
            completed.map_or(Answered { result: Err(Failure::Lost), took: 0 }, |completed| {
                let took = completed.at - completed.sent;
                Answered { result: completed.result.clone(), took }
            })
        };
        (0..).zip(requests).map(|(token, _)| answered(token)).collect()
    }

    async fn rest(&mut self, time: i64) {
        tokio::time::sleep(Duration::from_micros(u64::try_from(time).unwrap_or(0))).await;
    }
}
