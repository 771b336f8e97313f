//! Options that change while the store is open.

use std::ops::Deref;
use std::sync::OnceLock;

use crate::options::{Budget, Options};
use crate::store::Store;

/// The options that hold now. Whoever has looked at earlier ones goes on with those: each change is one more link of a
/// chain, some hundred bytes for each time that an operator changes his mind.
#[derive(Debug)]
pub(crate) struct Tunable {
    first: Options,
    later: OnceLock<Box<Self>>,
}

impl Tunable {
    pub(crate) fn new(options: Options) -> Self {
        Self { first: options, later: OnceLock::new() }
    }

    fn newest(&self) -> &Self {
        let mut here = self;
        while let Some(later) = here.later.get() {
            here = later;
        }
        here
    }

    /// From now on these hold.
    fn tune(&self, options: Options) {
        let mut next = Box::new(Self::new(options));
        while let Err(back) = self.newest().later.set(next) {
            next = back;
        }
    }
}

impl Deref for Tunable {
    type Target = Options;

    fn deref(&self) -> &Options {
        &self.newest().first
    }
}

impl Store {
    /// From now on these options hold; of what is written already nothing changes but how long it is kept. The
    /// gateway's name and the size of a segment stay as they were when the store was opened.
    pub fn retune(&self, options: Options) {
        let now: &Options = &self.shared.options;
        let segment = |wanted: Budget, now: Budget| Budget { segment: now.segment, ..wanted };
        let options = Options {
            gateway: now.gateway.clone(),
            samples: segment(options.samples, now.samples),
            records: segment(options.records, now.records),
            application: segment(options.application, now.application),
            ..options
        };
        self.shared.lock().ring.resize(options.ring);
        self.shared.options.tune(options);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_options_hold() {
        let options = Options::new("gw".parse().unwrap());
        let tunable = Tunable::new(options.clone());
        let held: &Options = &tunable;
        for ring in [7, 8, 9] {
            tunable.tune(Options { ring, ..options.clone() });
            assert_eq!(tunable.ring, ring);
        }
        assert_eq!(held.ring, options.ring, "what was looked at before is what it was");
    }
}
