//! Many twins at once: no transition is lost, none comes twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use twin::LifeCycle::{Bound, Created, Shadowed, Unbound};
use twin::{Boottime, Change, Input, LifeCycle, Origin, Quality, Seen, Submission, TwinId, What};

use crate::{Run, description};

const MANY: usize = 1_000;

fn ids() -> BTreeSet<TwinId> {
    (0..MANY).map(|n| format!("pump-{n}").parse().unwrap()).collect()
}

impl Run {
    /// Every asset answers its poll in the same instant.
    async fn report_all(&self, ids: &BTreeSet<TwinId>) {
        let now = Boottime(self.clock.boottime());
        for id in ids {
            let change = crate::reading(id.clone(), now, (Quality::GOOD, Some(1)), None);
            let seen =
                Seen { twin: id.clone(), group: 0, ok: true, due: now, at: now, expected: 1 };
            let input = Input::Change(change, Some(seen));
            self.submit.send(Submission { input, receipt: None }).await.unwrap();
        }
    }

    fn all(&self, life: LifeCycle) -> bool {
        self.store.read(|s| s.twins().filter(|t| t.life_cycle() == life).count()) == MANY
    }
}

#[tokio::test]
async fn a_thousand_twins_bind_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let run = Run::begin(dir.path(), 100);
    let (ids, description) = (ids(), Arc::new(description()));
    run.configured.send_replace(Arc::new(ids.clone()));
    for id in &ids {
        let what = What::Described(description.clone());
        let change = Change { twin: id.clone(), origin: Origin::Configuration, what };
        run.submit.send(Submission::change(change)).await.unwrap();
    }
    run.until("configured", |run| run.all(Unbound)).await;
    run.report_all(&ids).await;
    run.until("bound", |run| run.all(Bound)).await;
    run.hand.advance(Duration::from_secs(1));
    run.report_all(&ids).await;
    run.until("shadowed", |run| run.all(Shadowed)).await;

    let mut paths: BTreeMap<TwinId, Vec<LifeCycle>> = BTreeMap::new();
    for (twin, what) in run.happened().await {
        if let What::Transition { from, to, .. } = what {
            let path = paths.entry(twin).or_insert_with(|| vec![from]);
            assert_eq!(path.last(), Some(&from));
            path.push(to);
        }
    }
    let straight = vec![Created, Unbound, Bound, Shadowed];
    assert_eq!((paths.len(), paths.values().find(|path| **path != straight)), (MANY, None));
    let counters = run.store.statistics().counters;
    assert_eq!((counters.refused, counters.refused_transitions), (0, 0));

    // Somebody who is mistaken about where a twin stands changes nothing, and is counted.
    let (twin, origin) = (ids.first().unwrap().clone(), Origin::Keeper);
    let trigger = twin::Trigger::AssetBound;
    let what =
        What::Transition { from: Unbound, to: Bound, trigger, detail: None, entanglement: None };
    run.submit.send(Submission::change(Change { twin, origin, what })).await.unwrap();
    let refused = |run: &Run| run.store.statistics().counters.refused_transitions == 1;
    run.until("refused", refused).await;
    assert!(run.all(Shadowed));
    run.end().await;
}
