//! Where a secret is to be found. Never the secret itself.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

pub(crate) const SECRET: &str = "gatewayd-secret";
/// A regular expression of what is taken, for editors.
pub(crate) const PATTERN: &str = "^(cred:[A-Za-z0-9_-][A-Za-z0-9._-]*|env:[A-Za-z0-9_]+|/.*)$";

/// Where a secret is to be found: `"cred:NAME"` (a systemd credential), the absolute path of a file, or `"env:NAME"`
/// (a variable of the environment, for machines that have neither).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Secret {
    /// The file of this name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// This file.
    File(PathBuf),
    /// The variable of this name in the environment of the process.
    Variable(String),
}

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The text is neither form. The text itself is not repeated: it may be the secret.
    #[error(
        "a secret is never written here: give \"cred:NAME\" (systemd LoadCredential=NAME:...), the absolute path of a file that holds it, or \"env:NAME\""
    )]
    Inline,
    /// Variables are not filled in here: what comes of it would be the secret itself.
    #[error("a variable is not filled into the place of a secret: write \"env:NAME\"")]
    Expanded,
    /// The name of a variable.
    #[error("the name of a variable is made of letters, digits and '_'")]
    VariableName,
    /// There is no such variable, or it is not UTF-8.
    #[error("there is no variable {0} in the environment of the service")]
    NoVariable(String),
    /// The name of a credential is a plain file name.
    #[error("the name of a credential is made of letters, digits, '.', '_' and '-'")]
    Name,
    /// There is no credentials directory.
    #[error(
        "there is no $CREDENTIALS_DIRECTORY for the credential {0:?}: the service is not given one"
    )]
    NoDirectory(String),
    /// It cannot be read.
    #[error("cannot read the secret file {0}")]
    Read(PathBuf, #[source] std::io::Error),
    /// It is larger than a secret is.
    #[error("the secret file {0} is larger than 64 KiB")]
    Large(PathBuf),
}

impl Secret {
    /// Reads it; a line feed at its end is dropped.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, credentials: Option<&Path>) -> Result<Vec<u8>, SecretError> {
        use std::io::Read as _;
        const LARGEST: u64 = 64 << 10;
        let path = match self {
            Self::File(path) => path.clone(),
            Self::Credential(name) => {
                credentials.ok_or_else(|| SecretError::NoDirectory(name.clone()))?.join(name)
            }
            Self::Variable(name) => {
                let value = std::env::var(name).ok().map(String::into_bytes);
                return value.ok_or_else(|| SecretError::NoVariable(name.clone()));
            }
        };
        let mut bytes = Vec::new();
        let read = std::fs::File::open(&path)
            .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
        match read {
            Err(error) => return Err(SecretError::Read(path, error)),
            Ok(n) if n as u64 > LARGEST => return Err(SecretError::Large(path)),
            Ok(_) => {}
        }
        while matches!(bytes.last(), Some(b'\n' | b'\r')) {
            bytes.pop();
        }
        Ok(bytes)
    }
}

impl FromStr for Secret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        if let Some(name) = text.strip_prefix("cred:") {
            let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            let plain = !name.is_empty() && !name.starts_with('.') && name.chars().all(legal);
            return if plain {
                Ok(Self::Credential(name.to_owned()))
            } else {
                Err(SecretError::Name)
            };
        }
        if let Some(name) = text.strip_prefix("env:") {
            let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
            return if !name.is_empty() && name.chars().all(legal) {
                Ok(Self::Variable(name.to_owned()))
            } else {
                Err(SecretError::VariableName)
            };
        }
        if text.starts_with("${") {
            return Err(SecretError::Expanded);
        }
        if text.starts_with('/') { Ok(Self::File(text.into())) } else { Err(SecretError::Inline) }
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credential(name) => write!(f, "cred:{name}"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "env:{name}"),
        }
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": SECRET,
            "description": "\"cred:NAME\", the absolute path of a file, or \"env:NAME\"; never the secret itself."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_somewhere_else() {
        assert_eq!("cred:mqtt".parse::<Secret>().unwrap(), Secret::Credential("mqtt".to_owned()));
        assert_eq!("/etc/key".parse::<Secret>().unwrap(), Secret::File("/etc/key".into()));
        assert!(matches!("hunter2".parse::<Secret>(), Err(SecretError::Inline)));
        assert!(matches!("cred:../../etc/shadow".parse::<Secret>(), Err(SecretError::Name)));
        assert_eq!("env:PW".parse::<Secret>().unwrap(), Secret::Variable("PW".to_owned()));
        assert!(matches!("env:a-b".parse::<Secret>(), Err(SecretError::VariableName)));
        assert!(matches!("${PW}".parse::<Secret>(), Err(SecretError::Expanded)));
        assert!(!SecretError::Inline.to_string().contains("hunter2"));
    }

    #[test]
    fn it_is_read_from_the_credentials() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("mqtt"), "hunter2\n").unwrap();
        let secret = Secret::Credential("mqtt".to_owned());
        assert_eq!(secret.read(Some(directory.path())).unwrap(), b"hunter2");
        assert!(matches!(secret.read(None), Err(SecretError::NoDirectory(_))));
        // Every test has this variable from cargo.
        let variable = Secret::Variable("CARGO_PKG_NAME".to_owned());
        assert_eq!(variable.read(None).unwrap(), b"settings");
        let missing = Secret::Variable("GATEWAYD_NO_SUCH".to_owned());
        assert!(matches!(missing.read(None), Err(SecretError::NoVariable(_))));
        let missing = Secret::Credential("none".to_owned());
        assert!(matches!(missing.read(Some(directory.path())), Err(SecretError::Read(..))));
    }
}
