//! A table that is said in several files, the closest first.

use crate::diagnostic::Diagnostic;
use crate::path::KeyPath;
use crate::source::Source;

/// Where one table stands: in a device file and, below it, in a profile.
#[derive(Debug, Clone)]
pub struct Place {
    tables: Vec<(Source, KeyPath)>,
}

impl Place {
    /// The table at this path of one file.
    #[must_use]
    pub fn new(source: &Source, path: KeyPath) -> Self {
        Self { tables: vec![(source.clone(), path)] }
    }

    /// The same table, said in `below` where it is not said here.
    #[must_use]
    pub fn over(mut self, below: &Self) -> Self {
        self.tables.extend(below.tables.iter().cloned());
        self
    }

    /// The same without these keys of the files' top tables; see [`Source::without`].
    #[must_use]
    pub fn without(&self, keys: &[&str]) -> Self {
        let tables = self.tables.iter().map(|(source, path)| (source.without(keys), path.clone()));
        Self { tables: tables.collect() }
    }

    /// A mistake at this key, in the file that says it; where none does, at the closest table.
    #[must_use]
    pub fn error(&self, key: &str, message: impl Into<String>) -> Diagnostic {
        match self.saying(key) {
            Some((source, path)) => source.error(&path, message),
            None => Diagnostic::whole("", message),
        }
    }

    /// A mistake of the table as a whole.
    #[must_use]
    pub fn whole(&self, message: impl Into<String>) -> Diagnostic {
        match self.tables.first() {
            Some((source, path)) => source.error(path, message),
            None => Diagnostic::whole("", message),
        }
    }

    /// `file:line` of this key, for a message about another place.
    #[must_use]
    pub fn mention(&self, key: &str) -> String {
        self.saying(key).map_or_else(String::new, |(source, path)| source.mention(&path))
    }

    /// The place of a table in a list of this one, in the file that says the list.
    #[must_use]
    pub fn item(&self, key: &str, n: usize) -> Self {
        let said = self.saying(key).map(|(source, path)| (source.clone(), path.index(n)));
        Self { tables: said.into_iter().collect() }
    }

    /// The place of a table inside this one.
    #[must_use]
    pub fn inside(&self, key: &str) -> Self {
        let tables = self.tables.iter().map(|(source, path)| (source.clone(), path.key(key)));
        Self { tables: tables.collect() }
    }

    fn saying(&self, key: &str) -> Option<(&Source, KeyPath)> {
        let said = self.tables.iter().find(|(source, path)| source.has(&path.key(key)));
        let (source, path) = said.or_else(|| self.tables.first())?;
        Some((source, path.key(key)))
    }
}
