//! What goes over a line, for those who watch it. It costs nothing while nobody does.

use adapter::Tapped;
use tokio::sync::mpsc;
use twin::Boottime;

use crate::spec::Transport;
use crate::{SerialFraming, ascii_frame, pdu_raw, rtu_frame};

/// How many may watch one line.
const MOST: usize = 8;

/// Who watches a line.
#[derive(Debug)]
pub(crate) struct Taps {
    framing: Option<SerialFraming>,
    to: Vec<(mpsc::Sender<Tapped>, u64)>,
}

impl Taps {
    pub(crate) fn new(transport: &Transport) -> Self {
        Self { framing: transport.serial_framing(), to: Vec::new() }
    }

    /// A further one watches.
    pub(crate) fn add(&mut self, to: mpsc::Sender<Tapped>) {
        self.to.retain(|(to, _)| !to.is_closed());
        if self.to.len() < MOST {
            self.to.push((to, 0));
        }
    }

    /// Tells those who watch.
    pub(crate) fn note(&mut self, at: i64, sent: bool, bytes: &[u8]) {
        if self.to.is_empty() || bytes.is_empty() {
            return;
        }
        let words = words(self.framing, sent, bytes);
        self.to.retain_mut(|(to, lost)| {
            let tapped = Tapped {
                at: Boottime(at),
                sent,
                bytes: bytes.to_vec(),
                words: words.clone(),
                lost: *lost,
            };
            match to.try_send(tapped) {
                Ok(()) => *lost = 0,
                Err(mpsc::error::TrySendError::Full(_)) => *lost += 1,
                Err(mpsc::error::TrySendError::Closed(_)) => return false,
            }
            true
        });
    }
}

/// Bytes of a line in words, where they are whole frames; `sent`: requests.
#[must_use]
pub fn words(framing: Option<SerialFraming>, sent: bool, bytes: &[u8]) -> String {
    let all: Vec<String> = frames(framing, bytes)
        .into_iter()
        .map(|frame| {
            let id = frame.id.map_or_else(String::new, |id| format!("#{id} "));
            format!("{id}unit {}: {}", frame.unit, pdu_raw::words(&frame.pdu, sent))
        })
        .collect();
    if all.is_empty() { format!("{} bytes, no whole frame", bytes.len()) } else { all.join("; ") }
}

/// A whole frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// Its number, where frames have one.
    pub id: Option<u16>,
    /// The unit.
    pub unit: u8,
    /// What it carries.
    pub pdu: Vec<u8>,
}

/// The whole frames that these bytes are, if they are nothing else.
#[must_use]
pub fn frames(framing: Option<SerialFraming>, bytes: &[u8]) -> Vec<Whole> {
    let whole = |id, unit_and_pdu: &[u8]| {
        let (unit, pdu) = unit_and_pdu.split_first()?;
        Some(Whole { id, unit: *unit, pdu: pdu.to_vec() })
    };
    match framing {
        None => {
            let Ok((frames, [])) = crate::tcp::frames(bytes) else { return Vec::new() };
            let one = |frame: crate::tcp::Frame<'_>| Whole {
                id: Some(frame.id),
                unit: frame.unit,
                pdu: frame.pdu.to_vec(),
            };
            frames.into_iter().map(one).collect()
        }
        Some(SerialFraming::Rtu) => {
            rtu_frame::whole(bytes).and_then(|inside| whole(None, inside)).into_iter().collect()
        }
        Some(SerialFraming::Ascii) => {
            let line = bytes.strip_prefix(b":").and_then(|rest| rest.strip_suffix(b"\n"));
            let inside = line.and_then(ascii_frame::sound);
            inside.and_then(|inside| whole(None, &inside)).into_iter().collect()
        }
    }
}

/// Puts arbitrary bytes into words; must never panic.
pub fn fuzz_one(data: &[u8]) {
    for framing in [None, Some(SerialFraming::Rtu), Some(SerialFraming::Ascii)] {
        for sent in [true, false] {
            assert!(!words(framing, sent, data).is_empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_kind_are_put_into_words() {
        let tcp = [0, 5, 0, 0, 0, 6, 1, 3, 0, 7, 0, 2];
        assert_eq!(words(None, true, &tcp), "#5 unit 1: read 2 of holding from 7");
        // The textbook's request and its ASCII form.
        let rtu = [0x11, 3, 0, 0x6B, 0, 3, 0x76, 0x87];
        let expected = "unit 17: read 3 of holding from 107";
        assert_eq!(words(Some(SerialFraming::Rtu), true, &rtu), expected);
        let ascii = b":1103006B00037E\r\n";
        assert_eq!(words(Some(SerialFraming::Ascii), true, ascii), expected);
        assert_eq!(words(Some(SerialFraming::Rtu), false, &rtu[..5]), "5 bytes, no whole frame");
    }

    #[test]
    fn a_slow_watcher_loses_and_is_told_and_one_that_is_gone_costs_nothing() {
        let transport = Transport::Tcp { host: "h".into(), port: 1 };
        let mut taps = Taps::new(&transport);
        let (to, mut tapped) = mpsc::channel(2);
        taps.add(to);
        for at in 0..5 {
            taps.note(at, true, &[0]);
        }
        let seen = |tapped: Tapped| (tapped.at.0, tapped.lost);
        assert_eq!(tapped.try_recv().map(seen), Ok((0, 0)));
        assert_eq!(tapped.try_recv().map(seen), Ok((1, 0)));
        taps.note(9, true, &[0]);
        assert_eq!(tapped.try_recv().map(seen), Ok((9, 3)));
        drop(tapped);
        taps.note(10, true, &[0]);
        assert!(taps.to.is_empty());
    }
}
