//! What a device says of itself by function 43/14, "Read Device Identification": objects with a number and a text.
//!
//! Objects 0 to 2 are vendor name, product code and revision, 3 to 6 have a meaning too, from 128 on each vendor's own
//! begin (Application Protocol V1.1b3, 6.21).

use std::fmt;

use crate::AnswerError;

/// The MEI type that stands after the function code.
pub(crate) const MEI: u8 = 0x0E;
/// Unit, function, MEI type, code, conformity, more, next, number of objects.
const HEADER: usize = 8;

/// How much a device is asked to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Extent {
    /// Vendor name, product code and revision.
    Basic,
    /// Also vendor URL, product name, model name and application name, where it has them.
    Regular,
    /// Also the vendor's own objects.
    Extended,
}

impl Extent {
    /// The code that travels.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Basic => 1,
            Self::Regular => 2,
            Self::Extended => 3,
        }
    }
}

/// What a device says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identification {
    /// The objects by their numbers, as they travelled.
    pub objects: Vec<(u8, Box<[u8]>)>,
    /// The object to ask for next, where not all of them came.
    pub next: Option<u8>,
}

impl Identification {
    /// Understands what follows the function code in an answer to a request with this code.
    pub(crate) fn parse(asked: u8, rest: &[u8]) -> Result<Self, AnswerError> {
        let malformed = |what| Err(AnswerError::Malformed(what));
        let Some(([mei, code, _conformity, more, next, count], mut rest)) =
            rest.split_first_chunk()
        else {
            return malformed("length");
        };
        if *mei != MEI || *code != asked {
            return malformed("MEI type or code");
        }
        let next = match more {
            0 => None,
            0xFF => Some(*next),
            _ => return malformed("more follows"),
        };
        let mut objects = Vec::new();
        for _ in 0..*count {
            let Some(([id, length], after)) = rest.split_first_chunk() else {
                return malformed("length");
            };
            let Some((text, after)) = after.split_at_checked(usize::from(*length)) else {
                return malformed("length of an object");
            };
            objects.push((*id, text.into()));
            rest = after;
        }
        if !rest.is_empty() {
            return malformed("length");
        }
        Ok(Self { objects, next })
    }

    /// The length of the serial frame that these bytes begin with, checksum included, as far as it can be told.
    pub(crate) fn frame_length(frame: &[u8]) -> Option<usize> {
        let mut at = HEADER;
        for _ in 0..*frame.get(HEADER - 1)? {
            at += 2 + usize::from(*frame.get(at + 1)?);
        }
        Some(at + 2)
    }

    /// Takes in a further answer. Whether the device is to be asked again: it says more follows, and it got ahead.
    pub(crate) fn extend(&mut self, further: Self) -> bool {
        let known = self.objects.len();
        for (id, text) in further.objects {
            if self.objects.iter().all(|(other, _)| *other != id) {
                self.objects.push((id, text));
            }
        }
        self.next = further.next.filter(|_| self.objects.len() > known);
        self.next.is_some()
    }

    /// The text of an object, without padding; `None` where it has none.
    #[must_use]
    pub fn text(&self, id: u8) -> Option<String> {
        let (_, bytes) = self.objects.iter().find(|(other, _)| *other == id)?;
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim_matches(|c: char| c == '\0' || c.is_whitespace());
        let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
        let text: String = text.chars().map(clean).collect();
        (!text.is_empty()).then_some(text)
    }

    /// The objects as they travel.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let object = |(id, text): &(u8, Box<[u8]>)| {
            let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
            [&[*id, length], &text[..]].concat()
        };
        self.objects.iter().flat_map(object).collect()
    }
}

impl fmt::Display for Identification {
    /// `vendor "KBR GmbH", product code "multicomp F144-3", revision "2.00r016", object 128 "…"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 7] =
            ["vendor", "product code", "revision", "URL", "product", "model", "application"];
        for (n, (id, _)) in self.objects.iter().enumerate() {
            let text = self.text(*id).unwrap_or_default();
            f.write_str(if n == 0 { "" } else { ", " })?;
            match NAMES.get(usize::from(*id)) {
                Some(name) => write!(f, "{name} {text:?}")?,
                None => write!(f, "object {id} {text:?}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_said_is_put_together_and_never_endlessly() {
        let part = |ids: &[u8], next| Identification {
            objects: ids.iter().map(|id| (*id, Box::from(&b"x"[..]))).collect(),
            next,
        };
        let mut all = Identification::default();
        assert!(all.extend(part(&[0, 1], Some(2))));
        assert!(all.extend(part(&[2], Some(3))));
        assert!(!all.extend(part(&[1, 2], Some(3))), "it does not get ahead");
        assert_eq!(all.objects.len(), 3);
    }

    #[test]
    fn a_text_is_shown_without_padding_and_control_characters() {
        let objects =
            vec![(0, Box::from(&b" ACME \0\0"[..])), (128, Box::from(&b"a\x07b\xFF"[..]))];
        let said = Identification { objects, next: None };
        assert_eq!(said.to_string(), "vendor \"ACME\", object 128 \"a\u{fffd}b\u{fffd}\"");
        assert_eq!(said.text(1), None);
    }

    proptest! {
        #[test]
        fn what_is_built_is_understood_and_a_cut_is_noticed(
            texts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..8),
            more in any::<bool>(),
            cut in any::<prop::sample::Index>(),
        ) {
            let objects = texts.into_iter().zip(0..).map(|(text, id)| (id, text.into())).collect();
            let said = Identification { objects, next: more.then_some(9) };
            let (flag, next) = if more { (0xFF, 9) } else { (0, 0) };
            let count = u8::try_from(said.objects.len()).unwrap();
            let pdu = [&[MEI, 1, 1, flag, next, count], &said.bytes()[..]].concat();
            prop_assert_eq!(Identification::parse(1, &pdu), Ok(said));
            let frame = [&[7, 0x2B], &pdu[..]].concat();
            prop_assert_eq!(Identification::frame_length(&frame), Some(frame.len() + 2));
            let cut = cut.index(pdu.len());
            prop_assert!(Identification::parse(1, &pdu[..cut]).is_err());
        }
    }
}
