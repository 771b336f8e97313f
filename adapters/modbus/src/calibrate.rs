//! What a line and a device on it bear: how quick, how large, how many at once. Decisions over [`Exchanges`]; every
//! request only reads.

use std::fmt;

use crate::asker::{Answered, Exchanges};
use crate::{Address, Exception, Failure, MAX_READ_BITS, MAX_READ_REGISTERS, Request};

/// How many requests a claim rests on.
const TRIES: usize = 20;
/// The pauses that are tried between requests, in microseconds.
const PAUSES: [i64; 7] = [0, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000];
/// How many requests are tried at once.
const AT_ONCE: [u16; 3] = [2, 4, 8];
/// The shortest timeout that is proposed, in microseconds.
const SHORTEST: i64 = 50_000;

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trial {
    /// The unit.
    pub unit: u8,
    /// The first register or bit that it has.
    pub first: Address,
    /// How many it has there, one after the other.
    pub count: u16,
    /// How long one answer may take, in microseconds.
    pub timeout: i64,
    /// Frames carry numbers, so that several requests may be under way.
    pub numbered: bool,
}

/// What was found. Times are microseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// From request to answer for one item: the median, and the longest.
    pub answer: (i64, i64),
    /// The same for the largest request.
    pub largest: (i64, i64),
    /// The pause between requests with which all were answered; `None`: with none of those tried.
    pub pause: Option<i64>,
    /// The most items that one request can have.
    pub most: u16,
    /// More was not tried: the range ends there, or the protocol.
    pub unlimited: bool,
    /// Requests at once that were all answered, and quicker than one after the other.
    pub at_once: u16,
}

/// Tries a device.
///
/// # Errors
/// In words, why nothing can be said: it does not answer even one item.
pub async fn calibrate(line: &mut impl Exchanges, trial: Trial) -> Result<Findings, String> {
    let single = read(trial, 1);
    let first = ask(line, trial, &single).await;
    if let Err(failure) = first.result {
        let address = trial.first;
        return Err(format!("unit {} does not answer for {address}: {failure}", trial.unit));
    }
    let mut findings = Findings { at_once: 1, ..Findings::default() };
    for pause in PAUSES {
        if let Some(times) = series(line, trial, &single, pause).await {
            findings.pause = Some(pause);
            findings.answer = spread(times);
            break;
        }
    }
    let pause = findings.pause.unwrap_or(0);
    findings.most = size(line, trial, pause).await;
    let limit = if trial.first.table.is_bits() { MAX_READ_BITS } else { MAX_READ_REGISTERS };
    findings.unlimited = findings.most == trial.count.min(limit);
    let largest = read(trial, findings.most);
    if let Some(times) = series(line, trial, &largest, pause).await {
        findings.largest = spread(times);
    }
    if trial.numbered && findings.pause == Some(0) {
        for number in AT_ONCE {
            if !bears(line, trial, &largest, number, findings.largest.0).await {
                break;
            }
            findings.at_once = number;
        }
    }
    Ok(findings)
}

fn read(trial: Trial, count: u16) -> Request {
    Request::Read { table: trial.first.table, start: trial.first.number, count }
}

async fn ask(line: &mut impl Exchanges, trial: Trial, request: &Request) -> Answered {
    let mut answered = line.ask(trial.unit, std::slice::from_ref(request), trial.timeout).await;
    answered.pop().unwrap_or(Answered { result: Err(Failure::Lost), took: 0 })
}

/// The times of a series; `None` where one was not answered.
async fn series(
    line: &mut impl Exchanges,
    trial: Trial,
    request: &Request,
    pause: i64,
) -> Option<Vec<i64>> {
    let mut times = Vec::with_capacity(TRIES);
    for _ in 0..TRIES {
        line.rest(pause).await;
        let answered = ask(line, trial, request).await;
        answered.result.ok()?;
        times.push(answered.took);
    }
    Some(times)
}

/// Median and longest.
fn spread(mut times: Vec<i64>) -> (i64, i64) {
    times.sort_unstable();
    let at = |at: usize| times.get(at).copied().unwrap_or(0);
    (at(times.len() / 2), at(times.len().saturating_sub(1)))
}

/// The largest request that is answered, by halving.
async fn size(line: &mut impl Exchanges, trial: Trial, pause: i64) -> u16 {
    let limit = if trial.first.table.is_bits() { MAX_READ_BITS } else { MAX_READ_REGISTERS };
    let (mut good, mut bad) = (1, trial.count.min(limit).saturating_add(1));
    let mut next = bad - 1;
    while next > good {
        line.rest(pause).await;
        let answered = ask(line, trial, &read(trial, next)).await;
        // What is asked to wait was not refused for its size.
        let busy = Err(Failure::Exception(Exception::Busy));
        if answered.result.is_ok() || answered.result == busy {
            good = next;
        } else {
            bad = next;
        }
        next = good + (bad - good) / 2;
    }
    good
}

/// Whether so many requests at once are all answered, in less time than one after the other.
async fn bears(
    line: &mut impl Exchanges,
    trial: Trial,
    request: &Request,
    number: u16,
    alone: i64,
) -> bool {
    let requests = vec![request.clone(); usize::from(number)];
    for _ in 0..TRIES / 4 {
        let answered = line.ask(trial.unit, &requests, trial.timeout).await;
        let last = answered.iter().map(|one| one.took).max().unwrap_or(i64::MAX);
        let quicker = last < alone.saturating_mul(i64::from(number)).saturating_mul(9) / 10;
        if answered.iter().any(|one| one.result.is_err()) || !quicker {
            return false;
        }
    }
    true
}

impl Findings {
    /// The timeout that they lead to: thrice the longest answer, in whole 10 ms.
    #[must_use]
    pub fn timeout(&self) -> i64 {
        let longest = self.answer.1.max(self.largest.1).saturating_mul(3).max(SHORTEST);
        (longest + 9_999) / 10_000 * 10_000
    }
}

impl fmt::Display for Findings {
    /// As keys of a device file, with what was found as comments.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (median, longest) = self.answer;
        writeln!(
            f,
            "# one item: answered after {} (median), {} (longest)",
            ms(median),
            ms(longest)
        )?;
        let (median, longest) = self.largest;
        let most = self.most;
        writeln!(f, "# {most} items: after {} (median), {} (longest)", ms(median), ms(longest))?;
        writeln!(f, "[modbus]")?;
        writeln!(f, "timeout = \"{}ms\"", self.timeout() / 1_000)?;
        match self.pause {
            Some(0) => writeln!(f, "# no pause needed between requests")?,
            Some(pause) => writeln!(f, "pause = \"{}ms\"", pause / 1_000)?,
            None => {
                writeln!(f, "# requests were lost with every pause up to 100ms: look at the line")?
            }
        }
        if self.unlimited {
            writeln!(f, "# no limit of a request's size found up to {most}")?;
        } else {
            writeln!(f, "max_registers = {most}  # max_bits for coils and discrete inputs")?;
        }
        if self.at_once > 1 {
            writeln!(f, "# in [line.NAME]:\n# max_in_flight = {}", self.at_once)?;
        }
        Ok(())
    }
}

fn ms(micros: i64) -> String {
    format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Response, Table};

    /// A device in virtual time.
    struct Device {
        most: u16,
        /// It loses what comes sooner than this after its last answer.
        needs: i64,
        cores: usize,
        rested: i64,
    }

    impl Exchanges for Device {
        async fn ask(&mut self, _: u8, requests: &[Request], timeout: i64) -> Vec<Answered> {
            let lost = std::mem::take(&mut self.rested) < self.needs;
            let one = |(n, request): (usize, &Request)| {
                let Request::Read { count, .. } = request else { panic!() };
                let turn = i64::try_from(n / self.cores + 1).unwrap();
                let took = turn * (5_000 + i64::from(*count) * 100);
                match (*count > self.most, lost) {
                    (true, _) => {
                        let result = Err(Failure::Exception(Exception::IllegalValue));
                        Answered { result, took: 1_000 }
                    }
                    (_, true) => Answered { result: Err(Failure::Timeout), took: timeout },
                    _ => Answered { result: Ok(Response::Registers([].into())), took },
                }
            };
            requests.iter().enumerate().map(one).collect()
        }

        async fn rest(&mut self, time: i64) {
            self.rested += time;
        }
    }

    fn trial(count: u16, numbered: bool) -> Trial {
        let first = Address::new(Table::Holding, 0);
        Trial { unit: 1, first, count, timeout: 1_000_000, numbered }
    }

    #[tokio::test]
    async fn limits_are_found() {
        let mut device = Device { most: 60, needs: 0, cores: 4, rested: 0 };
        let found = calibrate(&mut device, trial(125, true)).await.unwrap();
        let expected = Findings {
            answer: (5_100, 5_100),
            largest: (11_000, 11_000),
            pause: Some(0),
            most: 60,
            unlimited: false,
            at_once: 8,
        };
        assert_eq!(found, expected);
        let shown = found.to_string();
        assert!(
            shown.contains("timeout = \"50ms\"\n") && shown.contains("max_registers = 60"),
            "{shown}"
        );
        assert!(toml_like(&shown), "{shown}");
    }

    #[tokio::test]
    async fn a_device_that_needs_a_pause_gets_one_and_is_asked_one_thing_at_a_time() {
        let mut device = Device { most: 125, needs: 9_000, cores: 1, rested: 50_000 };
        let found = calibrate(&mut device, trial(20, true)).await.unwrap();
        assert_eq!(
            (found.pause, found.most, found.unlimited, found.at_once),
            (Some(10_000), 20, true, 1)
        );
        assert!(found.to_string().contains("pause = \"10ms\""), "{found}");
    }

    #[tokio::test]
    async fn several_at_once_are_only_worth_it_where_that_is_quicker() {
        let mut device = Device { most: 125, needs: 0, cores: 1, rested: 0 };
        let found = calibrate(&mut device, trial(20, true)).await.unwrap();
        assert_eq!(found.at_once, 1, "they wait for each other inside");
        let mut device = Device { most: 125, needs: 0, cores: 4, rested: 0 };
        assert_eq!(calibrate(&mut device, trial(20, false)).await.unwrap().at_once, 1);
    }

    #[tokio::test]
    async fn a_device_that_does_not_answer_is_no_ground_for_proposals() {
        let mut device = Device { most: 125, needs: i64::MAX, cores: 1, rested: 0 };
        let words = calibrate(&mut device, trial(20, true)).await.unwrap_err();
        assert_eq!(words, "unit 1 does not answer for holding:0: no answer in time");
    }

    /// Every line is a comment, a section or `key = value`.
    fn toml_like(text: &str) -> bool {
        text.lines()
            .all(|line| line.starts_with('#') || line.starts_with('[') || line.contains(" = "))
    }
}
