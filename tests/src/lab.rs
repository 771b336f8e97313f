//! A folder of its own for each test, and the peers that run in it.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Process, free_port};
use crate::{tree, wait};

/// A folder for one test. It is kept when the test fails, so that its logs can be read.
#[derive(Debug)]
pub struct Lab(Option<TempDir>);

impl Lab {
    /// An empty folder.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn new() -> Self {
        Self(Some(TempDir::new().unwrap_or_else(|e| panic!("a folder for the test: {e}"))))
    }

    /// A path in the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.as_ref().map_or_else(PathBuf::new, |folder| folder.path().join(name))
    }

    /// Writes a file, and the folders above it.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        let folder = path.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, text))
            .unwrap_or_else(|e| panic!("writing {}: {e}", path.display()));
        path
    }

    /// The lines of a file in which every line is JSON; one that is half written is left out.
    #[must_use]
    pub fn lines(&self, name: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Starts one of the Python programs of `tests/peers`.
    ///
    /// # Panics
    /// If there is no `.venv`: `make test` makes it.
    #[must_use]
    pub fn python(&self, name: &str, script: &str, arguments: &[&str]) -> Process {
        let mut command = python();
        command.arg(tree::root().join("tests/peers").join(script)).args(arguments);
        Process::start(&self.path(""), name, &command)
    }

    /// Starts a plant after this plan (see `modbus_plant.py`); its log is `plant.jsonl`.
    #[must_use]
    pub fn plant(&self, lines: &Value) -> Plant {
        let plan = json!({ "log": self.path("plant.jsonl"), "lines": lines });
        let plan = self.write("plan.json", &plan.to_string());
        let mut process = self.python("plant", "modbus_plant.py", &[&plan.display().to_string()]);
        let ready = process.says("all lines are served", |text| field(text, "ready"));
        Plant { process, ready }
    }

    /// Starts a broker on this port of loopback; it keeps nothing over its end.
    #[must_use]
    pub fn broker(&self, name: &str, port: u16) -> Process {
        // Without limits, so that what the broker took from the gateway is not dropped in it.
        let text = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n\
             max_inflight_messages 0\nmax_queued_messages 0\nset_tcp_nodelay true\n"
        );
        let config = self.write(&format!("{name}.conf"), &text);
        let mut command = Command::new("mosquitto");
        command.arg("-c").arg(config);
        let process = Process::start(&self.path(""), name, &command);
        wait::until(&format!("{name} listens"), Duration::from_secs(10), || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()
        });
        process
    }

    /// Starts a subscriber to everything; what it gets is in `NAME.jsonl`.
    #[must_use]
    pub fn sink(&self, name: &str, port: u16, version: &str) -> Sink {
        let out = self.path(&format!("{name}.jsonl"));
        let (port, path) = (port.to_string(), out.display().to_string());
        let arguments = ["--port", &port, "--out", &path, "--version", version];
        let process = self.python(&format!("{name}.sink"), "sink.py", &arguments);
        let mut sink = Sink { process, out, subscribed: 0 };
        sink.subscribed_again();
        sink
    }

    /// Starts a proxy in front of `port`.
    #[must_use]
    pub fn proxy(&self, name: &str, port: u16) -> Proxy {
        let arguments = ["listen:0", &format!("connect:{port}")];
        let mut process = self.python(name, "faultproxy.py", &arguments);
        let port = process.says("it listens", |text| field(text, "ready"));
        let control = process.says("it can be controlled", |text| field(text, "control"));
        Proxy { port: number(&port), control: number(&control), _process: process }
    }

    /// Runs the checker over a case (see `check.py`), and returns its report.
    ///
    /// # Panics
    /// If it found a defect.
    pub fn check(&self, case: &Value) -> Value {
        self.judge("check.py", case)
    }

    /// Runs a checker of `tests/peers` over a case, and returns its report.
    ///
    /// # Panics
    /// If it found a defect.
    pub fn judge(&self, checker: &str, case: &Value) -> Value {
        let case = self.write("case.json", &case.to_string());
        let output = python()
            .arg(tree::root().join("tests/peers").join(checker))
            .arg(case)
            .output()
            .unwrap_or_else(|e| panic!("running the checker: {e}"));
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "the checker found defects:\n{report}{words}");
        serde_json::from_str(&report).unwrap_or_else(|e| panic!("the report: {e}"))
    }
}

impl Default for Lab {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(folder) = self.0.take()
        {
            let kept = folder.keep();
            eprint_kept(&kept);
        }
    }
}

/// A running plant.
#[derive(Debug)]
pub struct Plant {
    /// The program.
    pub process: Process,
    ready: Value,
}

impl Plant {
    /// The port of a TCP line.
    #[must_use]
    pub fn port(&self, line: &str) -> u16 {
        number(&self.ready[line])
    }
}

/// A running subscriber.
#[derive(Debug)]
pub struct Sink {
    /// The program.
    pub process: Process,
    /// What it got, one JSON object a line.
    pub out: PathBuf,
    subscribed: u64,
}

impl Sink {
    /// Waits until the broker has confirmed a further subscription.
    pub fn subscribed_again(&mut self) {
        let before = self.subscribed;
        self.subscribed = self.process.says("the subscription is confirmed", |text| {
            let last = text.lines().rev().find_map(|line| field(line, "subscribed"))?.as_u64()?;
            (last > before).then_some(last)
        });
    }

    /// Everything that it got so far.
    #[must_use]
    pub fn messages(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.out).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits until a message on `topic` has a payload in which `find` finds what it looks for.
    pub fn gets<T>(&self, topic: &str, limit: Duration, find: impl Fn(&Value) -> Option<T>) -> T {
        wait::until(&format!("a message on {topic}"), limit, || {
            let messages = self.messages();
            messages.iter().filter(|m| m["topic"] == topic).find_map(|m| find(&m["payload"]))
        })
    }
}

/// A running proxy.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub port: u16,
    control: u16,
    _process: Process,
}

impl Proxy {
    /// Changes how it behaves, and returns its counts (see `faultproxy.py`).
    ///
    /// # Panics
    /// If it does not answer.
    pub fn set(&self, wish: &Value) -> Value {
        let answer = (|| -> std::io::Result<String> {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.control))?;
            writeln!(stream, "{wish}")?;
            let mut line = String::new();
            BufReader::new(stream).read_line(&mut line)?;
            Ok(line)
        })()
        .unwrap_or_else(|e| panic!("telling the proxy {wish}: {e}"));
        serde_json::from_str(&answer).unwrap_or_else(|e| panic!("the proxy's answer: {e}"))
    }

    /// `open`, `silent`, `mute` or `refuse`.
    pub fn way(&self, way: &str) {
        self.set(&json!({ "way": way }));
    }
}

/// A broker behind a proxy, so that nothing reaches it before the subscriber is there.
#[derive(Debug)]
pub struct Upstream {
    name: String,
    port: u16,
    version: &'static str,
    /// The broker; `None` while it is down.
    pub broker: Option<Process>,
    /// What a link connects to.
    pub proxy: Proxy,
    /// The subscriber.
    pub sink: Sink,
}

impl Upstream {
    /// Starts broker, proxy and subscriber of this name.
    #[must_use]
    pub fn new(lab: &Lab, name: &str, version: &'static str) -> Self {
        let port = free_port();
        let broker = Some(lab.broker(&format!("{name}.broker"), port));
        let sink = lab.sink(name, port, version);
        let proxy = lab.proxy(&format!("{name}.proxy"), port);
        Self { name: name.to_owned(), port, version, broker, proxy, sink }
    }

    /// The section of gatewayd.toml for it, with further keys.
    #[must_use]
    pub fn section(&self, keys: &str) -> String {
        let Self { name, version, .. } = self;
        let port = self.proxy.port;
        format!(
            "[link.{name}]\nurl = \"mqtt://127.0.0.1:{port}\"\nversion = \"{version}\"\n{keys}\n"
        )
    }

    /// Kills the broker, in the midst of what it has not acknowledged.
    pub fn kill(&mut self) {
        // It takes, passes on and cannot answer: all this must come again, recognisable.
        self.proxy.way("mute");
        wait::pause(Duration::from_millis(300));
        self.proxy.way("refuse");
        if let Some(mut broker) = self.broker.take() {
            broker.kill();
        }
    }

    /// Starts the broker again; nothing passes before the subscriber is there.
    pub fn restart(&mut self, lab: &Lab) {
        self.broker = Some(lab.broker(&format!("{}.broker", self.name), self.port));
        self.sink.subscribed_again();
        self.proxy.way("open");
    }
}

fn python() -> Command {
    let python = tree::root().join(".venv/bin/python");
    assert!(python.exists(), "there is no .venv with the peers: run tests/setup venv");
    Command::new(python)
}

/// The value of `key` in the first line that is a JSON object with it.
fn field(text: &str, key: &str) -> Option<Value> {
    let objects = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    objects.into_iter().find_map(|object| object.get(key).cloned())
}

fn number(value: &Value) -> u16 {
    let number = value.as_u64().and_then(|n| u16::try_from(n).ok());
    number.unwrap_or_else(|| panic!("{value} is no port"))
}

#[expect(clippy::print_stderr, reason = "the only trace of a failed test")]
fn eprint_kept(folder: &Path) {
    eprintln!("the logs of this test are in {}", folder.display());
}
