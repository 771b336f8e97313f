//! gatewayd.toml itself.

use std::path::PathBuf;

use adapter_modbus::config as modbus;
use dialects::LinkSpec;
use settings::{ByteSize, Diagnostic, Duration, KeyPath, Place, Source, has_errors};
use twin::Name;

use super::file::{GatewayFile, ProtocolWord};
use super::lines::{Named, NamedLine};
use super::links;
use super::plan::{ControlPlan, LinePlan, LogPlan, Plan, Said, StorePlan};

/// gatewayd.toml without mistakes.
#[derive(Debug)]
pub(super) struct Gateway {
    name: Name,
    store: StorePlan,
    pub links: Vec<LinkSpec>,
    health: Option<std::net::SocketAddr>,
    log: LogPlan,
    control: ControlPlan,
    said: Said,
    /// The lines that it names.
    pub lines: Named,
}

impl Gateway {
    /// The plan, with the lines that have devices.
    pub(super) fn plan(self, modbus: Vec<LinePlan>) -> Plan {
        let Self { name, store, links, health, log, control, said, lines: _ } = self;
        Plan { gateway: name, store, modbus, links, health, log, control, said }
    }
}

/// What gatewayd.toml says; `None` where there is a mistake. Links are those of the gateway that runs already as
/// `running`, where one does.
pub(super) fn read(
    source: &Source,
    running: Option<&Name>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Gateway> {
    let (file, shape) = settings::partly::<GatewayFile>(source);
    let Some(file) = file else {
        diagnostics.extend(shape);
        return None;
    };
    let mut found = Vec::new();
    let name = name(&file, source, &mut found);
    let lines = lines(&file, source, &mut found);
    let links = links::read(&file, running.or(name.as_ref()), source, &mut found);
    let health = file.health.listen.as_deref().and_then(|text| {
        let address = text.parse().ok();
        if address.is_none() {
            let path = KeyPath::of("health").key("listen");
            let error = source.error(&path, format!("{text:?} is no address to listen at"));
            found.push(error.help("write an address and a port: \"127.0.0.1:9464\""));
        }
        address
    });
    let store = store(&file, source, &mut found);
    let control = ControlPlan {
        socket: file.control.socket.unwrap_or_else(|| "/run/gatewayd/control.sock".into()),
        group: file.control.group,
    };
    let log = LogPlan { level: file.log.level.unwrap_or_default(), parts: file.log.parts };
    let mut found = settings::join(shape, found);
    let broken = has_errors(&found);
    source.sort(&mut found);
    diagnostics.append(&mut found);
    let said = Said(source.table());
    (!broken).then_some(Gateway { name: name?, store, links, health, log, control, said, lines })
}

fn name(file: &GatewayFile, source: &Source, found: &mut Vec<Diagnostic>) -> Option<Name> {
    let path = KeyPath::of("gateway").key("name");
    let name = file.gateway.name.parse::<Name>();
    name.map_err(|error| found.push(source.error(&path, error.to_string()))).ok()
}

fn store(file: &GatewayFile, source: &Source, found: &mut Vec<Diagnostic>) -> StorePlan {
    let place = Place::new(source, KeyPath::of("store"));
    let keys = &file.store;
    let flush = keys.flush.unwrap_or(Duration::seconds(1));
    let plan = StorePlan {
        dir: keys.dir.clone().unwrap_or_else(|| PathBuf::from("/var/lib/gatewayd")),
        flush,
        stretch: keys.stretch.unwrap_or(Duration::seconds(10).max(flush)),
        samples: keys.samples.unwrap_or(ByteSize::mebibytes(256)),
        samples_age: keys.samples_age,
        thin: keys.thin.unwrap_or(Duration::seconds(60)),
        thin_age: keys.thin_age,
        records: keys.records.unwrap_or(ByteSize::mebibytes(64)),
        records_age: keys.records_age,
        application: keys.application.unwrap_or(ByteSize::mebibytes(64)),
        ring: keys.ring.unwrap_or(ByteSize::mebibytes(4)),
    };
    if plan.flush > Duration::seconds(60) {
        found.push(place.error("flush", "a power cut would take more than a minute of readings"));
    }
    if plan.stretch < plan.flush {
        let error = place.error("stretch", format!("it is shorter than flush, {}", plan.flush));
        found.push(error.help("flush may stretch up to it: give at least as much"));
    }
    let least = ByteSize::mebibytes(16);
    for (key, size) in [("samples", plan.samples), ("records", plan.records)] {
        if size < least {
            found.push(place.error(key, format!("the smallest budget is {least}")));
        }
    }
    if plan.application < ByteSize::mebibytes(4) {
        found.push(place.error("application", "the smallest budget is 4MiB"));
    }
    if plan.ring < ByteSize::bytes(64 << 10) || plan.ring > ByteSize::mebibytes(1024) {
        found.push(place.error("ring", "give 64KiB to 1GiB"));
    }
    let ages = [plan.samples_age, plan.records_age, plan.thin_age];
    for (key, age) in ["samples_age", "records_age", "thin_age"].into_iter().zip(ages) {
        if age.is_some_and(|age| age < Duration::seconds(60)) {
            found.push(place.error(key, "the shortest age is 1min"));
        }
    }
    thinning(&plan, &place, found);
    plan
}

fn thinning(plan: &StorePlan, place: &Place, found: &mut Vec<Diagnostic>) {
    let off = plan.thin == Duration::seconds(0);
    if !off && (plan.thin < Duration::seconds(1) || plan.thin > Duration::seconds(86_400)) {
        let error = place.error("thin", "one envelope stands for 1s to 24h");
        found.push(error.help("\"0\" keeps readings as they are until the oldest are dropped"));
    }
    if off && plan.thin_age.is_some() {
        let error = place.error("thin_age", "readings do not become envelopes: thin is \"0\"");
        found.push(error.help("give thin an interval, or leave thin_age out"));
    }
    if plan.thin_age.zip(plan.samples_age).is_some_and(|(thin, gone)| thin >= gone) {
        let error = place.error("thin_age", "readings of this age are gone: samples_age is less");
        found.push(error.help("give thin_age less than samples_age"));
    }
}

fn lines(file: &GatewayFile, source: &Source, found: &mut Vec<Diagnostic>) -> Named {
    let mut named = Named::default();
    for (name, keys) in &file.line {
        let place = Place::new(source, KeyPath::of("line").key(name));
        if let Err(error) = name.parse::<Name>() {
            found.push(place.whole(format!("the name of the line: {error}")));
        }
        let ProtocolWord::Modbus = keys.protocol.unwrap_or_default();
        if let Some(spec) = modbus::line(name, &keys.modbus, &place, found) {
            let timeout = keys.modbus.timing.timeout;
            named.add(NamedLine { spec, timeout, place }, found);
        }
    }
    named
}
