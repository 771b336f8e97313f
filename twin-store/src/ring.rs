//! The newest commits, in memory: a live link never reads the disk.

use std::collections::VecDeque;

use twin::Seq;

use crate::frame::Frame;

/// Bytes that a frame costs beside its payload.
const OVERHEAD: usize = size_of::<Frame>();

/// The newest frames, in order.
#[derive(Debug)]
pub(crate) struct Ring {
    frames: VecDeque<Frame>,
    bytes: usize,
    limit: usize,
}

impl Ring {
    pub(crate) fn new(limit: usize) -> Self {
        Self { frames: VecDeque::new(), bytes: 0, limit }
    }

    /// One more frame, newer than all others; the oldest go where the limit is reached.
    pub(crate) fn push(&mut self, frame: Frame) {
        self.bytes += frame.payload.len() + OVERHEAD;
        self.frames.push_back(frame);
        self.trim();
    }

    /// From now on this is the limit.
    pub(crate) fn resize(&mut self, limit: usize) {
        self.limit = limit;
        self.trim();
        self.frames.shrink_to(2 * self.frames.len());
    }

    fn trim(&mut self) {
        while self.bytes > self.limit && self.frames.len() > 1 {
            let gone = self.frames.pop_front();
            self.bytes -= gone.map_or(0, |f| f.payload.len() + OVERHEAD);
        }
    }

    /// The oldest commit in memory: whatever is older has to be read from disk.
    pub(crate) fn first(&self) -> Option<Seq> {
        self.frames.front().map(|f| f.seq)
    }

    /// The frames from this sequence number on.
    pub(crate) fn from(&self, seq: Seq) -> impl Iterator<Item = &Frame> {
        self.frames.range(self.frames.partition_point(|f| f.seq < seq)..)
    }

    pub(crate) fn len(&self) -> usize {
        self.frames.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}
