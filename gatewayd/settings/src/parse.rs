//! From text to a struct, or to every mistake in the text.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::diagnostic::Diagnostic;
use crate::path::KeyPath;
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
    let schema = schema::<T>();
    let mut found = source.syntax();
    let broken = found.first().map(|d| d.line);
    let mut walked = walk::check(source, &schema);
    if let Some(line) = broken {
        // Beyond the first mistake of syntax the parser guesses, and nothing is known to be missing.
        // What it made up stands at no place, which shows as the first one.
        let real = |d: &Diagnostic| (d.line, d.column) != (1, 1) || walk::is_unknown(d);
        walked.retain(|d| d.line < line && !walk::is_missing(d) && real(d));
    }
    found.append(&mut walked);
    found.sort_by_key(|d| (d.line, d.column));
    if found.is_empty() {
        return toml::from_str(source.text()).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            vec![source.at(&span, &KeyPath::root(), error.message().to_owned())]
        });
    }
    let more = found.len().saturating_sub(LISTED);
    if more > 0 {
        found.truncate(LISTED);
        found.push(Diagnostic::whole(source.name(), format!("and {more} more mistakes")));
    }
    Err(found)
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
    if let Err(found) = parse::<Anything>(&source) {
        assert!(!found.is_empty(), "an error says what is wrong");
        for diagnostic in found {
            let _ = diagnostic.to_string();
        }
    }
}
