//! What it takes to write a point.

use crate::{Request, Response};

/// What it takes to write a point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// One request.
    Request(Request),
    /// Read the registers, change a part, write them, with nothing of ours in between.
    Modify(Modify),
}

/// A write of a part of some registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Modify {
    pub(crate) read: Request,
    pub(crate) masks: Box<[u16]>,
    pub(crate) values: Box<[u16]>,
}

impl Modify {
    /// The request to begin with.
    #[must_use]
    pub fn read(&self) -> &Request {
        &self.read
    }

    /// The request that follows its answer; `None` when that was not the answer to [`Modify::read`].
    #[must_use]
    pub fn write(&self, current: &Response) -> Option<Request> {
        let Request::Read { start, .. } = self.read else { return None };
        let merged = self.masks.iter().zip(&self.values).enumerate();
        let merged = merged
            .map(|(at, (mask, value))| current.register(at).map(|now| now & !mask | value & mask));
        let values: Box<[u16]> = merged.collect::<Option<_>>()?;
        Some(match &*values {
            [value] => Request::WriteRegister { number: start, value: *value },
            _ => Request::WriteRegisters { start, values },
        })
    }

    /// The same by function 22, where only one register is touched.
    pub(crate) fn mask(&self, start: u16) -> Option<Write> {
        let at = self.masks.iter().position(|mask| *mask != 0)?;
        let (mask, value) = (self.masks.get(at)?, self.values.get(at)?);
        let number = start.checked_add(u16::try_from(at).ok()?)?;
        Some(Write::Request(Request::MaskRegister { number, keep: !mask, set: *value }))
    }
}
