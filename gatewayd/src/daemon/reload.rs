//! Reading the configuration again: plan, apply, watch, and keep it or go back.

use std::time::Duration;

use control::{Action, Answer, Applies, Code, Failure, Outcome, Reloaded, Verdict};
use settings::Severity;

use super::run::{Daemon, note};
use super::trial::{Teller, Trial, Window};
use super::{logging, notify, options};
use crate::config::{self, Loaded, Places};
use crate::server;

/// How long a reload is watched unless somebody says otherwise.
pub const WINDOW: Duration = Duration::from_secs(10);
/// The longest window: whatever fails later has other reasons.
const LONGEST: Duration = Duration::from_secs(600);

impl Daemon {
    /// Where the files are, for the gateway that runs.
    pub(super) fn places(&self) -> Places {
        let running = Some(self.parts.running().gateway.clone());
        Places { running, ..Places::beside(&self.config) }
    }

    async fn read(&self) -> Result<Loaded, Failure> {
        let places = self.places();
        let loaded = self.blocking.blocking(move || config::load_from(&places)).await;
        let mut loaded =
            loaded.ok_or_else(|| Failure::new(Code::Internal, "reading the files panicked"))?;
        loaded.remember(self.parts.running());
        Ok(loaded)
    }

    /// What a reload would do. Nothing is touched.
    pub(super) async fn plan(&self) -> Result<control::Plan, Failure> {
        let loaded = self.read().await?;
        let Some(plan) = &loaded.plan else { return Err(unusable(&loaded, "nothing was planned")) };
        let steps = self.parts.difference(plan);
        let (problems, warnings) = told(&loaded);
        Ok(control::Plan { problems, warnings, ..steps })
    }

    /// Reads the configuration again and applies what changed. A file that cannot be used changes nothing.
    ///
    /// From then on the trial is what has still to prove good.
    pub(super) async fn reload(
        &mut self,
        length: Duration,
        tell: Option<Teller>,
        trial: &mut Option<Trial>,
    ) {
        notify::reloading();
        let begun = self.begin(length).await;
        notify::ready();
        let answer = match begun {
            Ok((done, begun)) => {
                *trial = begun.map(|begun| Trial { tell: tell.clone(), ..begun });
                let (added, removed) = (done.added.len(), done.removed.len());
                let changed = done.changed.len();
                tracing::info!("reloaded: {added} added, {removed} removed, {changed} changed");
                Ok(Answer::Reloaded(done))
            }
            Err(failure) => {
                tracing::error!("{}", failure.message);
                Err(failure)
            }
        };
        if let Some(tell) = &tell {
            // A caller that has gone meanwhile does not want to know.
            tell.send(answer).await.ok();
        }
    }

    async fn begin(&mut self, length: Duration) -> Result<(Reloaded, Option<Trial>), Failure> {
        let loaded = self.read().await?;
        let (problems, warnings) = told(&loaded);
        let Loaded { plan: Some(plan), disabled, .. } = &loaded else {
            self.fell_back(&loaded);
            return Err(unusable(&loaded, "nothing was changed"));
        };
        let steps = self.parts.difference(plan);
        let mut window = Window::new(&self.parts.supervisor, &steps);
        let before = (self.parts.running().clone(), self.disabled.clone());
        self.parts.apply(plan.clone(), disabled, &steps).await;
        self.settings(&steps);
        self.disabled.clone_from(disabled);
        note(&self.facts, self.config.display().to_string(), disabled);
        self.parts.alarms.clear("configuration");
        self.parts.alarms.clear("trial");
        let mut done = reloaded(&steps);
        (done.problems, done.warnings) = (problems, warnings);
        let files = self.sound(&loaded);
        if length.is_zero() || window.units().is_empty() {
            // What nobody judges is good on the caller's word, or where nothing speaks against it.
            if length.is_zero() || !self.parts.supervisor.any_parked() {
                self.keep(files).await;
            }
            return Ok((done, None));
        }
        let length = length.min(LONGEST);
        window.open(length);
        done.watched = window.units();
        done.watched_ms = Some(u64::try_from(length.as_millis()).unwrap_or(u64::MAX));
        Ok((done, Some(Trial { window, files, before: Some(before), tell: None })))
    }

    /// The trial is over: what has proven good is kept, what has failed is taken back.
    pub(super) async fn conclude(&mut self, trial: Trial, faults: Vec<String>) {
        let Trial { files, before, tell, .. } = trial;
        let outcome = match before {
            _ if faults.is_empty() => {
                self.keep(files).await;
                Outcome::Good
            }
            Some((plan, disabled)) => {
                let what = format!(
                    "the files were tried and taken back, what was before is in force: {}",
                    faults.join("; ")
                );
                let steps = self.parts.difference(&plan);
                self.parts.apply(plan, &disabled, &steps).await;
                self.settings(&steps);
                note(&self.facts, "what was before the last reload".into(), &disabled);
                self.disabled = disabled;
                let help = "see: gatewayctl plan; correct it, then: gatewayctl reload; or: gatewayctl rollback";
                self.parts.alarms.raise("trial", &what, Some(help));
                Outcome::Returned
            }
            None => {
                // A start goes on as far as it can; nothing is better than something only where nothing is kept.
                if self.kept.as_ref().is_some_and(|kept| kept.newest().is_none()) {
                    self.keep(files).await;
                }
                Outcome::Good
            }
        };
        if let Some(tell) = tell {
            tell.send(Ok(Answer::Verdict(Verdict { outcome, faults }))).await.ok();
        }
    }

    /// Brings settings into force that need no restart.
    fn settings(&self, steps: &control::Plan) {
        let changed = |key: &str| steps.settings.iter().any(|setting| setting.key.starts_with(key));
        let plan = self.parts.running();
        if changed("log.") {
            logging::set(&plan.log);
        }
        if changed("store.") {
            self.parts.store.retune(options::store(plan));
        }
        if changed("health.listen") {
            self.servers.listen(plan.health);
        }
        if changed("control.group") {
            match server::admit(plan) {
                Ok(()) => self.parts.alarms.clear("control"),
                Err(error) => {
                    let what = crate::ctl::chain(&error);
                    let help = "correct control.group in gatewayd.toml, then: gatewayctl reload";
                    self.parts.alarms.raise("control", &what, Some(help));
                }
            }
        }
    }

    pub(super) fn sound(&self, loaded: &Loaded) -> config::Set {
        let good = self.kept.as_ref().and_then(|kept| kept.newest());
        loaded.sound(&self.places(), good.map(|good| good.set()).as_ref())
    }

    /// Keeps a configuration that has proven good.
    pub(super) async fn keep(&self, files: config::Set) {
        let Some(kept) = self.kept.clone() else { return };
        let directory = kept.directory().display().to_string();
        match self.blocking.blocking(move || kept.keep(&files)).await {
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                tracing::warn!("cannot keep the good configuration in {directory}: {error}");
            }
            None => tracing::error!("keeping the good configuration in {directory} panicked"),
        }
    }

    pub(super) fn fell_back(&self, broken: &Loaded) {
        let what = format!(
            "{} cannot be used, the last good one is in force ({} errors)",
            self.config.display(),
            broken.counts().0
        );
        self.parts.alarms.raise("configuration", &what, Some("gatewayctl check"));
    }
}

fn unusable(loaded: &Loaded, what: &str) -> Failure {
    let all: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
    let words = format!("{}\n{what}", all.join("\n"));
    Failure::new(Code::Configuration, words)
        .help("gatewayctl check; or go back: gatewayctl rollback")
}

/// The errors and the warnings.
fn told(loaded: &Loaded) -> (Vec<String>, Vec<String>) {
    let (errors, warnings): (Vec<_>, Vec<_>) =
        loaded.diagnostics.iter().partition(|d| d.severity == Severity::Error);
    let words =
        |all: Vec<&settings::Diagnostic>| all.into_iter().map(ToString::to_string).collect();
    (words(errors), words(warnings))
}

/// What these steps did, in short.
fn reloaded(steps: &control::Plan) -> Reloaded {
    let mut done = Reloaded { same: steps.same, ..Reloaded::default() };
    let lines = steps.lines.iter().map(|line| ("line", &line.name, line.action));
    let links = steps.links.iter().map(|link| ("link", &link.name, link.action));
    for (kind, name, action) in links.chain(lines) {
        let list = match action {
            Action::Start => &mut done.added,
            Action::Stop => &mut done.removed,
            Action::Rebuild | Action::Configure => &mut done.changed,
        };
        list.push(format!("{kind} {name}"));
    }
    for setting in &steps.settings {
        let list = match setting.applies {
            Applies::Reload => &mut done.applied,
            Applies::Restart => &mut done.needs_restart,
        };
        list.push(setting.key.clone());
    }
    done
}
