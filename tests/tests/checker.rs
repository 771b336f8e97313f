//! The judge is judged: the independent checker finds each kind of defect, and only those.

use std::process::Command;

use tests::tree;

#[test]
fn the_checkers_can_fail() {
    for tests in ["test_check", "test_check_backlog"] {
        can_fail(tests);
    }
}

fn can_fail(tests: &str) {
    let output = Command::new(tree::root().join(".venv/bin/python"))
        .args(["-m", "unittest", "-v", tests])
        .current_dir(tree::root().join("tests/peers"))
        .output()
        .unwrap_or_else(|e| panic!("running the checker's tests (tests/setup venv?): {e}"));
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words}");
    assert!(!words.contains("Ran 0"), "no tests were run: {words}");
}
