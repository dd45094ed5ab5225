//! Comments wrap at 100 columns, in every Rust file of the repository.

use crate::common::sources;
use std::fs;

const COLUMNS: usize = 100;

/// The numbers of the comment lines that are longer, counted from 1.
fn too_long(code: &str) -> impl Iterator<Item = usize> {
    code.lines().enumerate().filter_map(|(index, line)| {
        let is_comment = line.trim_start().starts_with("//");
        (is_comment && line.chars().count() > COLUMNS).then_some(index + 1)
    })
}

#[test]
fn comments_wrap_at_100_columns() {
    let folders = [
        "src",
        "tests",
        "examples",
        "benches",
        "cli",
        "bogo",
        "interop/src",
        "interop/tests",
    ];
    let files: Vec<_> = folders.into_iter().flat_map(sources::below).collect();
    assert!(files.len() > 300, "the sources were not found");
    let mut faults = Vec::new();
    for path in files {
        let code = fs::read_to_string(&path).unwrap();
        faults.extend(too_long(&code).map(|line| format!("{}:{line}", path.display())));
    }
    let count = faults.len();
    assert!(faults.is_empty(), "{count} lines: {}", faults.join("\n"));
}

#[test]
fn the_column_is_counted_in_characters() {
    let fits = format!("//{}", "…".repeat(98));
    assert_eq!(
        too_long(&format!("\n{fits}\n{fits}…\n")).collect::<Vec<_>>(),
        [3]
    );
}
