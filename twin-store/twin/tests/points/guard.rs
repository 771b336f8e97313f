//! What stands against a command besides its value: interlocks and the time since the last one.

use std::sync::Arc;

use twin::{
    Access, Acquisition, Body, BootId, Boottime, Cause, Command, Commit, Condition, Deadline,
    Declaration, Description, Entry, GatewayEvent, Group, Guard, Handle, Interlock, Moment, Order,
    Origin, PointSpec, Quality, Reason, Reported, Rules, Seq, State, Value, What, Writable, admit,
};

use crate::one_point;

pub(crate) const S: i64 = 1_000_000;
pub(crate) const BOOT: BootId = BootId([1; 16]);

pub(crate) fn opened(boot: BootId) -> GatewayEvent {
    GatewayEvent::Opened { epoch: 1, boot, offset: None, surviving: Seq(0) }
}

/// A state with a twin that is bound.
pub(crate) struct Scene {
    pub(crate) state: State,
    pub(crate) seq: u64,
}

impl Scene {
    /// A pump that may be written only while its mode (index 1) is 2, five seconds apart.
    fn new() -> Self {
        let writable =
            Writable { range: None, settle: 0, tolerance: 0.0, unsynchronised: true, hold: false };
        let interlock = Interlock {
            feature: "f".parse().unwrap(),
            point: "mode".parse().unwrap(),
            when: Condition::Is(Arc::new([2.0])),
        };
        let guard =
            Guard { interlocks: Arc::new([interlock]), interval: 5 * S, ..Guard::default() };
        let setpoint = PointSpec {
            access: Access { readable: true, writable: Some(writable) },
            rules: Rules { guard, ..Rules::default() },
            ..one_point::point("setpoint")
        };
        Self::of(vec![setpoint, one_point::point("mode")])
    }

    /// A twin with these points in one group.
    pub(crate) fn of(points: Vec<PointSpec>) -> Self {
        let acquisition = Acquisition::Polled { interval: S };
        let group =
            Group { name: "main".parse().unwrap(), acquisition, max_age: 0, retired: false };
        let declared = Declaration { groups: vec![group], points, ..Declaration::default() };
        let description = Description::default().revise(&declared).unwrap().description;
        let mut scene = Self { state: State::default(), seq: 0 };
        scene.then(0, Body::Gateway(opened(BOOT)));
        scene.twin(0, What::Described(Arc::new(description)));
        for trigger in [twin::Trigger::Configured, twin::Trigger::AssetBound] {
            let from = scene.state.twins().next().unwrap().life_cycle();
            let to = from.after(trigger).unwrap();
            scene.twin(0, What::Transition { from, to, trigger, detail: None, entanglement: None });
        }
        scene
    }

    pub(crate) fn then(&mut self, at: i64, body: Body) {
        self.seq += 1;
        self.state.apply(&Commit { seq: Seq(self.seq), epoch: 1, at: Boottime(at), body });
    }

    pub(crate) fn twin(&mut self, at: i64, what: What) {
        self.by(at, Origin::Asset, what);
    }

    pub(crate) fn by(&mut self, at: i64, origin: Origin, what: What) {
        let (handle, twin) = (Handle(1), "t".parse().unwrap());
        self.then(at, Body::Twin { handle, twin, origin, what });
    }

    fn mode(&mut self, quality: Quality, mode: f64) {
        let value = Some(Value::Float(mode));
        let entries = vec![Entry { index: 1, quality, value, offset: 0 }];
        let reported = Reported { entries, ..one_point::reading(0, 0, quality, None) };
        self.twin(0, What::Reported(reported));
    }

    /// Asks at this time; an accepted command is on record.
    fn ask(&mut self, at: i64, boot: BootId) -> Result<(), (Reason, Arc<str>)> {
        let now = Moment { boottime: Boottime(at), boot, utc: None };
        let command = Command {
            key: format!("{at}").into(),
            index: 0,
            order: Order::Write(Value::Float(1.0)),
            deadline: Deadline::after(now, S),
            asked: None,
        };
        let twin = self.state.twins().next().unwrap();
        admit(&self.state, twin, &command, now)?;
        self.twin(at, What::Command(command));
        Ok(())
    }
}

#[test]
fn an_interlock_holds_by_a_good_value_only() {
    let mut scene = Scene::new();
    let refused = |scene: &mut Scene, words: &str| {
        let (reason, said) = scene.ask(0, BOOT).unwrap_err();
        assert_eq!(reason, Reason::Interlock, "{said}");
        let begin = "f/setpoint may be written only while f/mode is 2; ";
        assert_eq!(said.strip_prefix(begin), Some(words), "{said}");
    };
    refused(&mut scene, "it has not been read yet");
    scene.mode(Quality::GOOD, 3.0);
    refused(&mut scene, "it is 3.0");
    scene.mode(Quality::bad(Cause::Timeout), 2.0);
    refused(&mut scene, "its value is bad (timeout)");
    scene.mode(Quality::uncertain(Cause::Restored), 2.0);
    refused(&mut scene, "its value is uncertain (restored)");
    scene.mode(Quality::GOOD, 2.0);
    scene.ask(0, BOOT).unwrap();
}

#[test]
fn an_interlock_does_not_hold_by_what_a_command_is_about_to_change() {
    let mut scene = Scene::new();
    scene.mode(Quality::GOOD, 2.0);
    let now = Moment { boottime: Boottime(0), boot: BOOT, utc: None };
    let mode = Command {
        key: "mode".into(),
        index: 1,
        order: Order::Write(Value::Float(0.0)),
        deadline: Deadline::after(now, S),
        asked: None,
    };
    scene.twin(0, What::Command(mode));
    let command = twin::CommandId(scene.seq);
    let (reason, said) = scene.ask(0, BOOT).unwrap_err();
    assert_eq!(reason, Reason::Interlock);
    assert!(said.ends_with("; a command for it is under way"), "{said}");
    let twin = scene.state.twins().next().unwrap();
    assert_eq!(twin::interlocked(twin, 0, command), Ok(()), "only what was accepted before");
    let step = twin::Step::Ended(twin::Outcome::Expired);
    scene.twin(0, What::Step { command, step });
    scene.ask(0, BOOT).unwrap();
}

#[test]
fn commands_keep_their_distance_within_a_boot() {
    let mut scene = Scene::new();
    scene.mode(Quality::GOOD, 2.0);
    scene.ask(10 * S, BOOT).unwrap();
    for at in [10 * S, 15 * S - 1] {
        let (reason, words) = scene.ask(at, BOOT).unwrap_err();
        assert_eq!(reason, Reason::TooOften);
        assert!(words.contains("wait"), "{words}");
    }
    scene.ask(15 * S, BOOT).unwrap();
    let other = BootId([2; 16]);
    scene.then(0, Body::Gateway(opened(other)));
    scene.ask(16 * S, other).unwrap();
    let (reason, _) = scene.ask(17 * S, other).unwrap_err();
    assert_eq!(reason, Reason::TooOften);
}
