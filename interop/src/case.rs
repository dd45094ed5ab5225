//! One case from start to verdict.

use std::env;
use std::time::Duration;

use crate::association::{Association, Delivery, Route};
use crate::audit::audit;
use crate::clock::Deadline;
use crate::failure::{Failure, Outcome};
use crate::loss::{Direction, Loss};
use crate::matrix::Case;
use crate::peer::{Handshake, Implementation};
use crate::pki::Pki;

/// Runs `case` on a direct path: handshake, five lines each way, close.
///
/// # Errors
///
/// When any of it fails, or something else was negotiated than the case says.
pub fn run(case: &Case, pki: &Pki) -> Outcome<String> {
    let deadline = Deadline::after(CASE_LIMIT);
    let mut association = establish(case, pki, Route::Direct, deadline)?;
    association.converse(LINES, Delivery::Exact, deadline)?;
    association.close(deadline)?;
    Ok(String::new())
}

/// Runs `case` through a proxy with `loss`, which lasts to the end: lines that are lost are sent
/// again by the test, as an application would do. Afterwards the captured records of our program
/// are audited. The returned text has the proxy's decisions.
///
/// # Errors
///
/// As [`run`], and when a record breaks a rule of [`crate::audit`].
pub fn run_lossy(case: &Case, pki: &Pki, loss: Loss) -> Outcome<String> {
    let deadline = Deadline::after(LOSSY_CASE_LIMIT);
    let mut association = establish(case, pki, Route::Proxied(loss), deadline)?;
    association.converse(LINES, Delivery::Repeated, deadline)?;
    association.close_unheard(deadline)?;
    let captured = association.proxy().captured();
    let ours = [
        (case.client, Direction::ToServer),
        (case.server, Direction::ToClient),
    ];
    for (implementation, direction) in ours {
        if implementation == Implementation::Sealgram {
            audit(&captured, direction, case.aead)
                .map_err(|failure| failure.with_evidence(association.evidence()))?;
        }
    }
    let mut remark = association.proxy().decisions();
    if env::var_os(VERBOSE).is_some() {
        remark = format!("{remark}\n{}", association.evidence());
    }
    Ok(remark)
}

/// Connects the programs of the case, and checks what each of them reports as negotiated. Our own
/// program must report everything; a foreign one must not contradict.
///
/// # Errors
///
/// When the handshake fails, or something else was negotiated.
pub fn establish(case: &Case, pki: &Pki, route: Route, deadline: Deadline) -> Outcome<Association> {
    let settings = case.settings(pki);
    let association = Association::establish(case.client, case.server, &settings, route, deadline)?;
    let told = [
        (case.client, Some(association.client_handshake)),
        (case.server, association.server_handshake),
    ];
    for (implementation, handshake) in told {
        if let Some(handshake) = handshake {
            check(case, implementation, &handshake)
                .map_err(|failure| failure.with_evidence(association.evidence()))?;
        }
    }
    Ok(association)
}

fn check(case: &Case, implementation: Implementation, told: &Handshake) -> Outcome<()> {
    let who = implementation.name();
    let must_tell = implementation == Implementation::Sealgram;
    agree(who, "suite", told.suite, case.suite(), must_tell)?;
    agree(who, "group", told.group, case.group, must_tell)?;
    agree(
        who,
        "client certificate",
        told.client_certificate,
        case.client_key.is_some(),
        must_tell,
    )
}

fn agree<T: PartialEq + std::fmt::Debug>(
    who: &str,
    what: &str,
    told: Option<T>,
    wanted: T,
    must_tell: bool,
) -> Outcome<()> {
    match told {
        Some(told) if told == wanted => Ok(()),
        Some(told) => Err(Failure::new(format!(
            "{who} negotiated {what} {told:?} instead of {wanted:?}"
        ))),
        None if must_tell => Err(Failure::new(format!(
            "{who} does not report in event=handshake_complete which {what} was negotiated"
        ))),
        None => Ok(()),
    }
}

/// The environment variable that makes lossy cases show their output even if they pass.
pub const VERBOSE: &str = "SEALGRAM_INTEROP_VERBOSE";

/// Lines each way in one case.
const LINES: usize = 5;

/// The time for a case without loss. It takes a fraction of a second on an idle machine.
const CASE_LIMIT: Duration = Duration::from_secs(30);

/// The time for a case with loss.
const LOSSY_CASE_LIMIT: Duration = Duration::from_secs(90);
