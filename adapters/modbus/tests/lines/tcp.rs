//! The TCP line over loopback: what it reports, and what it does when the other side misbehaves.

use std::time::Duration;

use adapter_modbus::spec::Timing;
use twin::{Cause, Quality, Value};

use crate::plant::{Manner, Plant};
use crate::rig::{Rig, Said, device, good, scope};

const MS: Duration = Duration::from_millis(1);

#[tokio::test]
async fn a_device_becomes_reports_and_binding() {
    let scope = scope();
    let plant = Plant::start(&scope).await;
    plant.set(1, 0, 7);
    plant.set(1, 1, 9);
    let mut rig = Rig::tcp(&scope, plant.port, Timing::default());
    rig.devices.configure(vec![device("pump", 1, 50 * MS, 2)]);
    let Said::Bound(twin, binding) = rig.said().await else { panic!("first it is bound") };
    assert_eq!((twin.to_string().as_str(), binding.bound, &*binding.line), ("pump", true, "line"));
    let Said::Reported(_, reported, Some(seen)) = rig.said().await else { panic!("then reported") };
    let values: Vec<_> = reported.entries.iter().map(|e| (e.index, e.value.clone())).collect();
    assert_eq!(values, [(0, Some(Value::Unsigned(7))), (1, Some(Value::Unsigned(9)))]);
    assert!(seen.ok && good(&reported));
    assert_eq!(seen.due.0 % 50_000, 0, "polls start on the grid");
    assert_eq!(plant.asked().len(), 1, "two neighbours are one request");
    for _ in 0..5 {
        let Said::Reported(_, _, Some(next)) = rig.said().await else { panic!("reported again") };
        assert!(next.at.0 - next.due.0 < 40_000);
    }
    scope.join().await;
}

#[tokio::test]
async fn a_unit_that_hangs_costs_the_others_little() {
    let scope = scope();
    let plant = Plant::start(&scope).await;
    plant.behave(2, Manner::Hang);
    let mut rig = Rig::tcp(&scope, plant.port, Timing::default());
    rig.devices.configure(vec![device("good", 1, 50 * MS, 1), device("dead", 2, 50 * MS, 1)]);
    let bad = rig.report(|twin, _| twin.as_str() == "dead").await;
    assert_eq!(bad.entries[0].quality, Quality::bad(Cause::Timeout));
    assert_eq!(bad.entries[0].value, None, "no value is invented");
    for _ in 0..20 {
        let again = rig.said().await;
        assert!(
            !matches!(&again, Said::Reported(twin, ..) if twin.as_str() == "dead"),
            "{again:?}"
        );
    }
    plant.behave(2, Manner::Good);
    let back = rig.report(|twin, _| twin.as_str() == "dead").await;
    assert!(good(&back), "{back:?}");
    scope.join().await;
}
