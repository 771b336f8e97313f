//! Requests and answers as bytes for those who speak the protocol themselves: tools, recordings.

use crate::identification::{Extent, MEI};
use crate::{Exception, Failure, Request, Response};

/// The sound request that these bytes are, if it only reads: functions 1 to 4 and 43/14.
#[must_use]
pub fn reading(pdu: &[u8]) -> Option<Request> {
    let [43, MEI, code, object] = *pdu else { return Request::reading(pdu) };
    let all = [Extent::Basic, Extent::Regular, Extent::Extended];
    let extent = all.into_iter().find(|extent| extent.code() == code)?;
    Some(Request::Identify { extent, object })
}

/// The answer to `request` as bytes, as far as it came: data or exception. `None` where nothing came.
#[must_use]
pub fn answer(request: &Request, result: &Result<Response, Failure>) -> Option<Vec<u8>> {
    let function = request.function();
    match result {
        Ok(Response::Registers(bytes) | Response::Bits(bytes)) => {
            let count = u8::try_from(bytes.len()).ok()?;
            Some([&[function, count], &bytes[..]].concat())
        }
        Ok(Response::Identification(said)) => {
            let Request::Identify { extent, .. } = request else { return None };
            let count = u8::try_from(said.objects.len()).ok()?;
            let (more, next) = said.next.map_or((0, 0), |next| (0xFF, next));
            let head = [function, MEI, extent.code(), extent.code(), more, next, count];
            Some([&head[..], &said.bytes()].concat())
        }
        Ok(Response::Written) => None,
        Err(Failure::Exception(exception)) => Some(vec![function | 0x80, exception.code()]),
        Err(_) => None,
    }
}

/// A protocol data unit in words: `read 2 of holding from 7`, `4 bytes: 00 01 00 02`, `refused: illegal function`.
#[must_use]
pub fn words(pdu: &[u8], request: bool) -> String {
    let hex = |bytes: &[u8]| -> String {
        let all: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        all.join(" ")
    };
    let word = |at: usize| {
        let pair = pdu.get(at..at + 2).and_then(|pair| pair.try_into().ok());
        pair.map_or(0, u16::from_be_bytes)
    };
    let short = |least: usize| pdu.len() < least;
    match pdu.first().copied() {
        None => "nothing".into(),
        Some(function @ 0x80..) => match pdu.get(1) {
            Some(code) => {
                format!("function {:02} refused: {}", function & 0x7F, Exception::from_code(*code))
            }
            None => format!("function {:02} refused", function & 0x7F),
        },
        Some(1..=4) if request => match reading(pdu) {
            Some(Request::Read { table, start, count }) => {
                format!("read {count} of {} from {start}", table.word())
            }
            _ => "a read that is cut off".into(),
        },
        Some(1..=4 | 23) if !request => {
            let data = pdu.get(2..).unwrap_or_default();
            format!("{} bytes: {}", data.len(), hex(data))
        }
        Some(5) if !short(5) => format!("coil {} to {:#06x}", word(1), word(3)),
        Some(6) if !short(5) => format!("holding {} to {:#06x}", word(1), word(3)),
        Some(15) if !short(5) => format!("write {} coils from {}", word(3), word(1)),
        Some(16) if !short(5) => format!("write {} of holding from {}", word(3), word(1)),
        Some(22) if !short(7) => {
            format!("holding {}: keep {:#06x}, set {:#06x}", word(1), word(3), word(5))
        }
        Some(23) if !short(9) => {
            format!(
                "write {} of holding from {}, then read {} from {}",
                word(7),
                word(5),
                word(3),
                word(1)
            )
        }
        Some(43) if request => "what are you?".into(),
        Some(43) => format!("identification: {}", hex(pdu.get(1..).unwrap_or_default())),
        Some(function) => {
            format!("function {function:02}: {}", hex(pdu.get(1..).unwrap_or_default()))
        }
    }
}

/// Puts arbitrary bytes into words and back; must never panic.
pub fn fuzz_one(data: &[u8]) {
    for request in [true, false] {
        assert!(!words(data, request).is_empty());
    }
    if let Some(request) = reading(data) {
        let mut again = Vec::new();
        request.encode(&mut again);
        assert_eq!(again, data, "{request:?}");
        assert!(!request.is_write());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Table;

    #[test]
    fn only_what_reads_is_a_request_for_tools() {
        assert!(reading(&[3, 0, 7, 0, 2]).is_some());
        assert!(reading(&[43, 14, 1, 0]).is_some());
        for pdu in [
            &[6, 0, 1, 0, 3][..],
            &[16, 0, 1, 0, 1, 2, 0, 0],
            &[22, 0, 0, 0, 0, 0, 0],
            &[8, 0, 0],
            &[],
        ] {
            assert_eq!(reading(pdu), None, "{pdu:?}");
        }
    }

    #[test]
    fn what_goes_over_the_line_is_put_into_words() {
        assert_eq!(words(&[3, 0, 7, 0, 2], true), "read 2 of holding from 7");
        assert_eq!(words(&[3, 4, 0, 1, 0, 2], false), "4 bytes: 00 01 00 02");
        assert_eq!(
            words(&[0x83, 2], false),
            "function 03 refused: illegal data address (exception 02)"
        );
        assert_eq!(words(&[6, 0, 1, 0, 3], true), "holding 1 to 0x0003");
    }

    #[test]
    fn an_answer_is_what_the_device_said() {
        let request = Request::Read { table: Table::Input, start: 0, count: 1 };
        let bytes = [4, 2, 0, 9];
        let response = request.accept(&bytes).map_err(Failure::from);
        assert_eq!(answer(&request, &response).as_deref(), Some(&bytes[..]));
        let refused = request.accept(&[0x84, 2]).map_err(Failure::from);
        assert_eq!(answer(&request, &refused), Some(vec![0x84, 2]));
        assert_eq!(answer(&request, &Err(Failure::Timeout)), None);
    }
}
