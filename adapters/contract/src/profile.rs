//! Profiles: data files that describe a device model, and where they are found.
//!
//! A profile says where its register map comes from and proves itself by golden frames: bytes and the values that
//! the source document says they mean.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use settings::{Diagnostic, Source, nearest};
use twin::Name;

use crate::device::DeviceFile;

/// A profile file: what a device file can say, and where it comes from.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(bound(deserialize = "S: Deserialize<'de>, P: Deserialize<'de>"))]
#[schemars(bound = "S: JsonSchema, P: JsonSchema")]
pub struct ProfileFile<S, P> {
    /// The document that says all this.
    pub source: SourceKeys,
    /// Further documents that say the same, or the rest of it.
    #[serde(default)]
    pub also: Vec<SourceKeys>,
    /// Whether what it says was really read in its sources.
    pub status: StatusWord,
    /// On which device it was tried: model, firmware, when, by whom. Absent: on none.
    pub tried: Option<String>,
    /// Frames and what they mean.
    #[serde(default)]
    pub golden: Vec<GoldenKeys>,
    /// What a device of this model is.
    #[serde(flatten)]
    pub device: DeviceFile<S, P>,
}

/// A document.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct SourceKeys {
    /// Its title.
    pub title: String,
    /// Its revision or number, as printed in it.
    pub revision: String,
    /// The pages used.
    pub page: String,
    /// Where it was seen.
    pub url: Option<String>,
    /// How much of it was seen, in which form, and what was taken.
    pub seen: Option<String>,
}

/// Whether the numbers of a profile were really read in its sources. Not whether it was tried: [`ProfileFile::tried`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StatusWord {
    /// Each of them; `source` and `also` say where, and `seen` how.
    Verified,
    /// Not all of them: the document was not at hand.
    Unverified,
}

/// A request, its answer and what they mean.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct GoldenKeys {
    /// Who says so: the document ("stated"), or we, from the encoding that it describes ("composed").
    pub from: GoldenWord,
    /// How the bytes follow from the document.
    pub note: String,
    /// The request after the unit id, without checksum, in hexadecimal.
    pub request: String,
    /// The answer after the unit id, without checksum, in hexadecimal.
    pub response: String,
    /// The values, by point, as text: "230.2".
    pub expect: BTreeMap<String, String>,
}

/// Who says what a golden frame means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GoldenWord {
    /// The document shows these bytes and these values.
    Stated,
    /// Composed by hand from the encoding that the document describes.
    Composed,
}

/// The directory of a library that holds no profiles: SunSpec's information models.
pub const SUNSPEC: &str = "sunspec";

/// The directories in which profiles are, the one that wins first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Library(Vec<PathBuf>);

impl Library {
    /// The profiles in these directories; an earlier one wins over a later one.
    #[must_use]
    pub fn new(directories: Vec<PathBuf>) -> Self {
        Self(directories)
    }

    /// Reads the profile `vendor/model`.
    ///
    /// # Errors
    /// In words and with help: the name is wrong, there is none of it (nearest names), or it cannot be read.
    pub fn find(&self, name: &str) -> Result<Source, NotFound> {
        let parts = name.split_once('/');
        let legal = parts.filter(|(v, m)| v.parse::<Name>().is_ok() && m.parse::<Name>().is_ok());
        let Some((vendor, model)) = legal else {
            return Err(NotFound::Words {
                message: "a profile is named \"vendor/model\"".to_owned(),
                help: self.help(name),
            });
        };
        let file = |root: &PathBuf| root.join(vendor).join(format!("{model}.toml"));
        match self.0.iter().map(file).find(|path| path.is_file()) {
            Some(path) => Source::read(&path).map_err(NotFound::Unreadable),
            None => Err(NotFound::Words {
                message: format!("there is no profile {name:?}"),
                help: self.help(name),
            }),
        }
    }

    /// The names of all profiles, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for root in &self.0 {
            for vendor in entries(root).into_iter().filter(|vendor| vendor != SUNSPEC) {
                for model in entries(&root.join(&vendor)) {
                    if let Some(model) = model.strip_suffix(".toml") {
                        names.push(format!("{vendor}/{model}"));
                    }
                }
            }
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The files of SunSpec's information models; of two with one name the earlier directory's.
    #[must_use]
    pub fn models(&self) -> Vec<PathBuf> {
        let mut models: BTreeMap<String, PathBuf> = BTreeMap::new();
        for root in &self.0 {
            let folder = root.join(SUNSPEC);
            for file in entries(&folder).into_iter().filter(|file| file.ends_with(".toml")) {
                let path = folder.join(&file);
                models.entry(file).or_insert(path);
            }
        }
        models.into_values().collect()
    }

    fn help(&self, name: &str) -> String {
        let names = self.names();
        let known = || names.iter().map(String::as_str);
        let model = |name: &'_ str| name.rsplit('/').next().unwrap_or("").to_owned();
        let by_model = || {
            let models: Vec<String> = known().map(model).collect();
            let near = nearest(&model(name), models.iter().map(String::as_str))?.to_owned();
            known().find(|known| model(known) == near)
        };
        match nearest(name, known()).or_else(by_model) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None if names.is_empty() => format!("no profiles are installed in {}", self.places()),
            None => {
                let some: Vec<&str> = known().take(20).collect();
                format!("{} profiles are installed: {}", names.len(), some.join(", "))
            }
        }
    }

    fn places(&self) -> String {
        let places: Vec<String> = self.0.iter().map(|p| p.display().to_string()).collect();
        places.join(" or ")
    }
}

/// Why there is no profile.
#[derive(Debug)]
pub enum NotFound {
    /// It has a wrong name or does not exist.
    Words {
        /// What is wrong.
        message: String,
        /// What to do.
        help: String,
    },
    /// It is there and cannot be read.
    Unreadable(Vec<Diagnostic>),
}

/// The names in a directory; none where it cannot be read.
fn entries(path: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library() -> (tempfile::TempDir, Library) {
        let directory = tempfile::tempdir().unwrap();
        for (root, file) in
            [("etc", "acme/pump.toml"), ("usr", "acme/pump.toml"), ("usr", "eastron/sdm630.toml")]
        {
            let path = directory.path().join(root).join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, format!("# {root}")).unwrap();
        }
        let library =
            Library::new(vec![directory.path().join("etc"), directory.path().join("usr")]);
        (directory, library)
    }

    #[test]
    fn the_earlier_directory_wins() {
        let (_directory, library) = library();
        assert_eq!(library.find("acme/pump").unwrap().text(), "# etc");
        assert_eq!(library.find("eastron/sdm630").unwrap().text(), "# usr");
        assert_eq!(library.names(), ["acme/pump", "eastron/sdm630"]);
    }

    #[test]
    fn models_are_no_profiles() {
        let (directory, library) = library();
        for (root, text) in [("etc", "ours"), ("usr", "theirs")] {
            let folder = directory.path().join(root).join(SUNSPEC);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("103.toml"), text).unwrap();
        }
        std::fs::write(directory.path().join("usr").join(SUNSPEC).join("1.toml"), "common")
            .unwrap();
        assert_eq!(library.names(), ["acme/pump", "eastron/sdm630"]);
        let read = |path: PathBuf| std::fs::read_to_string(path).unwrap();
        let models: Vec<String> = library.models().into_iter().map(read).collect();
        assert_eq!(models, ["common", "ours"], "the earlier directory wins");
    }

    #[test]
    fn a_wrong_name_gets_the_nearest() {
        let (_directory, library) = library();
        let help = |name: &str| match library.find(name) {
            Err(NotFound::Words { help, .. }) => help,
            other => panic!("{other:?}"),
        };
        assert_eq!(help("eastorn/sdm630"), "did you mean \"eastron/sdm630\"?");
        assert_eq!(help("sdm630"), "did you mean \"eastron/sdm630\"?");
        assert_eq!(help("../../etc/passwd"), "2 profiles are installed: acme/pump, eastron/sdm630");
        assert!(Library::new(vec!["/nowhere".into()]).names().is_empty());
    }
}
