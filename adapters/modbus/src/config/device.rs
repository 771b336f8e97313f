//! `[modbus]` of a device file or profile, and the device that comes of it.

use std::sync::Arc;

use adapter::device::{MergedPoint, Over};
use adapter::over;
use schemars::JsonSchema;
use serde::Deserialize;
use settings::{Diagnostic, Duration, Place};
use twin::{Acquisition, Declaration, Revised, TwinId};

use super::line::{SerialKeys, TransportKeys};
use super::point::{Notation, PointKeys, codec};
use super::words::ExtentWord;
use crate::spec::{
    DeviceSpec, GroupSpec, Hole, IdentificationSpec, Limits, PointSpec, When, WriteSpec,
};
use crate::{Address, MAX_READ_BITS, MAX_READ_REGISTERS, PointCodec, SerialFraming};

/// How long a device may take before its answer begins, where nobody says it.
const TIMEOUT: Duration = Duration::seconds(1);

/// How often what brought no answer is asked again, where nobody says it.
const RETRIES: u8 = 1;
/// How often a device may ask for patience and how long it is given, where nobody says it.
const BUSY: (u8, Duration) = (3, Duration::millis(200));

/// Where a device is and what one may ask of it. A profile says only the latter.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
pub struct DeviceKeys {
    /// The line that it is on, a `[line.NAME]` of gatewayd.toml.
    pub line: Option<String>,
    /// Or how it is reached, where the line needs no section of its own.
    #[serde(flatten)]
    pub transport: TransportKeys,
    /// The unit id; 1 if absent on Modbus TCP and UDP.
    pub unit: Option<u8>,
    /// Many devices alike, "1-32" or "1-8,20": `id` then holds `{unit}`.
    pub units: Option<String>,
    /// How long it may take before its answer begins; the line's timeout, or 1s, if absent.
    pub timeout: Option<Duration>,
    /// Between the end of an exchange with it and the next request to it.
    pub pause: Option<Duration>,
    /// The most registers that one request reads; 125 if absent.
    #[schemars(range(min = 1, max = 125))]
    pub max_registers: Option<u16>,
    /// The most coils or discrete inputs that one request reads; 2000 if absent.
    #[schemars(range(min = 1, max = 2000))]
    pub max_bits: Option<u16>,
    /// Registers that nobody wants but that are read along to save a request; 16 if absent, 0 = never.
    pub gap: Option<u16>,
    /// The same for coils and discrete inputs; 128 if absent.
    pub gap_bits: Option<u16>,
    /// Registers that must not be read along: ["holding:10-19"].
    pub holes: Option<Vec<String>>,
    /// Each point has a request of its own; for devices that answer no other.
    pub one_point_per_request: Option<bool>,
    /// Requests for coils begin at coil 0; for devices that answer no other.
    pub coils_from_zero: Option<bool>,
    /// How often what brought no answer is asked again before it counts as failed; 1 if absent.
    #[schemars(range(max = 10))]
    pub retries: Option<u8>,
    /// How often the device may ask for patience (exceptions 05 and 06) before that counts as a refusal; 3 if absent.
    #[schemars(range(max = 10))]
    pub busy_retries: Option<u8>,
    /// The pause after it asked for patience, twice as long each time; 200ms if absent.
    pub busy_pause: Option<Duration>,
    /// The points that tell which device it is, such as its serial number: ["plate/serial"].
    pub identity: Option<Vec<String>>,
    /// The device is asked what it is by function 43/14, for so much: "basic", "regular" or "extended".
    pub identification: Option<ExtentWord>,
    /// The object of that answer that is the serial number: 128 or above, as the manual says.
    pub identification_serial: Option<u8>,
}

over!(SerialKeys: framing, data_bits, baud, parity, stop_bits, rs485, echo);

impl Over for TransportKeys {
    fn over(self, below: &Self) -> Self {
        Self {
            tcp: self.tcp.or_else(|| below.tcp.clone()),
            tls: self.tls.or_else(|| below.tls.clone()),
            udp: self.udp.or_else(|| below.udp.clone()),
            rtu_over_tcp: self.rtu_over_tcp.or_else(|| below.rtu_over_tcp.clone()),
            ascii_over_tcp: self.ascii_over_tcp.or_else(|| below.ascii_over_tcp.clone()),
            serial: self.serial.or_else(|| below.serial.clone()),
            usb: self.usb.or_else(|| below.usb.clone()),
            usb_serial: self.usb_serial.or_else(|| below.usb_serial.clone()),
            usb_port: self.usb_port.or_else(|| below.usb_port.clone()),
            serial_line: self.serial_line.over(&below.serial_line),
        }
    }
}

impl Over for DeviceKeys {
    fn over(self, below: &Self) -> Self {
        Self {
            line: self.line.or_else(|| below.line.clone()),
            transport: self.transport.over(&below.transport),
            unit: self.unit.or(below.unit),
            units: self.units.or_else(|| below.units.clone()),
            timeout: self.timeout.or(below.timeout),
            pause: self.pause.or(below.pause),
            max_registers: self.max_registers.or(below.max_registers),
            max_bits: self.max_bits.or(below.max_bits),
            gap: self.gap.or(below.gap),
            gap_bits: self.gap_bits.or(below.gap_bits),
            holes: self.holes.or_else(|| below.holes.clone()),
            one_point_per_request: self.one_point_per_request.or(below.one_point_per_request),
            coils_from_zero: self.coils_from_zero.or(below.coils_from_zero),
            retries: self.retries.or(below.retries),
            busy_retries: self.busy_retries.or(below.busy_retries),
            busy_pause: self.busy_pause.or(below.busy_pause),
            identity: self.identity.or_else(|| below.identity.clone()),
            identification: self.identification.or(below.identification),
            identification_serial: self.identification_serial.or(below.identification_serial),
        }
    }
}

/// The codecs of a device's points, before the points are declared: their types are needed for that.
#[derive(Debug, Default)]
pub struct Draft {
    /// For each point its codec; `None` where it is wrong.
    pub codecs: Vec<Option<PointCodec>>,
}

impl Draft {
    /// The codecs of these points.
    pub fn new(points: &[MergedPoint<PointKeys>], found: &mut Vec<Diagnostic>) -> Self {
        let mut notation = Notation::default();
        let codec = |point: &MergedPoint<PointKeys>| {
            let writable = point.keys.words.writable == Some(true);
            codec(&point.keys.protocol, writable, &point.place, &mut notation, found)
        };
        Self { codecs: points.iter().map(codec).collect() }
    }
}

/// A device as configured: everything but the indexes, which the log gives to its points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The unit id.
    pub unit: u8,
    /// Microseconds that it may take before its answer begins.
    pub timeout: i64,
    /// Microseconds between the end of an exchange with it and the next request to it.
    pub pause: i64,
    /// What one request may ask of it.
    pub limits: Limits,
    /// For each declared point its codec.
    pub codecs: Arc<[PointCodec]>,
    /// Where it says which asset it is.
    pub identity: Vec<PointCodec>,
    /// See [`DeviceSpec::doubtful`].
    pub doubtful: bool,
    /// How it is asked what it is by function 43/14.
    pub identification: Option<IdentificationSpec>,
    /// How often what brought no answer is asked again.
    pub retries: u8,
    /// How often it may ask for patience, and how long it is given the first time, in microseconds.
    pub busy: (u8, i64),
}

/// The device that these keys and codecs are. `None` where something is wrong.
///
/// `unit` is the unit id where the keys do not decide it; `timeout` is the line's.
pub fn device(
    keys: &DeviceKeys,
    unit: u8,
    timeout: Option<Duration>,
    points: &[MergedPoint<PointKeys>],
    draft: &Draft,
    place: &Place,
    found: &mut Vec<Diagnostic>,
) -> Option<Device> {
    let before = found.len();
    let mut holes = Vec::new();
    for text in keys.holes.iter().flatten() {
        match hole(text) {
            Some(hole) => holes.push(hole),
            None => {
                let error = place.error("holes", format!("{text:?} is no run of registers"));
                found.push(error.help("write \"holding:10-19\" or \"holding:10\", numbers from 0"));
            }
        }
    }
    let mut identity = Vec::new();
    for name in keys.identity.iter().flatten() {
        let at = points.iter().position(|point| point.keys.name == *name);
        match at.and_then(|at| draft.codecs.get(at)) {
            Some(codec) => identity.extend(codec.clone()),
            None => {
                let error = place.error("identity", format!("there is no point {name:?}"));
                let near = settings::nearest(name, points.iter().map(|p| p.keys.name.as_str()));
                found.push(error.help(near.map_or_else(
                    || "identity lists points of this device, \"feature/property\"".to_owned(),
                    |near| format!("did you mean \"{near}\"?"),
                )));
            }
        }
    }
    let timeout = keys.timeout.or(timeout).unwrap_or(TIMEOUT);
    if timeout == Duration::default() {
        found.push(place.error("timeout", "a device needs some time for its answer"));
    }
    let default = Limits::default();
    let limits = Limits {
        max_registers: keys.max_registers.unwrap_or(MAX_READ_REGISTERS),
        max_bits: keys.max_bits.unwrap_or(MAX_READ_BITS),
        gap_registers: keys.gap.unwrap_or(default.gap_registers),
        gap_bits: keys.gap_bits.unwrap_or(default.gap_bits),
        holes,
        alone: keys.one_point_per_request == Some(true),
        coils_from_zero: keys.coils_from_zero == Some(true),
    };
    if keys.identification_serial.is_some() && keys.identification.is_none() {
        let error = place.error("identification_serial", "the device is not asked what it is");
        found.push(error.help("add identification = \"extended\""));
    }
    let identification = keys.identification.map(|extent| IdentificationSpec {
        extent: extent.into(),
        serial: keys.identification_serial,
    });
    for (point, codec) in points.iter().zip(&draft.codecs) {
        if let Some(codec) = codec
            && !codec.address().table.is_bits()
            && codec.count() > limits.max_registers
        {
            let words = format!(
                "the value takes {} registers, one request reads {}",
                codec.count(),
                limits.max_registers
            );
            found.push(point.place.error("address", words).help("a value is never read in parts"));
        }
    }
    let codecs: Option<Arc<[PointCodec]>> = draft.codecs.iter().cloned().collect();
    let codecs = codecs?;
    (found.len() == before).then(|| Device {
        unit,
        timeout: timeout.micros(),
        pause: keys.pause.map_or(0, Duration::micros),
        limits,
        codecs,
        identity,
        doubtful: false,
        identification,
        retries: keys.retries.unwrap_or(RETRIES),
        busy: (keys.busy_retries.unwrap_or(BUSY.0), keys.busy_pause.unwrap_or(BUSY.1).micros()),
    })
}

/// The unit ids of this device file, in its order; the first one where it does not say it.
pub fn units(
    keys: &DeviceKeys,
    serial: bool,
    place: &Place,
    found: &mut Vec<Diagnostic>,
) -> Vec<u8> {
    let units = match (keys.unit, keys.units.as_deref()) {
        (Some(_), Some(_)) => {
            let error = place.error("units", "a file is for one unit or for several, not both");
            found.push(error.help("leave out either unit or units"));
            return Vec::new();
        }
        (Some(unit), None) => vec![unit],
        (None, Some(text)) => runs(text).unwrap_or_else(|| {
            let error = place.error("units", format!("{text:?} is no list of unit ids"));
            found.push(error.help("write \"1-32\" or \"1-8,20\", each unit once"));
            Vec::new()
        }),
        (None, None) if serial => {
            let error = place.whole("a device on a serial line needs its unit id");
            found.push(error.help("give unit = 1 to 247, as it is set on the device"));
            Vec::new()
        }
        (None, None) => vec![1],
    };
    // MODBUS over Serial Line V1.02, 2.2: 0 is broadcast, 248 to 255 are reserved.
    if serial && units.iter().any(|unit| !(1..=247).contains(unit)) {
        let key = if keys.unit.is_some() { "unit" } else { "units" };
        found.push(place.error(key, "unit ids on a serial line go from 1 to 247"));
    }
    units
}

/// The numbers of `1-8,20`, each at most once.
fn runs(text: &str) -> Option<Vec<u8>> {
    let mut units = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u8, u8) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        for unit in first..=last {
            if units.contains(&unit) {
                return None;
            }
            units.push(unit);
        }
    }
    (!units.is_empty()).then_some(units)
}

fn hole(text: &str) -> Option<Hole> {
    let (start, end) = text.split_once('-').map_or((text, None), |(a, b)| (a, Some(b)));
    let first: Address = start.parse().ok().filter(|_| start.contains(':'))?;
    let last = end.map_or(Some(first.number), |end| end.parse().ok())?;
    (first.number <= last).then_some(Hole { table: first.table, first: first.number, last })
}

impl Device {
    /// The device's spec, given what the log made of its declaration.
    #[must_use]
    pub fn spec(&self, twin: &TwinId, declared: &Declaration, revised: &Revised) -> DeviceSpec {
        let groups = declared.groups.iter().zip(&revised.groups).map(|(group, index)| GroupSpec {
            index: *index,
            when: match group.acquisition {
                Acquisition::Polled { interval } | Acquisition::Pushed { interval, .. } => {
                    When::Every(interval)
                }
                Acquisition::OnDemand => When::OnDemand,
            },
        });
        let points = declared.points.iter().zip(&revised.indexes).zip(&*self.codecs);
        let points = points.filter_map(|((point, index), codec)| {
            Some(PointSpec {
                index: *index,
                group: *revised.groups.get(usize::from(point.group))?,
                codec: codec.clone(),
                write: point.access.writable.as_ref().map(|w| WriteSpec { settle: w.settle }),
            })
        });
        DeviceSpec {
            twin: twin.clone(),
            revision: revised.description.revision,
            unit: self.unit,
            timeout: self.timeout,
            pause: self.pause,
            limits: self.limits.clone(),
            groups: groups.collect(),
            points: points.collect(),
            identity: self.identity.clone(),
            doubtful: self.doubtful,
            identification: self.identification,
            nameplate: declared.nameplate.clone(),
            retries: self.retries,
            busy: self.busy,
        }
    }
}

/// The name of a line that a device file names by its transport.
#[must_use]
pub fn implied_name(transport: &crate::spec::Transport) -> Arc<str> {
    use crate::spec::{SerialPort, TlsSpec, Transport};
    match transport {
        Transport::Tcp { host, port } => format!("tcp:{host}:{port}").into(),
        Transport::Tls(TlsSpec { host, port, .. }) => format!("tls:{host}:{port}").into(),
        Transport::Udp { host, port } => format!("udp:{host}:{port}").into(),
        Transport::SerialOverTcp { host, port, framing } => {
            let framing = if *framing == SerialFraming::Rtu { "rtu" } else { "ascii" };
            format!("{framing}-over-tcp:{host}:{port}").into()
        }
        Transport::Serial(serial) => match &serial.port {
            SerialPort::Path(path) => format!("serial:{path}").into(),
            SerialPort::Usb { vendor, product, serial, port } => {
                let more =
                    serial.as_ref().or(port.as_ref()).map_or_else(String::new, |m| format!(":{m}"));
                format!("usb:{vendor:04x}:{product:04x}{more}").into()
            }
        },
    }
}
