//! A file of settings and the places in it.

use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Excerpt, Severity};
use crate::path::{KeyPath, Step};
use crate::tree::{self, Node, Shape};

/// A longer line is shown in part.
const WIDEST: usize = 160;

/// A place in a file, both from 1; the column counts characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub struct Position {
    pub line: u32,
    pub column: u32,
}

/// A file of settings: its name and its text.
#[derive(Debug, Clone)]
pub struct Source(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: Arc<str>,
    text: String,
    /// The spans of everything in it, as far as it could be parsed.
    root: Node,
    syntax: Vec<(Range<usize>, String)>,
}

impl Source {
    /// The largest file that is read, in bytes.
    pub const MAX: u64 = 16 << 20;

    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, is too large or is not UTF-8.
    pub fn read(path: &Path) -> Result<Self, Vec<Diagnostic>> {
        let name = path.display().to_string();
        let fail = |what: String| vec![Diagnostic::whole(&name, what)];
        let mut bytes = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(Self::MAX + 1).read_to_end(&mut bytes))
            .map_err(|e| vec![unreadable(&name, &e)])?;
        if bytes.len() as u64 > Self::MAX {
            return Err(fail(format!("the file is larger than {} MiB", Self::MAX >> 20)));
        }
        let text = String::from_utf8(bytes).map_err(|e| {
            fail(format!("the file is not UTF-8 from byte {} on", e.utf8_error().valid_up_to()))
        })?;
        Ok(Self::from_text(&name, text))
    }

    /// Text that is called this.
    #[must_use]
    pub fn from_text(name: &str, text: impl Into<String>) -> Self {
        let text = text.into();
        let (root, syntax) = tree::read(&text);
        Self(Arc::new(Inner { name: name.into(), text, root, syntax }))
    }

    /// The same without these keys of its top table: nothing will be said about them any more, and most of the memory
    /// is theirs.
    #[must_use]
    pub fn without(&self, keys: &[&str]) -> Self {
        let Node { key, span, shape } = &self.0.root;
        let shape = match shape {
            Shape::Table(entries) => Shape::Table(
                entries
                    .iter()
                    .filter(|(key, _)| !keys.contains(&key.as_str()))
                    .map(|(key, node)| (key.clone(), node.clone()))
                    .collect(),
            ),
            shape => shape.clone(),
        };
        Self(Arc::new(Inner {
            name: self.0.name.clone(),
            text: self.0.text.clone(),
            root: Node { key: key.clone(), span: span.clone(), shape },
            syntax: self.0.syntax.clone(),
        }))
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Where the value of this key stands; where it is missing, the table in which it should.
    #[must_use]
    pub fn position(&self, path: &KeyPath) -> Position {
        self.place(self.find(path).0.span.start)
    }

    /// Whether there is such a key.
    #[must_use]
    pub fn has(&self, path: &KeyPath) -> bool {
        self.find(path).1
    }

    /// The text that this key says, also where the rest of the file is broken.
    #[must_use]
    pub fn text_at(&self, path: &KeyPath) -> Option<&str> {
        match self.find(path) {
            (Node { shape: Shape::Text(text), .. }, true) => Some(text),
            _ => None,
        }
    }

    /// `file:line` of the value of this key.
    #[must_use]
    pub fn mention(&self, path: &KeyPath) -> String {
        format!("{}:{}", self.name(), self.position(path).line)
    }

    /// A mistake at the value of this key; where it is missing, at the table in which it should be.
    #[must_use]
    pub fn error(&self, path: &KeyPath, message: impl Into<String>) -> Diagnostic {
        let node = self.find(path).0;
        let mut diagnostic = self.at(&node.span, path, message.into());
        if node.span.is_empty() {
            diagnostic.excerpt = None;
        }
        diagnostic
    }

    /// The mistakes of syntax, if any.
    pub(crate) fn syntax(&self) -> Vec<Diagnostic> {
        let show = |(span, message): &(Range<usize>, String)| {
            self.at(span, &KeyPath::root(), message.clone())
        };
        self.0.syntax.iter().map(show).collect()
    }

    pub(crate) fn root(&self) -> &Node {
        &self.0.root
    }

    /// A mistake at these bytes.
    pub(crate) fn at(&self, span: &Range<usize>, path: &KeyPath, message: String) -> Diagnostic {
        let Position { line, column } = self.place(span.start);
        Diagnostic {
            severity: Severity::Error,
            file: self.name().clone(),
            line,
            column,
            key: path.to_string(),
            message,
            help: None,
            excerpt: Some(self.excerpt(span)),
        }
    }

    /// The node at this path, or its closest ancestor, and whether it is the node itself.
    fn find(&self, path: &KeyPath) -> (&Node, bool) {
        let mut node = &self.0.root;
        for step in &path.0 {
            let next = match (&node.shape, step) {
                (Shape::Table(entries), Step::Key(key)) => entries.get(key),
                (Shape::Array(items), Step::Index(index)) => items.get(*index),
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => return (node, false),
            }
        }
        (node, true)
    }

    fn place(&self, offset: usize) -> Position {
        let before = self.text().get(..offset).unwrap_or(self.text());
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Position {
            line: number(before.bytes().filter(|b| *b == b'\n').count() + 1),
            column: number(before.get(start..).unwrap_or("").chars().count() + 1),
        }
    }

    fn excerpt(&self, span: &Range<usize>) -> Excerpt {
        let before = self.text().get(..span.start).unwrap_or("");
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = self.text().get(start..).unwrap_or("").lines().next().unwrap_or("");
        let lead = before.get(start..).unwrap_or("").chars().count();
        let marked = self.text().get(span.clone()).unwrap_or("");
        let marked = marked.lines().next().unwrap_or("").chars().count();
        // What the terminal could take for something else than text is not shown.
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        let skip = lead.saturating_sub(WIDEST / 2);
        let text: String = line.chars().skip(skip).take(WIDEST).map(plain).collect();
        let start = lead - skip;
        let room = text.chars().count().saturating_sub(start).max(1);
        Excerpt { text, start, width: marked.clamp(1, room) }
    }
}

fn unreadable(name: &str, error: &std::io::Error) -> Diagnostic {
    let found = Diagnostic::whole(name, format!("cannot read the file: {error}"));
    if error.kind() == std::io::ErrorKind::PermissionDenied {
        return found.help(format!("let it be read: sudo chmod a+r {name}"));
    }
    found
}
