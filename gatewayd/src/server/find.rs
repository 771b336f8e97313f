//! Finds twins and points by the names that people type.

use control::{Code, Failure};
use twin::{Description, State, Twin, TwinId};

/// The twin with this id.
pub fn twin<'a>(state: &'a State, id: &str) -> Result<&'a Twin, Failure> {
    let known = id.parse::<TwinId>().ok().and_then(|id| state.twin(&id));
    known.ok_or_else(|| {
        let ids = state.twins().map(|twin| twin.id().as_str());
        let help = match settings::nearest(id, ids) {
            Some(near) => format!("did you mean {near}? All of them: gatewayctl twins --brief"),
            None => "all of them: gatewayctl twins --brief".into(),
        };
        Failure::new(Code::NotFound, format!("there is no twin {id:?}")).help(help)
    })
}

/// The index of the point in use that is called `feature/name`, or `name` where that is unique in the twin.
pub fn point(twin: &Twin, called: &str) -> Result<u16, Failure> {
    let description = twin.description();
    let found: Vec<u16> = match called.split_once('/') {
        Some((feature, name)) => description.find(feature, name).into_iter().collect(),
        None => super::view::indexes(description)
            .filter(|index| {
                description.point(*index).is_some_and(|p| p.spec.name.as_str() == called)
            })
            .collect(),
    };
    let help = format!("its points: gatewayctl twins {}", twin.id());
    one(twin, "point", called, (&found, super::view::indexes(description)), help)
}

/// The only index that a name was found at; otherwise what there is among `all` that may have been meant.
///
/// `noun` says what was looked for, and `help` where all of them are shown.
pub fn one(
    twin: &Twin,
    noun: &str,
    called: &str,
    (found, all): (&[u16], impl Iterator<Item = u16>),
    help: String,
) -> Result<u16, Failure> {
    let (id, description) = (twin.id(), twin.description());
    match found {
        [one] => Ok(*one),
        [] => {
            let names: Vec<String> = all.map(|index| name(description, index)).collect();
            let whole = settings::nearest(called, names.iter().map(String::as_str));
            let last = |name: &'_ String| name.split_once('/').map(|(_, name)| name.to_owned());
            let short: Vec<String> = names.iter().filter_map(last).collect();
            let near =
                whole.or_else(|| settings::nearest(called, short.iter().map(String::as_str)));
            let help = near.map_or(help, |near| format!("did you mean {id}/{near}?"));
            let words = format!("{id} has no {noun} {called:?}");
            Err(Failure::new(Code::NotFound, words).help(help))
        }
        several => {
            let names: Vec<String> =
                several.iter().map(|index| format!("{id}/{}", name(description, *index))).collect();
            let words = format!("{id} has {} {noun}s called {called:?}", several.len());
            let help = format!("name the feature as well: {}", names.join(", "));
            Err(Failure::new(Code::BadRequest, words).help(help))
        }
    }
}

/// The name of a point: `feature/name`.
pub fn name(description: &Description, index: u16) -> String {
    description.point(index).map_or_else(
        || format!("point {index}"),
        |point| format!("{}/{}", point.spec.feature, point.spec.name),
    )
}
