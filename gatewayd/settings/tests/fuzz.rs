//! Hostile text never panics the reader.

use proptest::prelude::*;

const SEED: &str = "name = 'gw'\na = '1s'\nb = '64MiB'\nc = 'cred:x'\nd = 7\ne = [1, 2.5e3]\n\
                    [line.'ü'.line.b]\nname = \"\"\"\nx\"\"\"\n[[point]]\nx = true\n[[point]]\n\"y z\" = 2026-01-01\n";

proptest! {
    #[test]
    fn any_bytes(data in proptest::collection::vec(any::<u8>(), 0..300)) {
        settings::fuzz_one(&data);
    }

    #[test]
    fn any_words(words in proptest::collection::vec(
        prop_oneof![Just("["), Just("]"), Just("[["), Just("]]"), Just("="), Just("."), Just("{"), Just("}"),
            Just("\n"), Just("'"), Just("\"\"\""), Just("a"), Just("line"), Just("point"), Just("1e9"), Just("'1s'"),
            Just(","), Just("#"), Just("ü"), Just("\\"), Just("-inf"), Just("0x"), Just("99999999999999999999")], 0..60)) {
        settings::fuzz_one(words.concat().as_bytes());
    }

    #[test]
    fn a_mutated_file(cuts in proptest::collection::vec((0..SEED.len(), any::<u8>(), 0..4_u8), 1..8)) {
        let mut bytes = SEED.as_bytes().to_vec();
        for (at, byte, how) in cuts {
            let Some(last) = bytes.len().checked_sub(1) else { break };
            let at = at.min(last);
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => { bytes.remove(at); }
                _ => bytes.truncate(at.max(1)),
            }
        }
        settings::fuzz_one(&bytes);
    }
}
