//! What the errors say, to people who may have nothing but the `sealgram` program.

use std::fs;
use std::path::Path;

/// The string literals of a piece of Rust, without those in comments and attributes.
fn literals(code: &str) -> Vec<String> {
    let above_tests = code.split("\n#[cfg(test)]").next().unwrap_or_default();
    let lines = above_tests.lines().filter(|line| {
        !line.trim_start().starts_with("//") && !line.trim_start().starts_with("#[")
    });
    let code: Vec<_> = lines.collect();
    code.join("\n")
        .split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// A setting or a call of the library is no help to whoever runs the program: words say what is
/// wanted, and the program adds its option.
#[test]
fn no_error_names_a_setting_or_a_call_of_the_library() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/error");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        for text in literals(&fs::read_to_string(&path).unwrap()) {
            seen += 1;
            for word in [
                "::",
                "()",
                "poll_",
                "Policy",
                "Answer",
                "Reply",
                "use key_update",
            ] {
                assert!(!text.contains(word), "{}: {text}", path.display());
            }
        }
    }
    assert!(seen > 100, "the texts were not found");
}
