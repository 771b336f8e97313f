//! Modbus lines as supervised units.

use std::sync::{Arc, Mutex, PoisonError};

use adapter::{Context, Devices};
use adapter_modbus::SerialFraming;
use adapter_modbus::spec::{DeviceSpec, LineSpec, SerialPort, Transport};

use super::lines::{Facts, Lines};
use super::supervisor::{Policy, Supervisor, Unit};
use twin::TwinId;

/// A running Modbus line.
#[derive(Debug)]
pub struct Line {
    /// Its unit.
    pub unit: Unit,
    wanted: Wanted,
}

/// The devices that a line should have, and the way to tell its present life.
type Wanted = Arc<Mutex<(Vec<DeviceSpec>, Option<Devices<DeviceSpec>>)>>;

impl Line {
    /// Starts a line. Each life of it gets the devices that are wanted then.
    pub fn start(
        supervisor: &Supervisor,
        lines: &Lines,
        context: &Context,
        spec: &LineSpec,
        devices: Vec<DeviceSpec>,
    ) -> Self {
        lines.configure(&spec.id, facts(spec, &devices));
        let wanted: Wanted = Arc::new(Mutex::new((devices, None)));
        let life = {
            let (wanted, lines, context) = (wanted.clone(), lines.clone(), context.clone());
            let spec = spec.clone();
            move |stop| -> super::supervisor::Life {
                let context = context.with_stop(stop);
                let (handle, devices, end) = adapter::line::<DeviceSpec>(&spec.id, &context);
                let mut wanted = wanted.lock().unwrap_or_else(PoisonError::into_inner);
                devices.configure(wanted.0.clone());
                wanted.1 = Some(devices);
                drop(wanted);
                lines.begun(&spec.id, handle);
                let run = adapter_modbus::run(spec.clone(), context, end);
                Box::pin(async move { run.await.map_err(Into::into) })
            }
        };
        let unit = supervisor.start(&format!("line {}", spec.id), Policy::default(), life);
        Self { unit, wanted }
    }

    /// From now on these devices are on it; unchanged ones do not notice.
    pub fn configure(&self, lines: &Lines, spec: &LineSpec, devices: Vec<DeviceSpec>) {
        lines.configure(&spec.id, facts(spec, &devices));
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.0.clone_from(&devices);
        if let Some(present) = &wanted.1 {
            present.configure(devices);
        }
    }
}

impl Line {
    /// Its devices, for those who find out what one of them consists of.
    pub fn held(&self) -> Held {
        Held(self.wanted.clone())
    }
}

/// The devices of a line, in whichever life it is.
#[derive(Debug, Clone)]
pub struct Held(Wanted);

impl Held {
    /// The present spec of this twin's device.
    pub fn get(&self, twin: &TwinId) -> Option<DeviceSpec> {
        let wanted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.0.iter().find(|device| device.twin == *twin).cloned()
    }

    /// This is the device of its twin from now on; the others do not notice.
    pub fn replace(&self, spec: DeviceSpec) {
        let mut wanted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(device) = wanted.0.iter_mut().find(|device| device.twin == spec.twin) else {
            return;
        };
        *device = spec;
        if let Some(present) = &wanted.1 {
            present.configure(wanted.0.clone());
        }
    }
}

fn facts(spec: &LineSpec, devices: &[DeviceSpec]) -> Facts {
    let protocol = match (&spec.transport, spec.transport.serial_framing()) {
        (Transport::Tls(_), _) => "modbus-tls",
        (Transport::Udp { .. }, _) => "modbus-udp",
        (Transport::Serial(_), Some(SerialFraming::Ascii)) => "modbus-ascii",
        (Transport::Serial(_), _) => "modbus-rtu",
        (_, Some(SerialFraming::Ascii)) => "modbus-ascii-over-tcp",
        (_, Some(SerialFraming::Rtu)) => "modbus-rtu-over-tcp",
        (_, None) => "modbus-tcp",
    };
    let target = match (spec.transport.host(), &spec.transport) {
        (None, Transport::Serial(serial)) => {
            let port = match &serial.port {
                SerialPort::Path(path) => path.to_string(),
                SerialPort::Usb { vendor, product, serial, port } => {
                    let extra = [serial, port].into_iter().flatten();
                    extra.fold(format!("usb:{vendor:04x}:{product:04x}"), |all, one| {
                        format!("{all}:{one}")
                    })
                }
            };
            format!("{port}, {} Bd", serial.baud)
        }
        (host, _) => host.map_or_else(String::new, |(host, port)| format!("{host}:{port}")),
    };
    let devices = devices.iter().map(|d| (d.twin.clone(), format!("unit {}", d.unit)));
    Facts { protocol, target, devices: devices.collect() }
}
