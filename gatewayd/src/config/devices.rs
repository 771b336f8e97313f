//! The directory of device files.

use std::ffi::OsStr;
use std::sync::Arc;

use settings::{Diagnostic, KeyPath, Source, has_errors};
use twin::TwinId;

use super::lines::{Draft, Named};
use super::plan::DevicePlan;
use super::set::DEVICES;
use super::{Disabled, Places, Set, device};
use crate::pool::Pool;

/// Everything that the device files say, in the order of their names, and the files that are broken.
///
/// `known` are the lines of gatewayd.toml; `None` where it is broken and nothing is known of them.
pub(super) fn read(
    places: &Places,
    files: &Set,
    known: Option<&Named>,
    diagnostics: &mut Vec<Diagnostic>,
) -> (Vec<Draft>, Vec<Disabled>) {
    let (mut drafts, mut disabled) = (Vec::new(), Vec::new());
    let (mut declarations, mut codecs) = (Pool::default(), Pool::default());
    for (name, bytes) in files.within(DEVICES) {
        let path = places.path(name);
        if name == DEVICES {
            diagnostics.extend(super::read(places, name, Some(bytes)).err().into_iter().flatten());
            continue;
        }
        let stem = path.file_stem().and_then(OsStr::to_str).unwrap_or("").to_owned();
        let mut found = Vec::new();
        let source = match super::read(places, name, Some(bytes)) {
            Ok(source) => source,
            Err(mut errors) => {
                diagnostics.append(&mut errors);
                let file: Arc<str> = path.display().to_string().into();
                disabled.push(Disabled { file, twins: stem.parse().ok().into_iter().collect() });
                continue;
            }
        };
        let devices = device::read(&source, &stem, &places.profiles, known, &mut found);
        found.sort_by_key(|d| (d.line, d.column));
        if has_errors(&found) {
            disabled.push(Disabled { file: source.name().clone(), twins: claimed(&source, &stem) });
        } else {
            drafts.extend(devices.into_iter().map(|mut draft| {
                let DevicePlan { declaration, device, .. } = &mut draft.plan;
                *declaration = declarations.share(declaration.clone());
                device.codecs = codecs.share(device.codecs.clone());
                draft
            }));
        }
        diagnostics.append(&mut found);
    }
    (drafts, disabled)
}

/// The twin that a broken file is about.
fn claimed(source: &Source, stem: &str) -> Vec<TwinId> {
    let said = source.text_at(&KeyPath::of("id"));
    said.unwrap_or(stem).parse().ok().into_iter().collect()
}
