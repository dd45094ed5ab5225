//! Links of the documents to other files of the repository: none is dead.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Markdown file, but for what builds leave and what hides itself. Those in `src/` are parts
/// of pages, whose links rustdoc checks.
fn documents(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_left_out = name.starts_with('.') || ["target", "src"].contains(&name);
        if path.is_dir() && !is_left_out {
            documents(&path, found);
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}

/// The text without blocks of code, where brackets mean something else.
fn prose(text: &str) -> String {
    let mut is_code = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        if !is_code && !is_fence {
            lines.push(line);
        }
    }
    lines.join("\n")
}

/// Where the links and images of a text lead: `](…)`.
fn targets(text: &str) -> Vec<String> {
    let parts = text.split("](").skip(1);
    let target = |part: &str| part.split_once(')').map(|(target, _)| target.to_owned());
    parts.filter_map(target).collect()
}

/// The name by which a heading is linked to: its words in small letters, with hyphens.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || [' ', '-', '_'].contains(c);
    let name = heading.trim_start_matches('#').trim().to_lowercase();
    name.chars()
        .filter(kept)
        .collect::<String>()
        .replace(' ', "-")
}

/// Whether a link in the document at `from` leads to something.
fn is_alive(from: &Path, target: &str) -> bool {
    if target.contains("://") || target.starts_with("mailto:") {
        return true;
    }
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let path = match file {
        "" => from.to_owned(),
        file => from.parent().unwrap().join(file),
    };
    if heading.is_empty() {
        return path.exists();
    }
    let text = prose(&fs::read_to_string(path).unwrap_or_default());
    let mut headings = text.lines().filter(|line| line.starts_with('#'));
    headings.any(|line| anchor(line) == heading)
}

#[test]
fn no_link_of_a_document_is_dead() {
    let mut found = Vec::new();
    documents(root(), &mut found);
    assert!(found.len() > 10, "the documents were not found: {found:?}");
    let (mut faults, mut looked_at) = (Vec::new(), 0);
    for file in &found {
        for target in targets(&prose(&fs::read_to_string(file).unwrap())) {
            looked_at += 1;
            if !is_alive(file, &target) {
                faults.push(format!("{}: {target}", file.display()));
            }
        }
    }
    assert!(looked_at > 15, "the links were not found: {looked_at}");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_dead_link_is_found() {
    let readme = root().join("README.md");
    for (target, is_good) in [
        ("docs/bench.md", true),
        ("docs/bench.md#beside-other-stacks", true),
        ("#where-to-go-next", true),
        ("https://example.com/docs/none.md", true),
        ("docs/none.md", false),
        ("docs/bench.md#none", false),
        ("#none", false),
    ] {
        assert_eq!(is_alive(&readme, target), is_good, "{target}");
    }
    let text = "an ![image](a.svg) and\n```sh\n[code](b)\n```\na [link](c.md#d)";
    assert_eq!(targets(&prose(text)), ["a.svg", "c.md#d"]);
}
