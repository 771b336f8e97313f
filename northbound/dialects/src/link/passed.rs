//! Messages that the far side refuses for what they are: recorded first, passed over then.
//!
//! The lanes move on once the record is durable. Whatever the pace of refusals, at most one record and one line in the
//! journal a second tell of them.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use twin::{Accepted, GatewayEvent, Input, Name, Receipt, Refusal, Seq, Submission};
use twin_store::LaneId;

/// The shortest time between two records.
const PAUSE: Duration = Duration::from_secs(1);
/// So many wait for no pause: lanes must not grow long for it.
const MANY: usize = 4096;

/// What one link passes over.
pub(super) struct Passed {
    link: Name,
    submissions: mpsc::Sender<Submission>,
    tell: mpsc::Sender<Told>,
    told: mpsc::Receiver<Told>,
    /// Refused, and in no record yet; why the first was.
    waiting: Vec<(LaneId, Seq)>,
    why: String,
    /// In the record that the writer was given.
    recording: Vec<(LaneId, Seq)>,
    ticket: u64,
    not_before: Instant,
}

/// What the writer said about a record.
pub(super) struct Told {
    ticket: u64,
    answer: Result<Accepted, Refusal>,
}

impl Passed {
    pub(super) fn new(link: Name, submissions: mpsc::Sender<Submission>) -> Self {
        let (tell, told) = mpsc::channel(1);
        Self {
            link,
            submissions,
            tell,
            told,
            waiting: Vec::new(),
            why: String::new(),
            recording: Vec::new(),
            ticket: 0,
            not_before: Instant::now(),
        }
    }

    /// The far side refuses this commit for this reason.
    pub(super) fn add(&mut self, lane: LaneId, seq: Seq, why: &str) {
        if self.waiting.is_empty() {
            self.why = why.to_owned();
        }
        self.waiting.push((lane, seq));
    }

    /// The lanes went back: what is in no durable record yet will be refused again.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.recording.clear();
        self.ticket += 1;
    }

    /// Whether every refusal is on record.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.recording.is_empty()
    }

    /// Whether so many wait for a record that no more messages may be risked.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() + self.recording.len() >= 4 * MANY
    }

    /// When there is something to record next.
    pub(super) fn due(&self) -> Option<Instant> {
        let waits = !self.waiting.is_empty() && self.recording.is_empty();
        let now = self.waiting.len() >= MANY;
        waits.then(|| if now { Instant::now() } else { self.not_before })
    }

    /// Gives the writer a record of what waits, where that is due.
    pub(super) fn record(&mut self, now: Instant) {
        if self.due().is_none_or(|due| due > now) {
            return;
        }
        let seqs = || self.waiting.iter().map(|(_, seq)| *seq);
        let (Some(first), Some(last)) = (seqs().min(), seqs().max()) else { return };
        let event = GatewayEvent::PassedOver {
            link: self.link.clone(),
            first,
            last,
            count: u32::try_from(self.waiting.len()).unwrap_or(u32::MAX),
            why: self.why.as_str().into(),
        };
        let (tell, ticket) = (self.tell.clone(), self.ticket);
        // There is never more than one record under way.
        let receipt = Receipt::new(move |answer| drop(tell.try_send(Told { ticket, answer })));
        let submission = Submission { input: Input::Gateway(event), receipt: Some(receipt) };
        self.not_before = now + PAUSE;
        // A writer that has no room now is asked again after the pause.
        if self.submissions.try_send(submission).is_ok() {
            tracing::warn!(
                link = %self.link,
                "{} messages are passed over, commits {} to {}: {}",
                self.waiting.len(), first.0, last.0, self.why
            );
            self.recording = std::mem::take(&mut self.waiting);
        }
    }

    /// What the writer said about the record.
    pub(super) async fn told(&mut self) -> Option<Told> {
        self.told.recv().await
    }

    /// What is settled by what the writer said.
    pub(super) fn settles(&mut self, told: Told) -> Vec<(LaneId, Seq)> {
        if told.ticket != self.ticket {
            return Vec::new();
        }
        let these = std::mem::take(&mut self.recording);
        if told.answer.is_ok() {
            return these;
        }
        self.waiting.splice(0..0, these);
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twin_store::Class;

    const LANE: LaneId = LaneId { class: Class::Sample, number: 0, historical: false };

    fn counts(submission: &Submission) -> (u64, u64, u32) {
        match &submission.input {
            Input::Gateway(GatewayEvent::PassedOver { first, last, count, .. }) => {
                (first.0, last.0, *count)
            }
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_settled_before_it_is_on_record_and_a_flood_makes_few_records() {
        let (submissions, mut writer) = mpsc::channel(4);
        let mut passed = Passed::new("cloud".parse().unwrap(), submissions);
        passed.add(LANE, Seq(5), "too large");
        passed.record(Instant::now());
        let first = writer.recv().await.unwrap();
        assert_eq!(counts(&first), (5, 5, 1));
        for seq in 6..500 {
            passed.add(LANE, Seq(seq), "too large");
            passed.record(Instant::now());
        }
        assert!(writer.try_recv().is_err(), "one at a time");
        let accepted = Accepted { seq: Seq(600), known: None, refused: None };
        first.receipt.unwrap().tell(Ok(accepted.clone()));
        let told = passed.told().await.unwrap();
        assert_eq!(passed.settles(told), [(LANE, Seq(5))]);
        passed.record(Instant::now());
        assert!(writer.try_recv().is_err(), "not within a second");
        tokio::time::advance(PAUSE).await;
        passed.record(Instant::now());
        let second = writer.recv().await.unwrap();
        assert_eq!(counts(&second), (6, 499, 494));

        // Whatever is refused meanwhile does not fill the memory.
        assert!(!passed.is_full());
        (1_000..20_000).for_each(|seq| passed.add(LANE, Seq(seq), "too large"));
        assert!(passed.is_full());
        passed.waiting.clear();

        // A disk that takes no records holds the lanes; a connection that broke meanwhile has nothing to settle.
        second.receipt.unwrap().tell(Err(Refusal::Storage("full".into())));
        let told = passed.told().await.unwrap();
        assert_eq!(passed.settles(told), []);
        assert!(passed.due().is_some() && !passed.is_empty());
        tokio::time::advance(PAUSE).await;
        passed.record(Instant::now());
        passed.clear();
        writer.recv().await.unwrap().receipt.unwrap().tell(Ok(accepted));
        let told = passed.told().await.unwrap();
        assert_eq!(passed.settles(told), []);
        assert!(passed.is_empty());
    }
}
