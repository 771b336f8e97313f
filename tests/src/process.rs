//! Programs that a test starts: logged to a file, stopped by their id, gone when the test is.

use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// A running program. Dropping it ends it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program whose output goes to `folder/name.log`.
    ///
    /// The kernel ends it as well if the test dies without a chance to.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start(folder: &Path, name: &str, command: &Command) -> Self {
        let log = folder.join(format!("{name}.log"));
        let open = || -> io::Result<File> { File::options().create(true).append(true).open(&log) };
        let mut guarded = Command::new("setpriv");
        guarded.args(["--pdeathsig", "KILL", "--"]);
        guarded.arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => guarded.env(key, value),
                None => guarded.env_remove(key),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            guarded.current_dir(folder);
        }
        let child = (|| guarded.stdin(Stdio::null()).stdout(open()?).stderr(open()?).spawn())()
            .unwrap_or_else(|e| panic!("starting {name}: {e}"));
        Self { name: name.to_owned(), child, log }
    }

    /// What the program has written so far.
    #[must_use]
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until the program has written something in which `find` finds what it looks for.
    ///
    /// # Panics
    /// If it did not within 20 s, or ended before.
    pub fn says<T>(&mut self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let log = self.log.clone();
        let name = self.name.clone();
        wait::until(&format!("{name}: {what}"), Duration::from_secs(20), || {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            if let Some(found) = find(&text) {
                return Some(found);
            }
            let ended = self.ended();
            assert!(ended.is_none(), "{name} ended with {ended:?}:\n{text}");
            None
        })
    }

    /// The program's exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The program's id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, if the program still runs.
    pub fn signal(&mut self, signal: Signal) {
        if self.ended().is_none()
            && let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
        {
            // It may end between the look and the signal; then there is nothing to signal.
            kill_process(pid, signal).ok();
        }
    }

    /// Ends the program at once, as a power cut would.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.child.wait().ok();
    }

    /// Asks the program to end and waits for it; it is killed after `limit`.
    ///
    /// # Panics
    /// If it did not end by itself.
    pub fn stop(&mut self, limit: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        let name = self.name.clone();
        wait::until(&format!("{name} ends on SIGTERM"), limit, || self.ended())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::CONT);
        self.signal(Signal::TERM);
        for _ in 0..50 {
            if self.ended().is_some() {
                return;
            }
            wait::pause(Duration::from_millis(20));
        }
        self.kill();
    }
}

/// A TCP port on loopback that nobody uses at this moment.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap_or_else(|e| panic!("a port: {e}"));
    listener.local_addr().unwrap_or_else(|e| panic!("its address: {e}")).port()
}
