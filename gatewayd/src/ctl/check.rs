//! `gatewayctl check`: the same code as start-up, without touching anything.

use std::path::Path;

use serde_json::json;
use settings::{Diagnostic, Severity};

use super::commands::Exit;
use super::paint::Screen;
use crate::config::{self, Loaded};

/// Checks the configuration and shows every mistake.
pub fn check(screen: &mut Screen, config: &Path, json: bool) -> std::io::Result<Exit> {
    let loaded = config::load(config);
    if json {
        screen.line(&document(&loaded).to_string())?;
    } else {
        for diagnostic in &loaded.diagnostics {
            screen.line(&format!("{diagnostic}\n"))?;
        }
        screen.line(&summary(config, &loaded))?;
    }
    Ok(match loaded.exit_code() {
        0 => Exit::Done,
        1 => Exit::Refused,
        _ => Exit::Configuration,
    })
}

/// What the configuration comes to, in one line.
fn summary(config: &Path, loaded: &Loaded) -> String {
    let (errors, warnings) = loaded.counts();
    let noun =
        |n: usize, one: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") };
    let Some(plan) = &loaded.plan else {
        return format!("{}: cannot be used, {}", config.display(), noun(errors, "error"));
    };
    let devices = plan.devices().count();
    let lines = noun(plan.modbus.len(), "line");
    let mut text = format!("{}: {} on {lines}", config.display(), noun(devices, "device"));
    if !loaded.disabled.is_empty() {
        let files = noun(loaded.disabled.len(), "device file");
        text.push_str(&format!("; {files} cannot be used, {}", noun(errors, "error")));
    }
    if warnings > 0 {
        text.push_str(&format!("; {}", noun(warnings, "warning")));
    }
    text
}

fn document(loaded: &Loaded) -> serde_json::Value {
    let mistake = |d: &Diagnostic| {
        json!({
            "severity": if d.severity == Severity::Error { "error" } else { "warning" },
            "file": &*d.file,
            "line": d.line,
            "column": d.column,
            "key": d.key,
            "message": d.message,
            "help": d.help,
        })
    };
    json!({
        "usable": loaded.plan.is_some(),
        "devices": loaded.plan.as_ref().map_or(0, |plan| plan.devices().count()),
        "disabled": loaded.disabled.iter().map(|d| &*d.file).collect::<Vec<_>>(),
        "diagnostics": loaded.diagnostics.iter().map(mistake).collect::<Vec<_>>(),
    })
}
