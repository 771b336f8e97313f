//! `history`: the past in pages. Each is read on a thread of its own and holds little; a slow caller holds up nobody.

use std::io;
use std::sync::Arc;

use base::{CancellationToken, Scope};
use control::{Answer, Code, Effort, Failure, Page, Past, Row, When};
use twin::{Handle, Seq, State, Timestamp, Twin};
use twin_store::{Class, Frame, Query, ReadError, Store};

use super::buckets::Buckets;
use super::find;
use super::rows::Rows;
use super::socket::Replies;
use crate::daemon::Hub;

/// At most this many rows, about, are one page.
const ROWS: usize = 512;
/// At most this many commits are looked at for one page.
const COMMITS: usize = 20_000;
/// At most this many commits can be asked for as the last ones.
const LAST: u32 = 100_000;

/// Answers a request for the past.
pub async fn history(hub: &Arc<Hub>, past: &Past, replies: &mut Replies) -> io::Result<()> {
    let named = hub.store.read(|state| named(state, past));
    let reader = match named.and_then(|named| Reader::new(hub, named, past)) {
        Ok(reader) => reader,
        Err(failure) => return replies.send(Answer::Error(failure)).await,
    };
    let (scope, _endings) = Scope::new("history", &CancellationToken::new());
    let mut reader = Some(reader);
    while let Some(mut reading) = reader.take() {
        let page = scope.blocking(move || {
            let page = reading.page();
            (reading, page)
        });
        let answer = match page.await {
            Some((reading, Ok(page))) => {
                reader = Some(reading).filter(|_| !page.ended);
                if page.rows.is_empty() && !page.ended {
                    if replies.gone().await {
                        break;
                    }
                    continue;
                }
                Answer::History(page)
            }
            Some((_, Err(failure))) => Answer::Error(failure),
            None => Answer::Error(Failure::new(Code::Internal, "reading the past failed")),
        };
        replies.send(answer).await?;
    }
    Ok(())
}

/// What is left of an answer.
struct Reader {
    store: Store,
    rows: Rows,
    source: Source,
    buckets: Option<Buckets>,
    effort: Effort,
}

enum Source {
    /// One commit after the other.
    Stream(Box<twin_store::History>),
    /// The last so many.
    Last(Query, usize),
    /// Commits that were found already.
    Found(std::vec::IntoIter<Frame>),
    /// Rows of buckets.
    Summed(std::vec::IntoIter<Row>),
}

/// The twin and its points that are asked for.
type Named = (Option<Handle>, Vec<u16>);

fn named(state: &State, past: &Past) -> Result<Named, Failure> {
    let Some(id) = past.twin.as_deref() else {
        let none = past.points.is_empty().then(|| (None, Vec::new()));
        return none.ok_or_else(|| bad("points are of a twin: name it"));
    };
    let twin: &Twin = find::twin(state, id)?;
    let points: Result<_, _> = past.points.iter().map(|p| find::point(twin, p)).collect();
    Ok((Some(twin.handle()), points?))
}

impl Reader {
    fn new(hub: &Hub, (twin, points): Named, past: &Past) -> Result<Self, Failure> {
        let now = hub.clock.utc();
        let query = Query {
            from: Seq(past.from.unwrap_or(0)),
            until: Seq(past.to.unwrap_or(u64::MAX)),
            after: past.since.as_ref().map(|when| instant(when, now)).transpose()?,
            before: past.until.as_ref().map(|when| instant(when, now)).transpose()?,
            twin,
            class: class(past)?.or((!points.is_empty()).then_some(Class::Sample)),
        };
        let buckets = match (past.every_ms, query.twin) {
            (None, _) => None,
            (Some(_), None) => return Err(bad("readings are summed up per twin: name it")),
            (Some(ms), Some(_)) => {
                Some(Buckets::new(ms).ok_or_else(|| bad("every: give 1s to 366d"))?)
            }
        };
        let source = match past.last {
            Some(n) if n > LAST => {
                return Err(bad(&format!("last: at most {LAST} commits; name a time instead")));
            }
            Some(n) => Source::Last(query, usize::try_from(n).unwrap_or(0)),
            None => Source::Stream(Box::new(hub.store.browse(query))),
        };
        let rows = Rows { points };
        let effort = Effort::default();
        Ok(Self { store: hub.store.clone(), rows, source, buckets, effort })
    }

    fn page(&mut self) -> Result<Page, Failure> {
        let mut page = Page::default();
        let mut looked = 0;
        while page.rows.len() < ROWS && looked < COMMITS && !page.ended {
            match &mut self.source {
                Source::Stream(history) => {
                    looked += 256;
                    let found = history.next_within(256).map_err(|e| unreadable(&e))?;
                    let effort = history.effort();
                    match found {
                        Some(frame) => self.take(frame.as_ref(), &mut page)?,
                        None => {
                            self.effort = shown(effort);
                            self.end(&mut page);
                        }
                    }
                }
                Source::Last(query, n) => {
                    let (store, rows) = (&self.store, &self.rows);
                    let wanted = |frame: &Frame| store.read(|state| rows.has(state, frame));
                    let (frames, effort) =
                        store.latest(query, *n, wanted).map_err(|e| unreadable(&e))?;
                    self.effort = shown(effort);
                    self.source = Source::Found(frames.into_iter());
                }
                Source::Found(frames) => match frames.next() {
                    Some(frame) => self.take(Some(&frame), &mut page)?,
                    None => self.end(&mut page),
                },
                Source::Summed(rows) => match rows.next() {
                    Some(row) => page.rows.push(row),
                    None => self.end(&mut page),
                },
            }
        }
        Ok(page)
    }

    fn take(&mut self, frame: Option<&Frame>, page: &mut Page) -> Result<(), Failure> {
        let Some(frame) = frame else { return Ok(()) };
        let Self { store, rows, buckets, .. } = self;
        store.read(|state| match buckets {
            Some(buckets) => buckets.add(state, rows, frame),
            None => {
                rows.put(state, frame, &mut page.rows);
                Ok(())
            }
        })
    }

    fn end(&mut self, page: &mut Page) {
        match self.buckets.take() {
            Some(buckets) => {
                let rows = self.store.read(|state| buckets.rows(state));
                self.source = Source::Summed(rows.into_iter());
            }
            None => (page.ended, page.effort) = (true, Some(self.effort)),
        }
    }
}

fn shown(effort: twin_store::Effort) -> Effort {
    Effort { segments: effort.segments, passed: effort.passed, decoded: effort.wanted }
}

fn class(past: &Past) -> Result<Option<Class>, Failure> {
    let Some(word) = past.class.as_deref() else { return Ok(None) };
    let found = Class::ALL.into_iter().find(|class| class.word() == word);
    found.map(Some).ok_or_else(|| bad(&format!("{word:?} is no class: alarm, record or sample")))
}

fn instant(when: &When, now: Option<i64>) -> Result<Timestamp, Failure> {
    match when {
        When::At(text) => Timestamp::parse(text)
            .ok_or_else(|| bad(&format!("{text:?} is no time: 2026-11-23T10:00:00Z, or 2h"))),
        When::AgoMs(ms) => {
            let ago = i64::try_from(ms.saturating_mul(1_000)).unwrap_or(i64::MAX);
            let unset = || {
                Failure::new(Code::NotNow, "the gateway's clock is not set: nothing is so long ago")
                    .help("ask by commits: --last, --from")
            };
            now.map(|now| Timestamp(now.saturating_sub(ago))).ok_or_else(unset)
        }
    }
}

fn unreadable(error: &ReadError) -> Failure {
    Failure::new(Code::Internal, error.to_string())
        .help("what is damaged is named as a gap; ask again")
}

fn bad(words: &str) -> Failure {
    Failure::new(Code::BadRequest, words)
}
