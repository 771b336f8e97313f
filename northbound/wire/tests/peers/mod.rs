//! A mosquitto of our own on a free port of the loopback, and short ways to use a session.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use wire::{Connected, Event, Message, MqttOptions, Session, Version, Wake};

pub(crate) const BOTH: [Version; 2] = [Version::V311, Version::V5];

/// A running broker; it dies with its value.
pub(crate) struct Broker {
    pub(crate) port: u16,
    pub(crate) dir: TempDir,
    process: Child,
}

impl Broker {
    /// A broker that everybody may use.
    pub(crate) async fn open() -> Self {
        Self::with("allow_anonymous true\n", |_| {}).await
    }

    /// A broker with these lines in its configuration; `prepare` may put files into its directory. `DIR` in the
    /// lines becomes that directory.
    pub(crate) async fn with(lines: &str, prepare: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        let port = free_port();
        let path = dir.path().display().to_string();
        let text = format!(
            "user root\nlistener {port} 127.0.0.1\nmax_inflight_messages 0\nmax_queued_messages 0\n\
             persistence true\npersistence_location {path}/\n{}",
            lines.replace("DIR", &path)
        );
        std::fs::write(dir.path().join("mosquitto.conf"), text).unwrap();
        let process = start(dir.path());
        let mut broker = Self { port, dir, process };
        broker.ready().await;
        broker
    }

    pub(crate) fn options(&self, version: Version, client_id: &str) -> MqttOptions {
        MqttOptions::new("127.0.0.1", self.port, version, client_id)
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Stops it in an orderly way, so that it saves its sessions.
    pub(crate) fn terminate(&mut self) {
        self.signal("-TERM");
        self.process.wait().unwrap();
    }

    pub(crate) async fn restart(&mut self) {
        self.process = start(self.dir.path());
        self.ready().await;
    }

    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    async fn ready(&mut self) {
        for _ in 0..500 {
            if tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return;
            }
            assert!(self.process.try_wait().unwrap().is_none(), "mosquitto ended at its start");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("mosquitto does not listen");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn start(dir: &Path) -> Child {
    let program = ["/usr/sbin/mosquitto", "/usr/bin/mosquitto", "/usr/local/sbin/mosquitto"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .expect("mosquitto is missing: apt install mosquitto");
    Command::new(program)
        .arg("-c")
        .arg(dir.join("mosquitto.conf"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(crate) async fn connect(options: &MqttOptions) -> (Session, Connected) {
    Session::connect(options).await.unwrap()
}

/// The next event, which must come soon.
pub(crate) async fn event(session: &mut Session) -> Event {
    tokio::time::timeout(Duration::from_secs(20), session.event(Wake::Acks)).await.unwrap()
}

/// The next message; acknowledgements before it are passed over.
pub(crate) async fn message(session: &mut Session) -> Message {
    loop {
        match event(session).await {
            Event::Message(message) => return *message,
            Event::Acked { .. } | Event::Flushed | Event::Subscribed { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Subscribes to one filter and waits for the answer.
pub(crate) async fn subscribe(session: &mut Session, topic: &str) {
    let id = session.subscribe(&[wire::Filter::new(topic)]).unwrap();
    match event(session).await {
        Event::Subscribed { id: answered, granted } => {
            assert_eq!(answered, id);
            assert_eq!(granted, [wire::Granted::Qos(wire::Qos::AtLeastOnce)]);
        }
        other => panic!("{other:?}"),
    }
}
