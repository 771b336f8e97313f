//! The command line: one program with two names, `gatewayd` (the daemon) and `gatewayctl` (the tool).

mod modbus;
mod words;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand};

pub use modbus::{ModbusAction, ParityWay, ReplayWay, Target, Way};
pub use words::{LinkAction, SchemaOf, Watched, WritesAction};

/// Where the configuration is unless told otherwise.
const CONFIG: &str = "/etc/gatewayd/gatewayd.toml";
/// Where the daemon keeps the good configurations unless told otherwise.
const STATE: &str = "/var/lib/gatewayd";

/// What the program was asked to do.
#[derive(Debug)]
pub enum Invocation {
    /// Be the daemon.
    Daemon(Daemon),
    /// Be the tool.
    Tool(Tool),
}

/// A twin-aware IoT gateway: its devices become digital twins, and what they say reaches the platforms.
#[derive(Debug, Parser)]
#[command(name = "gatewayd", version, args_conflicts_with_subcommands = true)]
struct DaemonLine {
    #[command(flatten)]
    daemon: Daemon,
    #[command(subcommand)]
    ctl: Option<Ctl>,
}

#[derive(Debug, Subcommand)]
enum Ctl {
    /// The same as `gatewayctl`.
    Ctl(Tool),
}

/// How to be the daemon.
#[derive(Debug, Args)]
pub struct Daemon {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = CONFIG)]
    pub config: PathBuf,
    /// Where the daemon keeps the last good configuration; systemd says it. Without it none is kept.
    #[arg(long, value_name = "DIR", env = "STATE_DIRECTORY")]
    pub state: Option<PathBuf>,
}

/// Shows and controls a running gatewayd.
#[derive(Debug, Parser)]
#[command(name = "gatewayctl", version, after_help = EXIT_CODES)]
pub struct Tool {
    /// Print JSON, one object per line.
    #[arg(long, global = true)]
    pub json: bool,
    /// Where the daemon listens.
    #[arg(long, global = true, value_name = "PATH", env = "GATEWAYD_SOCKET", default_value = control::SOCKET)]
    pub socket: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit status:
   0  done
   1  refused, taken back, not found, or device files are broken
   2  the command line is wrong
  69  the daemon does not answer
  75  no answer in time, or a command whose outcome is not known
  77  not permitted
  78  (check) gatewayd.toml cannot be used";

/// What the tool can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check the configuration without touching anything; all mistakes at once.
    Check {
        /// The configuration file.
        #[arg(long, value_name = "FILE", default_value = CONFIG)]
        config: PathBuf,
    },
    /// Show the twins: values, units, quality, age.
    Twins {
        /// Only this one.
        twin: Option<String>,
        /// One line per twin, without its points.
        #[arg(long)]
        brief: bool,
    },
    /// Show what happens, as it happens.
    Watch {
        /// Only this twin or point.
        #[arg(value_name = "TWIN[/POINT]")]
        of: Option<String>,
    },
    /// Read points from the asset now.
    Read {
        /// The twin, or one of its points.
        #[arg(value_name = "TWIN[/POINT]")]
        of: String,
        /// Further points of the same twin.
        #[arg(value_name = "POINT")]
        points: Vec<String>,
        /// How long to wait for the asset.
        #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
        timeout: Duration,
    },
    /// Write a value to the asset.
    Set {
        /// The point.
        #[arg(value_name = "TWIN/POINT")]
        point: String,
        /// The value: a number, `on`, `off`, a label, a text.
        #[arg(allow_hyphen_values = true)]
        value: String,
        /// Show every step until the asset has confirmed it by read-back.
        #[arg(long)]
        wait: bool,
        /// The command is never executed later than this.
        #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
        timeout: Duration,
        /// An id of your own: repeating it repeats nothing.
        #[arg(long)]
        key: Option<String>,
    },
    /// Show the upstream connections and what waits for them.
    Links {
        /// Do something with one.
        #[command(subcommand)]
        action: Option<LinkAction>,
    },
    /// Show the lines to the assets and the devices on them.
    Lines,
    /// Show why a twin or a point is as it is.
    Why {
        /// The twin, or one of its points.
        #[arg(value_name = "TWIN[/POINT]")]
        of: String,
    },
    /// Allow or stop all commands to all assets.
    Writes {
        /// What to do.
        #[arg(value_enum, default_value_t = WritesAction::Status)]
        action: WritesAction,
    },
    /// Say how a twin is related to another one: `relate pump-7 feeds tank-1`.
    Relate {
        /// Which twin.
        twin: String,
        /// What the relationship means: feeds, partOf, monitors.
        name: String,
        /// The other twin: its id on this gateway, or its URI elsewhere.
        target: String,
    },
    /// End a relationship of a twin.
    Unrelate {
        /// Which twin.
        twin: String,
        /// The name of the relationship.
        name: String,
        /// The other twin.
        target: String,
    },
    /// Planned work on an asset: commands are refused, and time without contact counts as planned. It ends by itself.
    Maintain {
        /// Which twin.
        twin: String,
        /// For how long, from now on.
        #[arg(long = "for", value_name = "TIME", value_parser = duration, required_unless_present = "end")]
        lasts: Option<Duration>,
        /// Why; everybody upstream sees it.
        #[arg(long, required_unless_present = "end", default_value = "")]
        reason: String,
        /// It is over.
        #[arg(long, conflicts_with_all = ["lasts", "reason"])]
        end: bool,
    },
    /// Show the alarms that stand.
    Alarms {
        /// Only those of this twin.
        twin: Option<String>,
        /// Those that do not stand as well, with what they watch for.
        #[arg(long)]
        all: bool,
    },
    /// Acknowledge an alarm, or all of a twin: they were seen.
    Ack {
        /// The twin, or one of its alarms.
        #[arg(value_name = "TWIN[/ALARM]")]
        of: String,
    },
    /// Silence an alarm for a while: it is still watched and recorded, and says that it is shelved.
    Shelve {
        /// Which.
        #[arg(value_name = "TWIN/ALARM")]
        alarm: String,
        /// For how long, 30 days at the longest.
        #[arg(long = "for", value_name = "TIME", value_parser = duration)]
        lasts: Duration,
    },
    /// End the silence of an alarm.
    Unshelve {
        /// Which.
        #[arg(value_name = "TWIN/ALARM")]
        alarm: String,
    },
    /// End a twin for good that is no longer configured; its id may name another asset afterwards.
    Purge {
        /// Which twin.
        twin: String,
        /// Yes, for good.
        #[arg(long, required = true)]
        yes: bool,
    },
    /// Show what a reload would do, and why; nothing is touched.
    Plan,
    /// Read the configuration again, apply what changed, and watch it.
    Reload {
        /// How what changed is watched.
        #[command(flatten)]
        watch: Watched,
    },
    /// Put the last good files back in place of the present ones, which are kept, and reload.
    Rollback {
        /// The configuration file.
        #[arg(long, value_name = "FILE", default_value = CONFIG)]
        config: PathBuf,
        /// Where the daemon keeps the good configurations.
        #[arg(long, value_name = "DIR", default_value = STATE)]
        state: PathBuf,
        /// Only show which files would be replaced.
        #[arg(long)]
        dry_run: bool,
        /// How what changed is watched.
        #[command(flatten)]
        watch: Watched,
    },
    /// Show what was: readings, alarms, records.
    History {
        /// Of this twin or point; of everything without.
        #[arg(value_name = "TWIN[/POINT]")]
        of: Option<String>,
        /// Further points of the same twin.
        #[arg(value_name = "POINT")]
        points: Vec<String>,
        /// From this time on: 2h (ago), or 2026-11-23T10:00:00Z. Times are those of the commits.
        #[arg(long, value_name = "TIME", value_parser = when)]
        since: Option<control::When>,
        /// Up to this time.
        #[arg(long, value_name = "TIME", value_parser = when)]
        until: Option<control::When>,
        /// From this commit on.
        #[arg(long, value_name = "SEQ")]
        from: Option<u64>,
        /// Up to this commit.
        #[arg(long, value_name = "SEQ")]
        to: Option<u64>,
        /// The last so many commits of all that.
        #[arg(long, value_name = "N")]
        last: Option<u32>,
        /// Sum readings up: smallest, largest, mean and last value per so much time.
        #[arg(long, value_name = "TIME", value_parser = duration)]
        every: Option<Duration>,
        /// Only this class of commits.
        #[arg(long, value_parser = ["alarm", "record", "sample"])]
        class: Option<String>,
        /// Print CSV with a heading.
        #[arg(long, conflicts_with = "json")]
        csv: bool,
    },
    /// Show how the daemon is.
    Status,
    /// Print the JSON schema of a configuration file, for editors.
    Schema {
        /// Which file: gatewayd.toml, a device file, a profile, or a model of SunSpec.
        #[arg(value_enum)]
        of: SchemaOf,
    },
    /// Print the script that makes a shell complete the words of this tool.
    Completions {
        /// Which shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Write man pages, completions and schemas below a directory, for packages.
    #[command(hide = true)]
    Generate {
        /// The directory.
        dir: PathBuf,
    },
    /// Show the bytes that go over a line, as they go.
    Tap {
        /// The line, by its name or by where it goes (`gatewayctl lines`).
        line: String,
    },
    /// Record the bytes of a line into a file, until interrupted.
    Record {
        /// The line, by its name or by where it goes (`gatewayctl lines`).
        line: String,
        /// The file; it must not exist.
        file: PathBuf,
    },
    /// Be the devices of a recorded line, until interrupted.
    Replay {
        /// A file made by `record`.
        file: PathBuf,
        /// Where to listen; port 0 takes a free one.
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
        listen: std::net::SocketAddr,
        /// What is spoken there, whatever was spoken on the line.
        #[arg(long, value_enum, default_value_t = ReplayWay::Tcp)]
        way: ReplayWay,
    },
    /// Find out about a Modbus device. Nothing is written to it.
    Modbus {
        /// What to find out.
        #[command(subcommand)]
        action: ModbusAction,
    },
}

/// The command line of the tool.
pub fn tool() -> clap::Command {
    Tool::command()
}

/// The command line of the daemon, without the tool in it.
pub fn daemon() -> clap::Command {
    DaemonLine::command().mut_subcommand("ctl", |ctl| ctl.hide(true))
}

fn when(text: &str) -> Result<control::When, String> {
    if let Ok(ago) = duration(text) {
        return Ok(control::When::AgoMs(u64::try_from(ago.as_millis()).unwrap_or(u64::MAX)));
    }
    match twin::Timestamp::parse(text) {
        Some(_) => Ok(control::When::At(text.into())),
        None => {
            Err("a time is how long ago it was, like 90s, 2h or 3d, or 2026-11-23T10:00:00Z".into())
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed: Result<jiff::SignedDuration, _> = text.parse();
    parsed
        .ok()
        .and_then(|d| Duration::try_from(d).ok())
        .ok_or_else(|| "a time is a number and a unit, like 500ms, 10s or 2m".into())
}

/// Understands the command line; the program's own name decides which of the two it is.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, clap::Error> {
    let args: Vec<OsString> = args.into_iter().collect();
    let name = args.first().and_then(|arg| Path::new(arg).file_stem()).unwrap_or_default();
    if name == "gatewayctl" {
        return Tool::try_parse_from(args).map(Invocation::Tool);
    }
    let line = DaemonLine::try_parse_from(args)?;
    Ok(match line.ctl {
        Some(Ctl::Ctl(tool)) => Invocation::Tool(tool),
        None => Invocation::Daemon(line.daemon),
    })
}

/// The twin and the point of `TWIN/POINT`.
pub fn split(of: &str) -> (String, Option<String>) {
    match of.split_once('/') {
        Some((twin, point)) => (twin.into(), Some(point.into())),
        None => (of.into(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Invocation, clap::Error> {
        parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn two_names_one_program() {
        DaemonLine::command().debug_assert();
        Tool::command().debug_assert();
        assert!(matches!(parsed("/usr/bin/gatewayd"), Ok(Invocation::Daemon(_))));
        assert!(matches!(parsed("/usr/bin/gatewayctl twins"), Ok(Invocation::Tool(_))));
        assert!(matches!(parsed("gatewayd ctl twins --json"), Ok(Invocation::Tool(_))));
        assert!(parsed("gatewayd twins").is_err());
    }

    #[test]
    fn a_negative_value_is_no_option() {
        let Ok(Invocation::Tool(tool)) = parsed("gatewayctl set a/b -5 --wait --timeout 500ms")
        else {
            panic!("refused")
        };
        let Command::Set { value, wait, timeout, .. } = tool.command else { panic!("{tool:?}") };
        assert_eq!((&*value, wait, timeout), ("-5", true, Duration::from_millis(500)));
    }
}
