//! A gateway in a folder of its own, and its tool.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use assert_cmd::cargo::cargo_bin;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Tries until it is there; fails after 30 s.
pub(crate) async fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(found) = attempt() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never: {what}");
}

/// What a program said and how it ended.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A gateway in a folder of its own.
pub(crate) struct Gateway {
    dir: TempDir,
    pub(crate) health: u16,
    daemon: Option<Child>,
    /// What is preloaded into the daemon.
    shim: Option<PathBuf>,
}

/// A tool that runs beside the test.
pub(crate) struct Background {
    child: Child,
    log: PathBuf,
}

impl Gateway {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let health =
            std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let gateway = Self { dir, health, daemon: None, shim: None };
        fs::create_dir(gateway.path("devices.d")).unwrap();
        fs::create_dir(gateway.path("state")).unwrap();
        let (store, socket) = (gateway.path("store"), gateway.path("control.sock"));
        let text = format!(
            "[gateway]\nname = \"plant\"\n[store]\ndir = {store:?}\n[control]\nsocket = {socket:?}\n\
             [health]\nlisten = \"127.0.0.1:{health}\"\n"
        );
        gateway.write("gatewayd.toml", &text);
        gateway
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// Writes the device file of a meter at this port.
    pub(crate) fn device(&self, id: &str, port: u16) {
        let text = format!(
            "[modbus]\ntcp = \"127.0.0.1:{port}\"\n\
             [group.main]\ninterval = \"200ms\"\n\
             [[point]]\nname = \"grid/power\"\naddress = \"holding:0\"\ntype = \"u16\"\nscale = 0.1\nunit = \"W\"\n\
             [[point]]\nname = \"relay/setpoint\"\naddress = \"holding:1\"\ntype = \"u16\"\n\
             writable = true\nwrite_range = [0, 1000]\n"
        );
        self.write(&format!("devices.d/{id}.toml"), &text);
    }

    fn command(&self) -> Command {
        let mut command = Command::new(cargo_bin("gatewayd"));
        command.arg("--config").arg(self.path("gatewayd.toml"));
        command.arg("--state").arg(self.path("state"));
        if let Some(shim) = &self.shim {
            command.env("LD_PRELOAD", shim).env("SHIM", self.path("shim"));
        }
        command
    }

    /// Has the daemon's disk and wall clock obey the files in `shim`: see `shim.c`.
    pub(crate) fn shim(&mut self) {
        fs::create_dir(self.path("shim")).unwrap();
        let shim = self.path("shim.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/daemon/shim.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", source, "-ldl", "-o"])
            .arg(&shim)
            .status();
        assert!(built.is_ok_and(|status| status.success()), "the C compiler that Rust links with");
        self.shim = Some(shim);
    }

    /// Starts the daemon and waits until it answers.
    pub(crate) async fn start(&mut self) {
        let log = fs::File::create(self.path("log")).unwrap();
        let child = self.command().stderr(log).stdin(Stdio::null()).spawn().unwrap();
        self.daemon = Some(child);
        for _ in 0..600 {
            if self.run(&["status"]).code == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("it never answered: {}", self.read("log"));
    }

    /// Runs the daemon where it is expected to end by itself.
    pub(crate) fn daemon(&self) -> Output {
        output(&mut self.command())
    }

    /// Kills the daemon as the kernel would.
    pub(crate) fn kill(&mut self) {
        let mut child = self.daemon.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Stops the daemon as systemd would, and sees that it ends well and in time.
    pub(crate) async fn stop(&mut self) {
        let mut child = self.daemon.take().unwrap();
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        let status = eventually("the daemon ends", || child.try_wait().unwrap()).await;
        let log = self.read("log");
        assert!(status.success(), "{status}: {log}");
        assert!(!log.contains("left behind") && !log.contains("in time"), "{log}");
    }

    /// Runs the tool.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(cargo_bin("gatewayd"));
        command.arg("ctl").args(arguments).env("GATEWAYD_SOCKET", self.path("control.sock"));
        output(&mut command)
    }

    /// Runs `gatewayctl rollback` on the files of this gateway.
    pub(crate) fn rollback(&self, arguments: &[&str]) -> Output {
        let (config, state) = (self.path("gatewayd.toml"), self.path("state"));
        let place =
            ["rollback", "--config", config.to_str().unwrap(), "--state", state.to_str().unwrap()];
        self.run(&[&place, arguments].concat())
    }

    /// Runs the tool beside the test.
    pub(crate) fn background(&self, arguments: &[&str]) -> Background {
        let log = self.path("background");
        let out = fs::File::create(&log).unwrap();
        let mut command = Command::new(cargo_bin("gatewayd"));
        command.arg("ctl").args(arguments).env("GATEWAYD_SOCKET", self.path("control.sock"));
        Background { child: command.stdout(out).spawn().unwrap(), log }
    }

    /// Runs the tool for programs, and gives back its lines.
    pub(crate) fn lines(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(output.code, 0, "{arguments:?}: {output:?}");
        output.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The twin, where there is one.
    pub(crate) fn twin(&self, id: &str) -> Option<Value> {
        let output = self.run(&["twins", id, "--json"]);
        let answer: Value = serde_json::from_str(&output.out).ok()?;
        answer["twins"].get(0).cloned()
    }

    /// The twin `meter`, once it is shadowed.
    pub(crate) async fn shadowed(&self) -> Value {
        eventually("the twin is shadowed", || {
            self.twin("meter").filter(|twin| twin["life_cycle"] == "shadowed")
        })
        .await
    }

    pub(crate) fn check(&self) -> Output {
        let config = self.path("gatewayd.toml");
        self.run(&["check", "--config", config.to_str().unwrap()])
    }

    /// Asks the health listener.
    pub(crate) async fn http(&self, path: &str) -> String {
        Self::http_at(self.health, path).await.unwrap()
    }

    /// Asks whoever listens at this port.
    pub(crate) async fn http_at(port: u16, path: &str) -> std::io::Result<String> {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(mut child) = self.daemon.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

impl Background {
    /// Whether it has said this.
    pub(crate) fn saw(&self, words: &str) -> bool {
        fs::read_to_string(&self.log).unwrap().contains(words)
    }

    pub(crate) fn ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn output(command: &mut Command) -> Output {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    let code = child.wait().unwrap().code().unwrap_or(-1);
    Output { code, out, err }
}
