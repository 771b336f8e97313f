//! What a link is built from, and how its patterns match.

use std::path::Path;
use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use settings::Secret;
use twin::Name;
use twin_store::Class;
use wire::MqttOptions;

use crate::dialect::Message;

/// One link, as configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkSpec {
    /// Its name; its lanes are kept under it.
    pub name: Name,
    /// The broker's host name or address.
    pub host: String,
    /// The broker's port.
    pub port: u16,
    /// TLS where given.
    pub tls: Option<tls::ClientSettings>,
    /// The version of MQTT.
    pub version: wire::Version,
    /// Our client id.
    pub client_id: String,
    /// Our user name.
    pub user: Option<String>,
    /// Where our password is.
    pub password: Option<Secret>,
    /// Where the topic tree begins.
    pub prefix: String,
    /// The longest silence.
    pub keep_alive: Duration,
    /// How long the broker keeps our session.
    pub session_expiry: Duration,
    /// How many messages may be under way.
    pub window: u16,
    /// Which points may be commanded, as `twin/feature/name`; `None`: the link does not listen.
    pub commands: Option<Vec<Pattern>>,
    /// The shortest time between two messages to one state topic.
    pub state_interval: Duration,
    /// Which twins go through.
    pub twins: Vec<Pattern>,
    /// Which classes go through.
    pub classes: Vec<Class>,
    /// Everything in the order in which it happened.
    pub strict: bool,
    /// Messages per second of backlog; `None`: as many as the broker takes.
    pub backlog_rate: Option<u32>,
    /// Backlogs of links with a lower one wait while this link has one.
    pub priority: u8,
    /// Which points go through, as `twin/feature/name`.
    pub points: Vec<Pattern>,
    /// Several readings in one message.
    pub batch: Option<Batch>,
    /// The zone of schedules, days and months.
    pub zone: TimeZone,
    /// When classes may go; those that are in none may go at any time.
    pub schedule: Vec<Window>,
    /// How much may go in a month.
    pub budget: Option<Budget>,
    /// New commands per second that are taken.
    pub command_rate: u32,
    /// How long it may be without a connection before that is an alarm; zero is for ever.
    pub alarm_after: Duration,
}

/// When several readings become one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// So many changes are enough.
    pub changes: usize,
    /// None waits longer than this for others.
    pub delay: Duration,
    /// Compressed as gzip.
    pub gzip: bool,
}

/// A time of day in which classes may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Which, in the order of [`Class::ALL`].
    pub classes: [bool; 3],
    /// The days on which it begins, from Monday on.
    pub days: [bool; 7],
    /// When it begins.
    pub from: Time,
    /// When it ends; on the next day where that is not after `from`.
    pub to: Time,
}

/// How much may go in a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Bytes.
    pub month: u64,
    /// What goes on when it is used up, in the order of [`Class::ALL`].
    pub exempt: [bool; 3],
}

/// Why a link cannot even try to connect.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// The password cannot be read.
    #[error("cannot read the password")]
    Password(#[from] settings::SecretError),
    /// The certificates cannot be used.
    #[error("cannot use the certificates")]
    Tls(#[from] tls::TlsError),
    /// Reading them failed in a way that is a defect of ours.
    #[error("reading password and certificates panicked; please report it with the journal")]
    Panic,
}

impl LinkSpec {
    /// The certificates, read now; `None` where the link speaks without TLS.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn client(&self) -> Result<Option<tls::Client>, SpecError> {
        Ok(self.tls.as_ref().map(tls::Client::new).transpose()?)
    }

    /// What a session needs. Reads the password, so that a new one is used at the next connection.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn options(
        &self,
        credentials: Option<&Path>,
        tls: Option<tls::Client>,
        offline: Option<Message>,
    ) -> Result<MqttOptions, SpecError> {
        let mut options = MqttOptions::new(&self.host, self.port, self.version, &self.client_id);
        options.tls = tls;
        options.username.clone_from(&self.user);
        options.password = self.password.as_ref().map(|p| p.read(credentials)).transpose()?;
        options.keep_alive = self.keep_alive;
        options.session_expiry = self.session_expiry;
        options.clean = self.session_expiry.is_zero();
        options.window = self.window;
        options.will = offline.map(|message| wire::Will {
            topic: message.topic,
            payload: message.payload,
            qos: wire::Qos::AtLeastOnce,
            retain: message.retain,
            delay: Duration::ZERO,
            content_type: None,
        });
        Ok(options)
    }
}

/// A text in which `*` stands for any characters, `/` included, and `?` for any one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Box<str>);

impl Pattern {
    /// The pattern written like this.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Whether `text` is of this pattern.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let (mut pattern, mut text) = (self.0.as_bytes(), text.as_bytes());
        // Where to go on when what follows the last star does not match here.
        let mut again: Option<(&[u8], &[u8])> = None;
        loop {
            match (pattern.split_first(), text.split_first()) {
                (Some((b'*', rest)), _) => {
                    again = Some((rest, text));
                    pattern = rest;
                }
                (Some((p, pattern_rest)), Some((t, text_rest))) if p == t || *p == b'?' => {
                    (pattern, text) = (pattern_rest, text_rest);
                }
                (None, None) => return true,
                _ => {
                    let Some((after_star, from)) = again else { return false };
                    let Some((_, later)) = from.split_first() else { return false };
                    again = Some((after_star, later));
                    (pattern, text) = (after_star, later);
                }
            }
        }
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// Whether one of them matches.
pub(crate) fn any(patterns: &[Pattern], text: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, is) in [
            ("*", "", true),
            ("*", "a/b", true),
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*b", "ab", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abcd", false),
            ("meter-*/heating/*", "meter-1/heating/setpoint", true),
            ("meter-*/heating/*", "meter-1/cooling/setpoint", false),
            ("a*a", "a", false),
            ("a*ab", "aaab", true),
            ("meter-?", "meter-1", true),
            ("meter-?", "meter-12", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text), is, "{pattern} {text}");
        }
    }
}
