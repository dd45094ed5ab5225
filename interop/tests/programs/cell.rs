//! The cells of the table.

use std::fmt::{self, Display, Formatter};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use sealgram_interop::clock::Deadline;
use sealgram_interop::failure::{Failure, Outcome};
use sealgram_interop::pki::Pki;
use sealgram_interop::pool::run_all;
use sealgram_interop::process::Process;

use crate::ours::{End, Transport, Version};

/// A program in a role, at a version.
pub(crate) struct Cell {
    name: String,
    check: Box<Check>,
}

type Check = dyn Fn(&Surroundings<'_>) -> Outcome<String> + Send + Sync;

/// What every cell needs.
pub(crate) struct Surroundings<'a> {
    pub(crate) pki: &'a Pki,
    pub(crate) deadline: Deadline,
    /// Where its programs may write.
    pub(crate) directory: tempfile::TempDir,
}

impl Cell {
    /// `check` returns what the line of this cell is to say.
    pub(crate) fn new(
        name: impl Into<String>,
        check: impl Fn(&Surroundings<'_>) -> Outcome<String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            check: Box::new(check),
        }
    }

    /// A cell that is empty for this reason, which `evidence` sees.
    pub(crate) fn empty(
        name: impl Into<String>,
        reason: &'static str,
        evidence: impl Fn(&Surroundings<'_>) -> Outcome<()> + Send + Sync + 'static,
    ) -> Self {
        Self::new(name, move |surroundings| {
            evidence(surroundings).map_err(|failure| {
                failure.during(format!("this cell need not be empty any more ({reason})"))
            })?;
            Ok(format!("empty: {reason}"))
        })
    }
}

impl Display for Cell {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

impl Surroundings<'_> {
    /// Starts a program.
    pub(crate) fn start(&self, command: Command) -> Outcome<Process> {
        let name = command.get_program().to_string_lossy().into_owned();
        let name = name.rsplit('/').next().unwrap_or_default().to_owned();
        Process::spawn(&name, command)
            .map_err(|failure| failure.during("is it installed, as `interop/run` does?"))
    }
}

/// How a cell names it.
pub(crate) fn protocol(transport: Transport, version: Version) -> String {
    let name = match transport {
        Transport::Dtls => "DTLS",
        Transport::Tls => "TLS",
    };
    format!("{name} {}", version.name())
}

/// Waits until something listens on this port.
pub(crate) fn wait_for_tcp(port: u16, deadline: Deadline) -> Outcome<()> {
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if deadline.has_passed() {
            return Err(Failure::new(format!("nothing listens on port {port}")));
        }
        thread::sleep(MOMENT);
    }
    Ok(())
}

/// Fails if `found` is not `expected`.
pub(crate) fn expect<A: PartialEq<B> + fmt::Debug, B: fmt::Debug>(
    what: &str,
    found: A,
    expected: B,
) -> Outcome<()> {
    if found == expected {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{what} is {found:?}, not {expected:?}"
    )))
}

/// Adds to a failure what our end has seen and what the programs have written.
pub(crate) fn with_evidence<T>(
    outcome: Outcome<T>,
    ends: &[&End],
    programs: &[&Process],
) -> Outcome<T> {
    outcome.map_err(|failure| {
        let ends = ends.iter().map(|end| end.evidence());
        let programs = programs.iter().map(|program| program.evidence());
        let all: Vec<_> = ends.chain(programs).collect();
        failure.with_evidence(all.join("\n"))
    })
}

/// Runs the cells, and fails if one of them has.
pub(crate) fn run(program: &str, cells: &[Cell]) {
    let pki = Pki::generate().expect("certificates");
    let report = run_all(cells, AT_ONCE, |cell| {
        (cell.check)(&Surroundings {
            pki: &pki,
            deadline: Deadline::after(LIMIT),
            directory: tempfile::tempdir()?,
        })
    });
    report.conclude(program);
}

/// Between two looks.
const MOMENT: Duration = Duration::from_millis(10);

const AT_ONCE: usize = 4;
const LIMIT: Duration = Duration::from_secs(30);
