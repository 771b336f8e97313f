use proptest::prelude::*;
use twin::{Order, Reason, Timestamp, Value};

use super::*;
use crate::sample;

fn ask(payload: &str, retained: bool, now: Moment) -> Asked {
    let mut dialect = Twins::new("plant-7", "gatewayd/plant-7", "cloud", true);
    let topic = "gatewayd/plant-7/twins/meter-1/commands";
    let incoming = Incoming { topic, payload: payload.as_bytes(), retained };
    dialect.incoming(&sample::state(), now, &incoming).unwrap()
}

fn reason(payload: &str) -> Reason {
    ask(payload, false, sample::now()).command.unwrap_err().0
}

#[test]
fn a_command_is_understood() {
    let asked =
        ask(r#"{"id":"c-1","property":"heating/setpoint","value":21.5}"#, false, sample::now());
    let command = asked.command.unwrap();
    assert_eq!((&*command.key, command.index), ("c-1", 3));
    assert_eq!(command.order, Order::Write(Value::Decimal(215)));
    assert_eq!(command.deadline.utc, Some(Timestamp(sample::OFFSET + 30_000_000)));
    let call = ask(r#"{"id":7,"action":"heating/reset","timeout":"500ms"}"#, false, sample::now());
    let call = call.command.unwrap();
    assert_eq!((&*call.key, call.order), ("7", Order::Call(None)));
    assert_eq!(call.deadline.at.0, 500_000);
    let label = r#"{"id":"c","property":"heating/mode","value":"auto","timeout":2.5}"#;
    let label = ask(label, false, sample::now()).command.unwrap();
    assert_eq!(label.order, Order::Write(Value::Unsigned(1)));
    assert_eq!(label.deadline.at.0, 2_500_000);
    let until =
        r#"{"id":"c","property":"heating/mode","value":0,"deadline":"2026-11-23T10:01:00Z"}"#;
    assert_eq!(ask(until, false, sample::now()).command.unwrap().deadline.at.0, 60_000_000);
}

#[test]
fn what_is_no_command_is_refused_with_its_reason() {
    assert_eq!(reason("{"), Reason::Malformed);
    assert_eq!(reason("[]"), Reason::Malformed);
    assert_eq!(reason(r#"{"property":"heating/setpoint","value":1}"#), Reason::NoId);
    assert_eq!(reason(r#"{"id":"","property":"heating/setpoint","value":1}"#), Reason::NoId);
    assert_eq!(reason(r#"{"id":{},"property":"heating/setpoint","value":1}"#), Reason::NoId);
    assert_eq!(reason(r#"{"id":"c","property":"heating/none","value":1}"#), Reason::NoSuchPoint);
    assert_eq!(reason(r#"{"id":"c","property":"heating/reset","value":1}"#), Reason::NoSuchPoint);
    assert_eq!(reason(r#"{"id":"c","property":"heating/setpoint"}"#), Reason::Malformed);
    assert_eq!(
        reason(r#"{"id":"c","property":"heating/setpoint","value":"x"}"#),
        Reason::WrongType
    );
    assert_eq!(
        reason(r#"{"id":"c","property":"heating/setpoint","value":1,"dead_line":"x"}"#),
        Reason::Malformed
    );
    assert_eq!(
        reason(r#"{"id":"c","property":"heating/setpoint","value":1,"timeout":-1}"#),
        Reason::Malformed
    );
    let retained =
        ask(r#"{"id":"c","property":"heating/setpoint","value":1}"#, true, sample::now());
    assert_eq!(retained.command.unwrap_err().0, Reason::Retained);
    assert_eq!(retained.key.as_deref(), Some("c"), "its outcome can be told");
}

#[test]
fn without_a_clock_only_a_timeout_will_do() {
    let unset = Moment { utc: None, ..sample::now() };
    let reason = |payload| ask(payload, false, unset).command.map_err(|(reason, _)| reason);
    let none = r#"{"id":"c","property":"heating/setpoint","value":20}"#;
    let deadline =
        r#"{"id":"c","property":"heating/setpoint","value":20,"deadline":"2026-11-23T10:01:00Z"}"#;
    let timeout = r#"{"id":"c","property":"heating/setpoint","value":20,"timeout":"5s"}"#;
    assert_eq!(reason(none), Err(Reason::NoDeadline));
    assert_eq!(reason(deadline), Err(Reason::NoDeadline));
    assert!(reason(timeout).is_ok());
}

#[test]
fn only_our_own_topic_is_listened_to() {
    let mut dialect = Twins::new("plant-7", "gatewayd/plant-7", "cloud", true);
    for topic in
        ["gatewayd/plant-8/twins/meter-1/commands", "gatewayd/plant-7/twins/a/b/commands", "x"]
    {
        let incoming = Incoming { topic, payload: b"{}", retained: false };
        assert_eq!(dialect.incoming(&sample::state(), sample::now(), &incoming), None);
    }
    assert_eq!(dialect.subscriptions(), ["gatewayd/plant-7/twins/+/commands"]);
    assert!(Twins::new("g", "p", "l", false).subscriptions().is_empty());
}

proptest! {
    #[test]
    fn hostile_commands_do_not_panic(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzz_command(&data);
    }

    #[test]
    fn mutated_commands_do_not_panic(at in 0..70_usize, byte in any::<u8>()) {
        let mut data = br#"{"id":"c-1","property":"heating/setpoint","value":21.5,"timeout":"5s"}"#.to_vec();
        if let Some(b) = data.get_mut(at) {
            *b = byte;
        }
        fuzz_command(&data);
        if let Ok(text) = std::str::from_utf8(&data) {
            drop(ask(text, false, sample::now()));
        }
    }
}
