//! What the agenda shows of itself: the status of the line and the explanation of a point.

use std::sync::Arc;

use tokio::sync::watch;
use twin::{Boottime, Cause, Quality, TwinId};

use super::agenda::Agenda;
use super::device::{Device, Last};
use super::{Polled, Work};
use crate::{BreakerState, Exchange, Inspection, LineState, LineStatus};

/// Counters are shown at most this old, in microseconds.
const FRESH: i64 = 1_000_000;

/// Shows the status of a line to those who watch it.
#[derive(Debug)]
pub struct Shown {
    watch: watch::Sender<LineStatus>,
    at: i64,
}

impl Shown {
    /// Shows a line through this channel.
    #[must_use]
    pub fn new(watch: watch::Sender<LineStatus>) -> Self {
        Self { watch, at: i64::MIN }
    }

    /// The line stands elsewhere now.
    pub fn state(&mut self, state: LineState, now: i64) {
        self.watch.send_if_modified(|status| {
            let other = status.state != state;
            let opened = matches!(state, LineState::Up) && !matches!(status.state, LineState::Up);
            status.opened += u64::from(opened);
            if other {
                status.since = Boottime(now);
                status.state = state;
            }
            other
        });
    }

    /// The devices, where something turned or the counters shown are old.
    pub fn devices<P: Polled>(&mut self, agenda: &mut Agenda<P>, now: i64) {
        let turned = std::mem::take(&mut agenda.turned);
        if !turned && now.saturating_sub(self.at) < FRESH {
            return;
        }
        self.at = now;
        self.watch.send_if_modified(|status| {
            status.wasted = agenda.wasted;
            status.devices.clear();
            let devices = agenda.devices.iter().flatten();
            status.devices.extend(devices.map(|device| device.status(device.breaker.probe_at())));
            turned
        });
    }
}

impl<P: Polled> Agenda<P> {
    /// Everything that explains a point, or the device as a whole; `None` where the twin is not on this line.
    #[must_use]
    pub fn inspect(&self, twin: &TwinId, index: Option<u16>, now: i64) -> Option<Inspection> {
        let device = self.devices.get(self.place(twin)?)?.as_ref()?;
        let mut inspection = Inspection {
            line: self.line.clone(),
            twin: twin.clone(),
            index,
            place: device.spec.place(index).into(),
            exchange: None,
            steps: Vec::new(),
            quality: Quality::bad(Cause::NotRead),
            remarks: self.remarks(device, index, now),
            breaker: device.breaker.shown(),
            next: None,
        };
        let group = device.groups.iter().find(|g| index.is_some_and(|i| g.points.contains(&i)));
        let cycle = group.and_then(|g| g.cycle.as_ref());
        let scheduled = cycle.map(|cycle| cycle.due().max(now));
        inspection.next = device.breaker.probe_at().or(scheduled).map(Boottime);
        if let Some((work, last)) = last_of(device, index) {
            explain(device, index, &work, last, &mut inspection);
        }
        if !device.serves() || self.down.is_some() {
            inspection.quality = device.outage;
        }
        Some(inspection)
    }

    fn remarks(&self, device: &Device<P>, index: Option<u16>, now: i64) -> Vec<String> {
        let mut remarks = Vec::new();
        if let Some(why) = &self.down {
            remarks.push(format!("the line is down: {why}"));
        }
        if let Some(lost) = device.breaker.lost_since()
            && device.breaker.shown() != BreakerState::Closed
        {
            let seconds = (now - lost) / 1_000_000;
            remarks.push(format!("it has not answered for {seconds} s and is only probed"));
        }
        if device.doubted {
            remarks.push("it was silent and is asked what it is before it is polled again".into());
        }
        if let Some(trouble) = &device.trouble {
            let seconds = (now - trouble.at.0) / 1_000_000;
            remarks.push(format!("last trouble, {seconds} s ago: {}", trouble.words));
        }
        remarks.extend(device.said.iter().map(|said| format!("it says of itself: {said}")));
        let differs = device.differs.iter();
        remarks.extend(differs.map(|differs| format!("it may be another asset: {differs}")));
        remarks.extend(index.into_iter().flat_map(|index| device.spec.risks(index)));
        remarks
    }
}

type Found<'a, P> =
    (Work<<P as Polled>::Batch, <P as Polled>::Write>, &'a Last<<P as Polled>::Answer>);

/// The last exchange that was to bring the point; of any kind where no point is named.
fn last_of<P: Polled>(device: &Device<P>, index: Option<u16>) -> Option<Found<'_, P>> {
    let polled = device.groups.iter().flat_map(|group| {
        let exchanges = group.batches.iter().zip(&group.last);
        exchanges.filter_map(|(batch, last)| Some((Work::Read(batch.clone()), last.as_ref()?)))
    });
    let other = device.other.iter().map(|(work, last)| (work.clone(), last));
    let brings = |work: &Work<P::Batch, P::Write>| match (work, index) {
        (_, None) => true,
        (Work::Read(batch), Some(index)) => device.spec.points(batch).any(|point| point == index),
        (Work::Write(_), Some(_)) => false,
    };
    polled.chain(other).filter(|(work, _)| brings(work)).max_by_key(|(_, last)| last.timing.ended)
}

fn explain<P: Polled>(
    device: &Device<P>,
    index: Option<u16>,
    work: &Work<P::Batch, P::Write>,
    last: &Last<P::Answer>,
    inspection: &mut Inspection,
) {
    let mut exchange = Exchange {
        at: Boottime(last.timing.sent),
        took: last.timing.ended - last.timing.sent,
        request: device.spec.request_bytes(work),
        answer: Vec::new(),
        failure: None,
    };
    match &last.result {
        Ok(answer) => {
            exchange.answer = device.spec.answer_bytes(work, answer);
            if let (Work::Read(batch), Some(index)) = (work, index) {
                inspection.steps = device.spec.explain(batch, answer, index);
                let mut entries = Vec::new();
                device.spec.decode(batch, answer, 0, &mut entries);
                let entry = entries.iter().find(|entry| entry.index == index);
                inspection.quality = entry.map_or(inspection.quality, |entry| entry.quality);
            }
        }
        Err(failed) => {
            exchange.failure = Some(Arc::clone(&failed.words));
            inspection.quality = failed.quality;
        }
    }
    inspection.exchange = Some(exchange);
}
