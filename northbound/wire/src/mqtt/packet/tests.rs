//! The codec against the standard's examples and against rumqttc's codec.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use rumqttc::mqttbytes::{self as m4, v4};
use rumqttc::v5::mqttbytes::{self as m5, v5};

use super::*;
use crate::mqtt::{
    Filter, MqttOptions, Properties, ProtocolError, Publication, Qos, Version, Will,
};

const LIMIT: usize = 1 << 20;

fn read4(bytes: &[u8]) -> v4::Packet {
    let mut stream = BytesMut::from(bytes);
    let packet = v4::Packet::read(&mut stream, LIMIT).unwrap();
    assert!(stream.is_empty(), "one packet, no more");
    packet
}

fn read5(bytes: &[u8]) -> v5::Packet {
    let mut stream = BytesMut::from(bytes);
    let packet = v5::Packet::read(&mut stream, None).unwrap();
    assert!(stream.is_empty(), "one packet, no more");
    packet
}

/// Decodes one whole packet.
fn decode(version: Version, bytes: &[u8]) -> Result<Packet<'_>, ProtocolError> {
    let found = frame(bytes, LIMIT)?.expect("a whole packet");
    assert_eq!(found.end, bytes.len());
    Packet::decode(version, found.first, &bytes[found.start..])
}

fn written5(packet: &v5::Packet) -> BytesMut {
    let mut out = BytesMut::new();
    packet.write(&mut out, None).unwrap();
    out
}

fn written4(packet: &v4::Packet) -> BytesMut {
    let mut out = BytesMut::new();
    packet.write(&mut out, LIMIT).unwrap();
    out
}

fn options(version: Version) -> MqttOptions {
    let mut options = MqttOptions::new("h", 1883, version, "gateway");
    options.username = Some("user".into());
    options.password = Some(b"secret".to_vec());
    options.keep_alive = Duration::from_millis(1_500);
    options.clean = false;
    options.session_expiry = Duration::from_secs(3_600);
    options.will = Some(Will {
        topic: "gw/gone".into(),
        payload: b"bye".to_vec(),
        qos: Qos::AtLeastOnce,
        retain: true,
        delay: Duration::from_secs(7),
        content_type: Some("text/plain".into()),
    });
    options
}

#[test]
fn connect_says_what_the_options_say_in_version_3() {
    let mut out = Vec::new();
    connect(&mut out, &options(Version::V311));
    let v4::Packet::Connect(connect) = read4(&out) else { panic!() };
    assert_eq!((connect.keep_alive, connect.clean_session), (2, false));
    assert_eq!(connect.client_id, "gateway");
    let login = connect.login.unwrap();
    assert_eq!((login.username.as_str(), login.password.as_str()), ("user", "secret"));
    let will = connect.last_will.unwrap();
    assert_eq!((will.topic.as_str(), &*will.message), ("gw/gone", &b"bye"[..]));
    assert_eq!((will.qos, will.retain), (m4::QoS::AtLeastOnce, true));
}

#[test]
fn connect_says_what_the_options_say_in_version_5() {
    let mut out = Vec::new();
    connect(&mut out, &options(Version::V5));
    let v5::Packet::Connect(connect, will, login) = read5(&out) else { panic!() };
    assert_eq!((connect.keep_alive, connect.clean_start), (2, false));
    let properties = connect.properties.unwrap();
    assert_eq!(properties.session_expiry_interval, Some(3_600));
    assert_eq!(properties.receive_maximum, Some(64));
    assert_eq!(properties.max_packet_size, Some(1 << 20));
    assert_eq!(login.unwrap().password, "secret");
    let will = will.unwrap();
    let properties = will.properties.unwrap();
    assert_eq!(properties.delay_interval, Some(7));
    assert_eq!(properties.content_type.as_deref(), Some("text/plain"));
}

#[test]
fn the_least_connect_is_the_standards() {
    let mut options = MqttOptions::new("h", 1883, Version::V311, "");
    options.keep_alive = Duration::ZERO;
    let mut out = Vec::new();
    connect(&mut out, &options);
    assert_eq!(out, b"\x10\x0C\x00\x04MQTT\x04\x02\x00\x00\x00\x00");
}

#[test]
fn lengths_take_the_fewest_bytes() {
    for (payload, digits) in [(0, 1), (124, 1), (125, 2), (16_380, 2), (16_381, 3), (2_097_149, 4)]
    {
        let mut out = b"before".to_vec();
        let size =
            publish(&mut out, Version::V311, &Publication::new("a", Qos::AtMostOnce), 0, |out| {
                out.resize(out.len() + payload, 7);
            });
        assert_eq!(size, 1 + digits + 3 + payload);
        let packet = &out[6..];
        assert_eq!((&out[..6], packet.len()), (&b"before"[..], size));
        let found = frame(packet, LONGEST).unwrap().unwrap();
        assert_eq!((found.start, found.end), (1 + digits, size));
        assert!(
            packet.ends_with(&vec![7; payload]) && packet[found.start..].starts_with(b"\0\x01a")
        );
    }
}

#[test]
fn frames_wait_for_their_bytes_and_refuse_what_no_packet_has() {
    let packet = [0x30, 0x80, 0x01];
    for end in 0..packet.len() {
        assert_eq!(frame(&packet[..end], LIMIT), Ok(None));
    }
    assert_eq!(frame(&packet, LIMIT), Ok(None));
    assert_eq!(frame(&packet, 130), Err(ProtocolError::TooLarge { size: 131, limit: 130 }));
    assert_eq!(frame(&[0x30, 0xFF, 0xFF, 0xFF, 0xFF], LIMIT), Err(ProtocolError::Length));
    assert_eq!(frame(&[0x30, 0xFF, 0xFF, 0xFF], LIMIT), Ok(None));
}

#[test]
fn subscriptions_are_what_rumqttc_reads() {
    let filters = [
        Filter { topic: "a/+", qos: Qos::AtLeastOnce, retained: true },
        Filter { topic: "b/#", qos: Qos::AtMostOnce, retained: false },
    ];
    let mut out = Vec::new();
    subscribe(&mut out, Version::V311, 9, &filters);
    let v4::Packet::Subscribe(packet) = read4(&out) else { panic!() };
    assert_eq!((packet.pkid, packet.filters.len()), (9, 2));
    assert_eq!(
        (packet.filters[0].path.as_str(), packet.filters[0].qos),
        ("a/+", m4::QoS::AtLeastOnce)
    );
    out.clear();
    subscribe(&mut out, Version::V5, 9, &filters);
    let v5::Packet::Subscribe(packet) = read5(&out) else { panic!() };
    assert_eq!(packet.filters[0].retain_forward_rule, v5::RetainForwardRule::OnEverySubscribe);
    assert_eq!(packet.filters[1].retain_forward_rule, v5::RetainForwardRule::Never);
    assert_eq!(packet.filters[1].qos, m5::QoS::AtMostOnce);
    out.clear();
    unsubscribe(&mut out, Version::V5, 10, &["a/+"]);
    let v5::Packet::Unsubscribe(packet) = read5(&out) else { panic!() };
    assert_eq!((packet.pkid, packet.filters), (10, vec!["a/+".to_owned()]));
    out.clear();
    puback(&mut out, 0x1234);
    assert_eq!(out, [0x40, 2, 0x12, 0x34]);
}

#[test]
fn acknowledgements_may_be_short_and_carry_any_code() {
    let v5 = Version::V5;
    let code = |bytes: &[u8]| match decode(v5, bytes).unwrap() {
        Packet::PubAck { packet: 1, code, properties } => {
            (code, properties.words.map(String::from))
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(code(&[0x40, 2, 0, 1]), (0, None));
    assert_eq!(code(&[0x40, 3, 0, 1, 0x95]), (0x95, None));
    assert_eq!(code(&[0x40, 4, 0, 1, 0xF7, 0]), (0xF7, None));
    assert_eq!(code(b"\x40\x09\0\x01\x97\x05\x1F\0\x02no"), (0x97, Some("no".into())));
    assert_eq!(decode(v5, &[0x40, 2, 0, 0]), Err(ProtocolError::PacketId));
    assert_eq!(decode(v5, &[0x42, 2, 0, 1]), Err(ProtocolError::Flags(0x42)));
    assert_eq!(decode(Version::V311, &[0x40, 3, 0, 1, 0]), Err(ProtocolError::Trailing(4)));
}

#[test]
fn goodbyes_and_refusals_may_be_short() {
    let found = Found::default();
    for bytes in [&[0xE0, 0][..], &[0xE0, 1, 0]] {
        assert_eq!(
            decode(Version::V5, bytes),
            Ok(Packet::Disconnect { code: 0, properties: found })
        );
    }
    // What mosquitto 2.0 sends at a take-over.
    let taken = Packet::Disconnect { code: 0x8E, properties: found };
    assert_eq!(decode(Version::V5, &[0xE0, 1, 0x8E]), Ok(taken));
    assert_eq!(decode(Version::V311, &[0xE0, 0]), Err(ProtocolError::Unexpected(14)));
    // What a broker of version 3.1.1 answers to version 5.
    let refused = Packet::ConnAck { session_present: false, code: 1, properties: found };
    assert_eq!(decode(Version::V5, &[0x20, 2, 0, 1]), Ok(refused));
}

#[test]
fn what_we_never_asked_for_is_refused() {
    let alias = b"\x30\x07\0\x01a\x03\x23\0\x01";
    assert_eq!(decode(Version::V5, alias), Err(ProtocolError::Property(35)));
    assert_eq!(decode(Version::V5, b"\x34\x06\0\x01a\0\x01\0"), Err(ProtocolError::Qos(2)));
    assert_eq!(decode(Version::V5, b"\x30\x05\0\x01a\x01\x7F"), Err(ProtocolError::Property(0x7F)));
    assert_eq!(decode(Version::V5, b"\x30\x04\0\x01\xFF\0"), Err(ProtocolError::Text));
    assert_eq!(
        decode(Version::V5, b"\x20\x06\0\0\x03\x21\0\0"),
        Err(ProtocolError::PropertyValue(33))
    );
}

fn text() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9/äß]{1,200}"
}

proptest! {
    #[test]
    fn publications_are_what_rumqttc_reads_and_writes(
        topic in text(), payload in prop::collection::vec(any::<u8>(), 0..20_000),
        once in any::<bool>(), retain in any::<bool>(), id in 1_u16..,
        expiry in any::<Option<u32>>(), content_type in prop::option::of(text()),
        response in prop::option::of(text()), correlation in prop::option::of(prop::collection::vec(any::<u8>(), 0..300)),
        user in prop::collection::vec((text(), text()), 0..4), utf8 in any::<bool>(),
    ) {
        let qos = if once { Qos::AtLeastOnce } else { Qos::AtMostOnce };
        let pairs: Vec<_> = user.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let properties = Properties {
            utf8, message_expiry: expiry, content_type: content_type.as_deref(),
            response_topic: response.as_deref(), correlation_data: correlation.as_deref(), user: &pairs,
        };
        let publication = Publication { topic: &topic, qos, retain, properties };
        let expected = if once { id } else { 0 };

        let mut out = Vec::new();
        let size = publish(&mut out, Version::V311, &publication, id, |out| out.extend_from_slice(&payload));
        prop_assert_eq!(size, out.len());
        let v4::Packet::Publish(theirs) = read4(&out) else { panic!() };
        prop_assert_eq!((theirs.pkid, theirs.retain, theirs.dup), (expected, retain, false));
        prop_assert_eq!((&theirs.topic, &theirs.payload), (&topic, &Bytes::from(payload.clone())));
        prop_assert_eq!(&written4(&v4::Packet::Publish(theirs)), &out);

        out.clear();
        publish(&mut out, Version::V5, &publication, id, |out| out.extend_from_slice(&payload));
        let v5::Packet::Publish(theirs) = read5(&out) else { panic!() };
        prop_assert_eq!((theirs.pkid, theirs.retain, theirs.dup), (expected, retain, false));
        prop_assert_eq!((&theirs.topic, &theirs.payload), (&Bytes::from(topic.clone()), &Bytes::from(payload.clone())));
        let found = theirs.properties.clone().unwrap_or_default();
        prop_assert_eq!(found.payload_format_indicator, utf8.then_some(1));
        prop_assert_eq!(found.message_expiry_interval, expiry);
        prop_assert_eq!(&found.content_type, &content_type);
        prop_assert_eq!(&found.response_topic, &response);
        prop_assert_eq!(found.correlation_data.as_deref(), correlation.as_deref());
        prop_assert_eq!(&found.user_properties, &user);

        // Back: what rumqttc writes is what we read.
        let bytes = written5(&v5::Packet::Publish(theirs));
        let Packet::Publish(ours) = decode(Version::V5, &bytes).unwrap() else { panic!() };
        prop_assert_eq!((ours.topic, ours.payload, ours.retain), (topic.as_str(), &payload[..], retain));
        prop_assert_eq!(ours.packet, once.then_some(id));
        prop_assert_eq!((ours.properties.message_expiry, ours.properties.content_type), (expiry, content_type.as_deref()));
        prop_assert_eq!(ours.properties.response_topic, response.as_deref());
        prop_assert_eq!(ours.properties.correlation_data, correlation.as_deref());
        prop_assert_eq!(ours.properties.user(), user);
    }

    #[test]
    fn a_connack_is_what_rumqttc_writes(
        present in any::<bool>(), receive_max in prop::option::of(1_u16..), size in prop::option::of(1_u32..),
        expiry in any::<Option<u32>>(), keep in any::<Option<u16>>(), words in prop::option::of(text()),
        max_qos in prop::option::of(0_u8..2), retain in prop::option::of(0_u8..2), server in prop::option::of(text()),
    ) {
        let properties = v5::ConnAckProperties {
            session_expiry_interval: expiry, receive_max, max_qos, retain_available: retain, max_packet_size: size,
            assigned_client_identifier: Some("id".into()), topic_alias_max: Some(3), reason_string: words.clone(),
            user_properties: vec![("a".into(), "b".into())], wildcard_subscription_available: Some(1),
            subscription_identifiers_available: Some(1), shared_subscription_available: Some(0),
            server_keep_alive: keep, response_information: Some("r".into()), server_reference: server.clone(),
            authentication_method: Some("m".into()), authentication_data: Some(Bytes::from_static(b"d")),
        };
        let packet = v5::ConnAck { session_present: present, code: v5::ConnectReturnCode::Success, properties: Some(properties) };
        let bytes = written5(&v5::Packet::ConnAck(packet));
        let Packet::ConnAck { session_present, code, properties: found } = decode(Version::V5, &bytes).unwrap() else { panic!() };
        prop_assert_eq!((session_present, code), (present, 0));
        prop_assert_eq!((found.session_expiry, found.receive_maximum), (expiry, receive_max.map(u32::from)));
        prop_assert_eq!((found.max_packet, found.keep_alive), (size, keep.map(u32::from)));
        prop_assert_eq!((found.max_qos, found.retain_available), (max_qos.map(u32::from), retain.map(u32::from)));
        prop_assert_eq!((found.words, found.server), (words.as_deref(), server.as_deref()));
        prop_assert_eq!(found.assigned_client_id, Some("id"));
        prop_assert_eq!(found.user(), [("a".to_owned(), "b".to_owned())]);
    }

    #[test]
    fn noise_is_an_error_not_a_panic(first in any::<u8>(), body in prop::collection::vec(any::<u8>(), 0..200)) {
        for version in [Version::V311, Version::V5] {
            if let Ok(Packet::Publish(publish)) = Packet::decode(version, first, &body) {
                publish.properties.user();
            }
        }
    }
}
