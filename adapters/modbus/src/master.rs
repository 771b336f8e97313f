//! Either master behind one set of words, so that a driver need not know which frames its line carries.

use crate::{Completed, Counters, Desync, Exchange, SerialMaster, Shape, StartError, TcpMaster};

/// The master of a line.
#[derive(Debug)]
pub enum Master {
    /// Frames with a transaction id.
    Tcp(TcpMaster),
    /// Frames with a checksum.
    Serial(SerialMaster),
}

impl Master {
    /// From when on a request may start, if nothing arrives before; `None` while as many as allowed are under way.
    #[must_use]
    pub fn ready_at(&self) -> Option<i64> {
        match self {
            Self::Tcp(master) => master.ready_at(),
            Self::Serial(master) => master.ready_at(),
        }
    }

    /// Begins an exchange: appends to `out` what must be sent now. On a serial line drain the port before.
    pub fn start(
        &mut self,
        now: i64,
        exchange: Exchange,
        out: &mut Vec<u8>,
    ) -> Result<(), StartError> {
        match self {
            Self::Tcp(master) => master.start(now, exchange, out),
            Self::Serial(master) => master.start(now, exchange, out),
        }
    }

    /// Takes in what has arrived. After a [`Desync`] the connection must be closed.
    pub fn received(
        &mut self,
        now: i64,
        bytes: &[u8],
        done: &mut Vec<Completed>,
    ) -> Result<(), Desync> {
        match self {
            Self::Tcp(master) => master.received(now, bytes, done),
            Self::Serial(master) => {
                master.received(now, bytes, done);
                Ok(())
            }
        }
    }

    /// Ends what has waited too long.
    pub fn tick(&mut self, now: i64, done: &mut Vec<Completed>) {
        match self {
            Self::Tcp(master) => master.tick(now, done),
            Self::Serial(master) => master.tick(now, done),
        }
    }

    /// When [`Master::tick`] must be called next.
    #[must_use]
    pub fn wake(&self) -> Option<i64> {
        match self {
            Self::Tcp(master) => master.wake(),
            Self::Serial(master) => master.wake(),
        }
    }

    /// The connection or port is gone: everything under way ends.
    pub fn lost(&mut self, now: i64, done: &mut Vec<Completed>) {
        match self {
            Self::Tcp(master) => master.lost(now, done),
            Self::Serial(master) => master.lost(now, done),
        }
    }

    /// How many requests are under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        match self {
            Self::Tcp(master) => master.in_flight(),
            Self::Serial(master) => master.in_flight(),
        }
    }

    /// Shapes that the next request to this unit should not have, where its map allows another.
    #[must_use]
    pub fn must_differ(&self, unit: u8) -> Vec<Shape> {
        match self {
            Self::Tcp(master) => master.must_differ(unit),
            Self::Serial(master) => master.must_differ(unit),
        }
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        match self {
            Self::Tcp(master) => master.counters(),
            Self::Serial(master) => master.counters(),
        }
    }
}
