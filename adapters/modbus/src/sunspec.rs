//! SunSpec: which information models a device has, and at which registers.
//!
//! A device marks its map with "SunS" at one of three registers. There a chain of models begins, each with its number
//! and its length; the number FFFFh ends it. Pure: requests go out, answers come in.

use std::sync::Arc;

use crate::{Exception, Request, Table};

/// Where a map may begin, in the order in which they are tried.
pub const BASES: [u16; 3] = [40_000, 50_000, 0];
/// The model that every device has first: who made it.
pub const COMMON: u16 = 1;

const MARK: &[u8] = b"SunS";
const END: u16 = 0xFFFF;
/// More models than this are no map.
const MOST: usize = 100;
/// Manufacturer and model, 16 registers of text each, after number and length of the common model.
const PLATE: u16 = 32;

/// A map that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    /// The register of the mark.
    pub base: u16,
    /// Its models, in their order.
    pub models: Vec<Model>,
    /// Who made the device, and which model of device it is, as the first common model says.
    pub plate: Option<(Arc<str>, Arc<str>)>,
}

/// A model in a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Model {
    /// Its number.
    pub id: u16,
    /// The register that holds its number.
    pub at: u16,
    /// How many registers follow after number and length.
    pub length: u16,
}

/// A walk through a device's map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    map: Map,
    /// Bases that were tried in vain.
    tried: usize,
    next: Next,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Mark,
    Header(u16),
    Plate(Model),
}

/// What an answer leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// There is more to ask.
    Again(Walk),
    /// The map.
    Found(Map),
    /// The device has no map, or one that makes no sense, for this reason.
    Nothing(&'static str),
}

impl Default for Walk {
    fn default() -> Self {
        let [base, ..] = BASES;
        Self { map: Map { base, models: Vec::new(), plate: None }, tried: 0, next: Next::Mark }
    }
}

impl Walk {
    /// What to ask.
    #[must_use]
    pub fn request(&self) -> Request {
        let (start, count) = match self.next {
            Next::Mark => (self.map.base, 2),
            Next::Header(at) => (at, 2),
            Next::Plate(model) => (model.at.saturating_add(2), PLATE),
        };
        Request::Read { table: Table::Holding, start, count }
    }

    /// What follows from the answer: the data of the registers, or `None` where the device refused.
    #[must_use]
    pub fn answer(mut self, data: Option<&[u8]>) -> Step {
        match self.next {
            Next::Mark if data == Some(MARK) => {
                self.next = Next::Header(self.map.base.saturating_add(2));
                Step::Again(self)
            }
            Next::Mark => {
                self.tried += 1;
                match BASES.get(self.tried) {
                    Some(base) => {
                        self.map.base = *base;
                        Step::Again(self)
                    }
                    None => Step::Nothing("it has no \"SunS\" at register 40000, 50000 or 0"),
                }
            }
            Next::Header(at) => self.header(at, data),
            Next::Plate(model) => {
                self.map.plate = data.and_then(plate);
                self.after(model)
            }
        }
    }

    /// What follows from a refusal; `None`: the map cannot be read now, and is asked for again later.
    ///
    /// Before a mark was found any refusal says that there is none. Behind it only that there is no such register ends
    /// the chain.
    #[must_use]
    pub fn refused(self, exception: Exception) -> Option<Step> {
        let final_word = matches!(
            exception,
            Exception::IllegalFunction | Exception::IllegalAddress | Exception::IllegalValue
        );
        (self.next == Next::Mark || final_word).then(|| self.answer(None))
    }

    fn header(mut self, at: u16, data: Option<&[u8]>) -> Step {
        let Some(&[a, b, c, d]) = data else {
            // Some devices end the chain with a refusal.
            return self.end("its map begins with no model that can be read");
        };
        let model =
            Model { id: u16::from_be_bytes([a, b]), at, length: u16::from_be_bytes([c, d]) };
        if model.id == END {
            return self.end("its map has no models");
        }
        if self.map.models.is_empty() && model.id != COMMON {
            return Step::Nothing("its map does not begin with the common model");
        }
        if self.map.models.len() == MOST {
            return Step::Nothing("its map has no end");
        }
        self.map.models.push(model);
        if self.map.plate.is_none() && model.id == COMMON && model.length >= PLATE {
            self.next = Next::Plate(model);
            return Step::Again(self);
        }
        self.after(model)
    }

    fn after(mut self, model: Model) -> Step {
        let next = u32::from(model.at) + 2 + u32::from(model.length);
        match u16::try_from(next).ok().filter(|next| *next < u16::MAX) {
            Some(next) => {
                self.next = Next::Header(next);
                Step::Again(self)
            }
            None => self.end("its map leads beyond the last register"),
        }
    }

    fn end(self, otherwise: &'static str) -> Step {
        if self.map.models.is_empty() { Step::Nothing(otherwise) } else { Step::Found(self.map) }
    }
}

fn plate(data: &[u8]) -> Option<(Arc<str>, Arc<str>)> {
    let (maker, model) = data.split_at_checked(usize::from(PLATE))?;
    let text = |bytes: &[u8]| {
        let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
        let text = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default());
        Arc::from(text.trim())
    };
    Some((text(maker), text(model)))
}

/// Walks through a map of arbitrary bytes; must end and never panic.
pub fn fuzz_one(data: &[u8]) {
    let mut walk = Walk::default();
    let mut answers = data.chunks(5);
    for _ in 0..4 * MOST {
        let refused = answers.clone().next().is_none_or(|chunk| chunk.len() < 5);
        let Request::Read { count, .. } = walk.request() else { return };
        let mut answer = answers.next().unwrap_or_default().to_vec();
        answer.truncate(4);
        answer.resize(usize::from(count) * 2, b' ');
        match walk.answer((!refused).then_some(&answer)) {
            Step::Again(next) => walk = next,
            Step::Found(map) => return assert!(!map.models.is_empty()),
            Step::Nothing(_) => return,
        }
    }
    unreachable!("a walk ends");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A device with these registers from `base`; others are refused.
    fn walk(base: u16, registers: &[u16]) -> (Step, Vec<u16>) {
        let mut walk = Walk::default();
        let mut asked = Vec::new();
        loop {
            let Request::Read { start, count, .. } = walk.request() else { panic!() };
            asked.push(start);
            let from = usize::from(start).checked_sub(usize::from(base));
            let words = from.and_then(|from| registers.get(from..from + usize::from(count)));
            let bytes: Option<Vec<u8>> =
                words.map(|words| words.iter().flat_map(|w| w.to_be_bytes()).collect());
            match walk.answer(bytes.as_deref()) {
                Step::Again(next) => walk = next,
                step => return (step, asked),
            }
        }
    }

    /// Mark, common model with "Acme" and "X 1", then these models with nothing in them.
    fn map(models: &[(u16, u16)]) -> Vec<u16> {
        let mut registers = vec![0x5375, 0x6E53, COMMON, 66];
        let mut common = [0; 66];
        common[..2].copy_from_slice(&[0x4163, 0x6D65]);
        common[16..18].copy_from_slice(&[0x5820, 0x3120]);
        registers.extend(common);
        for (id, length) in models {
            registers.extend([*id, *length]);
            registers.extend(vec![0; usize::from(*length)]);
        }
        registers
    }

    fn found(step: Step) -> Map {
        let Step::Found(map) = step else { panic!("{step:?}") };
        map
    }

    #[test]
    fn the_chain_is_followed_to_its_end() {
        let registers = map(&[(103, 50), (160, 48), (END, 0)]);
        for (n, base) in BASES.into_iter().enumerate() {
            let (step, asked) = walk(base, &registers);
            let map = found(step);
            assert_eq!(asked[..=n], BASES[..=n], "in this order");
            let models: Vec<(u16, u16)> = map.models.iter().map(|m| (m.id, m.at - base)).collect();
            assert_eq!(models, [(1, 2), (103, 70), (160, 122)]);
            assert_eq!(map.plate, Some(("Acme".into(), "X 1".into())));
            assert_eq!(asked.len(), n + 6, "mark, four headers, plate");
        }
    }

    #[test]
    fn a_refusal_ends_the_chain_like_the_end_mark() {
        assert_eq!(found(walk(0, &map(&[(103, 50)])).0).models.len(), 2);
    }

    #[test]
    fn a_failure_behind_the_mark_ends_nothing() {
        let (failure, no_such) = (Exception::from_code(4), Exception::from_code(2));
        let walk = Walk::default();
        let Some(Step::Again(next)) = walk.clone().refused(failure) else { panic!() };
        assert_eq!(next.map.base, BASES[1], "there is no mark there");
        let Step::Again(marked) = walk.answer(Some(MARK)) else { panic!() };
        assert_eq!(marked.clone().refused(failure), None);
        assert!(matches!(marked.clone().refused(no_such), Some(Step::Nothing(_))));
        let Step::Again(common) = marked.answer(Some(&[0, 1, 0, 66])) else { panic!() };
        assert_eq!(common.clone().refused(failure), None, "not even the plate's");
        let Step::Again(plated) = common.answer(Some(&[b' '; 64])) else { panic!() };
        assert_eq!(plated.clone().refused(failure), None);
        assert!(matches!(plated.refused(no_such), Some(Step::Found(_))));
    }

    #[test]
    fn what_is_no_map_is_told() {
        let nothing = |registers: &[u16]| match walk(50_000, registers).0 {
            Step::Nothing(words) => words,
            step => panic!("{step:?}"),
        };
        assert!(nothing(&[1, 2, 3]).contains("no \"SunS\""));
        assert!(nothing(&[0x5375, 0x6E53, END, 0]).contains("no models"));
        assert!(nothing(&[0x5375, 0x6E53, 103, 50]).contains("common model"));
        assert!(nothing(&[0x5375, 0x6E53]).contains("can be read"));
        let endless = map(&[(7, 0); MOST + 1]);
        assert!(nothing(&endless).contains("no end"));
    }

    #[test]
    fn a_length_beyond_the_last_register_ends_the_chain() {
        let mut registers = map(&[]);
        registers.extend([103, u16::MAX]);
        assert_eq!(found(walk(40_000, &registers).0).models.len(), 2);
    }
}
