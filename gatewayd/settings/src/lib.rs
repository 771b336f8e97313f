//! Reads TOML settings and reports every mistake at once, each with file, line, column, key and what to do.
//!
//! The structs that receive the settings are the single truth: their JSON schema says which keys exist, and
//! [`parse`] compares the file with it before serde sees it. [`schema()`] gives the same schema to editors.
//! What a schema cannot say (a name, an address, a line that must exist) is checked by the owner of the struct,
//! who reports it through [`Source::error`] with the path of the key.
//!
//! A file may have fragments ([`Source::with_fragments`]), and its texts may name variables ([`Source::expanding`]).
//!
//! Deliberately absent: what any key means, defaults, writing of files.

mod diagnostic;
mod editor;
mod environment;
mod guard;
mod merge;
mod nearest;
mod parse;
mod path;
mod place;
mod scalar;
mod secret;
mod source;
mod tree;
mod walk;

pub use diagnostic::{Diagnostic, Severity, has_errors};
pub use editor::editor_schema;
pub use environment::Environment;
pub use nearest::nearest;
pub use parse::{fuzz_one, join, parse, partly, schema};
pub use path::KeyPath;
pub use place::Place;
pub use scalar::{ByteSize, Duration, ScalarError};
pub use secret::{Secret, SecretError};
pub use source::{Position, Source};
