//! What a session is told: where, who, how; and what a publication is.

use std::fmt;
use std::time::Duration;

/// The version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// MQTT 3.1.1.
    V311,
    /// MQTT 5.0.
    V5,
}

/// How often a message may arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Qos {
    /// QoS 0: at most once, never acknowledged.
    AtMostOnce = 0,
    /// QoS 1: at least once, acknowledged.
    AtLeastOnce = 1,
}

/// How to reach a broker and how to behave there.
#[derive(Clone)]
pub struct MqttOptions {
    /// Host name or address.
    pub host: String,
    /// TCP port; 1883 in the clear and 8883 over TLS by custom.
    pub port: u16,
    /// TLS where given.
    pub tls: Option<tls::Client>,
    /// The version that is spoken.
    pub version: Version,
    /// The client id; it must be unique at the broker.
    pub client_id: String,
    /// User name.
    pub username: Option<String>,
    /// Password.
    pub password: Option<Vec<u8>>,
    /// The longest silence between two packets; zero turns keep-alive off. At most 65535 s.
    pub keep_alive: Duration,
    /// Whether the broker forgets what it held for this client id (clean session; clean start in version 5).
    pub clean: bool,
    /// How long the broker keeps subscriptions and messages after the connection (version 5; seconds count).
    pub session_expiry: Duration,
    /// What the broker publishes when the connection ends without a goodbye.
    pub will: Option<Will>,
    /// How many QoS 1 publications may be unacknowledged; the broker may allow fewer. At most 32767.
    pub window: u16,
    /// How many received QoS 1 messages may be unacknowledged (version 5).
    pub receive_window: u16,
    /// The longest packet that we accept, in bytes.
    pub max_packet: u32,
    /// How many encoded bytes may wait for the socket before `publish` says `WindowFull`.
    pub max_waiting: usize,
    /// How long all of connecting may take: name, TCP, TLS, CONNACK.
    pub connect_timeout: Duration,
    /// How long the broker may leave a publication unacknowledged before the connection counts as dead.
    pub ack_timeout: Duration,
    /// How long acknowledgements may wait to be read under [`Wake::Lazy`](crate::Wake), and how closely messages must
    /// follow each other for that.
    pub lazy: Duration,
}

impl MqttOptions {
    /// Options with the defaults that suit a gateway.
    #[must_use]
    pub fn new(host: &str, port: u16, version: Version, client_id: &str) -> Self {
        Self {
            host: host.into(),
            port,
            tls: None,
            version,
            client_id: client_id.into(),
            username: None,
            password: None,
            keep_alive: Duration::from_secs(30),
            clean: true,
            session_expiry: Duration::ZERO,
            will: None,
            window: 256,
            receive_window: 64,
            max_packet: 1 << 20,
            max_waiting: 1 << 20,
            connect_timeout: Duration::from_secs(10),
            ack_timeout: Duration::from_secs(30),
            lazy: Duration::from_millis(500),
        }
    }
}

impl fmt::Debug for MqttOptions {
    /// Without the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = f.debug_struct("MqttOptions");
        all.field("host", &self.host).field("port", &self.port).field("version", &self.version);
        all.field("client_id", &self.client_id).field("username", &self.username);
        all.field("tls", &self.tls.is_some()).finish_non_exhaustive()
    }
}

/// What the broker publishes for us when we vanish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Will {
    /// Where.
    pub topic: String,
    /// What.
    pub payload: Vec<u8>,
    /// How surely.
    pub qos: Qos,
    /// Whether it is retained.
    pub retain: bool,
    /// How long the broker waits for our return first (version 5; seconds count).
    pub delay: Duration,
    /// Media type of the payload (version 5).
    pub content_type: Option<String>,
}

/// What is published besides the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publication<'a> {
    /// Where; without wildcards.
    pub topic: &'a str,
    /// How surely.
    pub qos: Qos,
    /// Whether the broker keeps it for later subscribers.
    pub retain: bool,
    /// What version 5 can say besides; version 3.1.1 has no place for it and sends none of it.
    pub properties: Properties<'a>,
}

/// Properties of a publication (version 5, §3.3.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Properties<'a> {
    /// Whether the payload is UTF-8 text (payload format indicator 1).
    pub utf8: bool,
    /// After how many seconds the broker drops it undelivered.
    pub message_expiry: Option<u32>,
    /// Media type of the payload.
    pub content_type: Option<&'a str>,
    /// Where an answer is expected.
    pub response_topic: Option<&'a str>,
    /// What an answer must repeat.
    pub correlation_data: Option<&'a [u8]>,
    /// Names and values of our own.
    pub user: &'a [(&'a str, &'a str)],
}

impl<'a> Publication<'a> {
    /// A publication to `topic` without properties.
    #[must_use]
    pub fn new(topic: &'a str, qos: Qos) -> Self {
        Self { topic, qos, retain: false, properties: Properties::default() }
    }

    /// The same, retained.
    #[must_use]
    pub fn retained(self) -> Self {
        Self { retain: true, ..self }
    }

    /// The same, with these properties.
    #[must_use]
    pub fn with(self, properties: Properties<'a>) -> Self {
        Self { properties, ..self }
    }
}

/// What to receive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filter<'a> {
    /// Topic filter; wildcards `+` and `#` allowed.
    pub topic: &'a str,
    /// The highest QoS we ask for.
    pub qos: Qos,
    /// Whether retained messages come at the subscription (version 5 only; 3.1.1 always sends them).
    pub retained: bool,
}

impl<'a> Filter<'a> {
    /// A filter at QoS 1 that gets retained messages as well.
    #[must_use]
    pub fn new(topic: &'a str) -> Self {
        Self { topic, qos: Qos::AtLeastOnce, retained: true }
    }
}
