//! What the front door promises: a compiler, licences, and where the texts name them.

use sealgram::bytes::BytesMut;
use std::fs;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Whoever feeds an endpoint needs `bytes` of the same version as this crate, and no dependency of
/// its own.
#[test]
fn the_buffers_that_the_api_takes_can_be_had_from_it() {
    let now = crate::common::configs::start();
    let policy = sealgram::endpoint::EndpointPolicy::default();
    let mut endpoint = sealgram::endpoint::Endpoint::new(now, policy, None).unwrap();
    let path = sealgram::Path::new(([127, 0, 0, 1], 1).into());
    let datagram = BytesMut::from(&b"anything"[..]);
    endpoint.handle_datagram(now, path, datagram);
    assert_eq!(endpoint.stats().strays, 1);
}

/// `if let` guards of match arms came with Rust 1.95. clippy's `incompatible_msrv` knows calls, and
/// no syntax.
fn guards(code: &str) -> Vec<String> {
    let guard = |line: &&str| {
        let line = line.trim();
        let starts = line.starts_with("if let ") && line.ends_with("=> {");
        !line.starts_with("//") && (starts || line.contains(" if let ") && line.contains("=>"))
    };
    code.lines().filter(guard).map(str::to_owned).collect()
}

#[test]
fn nothing_that_users_build_has_a_guard_that_the_promised_compiler_does_not_know() {
    let files: Vec<_> = ["src", "cli/src", "examples"]
        .into_iter()
        .flat_map(crate::common::sources::below)
        .collect();
    assert!(files.len() > 100, "the sources were not found");
    for path in files {
        let found = guards(&fs::read_to_string(&path).unwrap());
        assert!(found.is_empty(), "{}: {found:?}", path.display());
    }
    let guard = "Next::Line(line) if let Some(command) = Input::command(&line) => {";
    assert_eq!(guards(guard).len(), 1);
    assert_eq!(
        guards("let x = if let Some(y) = z { y } else { w };").len(),
        0
    );
}

#[test]
fn the_readme_names_the_compiler_that_the_manifest_promises() {
    let manifest = read("Cargo.toml");
    let promised = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"'))
        .unwrap();
    let readme = read("README.md");
    assert!(readme.contains(&format!("Rust ({promised} or newer)")));
}

#[test]
fn both_licences_are_here_and_travel_with_the_package() {
    let manifest = read("Cargo.toml");
    for (file, words) in [
        ("LICENSE-MIT", "Permission is hereby granted"),
        ("LICENSE-APACHE", "Version 2.0, January 2004"),
    ] {
        assert!(read(file).contains(words), "{file}");
        assert!(manifest.contains(&format!("\"/{file}\"")), "{file}");
    }
}
