//! Circles of imports: whoever reads one part of a circle has to read all of it.
//!
//! What counts is where an item lives. A name that a `mod.rs` only gives on belongs to the file
//! below it, so a folder can be entered by its `mod.rs` without a circle. Methods count where they
//! are written: who calls a method that one file adds to the type of another needs that file,
//! though no path says so.

use super::reader::Kind;
use super::tree::{Target, Tree};
use std::collections::{BTreeMap, BTreeSet};

/// The folders whose files import each other in no circle either.
const ORDERLY: &[&str] = &[
    "config",
    "crypto",
    "error",
    "handshake/client",
    "handshake/server",
    "net",
    "protocol",
    "record",
    "secrets",
    "wire",
    "wire/extension",
];

/// Who imports from whom, with an example of where.
#[derive(Default)]
struct Graph {
    edges: BTreeMap<String, BTreeMap<String, String>>,
}

/// Folders that import from each other: side by side, by whatever files; one below the other, if
/// their files do.
pub(crate) fn between_folders(tree: &Tree<'_>) -> Vec<String> {
    let files = Graph::of_files(tree);
    let mut siblings = Graph::default();
    for (from, to, place) in files.edges() {
        if let Some((from, to)) = side_by_side(from, to) {
            siblings.insert(from, to, place);
        }
    }
    let nested = files.circles(|from, to| folder_of(from) != folder_of(to));
    let mut circles = siblings.circles(|_, _| true);
    circles.extend(nested);
    circles
}

/// Files of one folder that import from each other, where the folder has that in order.
pub(crate) fn inside_folders(tree: &Tree<'_>) -> Vec<String> {
    let files = Graph::of_files(tree);
    let inside = |folder: &&str| {
        let mut within = Graph::default();
        for (from, to, place) in files.edges() {
            if folder_of(from) == *folder && folder_of(to) == *folder {
                within.insert(from, to, place);
            }
        }
        within.circles(|_, _| true)
    };
    ORDERLY.iter().flat_map(inside).collect()
}

fn folder_of(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The two folders that hold these files and lie in one; `None` if one of the files lies there
/// itself.
fn side_by_side<'a>(from: &'a str, to: &'a str) -> Option<(&'a str, &'a str)> {
    let common = from
        .split_inclusive('/')
        .zip(to.split_inclusive('/'))
        .take_while(|(one, other)| one == other)
        .map(|(part, _)| part.len())
        .sum();
    let folder = |file: &'a str| file[common..].find('/').map(|end| &file[..common + end]);
    Some((folder(from)?, folder(to)?))
}

impl Graph {
    fn of_files(tree: &Tree<'_>) -> Self {
        let mut graph = Self::default();
        // `lib.rs` is the surface and names everything.
        for link in tree
            .links
            .iter()
            .filter(|link| link.module.file != "lib.rs")
        {
            for way in &link.ways {
                let Target::Here {
                    module: home,
                    item: Some(_),
                } = &way.target
                else {
                    continue;
                };
                let given_on = link.mention.kind == Kind::Export && home.starts_with(link.from);
                if !given_on && !home.is_empty() {
                    graph.insert(&link.module.file, tree.file_of(home), &link.place());
                }
            }
        }
        graph.add_calls(tree);
        graph
    }

    /// The calls of methods that one file adds to the type of another in its folder. Only the name
    /// of a method is known, so it counts if no other type has one of that name.
    fn add_calls(&mut self, tree: &Tree<'_>) {
        let mut names: BTreeMap<&str, Vec<(&str, bool)>> = BTreeMap::new();
        for (path, module) in tree.modules() {
            for (of, methods) in &module.methods {
                let away = tree
                    .follow(path, of)
                    .into_iter()
                    .any(|way| match way.target {
                        Target::Here { module: home, .. } => tree.file_of(&home) != module.file,
                        Target::Elsewhere(_) => false,
                    });
                for method in methods {
                    names.entry(method).or_default().push((&module.file, away));
                }
            }
        }
        for (_, module) in tree.modules() {
            for (method, line) in &module.calls {
                let Some(&[(file, true)]) = names.get(method.as_str()).map(Vec::as_slice) else {
                    continue;
                };
                if folder_of(file) == folder_of(&module.file) {
                    self.insert(&module.file, file, &format!("{}:{line}", module.file));
                }
            }
        }
    }

    fn insert(&mut self, from: &str, to: &str, place: &str) {
        if from != to {
            let edges = self.edges.entry(from.to_owned()).or_default();
            edges
                .entry(to.to_owned())
                .or_insert_with(|| place.to_owned());
        }
    }

    fn edges(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.edges.iter().flat_map(|(from, edges)| {
            edges
                .iter()
                .map(|(to, place)| (from.as_str(), to.as_str(), place.as_str()))
        })
    }

    /// Every import that is part of a circle and for which `counts` is true.
    fn circles(&self, counts: impl Fn(&str, &str) -> bool) -> Vec<String> {
        let mut reached: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        self.edges()
            .filter(|(from, to, _)| counts(from, to))
            .filter(|(from, to, _)| {
                let from_there = reached.entry(to).or_insert_with(|| self.reach(to));
                from_there.contains(from)
            })
            .map(|(from, to, place)| format!("{place} closes a circle: {from} imports {to}"))
            .collect()
    }

    fn reach<'a>(&'a self, from: &'a str) -> BTreeSet<&'a str> {
        let mut reached = BTreeSet::new();
        let mut waiting = vec![from];
        while let Some(node) = waiting.pop() {
            if reached.insert(node) {
                let edges = self.edges.get(node);
                waiting.extend(
                    edges
                        .into_iter()
                        .flat_map(BTreeMap::keys)
                        .map(String::as_str),
                );
            }
        }
        reached
    }
}
