//! The machine against scripted and random peers.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::mqtt::RefusalClass;

const S: i64 = 1_000_000;
const BOTH: [Version; 2] = [Version::V311, Version::V5];
const ONCE: Qos = Qos::AtLeastOnce;

fn options(version: Version) -> MqttOptions {
    let mut options = MqttOptions::new("h", 1, version, "gateway-7");
    options.keep_alive = Duration::from_secs(10);
    options
}

fn machine(options: &MqttOptions) -> Machine {
    Machine::new(options, Arc::new(Counters::default()), 0)
}

/// A connected machine; `properties` of CONNACK count in version 5.
fn open(options: &MqttOptions, properties: &[u8]) -> Machine {
    let mut machine = machine(options);
    machine.wrote(machine.outgoing().len(), 0);
    match options.version {
        Version::V311 => machine.received(&[0x20, 2, 0, 0], 0),
        Version::V5 => {
            let length = u8::try_from(properties.len()).unwrap();
            machine.received(&[&[0x20, 3 + length, 0, 0, length], properties].concat(), 0);
        }
    }
    assert!(matches!(machine.answer(), Some(Answer::Connected(_))));
    machine
}

fn publish(machine: &mut Machine, token: u64) -> Result<(), PublishError> {
    machine.publish(&Publication::new("t", ONCE), token, 0, |out| out.extend(b"value"))
}

fn puback(id: u16) -> [u8; 4] {
    let [high, low] = id.to_be_bytes();
    [0x40, 2, high, low]
}

fn acked(machine: &mut Machine) -> Vec<u64> {
    std::iter::from_fn(|| machine.next(0))
        .map(|event| match event {
            Event::Acked { token } => token,
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn the_receive_maximum_is_obeyed() {
    let mut machine = open(&options(Version::V5), &[33, 0, 5]);
    for token in 0..5 {
        publish(&mut machine, token).unwrap();
    }
    let bytes = machine.outgoing().len();
    assert_eq!((machine.room(), publish(&mut machine, 5)), (0, Err(PublishError::WindowFull)));
    assert_eq!(machine.outgoing().len(), bytes, "a refused publication leaves no trace");
    machine.received(&puback(3), 0);
    assert_eq!(acked(&mut machine), [2]);
    publish(&mut machine, 5).unwrap();
    assert_eq!(publish(&mut machine, 6), Err(PublishError::WindowFull));
    let fire = Publication::new("t", Qos::AtMostOnce);
    machine.publish(&fire, 9, 0, |_| {}).expect("QoS 0 needs no room in the window");
}

#[test]
fn the_maximum_packet_size_is_obeyed() {
    let mut machine = open(&options(Version::V5), &[39, 0, 0, 0, 20]);
    let mut big = |size: usize| {
        machine.publish(&Publication::new("t", ONCE), 1, 0, |out| out.resize(out.len() + size, 0))
    };
    assert_eq!(big(13), Err(PublishError::TooLarge { size: 21, limit: 20 }));
    assert_eq!(big(12), Ok(()));
    assert_eq!(machine.outgoing().len(), 20);
    machine.received(&puback(1), 0);
    assert_eq!(acked(&mut machine), [1], "the refused one has used no packet id");
    let long = "x".repeat(30);
    let refused = machine.subscribe(&[Filter::new(&long)], 0);
    assert!(matches!(refused, Err(PublishError::TooLarge { .. })));
}

#[test]
fn what_the_broker_does_not_do_is_not_sent() {
    let mut machine = open(&options(Version::V5), &[36, 0, 37, 0]);
    assert_eq!(publish(&mut machine, 0), Err(PublishError::Unsupported("QoS 1")));
    let retained = Publication::new("t", Qos::AtMostOnce).retained();
    let refused = machine.publish(&retained, 0, 0, |_| {});
    assert_eq!(refused, Err(PublishError::Unsupported("retained messages")));
    for topic in ["", "a/+", "#", "a\0"] {
        let refused = machine.publish(&Publication::new(topic, Qos::AtMostOnce), 0, 0, |_| {});
        assert!(matches!(refused, Err(PublishError::Invalid { .. })), "{topic:?}");
    }
    assert!(machine.outgoing().is_empty());
}

#[test]
fn refusals_name_their_token_and_class() {
    let mut machine = open(&options(Version::V5), &[]);
    for token in 0..4 {
        publish(&mut machine, token).unwrap();
    }
    machine.received(
        b"\x40\x03\0\x02\x87\x40\x09\0\x01\x97\x05\x1F\0\x02no\x40\x03\0\x03\x95\x40\x03\0\x04\x10",
        0,
    );
    let mut refused = || match machine.next(0) {
        Some(Event::Refused { token, reason, class, words }) => (token, reason.0, class, words),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(), (1, 0x87, RefusalClass::Link, None));
    assert_eq!(refused(), (0, 0x97, RefusalClass::Link, Some("no".into())));
    assert_eq!(refused(), (2, 0x95, RefusalClass::Message, None));
    assert_eq!(acked(&mut machine), [3], "no matching subscribers is a success");
    assert_eq!(machine.counters.refused.get(), 3);
}

#[test]
fn acknowledgements_for_nothing_lose_nothing() {
    for version in BOTH {
        let mut machine = open(&options(version), &[]);
        publish(&mut machine, 7).unwrap();
        publish(&mut machine, 8).unwrap();
        for id in [2, 2, 3, 0x8000, LAST, LAST + 1, u16::MAX] {
            machine.received(&puback(id), 0);
        }
        assert_eq!(acked(&mut machine), [8]);
        assert_eq!(machine.counters.strays.get(), 6);
        assert!(machine.unacknowledged().eq([7]));
    }
}

#[test]
fn goodbyes_say_why_after_all_that_came_before() {
    let mut machine = open(&options(Version::V5), &[]);
    publish(&mut machine, 0).unwrap();
    machine.received(&[&puback(1)[..], b"\xE0\x01\x8E"].concat(), 0);
    machine.ended();
    assert!(matches!(machine.next(0), Some(Event::Acked { token: 0 })));
    let Some(Event::Closed(why)) = machine.next(0) else { panic!() };
    assert_eq!(
        why.to_string(),
        "the broker disconnected client \"gateway-7\": session taken over (0x8E); another client connected with the \
         same client id: give each gateway its own"
    );
    assert!(matches!(machine.next(0), Some(Event::Closed(_))), "closed stays closed");
    assert_eq!(publish(&mut machine, 1), Err(PublishError::Closed));

    let mut machine = open(&options(Version::V5), &[]);
    machine.received(b"\xE0\x12\x9C\x10\x1F\0\x04move\x1C\0\x06other:", 0);
    let Some(Event::Closed(why)) = machine.next(0) else { panic!() };
    assert!(
        why.to_string().contains("\"move\"") && why.to_string().contains("\"other:\""),
        "{why}"
    );
}

#[test]
fn flushed_ends_qos_0_and_a_full_buffer() {
    for version in BOTH {
        let mut machine = open(&MqttOptions { max_waiting: 50, ..options(version) }, &[]);
        publish(&mut machine, 0).unwrap();
        machine.wrote(machine.outgoing().len(), 0);
        assert!(machine.next(0).is_none(), "QoS 1 alone asks for no Flushed");
        let fire = Publication::new("t", Qos::AtMostOnce);
        machine.publish(&fire, 0, 0, |out| out.extend([0; 100])).unwrap();
        assert_eq!(publish(&mut machine, 1), Err(PublishError::WindowFull));
        machine.wrote(20, 0);
        assert!(machine.next(0).is_none());
        machine.wrote(machine.outgoing().len(), 0);
        assert!(matches!(machine.next(0), Some(Event::Flushed)));
        assert!(machine.next(0).is_none());
        publish(&mut machine, 1).unwrap();
    }
}

#[test]
fn messages_wait_for_our_acknowledgement() {
    for version in BOTH {
        let options = MqttOptions { receive_window: 2, ..options(version) };
        let mut machine = open(&options, &[]);
        let message = |id: u8| match version {
            Version::V311 => vec![0x32, 6, 0, 1, b'c', 0, id, b'x'],
            Version::V5 => vec![0x32, 7, 0, 1, b'c', 0, id, 0, b'x'],
        };
        machine.received(&[message(1), message(2)].concat(), 0);
        for id in [1, 2] {
            let Some(Event::Message(message)) = machine.next(0) else { panic!() };
            assert_eq!((message.packet, &*message.payload), (Some(id), &b"x"[..]));
        }
        assert!(machine.outgoing().is_empty(), "nothing is acknowledged before it is safe");
        for id in [2, 2, 99] {
            machine.acknowledge(id);
        }
        assert_eq!(machine.outgoing(), puback(2), "once, and no unknown ones");
        machine.received(&[message(3), message(4)].concat(), 0);
        assert!(matches!(machine.next(0), Some(Event::Message(_))));
        match (version, machine.next(0)) {
            (Version::V311, Some(Event::Message(_))) => {}
            (Version::V5, Some(Event::Closed(Closed::Protocol(error)))) => {
                assert_eq!(error, ProtocolError::ReceiveMaximum(2));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_broker_may_set_the_keep_alive_and_must_answer_pings() {
    let mut machine = open(&options(Version::V5), &[19, 0, 4]);
    assert_eq!(machine.deadline(), 4 * S);
    machine.tick(4 * S);
    assert_eq!(machine.outgoing(), [0xC0, 0]);
    machine.wrote(2, 4 * S);
    machine.received(&[0xD0, 0], 5 * S);
    assert!(machine.next(5 * S).is_none());
    assert_eq!(machine.deadline(), 8 * S);
    machine.tick(8 * S);
    machine.tick(10 * S);
    let Some(Event::Closed(Closed::NoPing { silent })) = machine.next(10 * S) else { panic!() };
    assert_eq!(silent, Duration::from_secs(5));
    assert_eq!(machine.counters.pings.get(), 2);
}

#[test]
fn an_unanswered_subscription_is_noticed_like_a_publication() {
    for version in BOTH {
        let mut options = options(version);
        options.keep_alive = Duration::ZERO;
        let mut machine = open(&options, &[]);
        let id = machine.subscribe(&[Filter::new("c/#")], S).unwrap();
        machine.tick(31 * S - 1);
        assert!(machine.next(0).is_none());
        machine.tick(31 * S);
        assert!(matches!(machine.next(0), Some(Event::Closed(Closed::NoAck { .. }))));
        assert!(id > LAST);
    }
}

#[test]
fn connack_refusals_are_told_in_the_words_of_version_5() {
    for (version, code, reason) in [
        (Version::V311, 4, 0x86),
        (Version::V311, 5, 0x87),
        (Version::V311, 2, 0x85),
        (Version::V5, 1, 0x84),
        (Version::V5, 0x8A, 0x8A),
        (Version::V5, 0x8E, 0x8E),
    ] {
        let mut machine = machine(&options(version));
        machine.received(&[0x20, 2, 0, code], 0);
        let Some(Answer::Refused { reason: found, .. }) = machine.answer() else { panic!() };
        assert_eq!(found, Reason(reason));
    }
    let mut machine = machine(&options(Version::V311));
    assert_eq!(publish(&mut machine, 0), Err(PublishError::Closed), "not before CONNACK");
    machine.received(&[0xD0, 0], 0);
    assert!(matches!(machine.answer(), Some(Answer::Closed(Closed::Protocol(_)))));
}

proptest! {
    /// A broker that answers in any order, repeats itself, invents ids and vanishes at any time.
    #[test]
    fn each_accepted_token_is_answered_once_or_known_as_lost(
        v5 in any::<bool>(),
        steps in prop::collection::vec((0_u8..8, any::<u16>()), 0..400),
    ) {
        let version = if v5 { Version::V5 } else { Version::V311 };
        let mut machine = open(&MqttOptions { window: 30, ..options(version) }, &[]);
        let (mut next, mut first, mut arrived, mut pending) = (0_u64, 0_usize, Vec::new(), Vec::new());
        let mut answered = BTreeSet::new();
        for (step, pick) in steps {
            match step {
                0..3 => next += u64::from(publish(&mut machine, next).is_ok()),
                3 => {
                    // The socket takes some bytes; the broker sees whole packets only.
                    let n = usize::from(pick) % (machine.outgoing().len() + 1);
                    arrived.extend_from_slice(&machine.outgoing()[..n]);
                    machine.wrote(n, 0);
                    while let Some(found) = frame(&arrived[first..], 1 << 20).unwrap() {
                        let at = first + found.start + 3;
                        pending.push(u16::from_be_bytes([arrived[at], arrived[at + 1]]));
                        first += found.end;
                    }
                }
                4 | 5 if !pending.is_empty() => {
                    let id = pending.remove(usize::from(pick) % pending.len());
                    let bytes = puback(id);
                    let cut = usize::from(pick) % 4;
                    machine.received(&bytes[..cut], 0);
                    prop_assert!(machine.next(0).is_none());
                    machine.received(&bytes[cut..], 0);
                }
                // A repeat or an invention, but none that hits a publication on its way.
                6 if pick > 0 && (u64::from(pick) > next || answered.contains(&(u64::from(pick) - 1))) => {
                    machine.received(&puback(pick), 0);
                }
                _ => {}
            }
            while let Some(event) = machine.next(0) {
                let Event::Acked { token } = event else { panic!("{event:?}") };
                prop_assert!(answered.insert(token), "answered twice");
            }
        }
        machine.ended();
        prop_assert!(matches!(machine.next(0), Some(Event::Closed(_))));
        let lost: Vec<u64> = machine.unacknowledged().collect();
        prop_assert!(lost.iter().all(|token| !answered.contains(token)));
        prop_assert_eq!(lost.len() + answered.len(), usize::try_from(next).unwrap());
    }
}
