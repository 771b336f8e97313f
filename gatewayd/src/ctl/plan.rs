//! Plans, reloads and verdicts for people.

use std::io;

use control::{
    Action, Applies, DeviceAction, Outcome, Plan, PlannedDevice, PlannedLine, PlannedSetting,
    Reloaded, Verdict,
};

use super::paint::{Paint, Screen};
use super::table::time;

/// What a reload would do.
pub fn plan(screen: &mut Screen, plan: &Plan) -> io::Result<()> {
    for setting in &plan.settings {
        screen.line(&line_of(screen, "~", &setting_words(setting)))?;
    }
    for link in &plan.links {
        let (mark, words) = action(link.action);
        screen.line(&line_of(screen, mark, &format!("link {}: {words}", link.name)))?;
        because(screen, "    ", &link.why)?;
    }
    for line in &plan.lines {
        shown(screen, line)?;
    }
    let nothing = plan.settings.is_empty() && plan.links.is_empty() && plan.lines.is_empty();
    let same = match plan.same {
        1 => "1 line or link goes on undisturbed".to_owned(),
        n => format!("{n} lines and links go on undisturbed"),
    };
    screen.line(&if nothing { format!("nothing to do: {same}") } else { same })?;
    problems(screen, &plan.warnings, &plan.problems)
}

fn shown(screen: &mut Screen, line: &PlannedLine) -> io::Result<()> {
    let (mark, words) = action(line.action);
    let same = match (line.action, line.same) {
        (Action::Configure, 1) => ", 1 device on it does not notice".to_owned(),
        (Action::Configure, n) if n > 0 => format!(", {n} devices on it do not notice"),
        (Action::Rebuild, 1) => ", with 1 device that is the same".to_owned(),
        (Action::Rebuild, n) if n > 0 => format!(", with {n} devices that are the same"),
        _ => String::new(),
    };
    screen.line(&line_of(screen, mark, &format!("line {}: {words}{same}", line.name)))?;
    because(screen, "    ", &line.why)?;
    for PlannedDevice { twin, action, why } in &line.devices {
        let (mark, word) = match action {
            DeviceAction::Add => ("+", "added"),
            DeviceAction::Change => ("~", "changed"),
            DeviceAction::Remove => ("-", "removed"),
        };
        screen.line(&format!("    {}", line_of(screen, mark, &format!("twin {twin}: {word}"))))?;
        because(screen, "        ", why)?;
    }
    Ok(())
}

fn line_of(screen: &Screen, mark: &str, words: &str) -> String {
    let paint = match mark {
        "+" => Paint::Good,
        "-" => Paint::Bad,
        _ => Paint::Warn,
    };
    format!("{} {words}", screen.paint(mark, paint))
}

fn because(screen: &mut Screen, margin: &str, why: &[String]) -> io::Result<()> {
    why.iter().try_for_each(|why| screen.line(&format!("{margin}{why}")))
}

fn action(action: Action) -> (&'static str, &'static str) {
    match action {
        Action::Start => ("+", "started"),
        Action::Stop => ("-", "stopped"),
        Action::Rebuild => ("~", "rebuilt, its connection is closed"),
        Action::Configure => ("~", "goes on"),
    }
}

fn setting_words(setting: &PlannedSetting) -> String {
    let show = |value: &Option<String>| value.clone().unwrap_or_else(|| "not given".into());
    let when = match setting.applies {
        Applies::Reload => "",
        Applies::Restart => " (takes a restart: systemctl restart gatewayd)",
    };
    format!("{}: {} → {}{when}", setting.key, show(&setting.from), show(&setting.to))
}

/// What a reload did.
pub fn reloaded(screen: &mut Screen, reloaded: &Reloaded) -> io::Result<()> {
    let lists = [
        ("added", &reloaded.added),
        ("removed", &reloaded.removed),
        ("changed", &reloaded.changed),
        ("in force", &reloaded.applied),
        ("needs a restart (systemctl restart gatewayd)", &reloaded.needs_restart),
    ];
    for (title, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        screen.line(&format!("{title}: {}", list.join(", ")))?;
    }
    screen.line(&format!("unchanged: {}", reloaded.same))?;
    problems(screen, &reloaded.warnings, &reloaded.problems)?;
    match reloaded.watched_ms {
        Some(ms) => screen.line(&format!(
            "watched for {}: {}\n  a permanent fault or a panic takes the change back, a device that is off does not; \
             the daemon goes on if you leave (Ctrl-C)",
            time(ms),
            reloaded.watched.join(", ")
        )),
        None => Ok(()),
    }
}

/// How what changed did while it was watched.
pub fn verdict(screen: &mut Screen, verdict: &Verdict) -> io::Result<()> {
    match verdict.outcome {
        Outcome::Good => {
            let words = screen.paint("good", Paint::Good);
            screen.line(&format!("{words}: kept as the last good configuration"))
        }
        Outcome::Returned => {
            for fault in &verdict.faults {
                screen.line(&screen.paint(fault, Paint::Bad))?;
            }
            let words = screen.paint("taken back", Paint::Bad);
            screen.line(&format!(
                "{words}: what was before the reload is in force again; your files are as you wrote them"
            ))?;
            screen.line("  correct them, then: gatewayctl reload; or put the old ones back: gatewayctl rollback")
        }
    }
}

fn problems(screen: &mut Screen, warnings: &[String], problems: &[String]) -> io::Result<()> {
    for warning in warnings {
        screen.line(&screen.paint(warning, Paint::Warn))?;
    }
    for problem in problems {
        screen.line(&screen.paint(problem, Paint::Bad))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use control::PlannedLink;

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn printed(print: impl FnOnce(&mut Screen) -> io::Result<()>) -> String {
        let paper = Paper::default();
        print(&mut Screen::plain(paper.clone())).unwrap();
        String::from_utf8(paper.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_plan_for_people() {
        let device = |twin: &str, action, why: &[&str]| PlannedDevice {
            twin: twin.into(),
            action,
            why: why.iter().map(|why| (*why).to_owned()).collect(),
        };
        let line = |name: &str, action, why: &[&str], devices, same| PlannedLine {
            name: name.into(),
            action,
            why: why.iter().map(|why| (*why).to_owned()).collect(),
            devices,
            same,
        };
        let setting = |key: &str, from: Option<&str>, to: Option<&str>, applies| PlannedSetting {
            key: key.into(),
            from: from.map(Into::into),
            to: to.map(Into::into),
            applies,
        };
        let all = Plan {
            lines: vec![
                line("bus-1", Action::Rebuild, &["baud: 9600 → 19200"], vec![], 31),
                line(
                    "plc",
                    Action::Configure,
                    &[],
                    vec![
                        device("m-1", DeviceAction::Change, &["point changed: grid/power"]),
                        device("m-2", DeviceAction::Remove, &[]),
                        device("m-3", DeviceAction::Add, &[]),
                    ],
                    97,
                ),
                line("old", Action::Stop, &[], vec![device("x", DeviceAction::Remove, &[])], 0),
            ],
            links: vec![PlannedLink {
                name: "cloud".into(),
                action: Action::Rebuild,
                why: vec!["window: 256 → 128".into()],
            }],
            settings: vec![
                setting("log.level", Some("info"), Some("debug"), Applies::Reload),
                setting("control.group", None, Some("ops"), Applies::Restart),
            ],
            same: 4,
            problems: vec![],
            warnings: vec!["devices.d/a.toml: warning: look at this".into()],
        };
        insta::assert_snapshot!(printed(|screen| plan(screen, &all)));
        let none = Plan { same: 5, ..Plan::default() };
        let words = printed(|screen| plan(screen, &none));
        assert_eq!(words, "nothing to do: 5 lines and links go on undisturbed\n");
    }

    #[test]
    fn a_reload_that_was_taken_back() {
        let done = Reloaded {
            changed: vec!["line bus".into()],
            same: 3,
            needs_restart: vec!["store.dir".into()],
            watched: vec!["line bus".into()],
            watched_ms: Some(10_000),
            ..Reloaded::default()
        };
        let fault = "line bus was given up: no RS-485".to_owned();
        let back = Verdict { outcome: Outcome::Returned, faults: vec![fault] };
        insta::assert_snapshot!(printed(|screen| {
            reloaded(screen, &done)?;
            verdict(screen, &back)
        }));
    }
}
