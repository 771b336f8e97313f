//! Hostile bytes: what a broker, or who claims to be one, may send.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::machine::{Answer, Machine};
use super::{Counters, Event, Filter, MqttOptions, Publication, Qos, Version};

/// How much is published before the bytes come.
const TOKENS: u64 = 20;

/// Feeds bytes to a session: the first says version, state and how the others are cut. Whatever comes, nothing
/// panics, and each publication is answered at most once and otherwise still known as unanswered.
pub fn fuzz_one(data: &[u8]) {
    let Some((&first, data)) = data.split_first() else { return };
    let version = if first & 1 == 0 { Version::V311 } else { Version::V5 };
    let options = MqttOptions { max_packet: 4096, ..MqttOptions::new("h", 1, version, "fuzz") };
    let mut machine = Machine::new(&options, Arc::new(Counters::default()), 0);
    if first & 2 == 0 {
        let welcome: &[u8] =
            if version == Version::V5 { &[0x20, 3, 0, 0, 0] } else { &[0x20, 2, 0, 0] };
        machine.received(welcome, 0);
    }
    let mut chunks = data.chunks(usize::from(first >> 2) + 1);
    let mut now = 0;
    loop {
        match machine.answer() {
            Some(Answer::Connected(_)) => break,
            Some(_) => return,
            None => {}
        }
        let Some(chunk) = chunks.next() else { return };
        machine.received(chunk, now);
    }
    let mut waiting = BTreeSet::new();
    let publication = Publication::new("t", Qos::AtLeastOnce);
    for token in 0..TOKENS {
        if machine.publish(&publication, token, now, |out| out.push(0)).is_ok() {
            waiting.insert(token);
        }
    }
    // A broker may allow packets too small for it, or end the session first; both are errors that we have seen.
    let subscribed = machine.subscribe(&[Filter::new("c/#")], now).is_ok();
    machine.wrote(machine.outgoing().len(), now);
    let mut answers = 0;
    loop {
        match machine.next(now) {
            Some(Event::Acked { token } | Event::Refused { token, .. }) => {
                assert!(waiting.remove(&token), "{token} was answered twice or never sent");
            }
            Some(Event::Message(message)) => {
                message.packet.into_iter().for_each(|packet| machine.acknowledge(packet));
            }
            Some(Event::Subscribed { .. }) => {
                answers += 1;
                assert!(subscribed && answers == 1, "one subscription has one answer");
            }
            Some(Event::Unsubscribed { .. } | Event::Flushed) => {}
            Some(Event::Closed(_)) => break,
            None => {
                now += 1_000_000;
                machine.tick(now);
                match chunks.next() {
                    Some(chunk) => machine.received(chunk, now),
                    None => machine.ended(),
                }
            }
        }
    }
    assert!(machine.unacknowledged().eq(waiting), "what is not answered is known");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Sound packets to mutate, of both versions.
    const SEEDS: &[&[u8]] = &[
        b"\x20\x02\0\0",
        b"\x20\x06\x01\0\x03\x21\0\x05",
        b"\x20\x08\0\0\x05\x27\0\0\x01\0",
        b"\x40\x02\0\x01",
        b"\x40\x02\0\x02",
        b"\x40\x03\0\x03\x97",
        b"\x40\x09\0\x04\x90\x05\x1F\0\x02no",
        b"\x90\x03\xC0\0\x01",
        b"\x90\x04\xC0\0\0\x01",
        b"\xB0\x02\xC0\x01",
        b"\xD0\0",
        b"\x30\x05\0\x01apl",
        b"\x33\x07\0\x01a\0\x07pl",
        b"\x33\x0F\0\x01a\0\x07\x07\x26\0\x01n\0\x01vpl",
        b"\x33\x16\0\x01a\0\x08\x0E\x02\0\0\0\x09\x08\0\x01r\x09\0\x02\x01\x02pl",
        b"\xE0\x01\x8E",
        b"\xE0\x0A\x8B\x08\x1F\0\x05later",
    ];

    /// A small generator: the same bytes in each run.
    struct Random(u64);

    impl Random {
        fn below(&mut self, n: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(self.0 >> 33).unwrap() % n.max(1)
        }

        fn byte(&mut self) -> u8 {
            u8::try_from(self.below(256)).unwrap()
        }
    }

    #[test]
    fn mutated_packets_are_errors_not_panics() {
        let mut random = Random(20_261_123);
        for _ in 0..100_000 {
            let mut data = vec![random.byte()];
            for _ in 0..random.below(12) {
                data.extend(SEEDS[random.below(SEEDS.len())]);
            }
            for _ in 0..random.below(6) {
                let at = random.below(data.len());
                match random.below(4) {
                    0 => data[at] = random.byte(),
                    1 => data[at] ^= 1 << random.below(8),
                    2 => data.insert(at, random.byte()),
                    _ => drop(data.drain(at..data.len().min(at + 3))),
                }
                if data.is_empty() {
                    break;
                }
            }
            fuzz_one(&data);
        }
    }

    proptest! {
        #[test]
        fn noise_is_an_error_not_a_panic(data in prop::collection::vec(any::<u8>(), 0..400)) {
            fuzz_one(&data);
        }
    }
}
