//! The store's options as the configuration says them.

use twin_store::{Budget, Options};

use crate::config::Plan;

/// The store's options.
pub fn store(plan: &Plan) -> Options {
    let keys = &plan.store;
    let default = Options::new(plan.gateway.clone());
    let budget = |of: Budget, bytes: u64, age: Option<settings::Duration>| Budget {
        bytes,
        age: age.map(settings::Duration::std),
        // What goes at once is never much of the whole.
        segment: of.segment.min(bytes / 16),
    };
    Options {
        flush: keys.flush.std(),
        stretch: keys.stretch.std(),
        samples: budget(default.samples, keys.samples.get(), keys.samples_age),
        thin: keys.thin.std(),
        thin_age: keys.thin_age.map(settings::Duration::std),
        records: budget(default.records, keys.records.get(), keys.records_age),
        application: budget(default.application, keys.application.get(), None),
        ring: usize::try_from(keys.ring.get()).unwrap_or(usize::MAX),
        ..default
    }
}
