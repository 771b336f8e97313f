//! `[line.NAME]` of a Modbus line, and the transport that a device file may name by itself.

use std::path::PathBuf;
use std::sync::Arc;

use adapter::over;
use schemars::JsonSchema;
use serde::Deserialize;
use settings::{Diagnostic, Duration, Place};

use super::words::{FramingWord, ParityWord};
use crate::SerialFraming;
use crate::spec::{LineSpec, Rs485, SerialPort, SerialSpec, Timing, TlsSpec, Transport};

/// A Modbus line: one of `tcp`, `udp`, `rtu_over_tcp`, `ascii_over_tcp`, `serial` and `usb`, and how patient it is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
pub struct LineKeys {
    /// How it is reached.
    #[serde(flatten)]
    pub transport: TransportKeys,
    /// How patient it is.
    #[serde(flatten)]
    pub timing: TimingKeys,
}

/// How a line is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct TransportKeys {
    /// Modbus TCP: "host" or "host:port"; port 502 if absent, 802 with `tls`.
    pub tcp: Option<String>,
    /// Whom to trust and who we are where `tcp` is inside TLS ("Modbus/TCP Security"); {} trusts the system's
    /// authorities.
    pub tls: Option<TlsKeys>,
    /// Modbus over UDP: "host" or "host:port"; port 502 if absent.
    pub udp: Option<String>,
    /// Serial frames over TCP, as transparent device servers carry them: "host:port".
    pub rtu_over_tcp: Option<String>,
    /// The same where the serial side speaks Modbus ASCII: "host:port".
    pub ascii_over_tcp: Option<String>,
    /// A serial port by a path that always means the same hardware: "/dev/serial/by-id/...", "/dev/ttyAMA0".
    pub serial: Option<String>,
    /// A USB serial adapter by vendor and product: "0403:6001".
    pub usb: Option<String>,
    /// The serial number of the USB adapter, where there are several.
    pub usb_serial: Option<String>,
    /// The physical port that the USB adapter is plugged into, "1-1.4:1.0", where it has no serial number.
    pub usb_port: Option<String>,
    /// How the serial line is set.
    #[serde(flatten)]
    pub serial_line: SerialKeys,
}

/// How a serial line is set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct SerialKeys {
    /// How frames look on the serial line: "rtu" (if absent) or "ascii".
    pub framing: Option<FramingWord>,
    /// Data bits of a serial line with ASCII frames, 7 (if absent) or 8.
    #[schemars(range(min = 7, max = 8))]
    pub data_bits: Option<u8>,
    /// Bits per second of the serial line.
    pub baud: Option<u32>,
    /// The parity of the serial line; "even", the default of Modbus, if absent.
    pub parity: Option<ParityWord>,
    /// Stop bits of the serial line, 1 or 2; 1 if absent.
    #[schemars(range(min = 1, max = 2))]
    pub stop_bits: Option<u8>,
    /// RS-485 direction control by the kernel; absent where the hardware does it by itself.
    pub rs485: Option<Rs485Keys>,
    /// The adapter hears its own requests.
    pub echo: Option<bool>,
}

/// Whom to trust and who we are in TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct TlsKeys {
    /// The authorities that may sign the device's certificate (PEM); the system's if absent.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate (PEM): Modbus/TCP Security asks for one.
    pub certificate: Option<PathBuf>,
    /// Its private key (PEM, not encrypted).
    pub key: Option<PathBuf>,
    /// The name that the device's certificate must carry; the host of `tcp` if absent.
    pub server_name: Option<String>,
}

/// RS-485 direction control by the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct Rs485Keys {
    /// RTS is low, not high, while sending.
    pub invert_rts: Option<bool>,
    /// Between raising RTS and the first bit; whole milliseconds.
    pub delay_before: Option<Duration>,
    /// Between the last bit and dropping RTS; whole milliseconds.
    pub delay_after: Option<Duration>,
}

/// How patient and how quick a line is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct TimingKeys {
    /// How long a device may take before its answer begins, where it does not say it itself; 1s if absent.
    pub timeout: Option<Duration>,
    /// Between one exchange and the next request, beyond what the protocol demands.
    pub pause: Option<Duration>,
    /// Between connecting and the first request.
    pub connect_pause: Option<Duration>,
    /// How long connecting may take; 3s if absent.
    pub connect_timeout: Option<Duration>,
    /// A connection that was idle this long is closed; never if absent.
    pub idle_close: Option<Duration>,
    /// A connection is closed as soon as nothing is due, so that other programs can have it.
    pub close_after_poll: Option<bool>,
    /// Requests under way at once on one TCP connection; 1 if absent.
    #[schemars(range(min = 1, max = 64))]
    pub max_in_flight: Option<u16>,
    /// TCP connections to the host at once; 1 if absent.
    #[schemars(range(min = 1, max = 64))]
    pub max_connections: Option<u16>,
    /// After a broadcast, until every device has carried it out; 100ms if absent.
    pub turnaround: Option<Duration>,
    /// Silence between frames on a serial line; 3.5 characters if absent.
    pub silence: Option<Duration>,
}

over!(Rs485Keys: invert_rts, delay_before, delay_after);
over!(TlsKeys: ca_file, certificate, key, server_name);

/// The line of this name. `None` where it is wrong.
pub fn line(
    name: &str,
    keys: &LineKeys,
    place: &Place,
    found: &mut Vec<Diagnostic>,
) -> Option<LineSpec> {
    let before = found.len();
    let transport = transport(&keys.transport, place, found);
    if transport.is_none() && found.len() == before {
        let error = place.whole("the line does not say how it is reached");
        found.push(error.help(
            "give tcp = \"host:port\", udp, rtu_over_tcp, ascii_over_tcp, serial = \"/dev/serial/by-id/...\" or usb",
        ));
    }
    let default = Timing::default();
    let said = &keys.timing;
    let micros = |said: Option<Duration>, default: i64| said.map_or(default, Duration::micros);
    let timing = Timing {
        pause: micros(said.pause, default.pause),
        connect_pause: micros(said.connect_pause, default.connect_pause),
        connect_timeout: micros(said.connect_timeout, default.connect_timeout),
        idle_close: micros(said.idle_close, default.idle_close),
        max_in_flight: said.max_in_flight.unwrap_or(default.max_in_flight),
        max_connections: said.max_connections.unwrap_or(default.max_connections),
        close_after_poll: said.close_after_poll == Some(true),
        turnaround: micros(said.turnaround, default.turnaround),
        silence: micros(said.silence, default.silence),
    };
    if timing.connect_timeout == 0 {
        found.push(place.error("connect_timeout", "connecting takes some time"));
    }
    let transport = transport?;
    misplaced(said, &transport, place, found);
    (found.len() == before).then(|| LineSpec { id: Arc::from(name), transport, timing })
}

/// Keys of the other kind of line.
fn misplaced(said: &TimingKeys, transport: &Transport, place: &Place, found: &mut Vec<Diagnostic>) {
    let connection = [
        ("connect_pause", said.connect_pause.is_some()),
        ("connect_timeout", said.connect_timeout.is_some()),
        ("idle_close", said.idle_close.is_some()),
        ("close_after_poll", said.close_after_poll.is_some()),
        ("max_in_flight", said.max_in_flight.is_some()),
        ("max_connections", said.max_connections.is_some()),
    ];
    match transport {
        Transport::Serial(_) => {
            for (key, _) in connection.iter().filter(|(_, said)| *said) {
                found.push(place.error(key, "a serial line has no connection"));
            }
        }
        Transport::SerialOverTcp { .. } => {
            for (key, said) in
                [("max_in_flight", said.max_in_flight), ("max_connections", said.max_connections)]
            {
                if said.is_some_and(|n| n > 1) {
                    found.push(
                        place.error(key, "serial frames have no transaction id: one at a time"),
                    );
                }
            }
        }
        Transport::Udp { .. } => {
            let without = |key: &str| !matches!(key, "connect_timeout" | "max_in_flight");
            for (key, _) in connection.iter().filter(|(key, said)| *said && without(key)) {
                found.push(place.error(key, "datagrams have no connection"));
            }
        }
        Transport::Tcp { .. } | Transport::Tls(_) => {}
    }
    if said.silence.is_some() && transport.serial_framing().is_none() {
        found.push(place.error("silence", "only serial frames are separated by silence"));
    }
}

/// How the line is reached; `None` where nothing says it, or what says it is wrong and was reported.
pub fn transport(
    keys: &TransportKeys,
    place: &Place,
    found: &mut Vec<Diagnostic>,
) -> Option<Transport> {
    let said = [
        ("tcp", keys.tcp.is_some()),
        ("udp", keys.udp.is_some()),
        ("rtu_over_tcp", keys.rtu_over_tcp.is_some()),
        ("ascii_over_tcp", keys.ascii_over_tcp.is_some()),
        ("serial", keys.serial.is_some()),
        ("usb", keys.usb.is_some()),
    ];
    let mut ways = said.iter().filter(|(_, said)| *said).map(|(key, _)| *key);
    let way = ways.next();
    if let (Some(way), Some(second)) = (way, ways.next()) {
        found.push(place.error(second, format!("the line is already reached by {way}")));
        return None;
    }
    if !matches!(way, Some("serial" | "usb")) {
        let s = &keys.serial_line;
        let serial = [
            ("framing", s.framing.is_some()),
            ("data_bits", s.data_bits.is_some()),
            ("baud", s.baud.is_some()),
            ("parity", s.parity.is_some()),
            ("stop_bits", s.stop_bits.is_some()),
            ("rs485", s.rs485.is_some()),
            ("echo", s.echo.is_some()),
        ];
        for (key, _) in serial.iter().filter(|(_, said)| *said) {
            let error = place.error(key, "this key is only for serial lines");
            found.push(
                error.help("a serial line is given by serial = \"/dev/serial/by-id/...\" or usb"),
            );
        }
    }
    for (key, said) in [("usb_serial", &keys.usb_serial), ("usb_port", &keys.usb_port)] {
        if said.is_some() && way != Some("usb") {
            found.push(place.error(key, "this key goes with usb = \"vendor:product\""));
        }
    }
    if keys.tls.is_some() && way != Some("tcp") {
        found.push(place.error("tls", "this key goes with tcp = \"host:port\""));
    }
    let way = way?;
    let (text, fallback) = match way {
        "tcp" if keys.tls.is_some() => (&keys.tcp, Some(802)),
        "tcp" => (&keys.tcp, Some(502)),
        "udp" => (&keys.udp, Some(502)),
        "rtu_over_tcp" => (&keys.rtu_over_tcp, None),
        "ascii_over_tcp" => (&keys.ascii_over_tcp, None),
        _ => return serial(keys, place, found).map(Transport::Serial),
    };
    let (host, port) = address(text.as_deref()?, fallback, way, place, found)?;
    let over_tcp = |framing| Transport::SerialOverTcp { host: host.clone(), port, framing };
    Some(match (way, &keys.tls) {
        ("tcp", Some(keys)) => {
            let settings = trust(keys, place, found)?;
            Transport::Tls(TlsSpec { host, port, settings })
        }
        ("tcp", None) => Transport::Tcp { host, port },
        ("udp", _) => Transport::Udp { host, port },
        ("ascii_over_tcp", _) => over_tcp(SerialFraming::Ascii),
        _ => over_tcp(SerialFraming::Rtu),
    })
}

fn trust(
    keys: &TlsKeys,
    place: &Place,
    found: &mut Vec<Diagnostic>,
) -> Option<tls::ClientSettings> {
    let TlsKeys { ca_file, certificate, key, server_name } = keys.clone();
    let identity = match (certificate, key) {
        (Some(certificate), Some(key)) => Some(tls::Identity { certificate, key }),
        (None, None) => None,
        (certificate, _) => {
            let missing = if certificate.is_some() { "key" } else { "certificate" };
            let error = place.error("tls", format!("there is no {missing}"));
            found.push(error.help("certificate and key belong together: give both or none"));
            return None;
        }
    };
    Some(tls::ClientSettings { ca_file, identity, server_name, alpn: Vec::new() })
}

/// The host, in lower case, and the port of `host`, `host:port`, `[v6]:port`.
fn address(
    text: &str,
    fallback: Option<u16>,
    key: &str,
    place: &Place,
    found: &mut Vec<Diagnostic>,
) -> Option<(Arc<str>, u16)> {
    let mut fail = |what: &str| {
        let example = "write \"10.0.0.5:502\", \"plc.example:502\" or \"[fd00::5]:502\"";
        found.push(place.error(key, what).help(example));
    };
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) if host.parse::<std::net::Ipv6Addr>().is_ok() => {
            (host, rest.strip_prefix(':'))
        }
        Some(_) => {
            fail("between [ and ] stands an IPv6 address");
            return None;
        }
        None if text.matches(':').count() > 1 => {
            fail("an IPv6 address stands between [ and ]");
            return None;
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || host.len() > 253 || !host.chars().all(legal) {
        fail("this is no host name or address");
        return None;
    }
    let port = match port {
        Some(digits) => digits.parse().ok().filter(|port| *port != 0),
        None => fallback,
    };
    let Some(port) = port else {
        fail("the port is a number from 1 to 65535");
        return None;
    };
    Some((host.to_ascii_lowercase().into(), port))
}

fn serial(keys: &TransportKeys, place: &Place, found: &mut Vec<Diagnostic>) -> Option<SerialSpec> {
    let said = &keys.serial_line;
    let port = serial_port(keys, place, found);
    let Some(baud) = said.baud else {
        let error = place.whole("a serial line needs baud");
        found.push(error.help("give the bits per second of its devices, baud = 9600 or 19200"));
        return None;
    };
    if !(50..=4_000_000).contains(&baud) {
        found.push(place.error("baud", "no serial line has this speed"));
    }
    let micros = |said: Option<Duration>| said.map_or(0, Duration::micros);
    let framing = said.framing.map_or_else(Default::default, SerialFraming::from);
    let data_bits = match (framing, said.data_bits) {
        (SerialFraming::Rtu, Some(7)) => {
            let error = place.error("data_bits", "RTU frames are bytes of 8 bits");
            found.push(error.help("a device with 7 data bits speaks ASCII: framing = \"ascii\""));
            8
        }
        (SerialFraming::Rtu, _) => 8,
        (SerialFraming::Ascii, said) => said.unwrap_or(7),
    };
    Some(SerialSpec {
        port: port?,
        framing,
        baud,
        data_bits,
        parity: said.parity.map_or_else(Default::default, Into::into),
        stop_bits: said.stop_bits.unwrap_or(1),
        rs485: said.rs485.as_ref().map(|keys| Rs485 {
            invert_rts: keys.invert_rts == Some(true),
            delay_before: micros(keys.delay_before),
            delay_after: micros(keys.delay_after),
        }),
        echo: said.echo == Some(true),
    })
}

fn serial_port(
    keys: &TransportKeys,
    place: &Place,
    found: &mut Vec<Diagnostic>,
) -> Option<SerialPort> {
    if let Some(path) = &keys.serial {
        let unstable = ["/dev/ttyUSB", "/dev/ttyACM"].iter().any(|start| path.starts_with(start));
        if unstable {
            let error = place.error("serial", "this name goes to whichever adapter is found first");
            found.push(error.help(
                "use its name in /dev/serial/by-id/ or by-path/, or usb = \"vendor:product\"",
            ));
            return None;
        }
        if !path.starts_with('/') {
            found.push(place.error("serial", "a serial port is an absolute path, \"/dev/...\""));
            return None;
        }
        return Some(SerialPort::Path(path.as_str().into()));
    }
    let hex = |digits: &str| u16::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 4);
    let pair = keys.usb.as_deref()?.split_once(':');
    let Some((vendor, product)) = pair.and_then(|(v, p)| Some((hex(v)?, hex(p)?))) else {
        let error =
            place.error("usb", "a USB device is \"vendor:product\", four hexadecimal digits each");
        found.push(error.help("lsusb lists them: \"0403:6001\""));
        return None;
    };
    let text = |text: &Option<String>| text.as_deref().map(Arc::from);
    Some(SerialPort::Usb {
        vendor,
        product,
        serial: text(&keys.usb_serial),
        port: text(&keys.usb_port),
    })
}
