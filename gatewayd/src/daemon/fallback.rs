//! What the daemon starts with: the operator's files, and where gatewayd.toml cannot be used the last one that could.

use std::path::{Path, PathBuf};

use crate::config::kept::{Good, Kept};
use crate::config::{self, Loaded, Places, set};

/// What the daemon works with.
pub struct Chosen {
    /// What was loaded.
    pub loaded: Loaded,
    /// Where it came from.
    pub file: PathBuf,
    /// The mistakes of the operator's own file, where that is not what is used.
    pub broken: Option<Loaded>,
}

/// Loads the configuration; where gatewayd.toml cannot be used, the last one that could, with the device files that
/// are there now.
///
/// `Err` holds the mistakes where there is no last good one either.
pub fn load(config: &Path, kept: Option<&Kept>) -> Result<Chosen, Box<Loaded>> {
    let mut loaded = config::load(config);
    let good = kept.map(Kept::all).unwrap_or_default();
    if loaded.plan.is_some() {
        remember(&mut loaded, good.first());
        return Ok(Chosen { loaded, file: config.into(), broken: None });
    }
    for good in &good {
        let fragments = good.directory.join(set::FRAGMENTS);
        let places = Places { config: good.config(), fragments, ..Places::beside(config) };
        let mut fallback = config::load_from(&places);
        if fallback.plan.is_some() {
            remember(&mut fallback, Some(good));
            return Ok(Chosen { loaded: fallback, file: good.config(), broken: Some(loaded) });
        }
    }
    Err(Box::new(loaded))
}

/// The twins of a device file that is broken now are those that it had when it was good.
fn remember(loaded: &mut Loaded, good: Option<&Good>) {
    let Some(good) = good.filter(|_| !loaded.disabled.is_empty()) else { return };
    if let Some(plan) = config::load_from(&Places::beside(&good.config())).plan {
        loaded.remember(&plan);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const DEVICE: &str = "id = \"m-{unit}\"\n[modbus]\ntcp = \"10.0.0.9\"\nunits = \"1-2\"\n\
        [[point]]\nname = \"a/b\"\naddress = \"holding:1\"\n";

    #[test]
    fn a_broken_file_is_replaced_by_the_last_good_one() {
        let dir = tempfile::tempdir().unwrap();
        let (config, kept) = (dir.path().join("gatewayd.toml"), Kept::beneath(dir.path()));
        fs::write(&config, "[gateway]\nname = \"plant\"\n").unwrap();
        let chosen = load(&config, Some(&kept)).ok().unwrap();
        assert!(chosen.broken.is_none());
        assert!(kept.keep(&chosen.loaded.files).unwrap());
        assert!(!kept.keep(&chosen.loaded.files).unwrap(), "the same is written once");
        fs::write(&config, "[gateway]\nnaem = \"plant\"\n").unwrap();
        let chosen = load(&config, Some(&kept)).ok().unwrap();
        assert!(chosen.broken.is_some_and(|broken| broken.counts().0 > 0));
        assert_eq!(chosen.loaded.plan.unwrap().gateway.as_str(), "plant");
        fs::remove_dir_all(kept.directory()).unwrap();
        assert!(load(&config, Some(&kept)).is_err_and(|broken| broken.exit_code() == 78));
    }

    #[test]
    fn a_broken_device_file_keeps_the_twins_that_it_had() {
        let dir = tempfile::tempdir().unwrap();
        let (config, kept) = (dir.path().join("gatewayd.toml"), Kept::beneath(dir.path()));
        fs::write(&config, "[gateway]\nname = \"plant\"\n").unwrap();
        fs::create_dir(dir.path().join("devices.d")).unwrap();
        fs::write(dir.path().join("devices.d/meters.toml"), DEVICE).unwrap();
        let chosen = load(&config, Some(&kept)).ok().unwrap();
        kept.keep(&chosen.loaded.files).unwrap();
        fs::write(dir.path().join("devices.d/meters.toml"), "id = \"m-{unit}\"\nnonsense").unwrap();
        let loaded = load(&config, Some(&kept)).ok().unwrap().loaded;
        let twins: Vec<&str> = loaded.disabled[0].twins.iter().map(|twin| twin.as_str()).collect();
        assert_eq!(twins, ["m-1", "m-2"]);
    }
}
