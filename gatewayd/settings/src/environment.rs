//! `${NAME}` in texts: taken from the environment, or from the default that stands beside it.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The variables that texts may name; none where texts stay as they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment(Option<Arc<BTreeMap<String, String>>>);

/// Why a text cannot be completed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExpandError {
    /// A brace is missing.
    #[error("`${{` has no `}}`; a dollar sign before a brace is written `$${{`")]
    Open,
    /// It is not the name of a variable.
    #[error("{0:?} is no name of a variable: letters, digits and '_'")]
    Name(String),
    /// There is no such variable.
    #[error("there is no variable {0} in the environment")]
    Missing(String),
}

impl ExpandError {
    pub(crate) fn help(&self) -> Option<String> {
        let Self::Missing(name) = self else { return None };
        Some(format!(
            "give the service one (systemctl edit gatewayd: [Service] Environment={name}=...), or a default here: \
             ${{{name}:-...}}; what the running daemon sees is said by: gatewayctl plan"
        ))
    }
}

impl Environment {
    /// The variables of this process. One that is not UTF-8 is not there.
    #[must_use]
    pub fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(Some(Arc::new(std::env::vars_os().filter_map(text).collect())))
    }

    /// These variables.
    #[must_use]
    pub fn of(variables: &[(&str, &str)]) -> Self {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self(Some(Arc::new(variables.iter().map(own).collect())))
    }

    /// The text with its variables filled in; `None` where it names none.
    pub(crate) fn expand(&self, text: &str) -> Result<Option<String>, ExpandError> {
        let Some(variables) = self.0.as_ref().filter(|_| text.contains("${")) else {
            return Ok(None);
        };
        let (mut done, mut rest) = (String::new(), text);
        while let Some((before, after)) = rest.split_once("${") {
            if let Some(literal) = before.strip_suffix('$') {
                done.push_str(literal);
                done.push_str("${");
                rest = after;
                continue;
            }
            done.push_str(before);
            let (inner, behind) = after.split_once('}').ok_or(ExpandError::Open)?;
            let (name, default) = match inner.split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (inner, None),
            };
            let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(legal) {
                return Err(ExpandError::Name(name.chars().take(40).collect()));
            }
            let known = variables.get(name).map(String::as_str).filter(|value| !value.is_empty());
            let value = known.or(default).ok_or_else(|| ExpandError::Missing(name.to_owned()))?;
            done.push_str(value);
            rest = behind;
        }
        done.push_str(rest);
        Ok(Some(done))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_once() {
        let all = Environment::of(&[("HOST", "b.example"), ("NEST", "${HOST}"), ("EMPTY", "")]);
        let expand = |text: &str| all.expand(text).map(|text| text.unwrap_or_default());
        for (text, expected) in [
            ("mqtt://${HOST}:1883", "mqtt://b.example:1883"),
            ("${HOST}${HOST}", "b.exampleb.example"),
            ("${PORT:-1883}", "1883"),
            ("${EMPTY:-x}", "x"),
            ("${PORT:-}", ""),
            ("$${HOST} ${HOST}", "${HOST} b.example"),
            ("${NEST}", "${HOST}"),
        ] {
            assert_eq!(expand(text).unwrap(), expected, "{text}");
        }
        assert_eq!(all.expand("costs $5 {a}"), Ok(None));
        assert_eq!(expand("${PORT}"), Err(ExpandError::Missing("PORT".into())));
        assert_eq!(expand("${EMPTY}"), Err(ExpandError::Missing("EMPTY".into())));
        assert_eq!(expand("a ${HOST"), Err(ExpandError::Open));
        assert_eq!(expand("${a b}"), Err(ExpandError::Name("a b".into())));
        assert_eq!(Environment::default().expand("${HOST}"), Ok(None), "a profile is only data");
    }
}
