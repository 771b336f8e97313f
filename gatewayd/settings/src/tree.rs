//! What stands where: the parsed file with the bytes of every key and value.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::guard;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Which of the source's files it stands in.
    pub(crate) file: usize,
    /// The bytes of its key; empty for elements of arrays.
    pub(crate) key: Range<usize>,
    /// The bytes of the value; of its header for a table that has one.
    pub(crate) span: Range<usize>,
    pub(crate) shape: Shape,
}

/// What kind of value.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    Table(BTreeMap<String, Node>),
    Array(Vec<Node>),
    Text(String),
    /// `None` beyond 128 bits.
    Integer(Option<i128>),
    Float(f64),
    Bool,
    Time,
}

impl Shape {
    /// What it is called in a sentence.
    pub(crate) fn words(&self) -> &'static str {
        match self {
            Self::Table(_) => "a table",
            Self::Array(_) => "a list",
            Self::Text(_) => "a text",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number with a fraction",
            Self::Bool => "true or false",
            Self::Time => "a date or time",
        }
    }
}

/// The tree of this text as far as it can be parsed, and the mistakes of syntax.
pub(crate) fn read(file: usize, text: &str) -> (Node, Vec<(Range<usize>, String)>) {
    if let Some(at) = guard::too_deep(text) {
        let empty = Node { file, key: 0..0, span: 0..0, shape: Shape::Table(BTreeMap::new()) };
        return (empty, vec![(at..at + 1, "nested too deeply".to_owned())]);
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut syntax: Vec<_> = errors
        .iter()
        .map(|e| (e.span().unwrap_or(0..0), e.message().replace('\n', ", ")))
        .collect();
    syntax.sort_by_key(|(span, _)| span.start);
    syntax.dedup_by_key(|(span, _)| span.start);
    let span = 0..0;
    let shape = Shape::Table(entries(file, table.into_inner()));
    (Node { file, key: 0..0, span, shape }, syntax)
}

fn entries(file: usize, table: DeTable<'_>) -> BTreeMap<String, Node> {
    let node = |(key, value): (Spanned<_>, _)| {
        let bytes = key.span();
        let name: std::borrow::Cow<'_, str> = key.into_inner();
        (name.into_owned(), node(file, bytes, value))
    };
    table.into_iter().map(node).collect()
}

fn node(file: usize, key: Range<usize>, value: Spanned<DeValue<'_>>) -> Node {
    let span = value.span();
    let shape = match value.into_inner() {
        DeValue::String(text) => Shape::Text(text.into_owned()),
        DeValue::Integer(n) => Shape::Integer(i128::from_str_radix(n.as_str(), n.radix()).ok()),
        DeValue::Float(n) => Shape::Float(n.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(_) => Shape::Bool,
        DeValue::Datetime(_) => Shape::Time,
        DeValue::Array(items) => {
            Shape::Array(items.into_iter().map(|item| node(file, 0..0, item)).collect())
        }
        DeValue::Table(table) => Shape::Table(entries(file, table)),
    };
    Node { file, key, span, shape }
}
