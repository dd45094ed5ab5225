//! The public surface, written down in `docs/surface.txt`: a change to it is seen by whoever makes
//! it and by whoever reads the change.
//!
//! What is listed is what a user of the crate can reach, by the path that users write. It is read
//! from the sources, whatever features are on; what only a feature brings says so. What the
//! documentation hides is left out.

mod index;
mod item;
mod macros;
mod rules;
mod words;

use crate::floors::tree::{ModulePath, Target, Tree};
use crate::floors::{library, text_of};
use index::{Home, Index};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Set to anything, it makes the test write the list.
const WRITE: &str = "SEALGRAM_WRITE_SURFACE";

/// One item and all that belongs to it.
struct Entry {
    /// What it is, and the shortest path to it.
    head: String,
    /// A line each.
    lines: Vec<String>,
}

/// The paths to an item, and what has to be true for each.
type Paths = BTreeSet<(usize, String, Option<String>)>;

/// Every item that users can reach, in the order of their paths.
fn surface() -> Vec<Entry> {
    let files = library();
    let tree = Tree::new(&files);
    let index = Index::new(&tree, text_of);
    let (mut entries, homes) = paths(&tree, &index);
    let reached: BTreeSet<_> = homes.keys().cloned().collect();
    for (home, paths) in homes {
        let mut paths = paths.into_iter();
        let (_, path, condition) = paths.next().unwrap();
        let Some((head, mut lines)) = item::describe(&tree, &index, &home, &path, &reached) else {
            panic!("{path} is public, and its definition was not found");
        };
        let also = paths.map(|(_, path, _)| format!("also {path}"));
        lines.splice(0..0, also);
        let head = with(head, condition.as_deref());
        entries.insert(path, Entry { head, lines });
    }
    entries.into_values().collect()
}

/// The modules and what comes from other crates, by their paths, and the paths of everything else.
fn paths(tree: &Tree<'_>, index: &Index) -> (BTreeMap<String, Entry>, BTreeMap<Home, Paths>) {
    let shown = |module: &ModulePath, name: &str| {
        let attributes = index.attributes(module, name);
        !index::is_hidden(attributes)
    };
    let mut entries = BTreeMap::new();
    let mut homes: BTreeMap<Home, Paths> = BTreeMap::new();
    let mut conditions: BTreeMap<ModulePath, String> = BTreeMap::new();
    for export in tree.exports(shown) {
        let name = export.path.last().unwrap();
        let path = format!("sealgram::{}", export.path.join("::"));
        let own = index::condition(index.attributes(&export.from, name));
        let above = (1..export.path.len()).find_map(|end| conditions.get(&export.path[..end]));
        let condition = own.or(above.cloned());
        let what = match export.target {
            Target::Here {
                module,
                item: Some(item),
            } => {
                // Another name for a type is an item of its own.
                let alias = (module.clone(), name.clone());
                if item == *name || !index.items.contains_key(&alias) {
                    let paths = homes.entry((module, item)).or_default();
                    paths.insert((export.path.len(), path, condition));
                }
                continue;
            }
            Target::Here { item: None, .. } => format!("mod {path}"),
            Target::Elsewhere(outside) => format!("use {path} = ::{}", outside.join("::")),
        };
        let head = with(what, condition.as_deref());
        let lines = Vec::new();
        entries.insert(path, Entry { head, lines });
        if let Some(condition) = condition {
            conditions.insert(export.path, condition);
        }
    }
    (entries, homes)
}

fn with(head: String, condition: Option<&str>) -> String {
    match condition {
        Some(condition) => format!("{head} if {condition}"),
        None => head,
    }
}

fn text(entries: &[Entry]) -> String {
    let mut text = format!(
        "The public surface of sealgram. Do not edit: after a change that is meant,\n\
         `{WRITE}=1 cargo test --test house surface` writes it.\n"
    );
    for entry in entries {
        text += &format!("\n{}\n", entry.head);
        for line in &entry.lines {
            text += &format!("    {line}\n");
        }
    }
    text
}

/// What the first list has and the second has not. Each line comes with what it belongs to.
fn missing(of: &str, in_list: &str) -> Vec<String> {
    let lines = |list: &str| {
        let mut head = String::new();
        let mut lines = Vec::new();
        for line in list.lines() {
            match line.strip_prefix("    ") {
                Some(line) => lines.push(format!("{head}: {line}")),
                None => {
                    head = line.to_owned();
                    lines.push(head.clone());
                }
            }
        }
        lines
    };
    let there: BTreeSet<_> = lines(in_list).into_iter().collect();
    let mut missing = lines(of);
    missing.retain(|line| !there.contains(line));
    missing
}

#[test]
fn the_public_surface_is_what_is_written_down() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/surface.txt");
    let now = text(&surface());
    if std::env::var_os(WRITE).is_some() {
        fs::write(&file, now).unwrap();
        return;
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    let gone = missing(&written, &now);
    let new = missing(&now, &written);
    let changes: Vec<_> = gone
        .iter()
        .map(|line| format!("- {line}"))
        .chain(new.iter().map(|line| format!("+ {line}")))
        .collect();
    assert!(
        written == now,
        "the public surface is not what docs/surface.txt says:\n{}\n\
         If that is meant: {WRITE}=1 cargo test --test house surface",
        changes.join("\n")
    );
}
