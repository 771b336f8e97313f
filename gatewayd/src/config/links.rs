//! Links, and what only the whole configuration shows about them: names that match nothing, clients that end each other.

use dialects::{LinkSpec, Pattern};
use settings::{Diagnostic, KeyPath, Source};
use twin::Name;

use super::Disabled;
use super::file::GatewayFile;
use super::plan::LinePlan;

/// The links; a gateway whose name is wrong lends them another, so that their own mistakes are found.
pub(super) fn read(
    file: &GatewayFile,
    gateway: Option<&Name>,
    source: &Source,
    found: &mut Vec<Diagnostic>,
) -> Vec<LinkSpec> {
    let mut links: Vec<LinkSpec> = Vec::new();
    for (name, section) in &file.link {
        let path = KeyPath::of("link").key(name);
        match name.parse::<Name>() {
            Ok(name) => match section.spec(&name, gateway.unwrap_or(&name), source, &path) {
                Ok(spec) => links.push(spec),
                Err(mut errors) => found.append(&mut errors),
            },
            Err(error) => found.push(source.error(&path, format!("the name of the link: {error}"))),
        }
    }
    rivals(&links, source, found);
    links
}

/// A broker ends the connection of a client when another of the same id comes: two such links would never rest.
fn rivals(links: &[LinkSpec], source: &Source, found: &mut Vec<Diagnostic>) {
    for (at, link) in links.iter().enumerate() {
        let same = |other: &&LinkSpec| {
            let place = |link: &LinkSpec| (link.host.to_ascii_lowercase(), link.port);
            place(other) == place(link) && other.client_id == link.client_id
        };
        let Some(first) = links.iter().take(at).find(same) else { continue };
        let section = |name: &Name| KeyPath::of("link").key(name.as_str());
        let written = |name: &Name| section(name).key("client_id");
        // Where the second lives by the default it is the first that says the id.
        let (of, other) =
            if source.has(&written(&link.name)) { (link, first) } else { (first, link) };
        let id = &link.client_id;
        let message = format!("the link {} is the client {id:?} at the same broker", other.name);
        let error = source.error(&written(&of.name), message);
        found.push(error.help("give each link a client_id of its own, or leave it out"));
    }
}

/// Warns of patterns that match no twin and no point that there is. Of a broken device file it is not known what it
/// has: with one nothing is said of points, and its twins count.
pub(super) fn unmatched(
    links: &[LinkSpec],
    lines: &[LinePlan],
    disabled: &[Disabled],
    source: &Source,
    found: &mut Vec<Diagnostic>,
) {
    let devices = || lines.iter().flat_map(|line| &line.devices);
    let known = devices().map(|device| device.twin.to_string());
    let broken = disabled.iter().flat_map(|file| &file.twins).map(ToString::to_string);
    let twins: Vec<String> = known.chain(broken).collect();
    let points = devices().flat_map(|device| {
        let points = device.declaration.points.iter();
        points.map(|p| format!("{}/{}/{}", device.twin, p.feature, p.name))
    });
    let points: Vec<String> = points.collect();
    let writable = devices().flat_map(|device| {
        let points = device.declaration.points.iter();
        let writable = points.filter(|point| point.access.writable.is_some());
        writable.map(|p| format!("{}/{}/{}", device.twin, p.feature, p.name))
    });
    let writable: Vec<String> = writable.collect();
    for link in links {
        let section = KeyPath::of("link").key(link.name.as_str());
        let mut warn = |key: &str, patterns: &[Pattern], names: &[String], what: &str| {
            for (at, pattern) in patterns.iter().enumerate() {
                if names.iter().any(|name| pattern.matches(name)) || &*pattern.to_string() == "*" {
                    continue;
                }
                let path = section.key(key).index(at);
                let message = format!("\"{pattern}\" matches {what}");
                let near =
                    settings::nearest(&pattern.to_string(), names.iter().map(String::as_str));
                let warning = source.error(&path, message).warning();
                found.push(match near {
                    Some(near) => warning.help(format!("did you mean \"{near}\"?")),
                    None => warning,
                });
            }
        };
        warn("twins", &link.twins, &twins, "no twin of any device file");
        if disabled.is_empty() {
            let none = "no point of any device file; points are written twin/feature/name";
            warn("points", &link.points, &points, none);
        }
        if disabled.is_empty() {
            let none = "no writable point; points are written twin/feature/name";
            warn("commands", link.commands.as_deref().unwrap_or_default(), &writable, none);
        }
    }
}
