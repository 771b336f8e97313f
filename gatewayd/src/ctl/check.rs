//! `gatewayctl check`: the same code as start-up, without touching anything.

use std::path::Path;

use super::commands::Exit;
use super::paint::Screen;

/// Checks the configuration and shows every mistake.
pub fn check(screen: &mut Screen, config: &Path, json: bool) -> std::io::Result<Exit> {
    let _ = (config, json);
    screen.line("not yet")?;
    Ok(Exit::Done)
}
