//! Opening the store, and what every reader can ask of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use base::Clock;
use twin::{GapCause, GatewayEvent, Name, Refusal, Seq, State};

use crate::age::away;
use crate::core::Core;
use crate::disk::Disk;
use crate::error::OpenError;
use crate::filter::LinkOptions;
use crate::follow::Follower;
use crate::frame::Class;
use crate::freshness::Freshness;
use crate::lanes::Lanes;
use crate::log::Log;
use crate::options::Options;
use crate::recovery::{Recovered, Recovery, recover};
use crate::ring::Ring;
use crate::segment::Family;
use crate::shared::{Inner, Shared};
use crate::snapshot;
use crate::statistics::{Counters, LaneStatistics, Statistics};
use crate::troubles::Troubles;
use crate::writer::Writer;

/// So many spans of the timeline that nobody needs are dropped with one record.
const STALE: usize = 8;

/// An open store.
pub struct Opened {
    /// The one writer; it has to be run.
    pub writer: Writer,
    /// For readers.
    pub store: Store,
    /// What was found.
    pub recovery: Recovery,
}

/// Opens the store on this disk: recovers what survived and begins a new epoch, durably.
///
/// # Errors
/// The disk cannot be read, or does not take the new epoch's first records.
pub fn open(disk: Arc<dyn Disk>, options: Options, clock: Clock) -> Result<Opened, OpenError> {
    let (core, recovery) = open_core(disk, options, clock)?;
    let store = Store { shared: core.shared.clone() };
    Ok(Opened { writer: Writer::new(core), store, recovery })
}

pub(crate) fn open_core(
    disk: Arc<dyn Disk>,
    options: Options,
    clock: Clock,
) -> Result<(Core, Recovery), OpenError> {
    let boot = twin::BootId(clock.boot());
    let Recovered { state, links, catalog, snapshots, superseded, least, mut damage, recovery } =
        recover(&*disk, boot)?;
    let oldest = catalog.oldest().unwrap_or(recovery.surviving.next());
    damage.remove(Seq(0), Seq(oldest.0.saturating_sub(1)));
    let stale = stale(&state, oldest);
    let epoch = recovery.epoch;
    let inner = Inner {
        head: recovery.surviving,
        ring: Ring::new(options.ring),
        counters: Counters { snapshot: recovery.snapshot, ..Counters::default() },
        freshness: Freshness::default(),
        away: None,
        damage: Vec::new(),
        known_damage: damage,
        unreadable: BTreeSet::new(),
        troubles: Troubles::default(),
        state,
        catalog,
        links,
    };
    let capacity = Family::ALL.map(|family| options.budget(family).segment);
    let mut log = Log::new(disk.clone(), epoch, capacity);
    log.adopt_spares();
    let shared = Arc::new(Shared::new(options, clock, disk, epoch, inner));
    let mut core = Core::new(shared.clone(), log, snapshots);
    let mut inner = shared.lock();
    core.look_at_clock(&inner);
    inner.away = away(&inner, core.now());
    let mut events = vec![snapshot::opened(epoch, &shared.clock, recovery.surviving)];
    // Before the gaps: what may be missing behind what is proven makes revs jump from there.
    events.extend((!least.is_empty()).then_some(GatewayEvent::Revs { least }));
    let gap = |(first, last): &(Seq, Seq)| GatewayEvent::Gap {
        first: *first,
        last: *last,
        cause: GapCause::Crash,
    };
    events.extend(recovery.gaps.iter().map(gap));
    events.extend(stale.then_some(GatewayEvent::Forgotten { before: oldest }));
    for (name, (first, last)) in superseded {
        events.push(GatewayEvent::Gap { first, last, cause: GapCause::Thinned });
        core.removing.push(name);
    }
    let mut begun = core.begin_epoch(&mut inner, &events);
    if let Some((first, last)) = begun.as_ref().err().and_then(|_| core.cut_oldest(&mut inner)) {
        events.push(GatewayEvent::Gap { first, last, cause: GapCause::Retention });
        inner.head = recovery.surviving;
        begun = core.begin_epoch(&mut inner, &events);
    }
    begun.map_err(|r| OpenError::Begin(words(r)))?;
    core.publish(&inner);
    drop(inner);
    // Nothing of this epoch may be seen before it is certain that the epoch will be remembered.
    if let Some(job) = core.begin_job(true) {
        let done = job.run();
        let durable = done.durable();
        core.finish_job(done);
        if !durable {
            return Err(OpenError::Begin("the first records could not be made durable".into()));
        }
    }
    Ok((core, recovery))
}

fn words(refusal: Refusal) -> String {
    match refusal {
        Refusal::Storage(words) | Refusal::Invalid(words) => words.to_string(),
        other => format!("{other:?}"),
    }
}

/// Whether enough of the timeline is needed no more to be worth a record. `oldest` is the oldest commit that is kept.
fn stale(state: &State, oldest: Seq) -> bool {
    let mut timeline = state.timeline().clone();
    let before = timeline.spans().len();
    timeline.forget(oldest, state.mentioned());
    before - timeline.spans().len() >= STALE
}

/// Everything that can be read, by anybody, at any time. Cloning it is cheap.
#[derive(Clone)]
pub struct Store {
    pub(crate) shared: Arc<Shared>,
}

impl Store {
    /// The gateway's name.
    #[must_use]
    pub fn gateway(&self) -> &Name {
        &self.shared.options.gateway
    }

    /// The current epoch.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.shared.epoch
    }

    /// The last commit.
    #[must_use]
    pub fn head(&self) -> Seq {
        self.shared.lock().head
    }

    /// Reads the state as of the last commit. The writer waits meanwhile: be brief, and never await or block inside.
    pub fn read<R>(&self, read: impl FnOnce(&State) -> R) -> R {
        read(&self.shared.lock().state)
    }

    /// Reads how acquisition goes. Be brief.
    pub fn freshness<R>(&self, read: impl FnOnce(&Freshness) -> R) -> R {
        read(&self.shared.lock().freshness)
    }

    /// How long nobody ran before the store was opened, in microseconds, as far as the log shows: as coarse as
    /// heartbeats are. `None` where the store was new; the longest time where no clock tells.
    #[must_use]
    pub fn away(&self) -> Option<i64> {
        self.shared.lock().away
    }

    /// Follows the log from this commit on.
    #[must_use]
    pub fn follow(&self, from: Seq) -> Follower {
        Follower::new(self.shared.clone(), from)
    }

    /// The lanes of a link. One that is named for the first time begins behind the last commit.
    #[must_use]
    pub fn link(&self, link: &Name, options: LinkOptions) -> Lanes {
        Lanes::new(self.shared.clone(), link.clone(), options)
    }

    /// Forgets a link that is configured no more, with all that it still had to deliver.
    pub fn forget_link(&self, link: &Name) {
        if let Some(link) = self.shared.lock().links.links.get_mut(link) {
            link.forget();
        }
    }

    /// The operator gives up what a link still has to deliver before `to`, of one class or of all.
    pub fn skip(&self, link: &Name, class: Option<Class>, to: Seq) {
        let mut inner = self.shared.lock();
        let to = to.min(inner.head.next());
        if let Some(link) = inner.links.links.get_mut(link) {
            link.skip(class, to);
        }
        drop(inner);
        self.shared.head.send_modify(|_| {});
    }

    /// How the store does.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let inner = self.shared.lock();
        let family = |f: Family| (f, inner.catalog.bytes(f), inner.catalog.family(f).len());
        let mut lanes = Vec::new();
        for (name, link) in &inner.links.links {
            let classes = Class::ALL.into_iter().zip(&link.lanes).zip(link.omits);
            for ((class, of), _) in classes.filter(|(_, omitted)| !omitted) {
                for lane in of {
                    let end = lane.end.unwrap_or(inner.head);
                    lanes.push(LaneStatistics {
                        link: name.clone(),
                        class,
                        number: lane.number,
                        historical: lane.end.is_some(),
                        next: lane.next,
                        end,
                        inflight: lane.inflight.len(),
                        pending: (end.0 + 1).saturating_sub(lane.next.0),
                        attached: link.attached,
                    });
                }
            }
        }
        Statistics {
            head: inner.head,
            durable: inner.counters.durable,
            epoch: self.shared.epoch,
            counters: inner.counters.clone(),
            troubles: inner.troubles.standing(),
            families: Family::ALL.map(family),
            ring: (inner.ring.len(), inner.ring.bytes()),
            lanes,
        }
    }
}
