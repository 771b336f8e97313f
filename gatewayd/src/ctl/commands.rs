//! What each command of the tool does.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use base::Clock;
use control::{Answer, Code, Failure, Outcome, Past, Plan, Reloaded, Reply, Request};

use super::alarms;
use super::check::check;
use super::client::{Client, ClientError};
use super::paint::Screen;
use super::rollback::{Rollback, RollbackError};
use super::{generate, history, modbus, plan, replay, tap, twins, works};
use crate::cli::{Command, LinkAction, Tool, WritesAction, split};

/// How the tool ends; the codes are documented in its help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// As asked.
    Done = 0,
    /// Refused, not found, or device files are broken.
    Refused = 1,
    /// The daemon does not answer.
    Unavailable = 69,
    /// No answer in time, or an unknown outcome.
    Uncertain = 75,
    /// Not permitted.
    NotPermitted = 77,
    /// `gatewayd.toml` cannot be used.
    Configuration = 78,
}

#[derive(Debug, thiserror::Error)]
enum ToolError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Rollback(#[from] RollbackError),
    #[error("cannot write the output")]
    Output(#[from] io::Error),
    #[error(transparent)]
    Said(#[from] Said),
}

/// Something that a command cannot do, in words.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Said {
    /// What.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl Said {
    /// Without advice.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    /// With advice.
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

impl From<Failure> for Said {
    fn from(failure: Failure) -> Self {
        Self { message: failure.message, help: failure.help }
    }
}

impl From<ClientError> for Said {
    fn from(error: ClientError) -> Self {
        Self { message: chain(&error), help: Some(error.help()) }
    }
}

impl From<io::Error> for Said {
    fn from(error: io::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// Runs the tool.
pub fn run(tool: &Tool) -> ExitCode {
    let exit = match execute(tool, &mut Screen::stdout()) {
        Ok(exit) => exit,
        // `gatewayctl watch | head` is no failure.
        Err(ToolError::Output(e)) if e.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(error) => {
            let help = match &error {
                ToolError::Client(e) => Some(e.help()),
                ToolError::Said(said) => said.help.clone(),
                ToolError::Rollback(e) => Some(e.help()),
                ToolError::Output(_) => None,
            };
            complain(&chain(&error), help.as_deref());
            match error {
                ToolError::Client(ClientError::NotPermitted { .. }) => Exit::NotPermitted,
                ToolError::Client(ClientError::Silent(_)) => Exit::Uncertain,
                ToolError::Client(_) => Exit::Unavailable,
                ToolError::Rollback(_) | ToolError::Output(_) | ToolError::Said(_) => Exit::Refused,
            }
        }
    };
    ExitCode::from(exit as u8)
}

fn execute(tool: &Tool, screen: &mut Screen) -> Result<Exit, ToolError> {
    match &tool.command {
        Command::Check { config } => return Ok(check(screen, config, tool.json)?),
        Command::Schema { of } => generate::show_schema(screen, *of)?,
        Command::Completions { shell } => generate::show_completions(screen, *shell)?,
        Command::Generate { dir } => generate::everything(dir)?,
        Command::Modbus { action } => return Ok(modbus::run(screen, action, tool)?),
        Command::Replay { file, listen, way } => {
            return Ok(replay::replay(screen, file, *listen, *way)?);
        }
        Command::Record { line, file } => {
            return Ok(tap::record(screen, &mut Client::connect(&tool.socket)?, line, file)?);
        }
        Command::Rollback { config, state, dry_run, .. } => {
            let rollback = Rollback::find(config, state)?;
            let backup = if *dry_run { None } else { Some(rollback.carry_out(&Clock::system())?) };
            rollback.show(screen, tool.json, backup.as_deref())?;
            if !*dry_run {
                return ask(tool, screen, request(&tool.command));
            }
        }
        command => return ask(tool, screen, request(command)),
    }
    Ok(Exit::Done)
}

fn ask(tool: &Tool, screen: &mut Screen, request: Request) -> Result<Exit, ToolError> {
    let mut client = Client::connect(&tool.socket)?;
    client.ask(request)?;
    // A reload whose device files are broken has failed, whatever the verdict on the rest is.
    let mut broken = false;
    if let Command::History { csv: true, .. } = tool.command {
        history::heading(screen)?;
    }
    loop {
        let answer = client.answer()?;
        broken |= matches!(&answer, Answer::Reloaded(done) if !done.problems.is_empty());
        if tool.json {
            screen.line(&encoded(&answer)?)?;
        } else {
            show(screen, &tool.command, &answer)?;
        }
        if let Some(exit) = exit(&answer) {
            return Ok(if broken { Exit::Refused } else { exit });
        }
    }
}

fn encoded(answer: &Answer) -> io::Result<String> {
    serde_json::to_string(&Reply::new(answer.clone())).map_err(io::Error::other)
}

fn request(command: &Command) -> Request {
    match command {
        Command::Tap { line } => Request::Tap { line: line.clone() },
        // The others are answered without the daemon, or ask it in their own way.
        Command::Status
        | Command::Check { .. }
        | Command::Schema { .. }
        | Command::Completions { .. }
        | Command::Generate { .. }
        | Command::Modbus { .. }
        | Command::Record { .. }
        | Command::Replay { .. } => Request::Status,
        Command::Twins { twin, .. } => Request::Twins { twin: twin.clone() },
        Command::Watch { of } => {
            let (twin, point) = of.as_deref().map(split).unzip();
            Request::Watch { twin, point: point.flatten() }
        }
        Command::Read { of, points, timeout } => {
            let (twin, point) = split(of);
            let points = point.into_iter().chain(points.iter().cloned()).collect();
            Request::Read { twin, points, timeout_ms: millis(*timeout) }
        }
        Command::Set { point, value, wait, timeout, key } => {
            let (twin, point) = split(point);
            Request::Set {
                twin,
                point: point.unwrap_or_default(),
                value: value.as_str().into(),
                wait: *wait,
                timeout_ms: millis(*timeout),
                key: key.clone(),
            }
        }
        Command::Links { action: None } => Request::Links,
        Command::Links { action: Some(LinkAction::Skip { link }) } => {
            Request::LinksSkip { link: link.clone() }
        }
        Command::Lines => Request::Lines,
        Command::Why { of } => {
            let (twin, point) = split(of);
            Request::Why { twin, point }
        }
        Command::Writes { action } => Request::Writes {
            on: match action {
                WritesAction::On => Some(true),
                WritesAction::Off => Some(false),
                WritesAction::Status => None,
            },
        },
        Command::Relate { twin, name, target } | Command::Unrelate { twin, name, target } => {
            Request::Relate {
                twin: twin.clone(),
                name: name.clone(),
                target: target.clone(),
                on: matches!(command, Command::Relate { .. }),
            }
        }
        Command::Maintain { twin, lasts, reason, end: _ } => Request::Maintain {
            twin: twin.clone(),
            for_ms: lasts.map(millis),
            reason: reason.clone(),
        },
        Command::Alarms { twin, all } => Request::Alarms { twin: twin.clone(), all: *all },
        Command::Ack { of } => {
            let (twin, alarm) = split(of);
            Request::Acknowledge { twin, alarm }
        }
        Command::Shelve { alarm, lasts } => shelve(alarm, Some(millis(*lasts))),
        Command::Unshelve { alarm } => shelve(alarm, None),
        Command::Purge { twin, .. } => Request::Purge { twin: twin.clone() },
        Command::Plan => Request::Plan,
        Command::Reload { watch } | Command::Rollback { watch, .. } => {
            Request::Reload { window_ms: if watch.no_window { 0 } else { millis(watch.window) } }
        }
        Command::History { of, points, since, until, from, to, last, every, class, csv: _ } => {
            let (twin, point) = of.as_deref().map(split).unzip();
            Request::History(Past {
                twin,
                points: point.flatten().into_iter().chain(points.iter().cloned()).collect(),
                since: since.clone(),
                until: until.clone(),
                from: *from,
                to: *to,
                last: *last,
                every_ms: every.map(millis),
                class: class.clone(),
            })
        }
    }
}

fn shelve(of: &str, for_ms: Option<u64>) -> Request {
    let (twin, alarm) = split(of);
    Request::Shelve { twin, alarm: alarm.unwrap_or_default(), for_ms }
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn show(screen: &mut Screen, command: &Command, answer: &Answer) -> io::Result<()> {
    match answer {
        Answer::Version(version) => {
            screen.line(&format!("{} {}", version.program, version.version))
        }
        Answer::Status(status) => works::status(screen, status),
        Answer::Twins { twins } => {
            twins::twins(screen, twins, matches!(command, Command::Twins { brief: true, .. }))
        }
        Answer::Update(update) => twins::update(screen, update),
        Answer::Readings { points, .. } => twins::points(screen, points),
        Answer::Command(command) => twins::step(screen, command),
        Answer::Links { links } => works::links(screen, links),
        Answer::Skipped { link, messages } => {
            screen.line(&format!("{link}: gave up all that waited, {messages} commits at most"))
        }
        Answer::Lines { lines } => works::lines(screen, lines),
        Answer::Why(why) => twins::why(screen, why),
        Answer::Writes(writes) => works::writes(screen, writes),
        Answer::Related { twin, relationships } => twins::related(screen, twin, relationships),
        Answer::Maintained { twin, maintenance } => {
            twins::maintained(screen, twin, maintenance.as_ref())
        }
        Answer::Alarms { alarms: shown } => alarms::alarms(screen, shown),
        Answer::Purged { twin } => screen.line(&format!("{twin} is gone for good")),
        Answer::Plan(planned) => plan::plan(screen, planned),
        Answer::Reloaded(reloaded) => plan::reloaded(screen, reloaded),
        Answer::Verdict(verdict) => plan::verdict(screen, verdict),
        Answer::History(page) => {
            history::page(screen, page, matches!(command, Command::History { csv: true, .. }))
        }
        Answer::Tapped(piece) => tap::show(screen, piece),
        Answer::Asked(asked) => screen.line(&asked.answer),
        Answer::Error(Failure { message, help, .. }) => {
            complain(message, help.as_deref());
            Ok(())
        }
    }
}

/// How the tool ends after this answer; `None` where more follows.
fn exit(answer: &Answer) -> Option<Exit> {
    match answer {
        Answer::Update(_) | Answer::Tapped(_) => None,
        Answer::History(page) if !page.ended => None,
        Answer::Command(command) if !command.ended => None,
        Answer::Command(command) => Some(match &*command.stage {
            "accepted" | "confirmed" => Exit::Done,
            "unknown" => Exit::Uncertain,
            _ => Exit::Refused,
        }),
        Answer::Error(failure) => Some(match failure.code {
            Code::NotAllowed => Exit::NotPermitted,
            Code::Timeout => Exit::Uncertain,
            _ => Exit::Refused,
        }),
        Answer::Reloaded(reloaded) if reloaded.watched_ms.is_some() => None,
        Answer::Reloaded(Reloaded { problems, .. }) | Answer::Plan(Plan { problems, .. })
            if !problems.is_empty() =>
        {
            Some(Exit::Refused)
        }
        Answer::Verdict(verdict) if verdict.outcome != Outcome::Good => Some(Exit::Refused),
        _ => Some(Exit::Done),
    }
}

fn complain(message: &str, help: Option<&str>) {
    let mut err = io::stderr().lock();
    // Nobody is left to tell when stderr is gone.
    writeln!(err, "error: {message}").ok();
    if let Some(help) = help {
        writeln!(err, "  help: {help}").ok();
    }
}

/// An error and its causes in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_fails_by_errors_and_not_by_warnings() {
        let some = vec!["words".to_owned()];
        let warned = Reloaded { warnings: some.clone(), ..Reloaded::default() };
        assert_eq!(exit(&Answer::Reloaded(warned)), Some(Exit::Done), "as `check` ends with 0");
        let broken = Reloaded { problems: some, ..Reloaded::default() };
        assert_eq!(exit(&Answer::Reloaded(broken)), Some(Exit::Refused));
    }
}
