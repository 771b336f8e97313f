//! The last good gatewayd.toml: kept beside the store, taken when the operator's own cannot be used.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::config::{self, Loaded, Places};

/// The name of the copy.
const COPY: &str = "gatewayd.toml.last-good";

/// What the daemon works with.
pub struct Chosen {
    /// What was loaded.
    pub loaded: Loaded,
    /// Where it came from.
    pub file: PathBuf,
    /// The mistakes of the operator's own file, where that is not what is used.
    pub broken: Option<Loaded>,
}

/// Loads the configuration; where gatewayd.toml cannot be used, the last one that could.
///
/// `Err` holds the mistakes where there is no last good one either.
pub fn load(config: &Path, state: Option<&Path>) -> Result<Chosen, Box<Loaded>> {
    let loaded = config::load(config);
    if loaded.plan.is_some() {
        return Ok(Chosen { loaded, file: config.into(), broken: None });
    }
    let copy = state.map(|state| state.join(COPY)).filter(|copy| copy.exists());
    let Some(file) = copy else { return Err(Box::new(loaded)) };
    let places = Places { config: file.clone(), ..Places::beside(config) };
    let fallback = config::load_from(&places);
    match fallback.plan {
        Some(_) => Ok(Chosen { loaded: fallback, file, broken: Some(loaded) }),
        None => Err(Box::new(loaded)),
    }
}

/// Keeps a copy of a gatewayd.toml that has proven good. Writes nothing where it is the same.
pub fn keep(config: &Path, state: &Path) -> io::Result<()> {
    let text = fs::read(config)?;
    let copy = state.join(COPY);
    if fs::read(&copy).is_ok_and(|known| known == text) {
        return Ok(());
    }
    let new = copy.with_extension("new");
    let mut file = fs::File::create(&new)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&new, &copy)?;
    fs::File::open(state)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_file_is_replaced_by_the_last_good_one() {
        let dir = tempfile::tempdir().unwrap();
        let (config, state) = (dir.path().join("gatewayd.toml"), dir.path().join("state"));
        fs::create_dir(&state).unwrap();
        fs::write(&config, "[gateway]\nname = \"plant\"\n").unwrap();
        let chosen = load(&config, Some(&state)).ok().unwrap();
        assert!(chosen.broken.is_none());
        keep(&config, &state).unwrap();
        fs::write(&config, "[gateway]\nnaem = \"plant\"\n").unwrap();
        let chosen = load(&config, Some(&state)).ok().unwrap();
        assert!(chosen.broken.is_some_and(|broken| broken.counts().0 > 0));
        assert_eq!(chosen.loaded.plan.unwrap().gateway.as_str(), "plant");
        fs::remove_file(state.join(COPY)).unwrap();
        assert!(load(&config, Some(&state)).is_err_and(|broken| broken.exit_code() == 78));
    }
}
