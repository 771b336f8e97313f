//! What `check` says about links.

use settings::Severity;

use super::tests::Folder;

const GATEWAY: &str = "[gateway]\nname = \"gw-1\"\n";
const PUMP: &str = "[modbus]\ntcp = \"127.0.0.1:1502\"\nunit = 3\n[group.fast]\ninterval = \"1s\"\n\
    [[point]]\nname = \"motor/speed\"\naddress = \"holding:7\"\nwritable = true\n\
    [[point]]\nname = \"motor/power\"\naddress = \"holding:8\"\n";

fn shown(links: &str) -> (u8, String) {
    let folder = Folder::new(&[
        ("gatewayd.toml", &format!("{GATEWAY}{links}")),
        ("devices.d/pump-1.toml", PUMP),
    ]);
    let loaded = folder.load();
    let told = loaded.diagnostics.iter().map(|d| {
        let place = d.place();
        let place = place.rsplit('/').next().unwrap_or_default();
        let word = if d.severity == Severity::Warning { "warning: " } else { "" };
        format!("{place}: {word}{}\n{}\n", d.message, d.help.as_deref().unwrap_or_default())
    });
    (loaded.exit_code(), told.collect())
}

#[test]
fn patterns_that_match_nothing_are_told_and_go_on() {
    let (code, told) = shown(
        "[link.a]\nurl = \"mqtt://b\"\ntwins = [\"pump-*\", \"pumps-1\"]\n\
        commands = [\"pump-1/motor/*\", \"pump-1/motor/power\", \"pump-1/motor/sped\"]\n",
    );
    assert_eq!(code, 0);
    for words in [
        "gatewayd.toml:5:20: warning: \"pumps-1\" matches no twin of any device file",
        "did you mean \"pump-1\"?",
        "gatewayd.toml:6:31: warning: \"pump-1/motor/power\" matches no writable point",
        "\"pump-1/motor/sped\" matches no writable point",
        "did you mean \"pump-1/motor/speed\"?",
    ] {
        assert!(told.contains(words), "{words}\n---\n{told}");
    }
    assert_eq!(told.matches("warning: ").count(), 3, "{told}");
}

#[test]
fn nothing_is_said_where_nothing_is_wrong_or_known() {
    let fine = "[link.a]\nurl = \"mqtt://b\"\ncommands = [\"*\"]\ntwins = [\"*\"]\n";
    assert_eq!(shown(fine), (0, String::new()));
    let folder = Folder::new(&[
        (
            "gatewayd.toml",
            &format!("{GATEWAY}[link.a]\nurl = \"mqtt://b\"\ncommands = [\"x/*\"]\n"),
        ),
        ("devices.d/x.toml", "broken"),
    ]);
    assert!(!folder.shown().contains("matches"), "{}", folder.shown());
}

#[test]
fn two_links_that_would_end_each_other_are_an_error() {
    let (code, told) = shown(
        "[link.a]\nurl = \"mqtt://Broker\"\nclient_id = \"one\"\n\
        [link.b]\nurl = \"mqtt://broker:1883\"\nclient_id = \"one\"\n\
        [link.c]\nurl = \"mqtts://broker\"\nclient_id = \"one\"\n",
    );
    assert_eq!(code, 78);
    assert!(told.contains("gatewayd.toml:8:13: the link a is the client \"one\""), "{told}");
    assert_eq!(told.matches("client_id of its own").count(), 1, "another port is another broker");
    let (code, told) = shown(
        "[link.a]\nurl = \"mqtt://b\"\nclient_id = \"gatewayd-gw-1-b\"\n[link.b]\nurl = \"mqtt://b\"\n",
    );
    assert_eq!(code, 78);
    assert!(told.contains("gatewayd.toml:5:13: the link b is the client"), "{told}");
}
