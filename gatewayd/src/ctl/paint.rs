//! Where the tool writes, and colours where a person reads.

use std::io::{self, IsTerminal, Write};

/// Standard output, with colours where it is a terminal and `NO_COLOR` is not set.
pub struct Screen {
    out: Box<dyn Write>,
    colours: bool,
}

/// What a text is about; decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Paint {
    /// Nothing special.
    #[default]
    Plain,
    /// A heading.
    Bold,
    /// Less important.
    Dim,
    /// As it should be.
    Good,
    /// To be taken with care.
    Warn,
    /// Not as it should be.
    Bad,
}

impl Paint {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "\x1b[1m",
            Self::Dim => "\x1b[2m",
            Self::Good => "\x1b[32m",
            Self::Warn => "\x1b[33m",
            Self::Bad => "\x1b[31m",
        }
    }

    /// The colour of a quality, a life cycle state, or a stage.
    pub fn of(word: &str) -> Self {
        match word {
            "good" | "shadowed" | "confirmed" | "up" | "online" | "connected" | "running"
            | "on" => Self::Good,
            "bad" | "rejected" | "expired" | "unknown" | "down" | "offline" | "parked" | "held"
            | "off" | "disabled" => Self::Bad,
            "uncertain" | "out of sync" | "unbound" | "bound" | "waiting" | "connecting"
            | "paused" => Self::Warn,
            _ => Self::Plain,
        }
    }
}

impl Screen {
    /// Standard output.
    pub fn stdout() -> Self {
        let out = io::stdout();
        let colours = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { out: Box::new(out), colours }
    }

    /// Something else that takes bytes; without colours.
    #[cfg(test)]
    pub fn plain(out: impl Write + 'static) -> Self {
        Self { out: Box::new(out), colours: false }
    }

    /// Writes a line.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }

    /// The text in this colour.
    pub fn paint(&self, text: &str, paint: Paint) -> String {
        if self.colours && paint != Paint::Plain {
            format!("{}{text}\x1b[0m", paint.code())
        } else {
            text.into()
        }
    }
}
