//! TLS and mTLS against mosquitto, with certificates made by openssl, each on both versions of the protocol.

#![cfg(test)]

#[expect(dead_code, reason = "shared by several test programs, each uses some of it")]
mod peers;

use std::path::Path;
use std::process::Command;

use peers::{BOTH, Broker, connect, publish};
use tls::{Client, ClientSettings, Identity};
use wire::{ConnectError, MqttOptions, Session, Version};

/// Runs openssl in `dir`.
fn openssl(dir: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .current_dir(dir)
        .args(arguments.split_whitespace())
        .output()
        .expect("openssl is missing: apt install openssl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// An authority and its certificate: `NAME.crt`, `NAME.key`.
fn authority(dir: &Path, name: &str) {
    openssl(
        dir,
        &format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN={name} \
             -keyout {name}.key -out {name}.crt"
        ),
    );
}

/// A certificate signed by `by` for the address 127.0.0.1 and the name `broker.test`.
fn certificate(dir: &Path, name: &str, by: &str, days: &str) {
    let text = "subjectAltName = IP:127.0.0.1, DNS:broker.test\nextendedKeyUsage = serverAuth, clientAuth\n";
    std::fs::write(dir.join("extensions"), text).unwrap();
    openssl(
        dir,
        &format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN={name} -keyout {name}.key \
             -out {name}.csr"
        ),
    );
    openssl(
        dir,
        &format!(
            "x509 -req -in {name}.csr -CA {by}.crt -CAkey {by}.key -CAcreateserial -days {days} \
             -extfile extensions -out {name}.crt"
        ),
    );
}

async fn broker(lines: &str, days: &str) -> Broker {
    let all =
        format!("allow_anonymous true\ncertfile DIR/server.crt\nkeyfile DIR/server.key\n{lines}");
    Broker::with(&all, |dir| {
        authority(dir, "ca");
        authority(dir, "foreign");
        certificate(dir, "server", "ca", days);
        certificate(dir, "client", "ca", "30");
        certificate(dir, "stranger", "foreign", "30");
    })
    .await
}

fn settings(broker: &Broker, ca: &str, identity: Option<&str>) -> ClientSettings {
    let file = |name: &str| broker.dir.path().join(name);
    ClientSettings {
        ca_file: Some(file(ca)),
        identity: identity.map(|name| Identity {
            certificate: file(&format!("{name}.crt")),
            key: file(&format!("{name}.key")),
        }),
        ..ClientSettings::default()
    }
}

fn options(broker: &Broker, version: Version, settings: &ClientSettings) -> MqttOptions {
    MqttOptions { tls: Some(Client::new(settings).unwrap()), ..broker.options(version, "secure") }
}

async fn refusal(options: &MqttOptions) -> String {
    let error = Session::connect(options).await.unwrap_err();
    assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn tls_carries_ten_thousand() {
    let broker = broker("", "30").await;
    for version in BOTH {
        let options = options(&broker, version, &settings(&broker, "ca.crt", None));
        let (mut session, _) = connect(&options).await;
        publish(&mut session, 0, 10_000).await.unwrap();
        session.disconnect().await;
    }
}

#[tokio::test]
async fn large_messages_pass_whole() {
    let broker = broker("", "30").await;
    for version in BOTH {
        let options = options(&broker, version, &settings(&broker, "ca.crt", None));
        peers::large(&MqttOptions { max_packet: 5_000_000, ..options }).await;
    }
}

#[tokio::test]
async fn a_server_that_cannot_prove_itself_is_refused_with_advice() {
    let broker = broker("", "30").await;
    for version in BOTH {
        let foreign = options(&broker, version, &settings(&broker, "foreign.crt", None));
        let words = refusal(&foreign).await;
        assert!(words.contains("authority that we do not trust; put"), "{words}");
        let mut named = settings(&broker, "ca.crt", None);
        named.server_name = Some("other.test".into());
        let words = refusal(&options(&broker, version, &named)).await;
        assert!(words.contains("made for another name"), "{words}");
        named.server_name = Some("broker.test".into());
        connect(&options(&broker, version, &named)).await.0.disconnect().await;
        // The port speaks TLS, we do not.
        let error = Session::connect(&broker.options(version, "plain")).await.unwrap_err();
        assert!(
            error.to_string().contains("check that the port speaks MQTT without TLS"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn we_speak_tls_and_the_port_does_not() {
    let broker = Broker::with("allow_anonymous true\n", |dir| authority(dir, "ca")).await;
    let mut tried = options(&broker, Version::V5, &settings(&broker, "ca.crt", None));
    tried.connect_timeout = std::time::Duration::from_secs(3);
    let error = Session::connect(&tried).await.unwrap_err().to_string();
    assert!(error.contains("TLS"), "{error}");
}

#[tokio::test]
async fn an_expired_certificate_is_told_so() {
    let broker = broker("", "-1").await;
    let words = refusal(&options(&broker, Version::V5, &settings(&broker, "ca.crt", None))).await;
    assert!(words.contains("has expired"), "{words}");
}

#[tokio::test]
async fn mtls_lets_us_in_and_nobody_else() {
    let broker = broker("cafile DIR/ca.crt\nrequire_certificate true\n", "30").await;
    for version in BOTH {
        let ours = options(&broker, version, &settings(&broker, "ca.crt", Some("client")));
        let (mut session, _) = connect(&ours).await;
        publish(&mut session, 0, 100).await.unwrap();
        session.disconnect().await;
        let words = refusal(&options(&broker, version, &settings(&broker, "ca.crt", None))).await;
        assert!(words.contains("asks for a client certificate"), "{words}");
        let stranger = settings(&broker, "ca.crt", Some("stranger"));
        let words = refusal(&options(&broker, version, &stranger)).await;
        assert!(
            words.contains("does not trust the authority of our client certificate"),
            "{words}"
        );
    }
}

#[test]
fn unusable_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    authority(dir, "ca");
    authority(dir, "other");
    std::fs::write(dir.join("noise"), "not a certificate").unwrap();
    openssl(dir, "x509 -in ca.crt -outform der -out ca.der");
    let fail = |ca: &str, identity: Option<(&str, &str)>| {
        let settings = ClientSettings {
            ca_file: Some(dir.join(ca)),
            identity: identity.map(|(certificate, key)| Identity {
                certificate: dir.join(certificate),
                key: dir.join(key),
            }),
            ..ClientSettings::default()
        };
        Client::new(&settings).unwrap_err().to_string()
    };
    let path = |name: &str| dir.join(name).display().to_string();
    for (ca, identity, file, words) in [
        ("missing", None, "missing", "cannot read CA file"),
        ("noise", None, "noise", "holds no certificate"),
        ("ca.der", None, "ca.der", "holds no certificate"),
        ("ca.key", None, "ca.key", "holds no certificate"),
        ("ca.crt", Some(("ca.key", "ca.key")), "ca.key", "client certificate"),
        ("ca.crt", Some(("ca.crt", "ca.crt")), "ca.crt", "holds no unencrypted private key"),
        ("ca.crt", Some(("ca.crt", "other.key")), "other.key", "the key must be the one"),
    ] {
        let error = fail(ca, identity);
        assert!(error.contains(words) && error.contains(&path(file)), "{error}");
    }
    let named = ClientSettings {
        ca_file: Some(dir.join("ca.crt")),
        server_name: Some("no name".into()),
        ..ClientSettings::default()
    };
    assert!(Client::new(&named).unwrap_err().to_string().contains("\"no name\" is neither"));
}
