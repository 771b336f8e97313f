//! Lanes: what a link still has to deliver, as ranges of the log. Handing out moves a cursor; only settling moves the
//! durable position.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;
use twin::{Handle, Name, Seq};

use crate::filter::{Filter, LinkOptions};
use crate::frame::{Class, Frame};
use crate::hold::Hold;
use crate::links::{Lane, Link};
use crate::merge::FamilyReader;
use crate::segment::Family;
use crate::shared::{Inner, Shared};
use crate::statistics::LaneStatistics;

/// The lanes of one link, served by one task.
pub struct Lanes {
    shared: Arc<Shared>,
    link: Name,
    filter: Filter,
    readers: HashMap<(Class, u32), FamilyReader>,
    generation: u64,
    head: watch::Receiver<u64>,
    first: bool,
    hold: Hold,
    /// Classes that have to wait, by the link's own decision.
    held: [bool; 3],
}

/// Names a lane of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LaneId {
    /// Its class.
    pub class: Class,
    /// Its number within the class.
    pub number: u32,
    /// It is a backlog: what it carries is history by now.
    pub historical: bool,
}

/// Which lanes to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// What happens now.
    Live,
    /// What happened while the link was cut, oldest first.
    Backlog,
}

/// How much to hand out at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Commits.
    pub frames: usize,
    /// Bytes of records; at least one commit is handed out.
    pub bytes: usize,
}

/// What a link has to know when it is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// The live lane begins behind this commit; state published now is as of it.
    pub at: Seq,
    /// Twins and their features that changed since the link's lowest position: their state is to be published.
    pub changed: Vec<(Handle, Vec<u16>)>,
    /// The link is new: `changed` is all there is.
    pub first: bool,
    /// Retention dropped commits that the link had not delivered; `changed` is all there is.
    pub overtaken: Option<(Seq, Seq)>,
    /// What to settle once the far side knows of `overtaken`: until then it will be told at each connection.
    pub owed: Vec<(LaneId, Seq)>,
}

impl Lanes {
    pub(crate) fn new(shared: Arc<Shared>, link: Name, options: LinkOptions) -> Self {
        let filter = Filter::new(options);
        let mut inner = shared.lock();
        let head = inner.head;
        let known = inner.links.links.entry(link.clone()).or_default();
        let first = known.lanes.iter().any(|lanes| lanes.is_empty());
        if first {
            *known = Link::beginning(head);
        }
        (known.attached, known.omits) = (true, filter.omits());
        known.omit(head);
        known.rewind();
        let generation = known.generation;
        drop(inner);
        let head = shared.head.subscribe();
        Self {
            shared,
            link,
            filter,
            readers: HashMap::new(),
            generation,
            head,
            first,
            hold: Hold::default(),
            held: [false; 3],
        }
    }

    /// The link is connected: what is not settled becomes backlog, and the live lanes begin at the last commit.
    pub fn connected(&mut self) -> Resume {
        let shared = self.shared.clone();
        let mut inner = shared.lock();
        let at = inner.head;
        let floors = inner.catalog.floors;
        let Some(link) = inner.links.links.get_mut(&self.link) else {
            let (changed, owed) = (Vec::new(), Vec::new());
            return Resume { at, changed, first: false, overtaken: None, owed };
        };
        let mut overtaken: Option<(Seq, Seq)> = None;
        for class in self.filter.classes() {
            let floor = floors[Family::of(class).at()];
            for lane in link.class(class).iter().filter(|lane| lane.next <= floor) {
                let (a, b) = overtaken.unwrap_or((lane.next, lane.gone(floor)));
                overtaken = Some((a.min(lane.next), b.max(lane.gone(floor))));
            }
        }
        let lowest = link.lowest().unwrap_or(Seq(0));
        link.omit(at);
        link.split(at, self.filter.strict());
        Class::ALL.into_iter().for_each(|class| link.tidy(class));
        let mut owed = Vec::new();
        for class in self.filter.classes() {
            let floor = floors[Family::of(class).at()];
            for lane in link.class(class).iter_mut().filter(|lane| lane.next <= floor) {
                let (gone, historical) = (lane.gone(floor), lane.end.is_some());
                owed.push((LaneId { class, number: lane.number, historical }, gone));
                lane.inflight.push_back((gone, false));
                lane.pass(gone.next());
            }
        }
        self.generation = link.generation;
        self.readers.clear();
        let all = self.first || overtaken.is_some();
        let changed = self.changed_since(&inner, if all { Seq(0) } else { lowest });
        Resume { at, changed, first: std::mem::take(&mut self.first), overtaken, owed }
    }

    /// Twins and features that changed from this commit on.
    fn changed_since(&mut self, inner: &Inner, lowest: Seq) -> Vec<(Handle, Vec<u16>)> {
        let mut changed = Vec::new();
        for twin in inner.state.twins() {
            if self.filter.wants(twin.handle(), &inner.state) != Some(true) {
                continue;
            }
            let n = u16::try_from(twin.description().features.len()).unwrap_or(u16::MAX);
            let features: Vec<u16> = (0..n).filter(|f| twin.feature(*f).seq >= lowest).collect();
            if !features.is_empty() || twin.since() >= lowest {
                changed.push((twin.handle(), features));
            }
        }
        changed
    }

    /// The connection is gone: what was handed out and not settled will be handed out again.
    pub fn disconnected(&mut self) {
        self.with(Link::rewind);
        self.readers.clear();
    }

    /// Hands out the next commits of one lane, most urgent class first, or of `class` alone. `None`: nothing is there now.
    ///
    /// Commits that carry nothing for the link are passed without being handed out.
    pub fn next(
        &mut self,
        want: Want,
        class: Option<Class>,
        limit: Limit,
        out: &mut Vec<Frame>,
    ) -> Option<LaneId> {
        let held = self.held;
        let open = self.filter.classes().filter(|of| !held[*of as usize]);
        for of in open.filter(|of| class.is_none_or(|class| class == *of)) {
            let historical = want == Want::Backlog;
            self.with(|link| link.tidy(of));
            let mut at = 0;
            while let Some(number) = self.nth_lane(of, historical, at) {
                if self.fill(of, number, limit, out) {
                    return Some(LaneId { class: of, number, historical });
                }
                at += 1;
            }
        }
        None
    }

    fn nth_lane(&mut self, class: Class, historical: bool, n: usize) -> Option<u32> {
        let nth = |link: &mut Link| {
            let lanes = link.class(class).iter().filter(|l| l.end.is_some() == historical);
            lanes.map(|l| l.number).nth(n)
        };
        self.with(nth).flatten()
    }

    /// Hands out from one lane; says whether there was anything.
    fn fill(&mut self, class: Class, number: u32, limit: Limit, out: &mut Vec<Frame>) -> bool {
        let before = out.len();
        let shared = self.shared.clone();
        loop {
            let mut inner = shared.lock();
            let Inner { state, links, ring, head, .. } = &mut *inner;
            let Some(lane) = lane(links.links.get_mut(&self.link), class, number) else {
                return false;
            };
            let end = lane.end.unwrap_or(*head);
            if lane.cursor > end {
                return false;
            }
            let in_memory = ring.first().unwrap_or(head.next());
            if lane.cursor < in_memory {
                let (from, until) = (lane.cursor, end.min(Seq(in_memory.0 - 1)));
                drop(inner);
                if self.hold.holds(&shared.clock) {
                    return false;
                }
                self.read_stored(class, number, from, until, limit, out);
            } else {
                let mut bytes = 0;
                for frame in ring.from(lane.cursor).take_while(|f| f.seq <= end) {
                    if self.filter.carries(frame, class, state) {
                        if out.len() - before >= limit.frames
                            || (bytes > 0 && bytes + frame.size() > limit.bytes)
                        {
                            return true;
                        }
                        bytes += frame.size();
                        lane.inflight.push_back((frame.seq, false));
                        out.push(frame.clone());
                    }
                    lane.pass(frame.seq.next());
                }
                lane.pass(end.next());
            }
            if out.len() > before {
                return true;
            }
        }
    }

    /// Hands out from disk what memory no longer has, up to `until`.
    fn read_stored(
        &mut self,
        class: Class,
        number: u32,
        from: Seq,
        until: Seq,
        limit: Limit,
        out: &mut Vec<Frame>,
    ) {
        let family = Family::of(class);
        let shared = self.shared.clone();
        let mut reader = self
            .readers
            .remove(&(class, number))
            .filter(|reader| reader.at() <= from && !reader.stale())
            .unwrap_or_else(|| FamilyReader::new(family, from));
        let (start, mut bytes) = (out.len(), 0);
        let mut passed = until.next();
        let filter = self.filter.clone();
        let want = |segment: &crate::segment::Segment| {
            segment.footer().is_none_or(|f| {
                f.has_class(class) && f.twins.iter().any(|(h, _, _)| filter.decided(*h))
            })
        };
        loop {
            if out.len() - start >= limit.frames.max(1) || bytes >= limit.bytes.max(1) {
                passed = reader.at();
                break;
            }
            match reader.next(&shared, from, &want) {
                Ok(Some(frame)) if frame.seq <= until => {
                    let inner = shared.lock();
                    if self.filter.carries(&frame, class, &inner.state) {
                        bytes += frame.size();
                        out.push(frame);
                    }
                }
                Ok(_) => break,
                Err(_) => {
                    self.hold.begin(&shared.clock);
                    passed = reader.at();
                    break;
                }
            }
        }
        let mut inner = shared.lock();
        let link = inner.links.links.get_mut(&self.link);
        let link = link.filter(|link| link.generation == self.generation);
        // Moved meanwhile by the operator: what was read is not what is wanted now.
        let Some(lane) = lane(link, class, number) else {
            out.truncate(start);
            self.generation = inner.links.links.get(&self.link).map_or(0, |l| l.generation);
            return;
        };
        lane.inflight.extend(out.iter().skip(start).map(|f| (f.seq, false)));
        lane.pass(passed);
        if passed <= until {
            self.readers.insert((class, number), reader);
        }
    }

    /// A commit was delivered, or passed over for a reason on record.
    pub fn settled(&mut self, lane: LaneId, seq: Seq) {
        self.with(|link| link.settle(lane.class, lane.number, seq));
    }

    /// Whether stored commits could not be read just now: a lane that had nothing to hand out may have some later.
    #[must_use]
    pub fn held(&self) -> bool {
        self.hold.left(&self.shared.clock).is_some()
    }

    /// Waits until a live lane has something to hand out, or until it is time to read again what could not be read.
    /// Dropping the future loses nothing.
    pub async fn changed(&mut self) {
        loop {
            self.head.borrow_and_update();
            if self.live() {
                return;
            }
            let held = self.hold.left(&self.shared.clock);
            tokio::select! {
                changed = self.head.changed() => {
                    if changed.is_err() {
                        // The store is gone: nothing will ever change.
                        std::future::pending::<()>().await;
                    }
                }
                () = tokio::time::sleep(held.unwrap_or_default()), if held.is_some() => {
                    self.hold.holds(&self.shared.clock);
                    return;
                }
            }
        }
    }

    pub(crate) fn live(&mut self) -> bool {
        let shared = self.shared.clone();
        let held = self.held();
        let mut inner = shared.lock();
        let Inner { state, links, ring, head, .. } = &mut *inner;
        let Some(link) = links.links.get_mut(&self.link) else { return false };
        for class in self.filter.classes().filter(|class| !self.held[*class as usize]) {
            let Some(lane) = link.class(class).back_mut().filter(|l| l.cursor <= *head) else {
                continue;
            };
            if ring.first().is_none_or(|first| lane.cursor < first) {
                if held {
                    continue;
                }
                return true;
            }
            if ring.from(lane.cursor).any(|f| self.filter.carries(f, class, state)) {
                return true;
            }
            lane.pass(head.next());
        }
        false
    }

    /// From now on these classes, and no others, have to wait: they are not handed out and wake nobody. What waited
    /// in a class that goes on becomes a backlog, so that what happens now need not queue behind it.
    pub fn hold(&mut self, classes: &[Class]) {
        let held = Class::ALL.map(|class| classes.contains(&class));
        let before = std::mem::replace(&mut self.held, held);
        let strict = self.filter.strict();
        let shared = self.shared.clone();
        let mut inner = shared.lock();
        let head = inner.head;
        let Some(link) = inner.links.links.get_mut(&self.link) else { return };
        let goes_on = |class: &Class| before[*class as usize] && !held[*class as usize];
        for class in self.filter.classes().filter(goes_on).filter(|_| !strict) {
            link.shelve(class, head);
            self.readers.retain(|(of, _), _| *of != class);
        }
        self.generation = link.generation;
    }

    /// What the link keeps beside its positions, over restarts.
    #[must_use]
    pub fn note(&self) -> Vec<u8> {
        let inner = self.shared.lock();
        inner.links.links.get(&self.link).map(|link| link.note.clone()).unwrap_or_default()
    }

    /// Keeps this with the next record of positions, a second later at most.
    pub fn keep(&mut self, note: Vec<u8>) {
        self.with(|link| (link.note, link.dirty) = (note, true));
    }

    /// Where the lanes stand.
    #[must_use]
    pub fn pending(&self) -> Vec<LaneStatistics> {
        let store = crate::Store { shared: self.shared.clone() };
        let mut lanes = store.statistics().lanes;
        lanes.retain(|lane| lane.link == self.link);
        lanes
    }

    fn with<R>(&mut self, act: impl FnOnce(&mut Link) -> R) -> Option<R> {
        let mut inner = self.shared.lock();
        let link = inner.links.links.get_mut(&self.link)?;
        let done = act(link);
        self.generation = link.generation;
        Some(done)
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.with(|link| {
            link.rewind();
            link.attached = false;
        });
    }
}

fn lane(link: Option<&mut Link>, class: Class, number: u32) -> Option<&mut Lane> {
    link?.class(class).iter_mut().find(|lane| lane.number == number)
}
