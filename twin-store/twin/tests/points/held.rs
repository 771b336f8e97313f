//! Desired values that are held: when an asset has left one, and how often it is asked again.

use std::sync::Arc;

use twin::{
    Access, Body, BootId, Boottime, Cause, Command, CommandId, Deadline, Description, Guard, Hold,
    Moment, Order, Origin, Outcome, PointSpec, Principal, PrincipalKind, Quality, Reason, Rules,
    Stage, Step, Twin, Value, What, Writable,
};

use crate::guard::{BOOT, S, Scene, opened};
use crate::one_point;

const HOUR: i64 = 3_600 * S;

fn now(at: i64, boot: BootId) -> Moment {
    Moment { boottime: Boottime(at), boot, utc: None }
}

fn ada() -> Origin {
    Origin::Principal(Principal { kind: PrincipalKind::User, name: "ada".into() })
}

fn command(key: Arc<str>, at: i64) -> Command {
    Command {
        key,
        index: 0,
        order: Order::Write(Value::Float(50.0)),
        deadline: Deadline::after(now(at, BOOT), S),
        asked: None,
    }
}

fn setpoint(hold: bool, tolerance: f64) -> PointSpec {
    let writable = Writable { range: None, settle: 0, tolerance, unsynchronised: true, hold };
    let guard = Guard { hold: Hold { interval: 10 * S, times: 3 }, ..Guard::default() };
    PointSpec {
        access: Access { readable: true, writable: Some(writable) },
        rules: Rules { guard, ..Rules::default() },
        ..one_point::point("setpoint")
    }
}

impl Scene {
    fn one(&self) -> &Twin {
        self.state.twins().next().unwrap()
    }

    /// Somebody asks for 50.
    fn asked(&mut self, at: i64, by: Origin) -> CommandId {
        self.by(at, by, What::Command(command(format!("k{}", self.seq).into(), at)));
        CommandId(self.seq)
    }

    /// Somebody asks for 50 and the asset does it; by the asset's own resolution that is 50.25.
    fn set(&mut self, at: i64, by: Origin, outcome: Outcome) {
        let command = self.asked(at, by);
        let step = Step::Sent { expected: Value::Float(50.25) };
        self.by(at, Origin::Asset, What::Step { command, step });
        self.read(at, Quality::GOOD, 50.25);
        self.by(at, Origin::Keeper, What::Step { command, step: Step::Ended(outcome) });
    }

    fn read(&mut self, at: i64, quality: Quality, value: f64) {
        let value = Some(Value::Float(value));
        self.twin(at, What::Reported(one_point::reading(at, 0, quality, value)));
    }

    fn left(&self, at: i64) -> bool {
        self.one().left(&self.state, 0, now(at, BOOT)).is_some()
    }

    fn times(&self) -> Option<u32> {
        self.one().held().get(&0).map(|held| held.times)
    }
}

fn confirmed(hold: bool, tolerance: f64) -> Scene {
    let mut scene = Scene::of(vec![setpoint(hold, tolerance)]);
    scene.set(0, ada(), Outcome::Confirmed);
    scene
}

#[test]
fn what_an_asset_leaves_is_asked_of_it_again_in_its_time() {
    let mut scene = confirmed(true, 0.0);
    assert!(!scene.left(20 * S), "what the asset made of it is kept");
    scene.read(S, Quality::GOOD, 40.0);
    assert!(!scene.left(10 * S - 1), "not so soon");
    assert!(scene.left(10 * S));
    scene.read(11 * S, Quality::bad(Cause::Timeout), 40.0);
    assert!(!scene.left(20 * S), "nobody knows what it is");
    scene.read(12 * S, Quality::uncertain(Cause::Restored), 40.0);
    assert!(!scene.left(20 * S), "nor whether it still is");
    scene.read(13 * S, Quality::uncertain(Cause::OutOfRange), 900.0);
    assert!(scene.left(20 * S), "an implausible value is another one all the same");

    let version = scene.one().desired()[&0].version;
    scene.set(20 * S, Origin::Keeper, Outcome::Confirmed);
    let desired = &scene.one().desired()[&0];
    assert_eq!((desired.version, &desired.by), (version, &ada().principal()), "ada's wish still");
    assert_eq!((scene.times(), scene.left(40 * S)), (Some(1), false));
    scene.read(41 * S, Quality::GOOD, 40.0);
    let (desired, _) = scene.one().left(&scene.state, 0, now(41 * S, BOOT)).unwrap();
    let mut repeat = command(Twin::hold_key(desired), 41 * S);
    let again = |scene: &Scene, repeat: &Command| {
        scene.one().again(&scene.state, repeat, now(41 * S, BOOT))
    };
    assert!(again(&scene, &repeat));
    repeat.key = "hold-1".into();
    assert!(!again(&scene, &repeat), "somebody has asked since");
    let again = scene.asked(41 * S, Origin::Keeper);
    assert!(!scene.left(HOUR), "it is under way");
    let step = Step::Ended(Outcome::Expired);
    scene.by(42 * S, Origin::Keeper, What::Step { command: again, step });
    assert!(scene.left(HOUR));
    scene.asked(HOUR, ada());
    assert!(!scene.left(2 * HOUR), "a new wish, of which nothing is confirmed");
}

#[test]
fn only_what_was_confirmed_is_held() {
    let mut scene = confirmed(false, 0.0);
    scene.read(S, Quality::GOOD, 40.0);
    assert!(!scene.left(20 * S), "nothing is held unless the description says so");
    for outcome in [
        Outcome::Expired,
        Outcome::Rejected(Reason::Refused, "no".into()),
        Outcome::Unknown(Reason::NoAnswer, "?".into()),
    ] {
        let mut scene = Scene::of(vec![setpoint(true, 0.0)]);
        scene.set(0, ada(), outcome.clone());
        scene.read(S, Quality::GOOD, 40.0);
        assert!(!scene.left(20 * S), "{outcome:?}");
    }
    let mut near = confirmed(true, 1.0);
    near.read(S, Quality::GOOD, 51.25);
    assert!(!near.left(20 * S), "within the tolerance");
    near.read(S, Quality::GOOD, 51.5);
    assert!(near.left(20 * S));
}

#[test]
fn a_re_assertion_that_fails_is_repeated_and_all_of_them_are_counted() {
    let mut scene = confirmed(true, 0.0);
    for (n, at) in [(1, 10 * S), (2, 20 * S), (3, 30 * S)] {
        scene.read(at, Quality::GOOD, 40.0);
        assert!(scene.left(at));
        scene.set(at, Origin::Keeper, Outcome::Unknown(Reason::NoAnswer, "?".into()));
        assert_eq!(scene.times(), Some(n));
    }
    scene.read(40 * S, Quality::GOOD, 40.0);
    assert!(!scene.left(40 * S) && !scene.left(9 * HOUR), "given up");
    scene.set(50 * S, ada(), Outcome::Confirmed);
    scene.read(51 * S, Quality::GOOD, 40.0);
    assert!(scene.left(60 * S), "a new command begins anew");

    let mut slow = confirmed(true, 0.0);
    for n in 1..9 {
        slow.read(n * 2 * HOUR, Quality::GOOD, 40.0);
        slow.set(n * 2 * HOUR, Origin::Keeper, Outcome::Confirmed);
        assert_eq!(slow.times(), Some(1), "two hours apart is not in a row");
    }
}

#[test]
fn another_boot_and_another_description() {
    let mut scene = confirmed(true, 0.0);
    scene.read(S, Quality::GOOD, 40.0);
    let boot = BootId([2; 16]);
    scene.then(0, Body::Gateway(opened(boot)));
    assert!(scene.one().left(&scene.state, 0, now(1, boot)).is_some(), "no clock to compare");
    assert_eq!(scene.one().desired()[&0].stage, Stage::Ended(Outcome::Confirmed));

    let mut described = Description::clone(scene.one().description());
    described.points[0].spec = setpoint(false, 0.0);
    scene.by(2, Origin::Configuration, What::Described(Arc::new(described)));
    assert!(scene.one().held().is_empty(), "let go");
}

#[test]
fn a_twin_that_is_done_holds_nothing() {
    let mut scene = confirmed(true, 0.0);
    let from = scene.one().life_cycle();
    let (to, trigger) = (twin::LifeCycle::Done, twin::Trigger::Stopped);
    scene.twin(S, What::Transition { from, to, trigger, detail: None, entanglement: None });
    assert!(scene.one().held().is_empty());
}

#[test]
fn between_two_re_assertions_there_is_room_for_a_command() {
    let mut spec = setpoint(true, 0.0);
    spec.rules.guard.interval = 60 * S;
    let mut scene = Scene::of(vec![spec]);
    scene.set(0, ada(), Outcome::Confirmed);
    scene.read(S, Quality::GOOD, 40.0);
    let at = 60 * S;
    let asked = twin::admit(&scene.state, scene.one(), &command("k".into(), at), now(at, BOOT));
    assert_eq!((asked, scene.left(at)), (Ok(()), false));
    assert!(scene.left(2 * at));
}
