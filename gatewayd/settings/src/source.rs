//! A file of settings and the places in it.

use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Excerpt, Severity};
use crate::environment::Environment;
use crate::merge;
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

/// A file of settings: its name and its text. It may have fragments: further files that say parts of the same.
#[derive(Debug, Clone)]
pub struct Source {
    inner: Arc<Inner>,
    environment: Environment,
}

#[derive(Debug)]
struct Inner {
    main: Text,
    fragments: Vec<Text>,
    /// The spans of everything in them, as far as they could be parsed.
    root: Node,
    /// What several of them say.
    twice: Vec<Diagnostic>,
}

#[derive(Debug, Clone)]
struct Text {
    name: Arc<str>,
    text: String,
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
        Self::from_bytes(&path.display().to_string(), Self::bytes(path)?)
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn bytes(path: &Path) -> Result<Vec<u8>, Vec<Diagnostic>> {
        let name = path.display().to_string();
        let mut bytes = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(Self::MAX + 1).read_to_end(&mut bytes))
            .map_err(|e| vec![unreadable(&name, &e)])?;
        Ok(bytes)
    }

    /// Bytes that are called this.
    ///
    /// # Errors
    /// They are too many or are not UTF-8.
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<Self, Vec<Diagnostic>> {
        let fail = |what: String| vec![Diagnostic::whole(name, what)];
        if bytes.len() as u64 > Self::MAX {
            return Err(fail(format!("the file is larger than {} MiB", Self::MAX >> 20)));
        }
        let text = String::from_utf8(bytes).map_err(|e| {
            fail(format!("the file is not UTF-8 from byte {} on", e.utf8_error().valid_up_to()))
        })?;
        Ok(Self::from_text(name, text))
    }

    /// Text that is called this.
    #[must_use]
    pub fn from_text(name: &str, text: impl Into<String>) -> Self {
        let text = text.into();
        let (root, syntax) = tree::read(0, &text);
        let main = Text { name: name.into(), text, syntax };
        let inner = Arc::new(Inner { main, fragments: Vec::new(), root, twice: Vec::new() });
        Self { inner, environment: Environment::default() }
    }

    /// The same, with `${NAME}` in its texts filled in from these variables. Not in secrets: those stay elsewhere.
    #[must_use]
    pub fn expanding(self, environment: &Environment) -> Self {
        Self { environment: environment.clone(), ..self }
    }

    /// The same with these fragments, in their order. A key that two files say is a mistake that names both.
    #[must_use]
    pub fn with_fragments(self, fragments: &[Self]) -> Self {
        let main = self.inner.main.clone();
        let (mut root, _) = tree::read(0, &main.text);
        let (mut others, mut pairs) = (Vec::new(), Vec::new());
        for fragment in fragments {
            let text = fragment.inner.main.clone();
            others.push(text);
            let (more, _) = tree::read(others.len(), fragment.text());
            merge::merge(&mut root, more, &KeyPath::root(), &mut |path, first, second| {
                pairs.push((
                    path.clone(),
                    (first.file, first.key.clone()),
                    (second.file, second.key.clone()),
                ));
            });
        }
        let source = Self {
            inner: Arc::new(Inner { main, fragments: others, root, twice: Vec::new() }),
            environment: self.environment,
        };
        let mut twice = Vec::new();
        for (path, (file, span), (again, there)) in pairs {
            let mut diagnostic =
                source.at(again, &there, &path, "is given in two files".to_owned());
            if let Some(excerpt) = &mut diagnostic.excerpt {
                // Only the key is shown: its value may be a secret in the wrong place.
                excerpt.text = excerpt.text.chars().take(excerpt.start + excerpt.width).collect();
            }
            let line = source.place(file, span.start).line;
            let name = source.text_of(file).0;
            twice.push(
                diagnostic.help(format!("the first one is {name}:{line}; leave one of them out")),
            );
        }
        match Arc::try_unwrap(source.inner) {
            Ok(inner) => Self { inner: Arc::new(Inner { twice, ..inner }), ..source },
            Err(inner) => Self { inner, ..source },
        }
    }

    /// The same without these keys of its top table: nothing will be said about them any more, and most of the memory
    /// is theirs.
    #[must_use]
    pub fn without(&self, keys: &[&str]) -> Self {
        let Node { file, key, span, shape } = &self.inner.root;
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
        let inner = Inner {
            main: self.inner.main.clone(),
            fragments: self.inner.fragments.clone(),
            root: Node { file: *file, key: key.clone(), span: span.clone(), shape },
            twice: Vec::new(),
        };
        Self { inner: Arc::new(inner), environment: self.environment.clone() }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.inner.main.name
    }

    /// Its text, without its fragments.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.inner.main.text
    }

    /// What it and its fragments say, as it is written; empty where that cannot be read.
    #[must_use]
    pub fn table(&self) -> toml::Table {
        self.parsed().unwrap_or_default()
    }

    /// The same; `None` where one of the files cannot be read.
    pub(crate) fn parsed(&self) -> Option<toml::Table> {
        let mut all = toml::Table::new();
        for file in self.files() {
            merge::values(&mut all, file.text.parse().ok()?);
        }
        Some(all)
    }

    /// Whether it is one file.
    pub(crate) fn is_alone(&self) -> bool {
        self.inner.fragments.is_empty()
    }

    /// What several of its files say.
    pub(crate) fn twice(&self) -> &[Diagnostic] {
        &self.inner.twice
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Puts mistakes in the order of the files and of what stands in them.
    pub fn sort(&self, found: &mut [Diagnostic]) {
        let file = |d: &Diagnostic| self.files().position(|file| file.name == d.file);
        found.sort_by_key(|d| (file(d).unwrap_or(usize::MAX), d.line, d.column));
    }

    fn files(&self) -> impl Iterator<Item = &Text> {
        std::iter::once(&self.inner.main).chain(&self.inner.fragments)
    }

    fn text_of(&self, file: usize) -> (&Arc<str>, &str) {
        let file = self.files().nth(file).unwrap_or(&self.inner.main);
        (&file.name, &file.text)
    }

    /// Where the value of this key stands; where it is missing, the table in which it should.
    #[must_use]
    pub fn position(&self, path: &KeyPath) -> Position {
        let node = self.find(path).0;
        self.place(node.file, node.span.start)
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
        let file = self.text_of(self.find(path).0.file).0;
        format!("{file}:{}", self.position(path).line)
    }

    /// A mistake at the value of this key; where it is missing, at the table in which it should be.
    #[must_use]
    pub fn error(&self, path: &KeyPath, message: impl Into<String>) -> Diagnostic {
        let node = self.find(path).0;
        let mut diagnostic = self.at(node.file, &node.span, path, message.into());
        if node.span.is_empty() {
            diagnostic.excerpt = None;
        }
        diagnostic
    }

    /// The mistakes of syntax, if any, file by file.
    pub(crate) fn syntax(&self) -> Vec<Diagnostic> {
        let mut all = Vec::new();
        for (n, file) in self.files().enumerate() {
            let show = |(span, message): &(Range<usize>, String)| {
                self.at(n, span, &KeyPath::root(), message.clone())
            };
            all.extend(file.syntax.iter().map(show));
        }
        all
    }

    pub(crate) fn root(&self) -> &Node {
        &self.inner.root
    }

    /// A mistake at these bytes of this file.
    pub(crate) fn at(
        &self,
        file: usize,
        span: &Range<usize>,
        path: &KeyPath,
        message: String,
    ) -> Diagnostic {
        let Position { line, column } = self.place(file, span.start);
        Diagnostic {
            severity: Severity::Error,
            file: self.text_of(file).0.clone(),
            line,
            column,
            key: path.to_string(),
            message,
            help: None,
            excerpt: Some(self.excerpt(file, span)),
        }
    }

    /// The node at this path, or its closest ancestor, and whether it is the node itself.
    fn find(&self, path: &KeyPath) -> (&Node, bool) {
        let mut node = &self.inner.root;
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

    fn place(&self, file: usize, offset: usize) -> Position {
        let text = self.text_of(file).1;
        let before = text.get(..offset).unwrap_or(text);
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Position {
            line: number(before.bytes().filter(|b| *b == b'\n').count() + 1),
            column: number(before.get(start..).unwrap_or("").chars().count() + 1),
        }
    }

    fn excerpt(&self, file: usize, span: &Range<usize>) -> Excerpt {
        let text = self.text_of(file).1;
        let before = text.get(..span.start).unwrap_or("");
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = text.get(start..).unwrap_or("").lines().next().unwrap_or("");
        let lead = before.get(start..).unwrap_or("").chars().count();
        let marked = text.get(span.clone()).unwrap_or("");
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
