//! Every mistake of a file is reported at once, in its place, with what to do.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use settings::{ByteSize, Diagnostic, Duration, Environment, KeyPath, Secret, Source, parse};

#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "read by serde only")]
struct File {
    /// What the gateway is called.
    name: String,
    flush: Option<Duration>,
    ring: Option<ByteSize>,
    #[serde(default)]
    line: BTreeMap<String, Line>,
    #[serde(default)]
    point: Vec<Outer<Inner>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "read by serde only")]
struct Line {
    /// The address of the device.
    host: String,
    port: Option<u16>,
    parity: Option<Parity>,
    password: Option<Secret>,
    range: Option<(f64, f64)>,
    bits: Option<Bits>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Parity {
    /// None.
    None,
    /// Even.
    Even,
    /// Odd.
    Odd,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "read by serde only")]
enum Bits {
    One(u8),
    Many([u8; 2]),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "read by serde only")]
struct Outer<P> {
    name: String,
    #[serde(flatten)]
    more: P,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Inner {
    address: Option<String>,
}

fn mistakes(text: &str) -> Vec<Diagnostic> {
    parse::<File>(&Source::from_text("file.toml", text)).unwrap_err()
}

fn shown(text: &str) -> String {
    mistakes(text).iter().map(|d| format!("{d}\n")).collect()
}

#[test]
fn a_sound_file_has_none() {
    let text = "name = 'gw'\nflush = '1s'\nring = '8MiB'\n[line.a]\nhost = 'h'\nport = 502\nparity = 'even'\n\
                password = 'cred:x'\nrange = [0, 1.5]\nbits = [1, 2]\n[[point]]\nname = 'p'\naddress = 'x'\n";
    let file: File = parse(&Source::from_text("file.toml", text)).unwrap();
    assert_eq!(file.line["a"].port, Some(502));
    assert_eq!(file.point[0].more.address.as_deref(), Some("x"));
}

#[test]
fn all_at_once_and_in_order() {
    insta::assert_snapshot!(shown(
        "nmae = 'gw'\nflush = 5\nring = '64M'\n[line.a]\nprot = 502\nparity = 'evn'\nrange = [1]\nbits = 'x'\n\
         [line.b]\nhost = 7\nport = 70000\npassword = 'hunter2'\n[[point]]\nname = 'ä'\naddres = 'x'\n\
         [[point]]\nname = 'p'\naddress = 2026-01-01\n"
    ));
}

#[test]
fn mistakes_of_syntax_are_all_listed() {
    insta::assert_snapshot!(shown("name = 'a'\nwrong = 1\nflush = \nring == '1MiB'\nname = 'b'\n"));
}

#[test]
fn a_secret_is_never_repeated() {
    let text = "name = 'a'\n[line.a]\nhost = 'h'\npasswrd = 'hunter2'\n[line.b]\nhost = 'h'\npassword = 'hunter2'\n\
                [line.c]\nhost = 'h'\npassword = 4242\n";
    let shown = shown(text);
    assert_eq!(mistakes(text).len(), 3);
    assert!(!shown.contains("hunter2") && !shown.contains("4242"), "{shown}");
}

#[test]
fn positions_count_characters() {
    let source = Source::from_text("f", "name = 'gw'\n'ü' = 1 # x\n[line.a]\nhost = \"ä\"");
    let at = |path: &KeyPath| {
        let p = source.position(path);
        (p.line, p.column)
    };
    assert_eq!(at(&KeyPath::of("ü")), (2, 7));
    assert_eq!(at(&KeyPath::of("line").key("a").key("host")), (4, 8));
    assert_eq!(
        at(&KeyPath::of("line").key("a").key("port")),
        (3, 1),
        "the table where it is missing"
    );
}

#[test]
fn thousands_of_mistakes_are_counted() {
    let text: String = (0..5_000).map(|n| format!("k{n} = 1\n")).collect();
    let found = mistakes(&text);
    assert_eq!(found.len(), 101);
    assert!(found[100].message.starts_with("and 4901 more"), "{}", found[100]);
}

#[test]
fn hostile_depth_is_refused() {
    for text in [
        format!("a = {}", "[".repeat(100_000)),
        format!("a = {}", "{a=".repeat(100_000)),
        format!("{}a = 1", "a.".repeat(100_000)),
        format!("[{}a]", "a.".repeat(100_000)),
        format!("[[{}a]]", "a.".repeat(100_000)),
    ] {
        assert!(mistakes(&text)[0].message.contains("nested too deeply"));
    }
}

#[test]
fn files_that_cannot_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.toml");
    assert!(Source::read(&path).unwrap_err()[0].message.contains("cannot read the file"));
    std::fs::write(&path, b"name = '\xff'").unwrap();
    assert!(Source::read(&path).unwrap_err()[0].message.contains("not UTF-8 from byte 8"));
}

/// The file in which a mistake is, where it stands, and what it says.
fn placed(found: &[Diagnostic]) -> String {
    found.iter().map(|d| format!("{d}\n\n")).collect()
}

fn fragments() -> Source {
    let main = Source::from_text(
        "main.toml",
        "name = \"gw\"\nrng = \"1MiB\"\n[line.a]\nhost = \"h\"\nport = 1\n",
    );
    main.with_fragments(&[
        Source::from_text(
            "d/10.toml",
            "flush = \"1x\"\n[line.a]\nparity = \"evn\"\nhost = \"hunter2\"\n",
        ),
        Source::from_text("d/20.toml", "\n[line.b]\nport = 70000\n[line]\na = 5\n"),
    ])
}

#[test]
fn fragments_are_one_file_whose_mistakes_stand_where_they_are() {
    let found = parse::<File>(&fragments()).unwrap_err();
    let shown = placed(&found);
    assert!(!shown.contains("hunter2"), "{shown}");
    insta::assert_snapshot!(shown);
}

#[test]
fn sound_fragments_are_merged_table_by_table() {
    let main = Source::from_text("main.toml", "name = \"gw\"\n[line.a]\nhost = \"h\"\n");
    let more = Source::from_text("d/10.toml", "[line.a]\nport = 7\n[line.b]\nhost = \"i\"\n");
    let merged = main.with_fragments(&[more]);
    let file = parse::<File>(&merged).unwrap();
    assert_eq!((file.line.len(), file.line["a"].port), (2, Some(7)));
    let path = KeyPath::of("line").key("b").key("host");
    assert_eq!(merged.mention(&path), "d/10.toml:4");
    assert_eq!(&*merged.error(&path, "wrong").file, "d/10.toml");
    let path = KeyPath::of("line").key("a").key("host");
    assert_eq!(merged.mention(&path), "main.toml:3");
}

#[test]
fn a_fragment_that_is_no_toml_is_named() {
    let main = Source::from_text("main.toml", "name = \"gw\"\nrng = 1\n");
    let found = parse::<File>(&main.with_fragments(&[Source::from_text("d/10.toml", "a = \n")]));
    let places: Vec<String> = found.unwrap_err().iter().map(Diagnostic::place).collect();
    assert_eq!(places, ["main.toml:2:1", "d/10.toml:1:5"]);
}

#[test]
fn variables_are_filled_in_before_a_text_is_judged() {
    let variables = Environment::of(&[("NAME", "gw-7"), ("FLUSH", "5s"), ("PARITY", "even")]);
    let text = "name = \"${NAME}\"\nflush = \"${FLUSH}\"\n[line.a]\nhost = \"x-${NAME}.example\"\n\
                parity = \"${PARITY}\"\npassword = \"env:NAME\"\n";
    let source = Source::from_text("main.toml", text).expanding(&variables);
    let file = parse::<File>(&source).unwrap();
    assert_eq!((&*file.name, file.flush), ("gw-7", Some(Duration::seconds(5))));
    assert_eq!(&*file.line["a"].host, "x-gw-7.example");
    let wrong = "name = \"${NAMES}\"\nflush = \"${NAME}\"\n[line.a]\nhost = \"${NAME\"\nparity = \"${NAME}\"\n\
                 password = \"${NAME}\"\n";
    let found = parse::<File>(&Source::from_text("main.toml", wrong).expanding(&variables));
    insta::assert_snapshot!(placed(&found.unwrap_err()));
}

#[test]
fn without_an_environment_a_text_is_what_it_says() {
    let file = parse::<File>(&Source::from_text("main.toml", "name = \"${NAME}\"\n")).unwrap();
    assert_eq!(file.name, "${NAME}");
}

#[test]
fn a_source_without_its_bulk_still_says_where_the_rest_stands() {
    let source =
        Source::from_text("a.toml", "id = \"x\"\n[modbus]\nunit = 7\n[[point]]\nname = \"p\"\n");
    let (unit, point) = (KeyPath::root().key("modbus").key("unit"), KeyPath::root().key("point"));
    let light = source.without(&["point"]);
    assert_eq!(light.position(&unit), source.position(&unit));
    assert_eq!(light.text_at(&KeyPath::of("id")), Some("x"));
    assert!(source.has(&point) && !light.has(&point));
    assert_eq!(light.error(&unit, "wrong").to_string(), source.error(&unit, "wrong").to_string());
}
