//! A client that comes back with its session: the handshake that resumes it agrees on connection
//! IDs anew, and its first records under keys carry them (RFC 9146 §3).

use std::process::Command;

use super::ends::Ends;
use super::{Case, Identities, Resume, Stack, check_records, check_renewal};
use crate::clock::Deadline;
use crate::failure::{Failure, Outcome};
use crate::peer::Role;
use crate::pki::Pki;
use crate::sealgram::events;

/// The next association of the same two ends, which resumes the session of the first.
pub(super) fn come_back(
    case: &Case,
    ends: &mut Ends,
    pki: &Pki,
    before: &Identities,
    deadline: Deadline,
) -> Outcome<()> {
    ends.reconnect(case, pki)?;
    let after = ends.identities_at(case, 2, [1, 2], deadline)?;
    ends.exchange("resumed", deadline)?;
    for (role, report) in [(Role::Client, 1), (Role::Server, 2)] {
        if case.stack(role) == Stack::Sealgram {
            check_kind(ends, role, report)?;
        }
    }
    check_renewal(case, before, &after)?;
    check_records(case, &ends.proxy, &after)?;
    ends.close(case, deadline)
}

/// Our program says whether a handshake has resumed; Mbed TLS has no call that tells.
fn check_kind(ends: &Ends, role: Role, report: usize) -> Outcome<()> {
    let transcript = ends.transcript(role);
    let mut handshakes = events(&transcript).filter(|event| event.name() == "handshake_complete");
    let handshake = handshakes.nth(report - 1);
    match handshake.as_ref().and_then(|event| event.value("kind")) {
        Some("resumed") => Ok(()),
        other => Err(Failure::new(format!(
            "{role:?}: the handshake is {other:?}"
        ))),
    }
}

/// What both programs are told: by what to resume, and for a client where its session is.
pub(super) fn add_arguments(case: &Case, role: Role, pki: &Pki, again: bool, to: &mut Command) {
    let Some(resume) = case.resume else {
        return;
    };
    match (case.stack(role), resume) {
        (Stack::Sealgram, Resume::Id) => drop(to.arg("--no-tickets")),
        (Stack::Sealgram, Resume::Ticket) => {}
        (_, Resume::Id) => drop(to.args(["--resume", "id"])),
        (_, Resume::Ticket) => drop(to.args(["--resume", "ticket"])),
    }
    if role == Role::Client {
        let option = if again {
            "--session-in"
        } else {
            "--session-out"
        };
        to.arg(option).arg(pki.path_of(case, "session"));
    }
}
