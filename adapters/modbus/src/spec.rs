//! What a line, a device on it, its groups and its points are: plain data, built from configuration.

use std::sync::Arc;

use twin::{Nameplate, TwinId};

use crate::{Extent, PointCodec, SerialFraming, Table, pdu};

/// One line: a serial bus or a TCP connection, with everything that is reached over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineSpec {
    /// Its name in configuration, messages and `Binding`.
    pub id: Arc<str>,
    /// How it is reached. Two lines never have the same transport.
    pub transport: Transport,
    /// How patient and how quick it is.
    pub timing: Timing,
}

/// How a line is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// Modbus TCP.
    Tcp {
        /// Host name or address.
        host: Arc<str>,
        /// Port, usually 502.
        port: u16,
    },
    /// Modbus TCP inside TLS ("Modbus/TCP Security").
    Tls(TlsSpec),
    /// The frames of Modbus TCP, one to a datagram.
    Udp {
        /// Host name or address.
        host: Arc<str>,
        /// Port, usually 502.
        port: u16,
    },
    /// Serial frames over a TCP connection, as transparent device servers carry them.
    SerialOverTcp {
        /// Host name or address.
        host: Arc<str>,
        /// Port.
        port: u16,
        /// How the frames look.
        framing: SerialFraming,
    },
    /// A serial line.
    Serial(SerialSpec),
}

impl Transport {
    /// The framing where frames have no transaction id.
    #[must_use]
    pub fn serial_framing(&self) -> Option<SerialFraming> {
        match self {
            Self::Tcp { .. } | Self::Tls(_) | Self::Udp { .. } => None,
            Self::SerialOverTcp { framing, .. } => Some(*framing),
            Self::Serial(serial) => Some(serial.framing),
        }
    }

    /// Host and port, where it goes over a network.
    #[must_use]
    pub fn host(&self) -> Option<(&Arc<str>, u16)> {
        match self {
            Self::Tcp { host, port }
            | Self::Udp { host, port }
            | Self::SerialOverTcp { host, port, .. }
            | Self::Tls(TlsSpec { host, port, .. }) => Some((host, *port)),
            Self::Serial(_) => None,
        }
    }
}

/// Modbus TCP inside TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSpec {
    /// Host name or address.
    pub host: Arc<str>,
    /// Port, usually 802.
    pub port: u16,
    /// Whom we trust and who we are.
    pub settings: tls::ClientSettings,
}

/// A serial line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SerialSpec {
    /// Which port.
    pub port: SerialPort,
    /// How frames look on it.
    pub framing: SerialFraming,
    /// Bits per second.
    pub baud: u32,
    /// Data bits, 7 or 8; 8 unless frames are ASCII.
    pub data_bits: u8,
    /// The parity bit.
    pub parity: Parity,
    /// Stop bits, 1 or 2.
    pub stop_bits: u8,
    /// Direction control by the kernel's RS-485 driver; `None` leaves it to the hardware.
    pub rs485: Option<Rs485>,
    /// The adapter hears its own requests: they are taken off before the answer.
    pub echo: bool,
}

impl SerialSpec {
    /// Bits that one character takes on the line: start, data, parity, stop.
    #[must_use]
    pub fn bits_per_character(&self) -> u8 {
        1 + self.data_bits + u8::from(self.parity != Parity::None) + self.stop_bits
    }
}

/// Which serial port: hardware, never an order of plugging in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SerialPort {
    /// A path that always means the same hardware: `/dev/serial/by-id/…`, `/dev/ttyAMA0`, a pty.
    Path(Arc<str>),
    /// A USB adapter.
    Usb {
        /// USB vendor id.
        vendor: u16,
        /// USB product id.
        product: u16,
        /// USB serial number, where the adapter has one.
        serial: Option<Arc<str>>,
        /// The physical port that it is plugged into, `1-1.4:1.0`.
        port: Option<Arc<str>>,
    },
}

/// The parity bit of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Parity {
    /// No parity bit.
    None,
    /// Even parity, the default of the serial line specification.
    #[default]
    Even,
    /// Odd parity.
    Odd,
}

/// RS-485 direction control by the kernel (`TIOCSRS485`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rs485 {
    /// RTS is low, not high, while sending.
    pub invert_rts: bool,
    /// Microseconds between raising RTS and the first bit; the kernel rounds to milliseconds.
    pub delay_before: i64,
    /// Microseconds between the last bit and dropping RTS; the kernel rounds to milliseconds.
    pub delay_after: i64,
}

/// How patient and how quick a line is. All times are microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Between the end of one exchange and the next request, beyond what the protocol demands.
    pub pause: i64,
    /// Between connecting and the first request.
    pub connect_pause: i64,
    /// How long connecting may take.
    pub connect_timeout: i64,
    /// A connection that was idle this long is closed; 0 = never.
    pub idle_close: i64,
    /// Requests under way at once on one TCP connection.
    pub max_in_flight: u16,
    /// TCP connections at once to the host.
    pub max_connections: u16,
    /// A connection is closed as soon as nothing is due, so that others can have it.
    pub close_after_poll: bool,
    /// After a broadcast, until every unit has carried it out.
    pub turnaround: i64,
    /// Silence between frames on a serial line; 0 = 3.5 characters (1.75 ms above 19200 baud).
    pub silence: i64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            pause: 0,
            connect_pause: 0,
            connect_timeout: 3_000_000,
            idle_close: 0,
            max_in_flight: 1,
            max_connections: 1,
            close_after_poll: false,
            turnaround: 100_000,
            silence: 0,
        }
    }
}

/// One device: a unit of a line and the twin that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceSpec {
    /// Its twin.
    pub twin: TwinId,
    /// The revision of the twin's description whose indexes are used below.
    pub revision: u32,
    /// The unit id.
    pub unit: u8,
    /// Microseconds that it may take before its answer begins.
    pub timeout: i64,
    /// Microseconds between the end of an exchange with it and the next request to it.
    pub pause: i64,
    /// What one request may ask of it.
    pub limits: Limits,
    /// Another device may stand there after a silence: it is not polled before somebody has asked what it is.
    pub doubtful: bool,
    /// Its groups.
    pub groups: Vec<GroupSpec>,
    /// Its points. Batches name them by their place here.
    pub points: Arc<[PointSpec]>,
    /// Where it says which asset it is, joined by spaces; empty where it does not.
    pub identity: Vec<PointCodec>,
    /// How it is asked what it is by function 43/14; `None`: not at all.
    pub identification: Option<IdentificationSpec>,
    /// What should be on its plate.
    pub nameplate: Nameplate,
    /// How often what brought no answer is asked again.
    pub retries: u8,
    /// How often it may ask for patience, and how long it is given the first time, in microseconds.
    pub busy: (u8, i64),
}

/// How a device is asked what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdentificationSpec {
    /// How much it is to say.
    pub extent: Extent,
    /// The object that is its serial number, where it has one.
    pub serial: Option<u8>,
}

/// Points that are read together: one completed acquisition is one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupSpec {
    /// Its index in the description.
    pub index: u16,
    /// When it is read.
    pub when: When,
}

/// When a group is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At this interval, in microseconds.
    Every(i64),
    /// When somebody asks.
    OnDemand,
}

/// One point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointSpec {
    /// Its index in the description.
    pub index: u16,
    /// Its group's index in the description.
    pub group: u16,
    /// Where it stands and how it reads; the same for writing.
    pub codec: PointCodec,
    /// It may be written.
    pub write: Option<WriteSpec>,
}

/// How a point is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteSpec {
    /// Microseconds that the asset needs before a read-back tells the truth.
    pub settle: i64,
}

/// What one request may ask of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The most registers that one request reads.
    pub max_registers: u16,
    /// The most bits that one request reads.
    pub max_bits: u16,
    /// Registers that nobody wants but that are read along, in one gap, to save a request.
    pub gap_registers: u16,
    /// Bits that nobody wants but that are read along, in one gap, to save a request.
    pub gap_bits: u16,
    /// Items that must never be part of a request unless a point stands on them.
    pub holes: Vec<Hole>,
    /// Each point has a request of its own.
    pub alone: bool,
    /// Requests for coils begin at coil 0.
    pub coils_from_zero: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_registers: pdu::MAX_READ_REGISTERS,
            max_bits: pdu::MAX_READ_BITS,
            gap_registers: 16,
            gap_bits: 128,
            holes: Vec::new(),
            alone: false,
            coils_from_zero: false,
        }
    }
}

/// A run of items that a device refuses or resents to be read along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hole {
    /// Which table.
    pub table: Table,
    /// The first item.
    pub first: u16,
    /// The last item.
    pub last: u16,
}
