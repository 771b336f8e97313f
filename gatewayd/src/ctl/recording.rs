//! A recorded line: a text file with one JSON object per line.
//!
//! The first one says what it is: `{"gatewayd-recording":1,"line":"bus","protocol":"modbus-rtu"}`. Each further one is a
//! piece as it was written or read at once: `{"at_us":17,"sent":true,"hex":"0103...","words":"..."}`.

use std::collections::HashMap;

use adapter_modbus::tap::{Whole, frames};
use adapter_modbus::{Request, SerialFraming, pdu_raw};
use control::Tapped;
use serde_json::{Value, json};

use crate::server::unhex;

/// The exception that says that the data is not there.
const ILLEGAL_ADDRESS: u8 = 2;

/// The first line of a recording.
pub fn head(line: &str, protocol: &str) -> String {
    json!({ "gatewayd-recording": 1, "line": line, "protocol": protocol }).to_string()
}

/// Which unit was asked what.
type Question = (u8, Vec<u8>);
/// What was answered; `None` is silence.
type Answered = Option<Vec<u8>>;

/// What the devices of a recorded line answered.
#[derive(Debug, Default)]
pub struct Recording {
    /// The answers in their order.
    answers: HashMap<Question, Vec<Answered>>,
    /// Whose turn it is.
    turns: HashMap<Question, usize>,
    /// The last value of each register that was read, by unit, function and number.
    registers: HashMap<(u8, u8, u16), [u8; 2]>,
}

impl Recording {
    /// Understands a recording.
    ///
    /// # Errors
    /// In words, what is wrong in which line.
    pub fn parse(text: &str) -> Result<Self, String> {
        // What was being written when the recording ended is no line.
        let whole = text.rfind('\n').and_then(|end| text.get(..end)).unwrap_or(text);
        let mut lines = whole.lines().enumerate();
        let first = lines.next().and_then(|(_, line)| serde_json::from_str::<Value>(line).ok());
        let first = first.filter(|head| head["gatewayd-recording"] == 1);
        let head = first.ok_or("line 1: this is no recording of gatewayctl")?;
        let framing = match head["protocol"].as_str() {
            Some("modbus-tcp" | "modbus-tls" | "modbus-udp") => None,
            Some("modbus-rtu" | "modbus-rtu-over-tcp") => Some(SerialFraming::Rtu),
            Some("modbus-ascii" | "modbus-ascii-over-tcp") => Some(SerialFraming::Ascii),
            other => return Err(format!("line 1: the protocol {other:?} is not known")),
        };
        let mut recording = Self::default();
        let mut waiting: Vec<Whole> = Vec::new();
        let mut heard = Vec::new();
        for (at, line) in lines {
            let wrong = |what: &str| format!("line {}: {what}", at + 1);
            let piece: Tapped = serde_json::from_str(line).map_err(|e| wrong(&e.to_string()))?;
            let bytes = unhex(&piece.hex).ok_or_else(|| wrong("hex is not hexadecimal"))?;
            if piece.sent {
                if framing.is_some() {
                    waiting.drain(..).for_each(|silent| recording.note(silent, None));
                    heard.clear();
                }
                for asked in frames(framing, &bytes) {
                    // A number that comes again belongs to the new request: the old one was given up.
                    let again = |old: &Whole| old.id.is_some() && old.id == asked.id;
                    while let Some(at) = waiting.iter().position(again) {
                        recording.note(waiting.remove(at), None);
                    }
                    waiting.push(asked);
                }
                continue;
            }
            heard.extend(bytes);
            // A recording may begin in the middle of an answer: what is before the first one that was asked for is none.
            let of =
                |asked: &Whole, answer: &Whole| asked.id == answer.id && asked.unit == answer.unit;
            let known = |answer: &Whole| waiting.iter().any(|asked| of(asked, answer));
            let from = |at: usize| frames(framing, heard.get(at..).unwrap_or_default());
            let mut whole = from(0);
            if whole.is_empty() {
                let later = (1..heard.len()).map(from).find(|all| all.first().is_some_and(known));
                whole = later.unwrap_or_default();
            }
            if !whole.is_empty() {
                heard.clear();
            }
            for answer in whole {
                if let Some(at) = waiting.iter().position(|asked| of(asked, &answer)) {
                    let asked = waiting.remove(at);
                    recording.note(asked, Some(answer.pdu));
                }
            }
        }
        waiting.into_iter().for_each(|silent| recording.note(silent, None));
        Ok(recording)
    }

    fn note(&mut self, asked: Whole, answer: Option<Vec<u8>>) {
        if let (Some(Request::Read { start, .. }), Some([function @ 3..=4, _, data @ ..])) =
            (pdu_raw::reading(&asked.pdu), answer.as_deref())
        {
            for (number, pair) in (start..=u16::MAX).zip(data.as_chunks::<2>().0) {
                self.registers.insert((asked.unit, *function, number), *pair);
            }
        }
        self.answers.entry((asked.unit, asked.pdu)).or_default().push(answer);
    }

    /// How many different requests it knows.
    pub fn requests(&self) -> usize {
        self.answers.len()
    }

    /// What the unit answers now: what it answered then, in turn; else from the registers that it has shown; `None`:
    /// nothing, as then, or because it never was heard of.
    pub fn answer(&mut self, unit: u8, pdu: &[u8]) -> Option<Vec<u8>> {
        let key = (unit, pdu.to_vec());
        if let Some(answers) = self.answers.get(&key) {
            let turn = self.turns.entry(key).or_default();
            let answer = answers.get(*turn % answers.len().max(1))?;
            *turn += 1;
            return answer.clone();
        }
        // Who never answered does not begin to.
        let lives = |((known, _), all): (&Question, &Vec<Answered>)| {
            *known == unit && all.iter().any(Option::is_some)
        };
        if !self.answers.iter().any(lives) {
            return None;
        }
        let function = *pdu.first()?;
        let composed = match pdu_raw::reading(pdu) {
            Some(Request::Read { start, count, .. }) if count <= 125 => {
                let value = |n: u16| {
                    let number = start.checked_add(n)?;
                    self.registers.get(&(unit, function, number)).copied()
                };
                let values: Option<Vec<[u8; 2]>> = (0..count).map(value).collect();
                values.filter(|values| !values.is_empty())
            }
            _ => None,
        };
        Some(match composed {
            Some(values) => {
                let count = u8::try_from(values.len() * 2).unwrap_or(u8::MAX);
                [&[function, count], values.concat().as_slice()].concat()
            }
            None => vec![function | 0x80, ILLEGAL_ADDRESS],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(sent: bool, hex: &str) -> String {
        let (hex, words) = (hex.replace(' ', ""), String::new());
        serde_json::to_string(&Tapped { at_us: 1, sent, hex, words, lost: 0 }).unwrap()
    }

    #[test]
    fn a_serial_line_answers_again_as_it_did() {
        // The textbook's request and answer of unit 17, in two pieces; then the same without an answer.
        let text = [
            head("bus", "modbus-rtu"),
            piece(true, "11 03 00 6B 00 03 76 87"),
            piece(false, "11 03 06 AE 41"),
            piece(false, "56 52 43 40 49 AD"),
            piece(true, "11 03 00 6B 00 03 76 87"),
        ]
        .join("\n");
        let text = text + "\n{\"at_us\":";
        let mut recording = Recording::parse(&text).unwrap();
        let request = [3, 0, 0x6B, 0, 3];
        let answer = vec![3, 6, 0xAE, 0x41, 0x56, 0x52, 0x43, 0x40];
        assert_eq!(recording.answer(17, &request), Some(answer.clone()));
        assert_eq!(recording.answer(17, &request), None, "it was silent then");
        assert_eq!(recording.answer(17, &request), Some(answer), "and from the beginning");
        assert_eq!(
            recording.answer(17, &[3, 0, 0x6C, 0, 1]),
            Some(vec![3, 2, 0x56, 0x52]),
            "a part"
        );
        assert_eq!(recording.answer(17, &[3, 0, 0, 0, 1]), Some(vec![0x83, 2]));
        assert_eq!(recording.answer(18, &request), None, "nobody is there");
    }

    #[test]
    fn answers_out_of_order_find_their_requests_by_number() {
        let text = [
            head("plc", "modbus-tcp"),
            piece(true, "0001 0000 0006 01 03 0000 0001"),
            piece(true, "0002 0000 0006 01 03 0001 0001"),
            piece(false, "0002 0000 0005 01 03 02 0009 0001 0000 0005 01 03 02 0007"),
        ]
        .join("\n");
        let text = text + "\n{\"at_us\":";
        let mut recording = Recording::parse(&text).unwrap();
        assert_eq!(recording.requests(), 2);
        assert_eq!(recording.answer(1, &[3, 0, 0, 0, 1]), Some(vec![3, 2, 0, 7]));
        assert_eq!(recording.answer(1, &[3, 0, 0, 0, 2]), Some(vec![3, 4, 0, 7, 0, 9]));
    }

    #[test]
    fn a_recording_may_begin_in_the_middle_of_an_answer() {
        let text = [
            head("plc", "modbus-tcp"),
            // The end of the answer to a request that was sent before.
            piece(false, "05 01 03 02 0009"),
            piece(true, "0002 0000 0006 01 03 0001 0001"),
            piece(false, "0002 0000 0005 01 03"),
            piece(false, "02 0007"),
        ]
        .join("\n");
        let mut recording = Recording::parse(&(text + "\n")).unwrap();
        assert_eq!(recording.answer(1, &[3, 0, 1, 0, 1]), Some(vec![3, 2, 0, 7]));
    }

    #[test]
    fn a_number_that_comes_again_is_of_the_new_request() {
        let text = [
            head("plc", "modbus-tcp"),
            piece(true, "0001 0000 0006 01 03 0000 0001"),
            // A new connection begins with 1 again.
            piece(true, "0001 0000 0006 01 03 0001 0001"),
            piece(false, "0001 0000 0005 01 03 02 0007"),
        ]
        .join("\n");
        let mut recording = Recording::parse(&(text + "\n")).unwrap();
        assert_eq!(recording.answer(1, &[3, 0, 0, 0, 1]), None, "it was silent");
        assert_eq!(recording.answer(1, &[3, 0, 1, 0, 1]), Some(vec![3, 2, 0, 7]));
    }

    #[test]
    fn what_is_no_recording_is_told_with_its_line() {
        let wrong = |text: &str| Recording::parse(text).unwrap_err();
        assert!(wrong("").starts_with("line 1"), "{}", wrong(""));
        assert!(wrong("{}").starts_with("line 1"));
        assert!(wrong(&head("l", "opcua")).contains("opcua"));
        let broken = format!("{}\n{}\nx\n", head("l", "modbus-tcp"), piece(true, "00"));
        assert!(wrong(&broken).starts_with("line 3"), "{}", wrong(&broken));
        assert!(
            wrong(&format!("{}\n{}\n", head("l", "modbus-tcp"), piece(true, "0x")))
                .starts_with("line 2")
        );
    }
}
