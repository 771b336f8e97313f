//! `ask` and `tap`: a line's own bytes, for tools.

use std::io;
use std::time::Duration;

use adapter::LineHandle;
use control::{Answer, Asked, Code, Failure, Tapped};
use twin::Principal;

use super::socket::Replies;
use crate::daemon::Hub;

/// How often a silent tap looks whether its caller is still there.
const LOOK: Duration = Duration::from_secs(5);
/// How long a request may wait for its turn, besides its own time.
const TURN: Duration = Duration::from_secs(20);
/// The longest time for an answer.
const LONGEST: Duration = Duration::from_secs(5);

/// Asks a device something that changes nothing.
pub async fn ask(
    hub: &Hub,
    line: &str,
    address: u8,
    request: &str,
    timeout: Duration,
) -> Result<Answer, Failure> {
    let handle = find(hub, line)?;
    let request = unhex(request)
        .ok_or_else(|| Failure::new(Code::BadRequest, "the request is not hexadecimal"))?;
    let timeout = timeout.min(LONGEST);
    let micros = i64::try_from(timeout.as_micros()).unwrap_or(i64::MAX);
    let asked = tokio::time::timeout(timeout + TURN, handle.asked(address, request, micros)).await;
    let asked = asked.map_err(|_| {
        Failure::new(Code::Timeout, format!("the line {line} did not get to it"))
            .help("gatewayctl lines")
    })?;
    let asked =
        asked.map_err(|no| Failure::new(Code::NotNow, format!("{}: {}", no.reason, no.words)))?;
    let took_us = u64::try_from(asked.took).unwrap_or(0);
    Ok(Answer::Asked(Asked { answer: hex(&asked.answer), took_us }))
}

/// Tells what goes over a line until the caller hangs up.
pub async fn tap(hub: &Hub, by: &Principal, line: &str, replies: &mut Replies) -> io::Result<()> {
    let tapped = find(hub, line).and_then(|handle| {
        handle.tap().map_err(|no| Failure::new(Code::NotNow, no.words.to_string()))
    });
    let mut tapped = match tapped {
        Ok(tapped) => tapped,
        Err(failure) => return replies.send(Answer::Error(failure)).await,
    };
    tracing::info!(%line, "{by} taps line {line}");
    loop {
        match tokio::time::timeout(LOOK, tapped.recv()).await {
            Ok(Some(piece)) => {
                let (at_us, sent) = (piece.at.0, piece.sent);
                let (hex, words, lost) = (hex(&piece.bytes), piece.words, piece.lost);
                replies.send(Answer::Tapped(Tapped { at_us, sent, hex, words, lost })).await?;
            }
            Ok(None) => {
                let words =
                    format!("line {line} has ended, was set up anew, or is tapped by many already");
                let failure = Failure::new(Code::NotNow, words).help("gatewayctl lines");
                return replies.send(Answer::Error(failure)).await;
            }
            Err(_) if replies.gone().await => return Ok(()),
            Err(_) => {}
        }
    }
}

fn find(hub: &Hub, line: &str) -> Result<LineHandle, Failure> {
    hub.lines.named(line).ok_or_else(|| {
        let names = hub.lines.names();
        let near = settings::nearest(line, names.iter().map(|name| &**name));
        let help =
            near.map_or_else(|| "gatewayctl lines".into(), |near| format!("did you mean {near}?"));
        Failure::new(Code::NotFound, format!("there is no line {line:?}")).help(help)
    })
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of hexadecimal digits.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|n| u8::try_from(n).ok());
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}
