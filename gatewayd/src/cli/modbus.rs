//! The words of `gatewayctl modbus` and `replay`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::duration;

/// What can be found out about a Modbus device.
#[derive(Debug, Subcommand)]
pub enum ModbusAction {
    /// Read registers and show every interpretation of them; `*` marks those that look like something.
    Probe(Target),
    /// Try how quick, how large and how many requests may be, and propose settings.
    Calibrate(Target),
}

/// A Modbus device. It is asked through the daemon where that has the line, else directly.
#[derive(Debug, Args)]
pub struct Target {
    /// A line of the daemon, `host`, `host:port`, or a serial port by its path.
    #[arg(value_name = "LINE|HOST[:PORT]|PATH")]
    pub line: String,
    /// The unit id.
    pub unit: u8,
    /// What to read, numbers from 0: `holding:0-20`, `input:7`, `coil:0-15`.
    #[arg(value_name = "TABLE:FIRST[-LAST]")]
    pub range: String,
    /// What is spoken there.
    #[arg(long, value_enum, default_value_t = Way::Tcp)]
    pub way: Way,
    /// Bits per second of a serial port.
    #[arg(long, default_value_t = 9600)]
    pub baud: u32,
    /// The parity of a serial port.
    #[arg(long, value_enum, default_value_t = ParityWay::Even)]
    pub parity: ParityWay,
    /// How long the device may take for an answer.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub timeout: Duration,
}

/// How a device is reached that is no daemon's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Way {
    /// Modbus TCP; RTU where a path is given.
    Tcp,
    /// Modbus over UDP.
    Udp,
    /// RTU frames, over TCP or on a serial port.
    Rtu,
    /// ASCII frames, over TCP or on a serial port.
    Ascii,
}

/// How the devices of a recording are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ReplayWay {
    /// Modbus TCP.
    Tcp,
    /// RTU frames over TCP.
    Rtu,
    /// ASCII frames over TCP.
    Ascii,
}

/// The parity of a serial port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ParityWay {
    /// Even, the default of Modbus.
    Even,
    /// None.
    None,
    /// Odd.
    Odd,
}
