//! The daemon under test: its configuration, its process, and its tool.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

use crate::lab::Lab;
use crate::process::Process;
use crate::{tree, wait};

/// A gateway with its own folder of configuration and state.
#[derive(Debug)]
pub struct Gateway {
    config: PathBuf,
    socket: PathBuf,
    logs: PathBuf,
    /// The running daemon.
    pub process: Option<Process>,
}

impl Gateway {
    /// Writes the configuration: `sections` besides name, store and socket, and the device files by name.
    #[must_use]
    pub fn configure(lab: &Lab, name: &str, sections: &str, devices: &[(&str, String)]) -> Self {
        let socket = lab.path("control.sock");
        let store = lab.path("store");
        let text = format!(
            "[gateway]\nname = \"{name}\"\n\n[store]\ndir = \"{}\"\n\n[control]\nsocket = \"{}\"\n\n{sections}",
            store.display(),
            socket.display()
        );
        let config = lab.write("etc/gatewayd.toml", &text);
        for (name, text) in devices {
            lab.write(&format!("etc/devices.d/{name}.toml"), text);
        }
        Self { config, socket, logs: lab.path(""), process: None }
    }

    /// Adds keys to the section of the store.
    ///
    /// # Panics
    /// If the configuration cannot be read or written.
    pub fn in_store(&self, keys: &str) {
        let text = std::fs::read_to_string(&self.config)
            .map(|text| text.replacen("[store]\n", &format!("[store]\n{keys}\n"), 1))
            .and_then(|text| std::fs::write(&self.config, text));
        text.unwrap_or_else(|e| panic!("changing {}: {e}", self.config.display()));
    }

    /// Starts the daemon and waits until it answers.
    pub fn start(&mut self) {
        self.launch();
        wait::until("the daemon answers", Duration::from_secs(30), || {
            let ended = self.process.as_mut().and_then(Process::ended);
            assert!(ended.is_none(), "the daemon ended with {ended:?}:\n{}", self.output());
            self.ctl(&["status"]).status.success().then_some(())
        });
    }

    /// Starts the daemon without waiting.
    pub fn launch(&mut self) {
        let mut command = Command::new(binary());
        command.arg("--config").arg(&self.config);
        self.process = Some(Process::start(&self.logs, "gatewayd", &command));
    }

    /// Kills the daemon as a power cut would, the machine's memory aside.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Stops the daemon as systemd would.
    ///
    /// # Panics
    /// If it does not end well within 15 s.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let status = process.stop(Duration::from_secs(15));
            assert!(status.success(), "the daemon ended with {status}:\n{}", process.output());
        }
    }

    /// What the daemon has said.
    #[must_use]
    pub fn output(&self) -> String {
        std::fs::read_to_string(self.logs.join("gatewayd.log")).unwrap_or_default()
    }

    /// Runs `gatewayctl` beside the test; its output goes to `name.log`.
    #[must_use]
    pub fn beside(&self, name: &str, arguments: &[&str]) -> Process {
        let mut command = Command::new(binary());
        command.arg("ctl").args(arguments).env("GATEWAYD_SOCKET", &self.socket);
        Process::start(&self.logs, name, &command)
    }

    /// Runs `gatewayctl`.
    ///
    /// # Panics
    /// If it cannot be run.
    pub fn ctl(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(binary());
        command.arg("ctl").args(arguments);
        if arguments.first() == Some(&"check") {
            command.arg("--config").arg(&self.config);
        }
        let output = command.env("GATEWAYD_SOCKET", &self.socket).output();
        output.unwrap_or_else(|e| panic!("running gatewayctl {arguments:?}: {e}"))
    }

    /// Runs `gatewayctl --json` and returns its lines.
    ///
    /// # Panics
    /// If it does not succeed.
    #[must_use]
    pub fn ask(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self.ctl(&[arguments, &["--json"]].concat());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "gatewayctl {arguments:?}: {text}{words}");
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

/// The program under test: `GATEWAYD_BIN`, or what the workspace builds now.
fn binary() -> &'static PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = std::env::var_os("GATEWAYD_BIN") {
            return path.into();
        }
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .args(["build", "--quiet", "-p", "gatewayd"])
            .current_dir(tree::root())
            .status();
        assert!(built.is_ok_and(|status| status.success()), "gatewayd does not build");
        tree::root().join("target/debug/gatewayd")
    })
}
