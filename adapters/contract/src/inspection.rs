//! Everything that an adapter can say to `why`.

use std::sync::Arc;

use twin::{Boottime, Quality, TwinId};

use crate::BreakerState;

/// What explains a point: the last bytes, how they were decoded, and what happens next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The line, by its name.
    pub line: Arc<str>,
    /// Whose point.
    pub twin: TwinId,
    /// Which point; `None`: the device as a whole.
    pub index: Option<u16>,
    /// Where the point lives in the device, in the protocol's words (`unit 3, holding:100, 2 registers, CDAB`).
    pub place: Arc<str>,
    /// The last exchange that was to bring the point.
    pub exchange: Option<Exchange>,
    /// From the answer's bytes to the value, one step each.
    pub steps: Vec<String>,
    /// The quality that the exchange gave to the point.
    pub quality: Quality,
    /// Why it is not good, and what remains at risk.
    pub remarks: Vec<String>,
    /// Whether the device is asked.
    pub breaker: BreakerState,
    /// When the point is asked for next; `None`: only when somebody asks.
    pub next: Option<Boottime>,
}

/// A request and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// When the request left.
    pub at: Boottime,
    /// Microseconds until the answer was there or was given up.
    pub took: i64,
    /// The request as it went over the wire.
    pub request: Vec<u8>,
    /// The answer as it came; what came of it where it was given up.
    pub answer: Vec<u8>,
    /// What went wrong.
    pub failure: Option<Arc<str>>,
}
