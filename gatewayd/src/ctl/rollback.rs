//! `gatewayctl rollback`: the operator's files become the last good ones again. What they replace is kept.
//!
//! The tool does it, with the rights of whoever calls it: the daemon may not write where the operator's files are.

use std::io;
use std::path::{Path, PathBuf};

use base::Clock;
use serde_json::json;

use super::paint::{Paint, Screen};
use crate::config::Places;
use crate::config::kept::{Good, Kept};
use crate::config::set::{self, Change, Set};

/// Where the replaced files are kept, beside gatewayd.toml.
const REPLACED: &str = "replaced";

/// Why the files were not replaced.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// There is nothing to return to.
    #[error("there is no other good configuration in {}", .0.display())]
    Nothing(PathBuf),
    /// The system refuses.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was attempted.
        what: &'static str,
        /// Of what.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
}

impl RollbackError {
    /// What to do next.
    pub fn help(&self) -> String {
        match self {
            Self::Nothing(_) => {
                "the daemon keeps each configuration that has proven good for some seconds; may you read them? sudo helps"
                    .into()
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "use sudo: the files belong to root".into()
            }
            Self::Io { .. } => "df -h; nothing is lost: what was replaced is kept".into(),
        }
    }
}

/// What a rollback does.
pub struct Rollback {
    config: PathBuf,
    good: Good,
    changes: Vec<(String, Change)>,
    files: Set,
}

impl Rollback {
    /// Looks for the configuration to return to.
    pub fn find(config: &Path, state: &Path) -> Result<Self, RollbackError> {
        let kept = Kept::beneath(state);
        let files = Set::read(&Places::beside(config));
        let good = kept
            .before(&files)
            .ok_or_else(|| RollbackError::Nothing(kept.directory().to_path_buf()))?;
        let changes = files.changes(&good.set());
        Ok(Self { config: config.into(), good, changes, files })
    }

    /// Replaces the files; gives back where what they replaced is kept.
    pub fn carry_out(&self, clock: &Clock) -> Result<PathBuf, RollbackError> {
        let failed = |what, path: &Path| {
            let path = path.to_path_buf();
            move |source| RollbackError::Io { what, path, source }
        };
        let places = Places::beside(&self.config);
        let backup = backup(&self.config, clock);
        self.files.write(&backup).map_err(failed("keep the present files in", &backup))?;
        let good = self.good.set();
        for (name, change) in &self.changes {
            let path = places.path(name);
            match (change, good.get(name)) {
                (Change::Removed, _) => {
                    std::fs::remove_file(&path).map_err(failed("remove", &path))?;
                }
                (_, Some(Ok(bytes))) => {
                    set::write(&path, bytes).map_err(failed("write", &path))?;
                }
                // What could not be read was never kept.
                (_, Some(Err(_)) | None) => {}
            }
        }
        Ok(backup)
    }

    /// What happens to which file, for people or programs.
    pub fn show(&self, screen: &mut Screen, json: bool, backup: Option<&Path>) -> io::Result<()> {
        let places = Places::beside(&self.config);
        if json {
            let file = |(name, change): &(String, Change)| json!({ "file": places.path(name).display().to_string(), "action": word(*change) });
            let document = json!({
                "v": control::VERSION,
                "is": "rollback",
                "good": self.good.directory.display().to_string(),
                "replaced": backup.map(|path| path.display().to_string()),
                "files": self.changes.iter().map(file).collect::<Vec<_>>(),
            });
            return screen.line(&document.to_string());
        }
        screen
            .line(&format!("the last good configuration is {}", self.good.directory.display()))?;
        for (name, change) in &self.changes {
            let (mark, paint) = match change {
                Change::Added => ("+", Paint::Good),
                Change::Replaced => ("~", Paint::Warn),
                Change::Removed => ("-", Paint::Bad),
            };
            screen.line(&format!(
                "{} {}",
                screen.paint(mark, paint),
                places.path(name).display()
            ))?;
        }
        match backup {
            Some(backup) => screen.line(&format!("what was there is in {}", backup.display())),
            None => screen.line("nothing was touched (--dry-run)"),
        }
    }
}

fn word(change: Change) -> &'static str {
    match change {
        Change::Added => "add",
        Change::Replaced => "replace",
        Change::Removed => "remove",
    }
}

/// A directory that is not there yet.
fn backup(config: &Path, clock: &Clock) -> PathBuf {
    let seconds = clock.utc().unwrap_or(0) / 1_000_000;
    let time = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    let name = time.strftime("%Y%m%dT%H%M%SZ").to_string();
    let all = config.with_file_name(REPLACED);
    let numbered = (2..).map(|n| all.join(format!("{name}-{n}")));
    let mut names = std::iter::once(all.join(&name)).chain(numbered);
    names.find(|path| !path.exists()).unwrap_or_else(|| all.join(name))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("etc/gatewayd.toml");
        fs::create_dir_all(dir.path().join("etc/devices.d")).unwrap();
        (dir, config)
    }

    fn files(dir: &Path) -> Vec<(String, String)> {
        let set = Set::read(&Places::beside(&dir.join("etc/gatewayd.toml")));
        let all = set.changes(&Set::default());
        let text = |name: &str| String::from_utf8(set.get(name).unwrap().clone().unwrap()).unwrap();
        all.into_iter().map(|(name, _)| (name.clone(), text(&name))).collect()
    }

    #[test]
    fn the_set_returns_as_one_and_what_it_replaced_is_kept() {
        let (dir, config) = folder();
        let write =
            |name: &str, text: &str| fs::write(dir.path().join("etc").join(name), text).unwrap();
        let kept = Kept::beneath(&dir.path().join("state"));
        let keep = || kept.keep(&Set::read(&Places::beside(&config))).unwrap();
        write("gatewayd.toml", "one");
        write("devices.d/a.toml", "a one");
        write("devices.d/b.toml", "b one");
        assert!(keep());
        let first = files(dir.path());
        write("gatewayd.toml", "two");
        write("devices.d/a.toml", "a two");
        write("devices.d/c.toml", "c two");
        fs::remove_file(dir.path().join("etc/devices.d/b.toml")).unwrap();
        let second = files(dir.path());
        let (clock, _) = Clock::manual(0, Some(1_700_000_000_000_000), [0; 16]);
        let state = dir.path().join("state");
        // The files differ from the newest good ones: those return.
        let rollback = Rollback::find(&config, &state).unwrap();
        let backup = rollback.carry_out(&clock).unwrap();
        assert!(backup.ends_with("etc/replaced/20231114T221320Z"), "{}", backup.display());
        assert_eq!(files(dir.path()), first);
        assert_eq!(fs::read(backup.join("devices.d/c.toml")).unwrap(), b"c two");
        assert_eq!(fs::read(backup.join("gatewayd.toml")).unwrap(), b"two");
        // The files are the newest good ones: the ones before return, and the other way round.
        for (name, text) in &second {
            write(name, text);
        }
        fs::remove_file(dir.path().join("etc/devices.d/b.toml")).unwrap();
        assert!(keep());
        let rollback = Rollback::find(&config, &state).unwrap();
        let backup = rollback.carry_out(&clock).unwrap();
        assert!(backup.ends_with("20231114T221320Z-2"), "an older one is never overwritten");
        assert_eq!(files(dir.path()), first);
        assert!(keep(), "what returned is the newest good one");
        Rollback::find(&config, &state).unwrap().carry_out(&clock).unwrap();
        assert_eq!(files(dir.path()), second);
    }

    #[test]
    fn without_a_good_one_nothing_is_touched() {
        let (dir, config) = folder();
        fs::write(&config, "one").unwrap();
        let state = dir.path().join("state");
        let none = Rollback::find(&config, &state).err().unwrap();
        assert!(matches!(none, RollbackError::Nothing(_)));
        Kept::beneath(&state).keep(&Set::read(&Places::beside(&config))).unwrap();
        let same = Rollback::find(&config, &state).err().unwrap();
        assert!(same.to_string().contains("no other good configuration"), "{same}");
    }

    #[test]
    fn few_are_kept_and_half_of_one_is_none() {
        let (dir, config) = folder();
        let kept = Kept::beneath(dir.path());
        for n in 0..9 {
            fs::write(&config, n.to_string()).unwrap();
            // A power cut in the middle of an earlier attempt.
            fs::create_dir_all(kept.directory().join("new/devices.d")).unwrap();
            assert!(kept.keep(&Set::read(&Places::beside(&config))).unwrap());
        }
        let numbers: Vec<u64> = kept.all().iter().map(|good| good.number).collect();
        assert_eq!(numbers, [9, 8, 7, 6, 5]);
        assert_eq!(kept.newest().unwrap().set(), Set::read(&Places::beside(&config)));
    }
}
