//! What the words after a command can be.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::duration;

/// The files that have a schema.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum SchemaOf {
    /// gatewayd.toml.
    Gateway,
    /// A file of devices.d.
    Device,
    /// A file of profiles.
    Profile,
    /// A model of SunSpec, a file of profiles/sunspec.
    Sunspec,
}

/// How what a reload changed is watched.
#[derive(Debug, Args)]
pub struct Watched {
    /// Take the change back if it meets a permanent fault or a panic within this time.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub window: Duration,
    /// Do not watch: the change is good.
    #[arg(long, conflicts_with = "window")]
    pub no_window: bool,
}

/// What can be done with a link.
#[derive(Debug, Subcommand)]
pub enum LinkAction {
    /// Give up everything that waits for a link, so that one that is held goes on; it is lost for this link.
    Skip {
        /// Which link.
        link: String,
    },
}

/// What can be done with the write switch.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum WritesAction {
    /// Allow commands again.
    On,
    /// Refuse every command, also after a restart.
    Off,
    /// Show which it is.
    Status,
}
