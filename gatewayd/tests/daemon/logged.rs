//! A Modbus TCP server by tokio-modbus that writes down what it was asked: another implementation than ours.

use std::future::{Ready, ready};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base::{CancellationToken, Thread};
use tokio::net::TcpListener;
use tokio_modbus::server::Service;
use tokio_modbus::server::tcp::Server;
use tokio_modbus::{ExceptionCode, Request, Response, SlaveRequest};

/// A request: to which unit, from which register.
pub(crate) type Asked = (u8, u16);

/// Units without end, each of which answers reads of holding registers.
pub(crate) struct Plant {
    port: u16,
    log: Log,
    connections: Arc<AtomicUsize>,
    stop: CancellationToken,
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Asked>>>);

impl Service for Log {
    type Request = SlaveRequest<'static>;
    type Response = Response;
    type Exception = ExceptionCode;
    type Future = Ready<Result<Response, ExceptionCode>>;

    fn call(&self, asked: Self::Request) -> Self::Future {
        let Request::ReadHoldingRegisters(start, count) = asked.request else {
            return ready(Err(ExceptionCode::IllegalFunction));
        };
        self.0.lock().unwrap().push((asked.slave, start));
        ready(Ok(Response::ReadHoldingRegisters(vec![7; usize::from(count)])))
    }
}

impl Plant {
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (log, connections, stop) =
            (Log::default(), Arc::new(AtomicUsize::new(0)), CancellationToken::new());
        let (served, count, until) = (log.clone(), connections.clone(), stop.clone());
        Thread::start("plant", move || async move {
            let server = Server::new(TcpListener::from_std(listener).unwrap());
            let connected = move |stream, _| {
                count.fetch_add(1, Ordering::Relaxed);
                ready(Ok(Some((served.clone(), stream))))
            };
            let ended = server.serve_until(&connected, |_| (), until.cancelled_owned()).await;
            ended.unwrap();
        })
        .unwrap();
        Self { port, log, connections, stop }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Everything that it was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.log.0.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Plant {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
