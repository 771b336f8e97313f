//! Where every link's lanes stand: pure bookkeeping, written into the log as positions.
//!
//! A lane is the range `[next, end]` of one class. Invariant: every commit of the class below `next` was settled or
//! carries nothing for the link, or lies in another lane of the link.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use twin::{Name, Seq};

use crate::codec::{Put, Take};
use crate::frame::Class;

/// At most this many backlogs per class; then neighbours are merged.
const BACKLOGS: usize = 8;

/// All links that were ever named and not forgotten.
#[derive(Debug, Default)]
pub(crate) struct Links {
    pub(crate) links: BTreeMap<Name, Link>,
}

/// The lanes of one link, per class: backlogs oldest first, then the live lane.
#[derive(Debug, Clone, Default)]
pub(crate) struct Link {
    pub(crate) lanes: [VecDeque<Lane>; 3],
    /// Grows whenever lanes are moved by something else than reading and settling.
    pub(crate) generation: u64,
    pub(crate) dirty: bool,
    /// Somebody serves it now.
    pub(crate) attached: bool,
    /// Classes that it does not carry: nothing of them ever waits for it.
    pub(crate) omits: [bool; 3],
    /// What the link itself keeps beside its positions; the store does not look at it.
    pub(crate) note: Vec<u8>,
    /// Where its lanes of samples stand as the disk has it, by the records that may be the last one to survive.
    marks: Vec<Mark>,
}

/// Where lanes stand by a record of positions or by a snapshot.
#[derive(Debug, Clone)]
struct Mark {
    at: Seq,
    snapshot: bool,
    stands: Vec<Seq>,
}

/// A range of the log that a link still has to deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lane {
    pub(crate) number: u32,
    /// The lowest commit that may not be settled.
    pub(crate) next: Seq,
    /// The last commit of a backlog; `None` for the live lane.
    pub(crate) end: Option<Seq>,
    /// The next commit to hand out.
    pub(crate) cursor: Seq,
    /// Handed out from `next` on, and whether it is settled.
    pub(crate) inflight: VecDeque<(Seq, bool)>,
}

impl Lane {
    pub(crate) fn new(number: u32, next: Seq, end: Option<Seq>) -> Self {
        Self { number, next, end, cursor: next, inflight: VecDeque::new() }
    }

    /// The last commit of the lane that is gone, where all up to `floor` are.
    pub(crate) fn gone(&self, floor: Seq) -> Seq {
        self.end.map_or(floor, |end| end.min(floor))
    }

    /// Everything before this was looked at; it carries nothing for the link beyond what is in flight.
    pub(crate) fn pass(&mut self, cursor: Seq) {
        self.cursor = self.cursor.max(cursor);
        if self.inflight.is_empty() {
            self.next = self.cursor;
        }
    }

    /// A commit was delivered or passed over; says whether the position moved.
    fn settle(&mut self, seq: Seq) -> bool {
        let at = self.inflight.partition_point(|(s, _)| *s < seq);
        match self.inflight.get_mut(at) {
            Some((s, settled)) if *s == seq => *settled = true,
            _ => return false,
        }
        let before = self.next;
        while self.inflight.front().is_some_and(|(_, settled)| *settled) {
            self.inflight.pop_front();
        }
        self.next = self.inflight.front().map_or(self.cursor, |(s, _)| *s);
        self.next > before
    }

    fn rewind(&mut self) {
        self.inflight.clear();
        self.cursor = self.next;
    }

    pub(crate) fn finished(&self) -> bool {
        self.end.is_some_and(|end| self.next > end)
    }
}

impl Link {
    /// A link that begins after `head`.
    pub(crate) fn beginning(head: Seq) -> Self {
        let lanes = [(); 3].map(|()| VecDeque::from([Lane::new(0, head.next(), None)]));
        Self { lanes, dirty: true, ..Self::default() }
    }

    pub(crate) fn class(&mut self, class: Class) -> &mut VecDeque<Lane> {
        &mut self.lanes[class as usize]
    }

    /// The lowest commit that any lane still has to deliver.
    pub(crate) fn lowest(&self) -> Option<Seq> {
        let carried = self.lanes.iter().zip(self.omits).filter(|(_, omitted)| !omitted);
        carried.flat_map(|(lanes, _)| lanes).map(|lane| lane.next).min()
    }

    /// Whatever the log holds up to `head` of classes that it does not carry is passed.
    pub(crate) fn omit(&mut self, head: Seq) {
        for (lanes, _) in self.lanes.iter_mut().zip(self.omits).filter(|(_, omitted)| *omitted) {
            let number = lanes.back().map_or(0, |live| live.number);
            *lanes = VecDeque::from([Lane::new(number, head.next(), None)]);
        }
    }

    /// A connection begins at `head`: what is not settled becomes a backlog, and a new live lane begins behind it.
    pub(crate) fn split(&mut self, head: Seq, strict: bool) {
        self.generation += 1;
        for lanes in &mut self.lanes {
            lanes.iter_mut().for_each(Lane::rewind);
            let Some(live) = lanes.back_mut().filter(|live| !strict && live.next <= head) else {
                continue;
            };
            live.end = Some(head);
            let number = live.number.wrapping_add(1);
            lanes.push_back(Lane::new(number, head.next(), None));
            self.dirty = true;
            while lanes.len() > BACKLOGS + 1 {
                merge(lanes);
            }
        }
    }

    /// What waits in this class becomes a backlog that ends at `head`; what is in flight goes on.
    pub(crate) fn shelve(&mut self, class: Class, head: Seq) {
        let lanes = self.class(class);
        let Some(live) = lanes.back_mut().filter(|live| live.next <= head) else { return };
        live.end = Some(head);
        let number = live.number.wrapping_add(1);
        lanes.push_back(Lane::new(number, head.next(), None));
        if lanes.len() > BACKLOGS + 1 {
            lanes.iter_mut().for_each(Lane::rewind);
            merge(lanes);
        }
        self.generation += 1;
        self.dirty = true;
    }

    /// The connection is gone: what was not settled will be handed out again.
    pub(crate) fn rewind(&mut self) {
        self.generation += 1;
        self.lanes.iter_mut().flatten().for_each(Lane::rewind);
    }

    pub(crate) fn settle(&mut self, class: Class, number: u32, seq: Seq) {
        let lanes = &mut self.lanes[class as usize];
        let Some(at) = lanes.iter().position(|lane| lane.number == number) else { return };
        if lanes.get_mut(at).is_some_and(|lane| lane.settle(seq)) {
            self.dirty = true;
        }
        self.tidy(class);
    }

    /// Backlogs that were delivered are no lanes any more.
    pub(crate) fn tidy(&mut self, class: Class) {
        let lanes = &mut self.lanes[class as usize];
        let before = lanes.len();
        lanes.retain(|lane| !lane.finished());
        self.dirty |= lanes.len() < before;
    }

    /// It has nothing to deliver any more, which its next record says.
    pub(crate) fn forget(&mut self) {
        let marks = std::mem::take(&mut self.marks);
        *self = Self { dirty: true, marks, ..Self::default() };
    }

    /// Where its lanes of samples begin and go on after their ends.
    fn stands(&self) -> Vec<Seq> {
        let lanes = self.lanes[Class::Sample as usize].iter();
        lanes.flat_map(|l| [Some(l.next), l.end.map(Seq::next)]).flatten().collect()
    }

    /// Its positions are in the record with this number.
    pub(crate) fn wrote(&mut self, at: Seq) {
        let stands = self.stands();
        self.marks.push(Mark { at, snapshot: false, stands });
    }

    /// Its positions are in a snapshot that is about to be kept, beside the one before.
    pub(crate) fn snapped(&mut self, at: Seq) {
        let stands = self.stands();
        self.marks.push(Mark { at, snapshot: true, stands });
        let older = self.marks.iter().rev().filter(|mark| mark.snapshot).nth(1).map(|mark| mark.at);
        self.marks.retain(|mark| !mark.snapshot || older.is_none_or(|older| mark.at >= older));
    }

    /// Everything up to here is durable: the last record of positions stands above all before it.
    pub(crate) fn kept(&mut self, durable: Seq) {
        let last = self.marks.iter().rposition(|mark| !mark.snapshot && mark.at <= durable);
        self.marks.drain(..last.unwrap_or(0));
    }

    /// The operator gives up what lies before `to`.
    pub(crate) fn skip(&mut self, class: Option<Class>, to: Seq) {
        self.generation += 1;
        self.dirty = true;
        for of in Class::ALL.into_iter().filter(|of| class.is_none_or(|class| class == *of)) {
            for lane in self.class(of) {
                lane.rewind();
                lane.next = lane.next.max(to);
                lane.cursor = lane.next;
            }
            self.tidy(of);
        }
    }

    /// Positions beyond the recovered tail are the tail.
    pub(crate) fn clamp(&mut self, head: Seq) {
        for lane in self.lanes.iter_mut().flatten() {
            lane.next = lane.next.min(head.next());
            lane.end = lane.end.map(|end| end.min(head));
            lane.rewind();
        }
        Class::ALL.into_iter().for_each(|class| self.tidy(class));
        self.dirty = false;
        let stands = self.stands();
        self.marks = vec![Mark { at: Seq(0), snapshot: false, stands }];
    }
}

/// Joins the two neighbouring backlogs that have the fewest commits between them: those are sent again.
fn merge(lanes: &mut VecDeque<Lane>) {
    let between = |i: usize| match (lanes.get(i), lanes.get(i + 1)) {
        (Some(a), Some(b)) if b.end.is_some() => {
            Some((b.next.0.saturating_sub(a.end.unwrap_or(a.next).0), i))
        }
        _ => None,
    };
    let Some((_, i)) = (0..lanes.len()).filter_map(between).min() else { return };
    if let Some(second) = lanes.remove(i + 1)
        && let Some(first) = lanes.get_mut(i)
    {
        first.end = second.end;
        first.rewind();
    }
}

/// Puts what these links keep, where they do.
pub(crate) fn put_notes<'a>(out: &mut Vec<u8>, links: impl Iterator<Item = (&'a Name, &'a Link)>) {
    let noted: Vec<_> = links.filter(|(_, link)| !link.note.is_empty()).collect();
    if noted.is_empty() {
        return;
    }
    out.put_len(noted.len());
    for (name, link) in noted {
        out.put_text(name.as_str());
        out.put_bytes(&link.note);
    }
}

/// Takes what links keep; there may be nothing.
pub(crate) fn take_notes(take: &mut Take<'_>) -> Vec<(Name, Vec<u8>)> {
    take.list(|t| Some((t.parsed()?, t.bytes()?.to_vec()))).unwrap_or_default()
}

/// Puts the lanes of these links.
pub(crate) fn put<'a>(out: &mut Vec<u8>, links: impl Iterator<Item = (&'a Name, &'a Link)>) {
    let links: Vec<_> = links.collect();
    out.put_len(links.len());
    for (name, link) in links {
        out.put_text(name.as_str());
        for lanes in &link.lanes {
            out.put_len(lanes.len());
            for lane in lanes {
                out.put_varint(u64::from(lane.number));
                out.put_varint(lane.next.0);
                out.put_varint(lane.end.map_or(0, |end| end.0));
            }
        }
    }
}

/// Takes lanes; a link without any is forgotten.
pub(crate) fn take(take: &mut Take<'_>) -> Option<Vec<(Name, Link)>> {
    take.list(|t| {
        let name = t.parsed()?;
        let mut link = Link::default();
        for lanes in &mut link.lanes {
            *lanes = t
                .list(|t| {
                    let (number, next) = (t.varint32()?, Seq(t.varint()?));
                    let end = Some(Seq(t.varint()?)).filter(|end| end.0 > 0);
                    Some(Lane::new(number, next, end))
                })?
                .into();
        }
        Some((name, link))
    })
}

impl Links {
    /// What a record of positions says.
    pub(crate) fn apply(&mut self, payload: &[u8]) {
        let mut rest = Take(payload);
        for (name, mut link) in take(&mut rest).unwrap_or_default() {
            if let Some(known) = self.links.get_mut(&name) {
                link.note = std::mem::take(&mut known.note);
            }
            if link.lanes.iter().all(|lanes| lanes.back().is_some_and(|l| l.end.is_none())) {
                self.links.insert(name, link);
            } else {
                self.links.remove(&name);
            }
        }
        self.note(take_notes(&mut rest));
    }

    /// What links keep.
    pub(crate) fn note(&mut self, notes: Vec<(Name, Vec<u8>)>) {
        for (name, note) in notes {
            if let Some(link) = self.links.get_mut(&name) {
                link.note = note;
            }
        }
    }

    pub(crate) fn dirty(&self) -> bool {
        self.links.values().any(|link| link.dirty)
    }

    /// Where lanes of samples stand, or will stand after a crash.
    pub(crate) fn marks(&self) -> BTreeSet<Seq> {
        let mut marks = BTreeSet::new();
        for link in self.links.values() {
            marks.extend(link.stands());
            marks.extend(link.lanes[Class::Sample as usize].iter().map(|lane| lane.cursor));
            marks.extend(link.marks.iter().flat_map(|mark| &mark.stands));
        }
        marks
    }

    /// Whether samples of this stretch are under way on some link.
    pub(crate) fn busy(&self, first: Seq, last: Seq) -> bool {
        let lanes = self.links.values().flat_map(|link| &link.lanes[Class::Sample as usize]);
        let under_way = |lane: &Lane| {
            let ends = lane.inflight.front().zip(lane.inflight.back());
            ends.is_some_and(|((a, _), (b, _))| *a <= last && first <= *b)
        };
        lanes.into_iter().any(under_way)
    }

    /// Whether every link has delivered the samples up to here.
    pub(crate) fn delivered(&self, last: Seq) -> bool {
        let lanes = self.links.values().flat_map(|link| &link.lanes[Class::Sample as usize]);
        lanes.into_iter().all(|lane| lane.next > last)
    }

    /// Whether every lane that is served has passed this commit.
    pub(crate) fn passed(&self, seq: Seq) -> bool {
        self.links.values().filter(|l| l.attached).all(|l| l.lowest().is_none_or(|n| n > seq))
    }
}

#[cfg(test)]
mod tests;
