//! The control socket: who may connect, how much may be asked, how long a slow caller is borne.
//!
//! It runs on the second runtime. A caller that does not read its answers holds nothing but its own connection.

use std::fs;
use std::future::Future;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base::{CancellationToken, Scope};
use control::{Answer, Ask, Code, Failure, LONGEST_REQUEST, Reply, Request, VERSION};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Interest};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use twin::Principal;

use super::peer;

/// How many may be connected at once; further ones wait in the kernel's queue.
const CALLERS: usize = 64;
/// How long a caller may leave an answer unread.
const UNREAD: Duration = Duration::from_secs(10);

/// Answers requests.
pub trait Answers: Send + Sync + 'static {
    /// Answers one request; `false` when the caller has gone.
    fn answer(
        &self,
        by: &Principal,
        request: Request,
        replies: &mut Replies,
    ) -> impl Future<Output = io::Result<()>> + Send;
}

/// Why the socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another daemon listens there.
    #[error("another gatewayd listens at {} already; stop it first: systemctl stop gatewayd", .0.display())]
    Taken(PathBuf),
    /// Something else has the name.
    #[error("{} is no socket and is not removed; give control.socket another path", .0.display())]
    InTheWay(PathBuf),
    /// There is no such group.
    #[error("there is no group `{0}` to own the control socket; create it: groupadd --system {0}")]
    NoGroup(String),
    /// The system refused.
    #[error("cannot listen at {}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
}

/// The bound socket; removes its path when dropped.
#[derive(Debug)]
pub struct Socket {
    listener: std::os::unix::net::UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Listens at this path, for root, the daemon's own user and this group.
    pub fn bind(path: &Path, group: Option<&str>) -> Result<Self, SocketError> {
        let failed = |source| SocketError::Io { path: path.into(), source };
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(SocketError::Taken(path.into()));
        }
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).map_err(failed)?;
        }
        match fs::symlink_metadata(path) {
            // What an earlier daemon left behind.
            Ok(found) if found.file_type().is_socket() => fs::remove_file(path).map_err(failed)?,
            Ok(_) => return Err(SocketError::InTheWay(path.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let listener = std::os::unix::net::UnixListener::bind(path).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let socket = Self { listener, path: path.into() };
        if group.is_some() {
            admit(path, group)?;
        }
        fs::set_permissions(path, fs::Permissions::from_mode(0o660)).map_err(failed)?;
        Ok(socket)
    }

    /// Serves until stopped.
    pub async fn serve(self, answers: Arc<impl Answers>, stop: CancellationToken) {
        let (scope, mut endings) = Scope::new("control", &stop);
        let Ok(listener) = self.listener.try_clone().and_then(UnixListener::from_std) else {
            tracing::error!("cannot serve {}", self.path.display());
            return;
        };
        let seats = Arc::new(Semaphore::new(CALLERS));
        loop {
            let Ok(seat) = seats.clone().acquire_owned().await else { return };
            tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let (answers, stop) = (answers.clone(), scope.stop().clone());
                        scope.spawn("caller", async move {
                            let _seat = seat;
                            // A caller that hangs up is no news.
                            stop.run_until_cancelled(converse(stream, &*answers)).await;
                        });
                    }
                    Err(error) => {
                        tracing::warn!("cannot accept a caller: {error}");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
            while endings.try_recv().is_ok() {}
        }
        drop(endings);
        scope.join().await;
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // What is left behind is removed at the next start.
        fs::remove_file(&self.path).ok();
    }
}

/// Lets this group in beside root and the daemon's own user; without one the daemon's own group.
pub fn admit(path: &Path, group: Option<&str>) -> Result<(), SocketError> {
    let gid = match group {
        Some(name) => peer::group(name).ok_or_else(|| SocketError::NoGroup(name.into()))?,
        None => rustix::process::getgid().as_raw(),
    };
    let failed = |source| SocketError::Io { path: path.into(), source };
    std::os::unix::fs::chown(path, None, Some(gid)).map_err(failed)
}

/// The caller's end for answers.
#[derive(Debug)]
pub struct Replies {
    out: OwnedWriteHalf,
    line: Vec<u8>,
}

impl Replies {
    /// Sends an answer. A caller that does not read for too long is given up.
    pub async fn send(&mut self, answer: Answer) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, &Reply::new(answer))?;
        self.line.push(b'\n');
        match tokio::time::timeout(UNREAD, self.out.write_all(&self.line)).await {
            Ok(written) => written,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Replies {
    /// Whether the caller has hung up, without waiting for it.
    pub async fn gone(&self) -> bool {
        let stream: &UnixStream = self.out.as_ref();
        let ready = tokio::time::timeout(Duration::ZERO, stream.ready(Interest::WRITABLE)).await;
        ready.is_ok_and(|ready| ready.is_ok_and(|ready| ready.is_write_closed()))
    }
}

async fn converse(stream: UnixStream, answers: &impl Answers) -> io::Result<()> {
    let by = peer::principal(&stream)?;
    let (read, out) = stream.into_split();
    let (mut read, mut replies) = (BufReader::new(read), Replies { out, line: Vec::new() });
    let mut line = Vec::new();
    while next(&mut read, &mut line).await? {
        match understood(&line) {
            Ok(request) => answers.answer(&by, request, &mut replies).await?,
            Err(failure) => {
                replies.send(Answer::Error(failure)).await?;
                if line.len() >= LONGEST_REQUEST {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// Reads a line; `false` at the end. A line that is too long is cut where it is too long.
async fn next(read: &mut BufReader<OwnedReadHalf>, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let limit = u64::try_from(LONGEST_REQUEST).unwrap_or(u64::MAX);
    Ok(read.take(limit).read_until(b'\n', line).await? > 0)
}

fn understood(line: &[u8]) -> Result<Request, Failure> {
    if line.len() >= LONGEST_REQUEST && !line.ends_with(b"\n") {
        let words = format!("a request has at most {LONGEST_REQUEST} bytes");
        return Err(Failure::new(Code::BadRequest, words));
    }
    let bad = |error: serde_json::Error| {
        let words = format!("the request is not understood: {error}");
        Failure::new(Code::BadRequest, words)
    };
    let version: AnyVersion = serde_json::from_slice(line).map_err(bad)?;
    if version.v != VERSION {
        let words = format!("this daemon speaks version {VERSION} of the API, not {}", version.v);
        return Err(Failure::new(Code::Version, words).help(
            "gatewayctl and gatewayd are of different versions: systemctl restart gatewayd",
        ));
    }
    serde_json::from_slice::<Ask>(line).map(|ask| ask.request).map_err(bad)
}

#[derive(serde::Deserialize)]
struct AnyVersion {
    v: u32,
}

#[cfg(test)]
#[path = "socket_tests.rs"]
mod tests;
