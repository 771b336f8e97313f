//! Metrics in the OpenMetrics text format, computed when asked for.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::daemon::Hub;

type Labels<'a> = Vec<(&'static str, &'a str)>;

/// All metrics as text.
pub fn encode(hub: &Hub) -> Vec<u8> {
    let mut registry = Registry::with_prefix("gatewayd");
    registry.register_collector(Box::new(Snapshot::of(hub)));
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &registry) {
        Ok(()) => text.into_bytes(),
        Err(_) => b"# EOF\n".into(),
    }
}

#[derive(Debug)]
struct Snapshot {
    status: control::Status,
    links: Vec<control::Link>,
    lines: Vec<control::Line>,
    memory: i64,
    ring: i64,
    last_sync_micros: i64,
    troubles: Vec<twin_store::Part>,
    families: Vec<(&'static str, i64)>,
    twins: Vec<Entanglement>,
}

/// How a twin stands with its asset.
#[derive(Debug)]
struct Entanglement {
    twin: String,
    life_cycle: i64,
    entangled: Option<twin::Entangled>,
    /// By name, whether it is active, and whether it waits for somebody.
    alarms: Vec<(String, bool, bool)>,
}

impl Snapshot {
    fn of(hub: &Hub) -> Self {
        let statistics = hub.store.statistics();
        Self {
            status: hub.status(),
            links: hub.links.show(&hub.store, &hub.clock),
            lines: hub.lines.show(&hub.clock),
            memory: resident(),
            ring: i64::try_from(statistics.ring.1).unwrap_or(i64::MAX),
            last_sync_micros: whole(statistics.counters.last_sync_micros),
            troubles: statistics.troubles.iter().map(|trouble| trouble.part).collect(),
            families: statistics
                .families
                .iter()
                .map(|(family, bytes, _)| (family.word(), whole(*bytes)))
                .collect(),
            twins: hub.store.read(|state| state.twins().map(Entanglement::of).collect()),
        }
    }
}

impl Entanglement {
    fn of(twin: &twin::Twin) -> Self {
        Self {
            twin: twin.id().to_string(),
            life_cycle: i64::from(twin.life_cycle() as u8),
            entangled: twin.entangled().map(|(_, entangled)| entangled),
            alarms: super::alarms::indexes(twin).map(|index| alarm(twin, index)).collect(),
        }
    }

    fn alarms(
        &self,
        of: fn(&(String, bool, bool)) -> bool,
    ) -> impl Iterator<Item = (Labels<'_>, i64)> {
        self.alarms.iter().map(move |alarm| {
            let labels = vec![("twin", self.twin.as_str()), ("alarm", alarm.0.as_str())];
            (labels, i64::from(of(alarm)))
        })
    }

    fn factors(&self) -> impl Iterator<Item = (Labels<'_>, f64)> {
        let all = self.entangled.map(|entangled| {
            let [timeliness, reliability, availability] = entangled.figures();
            [
                ("value", entangled.value()),
                ("timeliness", timeliness),
                ("reliability", reliability),
                ("availability", availability),
            ]
        });
        all.into_iter().flatten().map(|(factor, share)| {
            (vec![("twin", self.twin.as_str()), ("factor", factor)], f64::from(share))
        })
    }
}

impl Collector for Snapshot {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut out = Out(encoder);
        let status = &self.status;
        out.gauge(
            "uptime_seconds",
            "Time since the daemon started",
            &[(vec![], whole(status.uptime_ms / 1_000))],
        )?;
        out.gauge("alarms", "Standing alarms", &[(vec![], whole(status.alarms.len() as u64))])?;
        out.gauge(
            "writes_on",
            "Whether commands are carried out",
            &[(vec![], i64::from(status.writes.on))],
        )?;
        let memory = [
            (vec![("component", "process")], self.memory),
            (vec![("component", "ring")], self.ring),
        ];
        out.gauge("memory_bytes", "Memory in use", &memory)?;
        out.gauge(
            "store_sync_microseconds",
            "What the last round of disk work took",
            &[(vec![], self.last_sync_micros)],
        )?;
        let troubles: Vec<_> = twin_store::Part::ALL
            .iter()
            .map(|part| (vec![("part", part.word())], i64::from(self.troubles.contains(part))))
            .collect();
        out.gauge("store_trouble", "What stands between the store and its disk", &troubles)?;
        let families: Vec<_> =
            self.families.iter().map(|(family, n)| (vec![("family", *family)], *n)).collect();
        out.gauge("store_disk_bytes", "Bytes of the log on disk", &families)?;
        let twins = status.twins.iter();
        let twins: Vec<_> =
            twins.map(|(state, n)| (vec![("life_cycle", state.as_str())], whole(*n))).collect();
        out.gauge("twins", "Twins by life cycle state", &twins)?;
        let states: Vec<_> =
            self.twins.iter().map(|t| (vec![("twin", t.twin.as_str())], t.life_cycle)).collect();
        out.gauge(
            "twin_life_cycle",
            "0 created, 1 unbound, 2 bound, 3 shadowed, 4 out of sync, 5 done, 6 migrating",
            &states,
        )?;
        let factors: Vec<_> = self.twins.iter().flat_map(Entanglement::factors).collect();
        let help = "How closely the twin follows its asset, 0 to 1; the value is the product of its factors";
        out.gauge("twin_entanglement", help, &factors)?;
        let active: Vec<_> = self.twins.iter().flat_map(|t| t.alarms(|alarm| alarm.1)).collect();
        out.gauge("twin_alarm_active", "Whether the cause of an alarm is present", &active)?;
        let waiting: Vec<_> = self.twins.iter().flat_map(|t| t.alarms(|alarm| alarm.2)).collect();
        let help = "Whether an alarm waits to be acknowledged and is not shelved";
        out.gauge("twin_alarm_waiting", help, &waiting)?;
        let units = status.units.iter();
        let restarts: Vec<_> =
            units.map(|unit| (vec![("unit", unit.name.as_str())], unit.restarts)).collect();
        out.counter("unit_restarts", "How often a part was started again", &restarts)?;
        let store: Vec<_> = status
            .store
            .counts
            .iter()
            .map(|(what, n)| (vec![("what", what.as_str())], *n))
            .collect();
        out.counter("store", "What the store counts", &store)?;
        self.links(&mut out)?;
        self.lines(&mut out)
    }
}

impl Snapshot {
    fn links(&self, out: &mut Out<'_>) -> fmt::Result {
        let links = self.links.iter();
        let up: Vec<_> = links
            .clone()
            .map(|l| (vec![("link", l.name.as_str())], i64::from(l.state == "connected")))
            .collect();
        out.gauge("link_connected", "Whether the link is connected and not held", &up)?;
        let overdue: Vec<_> = links
            .clone()
            .map(|l| (vec![("link", l.name.as_str())], whole(l.overdue_ms.unwrap_or(0) / 1_000)))
            .collect();
        out.gauge(
            "link_overdue_seconds",
            "Time without a connection, where that is longer than the link may be without one",
            &overdue,
        )?;
        let month: Vec<_> = links
            .clone()
            .map(|l| (vec![("link", l.name.as_str())], whole(l.traffic.month_bytes)))
            .collect();
        out.gauge("link_month_bytes", "Bytes of MQTT in this month, both ways", &month)?;
        let pending = links.clone().flat_map(|link| {
            let of = |p| (labels(&link.name, p), whole(p.commits));
            link.pending.iter().map(of)
        });
        let pending: Vec<_> = pending.collect();
        out.gauge("link_pending_commits", "Commits that wait for the link, at most", &pending)?;
        let counts: Vec<_> = links.flat_map(|l| counts("link", &l.name, &l.counts)).collect();
        out.counter("link", "What the link counts", &counts)
    }

    fn lines(&self, out: &mut Out<'_>) -> fmt::Result {
        let lines = self.lines.iter();
        let up: Vec<_> = lines
            .clone()
            .map(|l| (vec![("line", l.name.as_str())], i64::from(l.state == "up")))
            .collect();
        out.gauge("line_up", "Whether the line is open and works", &up)?;
        let devices = lines.clone().flat_map(|line| &line.devices);
        let online: Vec<_> = devices
            .map(|d| (vec![("twin", d.twin.as_str())], i64::from(d.state == "online")))
            .collect();
        out.gauge("device_online", "Whether the device answers", &online)?;
        let counts: Vec<_> = lines.flat_map(|l| counts("line", &l.name, &l.counts)).collect();
        out.counter("line", "What the line counts", &counts)
    }
}

fn labels<'a>(link: &'a str, pending: &'a control::Pending) -> Labels<'a> {
    vec![("link", link), ("class", &pending.class)]
}

fn counts<'a>(
    kind: &'static str,
    name: &'a str,
    counts: &'a [(String, u64)],
) -> impl Iterator<Item = (Labels<'a>, u64)> {
    counts.iter().map(move |(what, n)| (vec![(kind, name), ("what", what.as_str())], *n))
}

fn alarm(twin: &twin::Twin, index: u16) -> (String, bool, bool) {
    let state = twin.alarms().get(&index).map(|standing| standing.event.state);
    let active = state.is_some_and(|state| state.active);
    let waits = state.is_some_and(|state| !state.acknowledged && !state.shelved);
    (super::find::name(twin.description(), index), active, waits)
}

struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    fn gauge<N: EncodeGaugeValue + Copy>(
        &mut self,
        name: &str,
        help: &str,
        values: &[(Labels<'_>, N)],
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            if labels.is_empty() {
                return ConstGauge::new(*value).encode(family);
            }
            ConstGauge::new(*value).encode(family.encode_family(labels)?)?;
        }
        Ok(())
    }

    fn counter(&mut self, name: &str, help: &str, values: &[(Labels<'_>, u64)]) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            ConstCounter::new(*value).encode(family.encode_family(labels)?)?;
        }
        Ok(())
    }
}

fn whole(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Bytes of memory that the process really uses; 0 where the kernel does not tell.
fn resident() -> i64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: i64 = text.split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    pages.saturating_mul(i64::try_from(rustix::param::page_size()).unwrap_or(4096))
}
