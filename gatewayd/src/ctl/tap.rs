//! `tap` and `record`: what goes over a line.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use control::{Answer, Request, Tapped};

use super::client::Client;
use super::commands::{Exit, Said};
use super::paint::{Paint, Screen};
use super::recording;

/// One piece for people: time, direction, what it is, its bytes.
pub fn show(screen: &mut Screen, piece: &Tapped) -> io::Result<()> {
    if piece.lost > 0 {
        let words = format!("… {} pieces are missing: this end was too slow", piece.lost);
        screen.line(&screen.paint(&words, Paint::Warn))?;
    }
    let (seconds, micros) = (piece.at_us / 1_000_000, piece.at_us % 1_000_000);
    let (arrow, paint) = if piece.sent { ("→", Paint::Plain) } else { ("←", Paint::Good) };
    let words = screen.paint(&format!("{arrow} {}", piece.words), paint);
    let hex = screen.paint(&piece.hex, Paint::Dim);
    screen.line(&format!("{seconds}.{micros:06} {words}  {hex}"))
}

/// Records a line until interrupted.
pub fn record(
    screen: &mut Screen,
    client: &mut Client,
    line: &str,
    file: &Path,
) -> Result<Exit, Said> {
    client.ask(Request::Lines)?;
    let lines = match client.answer()? {
        Answer::Lines { lines } => lines,
        Answer::Error(failure) => return Err(failure.into()),
        _ => return Err(Said::new("gatewayd's answer is not understood")),
    };
    let Some(known) = lines.iter().find(|known| known.name == line || known.target == line) else {
        return Err(Said::new(format!("there is no line {line:?}")).help("gatewayctl lines"));
    };
    client.ask(Request::Tap { line: known.name.clone() })?;
    let opened = OpenOptions::new().write(true).create_new(true).open(file);
    let opened = opened.map_err(|error| {
        Said::new(format!("cannot make {}: {error}", file.display()))
            .help("name a file that is not there yet")
    })?;
    let mut out = BufWriter::new(opened);
    writeln!(out, "{}", recording::head(&known.name, &known.protocol))?;
    out.flush()?;
    screen.line(&format!(
        "recording {} into {}; end it with Ctrl-C",
        known.name,
        file.display()
    ))?;
    loop {
        match client.answer()? {
            Answer::Tapped(piece) => {
                let piece = serde_json::to_string(&piece).map_err(io::Error::other)?;
                writeln!(out, "{piece}")?;
                // What is recorded is there, however this ends.
                out.flush()?;
            }
            Answer::Error(failure) => return Err(failure.into()),
            _ => {}
        }
    }
}
