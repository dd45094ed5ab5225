//! A file that no module declares is not compiled, and its tests never run.

use crate::common::sources;
use std::fs;
use std::path::{Path, PathBuf};

/// The files whose modules lie in this folder; none where each file is a program of its own.
fn parents_of(folder: &Path) -> Vec<PathBuf> {
    let mut parents = vec![folder.with_extension("rs")];
    parents.extend(["main.rs", "mod.rs", "lib.rs"].map(|name| folder.join(name)));
    parents.retain(|it| it.is_file());
    parents
}

fn declares(parent: &str, name: &str) -> bool {
    let declaration = format!("mod {name};");
    parent.lines().any(|line| {
        let line = line.strip_suffix(&declaration).map(str::trim);
        line.is_some_and(|before| before.is_empty() || before.starts_with("pub"))
    })
}

#[test]
fn every_file_is_declared_by_a_module() {
    let folders = ["src", "tests", "examples", "cli", "bogo", "interop"];
    let (mut faults, mut looked_at) = (Vec::new(), 0);
    for file in folders.into_iter().flat_map(sources::below) {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let parents = parents_of(file.parent().unwrap());
        if parents.is_empty() || ["main", "mod", "lib"].contains(&name) {
            continue;
        }
        looked_at += 1;
        let read = |parent: &PathBuf| fs::read_to_string(parent).unwrap();
        if !parents.iter().any(|it| declares(&read(it), name)) {
            faults.push(file.display().to_string());
        }
    }
    assert!(looked_at > 200, "the sources were not found: {looked_at}");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
