//! What is generated from the command line and the settings: man pages, shell completions, JSON schemas.
//!
//! The package is built with what the very program in it says, so none of it can be out of date.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::{Command, ValueEnum};
use clap_complete::{Generator, Shell};
use clap_mangen::Man;
use serde_json::Value;

use super::paint::Screen;
use crate::cli::{self, SchemaOf};
use crate::config::file::{DeviceFile, GatewayFile, ProfileFile};
use crate::config::sunspec::ModelFile;

/// The schema of a file of settings.
pub fn schema(of: SchemaOf) -> Value {
    match of {
        SchemaOf::Gateway => settings::editor_schema::<GatewayFile>("gatewayd.toml"),
        SchemaOf::Device => settings::editor_schema::<DeviceFile>("A device of gatewayd"),
        SchemaOf::Profile => settings::editor_schema::<ProfileFile>("A device model of gatewayd"),
        SchemaOf::Sunspec => settings::editor_schema::<ModelFile>("A model of SunSpec"),
    }
}

/// Shows a schema.
pub fn show_schema(screen: &mut Screen, of: SchemaOf) -> io::Result<()> {
    screen.line(&format!("{:#}", schema(of)))
}

/// Shows what makes a shell complete the words of the tool.
pub fn show_completions(screen: &mut Screen, shell: Shell) -> io::Result<()> {
    screen.line(String::from_utf8_lossy(&completions(shell)).trim_end())
}

/// Writes everything below this directory, as the package has it: `man1`, `man8`, `schema`, a folder for each shell, and
/// the format of the store.
pub fn everything(dir: &Path) -> io::Result<()> {
    let file = |folder: &str, name: &str, bytes: &[u8]| {
        fs::create_dir_all(dir.join(folder))?;
        fs::write(dir.join(folder).join(name), bytes)
    };
    for (name, page) in pages()? {
        let section = name.rsplit('.').next().unwrap_or_default();
        file(&format!("man{section}"), &name, &page)?;
    }
    for shell in SHELLS {
        let name = shell.file_name("gatewayctl");
        let name = name.strip_suffix(".bash").unwrap_or(&name);
        file(&shell.to_string(), name, &completions(shell))?;
    }
    for of in SchemaOf::value_variants() {
        let name = of.to_possible_value().map(|v| format!("{}.json", v.get_name()));
        file("schema", &name.unwrap_or_default(), format!("{:#}\n", schema(*of)).as_bytes())?;
    }
    file(".", "store-format", format!("{}\n", twin_store::FORMAT).as_bytes())
}

/// The shells that Debian has.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

fn completions(shell: Shell) -> Vec<u8> {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut cli::tool(), "gatewayctl", &mut out);
    out
}

/// A man page for the daemon, one for the tool and one for each of its commands, by file name.
fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let (daemon, tool) = (cli::daemon(), cli::tool());
    let mut pages = vec![
        ("gatewayd.8".to_owned(), page(daemon, "8", include_str!("generate/gatewayd.8"))?),
        (
            "gatewayctl.1".to_owned(),
            page(tool.clone(), "1", include_str!("generate/gatewayctl.1"))?,
        ),
    ];
    below(tool, &mut pages)?;
    Ok(pages)
}

fn below(mut command: Command, pages: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    // Gives the commands below their full names and the options that all share.
    command.build();
    let commands = command.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help");
    for command in commands.cloned() {
        let name = command.get_display_name().unwrap_or_default().to_owned();
        let rest = format!(".SH \"SEE ALSO\"\n.BR {} (1)\n", parent(&name));
        pages.push((format!("{name}.1"), page(command.clone(), "1", &rest)?));
        below(command, pages)?;
    }
    Ok(())
}

fn parent(name: &str) -> &str {
    name.rsplit_once('-').map_or(name, |(parent, _)| parent)
}

/// What the command line says of a command, and then `rest`.
fn page(command: Command, section: &str, rest: &str) -> io::Result<Vec<u8>> {
    let more = command.get_subcommands().any(|c| !c.is_hide_set());
    let manual = if section == "8" { "System administration" } else { "User commands" };
    let man = Man::new(command);
    let mut out = Vec::new();
    // Without a date, so that two builds are equal; clap_mangen would leave it out and move what follows.
    let title = man.get_filename().replace(".1", "").to_uppercase();
    let version = env!("CARGO_PKG_VERSION");
    writeln!(out, ".TH {title} {section} \"\" \"gatewayd {version}\" \"{manual}\"")?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    man.render_options_section(&mut out)?;
    if more {
        man.render_subcommands_section(&mut out)?;
    }
    out.write_all(rest.as_bytes())?;
    Ok(out)
}

#[cfg(test)]
#[path = "generate_tests.rs"]
mod tests;
