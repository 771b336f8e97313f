//! The source tree as files: the workspace root, its sources and its manifests.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold no source of ours.
const NOT_OURS: [&str; 7] =
    ["target", ".git", ".cache", ".venv", "__pycache__", "bench-results", "node_modules"];

/// The root of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(|| panic!("the tests crate lies in the workspace"), Path::to_path_buf)
}

/// Every file of the source tree, sorted by path.
#[must_use]
pub fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(&root(), &mut found);
    found.sort();
    found
}

/// The files with this extension.
#[must_use]
pub fn with_extension(extension: &str) -> Vec<PathBuf> {
    files().into_iter().filter(|path| path.extension().is_some_and(|e| e == extension)).collect()
}

/// The text of a file.
///
/// # Panics
/// If the file is not readable text.
#[must_use]
pub fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("reading {}: {e}", path.display()))
}

/// A file's path as seen from the workspace root.
#[must_use]
pub fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// A TOML file as a table.
///
/// # Panics
/// If the file is not readable TOML.
#[must_use]
pub fn toml(path: &Path) -> toml::Table {
    text(path).parse().unwrap_or_else(|e| panic!("parsing {}: {e}", path.display()))
}

/// The folders of the workspace's members.
///
/// # Panics
/// If the root manifest lists none.
#[must_use]
pub fn members() -> Vec<PathBuf> {
    let manifest = toml(&root().join("Cargo.toml"));
    let members = manifest["workspace"]["members"].as_array();
    members
        .into_iter()
        .flatten()
        .filter_map(toml::Value::as_str)
        .map(|folder| root().join(folder))
        .collect()
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|e| panic!("listing {}: {e}", folder.display()));
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_symlink() || NOT_OURS.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            walk(&path, found);
        } else {
            found.push(path);
        }
    }
}
