//! The tool's end of the control socket.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use control::{Answer, Ask, Reply, Request};

/// A connection to the daemon.
pub struct Client {
    path: PathBuf,
    stream: BufReader<UnixStream>,
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
    /// It hung up.
    #[error("gatewayd hung up before it answered")]
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
                "see why: systemctl status gatewayd; journalctl -u gatewayd -e".into()
            }
            Self::NotPermitted { group, .. } => format!(
                "use sudo, or join the group and log in again: sudo usermod -aG {group} \"$USER\""
            ),
            Self::Io { .. } | Self::HungUp => "see what it says: journalctl -u gatewayd -e".into(),
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
            Ok(stream) => Ok(Self { path: path.into(), stream: BufReader::new(stream) }),
            Err(error) => Err(explain(path, error)),
        }
    }

    /// Asks.
    pub fn ask(&mut self, request: Request) -> Result<(), ClientError> {
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
        match self.stream.read_line(&mut line).map_err(|e| explain(path, e))? {
            0 => Err(ClientError::HungUp),
            _ => {
                let reply: Result<Reply, _> = serde_json::from_str(&line);
                reply.map(|reply| reply.answer).map_err(ClientError::NotUnderstood)
            }
        }
    }
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
        assert!(error.help().contains("systemctl status gatewayd"));
    }

    #[test]
    fn a_forbidden_socket_names_the_group() {
        let error = explain(Path::new("/"), io::ErrorKind::PermissionDenied.into());
        assert!(error.to_string().contains("`root`"), "{error}");
        assert!(error.help().contains("usermod -aG root"));
    }
}
