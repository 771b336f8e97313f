//! From text to a struct, or to every mistake in the text.

use std::collections::HashMap;
use std::sync::Arc;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::diagnostic::Diagnostic;
use crate::path::{KeyPath, Step};
use crate::source::Source;
use crate::walk;

/// More mistakes than this are counted, not listed.
const LISTED: usize = 100;

/// Reads `T` from a file, or lists everything that is wrong with it, in the order of the file.
///
/// A key that `T` does not have is a mistake, whether or not `T` denies unknown fields; so `#[serde(flatten)]` may
/// be used to compose tables. Internally tagged and untagged enums lose their positions and should not be used.
///
/// # Errors
/// The mistakes; never empty.
pub fn parse<T: DeserializeOwned + JsonSchema>(source: &Source) -> Result<T, Vec<Diagnostic>> {
    match partly(source) {
        (Some(value), found) if found.is_empty() => Ok(value),
        (_, found) => Err(found),
    }
}

/// Everything that is wrong with a file, and what is left of it without that: so that its meaning can be judged in the
/// same run. `None` where the mistakes leave nothing that makes sense. [`join`] the mistakes of meaning to these.
///
/// A key that is missing is an empty text in what is left.
pub fn partly<T: DeserializeOwned + JsonSchema>(source: &Source) -> (Option<T>, Vec<Diagnostic>) {
    let schema = schema::<T>();
    let mut found = source.syntax();
    let mut broken: HashMap<Arc<str>, u32> = HashMap::new();
    for mistake in &found {
        broken.entry(mistake.file.clone()).or_insert(mistake.line);
    }
    let walk::Found { wrong: mut walked, expanded } = walk::check(source, &schema);
    if !broken.is_empty() {
        // Beyond the first mistake of syntax the parser guesses, and nothing is known to be missing.
        // What it made up stands at no place, which shows as the first one.
        let real = |d: &Diagnostic| (d.line, d.column) != (1, 1) || walk::is_unknown(d);
        walked.retain(|(_, d)| {
            let before = broken.get(&d.file).is_none_or(|line| d.line < *line);
            before && !walk::is_missing(d) && real(d)
        });
    }
    let usable = broken.is_empty() && source.twice().is_empty();
    let literal = walked.is_empty() && expanded.is_empty() && source.is_alone();
    let rest = if usable && !literal { rest(source, &walked, &expanded) } else { None };
    found.extend(source.twice().iter().cloned());
    found.extend(walked.into_iter().map(|(_, diagnostic)| diagnostic));
    source.sort(&mut found);
    if found.is_empty() {
        return whole(source, rest);
    }
    let more = found.len().saturating_sub(LISTED);
    if more > 0 {
        found.truncate(LISTED);
        found.push(Diagnostic::whole(source.name(), format!("and {more} more mistakes")));
    }
    (rest.and_then(|rest| rest.try_into().ok()), found)
}

/// A file without mistakes of shape. Where its text is what it says, serde knows the places of what it does not like.
fn whole<T: DeserializeOwned>(
    source: &Source,
    table: Option<toml::Table>,
) -> (Option<T>, Vec<Diagnostic>) {
    let (parsed, spans) = match table {
        Some(table) => (table.try_into(), false),
        None => (toml::from_str(source.text()), true),
    };
    match parsed {
        Ok(value) => (Some(value), Vec::new()),
        Err(error) if spans => {
            let span = error.span().unwrap_or(0..0);
            (None, vec![source.at(0, &span, &KeyPath::root(), error.message().to_owned())])
        }
        Err(error) => (None, vec![Diagnostic::whole(source.name(), error.message().to_owned())]),
    }
}

/// Adds the mistakes of meaning to the mistakes of shape, without those that may only follow from them: they stand in
/// a table in which something is wrong already.
#[must_use]
pub fn join(mut shape: Vec<Diagnostic>, meaning: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let follows = |d: &Diagnostic| {
        shape.iter().any(|wrong| {
            let table = wrong.key.rsplit_once('.').map_or("", |(table, _)| table);
            let rest = d.key.strip_prefix(table);
            wrong.file == d.file
                && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    };
    let own: Vec<Diagnostic> = meaning.into_iter().filter(|d| !follows(d)).collect();
    shape.extend(own);
    shape
}

/// The file without what is wrong; `None` where that stands at the top and changes what everything means.
fn rest(
    source: &Source,
    wrong: &[(KeyPath, Diagnostic)],
    expanded: &[(KeyPath, String)],
) -> Option<toml::Table> {
    let mut all = source.parsed()?;
    for (path, text) in expanded {
        if let Some(value) = find(&mut all, &path.0) {
            *value = toml::Value::String(text.clone());
        }
    }
    for (path, diagnostic) in wrong {
        let (table, key) = path.table()?;
        // What stood here may have gone together with another mistake.
        let here = find(&mut all, table).and_then(toml::Value::as_table_mut);
        let Some(here) = here else { continue };
        if walk::is_missing(diagnostic) {
            here.insert(key.to_owned(), toml::Value::String(String::new()));
        } else {
            here.remove(key);
        }
    }
    Some(all)
}

fn find<'a>(all: &'a mut toml::Table, path: &[Step]) -> Option<&'a mut toml::Value> {
    let mut steps = path.iter();
    let mut here = match steps.next()? {
        Step::Key(key) => all.get_mut(key)?,
        Step::Index(_) => return None,
    };
    for step in steps {
        here = match step {
            Step::Key(key) => here.get_mut(key)?,
            Step::Index(index) => here.get_mut(*index)?,
        };
    }
    Some(here)
}

/// The JSON schema (draft 7, without references) of the files that `T` is read from.
#[must_use]
pub fn schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft07().with(|s| s.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// Reads hostile bytes as settings of every shape and shows what is wrong; for fuzzing.
pub fn fuzz_one(data: &[u8]) {
    #[derive(Debug, serde::Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Anything {
        name: String,
        a: Option<crate::Duration>,
        b: Option<crate::ByteSize>,
        c: Option<crate::Secret>,
        d: Option<u8>,
        e: Option<Vec<f64>>,
        #[serde(default)]
        line: std::collections::BTreeMap<String, Self>,
        #[serde(default)]
        point: Vec<std::collections::BTreeMap<String, bool>>,
    }
    let text = String::from_utf8_lossy(data);
    let (first, second) = text.split_once('\u{1}').unwrap_or((&text, ""));
    let source = Source::from_text("fuzz", first)
        .expanding(&crate::Environment::of(&[("A", "a"), ("B", "${A}")]))
        .with_fragments(&[Source::from_text("more", second)]);
    let (_, found) = partly::<Anything>(&source);
    for mistake in join(found.clone(), found) {
        assert!(!mistake.message.is_empty(), "a mistake has words");
    }
    if let Err(found) = parse::<Anything>(&source) {
        assert!(!found.is_empty(), "an error says what is wrong");
        for diagnostic in found {
            let _ = diagnostic.to_string();
        }
    }
}
