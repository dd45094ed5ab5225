//! What holds for everything public.

use super::{Entry, surface};

/// The enums that can have no other variant: there are two ends, and one bit is 0 or 1.
const CLOSED: &[&str] = &["sealgram::Ecn", "sealgram::KeyUpdate", "sealgram::Side"];

/// Every line with what it belongs to, for which `is_wrong`.
fn wrong(is_wrong: impl Fn(&Entry, &str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for entry in surface() {
        for line in &entry.lines {
            if is_wrong(&entry, line) {
                found.push(format!("{}: {line}", entry.head));
            }
        }
    }
    found
}

/// The arguments of a function, without `self`.
fn arguments(line: &str) -> Option<&str> {
    let (_, arguments) = line.split_once("fn ")?.1.split_once('(')?;
    let own = ["&mut self", "&self", "self"];
    let rest = own.iter().find_map(|own| arguments.strip_prefix(own));
    Some(rest.unwrap_or(arguments).trim_start_matches(", "))
}

#[test]
fn the_time_is_the_first_argument_of_whatever_takes_it() {
    let late = wrong(|_, line| {
        arguments(line)
            .is_some_and(|all| all.contains(": Instant") && !all.starts_with("now: Instant"))
    });
    assert!(late.is_empty(), "{late:#?}");
}

#[test]
fn nothing_takes_an_argument_that_it_does_not_use() {
    let dead = wrong(|_, line| {
        arguments(line).is_some_and(|all| all.starts_with('_') || all.contains(", _"))
    });
    assert!(dead.is_empty(), "{dead:#?}");
}

#[test]
fn everything_has_one_home() {
    let twice = wrong(|_, line| line.starts_with("also "));
    assert!(twice.is_empty(), "{twice:#?}");
}

#[test]
fn an_enum_may_grow() {
    let mut all = surface();
    all.retain(|entry| entry.head.starts_with("enum "));
    assert!(all.len() > 30, "the enums were not found");
    for entry in all {
        let open = entry.lines[0] == "non_exhaustive";
        let closed = CLOSED
            .iter()
            .any(|name| entry.head == format!("enum {name}"));
        assert!(open != closed, "{}", entry.head);
    }
}
