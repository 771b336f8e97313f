//! What a session has done, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Totals of one session; readable by anybody while it runs.
#[derive(Debug, Default)]
pub struct Counters {
    /// Bytes given to the socket (before encryption).
    pub bytes_out: Counter,
    /// Bytes received (after decryption).
    pub bytes_in: Counter,
    /// Writes to the socket.
    pub writes: Counter,
    /// Publications accepted for sending.
    pub published: Counter,
    /// Publications that the broker acknowledged.
    pub acknowledged: Counter,
    /// Publications that the broker refused.
    pub refused: Counter,
    /// Messages received.
    pub messages: Counter,
    /// Pings sent.
    pub pings: Counter,
    /// Acknowledgements that belong to nothing we sent; a sound broker sends none.
    pub strays: Counter,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The value now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Ordering::Relaxed);
    }
}
