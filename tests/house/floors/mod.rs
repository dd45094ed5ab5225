//! The floors of the house, as a test: a file imports from its own folder and from lower floors
//! only, and some words occur on one floor alone. `CONTRIBUTING.md` draws the picture.
//!
//! Everything in `src/` is read but unit tests: imports, paths in the middle of expressions and
//! types, the tokens of macros. Each path is followed to the module where the item lives, whatever
//! re-exports it went through.

mod circles;
mod planted;
pub(crate) mod reader;
pub(crate) mod tree;

use reader::Kind;
use std::fs;
use std::path::Path;
use std::rc::Rc;
use tree::{Files, ModulePath, Target, Tree};

/// The folders of `src/`, lowest floor first. Folders of one floor do not import each other:
/// `handshake` and `record` meet in `connection`, `secrets` and `identity` nowhere below `session`.
const FLOORS: &[&[&str]] = &[
    &["protocol"],
    &["error"],
    &["crypto"],
    &["wire"],
    &["secrets", "identity"],
    &["session"],
    &["config"],
    &["handshake", "record"],
    &["connection"],
    &["endpoint"],
    &["net", "sim", "docs"],
];

/// The highest floor that scripted peers of `sim` stand on, so that their logic is independent of
/// what they test, and the one module above it that they use: records are opened and sealed like
/// ours.
const SCRIPTED: (&str, [&str; 2]) = ("session", ["record", "protection"]);

/// What of other crates belongs to some places alone: a part of a path, wherever it stands in it.
const FOREIGN: &[(&str, &[&str])] = &[
    ("ring", &["crypto/ring/"]),
    ("mio", &["net/"]),
    ("socket2", &["net/"]),
    ("quinn_udp", &["net/"]),
    ("UdpSocket", &["net/"]),
    ("TcpStream", &["net/"]),
    ("TcpListener", &["net/"]),
    ("Instant::now", &["net/"]),
    ("Instant::elapsed", &["net/"]),
    ("SystemTime::now", &["config/clock.rs"]),
    ("UnixTime::now", &["config/clock.rs"]),
];

/// Identifiers, methods and keywords that belong to some places alone. `elapsed` reads a clock by
/// itself; `include` would bring in code that is not read here, and `extern crate` names that no
/// scope shows.
const IDENTIFIERS: &[(&str, &[&str])] = &[
    (".elapsed()", &["net/"]),
    ("extern", &[]),
    ("include", &[]),
    ("is_dtls", &[]),
    ("unsafe", &[]),
];

/// The most lines of code in one file.
const MAX_LINES: usize = 600;

/// The library as it is.
pub(crate) fn library() -> Files {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files: Files = crate::common::sources::below("src")
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&root).unwrap();
            let name = name.to_str().unwrap().replace('\\', "/");
            let parsed = reader::read(&name, &text_of(&name));
            (name, Rc::new(parsed))
        })
        .collect();
    assert!(files.len() > 50, "the sources were not found");
    files
}

/// What stands in a file of `src/`.
pub(crate) fn text_of(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Everything that is wrong with a tree, a line each: the file, the line in it if there is one, and
/// what is wrong.
fn faults(tree: &Tree<'_>) -> Vec<String> {
    let mut faults = imports(tree);
    faults.extend(words(tree));
    faults.extend(circles::between_folders(tree));
    faults.extend(circles::inside_folders(tree));
    faults.extend(too_long(tree));
    faults.extend(
        tree.unread
            .iter()
            .map(|file| format!("{file} is declared by no module")),
    );
    faults
}

/// The floor of a folder or of a file beside `lib.rs`, the lowest being 0.
fn floor_of(folder: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&folder))
}

fn top(module: &ModulePath) -> &str {
    module.first().map_or("", String::as_str)
}

/// What is imported from a place that is not below.
fn imports(tree: &Tree<'_>) -> Vec<String> {
    let surface = tree.surface();
    let mut faults = Vec::new();
    // `lib.rs` is the surface and names everything.
    for link in tree
        .links
        .iter()
        .filter(|link| link.module.file != "lib.rs")
    {
        let (file, own) = (&link.module.file, top(link.from));
        let Some(floor) = floor_of(own) else {
            faults.push(format!("{file} stands on no floor"));
            continue;
        };
        for way in &link.ways {
            let (target, is_public) = match &way.target {
                Target::Here { module, item } => {
                    let item = item.as_ref().map(|item| (module.clone(), item.clone()));
                    (
                        Some(module),
                        item.is_some_and(|item| surface.contains(&item)),
                    )
                }
                Target::Elsewhere(_) => (None, false),
            };
            let may = |imported: &ModulePath| {
                let below = floor_of(top(imported)).is_some_and(|target| target < floor);
                below && (own != "sim" || may_simulate(file, imported, is_public))
            };
            for imported in way.through.iter().chain(target) {
                if !imported.is_empty() && top(imported) != own && !may(imported) {
                    faults.push(format!("{} imports {}", link.place(), imported.join("::")));
                }
            }
        }
    }
    faults.sort();
    faults.dedup();
    faults
}

/// Whether a file of `sim/` may know something of a lower floor. Scripted peers speak with the
/// parts that sessions are made of; what hosts the two ends uses them as every user does.
fn may_simulate(file: &str, imported: &ModulePath, is_public: bool) -> bool {
    let (highest, beyond) = SCRIPTED;
    let low = floor_of(top(imported)) <= floor_of(highest);
    let is_scripted = file.starts_with("sim/scripted");
    low || if is_scripted {
        *imported == beyond
    } else {
        is_public
    }
}

/// What stands in a place where it does not belong.
fn words(tree: &Tree<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let at_home = |file: &str, homes: &[&str]| homes.iter().any(|home| file.starts_with(home));
    for (_, module) in tree.modules() {
        for (word, line) in &module.words {
            let rule = IDENTIFIERS.iter().find(|(watched, _)| watched == word);
            if !rule.is_some_and(|(_, homes)| at_home(&module.file, homes)) {
                faults.push(format!("{}:{line} holds {word}", module.file));
            }
        }
    }
    for link in &tree.links {
        for way in &link.ways {
            let Target::Elsewhere(names) = &way.target else {
                continue;
            };
            // One name alone is a local variable, unless it is imported.
            if names.len() == 1 && link.mention.kind == Kind::Use {
                continue;
            }
            let whole = format!("::{}::", names.join("::"));
            for (part, homes) in FOREIGN {
                if whole.contains(&format!("::{part}::")) && !at_home(&link.module.file, homes) {
                    faults.push(format!("{} names {part}", link.place()));
                }
            }
        }
    }
    faults.sort();
    faults.dedup();
    faults
}

fn too_long(tree: &Tree<'_>) -> Vec<String> {
    let files = tree.files.iter().filter(|(_, file)| file.lines > MAX_LINES);
    files
        .map(|(name, file)| format!("{name} has {} lines of code", file.lines))
        .collect()
}

#[test]
fn files_import_from_their_own_folder_and_from_lower_floors_only() {
    assert_none(imports);
}

#[test]
fn some_words_occur_on_their_own_floor_only() {
    assert_none(words);
}

#[test]
fn no_two_folders_import_each_other_in_a_circle() {
    assert_none(circles::between_folders);
}

#[test]
fn no_two_files_of_some_folders_import_each_other_in_a_circle() {
    assert_none(circles::inside_folders);
}

#[test]
fn no_file_has_more_than_six_hundred_lines_of_code() {
    assert_none(too_long);
}

/// A file that no module declares is not compiled, and not read here either.
#[test]
fn every_file_is_read() {
    assert_none(|tree| tree.unread.iter().map(|file| (*file).to_owned()).collect());
}

fn assert_none(rule: fn(&Tree<'_>) -> Vec<String>) {
    let files = library();
    let found = rule(&Tree::new(&files));
    assert!(found.is_empty(), "{found:#?}");
}
