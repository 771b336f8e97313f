//! Names that are legal everywhere a twin is shown, and the numbers the log gives to twins.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A name that is at once a legal MQTT topic level, oneM2M resource name, file name and URN part.
///
/// One to 64 characters out of `A-Z a-z 0-9 . _ -`, beginning with a letter or a digit.
/// The only way to make one is [`FromStr`], so a `Name` that exists is legal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

/// Why a text is not a [`Name`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameError {
    /// It has no characters.
    Empty,
    /// It has this many characters; 64 are allowed.
    TooLong(usize),
    /// It begins with this character instead of a letter or a digit.
    Start(char),
    /// It contains this character.
    Character(char),
}

impl Name {
    /// The longest name, in characters.
    pub const MAX: usize = 64;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let first = text.chars().next().ok_or(NameError::Empty)?;
        if !first.is_ascii_alphanumeric() {
            return Err(NameError::Start(first));
        }
        if let Some(c) =
            text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')))
        {
            return Err(NameError::Character(c));
        }
        match text.len() {
            n if n > Self::MAX => Err(NameError::TooLong(n)),
            _ => Ok(Self(text.into())),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a name must not be empty"),
            Self::TooLong(n) => {
                write!(f, "a name has at most {} characters, this one has {n}", Name::MAX)
            }
            Self::Start(c) => write!(f, "a name begins with a letter or a digit, not with {c:?}"),
            Self::Character(c) => {
                write!(
                    f,
                    "a name is made of letters, digits, '.', '_' and '-'; {c:?} is none of them"
                )
            }
        }
    }
}

impl std::error::Error for NameError {}

/// The identity of a twin: stable for life, one-to-one with its asset.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TwinId(Name);

impl TwinId {
    /// The identity with this name.
    #[must_use]
    pub fn new(name: Name) -> Self {
        Self(name)
    }

    /// The identity as a name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.0
    }

    /// The identity as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for TwinId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        text.parse().map(Self)
    }
}

impl fmt::Display for TwinId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for TwinId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number by which the log names a twin. Given once, never reused for another twin.
///
/// Handle 0 is never given to a twin: in the log it stands for the gateway itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_legal_everywhere() {
        for good in ["a", "7", "pump-7", "SDM120.v2", "x_y"] {
            assert_eq!(good.parse::<Name>().unwrap().as_str(), good);
        }
        assert_eq!("x".repeat(64).parse::<Name>().unwrap().as_str().len(), 64);
    }

    #[test]
    fn names_that_some_place_would_refuse() {
        let error = |text: &str| text.parse::<Name>().unwrap_err();
        assert_eq!(error(""), NameError::Empty);
        assert_eq!(error(".."), NameError::Start('.'));
        assert_eq!(error("a/b"), NameError::Character('/'));
        assert_eq!(error("a+"), NameError::Character('+'));
        assert_eq!(error("a#"), NameError::Character('#'));
        assert_eq!(error("größe"), NameError::Character('ö'));
        assert_eq!(error(&"x".repeat(65)), NameError::TooLong(65));
    }
}
