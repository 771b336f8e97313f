//! From options to a session: name, TCP, TLS, CONNACK, each step with its own error.

use std::future::Future;
use std::io;

use tokio::net::lookup_host;
use tokio::time::{Instant, timeout_at};

use super::machine::Answer;
use super::packet::too_long;
use super::{
    Closed, ConnectError, Connected, MqttOptions, Reason, Refusal, Session, Stage, Version,
};
use crate::stream::Stream;

pub(super) async fn connect(options: &MqttOptions) -> Result<(Session, Connected), ConnectError> {
    let to = format!("{}:{}", options.host, options.port);
    check(options).map_err(|what| ConnectError::Options { to: to.clone(), what: what.into() })?;
    let limit = Limit { to, until: Instant::now() + options.connect_timeout, options };
    let lookup = lookup_host((options.host.as_str(), options.port));
    let addresses = limit.within(Stage::Lookup, lookup).await?;
    let addresses: Vec<_> = addresses
        .map_err(|source| ConnectError::Resolve { host: options.host.clone(), source })?
        .collect();
    let tcp = limit.within(Stage::Tcp, Stream::tcp(&addresses, limit.until)).await?;
    let tcp = tcp.map_err(|source| ConnectError::Unreachable { to: limit.to.clone(), source })?;
    let stream = match &options.tls {
        None => Stream::plain(tcp),
        Some(tls) => limit
            .within(Stage::Tls, Stream::tls(tcp, tls, &options.host))
            .await?
            .map_err(|source| limit.tls(source))?,
    };
    let mut session = Session::new(options, stream);
    match limit.within(Stage::Connack, session.answer()).await? {
        Answer::Connected(connected) => Ok((session, connected)),
        Answer::Refused { reason, words, server } => {
            Err(ConnectError::Refused(Box::new(Refusal {
                to: limit.to,
                client_id: options.client_id.clone(),
                reason,
                words,
                server,
                advice: advice(reason),
            })))
        }
        Answer::Closed(why) => Err(limit.ended(why)),
    }
}

/// The time that all steps share.
struct Limit<'a> {
    to: String,
    until: Instant,
    options: &'a MqttOptions,
}

impl Limit<'_> {
    async fn within<T>(
        &self,
        stage: Stage,
        step: impl Future<Output = T>,
    ) -> Result<T, ConnectError> {
        timeout_at(self.until, step).await.map_err(|_| ConnectError::Timeout {
            to: self.to.clone(),
            after: self.options.connect_timeout,
            stage,
        })
    }

    fn tls(&self, source: io::Error) -> ConnectError {
        ConnectError::Tls { to: self.to.clone(), advice: tls::advice(&source), source }
    }

    /// A server that wants another client certificate says so only after the handshake (TLS 1.3).
    fn ended(&self, source: Closed) -> ConnectError {
        if let Closed::Socket(error) = &source
            && tls::is_tls(error)
        {
            let advice = tls::advice(error);
            let source = io::Error::new(error.kind(), error.clone());
            return ConnectError::Tls { to: self.to.clone(), advice, source };
        }
        let over = if self.options.tls.is_some() { "over TLS" } else { "without TLS" };
        ConnectError::Ended { to: self.to.clone(), over, source }
    }
}

/// What a CONNECT packet cannot carry.
fn check(options: &MqttOptions) -> Result<(), &'static str> {
    let will = options.will.as_ref();
    let texts = [Some(options.client_id.as_str()), options.username.as_deref()]
        .into_iter()
        .chain([will.map(|will| will.topic.as_str()), will.and_then(|w| w.content_type.as_deref())])
        .flatten();
    let binaries = options.password.as_deref().into_iter().chain(will.map(|w| &*w.payload));
    if texts.map(str::as_bytes).chain(binaries).any(too_long) {
        return Err("client id, user name, password and will have at most 65535 bytes each");
    }
    if options.version == Version::V311 && options.password.is_some() && options.username.is_none()
    {
        return Err("MQTT 3.1.1 knows no password without a user name; set a user name");
    }
    if options.version == Version::V311 && options.client_id.is_empty() && !options.clean {
        return Err("a session that persists needs a client id; set one");
    }
    if will.is_some_and(|will| will.topic.is_empty() || will.topic.contains(['+', '#', '\0'])) {
        return Err("the will's topic has at least one character and neither +, # nor NUL");
    }
    Ok(())
}

/// What to do about a refused CONNECT.
fn advice(reason: Reason) -> &'static str {
    match reason.0 {
        0x84 => "set the version that the broker speaks",
        0x85 => "choose another client id: the broker does not accept this one",
        0x86 => "check user name and password",
        0x87 => {
            "check user name and password, and that the broker lets this user and client id connect"
        }
        0x88 | 0x89 => "the broker is not ready; it is tried again",
        0x8A => "the broker has banned this client; ask its operator",
        0x8C => "the broker wants another way to log in, which is not supported",
        0x8E => "another client uses this client id; give each gateway its own",
        0x90 | 0x99 => "check the will's topic and payload",
        0x95 => "CONNECT is too large for the broker; shorten the will",
        0x97 | 0x9F => "the broker limits connections; it is tried again later",
        0x9A | 0x9B => "the broker does not support the will's retain flag or QoS; change the will",
        0x9C | 0x9D => "change the configured host to the server that the broker names",
        _ => "see the broker's log",
    }
}
