//! Many cases at once, and the report about them.

use std::collections::HashSet;
use std::env;
use std::fmt::{Display, Write as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::clock::Deadline;
use crate::failure::{Failure, Outcome};

/// The results of a list of cases.
#[derive(Debug, Default)]
pub struct Report {
    passed: usize,
    failed: Vec<(String, Failure)>,
    slowest: Option<(Duration, String)>,
}

/// Runs every case whose name contains the value of the environment variable [`FILTER`], or every
/// case if it is unset: `at_once` of them at a time, each once. Prints a line for each case when it
/// ends, with the text that `run` returns.
///
/// # Panics
///
/// If two cases have one name: a case's programs write where its name says, and a report that names
/// it means it alone.
pub fn run_all<C: Display + Sync>(
    cases: &[C],
    at_once: usize,
    run: impl Fn(&C) -> Outcome<String> + Sync,
) -> Report {
    let mut names = HashSet::new();
    for case in cases {
        assert!(names.insert(case.to_string()), "two cases are {case}");
    }
    let wanted = env::var(FILTER).unwrap_or_default();
    let chosen: Vec<_> = cases
        .iter()
        .filter(|case| case.to_string().contains(&wanted))
        .collect();
    if chosen.len() < cases.len() {
        println!(
            "{FILTER}={wanted} chooses {} of {} cases",
            chosen.len(),
            cases.len()
        );
    }
    run_each(&chosen, at_once, run)
}

fn run_each<C: Display + Sync>(
    cases: &[&C],
    at_once: usize,
    run: impl Fn(&C) -> Outcome<String> + Sync,
) -> Report {
    let report = Mutex::new(Report::default());
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..at_once.min(cases.len()) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let stopwatch = Deadline::after(Duration::ZERO);
                    let outcome = run(case);
                    announce(case, &outcome, stopwatch.elapsed());
                    report
                        .lock()
                        .expect("no thread panics while it holds the report")
                        .add(case.to_string(), outcome, stopwatch.elapsed());
                }
            });
        }
    });
    report
        .into_inner()
        .expect("no thread panics while it holds the report")
}

fn announce(case: impl Display, outcome: &Outcome<String>, took: Duration) {
    let seconds = took.as_secs_f32();
    match outcome {
        Ok(remark) => println!("ok   {seconds:5.1} s  {case}  {remark}"),
        Err(_) => println!("FAIL {seconds:5.1} s  {case}"),
    }
}

impl Report {
    fn add(&mut self, name: String, outcome: Outcome<String>, took: Duration) {
        if self
            .slowest
            .as_ref()
            .is_none_or(|(slowest, _)| *slowest < took)
        {
            self.slowest = Some((took, name.clone()));
        }
        match outcome {
            Ok(_) => self.passed += 1,
            Err(failure) => self.failed.push((name, failure)),
        }
    }

    /// How many cases passed.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.passed
    }

    /// How many cases were run.
    #[must_use]
    pub fn total(&self) -> usize {
        self.passed + self.failed.len()
    }

    /// Prints the totals; if cases failed, first all names and then each with its evidence.
    ///
    /// # Panics
    ///
    /// If a case failed: that is how a test ends.
    pub fn conclude(self, title: &str) {
        let slowest = self.slowest.map_or_else(String::new, |(took, name)| {
            format!(", slowest {:.1} s ({name})", took.as_secs_f32())
        });
        println!(
            "{title}: {} passed, {} failed{slowest}",
            self.passed,
            self.failed.len()
        );
        if self.failed.is_empty() {
            return;
        }
        let mut text = format!("{title}: {} cases failed\n", self.failed.len());
        for (name, failure) in &self.failed {
            let reason = failure.to_string();
            let first_line = reason.lines().next().unwrap_or_default();
            let _ = writeln!(text, "  {name}: {first_line}");
        }
        for (name, failure) in self.failed.iter().take(MAX_EVIDENCE) {
            let _ = writeln!(text, "\n=== {name}\n{failure}");
        }
        panic!("{text}");
    }
}

/// The environment variable that limits a run to cases whose name contains its value.
pub const FILTER: &str = "SEALGRAM_INTEROP_CASE";

/// How many failures are shown with all their evidence.
const MAX_EVIDENCE: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_runs_once() {
        let runs = AtomicUsize::new(0);
        let report = run_each(&[&"a", &"b", &"c"], 2, |_| {
            runs.fetch_add(1, Ordering::Relaxed);
            Ok(String::new())
        });
        assert_eq!(runs.into_inner(), 3);
        assert_eq!((report.passed(), report.total()), (3, 3));
    }

    #[test]
    #[should_panic(expected = "two cases are a")]
    fn two_cases_of_one_name_are_refused() {
        let cases = ["a", "b", "a"];
        let _panics = run_all(&cases, 2, |_| Ok(String::new()));
    }

    #[test]
    fn a_failure_is_kept_under_its_name() {
        let mut report = Report::default();
        report.add("good".to_owned(), Ok(String::new()), Duration::ZERO);
        report.add("bad".to_owned(), Err(Failure::new("why")), Duration::ZERO);
        assert_eq!((report.passed(), report.total()), (1, 2));
        assert_eq!(report.failed[0].0, "bad");
    }
}
