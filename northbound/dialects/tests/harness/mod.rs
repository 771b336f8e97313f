//! A real broker, an independent subscriber, a proxy that cuts, and a gateway with one twin on a real disk.
#![expect(dead_code, unreachable_pub, reason = "each test uses a part of it")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "this is a test")]

use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base::{CancellationToken, Clock, Scope};
use dialects::{Link, LinkSpec, LinkStatus, Pattern, Precedence, Surroundings, Twins};
use serde_json::Value as Json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use twin::{
    Change, Entry, Input, Origin, Quality, Receipt, Reported, Submission, TimeBase, Trigger, Value,
    What,
};
use twin_store::{Class, Store};

pub mod scripted;

#[path = "../../src/sample.rs"]
pub(crate) mod sample;

/// Nothing in these tests takes longer.
pub const LONG: Duration = Duration::from_secs(20);

/// A port of 127.0.0.1 that nobody uses now.
pub fn free_port() -> u16 {
    StdListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// mosquitto, in a directory of its own.
pub struct Broker {
    child: Option<Child>,
    dir: TempDir,
    pub port: u16,
}

impl Broker {
    /// Starts mosquitto. It must be installed: `apt-get install mosquitto mosquitto-clients`.
    pub async fn start() -> Self {
        let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
        let config = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n\
             persistence true\npersistence_location {}/\nuser root\n",
            dir.path().display()
        );
        std::fs::write(dir.path().join("mosquitto.conf"), config).unwrap();
        let mut broker = Self { child: None, dir, port };
        broker.resume().await;
        broker
    }

    /// Starts it again.
    pub async fn resume(&mut self) {
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/usr/local/sbin";
        let child = Command::new("mosquitto")
            .env("PATH", path)
            .arg("-c")
            .arg(self.dir.path().join("mosquitto.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("mosquitto is installed");
        self.child = Some(child);
        until("mosquitto listens", async || {
            TcpStream::connect(("127.0.0.1", self.port)).await.is_ok()
        })
        .await;
    }

    /// Takes its memory away, as a crash may.
    pub fn forget(&mut self) {
        assert!(self.child.is_none(), "it has stopped");
        std::fs::remove_file(self.dir.path().join("mosquitto.db")).unwrap();
    }

    /// Ends it in good order, as a restart of the service does.
    pub async fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        let id = child.id().unwrap().to_string();
        Command::new("kill").arg(id).status().await.unwrap();
        child.wait().await.unwrap();
    }
}

/// What a subscriber got, in its order.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Vec<Message>>>);

/// One message.
#[derive(Clone, Debug)]
pub struct Message {
    pub topic: String,
    pub retained: bool,
    pub json: Json,
}

impl Heard {
    pub fn all(&self) -> Vec<Message> {
        self.0.lock().unwrap().clone()
    }

    pub fn push(&self, message: Message) {
        self.0.lock().unwrap().push(message);
    }

    /// The payloads whose topic ends like this.
    pub fn on(&self, end: &str) -> Vec<Json> {
        self.all().into_iter().filter(|m| m.topic.ends_with(end)).map(|m| m.json).collect()
    }

    /// Waits until `found` finds something among them.
    pub async fn find<T>(&self, what: &str, found: impl Fn(&[Message]) -> Option<T>) -> T {
        let wait = async {
            loop {
                if let Some(it) = found(&self.0.lock().unwrap()) {
                    return it;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        match timeout(LONG, wait).await {
            Ok(it) => it,
            Err(_) => panic!("never came: {what}; heard {:#?}", self.all()),
        }
    }
}

/// mosquitto_sub on everything, with a session that outlives a broker's restart.
pub struct Subscriber {
    _child: Child,
    pub heard: Heard,
}

impl Subscriber {
    pub async fn start(broker: &Broker, scope: &Scope) -> Self {
        let port = broker.port.to_string();
        let mut child = Command::new("mosquitto_sub")
            .args(["-h", "127.0.0.1", "-p", &port, "-q", "1", "-t", "#", "-t", "test/ready"])
            .args(["-i", "checker", "-c", "-F", "%r %t %p"])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("mosquitto_sub is installed");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let heard = Heard::default();
        let into = heard.clone();
        scope.spawn("subscriber", async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let mut parts = line.splitn(3, ' ');
                let retained = parts.next() == Some("1");
                let topic = parts.next().unwrap_or_default().to_owned();
                let json = serde_json::from_str(parts.next().unwrap_or_default());
                let json = json.unwrap_or(Json::Null);
                into.push(Message { topic, retained, json });
            }
        });
        let subscriber = Self { _child: child, heard };
        subscriber.ready(broker).await;
        subscriber
    }

    /// Waits until it gets what is published.
    pub async fn ready(&self, broker: &Broker) {
        let before = self.heard.on("test/ready").len();
        until("the subscriber hears", async || {
            publish(broker, "test/ready", "{}", false).await;
            self.heard.on("test/ready").len() > before
        })
        .await;
    }
}

/// Publishes a message with mosquitto_pub.
pub async fn publish(broker: &Broker, topic: &str, payload: &str, retain: bool) {
    let port = broker.port.to_string();
    let mut command = Command::new("mosquitto_pub");
    command.args(["-h", "127.0.0.1", "-p", &port, "-q", "1", "-t", topic]);
    match payload {
        "" => command.arg("-n"),
        _ => command.args(["-m", payload]),
    };
    if retain {
        command.arg("-r");
    }
    assert!(command.stderr(Stdio::null()).status().await.unwrap().success());
}

/// How a proxy treats what passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Open,
    /// Connections are cut, new ones refused.
    Cut,
    /// Bytes vanish; connections stay.
    Hole,
}

/// A proxy before a broker.
pub struct Proxy {
    pub port: u16,
    way: watch::Sender<Way>,
}

impl Proxy {
    pub async fn start(broker: u16, scope: &Scope) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (way, watch) = watch::channel(Way::Open);
        let (inner, stop) = (scope.clone(), scope.stop().clone());
        scope.spawn("proxy", async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = stop.cancelled() => return,
                };
                let Ok((near, _)) = accepted else { return };
                if *watch.borrow() == Way::Cut {
                    continue;
                }
                let Ok(far) = TcpStream::connect(("127.0.0.1", broker)).await else { continue };
                let (near_in, near_out) = near.into_split();
                let (far_in, far_out) = far.into_split();
                inner.spawn("up", pass(near_in, far_out, watch.clone()));
                inner.spawn("down", pass(far_in, near_out, watch.clone()));
            }
        });
        Self { port, way }
    }

    pub fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut way: watch::Receiver<Way>,
) {
    let mut buffer = vec![0; 16_384];
    let mut holed = false;
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            _ = way.wait_for(|way| *way == Way::Cut) => return,
        };
        let Ok(n) = read else { return };
        // What once lost bytes must never pass any again.
        holed |= *way.borrow() == Way::Hole;
        if n == 0 || (!holed && to.write_all(&buffer[..n]).await.is_err()) {
            return;
        }
    }
}

/// A gateway with the twin `meter-1` on a real disk.
pub struct Gateway {
    pub store: Store,
    pub submissions: mpsc::Sender<Submission>,
    pub clock: Clock,
    pub scope: Scope,
    pub precedence: Precedence,
    _ended: mpsc::Receiver<base::Ended>,
    pub dir: Arc<TempDir>,
}

impl Gateway {
    pub async fn start(stop: &CancellationToken) -> Self {
        Self::open(Arc::new(tempfile::tempdir().unwrap()), stop, Clock::system()).await
    }

    /// Opens the store in this directory, once more where it has been there before.
    pub async fn open(dir: Arc<TempDir>, stop: &CancellationToken, clock: Clock) -> Self {
        Self::with(dir, stop, clock, twin_store::Options::new("plant-7".parse().unwrap())).await
    }

    /// The same, with a store like this.
    pub async fn with(
        dir: Arc<TempDir>,
        stop: &CancellationToken,
        clock: Clock,
        options: twin_store::Options,
    ) -> Self {
        let (scope, ended) = Scope::new("test", stop);
        let disk = Arc::new(twin_store::Directory::take(dir.path()).unwrap());
        let opened = twin_store::open(disk, options, clock.clone()).unwrap();
        let (submissions, queue) = mpsc::channel(1024);
        scope.spawn("writer", opened.writer.run(queue, scope.clone()));
        let precedence = Precedence::default();
        let store = opened.store;
        let gateway = Self { store, submissions, clock, scope, precedence, _ended: ended, dir };
        if gateway.store.read(|state| state.twins().next().is_none()) {
            gateway.change(Origin::Configuration, What::Described(sample::description())).await;
        }
        gateway
    }

    /// Stops everything in flow order and closes the store.
    pub async fn stop(self) -> Arc<TempDir> {
        let Self { submissions, scope, dir, store, .. } = self;
        drop((submissions, store));
        scope.join().await;
        dir
    }

    /// Submits and waits until it is durable.
    pub async fn change(&self, origin: Origin, what: What) -> twin::Accepted {
        let (tell, told) = tokio::sync::oneshot::channel();
        let change = Change { twin: "meter-1".parse().unwrap(), origin, what };
        let receipt = Receipt::new(move |answer| tell.send(answer).unwrap());
        let submission = Submission { input: Input::Change(change, None), receipt: Some(receipt) };
        self.submissions.send(submission).await.unwrap();
        told.await.unwrap().unwrap()
    }

    /// Brings the meter to `shadowed`, so that it takes commands.
    pub async fn shadow(&self) {
        for trigger in [Trigger::Configured, Trigger::AssetBound, Trigger::FirstCompletePoll] {
            let from = self.store.read(|state| state.twins().next().unwrap().life_cycle());
            let to = from.after(trigger).unwrap();
            let what = What::Transition { from, to, trigger, detail: None, entanglement: None };
            self.change(Origin::Keeper, what).await;
        }
    }

    /// The meter reports a voltage in tenths of a volt and an energy. Does not wait for the disk.
    pub async fn report(&self, tenths: i64, energy: u64) {
        let entry =
            |index, value| Entry { index, quality: Quality::GOOD, value: Some(value), offset: 0 };
        let what = What::Reported(Reported {
            revision: 1,
            group: 0,
            source: TimeBase::gateway(twin::Boottime(self.clock.boottime())),
            server: None,
            command: None,
            continued: false,
            entries: vec![entry(0, Value::Decimal(tenths)), entry(2, Value::Unsigned(energy))],
        });
        let change = Change { twin: "meter-1".parse().unwrap(), origin: Origin::Asset, what };
        self.submissions.send(Submission::change(change)).await.unwrap();
    }

    /// The commits of this kind that the log has.
    pub fn logged(&self, kind: twin_store::Kind) -> Vec<twin::Commit> {
        let mut follower = self.store.follow(twin::Seq(1));
        let mut found = Vec::new();
        loop {
            let frames = follower.ready();
            if frames.is_empty() {
                return found;
            }
            let these = frames.iter().filter(|frame| frame.kind == kind);
            self.store.read(|state| found.extend(these.filter_map(|frame| frame.commit(state))));
        }
    }

    /// Runs a link to this port until `stop`.
    pub fn link(&self, spec: LinkSpec, stop: &CancellationToken) -> watch::Receiver<LinkStatus> {
        self.link_to(spec, self.submissions.clone(), stop)
    }

    /// The same, with commands going to this writer.
    pub fn link_to(
        &self,
        spec: LinkSpec,
        submissions: mpsc::Sender<Submission>,
        stop: &CancellationToken,
    ) -> watch::Receiver<LinkStatus> {
        let around = Surroundings {
            store: self.store.clone(),
            submissions,
            clock: self.clock.clone(),
            credentials: None::<PathBuf>,
            blocking: self.scope.clone(),
            precedence: self.precedence.clone(),
        };
        let dialect =
            Twins::new("plant-7", &spec.prefix, spec.name.as_str(), spec.commands.is_some())
                .of_points(&spec.points);
        let (link, status) = Link::new(spec, Box::new(dialect), around);
        self.scope.spawn("link", link.run(stop.clone()));
        status
    }
}

/// A link to this port of 127.0.0.1.
pub fn spec(port: u16, version: wire::Version) -> LinkSpec {
    LinkSpec {
        name: "cloud".parse().unwrap(),
        host: SocketAddr::from((Ipv4Addr::LOCALHOST, port)).ip().to_string(),
        port,
        tls: None,
        version,
        client_id: "gatewayd-plant-7-cloud".into(),
        user: None,
        password: None,
        prefix: "gatewayd/plant-7".into(),
        keep_alive: Duration::from_secs(2),
        session_expiry: Duration::ZERO,
        window: 64,
        commands: Some(vec![Pattern::new("meter-1/heating/setpoint")]),
        state_interval: Duration::from_millis(50),
        twins: vec![Pattern::new("*")],
        classes: Class::ALL.to_vec(),
        strict: false,
        backlog_rate: None,
        priority: 0,
        points: vec![Pattern::new("*")],
        batch: None,
        zone: jiff::tz::TimeZone::UTC,
        schedule: Vec::new(),
        budget: None,
        command_rate: 20,
        alarm_after: Duration::from_secs(300),
    }
}

/// Waits until `is` says so.
pub async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !is().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LONG, wait).await.unwrap_or_else(|_| panic!("never happened: {what}"));
}

/// Waits until the link's status is like this.
pub async fn status(status: &watch::Receiver<LinkStatus>, is: impl Fn(&LinkStatus) -> bool) {
    until("the link's status", async || is(&status.borrow())).await;
}
