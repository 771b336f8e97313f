//! The operator's files as one set: gatewayd.toml, its fragments, the device files and the own profiles.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use settings::{Diagnostic, Source};

use super::Places;

/// The name of gatewayd.toml in a set, whatever it is called outside.
pub const GATEWAY: &str = "gatewayd.toml";
/// Fragments of gatewayd.toml, device files and profiles in a set.
pub const FRAGMENTS: &str = "gatewayd.d";
pub const DEVICES: &str = "devices.d";
pub const PROFILES: &str = "profiles";

/// What is in a file, or why it cannot be read.
pub type Bytes = Result<Vec<u8>, Vec<Diagnostic>>;

/// Files by their names in the set, `devices.d/meter.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Set(BTreeMap<String, Bytes>);

/// What happens to a file when one set takes the place of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Added,
    Replaced,
    Removed,
}

impl Set {
    /// Reads the files at these places; where a directory is missing there is nothing in it.
    pub fn read(places: &Places) -> Self {
        let mut set = Self::default();
        set.take(GATEWAY, &places.config);
        set.directory(FRAGMENTS, &places.fragments);
        set.directory(DEVICES, &places.devices);
        for vendor in entries(&places.own_profiles()).into_iter().flatten() {
            let name = vendor.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if vendor.is_dir() && !name.starts_with('.') {
                set.directory(&format!("{PROFILES}/{name}"), &vendor);
            }
        }
        set
    }

    fn directory(&mut self, name: &str, path: &Path) {
        match entries(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let words = format!("cannot read the directory: {error}");
                let wrong = Diagnostic::whole(&path.display().to_string(), words);
                self.0.insert(name.to_owned(), Err(vec![wrong]));
            }
            Ok(files) => {
                for file in files.into_iter().filter(|file| wanted(file)) {
                    let Some(own) = file.file_name().and_then(|name| name.to_str()) else {
                        continue;
                    };
                    self.take(&format!("{name}/{own}"), &file);
                }
            }
        }
    }

    fn take(&mut self, name: &str, path: &Path) {
        self.0.insert(name.to_owned(), Source::bytes(path));
    }

    /// The file of this name.
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.0.get(name)
    }

    /// The files of this directory, in the order of their names; the directory itself where it cannot be read.
    pub fn within(&self, directory: &str) -> impl Iterator<Item = (&str, &Bytes)> {
        let inside = move |name: &str| {
            name.strip_prefix(directory)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.0
            .iter()
            .filter(move |(name, _)| inside(name))
            .map(|(name, bytes)| (name.as_str(), bytes))
    }

    /// The set with its broken files in the form that they have in `good`, or left out where they are not in it.
    pub fn mended(&self, good: Option<&Self>, broken: impl Fn(&str) -> bool) -> Self {
        let mend = |(name, bytes): (&String, &Bytes)| {
            if bytes.is_ok() && !broken(name) {
                return Some((name.clone(), bytes.clone()));
            }
            Some((name.clone(), good?.0.get(name)?.clone()))
        };
        Self(self.0.iter().filter_map(mend).collect())
    }

    /// What happens to which file where `wanted` takes the place of this set.
    pub fn changes(&self, wanted: &Self) -> Vec<(String, Change)> {
        let mut all: Vec<(String, Change)> = Vec::new();
        for (name, bytes) in &wanted.0 {
            match self.0.get(name) {
                Some(present) if present == bytes => {}
                Some(_) => all.push((name.clone(), Change::Replaced)),
                None => all.push((name.clone(), Change::Added)),
            }
        }
        let gone = self.0.keys().filter(|name| !wanted.0.contains_key(*name));
        all.extend(gone.map(|name| (name.clone(), Change::Removed)));
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// Writes the files into a directory, durably.
    pub fn write(&self, directory: &Path) -> io::Result<()> {
        for (name, bytes) in &self.0 {
            if let Ok(bytes) = bytes {
                write(&directory.join(name), bytes)?;
            }
        }
        Ok(())
    }
}

/// Writes a file durably: whoever reads it sees all of it or what was there before. It keeps its owner and its mode.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    if !directory.exists() {
        fs::create_dir_all(directory)?;
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755))?;
    }
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("file");
    // A name that begins with a dot is never read as configuration.
    let new = directory.join(format!(".{name}.new"));
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    match fs::metadata(path) {
        Ok(known) => {
            fs::set_permissions(&new, known.permissions())?;
            // Only root may give files away; the file of another owner stays readable as it was.
            chown(&new, Some(known.uid()), Some(known.gid())).ok();
        }
        // Whatever the caller's umask is: the daemon must be able to read it.
        Err(_) => fs::set_permissions(&new, fs::Permissions::from_mode(0o644))?,
    }
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(directory)?.sync_all()
}

fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(directory)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    Ok(files)
}

fn wanted(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|e| e == "toml")
}
