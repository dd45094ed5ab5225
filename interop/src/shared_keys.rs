//! Pre-shared keys at version 1.2 with a foreign peer: every suite that both have, every group,
//! full, resumed and renegotiated, over both transports.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use crate::algorithm::{Aead, Group, SharedSuite};
use crate::association::{Association, Delivery, Route};
use crate::clock::Deadline;
use crate::failure::{Failure, Outcome};
use crate::foreign::fact;
use crate::loss::Loss;
use crate::peer::{Implementation, Role, Settings, Transport};
use crate::pki::{IDENTITY, Pki};
use crate::process::Process;
use crate::rekeying::{plain, resume_as_client_with, resume_as_server_with, wait_for_event};
use crate::sealgram::Event;

/// What follows the first handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Lines in both directions.
    Data,
    /// A second connection that resumes the session.
    Resumption {
        /// By ticket; else by session ID.
        tickets: bool,
    },
    /// A renegotiation that this end begins.
    Renegotiation(Role),
}

/// One case.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// The other program.
    pub foreign: Implementation,
    /// Our program's role.
    pub role: Role,
    /// What carries the records.
    pub transport: Transport,
    /// The only suite.
    pub suite: SharedSuite,
    /// The only group.
    pub group: Group,
    /// What follows.
    pub then: Then,
    /// The choice of losses, if a tenth of all datagrams is lost.
    pub seed: Option<u64>,
}

impl Display for Case {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let (foreign, suite) = (self.foreign.name(), self.suite.iana_name());
        let (group, then) = (self.group.name(), self.then);
        write!(
            formatter,
            "{foreign}/our-{:?}/{:?}/{suite}/{group}/{then:?}",
            self.role, self.transport
        )?;
        match self.seed {
            Some(seed) => write!(formatter, "/seed-{seed}"),
            None => Ok(()),
        }
    }
}

impl Case {
    /// Every case with this peer, without losses. What it cannot do is printed with its reason.
    #[must_use]
    pub fn all(foreign: Implementation) -> Vec<Self> {
        let mut cases = Vec::new();
        for suite in SharedSuite::all() {
            if let Some(reason) = lacks(foreign, suite) {
                println!("empty: {}, {}: {reason}", foreign.name(), suite.iana_name());
                continue;
            }
            for role in [Role::Client, Role::Server] {
                let transports: &[Transport] = match foreign {
                    Implementation::WolfSsl | Implementation::Dimpl => &[Transport::Dtls],
                    _ => &[Transport::Dtls, Transport::Tls],
                };
                for &transport in transports {
                    cases.extend(of(foreign, suite, role, transport));
                }
            }
        }
        cases
    }

    /// The same over a path that loses a tenth of all datagrams, three choices of losses each.
    /// Resumptions are two connections, and those lose nothing; a peer that never repeats its
    /// HelloRequest begins nothing.
    #[must_use]
    pub fn lossy(foreign: Implementation) -> Vec<Self> {
        let survives = |case: &Self| match case.then {
            Then::Data => true,
            // It ends when a renegotiation loses datagrams.
            Then::Renegotiation(_) if foreign == Implementation::WolfSsl => false,
            Then::Renegotiation(by) => by == case.role || repeats_hello_requests(foreign),
            Then::Resumption { .. } => false,
        };
        Self::all(foreign)
            .into_iter()
            .filter(|case| case.transport == Transport::Dtls && survives(case))
            .flat_map(|case| {
                [1, 2, 3].map(|seed| Self {
                    seed: Some(seed),
                    ..case
                })
            })
            .collect()
    }

    fn settings<'a>(&self, pki: &'a Pki) -> Settings<'a> {
        let tickets = self.then == Then::Resumption { tickets: true };
        // dimpl's client does not send renegotiation_info.
        let lacks = (self.foreign, self.role) == (Implementation::Dimpl, Role::Server);
        let allowed = lacks.then(|| "--allow-insecure-renegotiation-peers".to_owned());
        Settings {
            server_arguments: allowed.into_iter().collect(),
            shared_key: Some(self.suite),
            groups: vec![self.group],
            ..plain(pki, self.transport, tickets)
        }
    }
}

fn of(foreign: Implementation, suite: SharedSuite, role: Role, transport: Transport) -> Vec<Case> {
    let mut cases = Vec::new();
    let case = |group, then| Case {
        foreign,
        role,
        transport,
        suite,
        group,
        then,
        seed: None,
    };
    let groups: &[Group] = match suite.exchanges {
        true => &Group::ALL,
        false => &[Group::X25519],
    };
    cases.extend(groups.iter().map(|&group| case(group, Then::Data)));
    if crashes(&case(Group::X25519, Then::Data)) {
        println!("empty: gnutls client, ECDHE_PSK, after the handshake: it ends with SIGSEGV");
        return cases;
    }
    if let Some(reason) = lacks_resumption(foreign) {
        println!("empty: {}, resumption: {reason}", foreign.name());
    } else {
        for tickets in [true, false] {
            cases.push(case(Group::X25519, Then::Resumption { tickets }));
        }
    }
    // Over UDP `gnutls-cli` renegotiates only as it begins, and its server asks for it by a line of
    // data: those are cases of `rekeying`.
    let begins = |by: Role| by == role || foreign != Implementation::GnuTls;
    if foreign == Implementation::Dimpl {
        println!("empty: dimpl, renegotiation: it ignores it");
        return cases;
    }
    for by in [Role::Client, Role::Server]
        .into_iter()
        .filter(|&by| begins(by))
    {
        cases.push(case(Group::X25519, Then::Renegotiation(by)));
    }
    cases
}

/// Why a peer does not have a suite.
fn lacks(foreign: Implementation, suite: SharedSuite) -> Option<&'static str> {
    let newer = suite.exchanges && suite.aead != Aead::ChaCha20Poly1305;
    match (foreign, suite.exchanges, suite.aead) {
        (Implementation::Dimpl, false, Aead::Aes128Ccm8) => None,
        (Implementation::Dimpl, ..) => Some("dimpl has PSK_AES128_CCM_8 alone"),
        (Implementation::WolfSsl, true, Aead::Aes256Gcm) => {
            Some("of RFC 8442 it has the suite with AES-128-GCM alone")
        }
        (Implementation::WolfSsl, ..) => None,
        _ => newer.then_some("OpenSSL, GnuTLS 3.7 and Mbed TLS 2.28 lack the suites of RFC 8442"),
    }
}

/// Why a peer resumes nothing.
fn lacks_resumption(foreign: Implementation) -> Option<&'static str> {
    match foreign {
        Implementation::Dimpl => Some("it has none"),
        _ if foreign.is_framed() => None,
        _ if foreign.is_behind_a_program_of_ours() => Some("its program makes one connection"),
        _ => None,
    }
}

/// Whether a peer sends a HelloRequest again that was lost.
fn repeats_hello_requests(foreign: Implementation) -> bool {
    foreign.is_behind_a_program_of_ours() && !foreign.is_framed()
}

/// Runs a case.
///
/// # Errors
///
/// When any check fails; the error has the output of both programs.
pub fn run(case: &Case, pki: &Pki) -> Outcome<String> {
    let deadline = Deadline::after(LIMIT);
    let settings = case.settings(pki);
    if let Then::Resumption { .. } = case.then {
        let session = pki.path_of(case, "session");
        return match case.role {
            Role::Client => resume_as_client_with(settings, &session, case.foreign, deadline),
            Role::Server => resume_as_server_with(settings, &session, case.foreign, deadline),
        }
        .map(|()| String::new());
    }
    let (client, server) = match case.role {
        Role::Client => (Implementation::Sealgram, case.foreign),
        Role::Server => (case.foreign, Implementation::Sealgram),
    };
    let (route, delivery) = match case.seed {
        None => (Route::Direct, Delivery::Exact),
        Some(seed) => (Route::Proxied(Loss::of(case, 10, seed)), Delivery::Repeated),
    };
    if crashes(case) {
        return completes(case, &settings, deadline);
    }
    let mut association = Association::establish(client, server, &settings, route, deadline)?;
    let first = told(case, &association, 1, deadline);
    first.map_err(|failure| failure.with_evidence(association.evidence()))?;
    association.converse(LINES, delivery, deadline)?;
    if let Then::Renegotiation(by) = case.then {
        begin(case, by, &mut association)?;
        if ends_by_renegotiation(case) {
            let server = &association.server.process;
            return server
                .wait_for("its end", deadline, |it| fact(it, "error read: -501"))
                .map(|_| "its server ends with -501".to_owned());
        }
        let second = told(case, &association, 2, deadline);
        second.map_err(|failure| failure.with_evidence(association.evidence()))?;
        association.converse(LINES, delivery, deadline)?;
    }
    match case.seed {
        None => association.close(deadline)?,
        Some(_) => association.close_unheard(deadline)?,
    }
    Ok(String::new())
}

/// `gnutls-cli` 3.7.9 ends with a fault of memory (SIGSEGV) when it has completed a handshake with
/// ECDHE_PSK, with `openssl s_server` too.
fn crashes(case: &Case) -> bool {
    case.foreign == Implementation::GnuTls && case.role == Role::Server && case.suite.exchanges
}

/// wolfSSL's server finds no suite when a handshake with this one is renegotiated
/// (MATCH_SUITE_ERROR), with its own client too.
fn ends_by_renegotiation(case: &Case) -> bool {
    let newer = case.suite.exchanges && case.suite.aead == Aead::Aes128Gcm;
    case.foreign == Implementation::WolfSsl && case.role == Role::Client && newer
}

/// Our server completes the handshake with the client that has seen its Finished.
fn completes(case: &Case, settings: &Settings<'_>, deadline: Deadline) -> Outcome<String> {
    let (server, address) = Implementation::Sealgram.start_server(settings, deadline)?;
    let client = case.foreign.start_client(settings, address)?;
    check(case, &server.process, 1, deadline).map_err(|failure| {
        let (ours, theirs) = (server.process.evidence(), client.process.evidence());
        failure.with_evidence(format!("{ours}{theirs}"))
    })?;
    Ok("the client ends after the handshake".to_owned())
}

/// What our program reports of its handshake of this number is what the case wants.
fn told(case: &Case, association: &Association, number: usize, deadline: Deadline) -> Outcome<()> {
    match case.role {
        Role::Client => check(case, &association.client.process, number, deadline),
        Role::Server => check(case, &association.server.process, number, deadline),
    }
}

fn check(case: &Case, ours: &Process, number: usize, deadline: Deadline) -> Outcome<()> {
    let epoch = number.to_string();
    let event = wait_for_event(ours, "its handshake", deadline, |event| {
        event.name() == "handshake_complete" && event.value("epoch") == Some(&epoch)
    })?;
    let group = case.suite.exchanges.then(|| case.group.name().to_owned());
    let suite = case.suite.iana_name();
    let group_told = event.value("group").and_then(Group::from_any_name);
    let fits = event.value("suite") == Some(&suite)
        && event.value("psk") == Some(IDENTITY)
        && event.value("client_cert") == Some("none")
        && group_told.map(|group| group.name().to_owned()) == group;
    if fits {
        Ok(())
    } else {
        Err(unexpected(&event))
    }
}

fn unexpected(event: &Event) -> Failure {
    Failure::new(format!("something else was negotiated: {event:?}"))
}

fn begin(case: &Case, by: Role, association: &mut Association) -> Outcome<()> {
    let process = match by {
        Role::Client => &mut association.client.process,
        Role::Server => &mut association.server.process,
    };
    // `r` makes `s_server` send a HelloRequest.
    let theirs = by == Role::Server && case.role == Role::Client;
    let theirs = theirs && case.foreign == Implementation::OpenSsl;
    process.write(if theirs { b"r\n" } else { b"R\n" })
}

const LINES: usize = 3;

const LIMIT: Duration = Duration::from_secs(90);
