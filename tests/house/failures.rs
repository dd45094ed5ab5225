//! `docs/failures.md`: every row that the code cites is there, and so is every test that it names.

use crate::common::sources;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What `number` is in "E8", if `word` has the form of a row: a letter and one or two digits.
fn row(word: &str) -> Option<(char, u8)> {
    let section = word.chars().next().filter(char::is_ascii_uppercase)?;
    let digits = &word[1..];
    let is_number = matches!(digits.len(), 1 | 2) && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| (section, digits.parse().unwrap()))
}

/// The rows that the catalogue has: each is a heading of its own.
fn catalogue(text: &str) -> BTreeSet<(char, u8)> {
    text.lines()
        .filter_map(|line| row(line.strip_prefix("### ")?))
        .collect()
}

/// The rows that a text cites. "E6–E8" cites E7 too.
fn cited(text: &str) -> Vec<(char, u8)> {
    let mut rows = Vec::new();
    for word in text.split(|c: char| !c.is_alphanumeric() && !"–_'".contains(c)) {
        let ends: Option<Vec<_>> = word.split('–').map(row).collect();
        match ends.as_deref() {
            Some([(section, first), (_, last)]) => {
                rows.extend((*first..=*last).map(|n| (*section, n)))
            }
            Some(ends) => rows.extend_from_slice(ends),
            None => {}
        }
    }
    rows
}

/// What stands in comments, and in strings that are the name of a row alone, as assertions have
/// them.
fn prose(code: &str) -> impl Iterator<Item = &str> {
    code.lines().flat_map(|line| {
        let comment = line.find("//").map(|at| &line[at..]);
        let quoted = line.split('"').skip(1).step_by(2);
        comment
            .into_iter()
            .chain(quoted.filter(|word| row(word).is_some()))
    })
}

/// The tests that the catalogue names: "`file`: `name`, `name`", a list item each.
fn named(text: &str) -> Vec<(String, String)> {
    let items = text.split("\n- ").skip(1);
    items
        .flat_map(|item| {
            let item = item.split("\n\n").next().unwrap_or_default();
            let mut quoted = item.split('`').skip(1).step_by(2).map(str::to_owned);
            let file = quoted.next().unwrap_or_default();
            quoted.map(move |name| (file.clone(), name))
        })
        .collect()
}

#[test]
fn every_row_that_is_cited_is_in_the_catalogue() {
    let rows = catalogue(&read("docs/failures.md"));
    let sections: BTreeSet<char> = rows.iter().map(|(section, _)| *section).collect();
    let mut missing: BTreeMap<(char, u8), String> = BTreeMap::new();
    let mut found = BTreeSet::new();
    for path in ["src", "tests"].into_iter().flat_map(sources::below) {
        let code = fs::read_to_string(&path).unwrap();
        // A letter that begins no section, as in "V12", is the name of something else.
        for row in prose(&code).flat_map(cited) {
            if rows.contains(&row) {
                found.insert(row);
            } else if sections.contains(&row.0) {
                missing.insert(row, path.display().to_string());
            }
        }
    }
    assert!(found.len() > 100, "the citations were not found");
    assert!(missing.is_empty(), "rows without an entry: {missing:?}");
}

#[test]
fn every_test_that_the_catalogue_names_exists() {
    let tests = named(&read("docs/failures.md"));
    assert!(tests.len() > 200, "the names were not found");
    let gone: Vec<_> = tests
        .iter()
        .filter(|(file, name)| !read(file).contains(&format!("fn {name}(")))
        .collect();
    assert!(
        gone.is_empty(),
        "tests that are elsewhere or gone: {gone:#?}"
    );
}

#[test]
fn citations_are_recognised() {
    let text = "B6, F17 (OpenSSL), E6–E8: not P-256, X25519, r9147_41 or 0xA1";
    let expected = [('B', 6), ('F', 17), ('E', 6), ('E', 7), ('E', 8)];
    assert_eq!(cited(text), expected);
    let code = "let x = \"D1\"; let y = \"of D2\"; // and D3";
    assert_eq!(prose(code).collect::<Vec<_>>(), ["// and D3", "D1"]);
    let item = "\n- `tests/a.rs`: `one`,\n  `two`\n\ntext `three`";
    assert_eq!(named(item).len(), 2);
}
