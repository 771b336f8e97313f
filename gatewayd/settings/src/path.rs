//! The path of a key in a file.

use std::fmt;

/// The path of a key: `group.fast.interval`, `point[2].address`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct KeyPath(pub(crate) Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

impl KeyPath {
    /// The path of the file's top table.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// The path of a key of the top table.
    #[must_use]
    pub fn of(key: &str) -> Self {
        Self::root().key(key)
    }

    /// The path of a key in the table at this path.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Key(key.to_owned()));
        Self(steps)
    }

    /// The table that holds it, or the list that it is a part of, and its key there; `None` for what stands at the top.
    pub(crate) fn table(&self) -> Option<(&[Step], &str)> {
        let last = self.0.iter().rposition(|step| matches!(step, Step::Key(_)))?;
        match self.0.split_at_checked(last)? {
            ([], _) => None,
            (table, [Step::Key(key), ..]) => Some((table, key)),
            _ => None,
        }
    }

    /// Whether it is a key of the top table.
    pub(crate) fn is_top(&self) -> bool {
        self.0.len() == 1
    }

    /// The path of an element of the array at this path, from 0.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Index(index));
        Self(steps)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => {
                    let dot = if n == 0 { "" } else { "." };
                    let bare = !key.is_empty()
                        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
                    if bare { write!(f, "{dot}{key}")? } else { write!(f, "{dot}{key:?}")? }
                }
            }
        }
        Ok(())
    }
}
