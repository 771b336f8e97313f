//! A serial line under test, with a writer that makes everything durable at once.

use std::path::Path;
use std::time::Duration;

use adapter::{Context, Devices, LineHandle, LineStatus};
use adapter_modbus::spec::{
    DeviceSpec, GroupSpec, Limits, LineSpec, Parity, PointSpec, SerialPort, SerialSpec, Timing,
    Transport, When, WriteSpec,
};
use adapter_modbus::{Address, Format, Int, Kind, PointCodec, SerialFraming, Table};
use base::{Clock, Scope};
use tokio::sync::{mpsc, watch};
use twin::{
    Accepted, Binding, CommandId, CommandOrder, Deadline, Entry, Input, Order, Seq, Step,
    Submission, Value, What,
};

/// A line of 19200 baud, which is what the peers are told.
pub(crate) struct Rig {
    pub(crate) context: Context,
    handle: LineHandle,
    pub(crate) devices: Devices<DeviceSpec>,
    submissions: mpsc::Receiver<Submission>,
}

/// What a line said about a unit.
#[derive(Debug)]
pub(crate) enum Said {
    /// These readings, each with the time of its request (boottime, µs).
    Read {
        unit: u8,
        entries: Vec<(Entry, i64)>,
        command: Option<CommandId>,
    },
    Step(Step),
    Bound(Binding),
}

impl Rig {
    pub(crate) fn start(scope: &Scope, port: &Path) -> Self {
        let serial = SerialSpec {
            port: SerialPort::Path(port.display().to_string().into()),
            framing: SerialFraming::Rtu,
            baud: 19_200,
            data_bits: 8,
            parity: Parity::None,
            stop_bits: 1,
            rs485: None,
            echo: false,
        };
        Self::reached(scope, Transport::Serial(serial))
    }

    /// A line that is reached in any way.
    pub(crate) fn reached(scope: &Scope, transport: Transport) -> Self {
        let (sender, submissions) = mpsc::channel(1024);
        let context = Context::new(sender, Clock::system(), scope.stop().clone());
        let (handle, devices, end) = adapter::line("bus", &context);
        let spec = LineSpec { id: "bus".into(), transport, timing: Timing::default() };
        let running = adapter_modbus::run(spec, context.clone(), end);
        scope.spawn("line", async move {
            running.await.unwrap();
        });
        Self { context, handle, devices, submissions }
    }

    /// The next readings or step. Receipts are told that all is durable.
    pub(crate) async fn said(&mut self) -> Said {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(20), self.submissions.recv());
            let submission = next.await.expect("the line says nothing").expect("the line ended");
            if let Some(receipt) = submission.receipt {
                receipt.tell(Ok(Accepted { seq: Seq(1), known: None, refused: None }));
            }
            let Input::Change(change, _) = submission.input else { continue };
            match change.what {
                What::Reported(reported) => {
                    let unit = change.twin.as_str().trim_start_matches("unit-").parse().unwrap();
                    let source = reported.source.micros;
                    let timed = |entry: Entry| {
                        let sent = source + entry.offset;
                        (entry, sent)
                    };
                    let entries = reported.entries.into_iter().map(timed).collect();
                    return Said::Read { unit, entries, command: reported.command };
                }
                What::Step { step, .. } => return Said::Step(step),
                What::Binding(binding) => return Said::Bound(binding),
                _ => {}
            }
        }
    }

    /// How the line is.
    pub(crate) fn status(&self) -> watch::Receiver<LineStatus> {
        self.handle.status().clone()
    }

    /// The next step of a command.
    pub(crate) async fn step(&mut self) -> Step {
        loop {
            if let Said::Step(step) = self.said().await {
                return step;
            }
        }
    }

    /// How the next device is bound.
    pub(crate) async fn bound(&mut self) -> Binding {
        loop {
            if let Said::Bound(binding) = self.said().await {
                return binding;
            }
        }
    }

    /// What the line has to remark on a unit.
    pub(crate) async fn remarks(&self, unit: u8) -> Vec<String> {
        let twin = format!("unit-{unit}").parse().unwrap();
        self.handle.inspect(twin, None).await.unwrap().remarks
    }

    /// What was read back for a command.
    pub(crate) async fn back(&mut self, id: u64) -> Vec<Entry> {
        loop {
            let said = self.said().await;
            if let Said::Read { entries, command: Some(command), .. } = said
                && command == CommandId(id)
            {
                return entries.into_iter().map(|(entry, _)| entry).collect();
            }
        }
    }

    /// The next readings of a unit by its poll.
    pub(crate) async fn values(&mut self, unit: u8) -> Vec<Entry> {
        loop {
            if let Said::Read { unit: of, entries, command: None } = self.said().await
                && of == unit
            {
                return entries.into_iter().map(|(entry, _)| entry).collect();
            }
        }
    }

    /// Gives the line a command.
    pub(crate) async fn order(&self, id: u64, unit: u8, index: u16, value: Value) {
        let order = CommandOrder {
            id: CommandId(id),
            by: twin::Origin::Configuration.principal(),
            twin: format!("unit-{unit}").parse().unwrap(),
            index,
            order: Order::Write(value),
            deadline: Deadline::after(self.context.moment(), 10_000_000),
            read_back_only: false,
        };
        self.handle.order(order).await;
    }
}

/// A point of this kind here; `multiple` has it written with function 15 or 16.
pub(crate) fn point(table: Table, number: u16, kind: Kind, multiple: bool) -> PointCodec {
    let format = Format { multiple, ..Format::new(kind) };
    PointCodec::new(Address::new(table, number), format).unwrap()
}

/// An unsigned integer of one register.
pub(crate) fn word(table: Table, number: u16) -> PointCodec {
    point(table, number, Kind::Int(Int::U16), false)
}

/// An unsigned integer of two holding registers.
pub(crate) fn double(number: u16) -> PointCodec {
    point(Table::Holding, number, Kind::Int(Int::U32), false)
}

/// A device with these points in one group; their indexes are their places.
pub(crate) fn device(
    unit: u8,
    interval: Duration,
    timeout: Duration,
    points: &[PointCodec],
) -> DeviceSpec {
    let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap();
    let spec = |(codec, index): (&PointCodec, u16)| PointSpec {
        index,
        group: 0,
        codec: codec.clone(),
        write: codec.address().table.is_writable().then_some(WriteSpec { settle: 20_000 }),
    };
    DeviceSpec {
        doubtful: false,
        twin: format!("unit-{unit}").parse().unwrap(),
        revision: 1,
        unit,
        timeout: micros(timeout),
        pause: 0,
        // Blocks of eight registers: several requests of one shape to each unit.
        limits: Limits { max_registers: 8, ..Limits::default() },
        groups: vec![GroupSpec { index: 0, when: When::Every(micros(interval)) }],
        points: points.iter().zip(0..).map(spec).collect(),
        identity: Vec::new(),
        identification: None,
        nameplate: twin::Nameplate::default(),
        retries: 1,
        busy: (3, 200_000),
    }
}
