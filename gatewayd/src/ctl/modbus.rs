//! `modbus probe` and `modbus calibrate`: through the daemon where it has the line, else directly.

use adapter_modbus::calibrate::{Trial, calibrate};
use adapter_modbus::config::{LineKeys, ParityWord, line};
use adapter_modbus::probe::interpret;
use adapter_modbus::spec::LineSpec;
use adapter_modbus::{
    Address, Answered, Asker, Exchanges, Failure, MAX_READ_BITS, MAX_READ_REGISTERS, Request,
    Response,
};
use base::Clock;
use control::{Answer, Request as Ask};
use serde_json::json;
use settings::{KeyPath, Place, Source};

use super::client::{Client, ClientError};
use super::commands::{Exit, Said};
use super::paint::{Paint, Screen};
use crate::cli::{ModbusAction, ParityWay, Target, Tool, Way};
use crate::server::{hex, unhex};

/// Does what is asked.
pub fn run(screen: &mut Screen, action: &ModbusAction, tool: &Tool) -> Result<Exit, Said> {
    let (ModbusAction::Probe(target) | ModbusAction::Calibrate(target)) = action;
    let (first, count) = range(&target.range)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match Client::connect(&tool.socket) {
            Ok(mut client) => {
                if let Some(line) = owned(&mut client, target)? {
                    let mut through = Through { client, line };
                    return act(screen, action, &mut through, first, count, false, tool.json).await;
                }
            }
            // Nobody has the line then.
            Err(ClientError::NotRunning { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let spec = spec(target)?;
        let numbered = spec.transport.serial_framing().is_none();
        let mut asker =
            Asker::open(&spec, Clock::system()).await.map_err(|words| Said::new(&*words))?;
        act(screen, action, &mut asker, first, count, numbered, tool.json).await
    })
}

async fn act(
    screen: &mut Screen,
    action: &ModbusAction,
    line: &mut impl Exchanges,
    first: Address,
    count: u16,
    numbered: bool,
    json: bool,
) -> Result<Exit, Said> {
    let timeout = |target: &Target| i64::try_from(target.timeout.as_micros()).unwrap_or(i64::MAX);
    match action {
        ModbusAction::Probe(target) => {
            probe(screen, line, target.unit, first, count, timeout(target), json).await
        }
        ModbusAction::Calibrate(target) => {
            let timeout = timeout(target);
            let trial = Trial { unit: target.unit, first, count, timeout, numbered };
            let found = calibrate(line, trial).await.map_err(Said::new)?;
            if json {
                let shown = json!({
                    "answer_us": found.answer.0, "answer_longest_us": found.answer.1,
                    "largest_us": found.largest.0, "largest_longest_us": found.largest.1,
                    "pause_us": found.pause, "most": found.most, "unlimited": found.unlimited,
                    "max_in_flight": found.at_once, "timeout_us": found.timeout(),
                });
                screen.line(&shown.to_string())?;
            } else {
                screen.line(found.to_string().trim_end())?;
            }
            Ok(Exit::Done)
        }
    }
}

/// Reads in pieces, alone what is not answered together, and shows it.
async fn probe(
    screen: &mut Screen,
    line: &mut impl Exchanges,
    unit: u8,
    first: Address,
    count: u16,
    timeout: i64,
    json: bool,
) -> Result<Exit, Said> {
    let limit = if first.table.is_bits() { MAX_READ_BITS } else { MAX_READ_REGISTERS };
    let read = |at: u16, count: u16| Request::Read { table: first.table, start: at, count };
    let mut any = false;
    let mut at = 0;
    while at < count {
        let (start, size) = (first.number + at, (count - at).min(limit));
        let mut answers = vec![(start, size, one(line, unit, read(start, size), timeout).await)];
        if size > 1 && matches!(answers.first(), Some((.., Err(Failure::Exception(_))))) {
            answers.clear();
            for number in start..=start + (size - 1) {
                answers.push((number, 1, one(line, unit, read(number, 1), timeout).await));
            }
        }
        for (start, size, answer) in answers {
            any |= answer.is_ok();
            show(screen, Address { number: start, ..first }, size, answer, json)?;
        }
        at += size;
    }
    Ok(if any { Exit::Done } else { Exit::Refused })
}

async fn one(
    line: &mut impl Exchanges,
    unit: u8,
    request: Request,
    timeout: i64,
) -> Result<Response, Failure> {
    let answered = line.ask(unit, std::slice::from_ref(&request), timeout).await;
    answered.into_iter().next().map_or(Err(Failure::Lost), |answered: Answered| answered.result)
}

fn show(
    screen: &mut Screen,
    first: Address,
    count: u16,
    answer: Result<Response, Failure>,
    json: bool,
) -> Result<(), Said> {
    let registers: Vec<u16> = match &answer {
        Err(failure) => {
            let words = format!("{first}  {failure}");
            let shown = json!({ "address": first.to_string(), "failure": failure.to_string() });
            let words = screen.paint(&words, Paint::Bad);
            return Ok(screen.line(&if json { shown.to_string() } else { words })?);
        }
        Ok(Response::Bits(_)) => {
            for at in 0..usize::from(count) {
                let number = u16::try_from(at).ok().and_then(|at| first.number.checked_add(at));
                let (Some(bit), Some(number)) =
                    (answer.as_ref().ok().and_then(|a| a.bit(at)), number)
                else {
                    break;
                };
                let address = Address { number, ..first };
                let shown = json!({ "address": address.to_string(), "value": bit });
                screen.line(&if json { shown.to_string() } else { format!("{address}  {bit}") })?;
            }
            return Ok(());
        }
        Ok(response) => (0..).map_while(|at| response.register(at)).collect(),
    };
    let all = interpret(first, &registers);
    for (number, register) in (first.number..=u16::MAX).zip(&registers) {
        let address = Address { number, ..first };
        if !json {
            screen.line(&screen.paint(&format!("{address}  0x{register:04x}"), Paint::Bold))?;
        }
        for one in all.iter().filter(|one| one.address == address) {
            let shown = json!({
                "address": address.to_string(), "registers": one.count, "format": one.format,
                "value": one.value, "plausible": one.plausible,
            });
            let paint = if one.plausible { Paint::Good } else { Paint::Dim };
            let words = screen.paint(&format!("  {one}"), paint);
            screen.line(&if json { shown.to_string() } else { words })?;
        }
    }
    Ok(())
}

/// A line that the daemon has.
struct Through {
    client: Client,
    line: String,
}

impl Through {
    fn once(&mut self, unit: u8, request: &Request, timeout: i64) -> Result<Answered, Failure> {
        let mut pdu = Vec::new();
        request.encode(&mut pdu);
        let ask = Ask::Ask {
            line: self.line.clone(),
            address: unit,
            request: hex(&pdu),
            timeout_ms: u64::try_from(timeout / 1_000).unwrap_or(0),
        };
        self.client.ask(ask).map_err(|_| Failure::Lost)?;
        match self.client.answer() {
            Ok(Answer::Asked(asked)) => {
                let bytes = unhex(&asked.answer).unwrap_or_default();
                let took = i64::try_from(asked.took_us).unwrap_or(i64::MAX);
                Ok(Answered { result: request.accept(&bytes).map_err(Failure::from), took })
            }
            // The daemon has waited for its device.
            Ok(_) => Ok(Answered { result: Err(Failure::Timeout), took: timeout }),
            Err(_) => Err(Failure::Lost),
        }
    }
}

impl Exchanges for Through {
    async fn ask(&mut self, unit: u8, requests: &[Request], timeout: i64) -> Vec<Answered> {
        let mut all = Vec::with_capacity(requests.len());
        for request in requests {
            let lost = |failure| Answered { result: Err(failure), took: 0 };
            all.push(self.once(unit, request, timeout).unwrap_or_else(lost));
        }
        all
    }

    async fn rest(&mut self, time: i64) {
        let time = u64::try_from(time).unwrap_or(0);
        tokio::time::sleep(std::time::Duration::from_micros(time)).await;
    }
}

/// The daemon's name for the line, where it has it.
fn owned(client: &mut Client, target: &Target) -> Result<Option<String>, Said> {
    client.ask(Ask::Lines)?;
    let lines = match client.answer()? {
        Answer::Lines { lines } => lines,
        Answer::Error(failure) => return Err(failure.into()),
        _ => return Ok(None),
    };
    let (line, usual) = (&target.line, format!("{}:502", target.line));
    let path = format!("{line}, ");
    let there = |known: &&control::Line| {
        known.name == *line
            || known.target == *line
            || known.target == usual
            || line.starts_with('/') && known.target.starts_with(&path)
    };
    Ok(lines.iter().find(there).map(|known| known.name.clone()))
}

/// The line that the words mean, as if it stood in gatewayd.toml.
fn spec(target: &Target) -> Result<LineSpec, Said> {
    let source = Source::from_text("the command line", "");
    let place = Place::new(&source, KeyPath::root());
    let mut keys = LineKeys::default();
    let said = Some(target.line.clone());
    if target.line.starts_with('/') {
        keys.transport.serial = said;
        keys.transport.serial_line.baud = Some(target.baud);
        keys.transport.serial_line.parity = Some(match target.parity {
            ParityWay::Even => ParityWord::Even,
            ParityWay::None => ParityWord::None,
            ParityWay::Odd => ParityWord::Odd,
        });
        if target.way == Way::Ascii {
            keys.transport.serial_line.framing = Some(adapter_modbus::config::FramingWord::Ascii);
        }
    } else {
        match target.way {
            Way::Tcp => keys.transport.tcp = said,
            Way::Udp => keys.transport.udp = said,
            Way::Rtu => keys.transport.rtu_over_tcp = said,
            Way::Ascii => keys.transport.ascii_over_tcp = said,
        }
    }
    let mut found = Vec::new();
    line("tool", &keys, &place, &mut found).ok_or_else(|| {
        let words: Vec<String> = found.iter().map(|d| d.message.clone()).collect();
        Said::new(format!("{:?}: {}", target.line, words.join("; ")))
            .help("give a line of gatewayctl lines, host:port, or the path of a serial port")
    })
}

/// The first item and how many.
fn range(text: &str) -> Result<(Address, u16), Said> {
    let wrong = || {
        Said::new(format!("{text:?} is no range of registers"))
            .help("write holding:0-20, input:7 or coil:0-15; numbers count from 0")
    };
    let (start, last) = text.split_once('-').map_or((text, None), |(a, b)| (a, Some(b)));
    let first: Address = start.parse().map_err(|_| wrong())?;
    let last = match last {
        Some(last) => last.parse().map_err(|_| wrong())?,
        None => first.number,
    };
    let count = u32::from(last).checked_sub(u32::from(first.number)).map(|n| n + 1);
    let count = count.and_then(|count| u16::try_from(count).ok()).ok_or_else(wrong)?;
    Ok((first, count))
}

#[cfg(test)]
mod tests {
    use adapter_modbus::Table;

    use super::*;

    #[test]
    fn ranges() {
        let of = |text| range(text).map(|(first, count)| (first.table, first.number, count)).ok();
        assert_eq!(of("holding:0-20"), Some((Table::Holding, 0, 21)));
        assert_eq!(of("coil:7"), Some((Table::Coil, 7, 1)));
        assert_eq!(of("input:65535-65535"), Some((Table::Input, 65_535, 1)));
        for wrong in ["", "holding", "holding:5-4", "holding:0-65535", "x:1", "holding:1-x"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
