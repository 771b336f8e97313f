//! What a link may send, when, and how much of it: `[link.NAME.batch]`, `[[link.NAME.schedule]]`, `[link.NAME.budget]`.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Deserialize;
use settings::{ByteSize, Diagnostic, Duration, KeyPath, Source};

use super::{ClassWord, LinkSection};
use crate::spec::{Batch, Budget, Window};

/// Several readings in one message.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchSection {
    /// A message goes as soon as it has this many changes; 100 if absent.
    #[schemars(range(min = 1, max = 10000))]
    pub changes: Option<u32>,
    /// It goes this long after its first change at the latest; 1s if absent.
    pub delay: Option<Duration>,
    /// Whether it is compressed; then its topic says how.
    #[serde(default)]
    pub compress: Compress,
}

/// How messages are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compress {
    /// Not at all.
    #[default]
    None,
    /// As gzip (RFC 1952).
    Gzip,
}

/// A time of day in which some classes may go. A class that no schedule names may go at any time.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleSection {
    /// Which classes.
    pub classes: Vec<ClassWord>,
    /// From this time of day on, `"22:00"`.
    pub from: String,
    /// Until this time of day, `"06:00"`; of the next day where it is not after `from`.
    pub to: String,
    /// The days on which it begins. Default: every day.
    #[serde(default = "every_day")]
    pub days: Vec<DayWord>,
}

/// Days of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words say it")]
pub enum DayWord {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// How many bytes may go in a month.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetSection {
    /// Bytes of MQTT in both directions, before TLS, TCP and IP add theirs, from the first of a month on.
    pub month: ByteSize,
    /// The classes that go on when it is used up.
    #[serde(default = "alarms")]
    pub exempt: Vec<ClassWord>,
}

fn every_day() -> Vec<DayWord> {
    use DayWord::{Fri, Mon, Sat, Sun, Thu, Tue, Wed};
    vec![Mon, Tue, Wed, Thu, Fri, Sat, Sun]
}

fn alarms() -> Vec<ClassWord> {
    vec![ClassWord::Alarm]
}

/// What the sections come to.
#[derive(Debug)]
pub(super) struct Limits {
    pub(super) zone: TimeZone,
    pub(super) batch: Option<Batch>,
    pub(super) schedule: Vec<Window>,
    pub(super) budget: Option<Budget>,
}

/// Judges the limits of the link that stands at `at` in `source`.
pub(super) fn judge(
    link: &LinkSection,
    source: &Source,
    at: &KeyPath,
    found: &mut Vec<Diagnostic>,
) -> Limits {
    let (zone, schedule) = (TimeZone::UTC, Vec::new());
    let mut limits = Limits { zone, batch: None, schedule, budget: None };
    if let Some(name) = &link.zone {
        match TimeZone::get(name) {
            Ok(zone) => limits.zone = zone,
            Err(_) => {
                let message = format!("there is no time zone {name:?}");
                let help = "write a name of the IANA database, as in \"Europe/Berlin\", or \"UTC\"";
                found.push(source.error(&at.key("zone"), message).help(help));
            }
        }
    }
    limits.batch = link.batch.as_ref().map(|batch| Batch {
        changes: usize::try_from(batch.changes.unwrap_or(100)).unwrap_or(usize::MAX),
        delay: batch.delay.unwrap_or(Duration::seconds(1)).std(),
        gzip: batch.compress == Compress::Gzip,
    });
    if limits.batch.is_some() && !link.classes.contains(&ClassWord::Sample) {
        let message = "the link carries no readings to put together";
        let error = source.error(&at.key("batch"), message);
        found.push(error.help("add the class `sample`, or remove the section"));
    }
    if limits.batch.as_ref().is_some_and(|batch| batch.delay > std::time::Duration::from_secs(3600))
    {
        let message = "a message that waits for more than an hour is no batch";
        let path = at.key("batch").key("delay");
        found.push(source.error(&path, message).help("give a shorter delay, or a schedule"));
    }
    let schedule = at.key("schedule");
    for (n, window) in link.schedule.iter().enumerate() {
        let at = schedule.index(n);
        let mut time = |key: &str, text: &str| {
            let time = time_of_day(text);
            if time.is_none() {
                let message = format!("{text:?} is no time of day");
                let help = "write hours and minutes: \"22:00\"";
                found.push(source.error(&at.key(key), message).help(help));
            }
            time
        };
        let (from, to) = (time("from", &window.from), time("to", &window.to));
        for (key, empty) in
            [("classes", window.classes.is_empty()), ("days", window.days.is_empty())]
        {
            if empty {
                let message = "an empty list: nothing would ever go";
                found.push(source.error(&at.key(key), message).help("name some, or leave it out"));
            }
        }
        carried(link, &window.classes, source, &at.key("classes"), found);
        if let (Some(from), Some(to)) = (from, to) {
            let classes = flags(&window.classes);
            let mut days = [false; 7];
            window.days.iter().for_each(|day| days[*day as usize] = true);
            limits.schedule.push(Window { classes, days, from, to });
        }
    }
    if let Some(budget) = &link.budget {
        let at = at.key("budget");
        if budget.month.get() < 100_000 {
            let message = "keep-alive alone takes more than this in a month";
            found.push(source.error(&at.key("month"), message).help("give at least 100kB"));
        }
        let exempt = flags(&budget.exempt);
        limits.budget = Some(Budget { month: budget.month.get(), exempt });
    }
    limits
}

/// A class that the link does not carry needs no time of its own.
fn carried(
    link: &LinkSection,
    classes: &[ClassWord],
    source: &Source,
    at: &KeyPath,
    found: &mut Vec<Diagnostic>,
) {
    for (n, class) in classes.iter().enumerate() {
        if !link.classes.contains(class) {
            let message = "the link does not carry this class".to_owned();
            let error = source.error(&at.index(n), message);
            found.push(error.help("add it to the link's `classes`, or leave it out here"));
        }
    }
}

fn flags(classes: &[ClassWord]) -> [bool; 3] {
    [ClassWord::Alarm, ClassWord::Record, ClassWord::Sample].map(|class| classes.contains(&class))
}

fn time_of_day(text: &str) -> Option<Time> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| (text.len() == 2).then(|| text.parse::<i8>().ok()).flatten();
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    if (hours, minutes) == (24, 0) {
        return Some(Time::midnight());
    }
    Time::new(hours, minutes, 0, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(text: &str) -> (Limits, String) {
        let text = format!("url = \"mqtt://b\"\n{text}");
        let source = Source::from_text("test.toml", &*text);
        let section: LinkSection = settings::parse(&source).unwrap();
        let mut found = Vec::new();
        let limits = judge(&section, &source, &KeyPath::root(), &mut found);
        (limits, found.iter().map(|d| format!("{}: {}\n", d.place(), d.message)).collect())
    }

    #[test]
    fn alarms_now_and_the_rest_at_night() {
        let (limits, told) = limits(
            "zone = \"Europe/Berlin\"\n[batch]\ncompress = \"gzip\"\n\
            [[schedule]]\nclasses = [\"record\", \"sample\"]\nfrom = \"22:00\"\nto = \"24:00\"\n\
            days = [\"sat\"]\n[budget]\nmonth = \"500MB\"\n",
        );
        assert_eq!(told, "");
        let batch = limits.batch.unwrap();
        assert_eq!((batch.changes, batch.delay.as_secs(), batch.gzip), (100, 1, true));
        let [window] = &*limits.schedule else { panic!("{:?}", limits.schedule) };
        assert_eq!((window.classes, window.days[5]), ([false, true, true], true));
        assert_eq!(window.days.iter().filter(|day| **day).count(), 1);
        assert_eq!((window.from, window.to), (Time::constant(22, 0, 0, 0), Time::midnight()));
        let budget = limits.budget.unwrap();
        assert_eq!((budget.month, budget.exempt), (500_000_000, [true, false, false]));
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let (_, told) = limits(
            "zone = \"Mars/Olympus\"\nclasses = [\"record\"]\n[batch]\ndelay = \"2h\"\n\
            [[schedule]]\nclasses = [\"alarm\"]\nfrom = \"25:00\"\nto = \"6\"\n\
            [[schedule]]\nclasses = []\nfrom = \"01:00\"\nto = \"02:00\"\ndays = []\n\
            [budget]\nmonth = \"1kB\"\n",
        );
        for words in [
            "test.toml:2:8: there is no time zone \"Mars/Olympus\"",
            "test.toml:5:9: a message that waits",
            "test.toml:8:8: \"25:00\" is no time of day",
            "test.toml:9:6: \"6\" is no time of day",
            "test.toml:7:12: the link does not carry this class",
            "test.toml:4:1: the link carries no readings",
            "test.toml:11:11: an empty list",
            "test.toml:14:8: an empty list",
            "test.toml:16:9: keep-alive alone",
        ] {
            assert!(told.contains(words), "{words}\n---\n{told}");
        }
    }
}
