//! A small twin for tests: a meter with a heating setpoint, an action and an event.

use std::sync::Arc;

use twin::{
    Access, Acquisition, Alarm, Body, Boottime, Commit, Condition, Declaration, Description,
    GatewayEvent, Group, Handle, IntKind, Kind, Moment, Nameplate, Origin, PointSpec, Seq, State,
    Timestamp, ValueType, What, Writable,
};

/// The boot of the samples.
pub(crate) const BOOT: twin::BootId = twin::BootId([0x5a; 16]);
/// UTC minus boottime: boottime 0 was 2026-11-23T10:00:00Z.
pub(crate) const OFFSET: i64 = 1_795_428_000_000_000;

fn point(path: &str, kind: Kind, value_type: ValueType, unit: Option<&str>) -> PointSpec {
    let (feature, name) = path.split_once('/').unwrap();
    PointSpec {
        unit: unit.map(Arc::from),
        access: Access { readable: true, writable: None },
        ..PointSpec::new(feature.parse().unwrap(), name.parse().unwrap(), kind, value_type)
    }
}

/// What the meter consists of.
pub(crate) fn declaration() -> Declaration {
    let tenth = ValueType::Decimal { raw: IntKind::I16, exponent: -1 };
    let writable = Writable {
        range: Some((5.0, 30.0)),
        settle: 100_000,
        tolerance: 0.1,
        unsynchronised: false,
        hold: false,
    };
    let mut setpoint = point("heating/setpoint", Kind::State, tenth.clone(), Some("Cel"));
    setpoint.access.writable = Some(writable.clone());
    let mut mode = point("heating/mode", Kind::State, ValueType::Int(IntKind::U8), None);
    mode.labels = Arc::new([(0, "off".into()), (1, "auto".into())]);
    mode.access.writable = Some(Writable { range: None, ..writable.clone() });
    let mut reset = point("heating/reset", Kind::Action, ValueType::Bool, None);
    reset.access.writable = Some(Writable { range: None, ..writable });
    let mut overvoltage = point("electrical/overvoltage", Kind::Event, ValueType::Bool, None);
    overvoltage.rules.alarm = Some(Arc::new(Alarm {
        feature: "electrical".parse().unwrap(),
        point: "voltage".parse().unwrap(),
        when: Condition::Above { limit: 253.0, hysteresis: 3.0 },
        severity: 800,
        delay: 0,
        clear_delay: 0,
        acknowledge: true,
        text: "voltage above the limit".into(),
    }));
    Declaration {
        model: Some("acme/em-100".into()),
        nameplate: Nameplate {
            manufacturer: Some("ACME".into()),
            serial: Some("4711".into()),
            ..Nameplate::default()
        },
        groups: vec![Group {
            name: "main".parse().unwrap(),
            acquisition: Acquisition::Polled { interval: 1_000_000 },
            max_age: 10_000_000,
            retired: false,
        }],
        points: vec![
            point("electrical/voltage", Kind::Telemetry, tenth, Some("V")),
            point("electrical/current", Kind::Telemetry, ValueType::F32, Some("A")),
            point("electrical/energy", Kind::Telemetry, ValueType::Int(IntKind::U64), Some("W.h")),
            setpoint,
            mode,
            reset,
            point("heating/overheated", Kind::Event, ValueType::Bool, None),
            overvoltage,
        ],
        semantics: vec!["https://saref.etsi.org/saref4ener/Meter".into()],
        policy: twin::Policy::default(),
    }
}

/// The first revision of the meter.
pub(crate) fn description() -> Arc<Description> {
    Arc::new(Description::default().revise(&declaration()).unwrap().description)
}

/// A state with the meter `meter-1` in it, at 2026-11-23T10:00:00Z.
pub(crate) fn state() -> State {
    let mut state = State::default();
    let at = Boottime(0);
    let opened =
        GatewayEvent::Opened { epoch: 3, boot: BOOT, offset: Some(OFFSET), surviving: Seq(0) };
    state.apply(&Commit { seq: Seq(1), epoch: 3, at, body: Body::Gateway(opened) });
    state.apply(&twin(2, What::Described(description())));
    state
}

/// A commit of the meter.
pub(crate) fn twin(seq: u64, what: What) -> Commit {
    let body = Body::Twin {
        handle: Handle(1),
        twin: "meter-1".parse().unwrap(),
        origin: Origin::Asset,
        what,
    };
    Commit { seq: Seq(seq), epoch: 3, at: Boottime(0), body }
}

/// 2026-11-23T10:00:00Z.
pub(crate) fn now() -> Moment {
    Moment { boottime: Boottime(0), boot: BOOT, utc: Some(Timestamp(OFFSET)) }
}
