//! The session over TCP against brokers that do by script what mosquitto cannot be made to do.

#![cfg(test)]

use std::future::Future;
use std::time::Duration;

use bytes::BytesMut;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, ConnAckProperties, Connect, ConnectReturnCode, Disconnect, DisconnectProperties,
    DisconnectReasonCode, Packet, PubAck, PubAckReason,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wire::{
    Closed, ConnectError, Connected, Event, MqttOptions, Publication, PublishError, Qos, Reason,
    RefusalClass, Session, Version, Wake,
};

/// The broker's end of a connection, in rumqttc's words.
struct Peer {
    stream: TcpStream,
    input: BytesMut,
    connect: Connect,
}

impl Peer {
    async fn read(stream: &mut TcpStream, input: &mut BytesMut) -> Option<Packet> {
        loop {
            if let Ok(packet) = Packet::read(input, None) {
                return Some(packet);
            }
            if stream.read_buf(input).await.ok()? == 0 {
                return None;
            }
        }
    }

    /// The next packet; `None` at the end.
    async fn next(&mut self) -> Option<Packet> {
        Self::read(&mut self.stream, &mut self.input).await
    }

    /// Whether the client stays silent for a while.
    async fn silent(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(100), self.next()).await.is_err()
    }

    async fn publish(&mut self) -> u16 {
        match self.next().await {
            Some(Packet::Publish(publish)) => publish.pkid,
            other => panic!("{other:?}"),
        }
    }

    async fn say(&mut self, packet: &Packet) {
        let mut out = BytesMut::new();
        packet.write(&mut out, None).unwrap();
        self.stream.write_all(&out).await.unwrap();
    }

    async fn ack(&mut self, pkid: u16, reason: PubAckReason) {
        self.say(&Packet::PubAck(PubAck { pkid, reason, properties: None })).await;
    }
}

fn granting() -> ConnAckProperties {
    ConnAckProperties {
        session_expiry_interval: None,
        receive_max: None,
        max_qos: None,
        retain_available: None,
        max_packet_size: None,
        assigned_client_identifier: None,
        topic_alias_max: None,
        reason_string: None,
        user_properties: Vec::new(),
        wildcard_subscription_available: None,
        subscription_identifiers_available: None,
        shared_subscription_available: None,
        server_keep_alive: None,
        response_information: None,
        server_reference: None,
        authentication_method: None,
        authentication_data: None,
    }
}

fn options(port: u16) -> MqttOptions {
    MqttOptions::new("127.0.0.1", port, Version::V5, "gateway-7")
}

/// A client and a broker that has answered CONNECT with this.
async fn pair(
    change: impl FnOnce(MqttOptions) -> MqttOptions,
    code: ConnectReturnCode,
    properties: ConnAckProperties,
) -> (Result<(Session, Connected), ConnectError>, Peer) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = change(options(listener.local_addr().unwrap().port()));
    let broker = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut input = BytesMut::new();
        let connect = match Peer::read(&mut stream, &mut input).await {
            Some(Packet::Connect(connect, _, _)) => connect,
            other => panic!("{other:?}"),
        };
        let mut peer = Peer { stream, input, connect };
        let connack = ConnAck { session_present: false, code, properties: Some(properties) };
        peer.say(&Packet::ConnAck(connack)).await;
        peer
    };
    tokio::join!(Session::connect(&options), broker)
}

async fn welcome(properties: ConnAckProperties) -> (Session, Connected, Peer) {
    let (client, peer) = pair(|options| options, ConnectReturnCode::Success, properties).await;
    let (session, connected) = client.unwrap();
    (session, connected, peer)
}

fn publish(session: &mut Session, token: u64) -> Result<(), PublishError> {
    session.publish(&Publication::new("t", Qos::AtLeastOnce), token, |out| out.extend(b"value"))
}

/// Waits for the session's next event while the broker acts.
async fn during<T>(session: &mut Session, broker: impl Future<Output = T>) -> (Event, T) {
    let both = async { tokio::join!(session.event(Wake::Acks), broker) };
    tokio::time::timeout(Duration::from_secs(10), both).await.unwrap()
}

#[tokio::test]
async fn a_receive_maximum_of_five_is_never_exceeded() {
    let properties = ConnAckProperties { receive_max: Some(5), ..granting() };
    let (mut session, connected, mut peer) = welcome(properties).await;
    assert_eq!((connected.window, session.room()), (5, 5));
    let mut sent = 0;
    let mut publish_all = |session: &mut Session| {
        while publish(session, sent).is_ok() {
            sent += 1;
        }
        sent
    };
    assert_eq!(publish_all(&mut session), 5);
    let mut ids = Vec::new();
    for round in 0..20 {
        let broker = async {
            while ids.len() < 5 {
                ids.push(peer.publish().await);
            }
            assert!(peer.silent().await, "no sixth before an acknowledgement");
            // Out of order, and one at a time.
            let id = ids.remove(round % 5);
            peer.ack(id, PubAckReason::Success).await;
        };
        let (event, ()) = during(&mut session, broker).await;
        assert!(matches!(event, Event::Acked { .. }), "{event:?}");
        assert_eq!(publish_all(&mut session), 6 + round as u64);
    }
}

#[tokio::test]
async fn a_maximum_packet_size_is_never_exceeded() {
    let properties = ConnAckProperties { max_packet_size: Some(30), ..granting() };
    let (mut session, connected, mut peer) = welcome(properties).await;
    assert_eq!(connected.max_packet, 30);
    let publication = Publication::new("t", Qos::AtLeastOnce);
    let refused = session.publish(&publication, 1, |out| out.extend([7; 23]));
    assert_eq!(refused, Err(PublishError::TooLarge { size: 31, limit: 30 }));
    session.publish(&publication, 2, |out| out.extend([8; 22])).unwrap();
    let broker = async {
        let Some(Packet::Publish(publish)) = peer.next().await else { panic!() };
        assert_eq!(*publish.payload, [8; 22]);
        peer.ack(publish.pkid, PubAckReason::Success).await;
    };
    let (event, ()) = during(&mut session, broker).await;
    assert!(matches!(event, Event::Acked { token: 2 }), "{event:?}");
}

#[tokio::test]
async fn refused_publications_are_told_with_their_class() {
    let (mut session, _, mut peer) = welcome(granting()).await;
    for (token, reason, code, class) in [
        (0, PubAckReason::NotAuthorized, 0x87, RefusalClass::Link),
        (1, PubAckReason::QuotaExceeded, 0x97, RefusalClass::Link),
        (2, PubAckReason::TopicNameInvalid, 0x90, RefusalClass::Message),
        (3, PubAckReason::PayloadFormatInvalid, 0x99, RefusalClass::Message),
        (4, PubAckReason::UnspecifiedError, 0x80, RefusalClass::Link),
    ] {
        publish(&mut session, token).unwrap();
        let broker = async {
            let id = peer.publish().await;
            peer.ack(id, reason).await;
        };
        let (event, ()) = during(&mut session, broker).await;
        match event {
            Event::Refused { token: t, reason, class: c, .. } => {
                assert_eq!((t, reason, c), (token, Reason(code), class));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(session.unacknowledged().count(), 0);
}

#[tokio::test]
async fn session_expiry_is_asked_for_and_the_broker_has_the_last_word() {
    let ask = |options| MqttOptions {
        clean: false,
        session_expiry: Duration::from_secs(7_200),
        ..options
    };
    let properties = ConnAckProperties { session_expiry_interval: Some(60), ..granting() };
    let (client, peer) = pair(ask, ConnectReturnCode::Success, properties).await;
    assert_eq!(client.unwrap().1.session_expiry, 60);
    assert!(!peer.connect.clean_start);
    assert_eq!(peer.connect.properties.unwrap().session_expiry_interval, Some(7_200));
    let (client, _peer) = pair(ask, ConnectReturnCode::Success, granting()).await;
    assert_eq!(client.unwrap().1.session_expiry, 7_200);
}

#[tokio::test]
async fn goodbyes_of_the_broker_say_why_and_what_to_do() {
    for (code, reason, words) in [
        (DisconnectReasonCode::ServerShuttingDown, 0x8B, "come back by itself"),
        (DisconnectReasonCode::SessionTakenOver, 0x8E, "give each gateway its own"),
    ] {
        let (mut session, _, mut peer) = welcome(granting()).await;
        publish(&mut session, 9).unwrap();
        let broker = async {
            peer.publish().await;
            let properties = DisconnectProperties {
                session_expiry_interval: None,
                reason_string: Some("as planned".into()),
                user_properties: Vec::new(),
                server_reference: Some("backup:1883".into()),
            };
            let goodbye = Disconnect { reason_code: code, properties: Some(properties) };
            peer.say(&Packet::Disconnect(goodbye)).await;
            drop(peer);
        };
        let (event, ()) = during(&mut session, broker).await;
        let Event::Closed(why) = event else { panic!("{event:?}") };
        assert!(matches!(why, Closed::Broker { reason: Reason(found), .. } if found == reason));
        let text = why.to_string();
        for part in ["gateway-7", "as planned", "backup:1883", words] {
            assert!(text.contains(part), "{text}");
        }
        assert!(session.unacknowledged().eq([9]));
    }
}

#[tokio::test]
async fn a_goodbye_is_read_even_where_writing_fails_first() {
    let (mut session, _, mut peer) = welcome(granting()).await;
    publish(&mut session, 0).unwrap();
    let nothing = tokio::time::timeout(Duration::from_millis(50), session.event(Wake::Acks)).await;
    assert!(nothing.is_err(), "{nothing:?}");
    // Closed with our publication unread: the system resets the connection.
    peer.stream.write_all(&[0xE0, 1, 0x8E]).await.unwrap();
    drop(peer);
    tokio::time::sleep(Duration::from_millis(50)).await;
    publish(&mut session, 1).unwrap();
    let (event, ()) = during(&mut session, async {}).await;
    let Event::Closed(Closed::Broker { reason, .. }) = event else { panic!("{event:?}") };
    assert_eq!(reason, Reason::SESSION_TAKEN_OVER);
    assert!(session.unacknowledged().eq([0, 1]));
}

#[tokio::test]
async fn refused_connections_say_what_to_do() {
    for (code, part) in [
        (ConnectReturnCode::Banned, "the broker has banned this client; ask its operator"),
        (ConnectReturnCode::BadUserNamePassword, "; check user name and password"),
        (ConnectReturnCode::ServerMoved, "naming the server \"other\"; change the configured host"),
        (ConnectReturnCode::ServerBusy, "saying \"later\""),
    ] {
        let properties = ConnAckProperties {
            reason_string: Some("later".into()),
            server_reference: Some("other".into()),
            ..granting()
        };
        let (client, _peer) = pair(|options| options, code, properties).await;
        let error = client.unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("\"gateway-7\""), "{error}");
    }
}

#[tokio::test]
async fn a_broker_that_reads_nothing_fills_the_buffer_and_no_more() {
    let (mut session, _, peer) = welcome(granting()).await;
    let publication = Publication::new("t", Qos::AtMostOnce);
    let mut taken = 0_u64;
    let stuck = async {
        loop {
            match session.publish(&publication, 0, |out| out.resize(out.len() + 10_000, 0)) {
                Ok(()) => taken += 1,
                Err(PublishError::WindowFull) => {
                    let event = session.event(Wake::Acks);
                    match tokio::time::timeout(Duration::from_millis(200), event).await {
                        Ok(Event::Flushed) => {}
                        Ok(other) => panic!("{other:?}"),
                        Err(_) => return,
                    }
                }
                Err(other) => panic!("{other}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), stuck).await.expect("the socket fills");
    assert!(taken < 10_000, "{taken} of 10 kB each are more than any socket holds");
    drop(peer);
}

#[tokio::test]
async fn no_broker_at_all_is_told_so() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let error = Session::connect(&options(port)).await.unwrap_err();
    assert!(
        error.to_string().contains(&format!("no TCP connection to 127.0.0.1:{port}")),
        "{error}"
    );
    let mut nowhere = options(port);
    nowhere.host = "no-such-host.invalid".into();
    let error = Session::connect(&nowhere).await.unwrap_err();
    assert!(
        matches!(error, ConnectError::Resolve { .. } | ConnectError::Timeout { .. }),
        "{error}"
    );
    let mut wrong = options(port);
    wrong.version = Version::V311;
    wrong.password = Some(b"x".to_vec());
    let error = Session::connect(&wrong).await.unwrap_err();
    assert!(error.to_string().contains("set a user name"), "{error}");
}
