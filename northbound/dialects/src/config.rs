//! The section `[link.NAME]` of gatewayd.toml.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use settings::{Diagnostic, Duration, KeyPath, Secret, Source};
use twin::Name;
use twin_store::Class;

use crate::spec::{LinkSpec, Pattern};
pub use limits::{BatchSection, BudgetSection, Compress, DayWord, ScheduleSection};

mod limits;

/// One upstream connection: where the broker is, who we are there, and what goes through.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkSection {
    /// `mqtt://host:1883`, or `mqtts://host:8883` for TLS. The port may be left out.
    pub url: String,
    /// The version of MQTT that is spoken.
    #[serde(default)]
    pub version: Version,
    /// User name at the broker.
    pub user: Option<String>,
    /// Where the password is: `"cred:NAME"` or the absolute path of a file.
    pub password: Option<Secret>,
    /// The client id, unique at the broker. Default: `gatewayd-<gateway>-<link>`.
    pub client_id: Option<String>,
    /// Where the topic tree begins; `{gateway}` stands for the gateway's name.
    #[serde(default = "prefix")]
    pub prefix: String,
    /// The longest silence towards the broker.
    #[serde(default = "keep_alive")]
    pub keep_alive: Duration,
    /// How long the broker keeps commands for us while we are away (MQTT 5). Default: it keeps none.
    #[serde(default)]
    pub session_expiry: Duration,
    /// How many messages may be under way unacknowledged.
    #[serde(default = "window")]
    #[schemars(range(min = 1, max = 32767))]
    pub window: u16,
    /// Which points may be commanded through this link: `"off"`, or patterns such as `"meter-1/heating/*"`.
    #[serde(default)]
    #[schemars(schema_with = "commands_schema")]
    pub commands: Commands,
    /// The shortest time between two messages to one state topic; `"0"` sends each change.
    #[serde(default = "state_interval")]
    pub state_interval: Duration,
    /// Which twins go through, as patterns with `*`.
    #[serde(default = "everything")]
    pub twins: Vec<String>,
    /// Which points go through, as patterns `twin/feature/name`: of others neither readings nor events nor state are
    /// sent.
    #[serde(default = "everything")]
    pub points: Vec<String>,
    /// Which classes of messages go through.
    #[serde(default = "classes")]
    pub classes: Vec<ClassWord>,
    /// Whether what is live passes what waited.
    #[serde(default)]
    pub order: Order,
    /// How many messages per second of backlog may go out; without it as many as the broker takes.
    #[schemars(range(min = 1))]
    pub backlog_rate: Option<u32>,
    /// Whose backlog goes first, where several links have one: while this link sends what waited, that of links with a
    /// lower priority waits. What is live always goes. A link with `order = "strict"` tells the two not apart: it
    /// neither waits nor is waited for.
    #[serde(default)]
    #[schemars(range(min = 0, max = 9))]
    pub priority: u8,
    /// How many new commands per second are taken; what comes beyond is refused at once and not recorded.
    #[serde(default = "command_rate")]
    #[schemars(range(min = 1, max = 10000))]
    pub command_rate: u32,
    /// How long the link may be without a connection before that is an alarm; `"0"`: it never is.
    #[serde(default = "alarm_after")]
    pub alarm_after: Duration,
    /// Several readings in one message; without it each change is a message of its own.
    pub batch: Option<BatchSection>,
    /// The time zone of schedules, and of the days and months for which bytes are counted. Default: UTC.
    pub zone: Option<String>,
    /// Times of day in which classes may go.
    #[serde(default)]
    pub schedule: Vec<ScheduleSection>,
    /// How many bytes may go in a month.
    pub budget: Option<BudgetSection>,
    /// Certificates, for `mqtts`.
    pub tls: Option<TlsSection>,
}

/// Versions of MQTT.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Version {
    /// MQTT 3.1.1. It cannot tell why a message was refused: brokers drop it silently.
    #[serde(rename = "3.1.1")]
    V311,
    /// MQTT 5.
    #[default]
    #[serde(rename = "5")]
    V5,
}

/// Which points may be commanded.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Commands {
    /// None.
    Switch(CommandSwitch),
    /// Those that match one of these patterns, `twin/feature/name` with `*`.
    Allowed(Vec<String>),
}

/// The one word that [`Commands`] knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CommandSwitch {
    /// No commands at all.
    Off,
}

impl Default for Commands {
    fn default() -> Self {
        Self::Switch(CommandSwitch::Off)
    }
}

/// The classes of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClassWord {
    /// Events, and twins that fall out of sync.
    Alarm,
    /// Everything else but readings.
    Record,
    /// Readings.
    Sample,
}

/// The order of what is live and what waited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// What is live goes first; what waited follows, marked historical.
    #[default]
    Live,
    /// Everything in the order in which it happened.
    Strict,
}

/// Certificates of a link.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsSection {
    /// The authorities that may sign the broker's certificate (PEM). Default: the system's.
    pub ca_file: Option<std::path::PathBuf>,
    /// Our own certificate (PEM), where the broker asks for one.
    pub certificate: Option<std::path::PathBuf>,
    /// Its private key (PEM, not encrypted).
    pub key: Option<std::path::PathBuf>,
    /// The name that the broker's certificate must carry. Default: the host of `url`.
    pub server_name: Option<String>,
    /// Application protocols to offer.
    #[serde(default)]
    pub alpn: Vec<String>,
}

impl LinkSection {
    /// What a link is built from. Reads no files but `source`'s text.
    ///
    /// # Errors
    /// Everything that is wrong with the section, which stands at `at` in `source`.
    pub fn spec(
        &self,
        name: &Name,
        gateway: &Name,
        source: &Source,
        at: &KeyPath,
    ) -> Result<LinkSpec, Vec<Diagnostic>> {
        let mut wrong = Vec::new();
        let mut error = |key: &str, message: String, help: &str| {
            wrong.push(source.error(&at.key(key), message).help(help));
        };
        let address = address(&self.url).unwrap_or_else(|message| {
            error("url", message, "write mqtt://host, mqtts://host or either with :port");
            Address::default()
        });
        let prefix = self.prefix.replace("{gateway}", gateway.as_str());
        if prefix.is_empty() || prefix.contains(['+', '#', '\0']) || prefix.starts_with('$') {
            let message = format!("{prefix:?} cannot begin a topic");
            error("prefix", message, "topics have no +, no #, and no $ at their beginning");
        }
        if self.password.is_some() && self.user.is_none() {
            error("password", "a password needs a user".into(), "add `user`");
        }
        if self.tls.is_some() && !address.tls {
            let message = "there are certificates, but `url` is without TLS".into();
            error("tls", message, "write mqtts://… or remove the section");
        }
        let identity = self.tls.as_ref().and_then(|tls| match (&tls.certificate, &tls.key) {
            (Some(certificate), Some(key)) => {
                Some(tls::Identity { certificate: certificate.clone(), key: key.clone() })
            }
            (None, None) => None,
            _ => {
                let message = "`certificate` and `key` belong together".into();
                error("tls", message, "give both or none");
                None
            }
        });
        let commands = match &self.commands {
            Commands::Switch(CommandSwitch::Off) => None,
            Commands::Allowed(patterns) => Some(patterns.iter().map(|p| Pattern::new(p)).collect()),
        };
        if commands.is_some() && !self.classes.contains(&ClassWord::Record) {
            let message = "a link with commands needs the class `record`".into();
            error("classes", message, "without it the outcomes of commands do not go through");
        }
        let limits = limits::judge(self, source, at, &mut wrong);
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let tls = address.tls.then(|| {
            let given = self.tls.clone().unwrap_or_default();
            tls::ClientSettings {
                ca_file: given.ca_file,
                identity,
                server_name: given.server_name,
                alpn: given.alpn,
            }
        });
        Ok(LinkSpec {
            name: name.clone(),
            host: address.host,
            port: address.port,
            tls,
            version: match self.version {
                Version::V311 => wire::Version::V311,
                Version::V5 => wire::Version::V5,
            },
            client_id: self
                .client_id
                .clone()
                .unwrap_or_else(|| format!("gatewayd-{gateway}-{name}")),
            user: self.user.clone(),
            password: self.password.clone(),
            prefix,
            keep_alive: self.keep_alive.std(),
            session_expiry: self.session_expiry.std(),
            window: self.window,
            commands,
            state_interval: self.state_interval.std(),
            twins: self.twins.iter().map(|p| Pattern::new(p)).collect(),
            classes: self.classes.iter().map(|class| class.class()).collect(),
            strict: self.order == Order::Strict,
            backlog_rate: self.backlog_rate,
            priority: self.priority,
            points: self.points.iter().map(|p| Pattern::new(p)).collect(),
            batch: limits.batch,
            zone: limits.zone,
            schedule: limits.schedule,
            budget: limits.budget,
            command_rate: self.command_rate,
            alarm_after: self.alarm_after.std(),
        })
    }
}

impl ClassWord {
    fn class(self) -> Class {
        match self {
            Self::Alarm => Class::Alarm,
            Self::Record => Class::Record,
            Self::Sample => Class::Sample,
        }
    }
}

#[derive(Default)]
struct Address {
    host: String,
    port: u16,
    tls: bool,
}

fn address(url: &str) -> Result<Address, String> {
    let (scheme, rest) = url.split_once("://").ok_or("the URL has no scheme")?;
    let (tls, port) = match scheme {
        "mqtt" => (false, 1883),
        "mqtts" => (true, 8883),
        _ => return Err(format!("the scheme {scheme:?} is not known")),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(['/', '?', '#', '@']) {
        return Err("the URL has more than a host and a port".into());
    }
    let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, port),
        Some((host, rest)) => (host, number(rest.strip_prefix(':').unwrap_or(rest))?),
        None => match rest.split_once(':') {
            Some((host, port)) => (host, number(port)?),
            None => (rest, port),
        },
    };
    if host.is_empty() {
        return Err("the URL has no host".into());
    }
    Ok(Address { host: host.into(), port, tls })
}

fn number(port: &str) -> Result<u16, String> {
    port.parse().map_err(|_| format!("{port:?} is no port"))
}

fn commands_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [
        { "type": "string", "enum": ["off"] },
        { "type": "array", "items": { "type": "string" } },
    ] })
}

fn prefix() -> String {
    "gatewayd/{gateway}".into()
}

fn keep_alive() -> Duration {
    Duration::seconds(30)
}

fn window() -> u16 {
    256
}

fn state_interval() -> Duration {
    Duration::seconds(1)
}

fn command_rate() -> u32 {
    20
}

fn alarm_after() -> Duration {
    Duration::seconds(300)
}

fn everything() -> Vec<String> {
    vec!["*".into()]
}

fn classes() -> Vec<ClassWord> {
    vec![ClassWord::Alarm, ClassWord::Record, ClassWord::Sample]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> Result<LinkSpec, Vec<String>> {
        let source = Source::from_text("test.toml", text);
        let words = |all: Vec<Diagnostic>| all.iter().map(|d| d.message.clone()).collect();
        let section: LinkSection = settings::parse(&source).map_err(words)?;
        let name = |text: &str| text.parse::<Name>().unwrap();
        section.spec(&name("cloud"), &name("plant-7"), &source, &KeyPath::root()).map_err(words)
    }

    #[test]
    fn one_line_is_enough() {
        let spec = spec("url = \"mqtt://localhost\"").unwrap();
        assert_eq!((&*spec.host, spec.port, spec.tls.is_none()), ("localhost", 1883, true));
        assert_eq!(spec.prefix, "gatewayd/plant-7");
        assert_eq!(spec.client_id, "gatewayd-plant-7-cloud");
        assert!(spec.commands.is_none(), "nobody commands through a link that does not say so");
        assert_eq!(spec.classes.len(), 3);
    }

    #[test]
    fn urls() {
        let at =
            |url: &str| spec(&format!("url = {url:?}")).map(|s| (s.host, s.port, s.tls.is_some()));
        assert_eq!(at("mqtts://b.example").unwrap(), ("b.example".into(), 8883, true));
        assert_eq!(at("mqtt://[::1]:1999/").unwrap(), ("::1".into(), 1999, false));
        for bad in ["b.example", "http://b", "mqtt://", "mqtt://b:x", "mqtt://u:p@b", "mqtt://b/t"]
        {
            assert!(at(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let text = "url = \"mqtt://b\"\npassword = \"cred:p\"\nprefix = \"a/#\"\n\
            commands = [\"*\"]\nclasses = [\"sample\"]\n[tls]\nkey = \"/k\"\n";
        let wrong = spec(text).unwrap_err();
        assert_eq!(wrong.len(), 5, "{wrong:?}");
        assert!(spec("url = \"mqtt://b\"\ncommands = \"on\"").is_err());
        assert!(spec("url = \"mqtt://b\"\nversion = \"4\"").is_err());
    }
}
