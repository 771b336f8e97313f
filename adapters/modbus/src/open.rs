//! Opening a line: a connection, a socket or a serial port, and the master that fits it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::slot::Stream;
use crate::spec::{LineSpec, SerialSpec, Transport};
use crate::{
    Master, SerialMaster, SerialTimes, TcpMaster, serial_line, tcp_line, tls_line, udp_line,
};

/// Why a line could not be opened.
#[derive(Debug, Clone)]
pub(crate) enum OpenError {
    /// It may be there later.
    Later(Arc<str>),
    /// It never will with this configuration.
    Never(Arc<str>),
}

/// What opening a line gives.
pub(crate) struct Opened {
    pub(crate) stream: Box<dyn Stream>,
    /// The port is no real UART: characters take no time on it.
    pub(crate) timeless: bool,
}

/// A line that is being opened.
pub(crate) type Opening = Pin<Box<dyn Future<Output = Result<Opened, OpenError>> + Send>>;

/// Opens a line.
pub(crate) async fn open(spec: Arc<LineSpec>) -> Result<Opened, OpenError> {
    match &spec.transport {
        Transport::Tcp { host, port } | Transport::SerialOverTcp { host, port, .. } => {
            let stream = tcp_line::connect(host, *port, patience(&spec)).await?;
            Ok(Opened { stream: Box::new(stream), timeless: true })
        }
        Transport::Tls(to) => {
            let stream = tls_line::connect(to, patience(&spec)).await?;
            Ok(Opened { stream: Box::new(stream), timeless: true })
        }
        Transport::Udp { host, port } => {
            let stream = udp_line::bind(host, *port, patience(&spec)).await?;
            Ok(Opened { stream: Box::new(stream), timeless: true })
        }
        Transport::Serial(serial) => serial_line::open(serial),
    }
}

fn patience(spec: &LineSpec) -> Duration {
    Duration::from_micros(u64::try_from(spec.timing.connect_timeout).unwrap_or(0))
}

/// The master of a line that was just opened. `timeless`: characters take no time on it; `quarantine`: for so long
/// answers to somebody else's requests may still come.
pub(crate) fn master(
    spec: &LineSpec,
    timeless: bool,
    first_id: u16,
    now: i64,
    quarantine: i64,
) -> Master {
    let timing = &spec.timing;
    match &spec.transport {
        Transport::Tcp { .. } | Transport::Tls(_) => {
            Master::Tcp(TcpMaster::new(timing.max_in_flight, timing.pause, first_id))
        }
        Transport::Udp { .. } => {
            Master::Tcp(TcpMaster::of_datagrams(timing.max_in_flight, timing.pause, first_id))
        }
        Transport::SerialOverTcp { framing, .. } => {
            // A device server gives late answers from its serial side to whoever is connected now.
            let times = SerialTimes::over_tcp(timing);
            Master::Serial(SerialMaster::new(*framing, times, false, now, quarantine))
        }
        Transport::Serial(serial) => {
            let mut times = SerialTimes::serial(serial, timing);
            if timeless {
                times.character = 0;
            }
            let SerialSpec { framing, echo, .. } = *serial;
            Master::Serial(SerialMaster::new(framing, times, echo, now, quarantine))
        }
    }
}
