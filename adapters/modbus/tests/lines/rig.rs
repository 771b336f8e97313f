//! A line under test: what it submits, with a writer that makes everything durable at once.

use std::time::Duration;

use adapter::{Context, Devices, LineHandle};
use adapter_modbus::spec::{
    DeviceSpec, GroupSpec, Limits, LineSpec, PointSpec, Timing, Transport, When, WriteSpec,
};
use adapter_modbus::{Address, Format, Int, Kind, PointCodec, Table};
use base::{CancellationToken, Clock, Scope};
use tokio::sync::mpsc;
use twin::{
    Accepted, Binding, CommandId, CommandOrder, Deadline, Input, Order, Reported, Seen, Seq, Step,
    Submission, TwinId, Value, What,
};

pub(crate) struct Rig {
    pub(crate) context: Context,
    pub(crate) handle: LineHandle,
    pub(crate) devices: Devices<DeviceSpec>,
    submissions: mpsc::Receiver<Submission>,
}

/// What a line said.
#[derive(Debug, PartialEq)]
pub(crate) enum Said {
    Reported(TwinId, Reported, Option<Seen>),
    Seen(Seen),
    Bound(TwinId, Binding),
    Step(CommandId, Step),
}

pub(crate) fn scope() -> Scope {
    Scope::new("test", &CancellationToken::new()).0
}

impl Rig {
    pub(crate) fn start(scope: &Scope, transport: Transport, timing: Timing) -> Self {
        let (sender, submissions) = mpsc::channel(1024);
        let context = Context::new(sender, Clock::system(), scope.stop().clone());
        let (handle, devices, end) = adapter::line("line", &context);
        let spec = LineSpec { id: "line".into(), transport, timing };
        let running = adapter_modbus::run(spec, context.clone(), end);
        scope.spawn("line", async move {
            running.await.unwrap();
        });
        Self { context, handle, devices, submissions }
    }

    pub(crate) fn tcp(scope: &Scope, port: u16, timing: Timing) -> Self {
        Self::start(scope, Transport::Tcp { host: "127.0.0.1".into(), port }, timing)
    }

    /// The next thing that the line says. Receipts are told that all is durable.
    pub(crate) async fn said(&mut self) -> Said {
        let next = tokio::time::timeout(Duration::from_secs(10), self.submissions.recv());
        let submission = next.await.expect("the line says nothing").expect("the line ended");
        if let Some(receipt) = submission.receipt {
            receipt.tell(Ok(Accepted { seq: Seq(1), known: None, refused: None }));
        }
        match submission.input {
            Input::Seen(seen) => Said::Seen(seen),
            Input::Change(change, seen) => match change.what {
                What::Reported(reported) => Said::Reported(change.twin, reported, seen),
                What::Binding(binding) => Said::Bound(change.twin, binding),
                What::Step { command, step } => Said::Step(command, step),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    /// The next report that satisfies this.
    pub(crate) async fn report(&mut self, wanted: impl Fn(&TwinId, &Reported) -> bool) -> Reported {
        let search = async {
            loop {
                let said = self.said().await;
                if let Said::Reported(twin, reported, _) = said
                    && wanted(&twin, &reported)
                {
                    return reported;
                }
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(20), search);
        found.await.expect("the line never says it")
    }

    /// The next step of a command.
    pub(crate) async fn step(&mut self) -> Step {
        loop {
            if let Said::Step(_, step) = self.said().await {
                return step;
            }
        }
    }

    pub(crate) fn order(&self, twin: &str, value: u64) -> CommandOrder {
        CommandOrder {
            id: CommandId(7),
            by: twin::Origin::Configuration.principal(),
            twin: twin.parse().unwrap(),
            index: 0,
            order: Order::Write(Value::Unsigned(value)),
            deadline: Deadline::after(self.context.moment(), 5_000_000),
            read_back_only: false,
        }
    }
}

pub(crate) fn good(reported: &Reported) -> bool {
    reported.entries.iter().all(|entry| entry.quality.is_good())
}

/// A device whose points are the registers 0, 1, … of one group, polled at this interval.
pub(crate) fn device(twin: &str, unit: u8, interval: Duration, registers: u16) -> DeviceSpec {
    let micros = i64::try_from(interval.as_micros()).unwrap();
    let codec = |number| {
        PointCodec::new(Address::new(Table::Holding, number), Format::new(Kind::Int(Int::U16)))
            .unwrap()
    };
    let point = |number| PointSpec {
        index: number,
        group: 0,
        codec: codec(number),
        write: Some(WriteSpec { settle: 20_000 }),
    };
    DeviceSpec {
        doubtful: false,
        twin: twin.parse().unwrap(),
        revision: 1,
        unit,
        timeout: 150_000,
        pause: 0,
        limits: Limits::default(),
        groups: vec![GroupSpec { index: 0, when: When::Every(micros) }],
        points: (0..registers).map(point).collect(),
        identity: Vec::new(),
        identification: None,
        nameplate: twin::Nameplate::default(),
        retries: 1,
        busy: (3, 200_000),
    }
}
