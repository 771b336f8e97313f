//! A mosquitto of our own on a free port of the loopback, and short ways to use a session.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use wire::{
    Closed, Connected, Event, Message, MqttOptions, Publication, Qos, Session, Version, Wake,
};

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

/// A port that nobody listens on, below those that the system gives to outgoing connections: a broker that restarts
/// must find it free again.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 200).unwrap() * 100;
    loop {
        let port = 10_000 + start + NEXT.fetch_add(1, Ordering::Relaxed) % 100;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
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
            assert_eq!(granted, [wire::Granted::Qos(Qos::AtLeastOnce)]);
        }
        other => panic!("{other:?}"),
    }
}

/// Publishes `from..to` with their numbers as payload and waits for all acknowledgements.
pub(crate) async fn publish(session: &mut Session, from: u64, to: u64) -> Result<(), Closed> {
    let publication = Publication::new("t", Qos::AtLeastOnce);
    let mut next = from;
    let mut acked = from;
    while acked < to {
        while next < to
            && session.publish(&publication, next, |out| out.extend(next.to_be_bytes())).is_ok()
        {
            next += 1;
        }
        match event(session).await {
            Event::Acked { token } => {
                assert_eq!(token, acked, "mosquitto acknowledges in order");
                acked += 1;
            }
            Event::Closed(why) => return Err(why),
            other => panic!("{other:?}"),
        }
    }
    Ok(())
}

/// Sends messages that no socket buffer holds to ourselves and compares them.
pub(crate) async fn large(options: &MqttOptions) {
    let (mut session, _) = connect(options).await;
    subscribe(&mut session, "t").await;
    for size in [100_000, 1_000_000, 4_900_000, 65_536, 16_384] {
        let publication = Publication::new("t", Qos::AtLeastOnce);
        let body =
            |out: &mut Vec<u8>| out.extend((0..size).map(|n: u32| n.to_le_bytes()[n as usize % 3]));
        let mut expected = Vec::new();
        body(&mut expected);
        session.publish(&publication, 0, body).unwrap();
        let (mut acked, mut arrived) = (false, false);
        while !(acked && arrived) {
            match event(&mut session).await {
                Event::Acked { .. } => acked = true,
                Event::Message(message) => {
                    assert!(message.payload == expected, "{size} bytes arrive as they were");
                    session.acknowledge(message.packet.unwrap());
                    arrived = true;
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
