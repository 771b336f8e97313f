use std::collections::BTreeSet;

use super::*;

/// The full names of all commands that are shown, as in `gatewayctl links skip`.
fn commands(command: &Command, name: &str, all: &mut BTreeSet<String>) {
    for below in command.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help") {
        let name = format!("{name} {}", below.get_name());
        commands(below, &name, all);
        all.insert(name);
    }
}

fn all() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    commands(&cli::tool(), "gatewayctl", &mut all);
    assert!(all.contains("gatewayctl links skip") && all.len() > 10, "{all:?}");
    all
}

fn generated() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    everything(dir.path()).unwrap();
    dir
}

#[test]
fn every_command_has_a_man_page_with_its_options() {
    let dir = generated();
    for name in all() {
        let file = format!("man1/{}.1", name.replace(' ', "-"));
        let page =
            fs::read_to_string(dir.path().join(&file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert!(page.contains(r"\-\-json"), "{file} lacks an option that all commands share");
        assert!(page.contains(".SH \"SEE ALSO\""), "{file} refers to nothing");
    }
    let pages = fs::read_dir(dir.path().join("man1")).unwrap().count();
    assert_eq!(pages, all().len() + 1, "and there are no others but the tool's own");
    let set = fs::read_to_string(dir.path().join("man1/gatewayctl-set.1")).unwrap();
    for word in [r"\-\-wait", r"\-\-timeout", "TWIN/POINT"] {
        assert!(set.contains(word), "{word} is missing in {set}");
    }
    let daemon = fs::read_to_string(dir.path().join("man8/gatewayd.8")).unwrap();
    for word in [r"\-\-config", "SIGHUP", "/var/lib/gatewayd"] {
        assert!(daemon.contains(word), "{word} is missing in {daemon}");
    }
    assert!(!daemon.contains("gatewayd\\-ctl"), "a page that is not there is referred to");
}

#[test]
fn every_shell_knows_every_command() {
    let dir = generated();
    for file in ["bash/gatewayctl", "zsh/_gatewayctl", "fish/gatewayctl.fish"] {
        let script = fs::read_to_string(dir.path().join(file)).unwrap();
        for name in all() {
            let word = name.rsplit(' ').next().unwrap();
            assert!(script.contains(word), "{file} does not know {name}");
        }
        assert!(
            script.contains("--timeout") || script.contains("-l timeout"),
            "{file} has no options"
        );
    }
}

#[test]
fn schemas_are_closed_and_without_null() {
    for of in SchemaOf::value_variants() {
        let text = schema(*of).to_string();
        assert!(text.contains("\"additionalProperties\":false"), "{of:?} takes any key");
        assert!(!text.contains("\"null\""), "{of:?}: TOML has no null");
        assert!(!text.contains("\"format\":\"gatewayd-"), "{of:?}: no editor knows our formats");
    }
}
