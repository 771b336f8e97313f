//! The sliding window against one that keeps everything, and what the figures must and must not say.

#![expect(clippy::cast_precision_loss, reason = "shares are compared to a thousandth")]

use proptest::prelude::*;
use twin::{Boottime, Entangled, Window};

const MS: i64 = 1_000;
const S: i64 = 1_000_000;

/// Keeps every update and every stretch of contact.
struct Slow {
    bucket: i64,
    began: i64,
    known: i64,
    updates: Vec<(i64, bool)>,
    up: Vec<(i64, i64)>,
}

impl Slow {
    fn new(length: i64, began: i64) -> Self {
        Self { bucket: length / 60, began, known: began, updates: Vec::new(), up: Vec::new() }
    }

    fn advance(&mut self, now: i64, up: bool) {
        if up && now > self.known {
            self.up.push((self.known, now));
        }
        self.known = self.known.max(now);
    }

    fn figures(&self, latest: i64, interval: Option<i64>, patience: i64) -> Entangled {
        let oldest = (latest.div_euclid(self.bucket) - 59) * self.bucket;
        let from = self.began.max(oldest);
        let covered = (self.known - from).max(0);
        let within: Vec<_> = self.updates.iter().filter(|(at, _)| *at >= oldest).collect();
        let prompt = within.iter().filter(|(_, prompt)| *prompt).count();
        let up: i64 = self.up.iter().map(|(a, b)| (b - (*a).max(oldest)).max(0)).sum();
        let due = interval.map_or(1, |i| ((covered - patience) / i).max(1));
        let share = |a: f64, b: f64| if b <= 0.0 { 0.0 } else { (a / b).min(1.0) as f32 };
        Entangled {
            timeliness: share(prompt as f64, within.len() as f64),
            reliability: share(within.len() as f64, due as f64),
            availability: share(up as f64, covered as f64),
        }
    }
}

fn same(a: Entangled, b: Entangled) -> bool {
    a.figures().into_iter().zip(b.figures()).all(|(a, b)| (a - b).abs() < 0.001)
}

#[derive(Debug, Clone, Copy)]
enum Does {
    /// Time passes, in contact or not.
    Passes(i64, bool),
    /// Updates come in one instant, some of them late.
    Comes { prompt: u8, late: u8 },
    /// The caller's clock says an earlier time.
    Back(i64),
}

fn does() -> impl Strategy<Value = Does> {
    prop_oneof![
        6 => (0..3 * S, any::<bool>()).prop_map(|(by, up)| Does::Passes(by, up)),
        1 => (0..400 * S, any::<bool>()).prop_map(|(by, up)| Does::Passes(by, up)),
        6 => (0..4u8, 0..3u8).prop_map(|(prompt, late)| Does::Comes { prompt, late }),
        1 => (0..200u8).prop_map(|prompt| Does::Comes { prompt, late: 0 }),
        1 => (0..90 * S).prop_map(Does::Back),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]
    #[test]
    fn the_window_is_what_all_of_it_comes_to(
        began in -50 * S..50 * S,
        length in prop_oneof![Just(60 * S), Just(10 * S), Just(3_600 * S), 1_000..90 * S],
        interval in proptest::option::of(1_000..20 * S),
        patience in 0..2 * S,
        all in proptest::collection::vec(does(), 0..60),
    ) {
        let mut window = Window::new(length, Boottime(began));
        let mut slow = Slow::new(length, began);
        let (mut now, mut latest) = (began, began);
        for one in all {
            match one {
                Does::Passes(by, up) => {
                    now += by;
                    latest = latest.max(now);
                    window.advance(Boottime(now), up);
                    slow.advance(now, up);
                }
                Does::Comes { prompt, late } => {
                    window.receive(Boottime(now), u32::from(prompt + late), u32::from(prompt));
                    // What comes by a clock that went back belongs to the latest time there was.
                    let each = |n: u8, prompt| std::iter::repeat_n((now.max(latest), prompt), n.into());
                    slow.updates.extend(each(prompt, true).chain(each(late, false)));
                }
                Does::Back(by) => now -= by,
            }
            let (a, b) = (window.figures(interval, patience), slow.figures(latest, interval, patience));
            prop_assert!(same(a, b), "{one:?} at {now}: {a:?}, but {b:?}");
            prop_assert!(a.figures().into_iter().all(|f| (0.0..=1.0).contains(&f)));
        }
    }
}

/// A group polled each second for so long; `late` of ten updates are late.
fn polled(seconds: i64, each: u32, late: i64) -> Window {
    let mut window = Window::new(60 * S, Boottime(0));
    for n in 0..seconds {
        let at = Boottime(n * S + 20 * MS);
        window.advance(at, true);
        window.receive(at, each, if n % 10 < late { 0 } else { each });
    }
    window.advance(Boottime(seconds * S), true);
    window
}

fn figures(window: &Window) -> [f32; 3] {
    window.figures(Some(S), S).figures()
}

#[test]
fn a_healthy_asset_is_wholly_entangled() {
    for seconds in [1, 2, 30, 59, 60, 61, 500] {
        assert_eq!(figures(&polled(seconds, 1, 0)), [1.0; 3], "after {seconds} s");
    }
}

#[test]
fn an_empty_window_is_no_entanglement() {
    assert_eq!(figures(&Window::new(60 * S, Boottime(5 * S))), [0.0; 3]);
}

#[test]
fn where_all_is_late_nothing_is_timely() {
    assert_eq!(figures(&polled(1, 1, 10))[0], 0.0, "not even one of one");
    assert_eq!(figures(&polled(100, 1, 10)), [0.0, 1.0, 1.0]);
    assert!((figures(&polled(600, 1, 3))[0] - 0.7).abs() < 0.02);
}

#[test]
fn who_sends_more_than_asked_is_not_more_than_reliable() {
    assert_eq!(figures(&polled(100, 5, 0)), [1.0; 3]);
}

#[test]
fn silence_is_seen_although_nothing_happens() {
    let mut window = polled(100, 1, 0);
    let mut last = 1.0;
    for second in 101..=161 {
        // The pair is down from the first failed poll on.
        window.advance(Boottime(second * S), false);
        let value = window.figures(Some(S), S).value();
        assert!(value <= last, "it only falls: {value} after {last}");
        last = value;
    }
    assert_eq!(window.figures(Some(S), S).figures(), [0.0; 3]);
}

#[test]
fn a_gap_before_the_first_update_counts() {
    // The daemon was away for 30 s and has read for 30 s since.
    let mut window = Window::new(60 * S, Boottime(0));
    window.advance(Boottime(30 * S), false);
    for n in 30..59 {
        window.advance(Boottime(n * S), true);
        window.receive(Boottime(n * S), 1, 1);
    }
    window.advance(Boottime(59 * S), true);
    let [timeliness, reliability, availability] = figures(&window);
    assert_eq!(timeliness, 1.0);
    assert!((reliability - 0.5).abs() < 0.02, "{reliability}");
    assert!((availability - 29.0 / 59.0).abs() < 0.02, "{availability}");
}

#[test]
fn what_is_said_is_said_when_it_has_moved() {
    let of =
        |timeliness, reliability, availability| Entangled { timeliness, reliability, availability };
    assert!(of(0.0, 0.0, 0.0).is_news(None));
    let said = of(1.0, 0.9, 1.0);
    assert!(!of(1.0, 0.86, 1.0).is_news(Some(&said)));
    assert!(of(1.0, 0.84, 1.0).is_news(Some(&said)));
    assert!(of(1.0, 1.0, 1.0).is_news(Some(&of(1.0, 0.97, 1.0))), "it has become whole");
    assert!(!of(1.0, 1.0, 1.0).is_news(Some(&of(1.0, 1.0, 1.0))));
    // The product may stand still while its factors move.
    assert!(of(0.5, 1.0, 1.0).is_news(Some(&of(1.0, 0.5, 1.0))));
}

#[test]
fn a_twin_is_as_its_worst_group() {
    let (good, bad) = (
        Entangled { timeliness: 1.0, reliability: 1.0, availability: 0.9 },
        Entangled { timeliness: 0.5, reliability: 1.0, availability: 1.0 },
    );
    assert_eq!(good.or_worse(bad), bad);
    assert_eq!(bad.or_worse(good), bad);
}
