//! What an idle association holds, each side, everything included: 1,000 of them in one endpoint at
//! each end, an ECDSA P-256 certificate below one authority, no client certificate, tickets on, one
//! record each way, the clock past every timer of the handshake, nothing queued. An allocator
//! counts the bytes that are asked for, in a program of its own (`src/bin/memory.rs`), so that
//! nothing else pays for the counting.

use crate::measure::{Board, Effort, RUNS};
use crate::output::Plot;
use crate::pki::Pki;
use crate::report::{Bar, Limit, Section};
use serde_json::{Map, Value};
use std::process::Command;

const METRIC: &str = "bytes";

/// The row.
pub fn sections(_: Effort, _: &Pki) -> Vec<Section> {
    let runs: Vec<Map<String, Value>> = (0..RUNS).map(|_| counted()).collect();
    let items: Vec<String> = runs[0].keys().cloned().collect();
    let values = |run: &Map<String, Value>| {
        let values = items.iter().map(|item| run[item].as_f64());
        values.map(|value| value.expect("a number")).collect()
    };
    let values = runs.iter().map(values).collect();
    let board = Board::of_runs(METRIC, items, values);
    let mut bars = Vec::new();
    for (version, most) in [("1.2", 2.2), ("1.3", 3.2)] {
        for side in ["client", "server"] {
            let item = format!("sealgram {version}, {side}");
            bars.push(Bar {
                name: format!("idle association, DTLS {version}, {side}, KiB"),
                ours: Some((board.value(&item, METRIC).median, METRIC)),
                figure: board.figure(|round| round.get(&item, METRIC) / 1024.0),
                limit: Limit::AtMost(most),
            });
        }
    }
    vec![Section {
        name: "memory",
        title: "An idle association, each side, everything included".into(),
        board,
        bars,
        notes: vec![
            "Requested bytes. dimpl runs on ring here, because what AWS-LC asks for cannot be \
             counted; OpenSSL is half of what a pair adds to the process.",
        ],
        plot: Some(Plot {
            file: "memory",
            metric: METRIC,
            better: "less",
            items: [
                "sealgram 1.2, client",
                "sealgram 1.2, server",
                "sealgram 1.3, client",
                "sealgram 1.3, server",
                "dimpl 1.2, client",
                "dimpl 1.2, server",
                "dimpl 1.3, client",
                "dimpl 1.3, server",
                "OpenSSL 1.2, either end",
            ]
            .map(String::from)
            .into(),
        }),
    }]
}

/// What the other program has found.
fn counted() -> Map<String, Value> {
    let program = std::env::current_exe().expect("the system says");
    let output = Command::new(program.with_file_name("memory")).output();
    let output = output.expect("cargo has built it beside this one");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}
