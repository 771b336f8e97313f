//! Compares a file with the JSON schema of what should be in it.

use serde_json::Value;

use crate::diagnostic::Diagnostic;
use crate::nearest::nearest;
use crate::path::KeyPath;
use crate::scalar::{BYTE_SIZE, ByteSize, DURATION, Duration};
use crate::secret::{SECRET, Secret};
use crate::source::Source;
use crate::tree::{Node, Shape};

const MISSING: &str = "is missing";
const UNKNOWN: &str = "unknown key";

/// Whether this says that a key is missing.
pub(crate) fn is_missing(diagnostic: &Diagnostic) -> bool {
    diagnostic.message == MISSING
}

/// Whether this says that a key is unknown.
pub(crate) fn is_unknown(diagnostic: &Diagnostic) -> bool {
    diagnostic.message == UNKNOWN
}

/// What a walk through a file finds.
pub(crate) struct Found {
    /// Everything in which the file differs from the schema, and where.
    pub(crate) wrong: Vec<(KeyPath, Diagnostic)>,
    /// Texts whose variables were filled in.
    pub(crate) expanded: Vec<(KeyPath, String)>,
}

/// Compares the file with the schema.
pub(crate) fn check(source: &Source, schema: &Value) -> Found {
    let mut walk = Walk { source, root: schema, found: Vec::new(), expanded: Vec::new() };
    walk.value(source.root(), schema, &KeyPath::root());
    Found { wrong: walk.found, expanded: walk.expanded }
}

struct Walk<'a> {
    source: &'a Source,
    root: &'a Value,
    found: Vec<(KeyPath, Diagnostic)>,
    expanded: Vec<(KeyPath, String)>,
}

impl<'a> Walk<'a> {
    /// Fills in the variables of a text, and judges what comes of it.
    fn value(&mut self, node: &Node, schema: &'a Value, path: &KeyPath) {
        let schema = self.resolve(schema);
        let Shape::Text(text) = &node.shape else { return self.plain(node, schema, path) };
        if is_secret(schema) {
            return self.plain(node, schema, path);
        }
        match self.source.environment().expand(text) {
            Ok(None) => self.plain(node, schema, path),
            Ok(Some(text)) => {
                self.expanded.push((path.clone(), text.clone()));
                let (file, key, span) = (node.file, node.key.clone(), node.span.clone());
                self.plain(&Node { file, key, span, shape: Shape::Text(text) }, schema, path);
            }
            Err(error) => {
                let mut diagnostic = self.source.at(node.file, &node.span, path, error.to_string());
                diagnostic.help = error.help();
                self.found.push((path.clone(), diagnostic));
            }
        }
    }

    fn plain(&mut self, node: &Node, schema: &'a Value, path: &KeyPath) {
        let schema = self.resolve(schema);
        let branches = branches(schema);
        if !branches.is_empty() {
            return self.one_of(node, &branches, path);
        }
        let types = types(schema);
        if !types.is_empty() && !types.iter().any(|t| fits(t, &node.shape)) {
            let expected: Vec<_> = types.iter().filter_map(|t| type_words(t)).collect();
            let message =
                format!("expected {}, found {}", expected.join(" or "), node.shape.words());
            return self.report(node, path, schema, message);
        }
        match &node.shape {
            Shape::Table(_) => self.table(node, schema, path),
            Shape::Array(items) => self.array(node, items, schema, path),
            Shape::Text(text) => self.text(node, text, schema, path),
            Shape::Integer(None) => {
                self.report(node, path, schema, "the number is too large".to_owned());
            }
            #[expect(clippy::cast_precision_loss, reason = "compared with bounds that are small")]
            Shape::Integer(Some(n)) => self.number(node, *n as f64, schema, path),
            Shape::Float(n) => self.number(node, *n, schema, path),
            Shape::Bool | Shape::Time => {}
        }
    }

    /// Follows a reference; only recursive types have one.
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else { return schema };
        let pointer = reference.strip_prefix('#').unwrap_or(reference);
        self.root.pointer(pointer).unwrap_or(schema)
    }

    /// Checks against the alternative of the same type; words of an enumeration are gathered from all.
    fn one_of(&mut self, node: &Node, branches: &[&'a Value], path: &KeyPath) {
        let words: Vec<&str> = branches.iter().flat_map(|b| words(b)).collect();
        let others: Vec<&&Value> = branches.iter().filter(|b| words_of(b).is_none()).collect();
        let fitting = others.iter().find(|b| {
            let types = types(self.resolve(b));
            types.is_empty() || types.iter().any(|t| fits(t, &node.shape))
        });
        match (&node.shape, fitting) {
            (Shape::Text(text), None) if !words.is_empty() => {
                self.word(node, text, &words, path);
            }
            (Shape::Text(text), Some(_)) if words.contains(&text.as_str()) => {}
            (_, Some(branch)) => self.plain(node, branch, path),
            (shape, None) => {
                let mut expected: Vec<_> = others
                    .iter()
                    .flat_map(|b| types(self.resolve(b)))
                    .filter_map(|t| type_words(&t))
                    .collect();
                if !words.is_empty() {
                    expected.push("a word");
                }
                let message =
                    format!("expected {}, found {}", expected.join(" or "), shape.words());
                self.report(node, path, &Value::Null, message);
            }
        }
    }

    fn table(&mut self, node: &Node, schema: &'a Value, path: &KeyPath) {
        let Shape::Table(entries) = &node.shape else { return };
        let known = schema.get("properties").and_then(Value::as_object);
        let rest = schema.get("additionalProperties").filter(|rest| rest.is_object());
        if known.is_none()
            && rest.is_none()
            && schema.get("additionalProperties") != Some(&Value::Bool(false))
        {
            return;
        }
        for (key, entry) in entries {
            let path = path.key(key);
            match (known.and_then(|k| k.get(key)), rest) {
                (Some(schema), _) | (None, Some(schema)) => self.value(entry, schema, &path),
                (None, None) => {
                    let keys = || known.iter().flat_map(|k| k.keys()).map(String::as_str);
                    self.unknown(entry, key, keys().collect(), &path, entries);
                }
            }
        }
        let required = schema.get("required").and_then(Value::as_array);
        for key in required.into_iter().flatten().filter_map(Value::as_str) {
            if !entries.contains_key(key) {
                let path = path.key(key);
                let mut diagnostic =
                    self.source.at(node.file, &node.span, &path, MISSING.to_owned());
                if path.is_top() {
                    diagnostic.excerpt = None;
                }
                let help = known.and_then(|k| k.get(key)).and_then(description);
                diagnostic.help = help.map(|text| format!("{key}: {text}"));
                self.found.push((path, diagnostic));
            }
        }
    }

    fn unknown(
        &mut self,
        entry: &Node,
        key: &str,
        keys: Vec<&str>,
        path: &KeyPath,
        present: &std::collections::BTreeMap<String, Node>,
    ) {
        let mut diagnostic = self.source.at(entry.file, &entry.key, path, UNKNOWN.to_owned());
        // Only the key is shown: its value may be a secret under a wrong name.
        if let Some(excerpt) = &mut diagnostic.excerpt {
            excerpt.text = excerpt.text.chars().take(excerpt.start + excerpt.width).collect();
        }
        let free = keys.iter().copied().filter(|k| !present.contains_key(*k));
        diagnostic.help = match nearest(key, free) {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None if keys.is_empty() => Some("no key can stand here".to_owned()),
            None => Some(format!("the keys here are: {}", list(&keys))),
        };
        self.found.push((path.clone(), diagnostic));
    }

    fn array(&mut self, node: &Node, items: &[Node], schema: &'a Value, path: &KeyPath) {
        if let Some(of) = schema.get("items").filter(|of| of.is_object()) {
            for (n, item) in items.iter().enumerate() {
                self.value(item, of, &path.index(n));
            }
        }
        // A pair is written as a list of two schemas.
        if let Some(each) = schema.get("items").and_then(Value::as_array) {
            for (n, (item, of)) in items.iter().zip(each).enumerate() {
                self.value(item, of, &path.index(n));
            }
        }
        let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
        let length = items.len() as u64;
        let (least, most) = (bound("minItems").unwrap_or(0), bound("maxItems").unwrap_or(u64::MAX));
        if length < least || length > most {
            let expected = match (least, most) {
                (a, b) if a == b => format!("{a}"),
                (a, u64::MAX) => format!("at least {a}"),
                (0, b) => format!("at most {b}"),
                (a, b) => format!("{a} to {b}"),
            };
            let message = format!("expected a list of {expected} elements, found {length}");
            self.report(node, path, schema, message);
        }
    }

    fn text(&mut self, node: &Node, text: &str, schema: &'a Value, path: &KeyPath) {
        if let Some(words) = words_of(schema) {
            return self.word(node, text, &words, path);
        }
        let error = match schema.get("format").and_then(Value::as_str) {
            Some(DURATION) => text.parse::<Duration>().err().map(|e| e.to_string()),
            Some(BYTE_SIZE) => text.parse::<ByteSize>().err().map(|e| e.to_string()),
            Some(SECRET) => {
                let Some(error) = text.parse::<Secret>().err() else { return };
                let mut diagnostic = self.source.at(node.file, &node.span, path, error.to_string());
                diagnostic.excerpt = None;
                return self.found.push((path.clone(), diagnostic));
            }
            _ => None,
        };
        if let Some(message) = error {
            self.report(node, path, &Value::Null, message);
        }
    }

    fn word(&mut self, node: &Node, text: &str, words: &[&str], path: &KeyPath) {
        if words.contains(&text) {
            return;
        }
        let shown: String = text.chars().take(40).collect();
        let mut diagnostic =
            self.source.at(node.file, &node.span, path, format!("{shown:?} is not known here"));
        diagnostic.help = Some(match nearest(text, words.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"? The words here are: {}", list(words)),
            None => format!("the words here are: {}", list(words)),
        });
        self.found.push((path.clone(), diagnostic));
    }

    fn number(&mut self, node: &Node, n: f64, schema: &'a Value, path: &KeyPath) {
        let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
        let (low, high) = width(schema.get("format").and_then(Value::as_str).unwrap_or(""));
        let low = bound("minimum").map_or(low, |b| b.max(low));
        let high = bound("maximum").map_or(high, |b| b.min(high));
        if n < low || n > high || n.is_nan() {
            let message = match (low == f64::NEG_INFINITY, high == f64::INFINITY) {
                (true, true) => "not a number".to_owned(),
                (false, true) => format!("must be at least {low}"),
                (true, false) => format!("must be at most {high}"),
                (false, false) => format!("must be from {low} to {high}"),
            };
            self.report(node, path, schema, message);
        }
    }

    fn report(&mut self, node: &Node, path: &KeyPath, schema: &Value, message: String) {
        let mut diagnostic = self.source.at(node.file, &node.span, path, message);
        diagnostic.help = description(schema);
        if schema.get("format").and_then(Value::as_str) == Some(SECRET) {
            diagnostic.excerpt = None;
        }
        self.found.push((path.clone(), diagnostic));
    }
}

/// Whether a text here says where a secret is.
fn is_secret(schema: &Value) -> bool {
    let format = |schema: &Value| schema.get("format").and_then(Value::as_str) == Some(SECRET);
    format(schema) || branches(schema).iter().any(|branch| format(branch))
}

/// The alternatives of a schema; `null` (an absent key) is none.
fn branches(schema: &Value) -> Vec<&Value> {
    let list = ["oneOf", "anyOf", "allOf"].iter().find_map(|k| schema.get(k));
    let list = list.and_then(Value::as_array);
    list.into_iter().flatten().filter(|b| b.get("type") != Some(&Value::from("null"))).collect()
}

fn types(schema: &Value) -> Vec<String> {
    let names: Vec<String> = match schema.get("type") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) => {
            many.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    };
    names.into_iter().filter(|name| name != "null").collect()
}

fn fits(name: &str, shape: &Shape) -> bool {
    match shape {
        Shape::Table(_) => name == "object",
        Shape::Array(_) => name == "array",
        Shape::Text(_) => name == "string",
        Shape::Integer(_) => matches!(name, "integer" | "number"),
        Shape::Float(_) => name == "number",
        Shape::Bool => name == "boolean",
        Shape::Time => false,
    }
}

fn type_words(name: &str) -> Option<&'static str> {
    Some(match name {
        "object" => "a table",
        "array" => "a list",
        "string" => "a text",
        "integer" => "an integer",
        "number" => "a number",
        "boolean" => "true or false",
        _ => return None,
    })
}

/// The words of an enumeration, if it is one.
fn words_of(schema: &Value) -> Option<Vec<&str>> {
    if let Some(one) = schema.get("const").and_then(Value::as_str) {
        return Some(vec![one]);
    }
    let many = schema.get("enum")?.as_array()?;
    Some(many.iter().filter_map(Value::as_str).collect())
}

fn words(schema: &Value) -> Vec<&str> {
    words_of(schema).unwrap_or_default()
}

/// The first paragraph of what the schema says about a value, as one line.
fn description(schema: &Value) -> Option<String> {
    let text = schema.get("description")?.as_str()?;
    Some(text.split("\n\n").next()?.replace('\n', " "))
}

fn width(format: &str) -> (f64, f64) {
    match format {
        "uint8" => (0.0, 255.0),
        "uint16" => (0.0, 65_535.0),
        "uint32" => (0.0, 4_294_967_295.0),
        "uint" | "uint64" => (0.0, 9_223_372_036_854_775_807.0),
        "int8" => (-128.0, 127.0),
        "int16" => (-32_768.0, 32_767.0),
        "int32" => (-2_147_483_648.0, 2_147_483_647.0),
        _ => (f64::NEG_INFINITY, f64::INFINITY),
    }
}

fn list(words: &[&str]) -> String {
    const SHOWN: usize = 40;
    let mut text = words.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if words.len() > SHOWN {
        text.push_str(", ...");
    }
    text
}
