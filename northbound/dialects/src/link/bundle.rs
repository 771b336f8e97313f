//! Several readings of one lane in one message: it grows until it has enough changes, is old enough, or is large enough.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::time::Instant;
use twin::Seq;
use twin_store::LaneId;

use crate::dialect::Envelope;
use crate::spec::Batch;

/// A message of more bytes than this, uncompressed, goes at once. Compressing it takes about a millisecond, which is
/// what the data path can spare.
const LARGE: usize = 64 << 10;

/// A message that grows.
#[derive(Debug)]
pub(super) struct Bundle {
    batch: Batch,
    envelope: Envelope,
    /// The most bytes that the broker takes.
    most: usize,
    lane: Option<LaneId>,
    payload: Vec<u8>,
    seqs: Vec<Seq>,
    values: usize,
    since: Instant,
    compressed: Vec<u8>,
}

impl Bundle {
    pub(super) fn new(batch: Batch, envelope: Envelope) -> Self {
        Self {
            batch,
            envelope,
            most: LARGE,
            lane: None,
            payload: Vec::new(),
            seqs: Vec::new(),
            values: 0,
            since: Instant::now(),
            compressed: Vec::new(),
        }
    }

    /// A connection begins to a broker that takes packets of this size.
    pub(super) fn begin(&mut self, max_packet: u32) {
        self.clear();
        // Topic, properties and header take their part; a single reading that is larger is judged by the broker.
        let most = usize::try_from(max_packet).unwrap_or(LARGE).saturating_sub(1024);
        self.most = most.clamp(1, LARGE);
    }

    /// It begins anew.
    pub(super) fn clear(&mut self) {
        self.lane = None;
        self.payload.clear();
        self.seqs.clear();
        self.values = 0;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.seqs.is_empty()
    }

    /// Whether it has to go before it may take something of this lane.
    pub(super) fn must_go(&self, lane: LaneId) -> bool {
        !self.is_empty() && (self.lane != Some(lane) || self.is_full())
    }

    fn is_full(&self) -> bool {
        self.seqs.len() >= self.batch.changes || self.payload.len() >= self.most
    }

    /// When it goes; `None` while it is empty. History does not wait for more.
    pub(super) fn due(&self) -> Option<Instant> {
        let delay = if self.is_full() { std::time::Duration::ZERO } else { self.batch.delay };
        (!self.is_empty()).then(|| self.since + delay)
    }

    /// Takes a reading in, which `write` appends, returning how many values it has. `false` where that would make it too
    /// large: it has to go first.
    pub(super) fn add(
        &mut self,
        lane: LaneId,
        seq: Seq,
        now: Instant,
        write: impl FnOnce(&mut Vec<u8>) -> usize,
    ) -> bool {
        let before = self.payload.len();
        let between = if before == 0 { self.envelope.begin } else { self.envelope.between };
        self.payload.extend_from_slice(between.as_bytes());
        let values = write(&mut self.payload);
        if self.payload.len() > self.most && !self.is_empty() {
            self.payload.truncate(before);
            return false;
        }
        if self.is_empty() {
            (self.lane, self.since) = (Some(lane), now);
        }
        self.seqs.push(seq);
        self.values += values;
        true
    }

    /// Gives the message as it goes to `publish`. What is in it stays until it is taken.
    pub(super) fn send<R>(&mut self, publish: impl FnOnce(Sent<'_>) -> R) -> R {
        let before = self.payload.len();
        self.payload.extend_from_slice(self.envelope.end.as_bytes());
        let content_type = self.envelope.content_type;
        let sent = if self.batch.gzip {
            self.compressed.clear();
            let into = std::mem::take(&mut self.compressed);
            let mut encoder = GzEncoder::new(into, Compression::fast());
            // A vector takes everything.
            encoder.write_all(&self.payload).ok();
            self.compressed = encoder.finish().unwrap_or_default();
            let topic = &self.envelope.gzip_topic;
            Sent { topic, payload: &self.compressed, content_type, encoding: Some("gzip") }
        } else {
            let topic = &self.envelope.topic;
            Sent { topic, payload: &self.payload, content_type, encoding: None }
        };
        let done = publish(sent);
        self.payload.truncate(before);
        done
    }

    /// The message went: what was in it, and how many values those are.
    pub(super) fn take(&mut self) -> (Vec<(LaneId, Seq)>, usize) {
        let lane = self.lane;
        let settles = self.seqs.iter().filter_map(|seq| Some((lane?, *seq))).collect();
        let values = self.values;
        self.clear();
        (settles, values)
    }
}

/// A message as it goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent<'a> {
    pub(super) topic: &'a str,
    pub(super) payload: &'a [u8],
    pub(super) content_type: &'static str,
    /// How it is compressed.
    pub(super) encoding: Option<&'static str>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::Read as _;
    use std::time::Duration;
    use twin_store::Class;

    const LIVE: LaneId = LaneId { class: Class::Sample, number: 1, historical: false };
    const OLD: LaneId = LaneId { class: Class::Sample, number: 0, historical: true };

    fn bundle(changes: usize, gzip: bool) -> Bundle {
        let envelope = Envelope {
            topic: "b".into(),
            gzip_topic: "b/gzip".into(),
            begin: "[",
            between: ",",
            end: "]",
            content_type: "application/json",
        };
        Bundle::new(Batch { changes, delay: Duration::from_secs(1), gzip }, envelope)
    }

    fn add(bundle: &mut Bundle, lane: LaneId, seq: u64, text: &str) -> bool {
        bundle.add(lane, Seq(seq), Instant::now(), |out| {
            out.extend_from_slice(text.as_bytes());
            2
        })
    }

    fn sent(bundle: &mut Bundle) -> (String, Vec<u8>) {
        bundle.send(|sent| (sent.topic.to_owned(), sent.payload.to_vec()))
    }

    #[tokio::test(start_paused = true)]
    async fn it_goes_when_it_has_enough_or_is_old_enough() {
        let mut bundle = bundle(3, false);
        assert_eq!(bundle.due(), None);
        assert!(add(&mut bundle, LIVE, 5, "1"));
        let began = Instant::now();
        assert_eq!(bundle.due(), Some(began + Duration::from_secs(1)));
        tokio::time::advance(Duration::from_millis(700)).await;
        assert!(add(&mut bundle, LIVE, 6, "2"));
        assert_eq!(bundle.due(), Some(began + Duration::from_secs(1)), "the first one counts");
        assert!(!bundle.must_go(LIVE) && bundle.must_go(OLD), "lanes do not mix");
        assert!(add(&mut bundle, LIVE, 7, "3"));
        assert!(bundle.must_go(LIVE) && bundle.due() <= Some(Instant::now()));
        assert_eq!(sent(&mut bundle), ("b".into(), b"[1,2,3]".to_vec()));
        assert_eq!(sent(&mut bundle).1, b"[1,2,3]", "a second attempt sends the same");
        let (settles, values) = bundle.take();
        assert_eq!((settles, values), (vec![(LIVE, Seq(5)), (LIVE, Seq(6)), (LIVE, Seq(7))], 6));
        assert!(bundle.is_empty());
    }

    #[tokio::test]
    async fn it_is_never_larger_than_the_broker_takes() {
        let mut bundle = bundle(100, false);
        bundle.begin(1024 + 10);
        assert!(add(&mut bundle, LIVE, 1, "1234"));
        assert!(add(&mut bundle, LIVE, 2, "5678"));
        assert!(!add(&mut bundle, LIVE, 3, "9"), "it has to go first");
        assert_eq!(sent(&mut bundle).1, b"[1234,5678]");
        assert_eq!(bundle.take().0.len(), 2);
        assert!(add(&mut bundle, LIVE, 3, "a single one that is too large"));
        assert!(bundle.must_go(LIVE));
    }

    #[tokio::test]
    async fn gzip_is_gzip_and_smaller() {
        let mut bundle = bundle(100, true);
        let reading = r#"{"gateway":"plant-7","twin":"meter-1","epoch":3,"values":{"a/b":1}}"#;
        for seq in 0..100 {
            assert!(add(&mut bundle, OLD, seq, reading));
        }
        let (topic, payload) = sent(&mut bundle);
        assert_eq!((&*topic, &payload[..2]), ("b/gzip", &[0x1f, 0x8b][..]));
        let mut text = String::new();
        GzDecoder::new(&*payload).read_to_string(&mut text).unwrap();
        assert!(payload.len() * 10 < text.len());
        let all: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(all.len(), 100);
    }
}
