//! The good configurations that the daemon keeps: whole sets of files, numbered, the newest few.
//!
//! A set is written beside the others and renamed into its place, so that a power cut leaves whole ones only.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::Places;
use super::set::{GATEWAY, Set};

/// So many are kept.
const KEPT: usize = 5;

/// The directory of the kept configurations.
#[derive(Debug, Clone)]
pub struct Kept(PathBuf);

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Good {
    /// Its number; a later one has a higher one.
    pub number: u64,
    /// Where it is.
    pub directory: PathBuf,
}

impl Good {
    /// Its gatewayd.toml.
    pub fn config(&self) -> PathBuf {
        self.directory.join(GATEWAY)
    }

    /// Its files.
    pub fn set(&self) -> Set {
        Set::read(&Places::beside(&self.config()))
    }
}

impl Kept {
    /// What is kept in this state directory.
    pub fn beneath(state: &Path) -> Self {
        Self(state.join("config"))
    }

    /// The directory itself.
    pub fn directory(&self) -> &Path {
        &self.0
    }

    /// All of them, the newest first. None where nothing can be read.
    pub fn all(&self) -> Vec<Good> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().filter_map(Result::ok);
        let good = |entry: fs::DirEntry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            Some(Good { number, directory: entry.path() })
        };
        let mut all: Vec<Good> = entries.filter_map(good).collect();
        all.sort_by_key(|good| std::cmp::Reverse(good.number));
        all
    }

    /// The newest one.
    pub fn newest(&self) -> Option<Good> {
        self.all().into_iter().next()
    }

    /// Keeps a set that has proven good; nothing is written where it is the newest one already. `true` when it was
    /// new.
    pub fn keep(&self, set: &Set) -> io::Result<bool> {
        let all = self.all();
        if all.first().is_some_and(|newest| newest.set() == *set) {
            return Ok(false);
        }
        fs::create_dir_all(&self.0)?;
        let number = all.first().map_or(1, |newest| newest.number + 1);
        // What an earlier attempt left behind.
        let new = self.0.join("new");
        if new.exists() {
            fs::remove_dir_all(&new)?;
        }
        fs::create_dir(&new)?;
        set.write(&new)?;
        File::open(&new)?.sync_all()?;
        fs::rename(&new, self.0.join(number.to_string()))?;
        File::open(&self.0)?.sync_all()?;
        for old in all.iter().skip(KEPT - 1) {
            fs::remove_dir_all(&old.directory)?;
        }
        Ok(true)
    }

    /// The one to return to: the newest one that is not what the files say now.
    pub fn before(&self, files: &Set) -> Option<Good> {
        self.all().into_iter().take(2).find(|good| good.set() != *files)
    }
}
