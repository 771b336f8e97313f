//! The TCP line over loopback: what it reports, and what it does when the other side misbehaves.

use std::sync::Arc;
use std::time::Duration;

use adapter::LineState;
use adapter_modbus::spec::{Timing, When};
use twin::{Cause, Outcome, Quality, Reason, Step, Value};

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

#[tokio::test]
async fn a_cut_connection_is_made_again_and_the_request_repeated() {
    let scope = scope();
    let plant = Plant::start(&scope).await;
    let mut rig = Rig::tcp(&scope, plant.port, Timing::default());
    rig.devices.configure(vec![device("pump", 1, 50 * MS, 1)]);
    assert!(good(&rig.report(|_, _| true).await));
    plant.behave(1, Manner::Cut);
    let bad = rig.report(|_, reported| !good(reported)).await;
    assert_eq!(bad.entries[0].quality, Quality::bad(Cause::NotConnected));
    plant.behave(1, Manner::Good);
    rig.report(|_, reported| good(reported)).await;
    scope.join().await;
}

#[tokio::test]
async fn an_answer_to_another_request_is_not_taken() {
    let scope = scope();
    let plant = Plant::start(&scope).await;
    plant.behave(1, Manner::WrongId);
    plant.set(1, 0, 5);
    let mut rig = Rig::tcp(&scope, plant.port, Timing::default());
    rig.devices.configure(vec![device("pump", 1, 50 * MS, 1)]);
    for _ in 0..5 {
        let reported = rig.report(|_, _| true).await;
        assert_eq!(reported.entries[0].value, Some(Value::Unsigned(5)));
    }
    assert_eq!(plant.connections(), 1);
    scope.join().await;
}

#[tokio::test]
async fn what_is_no_modbus_closes_the_connection() {
    let scope = scope();
    let plant = Plant::start(&scope).await;
    let mut rig = Rig::tcp(&scope, plant.port, Timing::default());
    rig.devices.configure(vec![device("pump", 1, 50 * MS, 1)]);
    assert!(good(&rig.report(|_, _| true).await));
    plant.behave(1, Manner::Babble);
    let bad = rig.report(|_, reported| !good(reported)).await;
    assert!(bad.entries[0].value.is_none());
    plant.behave(1, Manner::Good);
    rig.report(|_, reported| good(reported)).await;
    assert!(plant.connections() >= 2);
    scope.join().await;
}

#[tokio::test]
async fn a_bridges_exceptions_isolate_the_unit_and_a_busy_one_is_given_time() {
    let scope = scope();
    let plant = Plant::start(&scope).await;
    plant.behave(2, Manner::Exception(0x0A));
    plant.behave(3, Manner::Exception(0x05));
    let mut rig = Rig::tcp(&scope, plant.port, Timing::default());
    let devices = [("good", 1), ("away", 2), ("busy", 3)];
    let devices = devices.map(|(twin, unit)| device(twin, unit, 100 * MS, 1));
    rig.devices.configure(devices.into());
    let away = rig.report(|twin, _| twin.as_str() == "away").await;
    assert_eq!(away.entries[0].quality, Quality::bad(Cause::Refused).with_code(0x0A));
    let busy = rig.report(|twin, _| twin.as_str() == "busy").await;
    assert_eq!(busy.entries[0].quality, Quality::bad(Cause::Refused).with_code(5));
    tokio::time::sleep(500 * MS).await;
    let status = rig.handle.status().borrow().clone();
    let shown: Vec<_> =
        status.devices.iter().map(|d| (d.twin.to_string(), d.breaker.word())).collect();
    let shown: Vec<_> = shown.iter().map(|(twin, word)| (twin.as_str(), *word)).collect();
    assert_eq!(shown, [("good", "closed"), ("away", "open"), ("busy", "closed")]);
    assert_eq!(plant.connections(), 1, "the unit is at fault, not the connection");
    let asked = |unit| plant.asked().iter().filter(|asked| asked.unit == unit).count();
    assert!(asked(2) <= 3 && asked(3) >= 4, "{} and {}", asked(2), asked(3));
    scope.join().await;
}

#[tokio::test]
async fn a_late_answer_is_discarded_and_the_next_one_is_right() {
    let scope = scope();
    let plant = Plant::start(&scope).await;
    let mut rig = Rig::tcp(&scope, plant.port, Timing::default());
    rig.devices.configure(vec![device("pump", 1, 100 * MS, 1)]);
    assert!(good(&rig.report(|_, _| true).await));
    plant.set(1, 0, 1);
    plant.behave(1, Manner::Slow(220));
    tokio::time::sleep(400 * MS).await;
    plant.set(1, 0, 2);
    plant.behave(1, Manner::Good);
    let stale = |reported: &twin::Reported| reported.entries[0].value == Some(Value::Unsigned(2));
    rig.report(|_, reported| stale(reported)).await;
    for _ in 0..5 {
        let reported = rig.report(|_, _| true).await;
        assert_eq!(reported.entries[0].value, Some(Value::Unsigned(2)));
    }
    scope.join().await;
}

#[tokio::test]
async fn nobody_there_makes_the_line_down_and_rejects_orders_at_once() {
    let scope = scope();
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let mut rig = Rig::tcp(&scope, port, Timing::default());
    rig.devices.configure(vec![device("pump", 1, 100 * MS, 1)]);
    let bad = rig.report(|_, _| true).await;
    assert_eq!(bad.entries[0].quality, Quality::bad(Cause::NotConnected));
    assert!(matches!(rig.handle.status().borrow().state, LineState::Down { .. }));
    rig.handle.order(rig.order("pump", 1)).await;
    let step = rig.step().await;
    let Step::Ended(Outcome::Rejected(Reason::LineDown, words)) = step else { panic!("{step:?}") };
    assert!(words.contains("127.0.0.1"), "{words}");
    scope.join().await;
}

#[tokio::test]
async fn a_command_is_written_and_read_back_and_a_refused_one_says_so() {
    let scope = scope();
    let plant = Plant::start(&scope).await;
    let mut rig = Rig::tcp(&scope, plant.port, Timing::default());
    rig.devices.configure(vec![device("pump", 1, 100 * MS, 1)]);
    assert!(good(&rig.report(|_, _| true).await));
    rig.handle.order(rig.order("pump", 77)).await;
    assert_eq!(rig.step().await, Step::Sent { expected: Value::Unsigned(77) });
    assert_eq!(rig.step().await, Step::Acknowledged);
    let back = rig.report(|_, reported| reported.command.is_some()).await;
    assert_eq!(back.entries[0].value, Some(Value::Unsigned(77)));
    assert_eq!(plant.get(1, 0), 77);
    plant.behave(1, Manner::Exception(3));
    rig.handle.order(rig.order("pump", 78)).await;
    assert_eq!(rig.step().await, Step::Sent { expected: Value::Unsigned(78) });
    let step = rig.step().await;
    let Step::Ended(Outcome::Rejected(Reason::Refused, words)) = step else { panic!("{step:?}") };
    assert!(words.contains("illegal data value"), "{words}");
    scope.join().await;
}

#[tokio::test]
async fn points_are_read_and_explained_when_somebody_asks() {
    let scope = scope();
    let plant = Plant::start(&scope).await;
    plant.set(1, 1, 0x0102);
    let mut rig = Rig::tcp(&scope, plant.port, Timing::default());
    let mut on_demand = device("pump", 1, 100 * MS, 2);
    on_demand.groups[0].when = When::OnDemand;
    rig.devices.configure(vec![on_demand]);
    tokio::time::sleep(100 * MS).await;
    let pump: twin::TwinId = "pump".parse().unwrap();
    let read = rig.handle.read(pump.clone(), vec![1]).await.unwrap();
    assert_eq!(read[0].entries[0].value, Some(Value::Unsigned(0x0102)));
    assert_eq!(rig.report(|_, _| true).await, read[0], "what is read is reported too");
    let why = rig.handle.inspect(pump.clone(), Some(1)).await.unwrap();
    let exchange = why.exchange.unwrap();
    assert_eq!(exchange.request, [1, 3, 0, 1, 0, 1]);
    assert_eq!(exchange.answer, [1, 3, 2, 1, 2]);
    assert!(why.quality.is_good() && why.steps.len() == 3, "{:?}", why.steps);
    assert_eq!(why.steps[2], "as u16: 258, good");
    assert_eq!(&*why.place, "unit 1, holding:1, 1 register");
    assert!(rig.handle.inspect("nobody".parse().unwrap(), None).await.is_none());
    let wrong = rig.handle.read(pump, vec![9]).await.unwrap_err();
    assert_eq!(wrong.reason, Reason::NoSuchPoint);
    scope.join().await;
}

#[tokio::test]
async fn requests_are_pipelined_where_the_device_allows_it() {
    let scope = scope();
    let plant = Plant::start(&scope).await;
    plant.behave(1, Manner::Slow(25));
    let timing = Timing { max_in_flight: 4, ..Timing::default() };
    let mut rig = Rig::tcp(&scope, plant.port, timing);
    let mut wide = device("pump", 1, 400 * MS, 4);
    wide.limits.max_registers = 1;
    rig.devices.configure(vec![wide]);
    // The first exchange is alone: nobody knows yet whether the device lives.
    rig.report(|_, _| true).await;
    let reported = rig.report(|_, _| true).await;
    assert_eq!(reported.entries.len(), 4);
    assert!(good(&reported), "{reported:?}");
    assert!(reported.entries.iter().all(|e| e.offset < 20_000), "all four left together");
    scope.join().await;
}

#[tokio::test]
async fn connections_are_shared_out_closed_when_idle_and_spared_at_first() {
    let scope = scope();
    let plant = Plant::start(&scope).await;
    plant.behave(1, Manner::Slow(60));
    plant.behave(2, Manner::Slow(60));
    let timing = Timing {
        max_connections: 2,
        idle_close: 200_000,
        connect_pause: 50_000,
        ..Timing::default()
    };
    let mut rig = Rig::tcp(&scope, plant.port, timing);
    let mut devices = vec![device("a", 1, 800 * MS, 1), device("b", 2, 800 * MS, 1)];
    devices.iter_mut().for_each(|device| Arc::make_mut(&mut device.points)[0].write = None);
    rig.devices.configure(devices);
    rig.report(|_, _| true).await;
    let mut idle = false;
    for _ in 0..40 {
        tokio::time::sleep(25 * MS).await;
        idle |= rig.handle.status().borrow().state == LineState::Idle;
    }
    assert!(idle, "the line is closed between polls");
    rig.report(|_, _| true).await;
    assert!(plant.connections() >= 2 && plant.most_open() <= 2);
    scope.join().await;
}

#[tokio::test]
async fn a_connection_is_given_up_between_polls_where_that_is_wanted() {
    let scope = scope();
    let plant = Plant::start(&scope).await;
    let timing = Timing { close_after_poll: true, ..Timing::default() };
    let mut rig = Rig::tcp(&scope, plant.port, timing);
    let mut device = device("pump", 1, 300 * MS, 4);
    device.limits.max_registers = 1;
    rig.devices.configure(vec![device]);
    for _ in 0..3 {
        assert!(good(&rig.report(|_, _| true).await));
    }
    tokio::time::sleep(100 * MS).await;
    assert_eq!(rig.handle.status().borrow().state, LineState::Idle);
    let (connections, asked) = (plant.connections(), plant.asked().len());
    assert!((3..=4).contains(&connections), "one for each poll: {connections}");
    assert!(asked >= 12, "and all requests of a poll on it: {asked}");
    scope.join().await;
}

#[tokio::test]
async fn only_what_changed_is_configured_anew() {
    let scope = scope();
    let plant = Plant::start(&scope).await;
    let mut rig = Rig::tcp(&scope, plant.port, Timing::default());
    let a = device("a", 1, 100 * MS, 1);
    rig.devices.configure(vec![a.clone(), device("b", 2, 100 * MS, 1)]);
    rig.report(|twin, _| twin.as_str() == "b").await;
    rig.devices.configure(vec![a, device("c", 3, 100 * MS, 1)]);
    loop {
        match rig.said().await {
            Said::Bound(twin, binding) if twin.as_str() == "b" => {
                assert!(!binding.bound);
                break;
            }
            Said::Bound(twin, _) => assert_ne!(twin.as_str(), "a", "bound only once"),
            _ => {}
        }
    }
    rig.report(|twin, _| twin.as_str() == "c").await;
    assert_eq!(plant.connections(), 1, "the connection is kept");
    scope.join().await;
}
