//! The hot path allocates nothing per value: from the socket of a device to the socket of a broker, everything that
//! the daemon runs for a reading runs here in one thread whose allocations are counted.

#![expect(clippy::unwrap_used, reason = "this is a test")]

mod gateway;
mod peers;

use std::time::Duration;

use gateway::Gateway;
use peers::Counter;

/// Changes before counting begins: buffers have grown, descriptions are out.
const WARM_UP: u64 = 60;
/// Changes that are counted.
const COUNTED: u64 = 200;
/// Allocations that one change of any size may cost.
const PER_CHANGE: f64 = 20.0;

/// Allocations per change where each change has this many values.
fn per_change(values: u16) -> f64 {
    let (plant, broker) = (peers::listener(), peers::listener());
    let ports = [&plant, &broker].map(|listener| listener.local_addr().unwrap().port());
    let messages = Counter::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| peers::plant(&plant));
        scope.spawn(|| peers::broker(&broker, &messages));
        let gateway = runtime.block_on(Gateway::start(ports, values));
        let until = async |n: u64| {
            let wait = async {
                while messages.get() < n {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap();
        };
        runtime.block_on(until(WARM_UP));
        let before = messages.get();
        let cost = allocation_counter::measure(|| runtime.block_on(until(before + COUNTED)));
        let changes = messages.get() - before;
        runtime.block_on(gateway.stop());
        #[expect(clippy::cast_precision_loss, reason = "both are small")]
        {
            cost.count_total as f64 / changes as f64
        }
    })
}

#[test]
fn a_change_costs_the_same_number_of_allocations_whatever_its_size() {
    let costs = [10, 100].map(|values| (values, per_change(values)));
    let [(_, few), (_, many)] = costs;
    assert!((many - few).abs() < 1.0, "allocations per change by values: {costs:?}");
    assert!(many <= PER_CHANGE, "allocations per change by values: {costs:?}");
    println!("allocations per change by values: {costs:?}");
}
