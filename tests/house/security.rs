//! SECURITY.md names a test for each of its promises: every one of them exists.

use std::path::PathBuf;

/// The words in backquotes that are `file::name`, with the file of each.
fn named(text: &str) -> Vec<(String, String)> {
    let quoted = text.split('`').skip(1).step_by(2);
    let pairs =
        quoted.filter_map(|word| Some((word.split_once("::")?.0, word.rsplit_once("::")?.1)));
    pairs
        .filter(|(_, name)| name.starts_with(|first: char| first.is_ascii_lowercase()))
        .map(|(file, name)| (file.to_owned(), name.to_owned()))
        .collect()
}

/// Where a test of this file may stand.
fn places(file: &str) -> Vec<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    ["tests", "src"]
        .into_iter()
        .flat_map(|folder| {
            [
                format!("{folder}/{file}.rs"),
                format!("{folder}/{file}/mod.rs"),
            ]
        })
        .map(|path| root.join(path))
        .collect()
}

fn exists(file: &str, name: &str) -> bool {
    let text = places(file)
        .into_iter()
        .find_map(|path| std::fs::read_to_string(path).ok());
    text.is_some_and(|text| text.contains(&format!("fn {name}(")))
}

#[test]
fn every_promise_names_tests_that_exist() {
    let text = include_str!("../../SECURITY.md");
    let promised = text
        .split("## What is promised")
        .nth(1)
        .and_then(|rest| rest.split("## What is not promised").next())
        .unwrap();
    for promise in promised.split("\n* ").skip(1) {
        let tests: Vec<_> = named(promise)
            .into_iter()
            .filter(|(file, _)| !file.contains("DtlsConnection"))
            .collect();
        assert!(!tests.is_empty(), "no test for: {promise}");
        for (file, name) in tests {
            assert!(
                exists(&file, &name),
                "{file}::{name} does not exist, for: {promise}"
            );
        }
    }
}

#[test]
fn a_test_that_does_not_exist_would_be_noticed() {
    let made_up = named("`strangers::a_test_that_nobody_wrote`").remove(0);
    assert!(!exists(&made_up.0, &made_up.1));
    assert!(exists(
        "house/security",
        "a_test_that_does_not_exist_would_be_noticed"
    ));
}
