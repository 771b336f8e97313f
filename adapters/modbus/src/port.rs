//! Which serial port a specification means: hardware, found through `/sys/class/tty`, never an order of plugging in.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::open::OpenError;
use crate::spec::{SerialPort, Transport};

/// Where the kernel shows its terminals.
pub(crate) const CLASS: &str = "/sys/class/tty";

/// What the kernel says of a USB serial adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Usb {
    vendor: u16,
    product: u16,
    serial: Option<String>,
    /// The physical port and interface, `1-1.4:1.0`.
    port: String,
}

/// The device node of a port. `class` is `/sys/class/tty`, or a copy of it in tests.
pub(crate) fn resolve(port: &SerialPort, class: &Path) -> Result<PathBuf, OpenError> {
    let found = match port {
        SerialPort::Path(path) => return Ok(PathBuf::from(&**path)),
        SerialPort::Usb { .. } => candidates(port, class),
    };
    match found.as_slice() {
        [(name, _)] => Ok(Path::new("/dev").join(name)),
        [] => {
            let words = format!("no {} is plugged in", shown(port));
            Err(OpenError::Later(words.into()))
        }
        several => {
            let names: Vec<String> = several
                .iter()
                .map(|(name, usb)| {
                    let serial = usb.serial.as_deref().unwrap_or("none");
                    format!("/dev/{name} (serial {serial}, port {})", usb.port)
                })
                .collect();
            let words = format!(
                "{} means several adapters: {}; name the one by its serial or port",
                shown(port),
                names.join(", ")
            );
            Err(OpenError::Later(words.into()))
        }
    }
}

/// What a line is, whatever it is called: two configurations with the same identity name the same line.
///
/// A serial port is looked up in the file system: all links to a device node are that node, as long as it is there.
#[must_use]
pub fn identity(transport: &Transport) -> Arc<str> {
    use std::os::unix::fs::MetadataExt;
    if let Some((host, port)) = transport.host() {
        let kind = if matches!(transport, Transport::Udp { .. }) { "udp" } else { "tcp" };
        return format!("{kind} {}:{port}", host.to_ascii_lowercase()).into();
    }
    let Transport::Serial(serial) = transport else { return "".into() };
    let Ok(path) = resolve(&serial.port, Path::new(CLASS)) else {
        return shown(&serial.port).into();
    };
    match fs::metadata(&path) {
        Ok(node) if node.rdev() != 0 => format!("tty {}", node.rdev()).into(),
        _ => {
            let path = fs::canonicalize(&path).unwrap_or(path);
            path.display().to_string().into()
        }
    }
}

/// Whether the path leads to a pseudo terminal.
pub(crate) fn is_pty(path: &Path) -> bool {
    fs::canonicalize(path).is_ok_and(|path| path.starts_with("/dev/pts"))
}

/// Asks a USB adapter to hand over what it has read after 1 ms instead of 16 ms, where its driver lets us.
pub(crate) fn quicken(path: &Path) {
    let Ok(path) = fs::canonicalize(path) else { return };
    let Some(name) = path.file_name() else { return };
    let timer = Path::new("/sys/class/tty").join(name).join("device/latency_timer");
    // Only some drivers have it, and only some users may write it; the line works without.
    fs::write(timer, "1").ok();
}

fn candidates(port: &SerialPort, class: &Path) -> Vec<(String, Usb)> {
    let Ok(ports) = fs::read_dir(class) else { return Vec::new() };
    let mut found: Vec<(String, Usb)> = ports
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let usb = usb(&entry.path().join("device"))?;
            matches(port, &usb).then_some((name, usb))
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// Walks up from a tty's device to its USB interface and device.
fn usb(device: &Path) -> Option<Usb> {
    let device = fs::canonicalize(device).ok()?;
    let interface = device.ancestors().find(|at| at.join("bInterfaceNumber").is_file())?;
    let port = interface.file_name()?.to_str()?.to_owned();
    let device = interface.ancestors().find(|at| at.join("idVendor").is_file())?;
    let read = |name: &str| {
        let text = fs::read_to_string(device.join(name)).ok()?;
        Some(text.trim().to_owned())
    };
    let number = |name: &str| u16::from_str_radix(&read(name)?, 16).ok();
    let (vendor, product) = (number("idVendor")?, number("idProduct")?);
    Some(Usb { vendor, product, serial: read("serial").filter(|s| !s.is_empty()), port })
}

fn matches(wanted: &SerialPort, usb: &Usb) -> bool {
    let SerialPort::Usb { vendor, product, serial, port } = wanted else { return false };
    usb.vendor == *vendor
        && usb.product == *product
        && serial.as_deref().is_none_or(|serial| usb.serial.as_deref() == Some(serial))
        && port.as_deref().is_none_or(|port| {
            usb.port == port || usb.port.split_once(':').is_some_and(|(device, _)| device == port)
        })
}

/// The port in words.
fn shown(port: &SerialPort) -> String {
    match port {
        SerialPort::Path(path) => path.to_string(),
        SerialPort::Usb { vendor, product, serial, port } => {
            let serial = serial.as_ref().map(|s| format!(" with serial {s}")).unwrap_or_default();
            let port = port.as_ref().map(|p| format!(" in port {p}")).unwrap_or_default();
            format!("USB adapter {vendor:04x}:{product:04x}{serial}{port}")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A `/sys` with one FTDI and two CH340 adapters, the latter without serial numbers.
    fn sys() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let class = dir.path().join("class/tty");
        fs::create_dir_all(&class).unwrap();
        for (tty, usb, vendor, product, serial) in [
            ("ttyUSB0", "1-1.2", "0403", "6001", Some("A50285BI")),
            ("ttyUSB1", "1-1.3", "1a86", "7523", None),
            ("ttyUSB2", "1-1.4", "1a86", "7523", None),
        ] {
            let device = dir.path().join("devices").join(usb);
            let interface = device.join(format!("{usb}:1.0"));
            let port = interface.join(tty);
            fs::create_dir_all(&port).unwrap();
            fs::write(device.join("idVendor"), format!("{vendor}\n")).unwrap();
            fs::write(device.join("idProduct"), format!("{product}\n")).unwrap();
            if let Some(serial) = serial {
                fs::write(device.join("serial"), format!("{serial}\n")).unwrap();
            }
            fs::write(interface.join("bInterfaceNumber"), "00\n").unwrap();
            fs::create_dir_all(class.join(tty)).unwrap();
            symlink(&port, class.join(tty).join("device")).unwrap();
        }
        fs::create_dir_all(class.join("ttyS0")).unwrap();
        dir
    }

    fn find(dir: &tempfile::TempDir, vendor: u16, product: u16, port: Option<&str>) -> String {
        let port = port.map(Into::into);
        let port = SerialPort::Usb { vendor, product, serial: None, port };
        match resolve(&port, &dir.path().join("class/tty")) {
            Ok(path) => path.display().to_string(),
            Err(OpenError::Later(words) | OpenError::Never(words)) => words.to_string(),
        }
    }

    #[test]
    fn an_adapter_is_found_by_what_it_is_and_where_it_is_plugged_in() {
        let dir = sys();
        assert_eq!(find(&dir, 0x0403, 0x6001, None), "/dev/ttyUSB0");
        assert_eq!(find(&dir, 0x1a86, 0x7523, Some("1-1.4")), "/dev/ttyUSB2");
        assert_eq!(find(&dir, 0x1a86, 0x7523, Some("1-1.3:1.0")), "/dev/ttyUSB1");
        assert_eq!(find(&dir, 0x10c4, 0xea60, None), "no USB adapter 10c4:ea60 is plugged in");
    }

    #[test]
    fn two_candidates_are_refused_and_both_shown() {
        let words = find(&sys(), 0x1a86, 0x7523, None);
        assert!(words.contains("/dev/ttyUSB1 (serial none, port 1-1.3:1.0)"), "{words}");
        assert!(words.contains("/dev/ttyUSB2"), "{words}");
    }

    #[test]
    fn a_serial_number_must_match() {
        let dir = sys();
        let class = dir.path().join("class/tty");
        let port = |serial: &str| SerialPort::Usb {
            vendor: 0x0403,
            product: 0x6001,
            serial: Some(serial.into()),
            port: None,
        };
        assert!(resolve(&port("A50285BI"), &class).is_ok());
        assert!(resolve(&port("A50285BJ"), &class).is_err());
    }
}
