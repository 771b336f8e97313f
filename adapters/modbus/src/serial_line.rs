//! Opening a serial port: by hardware, for us alone, with its line settings.

use std::fs::File;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, OFlags};
use serial2_tokio::rs4xx::{Rs485Config, TransceiverMode};
use serial2_tokio::{CharSize, FlowControl, SerialPort, Settings, StopBits};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::open::{OpenError, Opened};
use crate::port;
use crate::spec::{Parity, Rs485, SerialSpec};

/// An open port, and the lock that keeps everybody else off it.
struct Locked {
    port: SerialPort,
    _lock: File,
}

/// Opens the port that the specification names.
pub(crate) fn open(spec: &SerialSpec) -> Result<Opened, OpenError> {
    let path = port::resolve(&spec.port, Path::new(port::CLASS))?;
    let shown = path.display();
    let timeless = port::is_pty(&path);
    let settings = |settings: Settings| configured(settings, spec, timeless);
    let port = SerialPort::open(&path, settings).map_err(|error| {
        let words: Arc<str> = format!("opening serial port {shown}: {error}").into();
        match error.kind() {
            io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported => OpenError::Never(words),
            _ => OpenError::Later(words),
        }
    })?;
    let lock = lock(&path).map_err(|error| {
        let help = "another program uses it; stop that program";
        OpenError::Later(format!("locking serial port {shown}: {error}: {help}").into())
    })?;
    if let Some(rs485) = &spec.rs485 {
        port.set_rs4xx_mode(TransceiverMode::Rs485(direction(rs485))).map_err(|error| {
            let help =
                "its driver cannot switch the direction; remove `rs485` where the hardware does";
            OpenError::Never(format!("RS-485 mode of {shown}: {error}: {help}").into())
        })?;
    }
    // What lies there is no answer to anything that we asked.
    port.discard_buffers().map_err(|error| {
        OpenError::Later(format!("flushing serial port {shown}: {error}").into())
    })?;
    port::quicken(&path);
    Ok(Opened { stream: Box::new(Locked { port, _lock: lock }), timeless })
}

/// `pty`: a pseudo terminal carries whole bytes and refuses a parity bit.
fn configured(mut settings: Settings, spec: &SerialSpec, pty: bool) -> io::Result<Settings> {
    settings.set_raw();
    settings.set_baud_rate(spec.baud)?;
    settings.set_char_size(match spec.data_bits {
        7 if !pty => CharSize::Bits7,
        _ => CharSize::Bits8,
    });
    settings.set_parity(match spec.parity {
        _ if pty => serial2_tokio::Parity::None,
        Parity::None => serial2_tokio::Parity::None,
        Parity::Even => serial2_tokio::Parity::Even,
        Parity::Odd => serial2_tokio::Parity::Odd,
    });
    settings.set_stop_bits(if spec.stop_bits == 2 { StopBits::Two } else { StopBits::One });
    settings.set_flow_control(FlowControl::None);
    Ok(settings)
}

fn direction(rs485: &Rs485) -> Rs485Config {
    let micros = |t: i64| Duration::from_micros(u64::try_from(t).unwrap_or(0));
    let mut config = Rs485Config::new();
    config.set_invert_rts(rs485.invert_rts);
    config.set_delay_before_send(micros(rs485.delay_before));
    config.set_delay_after_send(micros(rs485.delay_after));
    config
}

/// Keeps other programs off: those that ask by a lock, and by the kernel all others but root's.
fn lock(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    rustix::termios::ioctl_tiocexcl(&file)?;
    Ok(file)
}

impl AsyncRead for Locked {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.port).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Locked {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.port).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.port).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.port).poll_shutdown(cx)
    }
}
