//! Which classes may go now: schedules by the clock, a budget by bytes. Time and bytes are arguments.

use jiff::tz::TimeZone;
use jiff::{Timestamp as Instant, ToSpan, ZonedDateTime as Zoned};
use twin::Timestamp;
use twin_store::Class;

use crate::spec::{Budget, Window};

/// How often a link looks whether the clock has been set, in microseconds.
const LOOK: i64 = 10_000_000;
/// And after this long in any case: the clock may have been set to another day.
const LONGEST: i64 = 3_600_000_000;

/// When which classes may go.
#[derive(Debug)]
pub(super) struct Gate {
    zone: TimeZone,
    schedule: Vec<Window>,
    budget: Option<Budget>,
}

/// What may not go now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// These classes wait.
    pub(super) held: Vec<Class>,
    /// It holds for this long, in microseconds.
    pub(super) micros: i64,
    /// Why they wait, for people.
    pub(super) words: Option<String>,
}

impl Gate {
    pub(super) fn new(zone: TimeZone, schedule: Vec<Window>, budget: Option<Budget>) -> Self {
        Self { zone, schedule, budget }
    }

    /// Whether it ever holds anything back.
    pub(super) fn is_open(&self) -> bool {
        self.schedule.is_empty() && self.budget.is_none()
    }

    /// Whether this many bytes in a month are as many as there may be.
    pub(super) fn spent(&self, bytes: u64) -> bool {
        self.budget.as_ref().is_some_and(|budget| bytes >= budget.month)
    }

    /// What may go now, after `bytes` in this month. Without a clock a schedule cannot be kept: what has one waits.
    pub(super) fn judge(&self, now: Option<Timestamp>, bytes: u64) -> Verdict {
        let local = now
            .and_then(|now| Instant::from_microsecond(now.0).ok())
            .map(|now| now.to_zoned_datetime(self.zone.clone()));
        let spent = self.budget.as_ref().filter(|budget| bytes >= budget.month);
        let exempt = |class: &Class| spent.is_none_or(|budget| budget.exempt[*class as usize]);
        let scheduled =
            |class: Class| self.schedule.iter().filter(move |w| w.classes[class as usize]);
        let on_time = |class: &Class| {
            let open = |w: &Window| local.as_ref().is_some_and(|now| open(w, now));
            scheduled(*class).next().is_none() || scheduled(*class).any(open)
        };
        let held: Vec<Class> =
            Class::ALL.into_iter().filter(|class| !exempt(class) || !on_time(class)).collect();
        let Some(local) = &local else {
            let words = (!held.is_empty())
                .then(|| format!("{} until the gateway's clock is set", wait(&held)));
            return Verdict { held, micros: LOOK, words };
        };
        let micros = self.next(local).map_or(LONGEST, |next| {
            let wait = next.timestamp().as_microsecond() - local.timestamp().as_microsecond();
            wait.clamp(1, LONGEST)
        });
        let mut words = Vec::new();
        let costly: Vec<Class> = held.iter().copied().filter(|class| !exempt(class)).collect();
        if let Some(budget) = spent.filter(|_| !costly.is_empty()) {
            let mib = budget.month / 1_000_000;
            let until = month_after(local).map(|at| format!(" until {}", at.strftime("%F %R %Q")));
            words.push(format!(
                "{}{}: the month's {mib} MB are used up",
                wait(&costly),
                until.unwrap_or_default()
            ));
        }
        let late: Vec<Class> = held.iter().copied().filter(|class| !on_time(class)).collect();
        if !late.is_empty() {
            let opens = late.iter().filter_map(|class| self.opens(*class, local)).min();
            let until = opens.map(|at| format!(" until {}", at.strftime("%a %R %Q")));
            words.push(format!("{}{}", wait(&late), until.unwrap_or_default()));
        }
        let words = (!words.is_empty()).then(|| words.join("; "));
        Verdict { held, micros, words }
    }

    /// The next beginning or end of a window, or of a month.
    fn next(&self, now: &Zoned) -> Option<Zoned> {
        let edges = self.schedule.iter().flat_map(|w| [w.from, w.to]);
        let of_days = edges.flat_map(|time| (0..2).map(move |day| (day, time)));
        let times = of_days.filter_map(|(day, time)| at(now, day, time));
        let month = self.budget.as_ref().and_then(|_| month_after(now));
        times.chain(month).filter(|time| time > now).min()
    }

    /// When this class may go next.
    fn opens(&self, class: Class, now: &Zoned) -> Option<Zoned> {
        let windows = self.schedule.iter().filter(|w| w.classes[class as usize]);
        let begins = windows.flat_map(|w| {
            let day = move |n: i64| at(now, n, w.from).filter(|t| w.days[weekday(t)]);
            (0..8).filter_map(day)
        });
        begins.filter(|time| time > now).min()
    }
}

fn wait(classes: &[Class]) -> String {
    let words: Vec<&str> = classes.iter().map(|class| class.word()).collect();
    format!("{} {}", words.join(", "), if words.len() == 1 { "waits" } else { "wait" })
}

fn open(window: &Window, now: &Zoned) -> bool {
    let (time, today) = (now.time(), weekday(now));
    let yesterday = (today + 6) % 7;
    if window.from < window.to {
        return window.days[today] && (window.from..window.to).contains(&time);
    }
    (window.days[today] && time >= window.from) || (window.days[yesterday] && time < window.to)
}

/// This time, so many days from now.
fn at(now: &Zoned, days: i64, time: jiff::civil::Time) -> Option<Zoned> {
    let date = now.date().checked_add(days.days()).ok()?;
    date.to_datetime(time).to_zoned_datetime(now.time_zone().clone()).ok()
}

fn weekday(of: &Zoned) -> usize {
    usize::try_from(of.weekday().to_monday_zero_offset()).unwrap_or(0)
}

fn month_after(now: &Zoned) -> Option<Zoned> {
    let first = now.date().first_of_month().checked_add(1.month()).ok()?;
    first.to_zoned_datetime(now.time_zone().clone()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::Time;

    const NIGHT: Window = Window {
        classes: [false, true, true],
        days: [true; 7],
        from: Time::constant(22, 0, 0, 0),
        to: Time::constant(6, 0, 0, 0),
    };

    fn berlin() -> TimeZone {
        TimeZone::get("Europe/Berlin").unwrap()
    }

    fn when(text: &str) -> Option<Timestamp> {
        Timestamp::parse(text)
    }

    #[test]
    fn the_rest_goes_at_night_by_the_clock_on_the_wall() {
        let gate = Gate::new(berlin(), vec![NIGHT], None);
        let by_day = gate.judge(when("2026-11-25T12:00:00Z"), 0);
        assert_eq!(by_day.held, [Class::Record, Class::Sample]);
        assert_eq!(by_day.words.unwrap(), "record, sample wait until Wed 22:00 Europe/Berlin");
        assert_eq!(by_day.micros, LONGEST);
        let soon = gate.judge(when("2026-11-25T20:59:30Z"), 0);
        assert_eq!((soon.held.len(), soon.micros), (2, 30_000_000));
        for open in ["2026-11-25T21:00:00Z", "2026-11-25T23:30:00Z", "2026-11-26T04:59:59Z"] {
            let verdict = gate.judge(when(open), 0);
            assert_eq!((verdict.held, verdict.words), (vec![], None), "{open}");
        }
        assert_eq!(gate.judge(when("2026-11-26T05:00:00Z"), 0).held.len(), 2);
        // In summer the same wall clock is another hour of UTC.
        assert_eq!(gate.judge(when("2026-07-01T20:00:00Z"), 0).held.len(), 0);
        assert_eq!(gate.judge(when("2026-07-01T04:00:00Z"), 0).held.len(), 2);
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        let saturday = [false, false, false, false, false, true, false];
        let gate = Gate::new(TimeZone::UTC, vec![Window { days: saturday, ..NIGHT }], None);
        let open = |text| gate.judge(when(text), 0).held.is_empty();
        assert!(!open("2026-11-28T05:00:00Z"), "the night of Friday");
        assert!(open("2026-11-28T22:00:00Z"));
        assert!(open("2026-11-29T05:00:00Z"), "still the night of Saturday");
        assert!(!open("2026-11-29T22:00:00Z"));
        let words = gate.judge(when("2026-11-29T22:00:00Z"), 0).words.unwrap();
        assert_eq!(words, "record, sample wait until Sat 22:00 UTC");
    }

    #[test]
    fn a_budget_leaves_the_alarms() {
        let budget = Some(Budget { month: 500_000_000, exempt: [true, false, false] });
        let gate = Gate::new(berlin(), Vec::new(), budget);
        let now = when("2026-11-30T22:59:59Z");
        assert!(!gate.spent(499_999_999) && gate.spent(500_000_000) && !gate.is_open());
        assert_eq!(gate.judge(now, 499_999_999).held, []);
        let verdict = gate.judge(now, 500_000_000);
        assert_eq!(verdict.held, [Class::Record, Class::Sample]);
        assert_eq!(verdict.micros, 1_000_000, "until the month ends there");
        let words = verdict.words.unwrap();
        assert_eq!(
            words,
            "record, sample wait until 2026-12-01 00:00 Europe/Berlin: the month's 500 MB are used up"
        );
    }

    #[test]
    fn without_a_clock_what_has_a_time_waits_for_it() {
        let gate = Gate::new(TimeZone::UTC, vec![NIGHT], None);
        let verdict = gate.judge(None, 0);
        assert_eq!((verdict.held.len(), verdict.micros), (2, LOOK));
        assert!(verdict.words.unwrap().contains("clock"));
        assert_eq!(Gate::new(TimeZone::UTC, Vec::new(), None).judge(None, 0).held, []);
    }
}
