//! House rules that no compiler checks.

use std::path::{Path, PathBuf};

use tests::tree;

/// The longest source file, in lines.
const LONGEST: usize = 450;

#[test]
fn no_source_file_is_long() {
    let long: Vec<String> = sources()
        .iter()
        .map(|path| (path, tree::text(path).lines().count()))
        .filter(|(_, lines)| *lines > LONGEST)
        .map(|(path, lines)| format!("{}: {lines} lines, {LONGEST} allowed", tree::relative(path)))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn every_crate_takes_the_workspace_lints() {
    for folder in tree::members() {
        let manifest = tree::toml(&folder.join("Cargo.toml"));
        let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        assert_eq!(
            lints.and_then(toml::Value::as_bool),
            Some(true),
            "{} lacks `[lints] workspace = true`",
            tree::relative(&folder)
        );
        let license = manifest["package"].get("license").and_then(|l| l.get("workspace"));
        assert!(license.is_some(), "{} does not inherit the license", tree::relative(&folder));
    }
}

#[test]
fn every_source_file_says_what_it_is_for() {
    // The parts of a test need no introduction.
    let tests = |path: &Path| {
        let path = tree::relative(path);
        path.contains("tests/") || path.ends_with("tests.rs")
    };
    refuse(&sources(), |path, text| {
        (!tests(path) && !text.trim_start().starts_with("//!"))
            .then(|| "does not begin with `//!`".to_owned())
    });
}

#[test]
fn nothing_is_left_undone_or_silenced() {
    // Written in halves, so that this file does not find itself.
    let banned = [
        (concat!("to", "do!("), "finish it or leave it out"),
        (concat!("unimple", "mented!("), "finish it or leave it out"),
        (concat!("#[all", "ow("), "use #[expect(.., reason = \"..\")]"),
        (concat!("#![all", "ow("), "use #[expect(.., reason = \"..\")]"),
        (concat!("FIX", "ME"), "file it or fix it"),
        (concat!("XX", "X:"), "file it or fix it"),
    ];
    refuse(&sources(), |_, text| {
        let found = banned.iter().find(|(word, _)| text.contains(word));
        found.map(|(word, help)| format!("contains `{word}`: {help}"))
    });
}

#[test]
fn the_model_touches_neither_files_nor_sockets_nor_the_clock() {
    let folder = tree::root().join("twin-store/twin/src");
    let model: Vec<PathBuf> =
        sources().into_iter().filter(|path| path.starts_with(&folder)).collect();
    assert!(model.len() > 5, "the model was not found in {}", folder.display());
    let banned = ["std::fs", "std::net", "std::time", "std::thread", "std::process", "std::env"];
    refuse(&model, |_, text| {
        let found = banned.iter().find(|word| text.contains(*word));
        found.map(|word| format!("names `{word}`; the model is pure data and functions"))
    });
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    let banned = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];
    let words = ["rs", "toml", "md", "py", "sh", "c", "service", "yml", "conf", ""];
    let texts: Vec<PathBuf> = tree::files()
        .into_iter()
        .filter(|path| words.contains(&extension(path)) && !path.ends_with("LICENSE"))
        .collect();
    refuse(&texts, |_, text| {
        // `$folder/root/etc` is no such path.
        let begins = |at: usize| {
            let before = text.as_bytes().get(at.wrapping_sub(1)).copied().unwrap_or(b' ');
            !before.is_ascii_alphanumeric() && !b"_-.}".contains(&before)
        };
        let found = banned.iter().find(|word| text.match_indices(*word).any(|(at, _)| begins(at)));
        found.map(|word| format!("contains the machine path `{word}`"))
    });
}

fn sources() -> Vec<PathBuf> {
    let sources = tree::with_extension("rs");
    assert!(sources.len() > 20, "only {} sources found", sources.len());
    sources
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|e| e.to_str()).unwrap_or("")
}

/// Fails with one line for each file in which `look` finds something.
fn refuse(files: &[PathBuf], look: impl Fn(&Path, &str) -> Option<String>) {
    let wrong: Vec<String> = files
        .iter()
        .filter_map(|path| {
            let text = String::from_utf8(std::fs::read(path).ok()?).ok()?;
            Some(format!("{} {}", tree::relative(path), look(path, &text)?))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
