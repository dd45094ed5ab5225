//! Version 1.3: DTLS with the stacks that are had as crates, TLS with OpenSSL and GnuTLS. What is tried, and how one case runs.
//!
//! The programs for DTLS are those of `interop/peers`, one a stack, all with the same command line and the same lines. A
//! server of ours talks to its clients by lines of its standard input and output; a foreign server sends everything back, but
//! OpenSSL's, which has lines of its own.

use std::fmt::{self, Display, Formatter};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, thread};

use crate::algorithm::KeyType;
use crate::clock::Deadline;
use crate::failure::{Failure, Outcome};
use crate::gnutls::next_free_port;
use crate::loss::Loss;
use crate::pki::{Credential, Pki};
use crate::process::{Process, Transcript};
use crate::proxy::Proxy;
use crate::sealgram::{Event, Sealgram, events};

/// A foreign stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stack {
    /// BoringSSL.
    Boring,
    /// wolfSSL.
    Wolf,
    /// dimpl.
    Dimpl,
    /// OpenSSL, over TCP.
    OpenSsl,
    /// GnuTLS, over TCP.
    GnuTls,
}

/// Which end we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Our client, their server.
    Client,
    /// Our server, their client.
    Server,
}

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A handshake, data, a goodbye.
    Plain,
    /// The client's first hello has no share of the server's only group.
    OtherGroup,
    /// The server demands a client certificate.
    ClientCertificate,
    /// The client comes back with a ticket.
    Resumed,
    /// We update our keys, with or without a request for theirs.
    OurUpdate {
        /// Whether theirs are asked for.
        request: bool,
    },
    /// They do.
    TheirUpdate {
        /// Whether ours are asked for.
        request: bool,
    },
    /// BoringSSL's own hello, with an ML-KEM share that fills two datagrams.
    DefaultHello,
}

/// One case.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// The peer.
    pub stack: Stack,
    /// Our end.
    pub role: Role,
    /// What is tried.
    pub kind: Kind,
    /// What the path loses.
    pub loss: Loss,
}

impl Display for Case {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            stack,
            role,
            kind,
            loss,
        } = self;
        write!(formatter, "{stack:?}/our-{role:?}/{kind:?}")?;
        if loss.percent > 0 {
            write!(formatter, "/loss-{}-seed-{}", loss.percent, loss.seed)?;
        }
        Ok(())
    }
}

impl Stack {
    /// Whether it speaks TLS here.
    const fn is_tls(self) -> bool {
        matches!(self, Self::OpenSsl | Self::GnuTls)
    }

    const fn program(self) -> &'static str {
        match self {
            Self::Boring => "boring-peer",
            Self::Wolf => "wolfssl-peer",
            Self::Dimpl => "dimpl-peer",
            Self::OpenSsl => "openssl",
            Self::GnuTls => "gnutls-serv",
        }
    }
}

const KINDS: [Kind; 9] = [
    Kind::Plain,
    Kind::OtherGroup,
    Kind::ClientCertificate,
    Kind::Resumed,
    Kind::OurUpdate { request: false },
    Kind::OurUpdate { request: true },
    Kind::TheirUpdate { request: false },
    Kind::TheirUpdate { request: true },
    Kind::DefaultHello,
];

/// Why a stack does not have a case, if that is so.
#[must_use]
pub const fn empty(stack: Stack, role: Role, kind: Kind) -> Option<&'static str> {
    match (stack, role, kind) {
        (Stack::Wolf, _, Kind::TheirUpdate { request: false }) => {
            Some("wolfSSL_update_keys always asks for the peer's keys too")
        }
        (Stack::Dimpl, _, Kind::TheirUpdate { .. }) => {
            Some("dimpl updates keys at the limits of its algorithms, never by call")
        }
        (Stack::GnuTls, Role::Client, Kind::TheirUpdate { .. }) => {
            Some("gnutls-serv has no command for it")
        }
        (Stack::GnuTls, Role::Server, Kind::Resumed) => {
            Some("gnutls-cli comes back before a ticket could have come, without waiting for it")
        }
        (_, Role::Client, Kind::DefaultHello)
        | (Stack::Wolf | Stack::Dimpl | Stack::OpenSsl | Stack::GnuTls, _, Kind::DefaultHello) => {
            Some("the hello of BoringSSL's client")
        }
        _ => None,
    }
}

/// Every case without loss; the empty ones are printed with their reasons.
#[must_use]
pub fn all(stack: Stack) -> Vec<Case> {
    let mut cases = Vec::new();
    for role in [Role::Client, Role::Server] {
        for kind in KINDS {
            let loss = Loss::NONE;
            let case = Case {
                stack,
                role,
                kind,
                loss,
            };
            match empty(stack, role, kind) {
                Some(reason) => println!("empty cell {case}: {reason}"),
                None => cases.push(case),
            }
        }
    }
    cases
}

/// The cases over a path that loses a tenth, with this choice of losses.
#[must_use]
pub fn lossy(stack: Stack, seed: u64) -> Vec<Case> {
    all(stack)
        .into_iter()
        // The proxy stands between two addresses; a client that comes back has a new one.
        .filter(|case| !(case.kind == Kind::Resumed && case.role == Role::Server))
        .map(|case| Case {
            loss: Loss { percent: 10, seed },
            ..case
        })
        .collect()
}

/// The program of a stack: in the directory that `SEALGRAM_PEERS` names, which `interop/run` sets.
///
/// # Errors
///
/// When it is not there.
pub fn program(stack: Stack) -> Outcome<PathBuf> {
    let directory = env::var_os("SEALGRAM_PEERS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/target/release"),
        PathBuf::from,
    );
    let path = directory.join(stack.program());
    if path.is_file() {
        Ok(path)
    } else {
        Err(Failure::new(format!(
            "the program {} is missing: `interop/run` builds it",
            path.display()
        )))
    }
}

/// Runs a case.
///
/// # Errors
///
/// When anything is not as it has to be; with the output of both programs.
pub fn run(case: &Case, pki: &Pki) -> Outcome<String> {
    let deadline = Deadline::after(LIMIT);
    match case.role {
        Role::Client => as_client(case, pki, deadline),
        Role::Server => as_server(case, pki, deadline),
    }?;
    Ok(String::new())
}

/// How long a case may take. With losses the handshake alone can take half of it.
const LIMIT: Duration = Duration::from_secs(90);

/// How long a line is waited for before it is sent again: data that is lost stays lost.
const PATIENCE: Duration = Duration::from_millis(700);

fn add_credential(command: &mut Command, credential: &Credential) {
    command.arg("--cert").arg(&credential.certificate);
    command.arg("--key").arg(&credential.key);
}

fn foreign(case: &Case, role: &str, port: u16, pki: &Pki) -> Outcome<Command> {
    match case.stack {
        Stack::OpenSsl => return Ok(openssl(case, role, port, pki)),
        Stack::GnuTls => return Ok(gnutls(case, role, port, pki)),
        _ => {}
    }
    let mut command = Command::new(program(case.stack)?);
    command.args([role, "--port", &port.to_string(), "--versions", "1.3"]);
    if role == "server" {
        add_credential(&mut command, &pki.server(KeyType::EcdsaP256));
        command.arg("--echo");
        if case.kind == Kind::OtherGroup {
            command.args(["--groups", "p384"]);
        }
        if case.kind == Kind::ClientCertificate {
            command.arg("--client-auth");
            command.arg("--ca").arg(pki.client_authority());
        }
    } else {
        command.args(["--name", Pki::NAME]);
        command.arg("--ca").arg(pki.server_authority());
        // dimpl cannot be without a certificate.
        if case.kind == Kind::ClientCertificate || case.stack == Stack::Dimpl {
            add_credential(&mut command, &pki.client(KeyType::EcdsaP256));
        }
        match case.kind {
            Kind::Resumed => drop(command.args(["--resume", "1"])),
            Kind::DefaultHello => drop(command.arg("--default-hello")),
            // wolfSSL's own choice is P-256 alone.
            Kind::OtherGroup => drop(command.args(["--groups", "x25519,p384"])),
            _ => {}
        }
    }
    Ok(command)
}

fn openssl(case: &Case, role: &str, port: u16, pki: &Pki) -> Command {
    let mut command = Command::new("openssl");
    let credential = |command: &mut Command, credential: &Credential| {
        command.arg("-cert").arg(&credential.certificate);
        command.arg("-key").arg(&credential.key);
    };
    if role == "server" {
        command.args(["s_server", "-tls1_3", "-accept", "127.0.0.1:0"]);
        credential(&mut command, &pki.server(KeyType::EcdsaP256));
        if case.kind == Kind::OtherGroup {
            command.args(["-groups", "P-384"]);
        }
        if case.kind == Kind::ClientCertificate {
            command.args(["-Verify", "1", "-verify_return_error", "-CAfile"]);
            command.arg(pki.client_authority());
        }
        return command;
    }
    command.args([
        "s_client",
        "-tls1_3",
        "-connect",
        &format!("127.0.0.1:{port}"),
    ]);
    command.args(["-servername", Pki::NAME, "-verify_hostname", Pki::NAME]);
    command
        .args(["-verify_return_error", "-CAfile"])
        .arg(pki.server_authority());
    match case.kind {
        Kind::OtherGroup => drop(command.args(["-groups", "X25519:P-384"])),
        Kind::ClientCertificate => credential(&mut command, &pki.client(KeyType::EcdsaP256)),
        Kind::Resumed => drop(command.arg("-sess_out").arg(session_file(pki))),
        _ => {}
    }
    command
}

/// Where OpenSSL's client keeps its session.
fn session_file(pki: &Pki) -> PathBuf {
    pki.directory().join("openssl-session.pem")
}

fn gnutls(case: &Case, role: &str, port: u16, pki: &Pki) -> Command {
    let groups = match (case.kind, role) {
        (Kind::OtherGroup, "server") => ":-GROUP-ALL:+GROUP-SECP384R1",
        (Kind::OtherGroup, _) => ":-GROUP-ALL:+GROUP-X25519:+GROUP-SECP384R1",
        _ => "",
    };
    let priority = format!("NORMAL:-VERS-ALL:+VERS-TLS1.3{groups}");
    let credential = |command: &mut Command, credential: &Credential| {
        command.arg("--x509certfile").arg(&credential.certificate);
        command.arg("--x509keyfile").arg(&credential.key);
    };
    if role == "server" {
        let mut command = Command::new("gnutls-serv");
        command.args(["--echo", "--nocookie", "--port", &port.to_string()]);
        command.args(["--priority", &priority]);
        credential(&mut command, &pki.server(KeyType::EcdsaP256));
        if case.kind == Kind::ClientCertificate {
            command.args([
                "--require-client-cert",
                "--verify-client-cert",
                "--x509cafile",
            ]);
            command.arg(pki.client_authority());
        }
        return command;
    }
    let mut command = Command::new("gnutls-cli");
    command.args([
        "127.0.0.1",
        "--port",
        &port.to_string(),
        "--inline-commands",
    ]);
    command.args(["--sni-hostname", Pki::NAME, "--verify-hostname", Pki::NAME]);
    command.args(["--priority", &priority, "--single-key-share"]);
    command.arg("--x509cafile").arg(pki.server_authority());
    if case.kind == Kind::ClientCertificate {
        credential(&mut command, &pki.client(KeyType::EcdsaP256));
    }
    command
}

/// The port of a foreign server, once it is open.
fn port_of(stack: Stack, given: u16, transcript: &Transcript) -> Option<u16> {
    match stack {
        Stack::OpenSsl => fact(transcript, "ACCEPT 127.0.0.1:")?.parse().ok(),
        Stack::GnuTls => {
            let open = format!("IPv4 0.0.0.0 port {given}...done");
            let both = [&transcript.stdout[..], &transcript.stderr].concat();
            let said = String::from_utf8_lossy(&both).contains(&open);
            said.then_some(given)
        }
        _ => fact(transcript, "ready ")?.parse().ok(),
    }
}

/// The line that makes a foreign program update its keys.
const fn their_update(stack: Stack, request: bool) -> &'static [u8] {
    match (stack, request) {
        (Stack::GnuTls, false) => b"^rekey1^\n",
        (Stack::GnuTls, true) => b"^rekey^\n",
        _ => update(request),
    }
}

fn as_client(case: &Case, pki: &Pki, deadline: Deadline) -> Outcome<()> {
    let given = match case.stack {
        Stack::GnuTls => next_free_port()?,
        _ => 0,
    };
    let theirs = Process::spawn("their server", foreign(case, "server", given, pki)?)?;
    let port = theirs.wait_for("its port", deadline, |transcript| {
        port_of(case.stack, given, transcript)
    })?;
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let file = pki
        .directory()
        .join(format!("session-{}-{}", port, case.loss.seed));
    let visits: &[(&str, bool)] = match case.kind {
        // dimpl gives no tickets, so there is nothing to come back with.
        Kind::Resumed if case.stack == Stack::Dimpl => &[("", false), ("", true)],
        Kind::Resumed => &[("--session-out", false), ("--session-in", true)],
        _ => &[("", false)],
    };
    let mut ends = Ends { ours: None, theirs };
    for &(session, again) in visits {
        // A client that comes back is a new one to the proxy as well.
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
        command
            .args(["--versions", "1.3", "--ca"])
            .arg(pki.server_authority());
        if case.kind == Kind::ClientCertificate {
            add_credential(&mut command, &pki.client(KeyType::EcdsaP256));
        }
        if !session.is_empty() {
            command.arg(session).arg(&file);
        }
        ends.ours = Some(Process::spawn("our client", command)?);
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
    // dimpl answers a request with what it sends next.
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

fn as_server(case: &Case, pki: &Pki, deadline: Deadline) -> Outcome<()> {
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
    add_credential(&mut command, &pki.server(KeyType::EcdsaP256));
    if case.kind == Kind::OtherGroup {
        command.args(["--groups", "p-384"]);
    }
    if case.kind == Kind::ClientCertificate {
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
        again.arg("-sess_in").arg(session_file(pki));
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

/// The second handshake that our server tells of has taken a ticket, where the stack has any.
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

/// The two programs.
struct Ends {
    ours: Option<Process>,
    theirs: Process,
}

impl Ends {
    fn ours(&mut self) -> Outcome<&mut Process> {
        self.ours
            .as_mut()
            .ok_or_else(|| Failure::new("not started"))
    }

    /// A line of their client to our server, and one back; again until it has arrived.
    fn exchange(&mut self, word: &str, deadline: Deadline) -> Outcome<()> {
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
    fn talk(&mut self, case: &Case, word: &str, deadline: Deadline) -> Outcome<()> {
        if case.stack == Stack::OpenSsl {
            self.converse(word, deadline)
        } else {
            echo(self.ours()?, word, deadline)
        }
    }

    /// A line of our client to their server, and one back.
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

    fn blame(&self, failure: Failure, proxy: &Proxy) -> Failure {
        let ours = self
            .ours
            .as_ref()
            .map_or_else(String::new, Process::evidence);
        let theirs = self.theirs.evidence();
        failure.with_evidence(format!("{ours}{theirs}{}", proxy.evidence()))
    }
}

/// A line of our client that a server sends back; again until it has come.
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

const fn update(request: bool) -> &'static [u8] {
    if request { b"K\n" } else { b"k\n" }
}

/// Our end says what has to be true of the handshake.
fn check_handshake(case: &Case, ours: &Process, resumed: bool, deadline: Deadline) -> Outcome<()> {
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
    if case.kind == Kind::OtherGroup {
        expect(&event, "group", "secp384r1")?;
    }
    if case.kind == Kind::ClientCertificate {
        expect(&event, "client_cert", "present")?;
    }
    Ok(())
}

/// Our end tells of new keys in the directions that have to have them.
fn check_update(case: &Case, ours: &Process, deadline: Deadline) -> Outcome<()> {
    let directions: &[&str] = match case.kind {
        Kind::OurUpdate { request: false } => &["sent"],
        Kind::TheirUpdate { request: false } => &["received"],
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

fn expect(event: &Event, key: &str, wanted: &str) -> Outcome<()> {
    if event.value(key) == Some(wanted) {
        Ok(())
    } else {
        Err(Failure::new(format!(
            "{key} {wanted} was wanted: {event:?}"
        )))
    }
}

fn wait_for(
    ours: &Process,
    what: &str,
    deadline: Deadline,
    wanted: impl Fn(&Event) -> bool,
) -> Outcome<Event> {
    wait_for_nth(ours, what, deadline, 1, wanted)
}

fn wait_for_nth(
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

/// What follows `name` in the first line of a foreign program that begins so.
fn fact(transcript: &Transcript, name: &str) -> Option<String> {
    transcript
        .stdout_lines()
        .find_map(|line| line.strip_prefix(name).map(|rest| rest.trim().to_owned()))
}
