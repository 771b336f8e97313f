//! The session against mosquitto, each test on both versions of the protocol.

#[cfg(test)]
#[expect(dead_code, reason = "shared by several test programs, each uses some of it")]
mod peers;

use peers::{BOTH, Broker, connect, event, message, subscribe};
use wire::{Closed, Event, Publication, PublishError, Qos, Session};

const ONCE: Publication<'static> = Publication {
    topic: "t",
    qos: Qos::AtLeastOnce,
    retain: false,
    properties: wire::Properties {
        utf8: false,
        message_expiry: None,
        content_type: None,
        response_topic: None,
        correlation_data: None,
        user: &[],
    },
};

/// Publishes `from..to` with their numbers as payload and waits for all acknowledgements.
async fn publish(session: &mut Session, from: u64, to: u64) -> Result<(), Closed> {
    let mut next = from;
    let mut acked = from;
    while acked < to {
        while next < to {
            match session.publish(&ONCE, next, |out| out.extend(next.to_be_bytes())) {
                Ok(()) => next += 1,
                Err(PublishError::WindowFull) => break,
                Err(PublishError::Closed) => break,
                Err(other) => panic!("{other}"),
            }
        }
        match event(session).await {
            Event::Acked { token } => {
                assert_eq!(token, acked, "mosquitto acknowledges in order");
                acked += 1;
            }
            Event::Closed(why) => return Err(why),
            other => panic!("{other:?}"),
        }
    }
    Ok(())
}

#[tokio::test]
async fn ten_thousand_are_acknowledged_and_arrive_in_order() {
    let broker = Broker::open().await;
    for version in BOTH {
        let (mut receiver, _) = connect(&broker.options(version, "receiver")).await;
        subscribe(&mut receiver, "t").await;
        let (mut sender, connected) = connect(&broker.options(version, "sender")).await;
        assert_eq!((connected.session_present, connected.window), (false, 256));
        let receive = async {
            for number in 0..10_000_u64 {
                let message = message(&mut receiver).await;
                assert_eq!(*message.payload, number.to_be_bytes());
                assert_eq!((message.retain, message.qos), (false, Qos::AtLeastOnce));
                receiver.acknowledge(message.packet.unwrap());
            }
        };
        let (sent, ()) = tokio::join!(publish(&mut sender, 0, 10_000), receive);
        sent.unwrap();
        let counters = sender.counters().clone();
        assert_eq!((counters.published.get(), counters.acknowledged.get()), (10_000, 10_000));
        assert_eq!((counters.strays.get(), counters.refused.get()), (0, 0));
        sender.disconnect().await;
        receiver.disconnect().await;
    }
}
