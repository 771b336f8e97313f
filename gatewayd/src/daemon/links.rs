//! The links that run, as supervised units, and how each one is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use base::Clock;
use control::{Lane, Link, Pending};
use dialects::{LinkSpec, LinkStatus, Phase, Surroundings, Twins};
use tokio::sync::watch;
use twin::{Boottime, Name};
use twin_store::{Class, Store};

use super::supervisor::{Life, Policy, Supervisor, Unit};

/// The links that run. Clones share one directory.
#[derive(Debug, Clone, Default)]
pub struct Links(Arc<Mutex<BTreeMap<Name, Known>>>);

#[derive(Debug)]
struct Known {
    commands: String,
    status: Option<watch::Receiver<LinkStatus>>,
}

/// Starts a link.
pub fn start(
    supervisor: &Supervisor,
    links: &Links,
    around: &Surroundings,
    spec: &LinkSpec,
) -> Unit {
    let commands = match &spec.commands {
        None => "off".into(),
        Some(allowed) => format!("{} allowed", allowed.len()),
    };
    links.lock().insert(spec.name.clone(), Known { commands, status: None });
    let (links, around, spec) = (links.clone(), around.clone(), spec.clone());
    supervisor.start(&format!("link {}", spec.name), Policy::default(), move |stop| -> Life {
        let link = make(&links, &around, &spec);
        Box::pin(async move {
            link.run(stop).await;
            Ok(())
        })
    })
}

fn make(links: &Links, around: &Surroundings, spec: &LinkSpec) -> dialects::Link {
    let gateway = around.store.gateway().as_str();
    let listens = spec.commands.is_some();
    let dialect = Twins::new(gateway, &spec.prefix, spec.name.as_str(), listens);
    let dialect = dialect.of_points(&spec.points);
    let (link, status) = dialects::Link::new(spec.clone(), Box::new(dialect), around.clone());
    if let Some(known) = links.lock().get_mut(&spec.name) {
        known.status = Some(status);
    }
    link
}

impl Links {
    /// A link is gone.
    pub fn remove(&self, name: &Name) {
        self.lock().remove(name);
    }

    /// Whether there is such a link.
    pub fn has(&self, name: &Name) -> bool {
        self.lock().contains_key(name)
    }

    /// How each link is.
    pub fn show(&self, store: &Store, clock: &Clock) -> Vec<Link> {
        let statistics = store.statistics();
        let now = clock.boottime();
        let known = self.lock();
        known.iter().map(|(name, known)| show(name, known, &statistics, now)).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Name, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn show(name: &Name, known: &Known, store: &twin_store::Statistics, now: i64) -> Link {
    let status = known.status.as_ref().map(|status| status.borrow().clone());
    let lanes = store.lanes.iter().filter(|lane| lane.link == *name);
    let pending = |class: Class| Pending {
        class: class.word().into(),
        commits: lanes.clone().filter(|l| l.class == class).map(|lane| lane.pending).sum(),
    };
    let lane = |lane: &twin_store::LaneStatistics| Lane {
        class: lane.class.word().into(),
        next: lane.next.0,
        end: lane.historical.then_some(lane.end.0),
    };
    let mut link = Link {
        name: name.to_string(),
        dialect: "twins".into(),
        target: String::new(),
        state: "starting".into(),
        detail: None,
        for_ms: None,
        overdue_ms: None,
        retry_in_ms: None,
        waits: None,
        commands: known.commands.clone(),
        traffic: control::Traffic::default(),
        pending: Class::ALL.map(pending).into(),
        lanes: lanes.clone().map(lane).collect(),
        counts: Vec::new(),
    };
    if let Some(status) = status {
        fill(&mut link, &status, now);
    }
    link
}

fn fill(link: &mut Link, status: &LinkStatus, now: i64) {
    let millis = |micros: i64| u64::try_from(micros / 1_000).unwrap_or(0);
    link.target.clone_from(&status.broker);
    link.state = status.phase.word().into();
    link.overdue_ms = status.overdue(Boottime(now)).map(millis);
    match status.phase {
        Phase::Connected { since } => link.for_ms = Some(millis(now - since.0)),
        Phase::Waiting { until } => link.retry_in_ms = Some(millis(until.0 - now)),
        Phase::Connecting | Phase::Stopped => {}
    }
    if !matches!(status.phase, Phase::Connected { .. }) {
        link.detail = status.last_error.as_ref().map(|error| error.words.clone());
    }
    let yields = status.yields_to.as_ref();
    let yields = yields.map(|other| format!("what waited goes after that of link {other}"));
    link.waits = status.waits.clone().or(yields);
    link.traffic = control::Traffic {
        bytes: status.bytes,
        values: status.values,
        day_bytes: status.day_bytes,
        day_values: status.day_values,
        month_bytes: status.month_bytes,
        budget: status.budget,
    };
    if let Some(alarm) = &status.alarm {
        if status.held {
            link.state = "held".into();
        }
        link.detail = Some(alarm.clone());
    }
    let counts = [
        ("connections", status.connections),
        ("acknowledged", status.acknowledged),
        ("historical", status.historical),
        ("passed_over", status.passed_over),
        ("in_flight", u64::try_from(status.in_flight).unwrap_or(u64::MAX)),
        ("commands", status.commands),
        ("bytes", status.bytes),
        ("values", status.values),
    ];
    link.counts = counts.into_iter().map(|(name, n)| (name.into(), n)).collect();
}

/// How many commits a link has still to deliver at most.
pub fn waiting(store: &Store, name: &Name) -> u64 {
    let lanes = store.statistics().lanes;
    let of = |class| lanes.iter().filter(move |lane| lane.link == *name && lane.class == class);
    // Every class passes every commit, so that the largest stands for all.
    Class::ALL.map(|class| of(class).map(|lane| lane.pending).sum()).into_iter().max().unwrap_or(0)
}
