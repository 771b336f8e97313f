//! The tool's end of the control socket.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use control::{Answer, Ask, Reply, Request};

/// A connection to the daemon.
pub struct Client {
    path: PathBuf,
    stream: BufReader<UnixStream>,
    patience: Option<Duration>,
}

/// Why the daemon cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("gatewayd does not run: nobody listens at {}", path.display())]
    NotRunning {
        /// Where.
        path: PathBuf,
    },
    /// The socket is there, but not for us.
    #[error("you may not talk to gatewayd: {} is for root and the group `{group}`", path.display())]
    NotPermitted {
        /// Which socket.
        path: PathBuf,
        /// Who may.
        group: String,
    },
    /// Anything else.
    #[error("cannot talk to gatewayd at {}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// It is there and says nothing.
    #[error("gatewayd has not answered within {} s", .0.as_secs())]
    Silent(Duration),
    /// It hung up.
    #[error("gatewayd hung up: it was stopped or restarted")]
    HungUp,
    /// It speaks another language.
    #[error("gatewayd's answer is not understood")]
    NotUnderstood(#[source] serde_json::Error),
}

impl ClientError {
    /// What to do next.
    pub fn help(&self) -> String {
        match self {
            Self::NotRunning { .. } => {
                "start it: sudo systemctl start gatewayd; if it ends again: sudo journalctl -u gatewayd -e"
                    .into()
            }
            Self::NotPermitted { group, .. } if group == "root" => {
                "use sudo, or let a group in: control.group in gatewayd.toml".into()
            }
            Self::NotPermitted { group, .. } => format!(
                "use sudo, or join the group and log in again: sudo usermod -aG {group} \"$USER\""
            ),
            Self::Io { .. } | Self::HungUp | Self::Silent(_) => {
                "see what it says: sudo journalctl -u gatewayd -e".into()
            }
            Self::NotUnderstood(_) => {
                "gatewayctl and gatewayd are of different versions: systemctl restart gatewayd"
                    .into()
            }
        }
    }
}

impl Client {
    /// Connects to the daemon.
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        match UnixStream::connect(path) {
            Ok(stream) => {
                Ok(Self { path: path.into(), stream: BufReader::new(stream), patience: None })
            }
            Err(error) => Err(explain(path, error)),
        }
    }

    /// Asks.
    pub fn ask(&mut self, request: Request) -> Result<(), ClientError> {
        self.patience = patience(&request);
        let stream = self.stream.get_ref();
        stream.set_read_timeout(self.patience).map_err(|e| explain(&self.path, e))?;
        let mut line =
            serde_json::to_vec(&Ask::new(request)).map_err(ClientError::NotUnderstood)?;
        line.push(b'\n');
        let path = &self.path;
        self.stream.get_mut().write_all(&line).map_err(|e| explain(path, e))
    }

    /// The next answer.
    pub fn answer(&mut self) -> Result<Answer, ClientError> {
        let mut line = String::new();
        let path = &self.path;
        let failed = |error: io::Error| match (error.kind(), self.patience) {
            (io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut, Some(patience)) => {
                ClientError::Silent(patience)
            }
            _ => explain(path, error),
        };
        match self.stream.read_line(&mut line).map_err(failed)? {
            0 => Err(ClientError::HungUp),
            _ => {
                let reply: Result<Reply, _> = serde_json::from_str(&line);
                reply.map(|reply| reply.answer).map_err(ClientError::NotUnderstood)
            }
        }
    }
}

/// How long the next answer may take; for ever where it comes when something happens.
fn patience(request: &Request) -> Option<Duration> {
    const SOON: Duration = Duration::from_secs(30);
    match request {
        Request::Watch { .. } | Request::Tap { .. } => None,
        Request::Read { timeout_ms, .. } => Some(SOON.saturating_add(millis(*timeout_ms))),
        // Settling and reading back come after the deadline; the daemon says when it gives up waiting.
        Request::Set { timeout_ms, .. } => Some((3 * SOON).saturating_add(millis(*timeout_ms))),
        // Every part that changed is stopped first.
        Request::Reload { window_ms } => Some((20 * SOON).saturating_add(millis(*window_ms))),
        _ => Some(SOON),
    }
}

/// No longer than a socket can be told to wait.
fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms).min(Duration::from_secs(100 * 365 * 86_400))
}

fn explain(path: &Path, error: io::Error) -> ClientError {
    let path = path.to_path_buf();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            ClientError::NotRunning { path }
        }
        io::ErrorKind::PermissionDenied => {
            let group = group_of(&path).unwrap_or_else(|| "gatewayd".into());
            ClientError::NotPermitted { path, group }
        }
        _ => ClientError::Io { path, source: error },
    }
}

/// The name of the group that a file belongs to.
fn group_of(path: &Path) -> Option<String> {
    let gid = fs::metadata(path).ok()?.gid().to_string();
    let groups = fs::read_to_string("/etc/group").ok()?;
    let line = groups.lines().find(|line| line.split(':').nth(2) == Some(&gid))?;
    line.split(':').next().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_daemon_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("none.sock");
        let error = Client::connect(&path).err().unwrap();
        assert!(matches!(error, ClientError::NotRunning { .. }), "{error:?}");
        assert!(error.help().contains("systemctl start gatewayd"));
    }

    #[test]
    fn a_forbidden_socket_names_the_group() {
        let error = explain(Path::new("/"), io::ErrorKind::PermissionDenied.into());
        assert!(error.to_string().contains("`root`"), "{error}");
        assert!(!error.help().contains("usermod"), "nobody should join root: {}", error.help());
        let group = "gatewayd".into();
        let error = ClientError::NotPermitted { path: "/".into(), group };
        assert!(error.help().contains("usermod -aG gatewayd"));
    }

    #[test]
    fn a_daemon_that_hangs_is_not_waited_for_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hangs.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let mut client = Client::connect(&path).unwrap();
        client.ask(Request::Status).unwrap();
        assert_eq!(client.patience, Some(Duration::from_secs(30)));
        client.patience = Some(Duration::from_millis(10));
        client.stream.get_ref().set_read_timeout(client.patience).unwrap();
        assert!(matches!(client.answer(), Err(ClientError::Silent(_))));
        client.ask(Request::Watch { twin: None, point: None }).unwrap();
        assert_eq!(client.patience, None);
    }
}
