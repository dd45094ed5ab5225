//! A case from start to end, with our client or our server in it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use super::ends::{Ends, check_handshake, check_update, expect, wait_for, wait_for_nth};
use super::programs::{
    add_credential, add_shared_key, client_credential, foreign, listening, openssl,
    server_credential, session_file, their_update, update,
};
use super::{Case, Kind, Stack, refusal};
use crate::clock::Deadline;
use crate::failure::{Failure, Outcome};
use crate::pki::Pki;
use crate::port;
use crate::process::Process;
use crate::proxy::Proxy;
use crate::sealgram::Sealgram;

pub(super) fn as_client(case: &Case, pki: &Pki, deadline: Deadline) -> Outcome<()> {
    let (theirs, port) = port::start(
        "their server",
        || match case.stack {
            Stack::GnuTls => port::next_free_port(),
            _ => Ok(0),
        },
        |port| foreign(case, "server", port, pki),
        |transcript, port| listening(case.stack, port, transcript),
        deadline,
    )?;
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let file = pki.path_of(case, "session");
    let visits: &[(&str, bool)] = match case.kind {
        // dimpl issues no tickets, so there is nothing to resume.
        Kind::Resumed if case.stack == Stack::Dimpl => &[("", false), ("", true)],
        Kind::Resumed => &[("--session-out", false), ("--session-in", true)],
        _ => &[("", false)],
    };
    let mut ends = Ends { ours: None, theirs };
    for &(session, again) in visits {
        // A client that connects again is a new one to the proxy as well.
        let proxy = Proxy::start(server, case.loss)?;
        let mut command = Command::new(Sealgram::program()?);
        let address = if case.stack.is_tls() {
            server
        } else {
            proxy.address()
        };
        command.args(["client", &address.to_string(), "--name", Pki::NAME]);
        if case.stack.is_tls() {
            command.arg("--tls");
        }
        command.args(["--versions", "1.3"]);
        if case.kind.shares_key() {
            add_shared_key(&mut command, case, pki);
        } else {
            command.arg("--ca").arg(pki.server_authority());
        }
        if let Some(suite) = case.kind.suite() {
            command.args(["--ciphers", suite]);
        }
        if case.kind.demands_certificate() {
            add_credential(&mut command, &client_credential(case, pki));
        }
        if !session.is_empty() {
            command.arg(session).arg(&file);
        }
        match case.kind {
            Kind::Hybrid if !case.stack.is_tls() => drop(command.arg("--hybrid-share")),
            // Over datagrams it is what a client does by itself.
            Kind::HybridRequested if case.stack.is_tls() => {
                command.args(["--groups", "x25519,X25519MLKEM768"]);
            }
            _ => {}
        }
        ends.ours = Some(Process::spawn("our client", command)?);
        if let Some((said, _)) = refusal(case) {
            let refused = ends.theirs.wait_for(said, deadline, |transcript| {
                let mut lines = transcript.stderr_lines();
                lines.any(|line| line.starts_with(said)).then_some(())
            });
            return refused.map_err(|failure| ends.blame(failure, &proxy));
        }
        let outcome = visit_as_client(case, &mut ends, again, &file, deadline);
        outcome.map_err(|failure| ends.blame(failure, &proxy))?;
    }
    Ok(())
}

fn visit_as_client(
    case: &Case,
    ends: &mut Ends,
    again: bool,
    file: &Path,
    deadline: Deadline,
) -> Outcome<()> {
    let resumed = again && case.stack != Stack::Dimpl;
    check_handshake(case, ends.ours()?, resumed, deadline)?;
    ends.talk(case, "before", deadline)?;
    match case.kind {
        Kind::OurUpdate { request } => ends.ours()?.write(update(request))?,
        Kind::TheirUpdate { request } => ends.theirs.write(their_update(case.stack, request))?,
        Kind::Resumed if !again && case.stack != Stack::Dimpl => {
            while !file.is_file() {
                if deadline.has_passed() {
                    return Err(Failure::new("no ticket came"));
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
        _ => {}
    }
    // dimpl answers a request together with what it sends next.
    ends.talk(case, "between", deadline)?;
    check_update(case, ends.ours()?, deadline)?;
    ends.talk(case, "after", deadline)?;
    ends.ours()?.close_stdin();
    let status = ends.ours()?.wait_for_exit(deadline)?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!("our client ended with {status}")))
    }
}

pub(super) fn as_server(case: &Case, pki: &Pki, deadline: Deadline) -> Outcome<()> {
    let mut command = Command::new(Sealgram::program()?);
    command.args([
        "server",
        "--listen",
        "127.0.0.1:0",
        "--stdio",
        "--versions",
        "1.3",
    ]);
    if case.stack.is_tls() {
        command.arg("--tls");
    }
    if case.kind.shares_key() {
        add_shared_key(&mut command, case, pki);
    } else {
        add_credential(&mut command, &server_credential(case, pki));
    }
    match case.kind {
        Kind::OtherGroup | Kind::SharedKey { other_group: true } => {
            command.args(["--groups", "p-384"]);
        }
        Kind::HybridRequested => drop(command.args(["--groups", "X25519MLKEM768"])),
        _ => {}
    }
    if let Some(suite) = case.kind.suite() {
        command.args(["--ciphers", suite]);
    }
    if case.kind.demands_certificate() {
        command.arg("--client-ca").arg(pki.client_authority());
    }
    let ours = Process::spawn("our server", command)?;
    let server: SocketAddr = wait_for(&ours, "its address", deadline, |event| {
        event.name() == "listening"
    })?
    .value("addr")
    .and_then(|address| address.parse().ok())
    .ok_or_else(|| Failure::new("no address"))?;
    let proxy = Proxy::start(server, case.loss)?;
    let port = match case.kind {
        _ if case.stack.is_tls() => server.port(),
        Kind::Resumed => server.port(),
        _ => proxy.address().port(),
    };
    let theirs = Process::spawn("their client", foreign(case, "client", port, pki)?)?;
    let mut ends = Ends {
        ours: Some(ours),
        theirs,
    };
    let outcome = serve(case, &mut ends, deadline);
    outcome.map_err(|failure| ends.blame(failure, &proxy))?;
    if (case.stack, case.kind) == (Stack::OpenSsl, Kind::Resumed) {
        let mut again = openssl(
            &Case {
                kind: Kind::Plain,
                ..*case
            },
            "client",
            port,
            pki,
        );
        again.arg("-sess_in").arg(session_file(case, pki));
        ends.theirs = Process::spawn("their client", again)?;
        let outcome = check_resumed(case, &mut ends, deadline);
        outcome.map_err(|failure| ends.blame(failure, &proxy))?;
    }
    Ok(())
}

fn serve(case: &Case, ends: &mut Ends, deadline: Deadline) -> Outcome<()> {
    check_handshake(case, ends.ours()?, false, deadline)?;
    ends.exchange("before", deadline)?;
    match case.kind {
        Kind::OurUpdate { request } => ends.ours()?.write(update(request))?,
        Kind::TheirUpdate { request } => ends.theirs.write(their_update(case.stack, request))?,
        _ => {}
    }
    // A request is answered before the next data, which may have crossed it.
    ends.exchange("between", deadline)?;
    ends.exchange("again", deadline)?;
    check_update(case, ends.ours()?, deadline)?;
    ends.exchange("after", deadline)?;
    if case.stack == Stack::GnuTls {
        ends.theirs.close_stdin();
        return Ok(());
    }
    ends.theirs.write(b"Q\n")?;
    if case.kind == Kind::Resumed && case.stack != Stack::OpenSsl {
        check_resumed(case, ends, deadline)?;
        ends.theirs.write(b"Q\n")?;
    }
    ends.theirs.wait_for_exit(deadline)?;
    Ok(())
}

/// Checks that the second handshake of our server used a ticket, if the stack has any.
fn check_resumed(case: &Case, ends: &mut Ends, deadline: Deadline) -> Outcome<()> {
    let wanted = if case.stack == Stack::Dimpl {
        "full"
    } else {
        "resumed"
    };
    let event = wait_for_nth(ends.ours()?, "the second handshake", deadline, 2, |event| {
        event.name() == "handshake_complete"
    })?;
    expect(&event, "kind", wanted)
}
