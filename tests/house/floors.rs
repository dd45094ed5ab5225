//! The floors of the house, as a test: a file imports from its own folder and from lower floors only, and some
//! words occur on one floor alone. `CONTRIBUTING.md` draws the picture.

use std::fs;
use std::path::Path;

/// The folders (and single files) of `src/`, lowest floor first. Folders of one floor do not import each other.
const FLOORS: &[&[&str]] = &[
    &["protocol", "error"],
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

/// Exceptions with their reasons.
///
/// * `protocol` and `error` are one floor and speak of each other: an error names the alert that reports it.
/// * `config` names the traits of floor 3, and the fault of a key exchange is an error.
const NEIGHBOURS: &[(&str, &str)] = &[("error", "protocol"), ("protocol", "error")];

/// Words that belong to some places alone.
const WORDS: &[(&str, &[&str])] = &[
    ("ring::", &["crypto/"]),
    ("mio::", &["net/"]),
    ("socket2::", &["net/"]),
    ("quinn_udp", &["net/"]),
    ("std::net::UdpSocket", &["net/"]),
    ("std::net::TcpStream", &["net/"]),
    ("Instant::now", &["net/"]),
    ("SystemTime::now", &["config/clock"]),
    ("UnixTime::now", &["config/clock"]),
    ("is_dtls", &[]),
    ("unsafe ", &[]),
];

struct Source {
    /// The path below `src/`, with slashes.
    name: String,
    /// The code, without comments and without unit tests.
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let sources: Vec<Source> = crate::common::sources::below("src")
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let name = path
                .strip_prefix(&root)
                .unwrap()
                .to_str()
                .unwrap()
                .replace('\\', "/");
            Source {
                name,
                code: code_of(&text),
            }
        })
        .collect();
    assert!(sources.len() > 50, "the sources were not found");
    sources
}

/// Everything above the unit tests that is not a comment line.
fn code_of(text: &str) -> String {
    let above_tests = text.split("\n#[cfg(test)]").next().unwrap_or_default();
    above_tests
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| format!("{line}\n"))
        .collect()
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

fn module_of(name: &str) -> &str {
    name.split(['/', '.']).next().unwrap_or_default()
}

/// Whether `word` stands in the line, and not as the end of a longer one.
fn holds_word(line: &str, word: &str) -> bool {
    let longer = |at: usize| line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| !longer(at))
}

/// The first path segment behind every `crate::` of a piece of code.
fn imports(code: &str) -> impl Iterator<Item = &str> {
    code.split("crate::").skip(1).map(|rest| {
        let end = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        &rest[..end]
    })
}

#[test]
fn files_import_from_their_own_folder_and_from_lower_floors_only() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| source.name != "lib.rs") {
        let own = module_of(&source.name);
        let floor = floor_of(own).unwrap_or_else(|| panic!("{} stands on no floor", source.name));
        for import in imports(&source.code) {
            // What is no module is a name that `lib.rs` exports, or a macro.
            let Some(target) = floor_of(import) else {
                continue;
            };
            let neighbours = NEIGHBOURS.contains(&(own, import));
            if import != own && target >= floor && !neighbours {
                faults.push(format!("{} imports {import}", source.name));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn handshake_and_record_never_meet_below_the_connection() {
    for source in sources() {
        let forbidden = match module_of(&source.name) {
            "handshake" => "crate::record",
            "record" => "crate::handshake",
            _ => continue,
        };
        assert!(
            !source.code.contains(forbidden),
            "{} uses {forbidden}",
            source.name
        );
    }
}

#[test]
fn some_words_occur_on_their_own_floor_only() {
    let mut faults = Vec::new();
    for source in sources() {
        for (word, homes) in WORDS {
            // `webpki::ring` is a module of rustls-webpki; it too stays in `crypto/`.
            let lines = source.code.lines().filter(|line| holds_word(line, word));
            if !homes.iter().any(|home| source.name.starts_with(home)) {
                faults.extend(lines.map(|line| format!("{}: {}", source.name, line.trim())));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn no_file_has_more_than_six_hundred_lines_of_code() {
    for source in sources() {
        let lines = source.code.lines().count();
        assert!(lines <= 600, "{} has {lines} lines of code", source.name);
    }
}

/// The test can fail: a fault in a made-up file is found.
#[test]
fn an_import_of_a_higher_floor_would_be_found() {
    let code =
        code_of("use crate::endpoint::{Endpoint};\n// crate::net\n#[cfg(test)]\nuse crate::net;");
    assert_eq!(imports(&code).collect::<Vec<_>>(), ["endpoint"]);
    assert!(floor_of("endpoint") > floor_of("connection"));
}
