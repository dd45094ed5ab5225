//! The two programs of a case: the lines they exchange, and what ours has to report.

use std::time::Duration;

use super::programs::CONTEXT;
use super::{Case, Kind, Stack};
use crate::clock::Deadline;
use crate::failure::{Failure, Outcome};
use crate::pki::IDENTITY;
use crate::process::Process;
use crate::proxy::Proxy;
use crate::sealgram::{Event, events};

/// How long to wait for a line before it is sent again: data that is lost stays lost.
const PATIENCE: Duration = Duration::from_millis(700);

/// The two programs.
pub(super) struct Ends {
    pub(super) ours: Option<Process>,
    pub(super) theirs: Process,
}

impl Ends {
    pub(super) fn ours(&mut self) -> Outcome<&mut Process> {
        self.ours
            .as_mut()
            .ok_or_else(|| Failure::new("not started"))
    }

    /// A line from their client to our server, and one back; repeated until it has arrived.
    pub(super) fn exchange(&mut self, word: &str, deadline: Deadline) -> Outcome<()> {
        let (up, down) = (format!("{word} up"), format!("{word} down"));
        repeat(deadline, || {
            self.theirs.write(format!("{up}\n").as_bytes())?;
            let ours = self
                .ours
                .as_ref()
                .ok_or_else(|| Failure::new("not started"))?;
            Ok(ours
                .wait_for(&up, deadline.at_most(PATIENCE), |transcript| {
                    transcript.stdout_after(0, &up)
                })
                .is_ok())
        })?;
        repeat(deadline, || {
            self.ours()?.write(format!("{down}\n").as_bytes())?;
            Ok(self
                .theirs
                .wait_for(&down, deadline.at_most(PATIENCE), |transcript| {
                    transcript.stdout_after(0, &down)
                })
                .is_ok())
        })
    }

    /// A line each way, also with a server that sends everything back.
    pub(super) fn talk(&mut self, case: &Case, word: &str, deadline: Deadline) -> Outcome<()> {
        if matches!(case.stack, Stack::OpenSsl | Stack::Mbed) {
            self.converse(word, deadline)
        } else {
            echo(self.ours()?, word, deadline)
        }
    }

    /// A line from our client to their server, and one back.
    fn converse(&mut self, word: &str, deadline: Deadline) -> Outcome<()> {
        let (up, down) = (format!("{word} up"), format!("{word} down"));
        self.ours()?.write(format!("{up}\n").as_bytes())?;
        self.theirs
            .wait_for(&up, deadline, |transcript| transcript.stdout_after(0, &up))?;
        self.theirs.write(format!("{down}\n").as_bytes())?;
        self.ours()?.wait_for(&down, deadline, |transcript| {
            transcript.stdout_after(0, &down)
        })?;
        Ok(())
    }

    pub(super) fn blame(&self, failure: Failure, proxy: &Proxy) -> Failure {
        let ours = self
            .ours
            .as_ref()
            .map_or_else(String::new, Process::evidence);
        let theirs = self.theirs.evidence();
        failure.with_evidence(format!("{ours}{theirs}{}", proxy.evidence()))
    }
}

/// A line from our client that a server sends back; repeated until it has come.
fn echo(ours: &mut Process, line: &str, deadline: Deadline) -> Outcome<()> {
    repeat(deadline, || {
        ours.write(format!("{line}\n").as_bytes())?;
        Ok(ours
            .wait_for(line, deadline.at_most(PATIENCE), |transcript| {
                transcript.stdout_after(0, line)
            })
            .is_ok())
    })
}

fn repeat(deadline: Deadline, mut step: impl FnMut() -> Outcome<bool>) -> Outcome<()> {
    while !step()? {
        if deadline.has_passed() {
            return Err(Failure::new("no data came through"));
        }
    }
    Ok(())
}

/// Checks what our end reports about the handshake.
pub(super) fn check_handshake(
    case: &Case,
    ours: &Process,
    resumed: bool,
    deadline: Deadline,
) -> Outcome<()> {
    let event = wait_for(ours, "its handshake", deadline, |event| {
        event.name() == "handshake_complete"
    })?;
    let version = if case.stack.is_tls() {
        "TLSv1.3"
    } else {
        "DTLSv1.3"
    };
    expect(&event, "version", version)?;
    expect(&event, "kind", if resumed { "resumed" } else { "full" })?;
    if let Some(group) = case.kind.group() {
        expect(&event, "group", group)?;
    }
    if let Some(suite) = case.kind.suite() {
        expect(&event, "suite", suite)?;
    }
    if case.kind == Kind::SharedKeyAlone && event.value("group").is_some() {
        return Err(Failure::new(format!("keys were exchanged: {event:?}")));
    }
    if case.kind.shares_key() {
        expect(&event, "psk", &shared_key_name(case))?;
    }
    if case.kind.demands_certificate() {
        expect(&event, "client_cert", "present")?;
    }
    Ok(())
}

/// What our end calls the key that both ends share.
fn shared_key_name(case: &Case) -> String {
    match case.stack {
        Stack::Boring => format!("{IDENTITY} (imported for {CONTEXT})"),
        _ => IDENTITY.to_owned(),
    }
}

/// Checks that our end reports new keys in the directions that must have them.
pub(super) fn check_update(case: &Case, ours: &Process, deadline: Deadline) -> Outcome<()> {
    let directions: &[&str] = match case.kind {
        Kind::OurUpdate { request: false } => &["sent"],
        Kind::TheirUpdate { request: false } => &["received"],
        // BoringSSL defers a KeyUpdate while its Finished is not acknowledged, and then does not
        // ask for ours as it should: the request is stored in a signed field of two bits, so 2 is
        // read back as −2.
        Kind::TheirUpdate { request: true }
            if case.stack == Stack::Boring && case.loss.percent > 0 =>
        {
            &["received"]
        }
        Kind::OurUpdate { request: true } | Kind::TheirUpdate { request: true } => {
            &["sent", "received"]
        }
        _ => &[],
    };
    for direction in directions {
        wait_for(ours, &format!("new keys, {direction}"), deadline, |event| {
            event.name() == "keys_updated" && event.value("direction") == Some(direction)
        })?;
    }
    Ok(())
}

pub(super) fn expect(event: &Event, key: &str, wanted: &str) -> Outcome<()> {
    if event.value(key) == Some(wanted) {
        Ok(())
    } else {
        Err(Failure::new(format!(
            "{key} {wanted} was expected: {event:?}"
        )))
    }
}

pub(super) fn wait_for(
    ours: &Process,
    what: &str,
    deadline: Deadline,
    wanted: impl Fn(&Event) -> bool,
) -> Outcome<Event> {
    wait_for_nth(ours, what, deadline, 1, wanted)
}

pub(super) fn wait_for_nth(
    ours: &Process,
    what: &str,
    deadline: Deadline,
    number: usize,
    wanted: impl Fn(&Event) -> bool,
) -> Outcome<Event> {
    ours.wait_for(what, deadline, |transcript| {
        events(transcript)
            .filter(|event| wanted(event))
            .nth(number - 1)
    })
}
