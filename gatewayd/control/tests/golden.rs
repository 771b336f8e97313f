//! The encoding that other programs rely on, line by line. A change here is a change of the API.
#![cfg(test)]

use control::{
    Action, Alarm, Answer, Applies, Ask, Code, Command, DeviceAction, Effort, Entanglement,
    Failure, Link, Maintenance, Outcome, Page, Past, Plan, PlannedDevice, PlannedLine, PlannedLink,
    PlannedSetting, Point, Relationship, Reloaded, Reply, Request, Row, Section, Summary, Traffic,
    Twin, TwinAlarm, Update, Verdict, When, Why, Writes,
};
use serde_json::json;

#[track_caller]
fn ask(request: Request, line: &str) {
    let ask = Ask::new(request);
    assert_eq!(serde_json::to_string(&ask).unwrap(), line);
    assert_eq!(serde_json::from_str::<Ask>(line).unwrap(), ask);
}

#[track_caller]
fn reply(answer: Answer, line: &str) {
    let reply = Reply::new(answer);
    assert_eq!(serde_json::to_string(&reply).unwrap(), line);
    assert_eq!(serde_json::from_str::<Reply>(line).unwrap(), reply);
}

#[test]
fn requests() {
    ask(Request::Version, r#"{"v":1,"do":"version"}"#);
    ask(Request::Twins { twin: None }, r#"{"v":1,"do":"twins"}"#);
    let watch = Request::Watch { twin: Some("meter".into()), point: Some("grid/power".into()) };
    ask(watch, r#"{"v":1,"do":"watch","twin":"meter","point":"grid/power"}"#);
    let set = Request::Set {
        twin: "meter".into(),
        point: "relay/on".into(),
        value: json!(true),
        wait: true,
        timeout_ms: 5000,
        key: Some("a1".into()),
    };
    ask(
        set,
        r#"{"v":1,"do":"set","twin":"meter","point":"relay/on","value":true,"wait":true,"timeout_ms":5000,"key":"a1"}"#,
    );
    ask(Request::LinksSkip { link: "cloud".into() }, r#"{"v":1,"do":"links-skip","link":"cloud"}"#);
    let raw = Request::Ask {
        line: "bus".into(),
        address: 3,
        request: "0300000002".into(),
        timeout_ms: 500,
    };
    let line =
        r#"{"v":1,"do":"ask","line":"bus","address":3,"request":"0300000002","timeout_ms":500}"#;
    ask(raw, line);
    ask(Request::Tap { line: "bus".into() }, r#"{"v":1,"do":"tap","line":"bus"}"#);
    ask(Request::Writes { on: Some(false) }, r#"{"v":1,"do":"writes","on":false}"#);
    ask(Request::Plan, r#"{"v":1,"do":"plan"}"#);
    ask(Request::Reload { window_ms: 5000 }, r#"{"v":1,"do":"reload","window_ms":5000}"#);
    let past = Past {
        twin: Some("meter".into()),
        points: vec!["grid/power".into()],
        since: Some(When::AgoMs(7_200_000)),
        until: Some(When::At("2026-11-23T10:00:00Z".into())),
        every_ms: Some(300_000),
        class: Some("sample".into()),
        ..Past::default()
    };
    ask(
        Request::History(past),
        r#"{"v":1,"do":"history","twin":"meter","points":["grid/power"],"since":{"ago_ms":7200000},"until":{"at":"2026-11-23T10:00:00Z"},"every_ms":300000,"class":"sample"}"#,
    );
    ask(Request::History(Past::default()), r#"{"v":1,"do":"history"}"#);
    let (twin, name, target) = ("pump".into(), "feeds".into(), "tank-1".into());
    ask(
        Request::Relate { twin, name, target, on: true },
        r#"{"v":1,"do":"relate","twin":"pump","name":"feeds","target":"tank-1","on":true}"#,
    );
    ask(Request::Alarms { twin: None, all: false }, r#"{"v":1,"do":"alarms"}"#);
    ask(
        Request::Acknowledge { twin: "pump".into(), alarm: Some("bearing/hot".into()) },
        r#"{"v":1,"do":"acknowledge","twin":"pump","alarm":"bearing/hot"}"#,
    );
    let (twin, alarm) = ("pump".into(), "bearing/hot".into());
    ask(
        Request::Shelve { twin, alarm, for_ms: Some(7_200_000) },
        r#"{"v":1,"do":"shelve","twin":"pump","alarm":"bearing/hot","for_ms":7200000}"#,
    );
    let (twin, for_ms, reason) = ("pump".into(), Some(7_200_000), "new bearings".into());
    ask(
        Request::Maintain { twin, for_ms, reason },
        r#"{"v":1,"do":"maintain","twin":"pump","for_ms":7200000,"reason":"new bearings"}"#,
    );
    ask(Request::Purge { twin: "pump".into() }, r#"{"v":1,"do":"purge","twin":"pump"}"#);
}

#[test]
fn a_link_with_what_went_over_it() {
    let link = Link {
        name: "cloud".into(),
        dialect: "twins".into(),
        target: "b:1883".into(),
        state: "connected".into(),
        detail: None,
        for_ms: Some(5),
        overdue_ms: None,
        retry_in_ms: None,
        waits: Some("sample waits until Wed 22:00 UTC".into()),
        commands: "off".into(),
        traffic: Traffic {
            bytes: 900,
            values: 30,
            day_bytes: 50,
            day_values: 4,
            month_bytes: 300,
            budget: Some(1000),
        },
        pending: Vec::new(),
        lanes: Vec::new(),
        counts: vec![("acknowledged".into(), 7)],
    };
    assert_eq!(link.traffic.per_value(), Some(12.5));
    assert_eq!(Traffic { day_values: 0, ..link.traffic.clone() }.per_value(), Some(30.0));
    assert_eq!(Traffic::default().per_value(), None);
    reply(
        Answer::Links { links: vec![link] },
        r#"{"v":1,"is":"links","links":[{"name":"cloud","dialect":"twins","target":"b:1883","state":"connected","for_ms":5,"waits":"sample waits until Wed 22:00 UTC","commands":"off","traffic":{"bytes":900,"values":30,"day_bytes":50,"day_values":4,"month_bytes":300,"budget":1000},"pending":[],"lanes":[],"counts":[["acknowledged",7]]}]}"#,
    );
    let alarm = Alarm { what: "w".into(), help: None, for_ms: 1, outside: true };
    let line = r#"{"what":"w","for_ms":1,"outside":true}"#;
    assert_eq!(serde_json::to_string(&alarm).unwrap(), line);
}

#[test]
fn pages_of_the_past() {
    let reading = Row {
        time: Some("2026-11-23T10:00:00.000Z".into()),
        seq: Some(7),
        epoch: Some(1),
        twin: Some("meter".into()),
        what: "reported".into(),
        point: Some("grid/power".into()),
        value: json!(12.5),
        text: Some("12.5".into()),
        unit: Some("W".into()),
        quality: Some("good".into()),
        ..Row::default()
    };
    let page = Page { rows: vec![reading], ended: false, effort: None };
    reply(
        Answer::History(page),
        r#"{"v":1,"is":"history","rows":[{"time":"2026-11-23T10:00:00.000Z","seq":7,"epoch":1,"twin":"meter","what":"reported","point":"grid/power","value":12.5,"text":"12.5","unit":"W","quality":"good"}],"ended":false}"#,
    );
    let summary = Summary {
        count: 3,
        not_good: 1,
        min: Some(1.0),
        max: Some(2.0),
        mean: Some(1.5),
        until: None,
    };
    let bucket = Row { what: "bucket".into(), summary: Some(summary), ..Row::default() };
    let effort = Some(Effort { segments: 2, passed: 900, decoded: 3 });
    reply(
        Answer::History(Page { rows: vec![bucket], ended: true, effort }),
        r#"{"v":1,"is":"history","rows":[{"what":"bucket","summary":{"count":3,"not_good":1,"min":1.0,"max":2.0,"mean":1.5}}],"ended":true,"effort":{"segments":2,"passed":900,"decoded":3}}"#,
    );
}

#[test]
fn what_may_be_left_out_has_a_default() {
    let line = r#"{"v":1,"do":"set","twin":"meter","point":"on","value":1}"#;
    let ask: Ask = serde_json::from_str(line).unwrap();
    let Request::Set { wait, timeout_ms, key, .. } = ask.request else { panic!("{ask:?}") };
    assert_eq!((wait, timeout_ms, key), (false, 10_000, None));
    let ask: Ask = serde_json::from_str(r#"{"v":1,"do":"reload"}"#).unwrap();
    assert_eq!(ask.request, Request::Reload { window_ms: 10_000 });
}

#[test]
fn a_field_of_a_later_version_is_ignored() {
    let line = r#"{"v":1,"do":"twins","twin":"a","later":7}"#;
    let ask: Ask = serde_json::from_str(line).unwrap();
    assert_eq!(ask.request, Request::Twins { twin: Some("a".into()) });
    let line = r#"{"v":1,"is":"error","code":"a-later-code","message":"m"}"#;
    let reply: Reply = serde_json::from_str(line).unwrap();
    assert_eq!(reply.answer, Answer::Error(Failure::new(Code::Other, "m")));
}

#[test]
fn twins() {
    let point = Point {
        feature: "grid".into(),
        name: "power".into(),
        value: json!(230.5),
        text: Some("230.50".into()),
        unit: Some("W".into()),
        quality: "bad".into(),
        cause: Some("timeout".into()),
        age_ms: Some(1200),
        ..Point::default()
    };
    let planned = Maintenance {
        until: Some("2026-11-26T12:00:00.000Z".into()),
        reason: "new bearings".into(),
        by: "user:ada".into(),
    };
    let alarm = TwinAlarm {
        twin: "pump".into(),
        alarm: "bearing/hot".into(),
        active: true,
        severity: 700,
        text: "bearing too hot: 93.5 Cel".into(),
        when: Some("bearing/temperature is above 90 Cel".into()),
        since: Some("2026-11-27T10:00:00Z".into()),
        for_ms: Some(60_000),
        instance: Some("0000000100000002".into()),
        ..TwinAlarm::default()
    };
    reply(
        Answer::Alarms { alarms: vec![alarm] },
        r#"{"v":1,"is":"alarms","alarms":[{"twin":"pump","alarm":"bearing/hot","active":true,"acknowledged":false,"severity":700,"text":"bearing too hot: 93.5 Cel","when":"bearing/temperature is above 90 Cel","since":"2026-11-27T10:00:00Z","for_ms":60000,"instance":"0000000100000002"}]}"#,
    );
    let over = Answer::Maintained { twin: "meter".into(), maintenance: None };
    reply(over, r#"{"v":1,"is":"maintained","twin":"meter"}"#);
    let related = Relationship { name: "feeds".into(), target: "tank-1".into() };
    let twin = Twin {
        alarms: Vec::new(),
        id: "meter".into(),
        life_cycle: "out of sync".into(),
        model: None,
        asset: None,
        line: Some("tcp:10.0.0.5:502".into()),
        rev: 7,
        age_ms: Some(1200),
        entanglement: Some(Entanglement {
            value: 0.75,
            timeliness: 1.0,
            reliability: 0.75,
            availability: 1.0,
            class: "weak".into(),
            target: 0.9,
            window_ms: 60_000,
            timeliness_ms: 1_000,
        }),
        maintenance: Some(planned.clone()),
        disabled: None,
        relationships: vec![related.clone()],
        points: vec![point],
    };
    reply(
        Answer::Related { twin: "meter".into(), relationships: vec![related] },
        r#"{"v":1,"is":"related","twin":"meter","relationships":[{"name":"feeds","target":"tank-1"}]}"#,
    );
    reply(Answer::Purged { twin: "meter".into() }, r#"{"v":1,"is":"purged","twin":"meter"}"#);
    reply(
        Answer::Twins { twins: vec![twin] },
        r#"{"v":1,"is":"twins","twins":[{"id":"meter","life_cycle":"out of sync","line":"tcp:10.0.0.5:502","rev":7,"age_ms":1200,"entanglement":{"value":0.75,"timeliness":1.0,"reliability":0.75,"availability":1.0,"class":"weak","target":0.9,"window_ms":60000,"timeliness_ms":1000},"maintenance":{"until":"2026-11-26T12:00:00.000Z","reason":"new bearings","by":"user:ada"},"relationships":[{"name":"feeds","target":"tank-1"}],"points":[{"feature":"grid","name":"power","value":230.5,"text":"230.50","unit":"W","quality":"bad","cause":"timeout","age_ms":1200}]}]}"#,
    );
}

#[test]
fn steps_and_updates() {
    let command = Command {
        twin: "meter".into(),
        point: "relay/on".into(),
        key: "a1".into(),
        id: Some(41),
        stage: "confirmed".into(),
        after_ms: 84.5,
        ended: true,
        known: false,
        reason: None,
        detail: None,
    };
    reply(
        Answer::Command(command),
        r#"{"v":1,"is":"command","twin":"meter","point":"relay/on","key":"a1","id":41,"stage":"confirmed","after_ms":84.5,"ended":true}"#,
    );
    let update = Update {
        seq: 9,
        epoch: 2,
        time: None,
        twin: Some("meter".into()),
        what: "transition".into(),
        detail: Some("bound to shadowed: complete".into()),
        points: Vec::new(),
    };
    reply(
        Answer::Update(update),
        r#"{"v":1,"is":"update","seq":9,"epoch":2,"twin":"meter","what":"transition","detail":"bound to shadowed: complete"}"#,
    );
}

#[test]
fn plans_reloads_and_verdicts() {
    let device = PlannedDevice {
        twin: "meter".into(),
        action: DeviceAction::Change,
        why: vec!["point changed: grid/power".into()],
    };
    let plan = Plan {
        lines: vec![PlannedLine {
            name: "bus".into(),
            action: Action::Configure,
            why: vec![],
            devices: vec![device],
            same: 30,
        }],
        links: vec![PlannedLink {
            name: "cloud".into(),
            action: Action::Rebuild,
            why: vec!["window: 256 → 128".into()],
        }],
        settings: vec![PlannedSetting {
            key: "health.listen".into(),
            from: None,
            to: Some("127.0.0.1:9464".into()),
            applies: Applies::Reload,
        }],
        same: 2,
        problems: vec![],
        warnings: vec![],
    };
    reply(
        Answer::Plan(plan),
        r#"{"v":1,"is":"plan","lines":[{"name":"bus","action":"configure","devices":[{"twin":"meter","action":"change","why":["point changed: grid/power"]}],"same":30}],"links":[{"name":"cloud","action":"rebuild","why":["window: 256 → 128"]}],"settings":[{"key":"health.listen","to":"127.0.0.1:9464","applies":"reload"}],"same":2}"#,
    );
    let done = Reloaded {
        changed: vec!["line bus".into()],
        same: 2,
        watched: vec!["line bus".into()],
        watched_ms: Some(10_000),
        ..Reloaded::default()
    };
    reply(
        Answer::Reloaded(done),
        r#"{"v":1,"is":"reloaded","added":[],"removed":[],"changed":["line bus"],"same":2,"watched":["line bus"],"watched_ms":10000}"#,
    );
    let fault = "line bus was given up: no such port".to_owned();
    reply(
        Answer::Verdict(Verdict { outcome: Outcome::Returned, faults: vec![fault] }),
        r#"{"v":1,"is":"verdict","outcome":"returned","faults":["line bus was given up: no such port"]}"#,
    );
}

#[test]
fn the_rest() {
    reply(
        Answer::Writes(Writes { on: false, by: Some("user:root".into()) }),
        r#"{"v":1,"is":"writes","on":false,"by":"user:root"}"#,
    );
    let rows = vec![("next poll".into(), "in 0.3 s".into())];
    let why = Why {
        twin: "meter".into(),
        point: None,
        verdict: "shadowed".into(),
        sections: vec![Section { title: "line".into(), rows }],
    };
    reply(
        Answer::Why(why),
        r#"{"v":1,"is":"why","twin":"meter","verdict":"shadowed","sections":[{"title":"line","rows":[["next poll","in 0.3 s"]]}]}"#,
    );
    let failure = Failure::new(Code::NotFound, "there is no twin \"x\"").help("gatewayctl twins");
    reply(
        Answer::Error(failure),
        r#"{"v":1,"is":"error","code":"not-found","message":"there is no twin \"x\"","help":"gatewayctl twins"}"#,
    );
}
