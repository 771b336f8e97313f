//! The gateway's own settings: which of them differ, and which of those only a restart applies.

use std::collections::BTreeSet;

use control::{Applies, PlannedSetting};

use super::plan::{Plan, StorePlan};

/// The settings beside lines, links and devices that differ.
pub(super) fn settings(running: &Plan, wanted: &Plan) -> Vec<PlannedSetting> {
    let mut all = Vec::new();
    let mut compare = |key: &str, from: Option<String>, to: Option<String>, applies: Applies| {
        if from != to {
            all.push(PlannedSetting { key: key.into(), from, to, applies });
        }
    };
    let some = |value: &dyn ToString| Some(value.to_string());
    compare("gateway.name", some(&running.gateway), some(&wanted.gateway), Applies::Restart);
    let (a, b) = (&running.store, &wanted.store);
    // Whoever adds a key is stopped here until it is compared below.
    let StorePlan {
        dir: _,
        flush: _,
        stretch: _,
        samples: _,
        samples_age: _,
        thin: _,
        thin_age: _,
        records: _,
        records_age: _,
        application: _,
        ring: _,
    } = a;
    compare("store.dir", some(&a.dir.display()), some(&b.dir.display()), Applies::Restart);
    let now = Applies::Reload;
    compare("store.flush", some(&a.flush), some(&b.flush), now);
    compare("store.stretch", some(&a.stretch), some(&b.stretch), now);
    compare("store.samples", some(&a.samples), some(&b.samples), now);
    let age = |age: Option<settings::Duration>| age.map(|age| age.to_string());
    compare("store.samples_age", age(a.samples_age), age(b.samples_age), now);
    compare("store.thin", some(&a.thin), some(&b.thin), now);
    compare("store.thin_age", age(a.thin_age), age(b.thin_age), now);
    compare("store.records", some(&a.records), some(&b.records), now);
    compare("store.records_age", age(a.records_age), age(b.records_age), now);
    compare("store.application", some(&a.application), some(&b.application), now);
    compare("store.ring", some(&a.ring), some(&b.ring), now);
    let (a, b) = (&running.control, &wanted.control);
    compare(
        "control.socket",
        some(&a.socket.display()),
        some(&b.socket.display()),
        Applies::Restart,
    );
    compare("control.group", a.group.clone(), b.group.clone(), Applies::Reload);
    let listen = |plan: &Plan| plan.health.map(|address| address.to_string());
    compare("health.listen", listen(running), listen(wanted), Applies::Reload);
    let (a, b) = (&running.log, &wanted.log);
    compare("log.level", some(&a.level), some(&b.level), Applies::Reload);
    let level = |level: Option<&super::file::LevelWord>| level.map(ToString::to_string);
    for part in a.parts.keys().chain(b.parts.keys()).collect::<BTreeSet<_>>() {
        let key = format!("log.parts.{part}");
        compare(&key, level(a.parts.get(part)), level(b.parts.get(part)), Applies::Reload);
    }
    all
}
