//! Figures of sealgram beside raw `ring`, raw UDP and other stacks: see `interop/README.md`.

use sealgram_bench_peers::measure::{Effort, now};
use sealgram_bench_peers::output::Circumstances;
use sealgram_bench_peers::pki::Pki;
use sealgram_bench_peers::report::Section;
use sealgram_bench_peers::{output, rows, sockets};
use std::path::PathBuf;
use std::process::ExitCode;

/// A row: its name, and what measures it.
type Row = (&'static str, fn(Effort, &Pki) -> Vec<Section>);

const ROWS: &[Row] = &[
    ("records", rows::records::sections),
    ("bulk", rows::bulk::sections),
    ("ping-pong", rows::pingpong::sections),
    ("peers", rows::peers::sections),
    ("handshake", rows::handshake::sections),
    ("server", rows::server::sections),
    ("resumption", rows::resumption::sections),
    ("stream", rows::stream::sections),
    ("memory", rows::memory::sections),
    ("cookies", rows::cookies::sections),
    ("associations", rows::associations::sections),
];

const USAGE: &str = "\
usage: bench [--quick] [--only ROW]... [--out FOLDER]

  --quick       shorter rounds: a look, not a figure
  --only ROW    this row; can be given several times
  --out FOLDER  where bench.md, bench.json and the plots go; target/bench of the repository by
                default";

struct Options {
    effort: Effort,
    quick: bool,
    only: Vec<String>,
    out: PathBuf,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let mut options = Self {
            effort: Effort {
                rounds: 5,
                work: 1.0,
            },
            quick: false,
            only: Vec::new(),
            out: [env!("CARGO_MANIFEST_DIR"), "../../target/bench"]
                .iter()
                .collect(),
        };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--only" => options.only.push(arguments.next()?),
                "--out" => options.out = arguments.next()?.into(),
                _ => return None,
            }
        }
        if options.quick {
            options.effort = Effort {
                rounds: 3,
                work: 0.2,
            };
        }
        let known = |name: &String| ROWS.iter().any(|row| row.0 == name);
        options.only.iter().all(known).then_some(options)
    }

    fn includes(&self, row: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == row)
    }
}

fn main() -> ExitCode {
    let Some(options) = Options::parse(std::env::args().skip(1)) else {
        let rows: Vec<_> = ROWS.iter().map(|row| row.0).collect();
        eprintln!("{USAGE}\n\nrows: {}", rows.join(", "));
        return ExitCode::FAILURE;
    };
    sockets::raise_limit();
    let (pki, about) = (Pki::new(), Circumstances::new(options.quick));
    let mut sections = Vec::new();
    for (name, measure) in ROWS.iter().filter(|row| options.includes(row.0)) {
        let start = now();
        eprint!("{name} … ");
        sections.extend(measure(options.effort, &pki));
        eprintln!("{:.0} s", start.elapsed().as_secs_f64());
        // After each row, so that what was measured stays, whatever comes.
        if let Err(error) = output::write(&options.out, &about, &sections) {
            eprintln!("{}: {error}", options.out.display());
            return ExitCode::FAILURE;
        }
    }
    println!("{}", output::markdown(&about, &sections));
    eprintln!("the same, JSON and plots are in {}", options.out.display());
    ExitCode::SUCCESS
}
