//! Report by change against a slow reference that keeps every poll.
use proptest::prelude::*;
use twin::{
    Acquisition, Boottime, Cause, CommandId, Origin, Pace, PointSpec, Quality, Report, Reported,
    Rules, Seq, Twin, Value, What,
};

use crate::one_point;

/// Microseconds between two polls.
const INTERVAL: i64 = 1_000_000;
const SLACK: i64 = INTERVAL / 10;

fn twin(report: Report, pace: Pace, acquisition: Acquisition) -> Twin {
    let rules = Rules { pace, ..Rules::default() };
    one_point::described(acquisition, vec![PointSpec { report, rules, ..one_point::point("p") }])
}

fn polled(report: Report, least: i64, most: i64) -> Twin {
    twin(report, Pace { least, most }, Acquisition::Polled { interval: INTERVAL })
}

/// One poll of the one point.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Poll {
    at: i64,
    /// `None`: it failed.
    value: Option<f64>,
    /// It reads back a command.
    answers: bool,
}

impl Poll {
    fn good(at: i64, value: f64) -> Self {
        Self { at, value: Some(value), answers: false }
    }

    fn reported(self) -> Reported {
        let quality = self.value.map_or(Quality::bad(Cause::Timeout), |_| Quality::GOOD);
        let value = self.value.map(Value::Float);
        let command = self.answers.then_some(CommandId(9));
        Reported { command, ..one_point::reading(self.at, 0, quality, value) }
    }
}

/// Polls that are reported.
fn run(twin: &mut Twin, polls: &[Poll], booted: Seq) -> Vec<Poll> {
    let mut told = Vec::new();
    for (seq, poll) in (2..).map(Seq).zip(polls) {
        let mut reported = poll.reported();
        twin.reduce(&mut reported, booted);
        if !reported.entries.is_empty() {
            told.push(*poll);
            twin.apply(seq, Boottime(poll.at), &Origin::Asset, &What::Reported(reported));
        }
    }
    told
}

/// The same from all polls at once, in the words of the documentation.
fn reference(report: Report, pace: Pace, polls: &[Poll]) -> Vec<Poll> {
    let mut told: Vec<Poll> = Vec::new();
    for poll in polls {
        let value = told.iter().rev().find_map(|t| t.value);
        let Some(last) = told.last() else {
            told.push(*poll);
            continue;
        };
        let since = poll.at - last.at;
        let quality_changed = poll.value.is_some() != last.value.is_some();
        let too_late_next = pace.most > 0 && since + INTERVAL > pace.most + SLACK;
        let too_soon = pace.least > 0 && since + SLACK < pace.least;
        let differs = match (poll.value, value, report) {
            (None, _, _) => false,
            (Some(_), None, _) => true,
            (Some(new), Some(old), Report::Deadband(band)) => (new - old).abs() > band,
            (Some(new), Some(old), Report::Percent(percent)) => {
                (new - old).abs() > old.abs() * percent / 100.0
            }
            (Some(new), Some(old), _) => new != old,
        };
        let always = report == Report::Always;
        if poll.answers || quality_changed || always || too_late_next || (differs && !too_soon) {
            told.push(*poll);
        }
    }
    told
}

fn report() -> impl Strategy<Value = Report> {
    prop_oneof![
        Just(Report::Change),
        (0.0..5.0f64).prop_map(Report::Deadband),
        (0.0..60.0f64).prop_map(Report::Percent),
        Just(Report::Always),
    ]
}

fn pace() -> impl Strategy<Value = Pace> {
    let least = prop_oneof![Just(0), 1..6 * INTERVAL];
    let more = prop_oneof![Just(None), (0..20 * INTERVAL).prop_map(Some)];
    (least, more).prop_map(|(least, more)| Pace {
        least,
        most: more.map_or(0, |more| least.max(INTERVAL) + more),
    })
}

/// Polls about an interval apart, some missing.
fn polls() -> impl Strategy<Value = Vec<Poll>> {
    let value = prop_oneof![
        8 => (-8i32..8).prop_map(|v| Some(f64::from(v))),
        1 => Just(Some(0.0)),
        2 => Just(None),
    ];
    let step = (1i64..3, -SLACK / 4..SLACK / 4).prop_map(|(n, jitter)| n * INTERVAL + jitter);
    let poll = (step, value, proptest::bool::weighted(0.05));
    proptest::collection::vec(poll, 0..80).prop_map(|steps| {
        let mut at = 0;
        let poll = |(step, value, answers): (i64, Option<f64>, bool)| {
            at += step;
            Poll { at, value, answers: answers && value.is_some() }
        };
        steps.into_iter().map(poll).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_is_reported_is_what_the_reference_says(report in report(), pace in pace(), polls in polls()) {
        let told = run(&mut polled(report, pace.least, pace.most), &polls, Seq(0));
        prop_assert_eq!(told, reference(report, pace, &polls));
    }

    #[test]
    fn what_stays_is_told_in_the_end(report in report(), pace in pace(), polls in polls(), rest in -8i32..8) {
        let mut polls = polls;
        let start = polls.last().map_or(0, |poll| poll.at);
        // It rests at one value for longer than anything waits.
        polls.extend((1..=8).map(|n| Poll::good(start + n * INTERVAL, f64::from(rest))));
        let mut twin = polled(report, pace.least, pace.most);
        run(&mut twin, &polls, Seq(0));
        let shown = twin.reading(0).unwrap();
        prop_assert_eq!(shown.quality, Quality::GOOD);
        let Some(Value::Float(shown)) = shown.value else { panic!("a float") };
        let off = (shown - f64::from(rest)).abs();
        let band = match report {
            Report::Deadband(band) => band,
            Report::Percent(percent) => shown.abs() * percent / 100.0,
            Report::Change | Report::Always => 0.0,
        };
        prop_assert!(off <= band, "{} is shown where {} is", shown, rest);
    }

    #[test]
    fn reports_keep_their_pace(report in report(), pace in pace(), values in proptest::collection::vec(-8i32..8, 1..80)) {
        let at = |n: usize| i64::try_from(n).unwrap() * INTERVAL;
        let polls: Vec<Poll> =
            values.iter().enumerate().map(|(n, v)| Poll::good(at(n), f64::from(*v))).collect();
        let told = run(&mut polled(report, pace.least, pace.most), &polls, Seq(0));
        for pair in told.windows(2) {
            let apart = pair[1].at - pair[0].at;
            let early = report != Report::Always && apart + SLACK < pace.least;
            prop_assert!(!early || (pace.most > 0 && apart + INTERVAL > pace.most), "{apart} µs apart");
            prop_assert!(pace.most == 0 || apart <= pace.most + SLACK, "{apart} µs apart");
        }
    }
}

#[test]
fn a_change_that_waits_is_told_without_another_change() {
    let mut twin = polled(Report::Change, 5 * INTERVAL, 0);
    let polls: Vec<Poll> = (0..10).map(|n| Poll::good(n * INTERVAL, f64::from(n >= 2))).collect();
    let told = run(&mut twin, &polls, Seq(0));
    assert_eq!(told, [polls[0], polls[5]]);
}

#[test]
fn nothing_waits_where_no_poll_follows() {
    for acquisition in [Acquisition::OnDemand, Acquisition::Pushed { interval: 1, reception: 90 }] {
        let mut twin = twin(Report::Change, Pace { least: 60 * INTERVAL, most: 0 }, acquisition);
        let polls = [Poll::good(0, 1.0), Poll::good(1, 2.0), Poll::good(2, 2.0)];
        assert_eq!(run(&mut twin, &polls, Seq(0)), polls[..2]);
    }
}

#[test]
fn another_boots_time_is_not_compared() {
    let mut before = polled(Report::Change, 0, 3_600 * INTERVAL);
    run(&mut before, &[Poll::good(5_000 * INTERVAL, 1.0)], Seq(0));
    let later = [Poll::good(5_001 * INTERVAL, 1.0), Poll::good(5_002 * INTERVAL, 1.0)];
    assert_eq!(run(&mut before.clone(), &later, Seq(0)), [], "the same boot");
    // The new boot's commits begin behind what is known: its first poll is told, though the clocks look alike.
    let after = before.clone();
    let mut reported = later[0].reported();
    after.reduce(&mut reported, Seq(3));
    assert_eq!(reported.entries.len(), 1);
    let mut back = polled(Report::Change, 60 * INTERVAL, 0);
    run(&mut back, &[Poll::good(5_000 * INTERVAL, 1.0)], Seq(0));
    assert_eq!(run(&mut back, &[Poll::good(7, 2.0)], Seq(0)).len(), 1, "a time that runs back");
}

#[test]
fn numbers_that_are_none_do_not_stick() {
    let steps = [1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, f64::NAN, 3.0, 3.0];
    for report in [Report::Percent(5.0), Report::Deadband(1e9)] {
        let polls: Vec<Poll> =
            (0..).zip(steps).map(|(n, value)| Poll::good(n * INTERVAL, value)).collect();
        let told = run(&mut polled(report, 0, 0), &polls, Seq(0));
        let told: Vec<String> = told.iter().map(|t| t.value.unwrap().to_string()).collect();
        assert_eq!(told, ["1", "inf", "-inf", "NaN", "3"], "{report:?}");
    }
}
