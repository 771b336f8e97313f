//! A day of backlog on disk, three links at three places in it, a budget that forces thinning while they drain, kills.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod store;

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use tests::gateway::Gateway;
use tests::lab::{Lab, Upstream};
use tests::{meter, wait};

const DAY: u64 = 86_400;
const HOUR: u64 = 3_600;
const KILLS: usize = 8;
/// What a day takes is about 225 MiB; with all but the last hours thinned it is within this.
const BUDGET: &str = "64MiB";

/// Seconds of the clock that the peers log with.
fn now() -> f64 {
    let t = clock_gettime(ClockId::Monotonic);
    #[expect(clippy::cast_precision_loss, reason = "microseconds are exact for centuries")]
    let seconds = t.tv_sec as f64 + t.tv_nsec as f64 / 1e9;
    seconds
}

/// How many commits of samples a link has still to deliver of its backlogs, as the gateway says.
fn behind(gateway: &Gateway) -> Option<u64> {
    let output = gateway.ctl(&["links", "--json"]);
    let links: Value = serde_json::from_slice(&output.stdout).ok()?;
    let lanes = links["links"].as_array()?.iter().flat_map(|link| link["lanes"].as_array());
    let left = |lane: &Value| Some((lane["end"].as_u64()?).saturating_sub(lane["next"].as_u64()?));
    Some(lanes.flatten().filter_map(left).sum())
}

/// What the store counts since the daemon started.
fn count(gateway: &Gateway, what: &str) -> u64 {
    let status = gateway.ask(&["status"]).remove(0);
    let counts = status["store"]["counts"].as_array().into_iter().flatten();
    counts.filter(|count| count[0] == what).find_map(|count| count[1].as_u64()).unwrap_or(0)
}

#[test]
fn a_day_behind_is_delivered_while_its_oldest_part_is_thinned() {
    let lab = Lab::new();
    let seed = fastrand::u64(..);
    let mut dice = fastrand::Rng::with_seed(seed);
    let since = base::Clock::system().utc().unwrap().unsigned_abs() / 1_000_000;
    let begin = i64::try_from((since - DAY - HOUR) * 1_000_000).unwrap();
    let cuts = [("start", 0), ("middle", 12 * HOUR), ("near", 23 * HOUR)];
    let places: Vec<store::Cut> =
        cuts.map(|(link, second)| store::Cut { link: link.into(), second }).into();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let made = runtime.block_on(store::make(&lab.path("store"), "day", begin, DAY, &places));
    assert!(made.commits > DAY * store::TWINS && made.bytes > 64 << 20, "{made:?}");

    let mut plant = lab.plant(&json!([{ "name": "a", "tcp": 0, "units": [meter::unit(1)] }]));
    let upstreams = cuts.map(|(name, _)| Upstream::new(&lab, name, "5"));
    upstreams.iter().for_each(|upstream| upstream.proxy.way("refuse"));
    let mut sections =
        format!("[line.a]\ntcp = \"127.0.0.1:{}\"\ntimeout = \"2s\"\n\n", plant.port("a"));
    for upstream in &upstreams {
        sections.push_str(&upstream.section("keep_alive = \"10s\""));
    }
    let devices = [("a-1", meter::device("a", 1, "100ms", 20))];
    let mut gateway = Gateway::configure(&lab, "day", &sections, &devices);
    gateway.in_store(&format!("samples = \"{BUDGET}\""));
    gateway.start();

    // The outage goes on until more than half of the day is thinned; kills come before and after its end.
    let mut kills = Vec::new();
    let mut kill = |gateway: &mut Gateway| {
        kills.push(now());
        gateway.kill();
        gateway.launch();
        wait::until("the daemon answers", Duration::from_secs(60), || behind(gateway));
    };
    let mut thinned = 0;
    for _ in 0..2 {
        wait::pause(Duration::from_millis(dice.u64(500..3_000)));
        thinned += count(&gateway, "thinned_segments");
        kill(&mut gateway);
    }
    wait::until("the middle of the day is thinned", Duration::from_secs(200), || {
        (thinned + count(&gateway, "thinned_segments") >= 36).then_some(())
    });
    upstreams.iter().for_each(|upstream| upstream.proxy.way("open"));
    for _ in 0..KILLS {
        wait::pause(Duration::from_millis(dice.u64(500..3_000)));
        kill(&mut gateway);
    }
    let connected = |link: &Value| link["state"] == "connected";
    wait::until("the links are connected", Duration::from_secs(60), || {
        let links = gateway.ask(&["links"]).remove(0);
        links["links"].as_array()?.iter().all(connected).then_some(())
    });
    wait::until("everything of the backlog is delivered", Duration::from_secs(400), || {
        wait::pause(Duration::from_millis(500));
        behind(&gateway).filter(|left| *left == 0)
    });
    plant.process.stop(Duration::from_secs(10));
    let sizes = || upstreams.each_ref().map(|u| std::fs::metadata(&u.sink.out).unwrap().len());
    let mut last = (sizes(), Instant::now());
    while last.1.elapsed() < Duration::from_secs(3) {
        wait::pause(Duration::from_millis(200));
        let now = sizes();
        if now != last.0 {
            last = (now, Instant::now());
        }
    }
    let metrics = gateway.ask(&["status"]).remove(0);
    gateway.stop();

    let sinks: serde_json::Map<String, Value> = cuts
        .iter()
        .zip(&upstreams)
        .map(|((name, from), up)| {
            ((*name).to_owned(), json!({ "sink": up.sink.out, "from": from }))
        })
        .collect();
    let report = lab.judge(
        "check_backlog.py",
        &json!({
            "gateway": "day", "begin": begin, "seconds": DAY, "twins": store::TWINS,
            "points": store::POINTS, "links": sinks,
        }),
    );
    println!("seed {seed}, {made:?}, {metrics}\n{report:#}");
    for (name, _) in cuts {
        assert!(report["links"][name]["readings"].as_u64() > Some(1_000), "{name}: {report}");
    }
    for name in ["start", "middle"] {
        assert!(report["links"][name]["envelopes"].as_u64() > Some(100), "{name}: {report}");
    }
    // What flowed beside it is judged as in any outage.
    let sinks: serde_json::Map<String, Value> = cuts
        .iter()
        .zip(&upstreams)
        .map(|((name, _), up)| ((*name).to_owned(), json!(up.sink.out)))
        .collect();
    lab.check(&json!({
        "gateway": "day", "served": [lab.path("plant.jsonl")], "points": meter::points(),
        "sinks": sinks, "twins": { "a/1": "a-1" }, "kills": kills, "grace": 0.5,
    }));
}
