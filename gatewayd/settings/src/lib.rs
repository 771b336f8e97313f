//! Reads TOML settings and reports every mistake at once.
