//! The schema as editors want it: closed, with patterns instead of our own formats, without `null`.

use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use crate::scalar::{self, BYTE_SIZE, DURATION};
use crate::secret::{self, SECRET};

/// The JSON schema (draft 7) of the files that `T` is read from, for editors: Taplo, Even Better TOML.
///
/// It refuses what [`crate::parse`] refuses, as far as a schema can say it.
#[must_use]
pub fn editor_schema<T: JsonSchema>(title: &str) -> Value {
    let mut schema = crate::schema::<T>();
    tighten(&mut schema);
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".to_owned(), title.into());
    }
    schema
}

fn tighten(schema: &mut Value) {
    match schema {
        Value::Object(keys) => {
            without_null(keys);
            // An editor shows every line break; the source has them where its lines end.
            if let Some(Value::String(text)) = keys.get_mut("description") {
                let paragraphs: Vec<String> =
                    text.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect();
                *text = paragraphs.join("\n\n");
            }
            keys.values_mut().for_each(tighten);
            if keys.contains_key("properties") && !keys.contains_key("additionalProperties") {
                keys.insert("additionalProperties".to_owned(), false.into());
            }
            let format = keys.get("format").and_then(Value::as_str);
            if let Some(pattern) = format.and_then(pattern) {
                keys.shift_remove("format");
                keys.insert("pattern".to_owned(), pattern.into());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(tighten),
        _ => {}
    }
}

/// TOML has no `null`: a key that may be absent is only not required.
fn without_null(keys: &mut Map<String, Value>) {
    let null = json!("null");
    if let Some(Value::Array(words)) = keys.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    if let Some(Value::Array(types)) = keys.get_mut("type") {
        types.retain(|name| *name != null);
        if let [one] = types.as_slice() {
            let one = one.clone();
            keys.insert("type".to_owned(), one);
        }
    }
    if keys.get("default") == Some(&Value::Null) {
        keys.shift_remove("default");
    }
    if let Some(Value::Array(branches)) = keys.get_mut("anyOf") {
        branches.retain(|branch| branch.get("type") != Some(&null));
        if let [Value::Object(one)] = branches.as_mut_slice() {
            let one = std::mem::take(one);
            keys.shift_remove("anyOf");
            // What is said where the type is used says more than the type's own words.
            for (key, value) in one {
                keys.entry(key).or_insert(value);
            }
        }
    }
}

/// What a text of one of our own formats looks like, as a regular expression. A variable may stand for anything.
fn pattern(format: &str) -> Option<String> {
    let or_variable = |pattern: String| format!(r"{pattern}|\$\{{");
    Some(match format {
        DURATION => or_variable(scalar::pattern(scalar::TIMES)),
        BYTE_SIZE => or_variable(scalar::pattern(scalar::SIZES)),
        SECRET => secret::PATTERN.to_owned(),
        _ => return None,
    })
}
