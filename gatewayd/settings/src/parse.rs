//! From text to a struct, or to every mistake in the text.

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
    let broken = found.first().map(|d| d.line);
    let mut walked = walk::check(source, &schema);
    if let Some(line) = broken {
        // Beyond the first mistake of syntax the parser guesses, and nothing is known to be missing.
        // What it made up stands at no place, which shows as the first one.
        let real = |d: &Diagnostic| (d.line, d.column) != (1, 1) || walk::is_unknown(d);
        walked.retain(|(_, d)| d.line < line && !walk::is_missing(d) && real(d));
    }
    let rest = if broken.is_some() { None } else { rest(source, &walked) };
    found.extend(walked.into_iter().map(|(_, diagnostic)| diagnostic));
    found.sort_by_key(|d| (d.line, d.column));
    if found.is_empty() {
        return match toml::from_str(source.text()) {
            Ok(value) => (Some(value), found),
            Err(error) => {
                let span = error.span().unwrap_or(0..0);
                (None, vec![source.at(&span, &KeyPath::root(), error.message().to_owned())])
            }
        };
    }
    let more = found.len().saturating_sub(LISTED);
    if more > 0 {
        found.truncate(LISTED);
        found.push(Diagnostic::whole(source.name(), format!("and {more} more mistakes")));
    }
    (rest.and_then(|rest| rest.try_into().ok()), found)
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
fn rest(source: &Source, wrong: &[(KeyPath, Diagnostic)]) -> Option<toml::Table> {
    if wrong.is_empty() {
        return None;
    }
    let mut all: toml::Table = source.text().parse().ok()?;
    for (path, diagnostic) in wrong {
        let (table, key) = path.table()?;
        let mut steps = table.iter();
        let mut here = match steps.next()? {
            Step::Key(key) => all.get_mut(key),
            Step::Index(_) => None,
        };
        for step in steps {
            here = match step {
                Step::Key(key) => here.and_then(|value| value.get_mut(key)),
                Step::Index(index) => here.and_then(|value| value.get_mut(*index)),
            };
        }
        // What stood here may have gone together with another mistake.
        let Some(here) = here.and_then(toml::Value::as_table_mut) else { continue };
        if walk::is_missing(diagnostic) {
            here.insert(key.to_owned(), toml::Value::String(String::new()));
        } else {
            here.remove(key);
        }
    }
    Some(all)
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
    let source = Source::from_text("fuzz", String::from_utf8_lossy(data));
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
