//! Figures of sealgram beside raw `ring`, raw UDP and other stacks: see `interop/README.md`.

mod floor;
mod measure;
mod pki;
mod raw;
mod ready;
mod report;
mod rows;
mod sockets;
mod stacks;
mod transfer;

use measure::Effort;
use pki::Pki;
use report::Section;
use std::process::ExitCode;

/// A row: its name, and what measures it.
type Row = (&'static str, fn(Effort, &Pki) -> Vec<Section>);

const ROWS: &[Row] = &[
    ("bulk", |effort, pki| vec![rows::bulk::section(effort, pki)]),
    ("ping-pong", rows::pingpong::sections),
];

const USAGE: &str = "\
usage: bench [--quick] [--only ROW]...

  --quick     shorter rounds: a look, not a figure
  --only ROW  this row; can be given several times";

fn main() -> ExitCode {
    let mut effort = Effort {
        rounds: 5,
        work: 1.0,
    };
    let mut only: Vec<String> = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match (&*argument, arguments.by_ref()) {
            ("--quick", _) => {
                effort = Effort {
                    rounds: 3,
                    work: 0.2,
                }
            }
            ("--only", rest) => only.extend(rest.next()),
            _ => return usage(),
        }
    }
    if only.iter().any(|name| ROWS.iter().all(|row| row.0 != name)) {
        return usage();
    }
    sockets::raise_limit();
    let pki = Pki::new();
    let chosen = ROWS
        .iter()
        .filter(|row| only.is_empty() || only.iter().any(|name| name == row.0));
    let mut sections = Vec::new();
    for (name, measure) in chosen {
        eprintln!("{name} …");
        for section in measure(effort, &pki) {
            println!("{}", report::details(&section));
            sections.push(section);
        }
    }
    println!("{}", report::bars(&sections));
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    let rows: Vec<_> = ROWS.iter().map(|row| row.0).collect();
    eprintln!("{USAGE}\n\nrows: {}", rows.join(", "));
    ExitCode::FAILURE
}
