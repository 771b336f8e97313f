//! The keys of gatewayd.toml, and what the protocols add to device files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use adapter_modbus::config as modbus;
use dialects::config::LinkSection;
use schemars::JsonSchema;
use serde::Deserialize;
use settings::{ByteSize, Duration};

/// gatewayd.toml.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct GatewayFile {
    /// Who this gateway is.
    pub gateway: GatewayKeys,
    /// Where everything that happens is kept, and how much of it.
    #[serde(default)]
    pub store: StoreKeys,
    /// Lines, `[line.NAME]`: buses and connections that devices are on.
    #[serde(default)]
    pub line: BTreeMap<String, LineKeys>,
    /// Links, `[link.NAME]`: upstream connections.
    #[serde(default)]
    pub link: BTreeMap<String, LinkSection>,
    /// Health and metrics over HTTP.
    #[serde(default)]
    pub health: HealthKeys,
    /// What is logged.
    #[serde(default)]
    pub log: LogKeys,
    /// The local socket of gatewayctl.
    #[serde(default)]
    pub control: ControlKeys,
}

/// Who this gateway is.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct GatewayKeys {
    /// Its name, unique among your gateways; part of every topic and message. It should never change.
    pub name: String,
}

/// Where everything that happens is kept. No setting deletes or renames a store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct StoreKeys {
    /// The directory of the store; "/var/lib/gatewayd" if absent.
    pub dir: Option<PathBuf>,
    /// Readings are safe against a power cut after this long; 1s if absent, "0" = at once.
    pub flush: Option<Duration>,
    /// The same while little is written and everything was delivered; 10s if absent.
    pub stretch: Option<Duration>,
    /// How much disk readings may take; 256MiB if absent. The oldest ones go first.
    pub samples: Option<ByteSize>,
    /// How long readings are kept; as long as there is room if absent.
    pub samples_age: Option<Duration>,
    /// The time that one envelope stands for, which readings become before any are dropped; 1min if absent, "0" = never.
    pub thin: Option<Duration>,
    /// Readings older than this become envelopes though there is room; never if absent.
    pub thin_age: Option<Duration>,
    /// How much disk commands, events and descriptions may take; 64MiB if absent.
    pub records: Option<ByteSize>,
    /// How long they are kept; as long as there is room if absent.
    pub records_age: Option<Duration>,
    /// How much disk applications may take for their own data; 64MiB if absent.
    pub application: Option<ByteSize>,
    /// How much of the newest is kept in memory, so that connected links never read the disk; 4MiB if absent.
    pub ring: Option<ByteSize>,
}

/// A line.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct LineKeys {
    /// What is spoken on it; "modbus" if absent.
    pub protocol: Option<ProtocolWord>,
    /// What Modbus needs to know.
    #[serde(flatten)]
    pub modbus: modbus::LineKeys,
}

/// The protocols of lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProtocolWord {
    /// Modbus TCP and RTU.
    #[default]
    Modbus,
}

/// Health and metrics over HTTP.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct HealthKeys {
    /// Where it listens, "127.0.0.1:9464"; nowhere if absent.
    pub listen: Option<String>,
}

/// What is logged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct LogKeys {
    /// The least severe messages that are logged; "info" if absent.
    pub level: Option<LevelWord>,
    /// Other levels for parts of the program: `{ wire = "debug" }`.
    #[serde(default)]
    pub parts: BTreeMap<String, LevelWord>,
}

/// How severe a message is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LevelWord {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

impl std::fmt::Display for LevelWord {
    /// As tracing's filters write it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        })
    }
}

/// The local socket of gatewayctl.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct ControlKeys {
    /// Where the socket is; "/run/gatewayd/control.sock" if absent.
    pub socket: Option<PathBuf>,
    /// The group whose members may use it, beside root and the daemon's own user.
    pub group: Option<String>,
}

/// What the protocols add to device files: one section each.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Sections {
    /// Where the device is, and what one may ask of it.
    pub modbus: Option<modbus::DeviceKeys>,
}

/// A device file with everything that the protocols add.
pub type DeviceFile = adapter::device::DeviceFile<Sections, modbus::PointKeys>;
/// A profile with everything that the protocols add.
pub type ProfileFile = adapter::profile::ProfileFile<Sections, modbus::PointKeys>;
/// A point of both files together.
pub type MergedPoint = adapter::device::MergedPoint<modbus::PointKeys>;
