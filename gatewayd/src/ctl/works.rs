//! The gateway's own works for people.

use std::io;

use control::{Line, Link, Status, UnitState, Writes};

use super::paint::{Paint, Screen};
use super::table::{Cell, Table, time};

/// How the daemon is.
pub fn status(screen: &mut Screen, status: &Status) -> io::Result<()> {
    let (version, gateway) = (&status.version.version, &status.gateway);
    screen.line(&format!(
        "{}  gatewayd {version}, up {}",
        screen.paint(gateway, Paint::Bold),
        time(status.uptime_ms)
    ))?;
    screen.line(&format!("configuration  {}", status.config))?;
    let clock = if status.clock_set { "set" } else { "not set: times are missing" };
    screen.line(&format!("clock          {clock}"))?;
    screen.line(&format!("writes         {}", switch(&status.writes)))?;
    let counts: Vec<String> = status.twins.iter().map(|(s, n)| format!("{n} {s}")).collect();
    let twins = if counts.is_empty() { "none".into() } else { counts.join(", ") };
    screen.line(&format!("twins          {twins}"))?;
    let store = &status.store;
    let counts: String = store.counts.iter().map(|(name, n)| format!(", {name} {n}")).collect();
    screen.line(&format!("store          epoch {}, head {}{counts}", store.epoch, store.head))?;
    for alarm in &status.alarms {
        let words = format!("! {} (for {})", alarm.what, time(alarm.for_ms));
        screen.line(&screen.paint(&words, Paint::Bad))?;
        if let Some(help) = &alarm.help {
            screen.line(&format!("  {help}"))?;
        }
    }
    let mut table = Table::new(&["UNIT", "STATE", "RESTARTS", "FAULT"], &[2]);
    for unit in &status.units {
        let state = match unit.state {
            UnitState::Running => "running",
            UnitState::Waiting => "waiting",
            UnitState::Parked => "parked",
            UnitState::Stopped => "stopped",
        };
        table.row(vec![
            unit.name.clone().into(),
            Cell::painted(state, Paint::of(state)),
            unit.restarts.to_string().into(),
            retrying(unit.fault.as_deref(), unit.retry_in_ms).into(),
        ]);
    }
    screen.line("")?;
    table.show(screen)
}

/// The upstream connections.
pub fn links(screen: &mut Screen, links: &[Link]) -> io::Result<()> {
    if links.is_empty() {
        return screen
            .line("There are no links. A link is a section [link.NAME] in gatewayd.toml.");
    }
    let head =
        &["LINK", "DIALECT", "TARGET", "STATE", "FOR", "WAITING", "TODAY", "B/VALUE", "COMMANDS"];
    let mut table = Table::new(head, &[4, 5, 6, 7]);
    for link in links {
        // Each class counts every commit that it has still to pass: the largest stands for all.
        let waiting = link.pending.iter().map(|pending| pending.commits).max().unwrap_or(0);
        table.row(vec![
            Cell::painted(&link.name, Paint::Bold),
            link.dialect.clone().into(),
            link.target.clone().into(),
            Cell::painted(&link.state, Paint::of(&link.state)),
            link.for_ms.map(time).unwrap_or_default().into(),
            waiting.to_string().into(),
            bytes(link.traffic.day_bytes).into(),
            link.traffic.per_value().map(|n| format!("{n:.1}")).unwrap_or_default().into(),
            link.commands.clone().into(),
        ]);
    }
    table.show(screen)?;
    for link in links {
        let traffic = &link.traffic;
        if let Some(budget) = traffic.budget {
            let (used, of) = (bytes(traffic.month_bytes), bytes(budget));
            screen.line(&format!("{}: {used} of {of} used this month", link.name))?;
        }
        if let Some(waits) = &link.waits {
            screen.line(&screen.paint(&format!("{}: {waits}", link.name), Paint::Warn))?;
        }
    }
    for link in links.iter().filter(|link| link.detail.is_some()) {
        let words = retrying(link.detail.as_deref(), link.retry_in_ms);
        screen.line(&format!("{}: {words}", link.name))?;
        if link.state == "held" {
            screen.line(&format!(
                "  to give these messages up: gatewayctl links skip {}",
                link.name
            ))?;
        }
    }
    Ok(())
}

/// The lines to the assets.
pub fn lines(screen: &mut Screen, lines: &[Line]) -> io::Result<()> {
    if lines.is_empty() {
        return screen.line(
            "There are no lines. A line comes with the first device file in /etc/gatewayd/devices.d.",
        );
    }
    for (i, line) in lines.iter().enumerate() {
        if i > 0 {
            screen.line("")?;
        }
        let state = screen.paint(&line.state, Paint::of(&line.state));
        let name = screen.paint(&line.name, Paint::Bold);
        let detail = line.detail.as_ref().map(|d| format!("  {d}")).unwrap_or_default();
        screen.line(&format!("{name}  {}  {}  {state}{detail}", line.protocol, line.target))?;
        let counts: Vec<String> =
            line.counts.iter().map(|(name, n)| format!("{name} {n}")).collect();
        if !counts.is_empty() {
            screen.line(&screen.paint(&format!("  {}", counts.join("  ")), Paint::Dim))?;
        }
        let mut table = Table::new(&["", "TWIN", "ADDRESS", "STATE", ""], &[]);
        for device in &line.devices {
            table.row(vec![
                "".into(),
                device.twin.clone().into(),
                device.address.clone().into(),
                Cell::painted(&device.state, Paint::of(&device.state)),
                retrying(device.detail.as_deref(), device.retry_in_ms).into(),
            ]);
        }
        table.show(screen)?;
    }
    Ok(())
}

/// The write switch.
pub fn writes(screen: &mut Screen, writes: &Writes) -> io::Result<()> {
    screen.line(&format!("writes are {}", switch(writes)))
}

fn switch(writes: &Writes) -> String {
    match (writes.on, &writes.by) {
        (true, _) => "on".into(),
        (false, Some(by)) => format!("off, switched off by {by}; gatewayctl writes on"),
        (false, None) => "off; gatewayctl writes on".into(),
    }
}

/// Bytes for people: in the decimal units in which providers count.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn bytes(n: u64) -> String {
    let units = [("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];
    match units.into_iter().find(|(_, unit)| n as f64 >= *unit) {
        Some((name, unit)) => format!("{:.1} {name}", n as f64 / unit),
        None => format!("{n} B"),
    }
}

fn retrying(detail: Option<&str>, retry_in_ms: Option<u64>) -> String {
    let detail = detail.unwrap_or_default();
    match retry_in_ms {
        Some(ms) if detail.is_empty() => format!("next attempt in {}", time(ms)),
        Some(ms) => format!("{detail}; next attempt in {}", time(ms)),
        None => detail.into(),
    }
}
