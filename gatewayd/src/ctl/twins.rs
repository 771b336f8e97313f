//! Twins, readings and commands for people.

use std::io;

use control::{Command, Maintenance, Point, Relationship, Twin, Update, Why};
use serde_json::Value;

use super::alarms;
use super::paint::{Paint, Screen};
use super::table::{Cell, Table, time};

const POINTS: &[&str] = &["", "POINT", "VALUE", "UNIT", "QUALITY", "AGE", "ASKED"];

/// All twins with their points.
pub fn twins(screen: &mut Screen, twins: &[Twin], brief: bool) -> io::Result<()> {
    if twins.is_empty() {
        return screen.line(
            "There are no twins yet. A twin is a file in /etc/gatewayd/devices.d; then: gatewayctl reload",
        );
    }
    if brief {
        let mut table = Table::new(&["TWIN", "LIFE CYCLE", "MODEL", "LINE", "POINTS", "READ"], &[]);
        for twin in twins {
            table.row(vec![
                Cell::painted(&twin.id, Paint::Bold),
                state(twin),
                twin.model.clone().unwrap_or_default().into(),
                twin.line.clone().unwrap_or_default().into(),
                twin.points.len().to_string().into(),
                twin.age_ms.map(|ms| format!("{} ago", time(ms))).unwrap_or_default().into(),
            ]);
        }
        return table.show(screen);
    }
    for (i, twin) in twins.iter().enumerate() {
        if i > 0 {
            screen.line("")?;
        }
        heading(screen, twin)?;
        for relationship in &twin.relationships {
            screen.line(&format!("  {} {}", relationship.name, relationship.target))?;
        }
        twin.alarms.iter().try_for_each(|alarm| alarms::standing(screen, alarm))?;
        points(screen, &twin.points)?;
    }
    Ok(())
}

/// The planned work on a twin's asset.
pub fn maintained(screen: &mut Screen, twin: &str, now: Option<&Maintenance>) -> io::Result<()> {
    let Some(Maintenance { until, reason, .. }) = now else {
        return screen.line(&format!("{twin} is not under maintenance any more"));
    };
    let until = until.as_ref().map(|until| format!(" until {until}")).unwrap_or_default();
    screen.line(&format!("{twin} is under maintenance{until}: {reason}"))
}

/// The relationships of a twin.
pub fn related(screen: &mut Screen, twin: &str, all: &[Relationship]) -> io::Result<()> {
    if all.is_empty() {
        return screen.line(&format!("{twin} has no relationships"));
    }
    all.iter().try_for_each(|r| screen.line(&format!("{twin}  {} {}", r.name, r.target)))
}

fn state(twin: &Twin) -> Cell {
    match &twin.disabled {
        Some(_) => Cell::painted("disabled", Paint::Bad),
        None => Cell::painted(&twin.life_cycle, Paint::of(&twin.life_cycle)),
    }
}

fn heading(screen: &mut Screen, twin: &Twin) -> io::Result<()> {
    let mut line = screen.paint(&twin.id, Paint::Bold);
    let mut add = |text: String| {
        line.push_str("  ");
        line.push_str(&text);
    };
    add(screen.paint(&twin.life_cycle, Paint::of(&twin.life_cycle)));
    for text in [&twin.model, &twin.asset, &twin.line].into_iter().flatten() {
        add(text.clone());
    }
    if let Some(ms) = twin.age_ms {
        add(screen.paint(&format!("read {} ago", time(ms)), Paint::Dim));
    }
    if let Some(entanglement) = &twin.entanglement {
        let paint = if entanglement.class == "strong" { Paint::Dim } else { Paint::Warn };
        let text = format!("entangled {:.2} ({})", entanglement.value, entanglement.class);
        add(screen.paint(&text, paint));
    }
    screen.line(&line)?;
    if let Some(Maintenance { until, reason, by }) = &twin.maintenance {
        let until = until.as_ref().map(|until| format!(" until {until}")).unwrap_or_default();
        let text = format!("  under maintenance{until}, says {by}: {reason}");
        screen.line(&screen.paint(&text, Paint::Warn))?;
    }
    match &twin.disabled {
        Some(why) => screen.line(&screen.paint(&format!("  disabled: {why}"), Paint::Bad)),
        None => Ok(()),
    }
}

/// A table of points.
pub fn points(screen: &mut Screen, points: &[Point]) -> io::Result<()> {
    let mut table = Table::new(POINTS, &[2]);
    for point in points {
        table.row(row(point));
    }
    if table.is_empty() { screen.line("  no points") } else { table.show(screen) }
}

fn row(point: &Point) -> Vec<Cell> {
    let mut quality = point.quality.clone();
    if let Some(cause) = &point.cause {
        quality = format!("{quality} ({cause}");
        if let Some(code) = point.code {
            quality = format!("{quality}, code {code}");
        }
        quality.push(')');
    }
    let asked = match (&point.desired, &point.command) {
        (Some(value), Some(stage)) => format!("{value} {stage}"),
        _ => String::new(),
    };
    vec![
        "".into(),
        format!("{}/{}", point.feature, point.name).into(),
        shown(point).into(),
        point.unit.clone().unwrap_or_default().into(),
        Cell::painted(quality, Paint::of(&point.quality)),
        point.age_ms.map(time).unwrap_or_default().into(),
        asked.into(),
    ]
}

fn shown(point: &Point) -> String {
    match (&point.text, &point.value) {
        (Some(text), _) => text.clone(),
        (None, Value::Null) => "-".into(),
        (None, other) => other.to_string(),
    }
}

/// One thing that happened.
pub fn update(screen: &mut Screen, update: &Update) -> io::Result<()> {
    let when = update.time.clone().unwrap_or_else(|| "clock unset".into());
    let who = update.twin.clone().unwrap_or_else(|| "gateway".into());
    let head = format!("{} {} {who}", screen.paint(&when, Paint::Dim), update.seq);
    if update.points.is_empty() {
        let detail = update.detail.clone().unwrap_or_default();
        return screen.line(&format!("{head} {} {detail}", update.what));
    }
    for point in &update.points {
        let unit = point.unit.as_ref().map(|u| format!(" {u}")).unwrap_or_default();
        let mut line = format!("{head} {}/{} {}{unit}", point.feature, point.name, shown(point));
        if point.quality != "good" {
            let cause = point.cause.as_ref().map(|c| format!(" ({c})")).unwrap_or_default();
            let words = format!(" {}{cause}", point.quality);
            line.push_str(&screen.paint(&words, Paint::of(&point.quality)));
        }
        screen.line(&line)?;
    }
    Ok(())
}

/// One step of a command.
pub fn step(screen: &mut Screen, command: &Command) -> io::Result<()> {
    let stage = screen.paint(&format!("{:<12}", command.stage), Paint::of(&command.stage));
    let mut line = format!("{stage} {:>9.1} ms", command.after_ms);
    if command.known {
        line.push_str("  (known: this key was used before)");
    }
    if let Some(detail) = command.detail.as_ref().or(command.reason.as_ref()) {
        line.push_str("  ");
        line.push_str(detail);
    }
    screen.line(&line)
}

/// Why something is as it is.
pub fn why(screen: &mut Screen, why: &Why) -> io::Result<()> {
    let of = why.point.as_ref().map_or(why.twin.clone(), |point| format!("{}/{point}", why.twin));
    screen.line(&format!("{}: {}", screen.paint(&of, Paint::Bold), why.verdict))?;
    for section in &why.sections {
        screen.line("")?;
        screen.line(&screen.paint(&section.title, Paint::Bold))?;
        let width = section.rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, value) in &section.rows {
            screen.line(&format!("  {name:<width$}  {value}"))?;
        }
    }
    Ok(())
}
