//! What the daemon runs for one device and one broker, without its configuration and its servers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use adapter::Context;
use adapter_modbus::spec::{
    DeviceSpec, GroupSpec, Limits, LineSpec, PointSpec, Timing, Transport, When,
};
use adapter_modbus::{Address, Format, Int, Kind, PointCodec, Table};
use base::{CancellationToken, Clock, Scope};
use dialects::{Link, LinkSpec, Pattern, Surroundings, Twins};
use keeper::Keeper;
use tokio::sync::{mpsc, watch};
use twin::{
    Access, Acquisition, Change, Declaration, Description, Group, IntKind, Nameplate, Origin,
    Submission, TwinId, ValueType, What,
};
use twin_store::{Class, Directory, Opened, Options};

/// Microseconds between two polls.
const INTERVAL: i64 = 5_000;
/// Longer than the test: nothing that time brings is counted.
const LONG: Duration = Duration::from_secs(3600);

pub(crate) struct Gateway {
    scope: Scope,
    submissions: mpsc::Sender<Submission>,
    _keep: Keep,
}

type Keep = (
    tempfile::TempDir,
    adapter::LineHandle,
    adapter::Devices<DeviceSpec>,
    watch::Sender<Arc<BTreeSet<TwinId>>>,
    mpsc::Receiver<twin::CommandOrder>,
    mpsc::Receiver<base::Ended>,
);

impl Gateway {
    /// A gateway between the device and the broker on these ports; the device has so many values.
    pub(crate) async fn start([plant, broker]: [u16; 2], values: u16) -> Self {
        let (scope, ended) = Scope::new("test", &CancellationToken::new());
        let clock = Clock::system();
        let twin: TwinId = "device".parse().unwrap();

        let dir = tempfile::tempdir().unwrap();
        let mut options = Options::new("gateway".parse().unwrap());
        (options.flush, options.stretch) = (LONG, LONG);
        let disk = Arc::new(Directory::take(dir.path()).unwrap());
        let Opened { writer, store, .. } = twin_store::open(disk, options, clock.clone()).unwrap();
        let (submissions, received) = mpsc::channel(1024);
        scope.spawn("writer", writer.run(received, scope.clone()));
        let description = Description::default().revise(&declaration(values)).unwrap();
        let what = What::Described(Arc::new(description.description));
        let change = Change { twin: twin.clone(), origin: Origin::Configuration, what };
        submissions.send(Submission::change(change)).await.unwrap();

        let (configured, wanted) = watch::channel(Arc::new(BTreeSet::from([twin.clone()])));
        let (orders, ordered) = mpsc::channel(8);
        let keeper = Keeper::new(store.clone(), submissions.clone(), orders, wanted, clock.clone());
        scope.spawn("keeper", keeper.run(scope.stop().clone()));

        let around = Surroundings {
            store: store.clone(),
            submissions: submissions.clone(),
            clock: clock.clone(),
            credentials: None,
            blocking: scope.clone(),
            precedence: dialects::Precedence::default(),
        };
        let dialect = Twins::new("gateway", "gatewayd/gateway", "link", false);
        let (link, _) = Link::new(link(broker), Box::new(dialect), around);
        scope.spawn("link", link.run(scope.stop().clone()));

        let context = Context::new(submissions.clone(), clock, scope.stop().clone());
        let (handle, devices, end) = adapter::line("line", &context);
        devices.configure(vec![device(twin, values)]);
        let transport = Transport::Tcp { host: "127.0.0.1".into(), port: plant };
        let spec = LineSpec { id: "line".into(), transport, timing: Timing::default() };
        let running = adapter_modbus::run(spec, context, end);
        scope.spawn("line", async move { running.await.unwrap() });
        let keep = (dir, handle, devices, configured, ordered, ended);
        Self { scope, submissions, _keep: keep }
    }

    pub(crate) async fn stop(self) {
        let Self { scope, submissions, _keep } = self;
        drop((submissions, _keep));
        scope.join().await;
    }
}

fn declaration(values: u16) -> Declaration {
    let point = |n: u16| twin::PointSpec {
        access: Access { readable: true, writable: None },
        ..twin::PointSpec::new(
            "registers".parse().unwrap(),
            format!("r{n}").parse().unwrap(),
            twin::Kind::Telemetry,
            ValueType::Int(IntKind::U16),
        )
    };
    let group = Group {
        name: "main".parse().unwrap(),
        acquisition: Acquisition::Polled { interval: INTERVAL },
        max_age: 0,
        retired: false,
    };
    Declaration {
        model: None,
        nameplate: Nameplate::default(),
        groups: vec![group],
        points: (0..values).map(point).collect(),
        semantics: Vec::new(),
        policy: twin::Policy::default(),
    }
}

fn device(twin: TwinId, values: u16) -> DeviceSpec {
    let point = |index: u16| {
        let format = Format::new(Kind::Int(Int::U16));
        let codec = PointCodec::new(Address::new(Table::Holding, index), format).unwrap();
        PointSpec { index, group: 0, codec, write: None }
    };
    DeviceSpec {
        doubtful: false,
        twin,
        revision: 1,
        unit: 1,
        timeout: 5_000_000,
        pause: 0,
        limits: Limits::default(),
        groups: vec![GroupSpec { index: 0, when: When::Every(INTERVAL) }],
        points: (0..values).map(point).collect(),
        identity: Vec::new(),
        identification: None,
        nameplate: Nameplate::default(),
        retries: 1,
        busy: (3, 200_000),
    }
}

fn link(port: u16) -> LinkSpec {
    LinkSpec {
        name: "link".parse().unwrap(),
        host: "127.0.0.1".into(),
        port,
        tls: None,
        version: wire::Version::V311,
        client_id: "gateway".into(),
        user: None,
        password: None,
        prefix: "gatewayd/gateway".into(),
        keep_alive: Duration::from_secs(30),
        session_expiry: Duration::ZERO,
        window: 256,
        commands: None,
        state_interval: LONG,
        twins: vec![Pattern::new("*")],
        classes: Class::ALL.to_vec(),
        strict: false,
        backlog_rate: None,
        priority: 0,
        points: vec![Pattern::new("*")],
        batch: None,
        zone: dialects::TimeZone::UTC,
        schedule: Vec::new(),
        budget: None,
        command_rate: 20,
        alarm_after: Duration::ZERO,
    }
}
