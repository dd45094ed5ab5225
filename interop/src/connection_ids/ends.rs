//! The two programs of a case: their command lines, the lines they exchange, and what they report.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use super::{Case, Identities, Migrate, Path, Stack, Version, other, resumption};
use crate::algorithm::KeyType;
use crate::clock::Deadline;
use crate::failure::{Failure, Outcome};
use crate::foreign::program;
use crate::peer::Role;
use crate::pki::{Chain, Pki};
use crate::port::{self, Listening};
use crate::process::{Process, Transcript};
use crate::proxy::Proxy;
use crate::sealgram::{Event, Sealgram, events};

/// A connection ID; an empty one means that records carry none.
pub(super) type Identity = Vec<u8>;

/// The two programs, and the path between them.
pub(super) struct Ends {
    client: Process,
    server: Process,
    server_address: SocketAddr,
    pub(super) proxy: Proxy,
    /// Which program the server is.
    stack: Stack,
}

impl Ends {
    pub(super) fn start(case: &Case, pki: &Pki, deadline: Deadline) -> Outcome<Self> {
        let (server, port) = port::start(
            &format!("server, {:?}", case.server),
            || Ok(0),
            |_| server_command(case, pki),
            |transcript, _| listening(case.server, transcript),
            deadline,
        )?;
        let server_address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let proxy = Proxy::start(server_address, case.loss)?;
        let command = client_command(case, proxy.address(), pki, 1)?;
        Ok(Self {
            client: Process::spawn(&format!("client, {:?}", case.client), command)?,
            server,
            server_address,
            proxy,
            stack: case.server,
        })
    }

    /// A client that comes back, by a path of its own.
    pub(super) fn reconnect(&mut self, case: &Case, pki: &Pki) -> Outcome<()> {
        self.proxy = Proxy::start(self.server_address, case.loss)?;
        let command = client_command(case, self.proxy.address(), pki, 2)?;
        self.client = Process::spawn(&format!("client again, {:?}", case.client), command)?;
        Ok(())
    }

    /// What a program has said.
    pub(super) fn transcript(&self, role: Role) -> Transcript {
        match role {
            Role::Client => self.client.transcript(),
            Role::Server => self.server.transcript(),
        }
    }

    fn process(&mut self, role: Role) -> &mut Process {
        match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }

    /// A line from the client to the server and one back, each repeated until it has arrived.
    pub(super) fn exchange(&mut self, word: &str, deadline: Deadline) -> Outcome<()> {
        for (from, line) in [
            (Role::Client, format!("{word} up")),
            (Role::Server, format!("{word} down")),
        ] {
            loop {
                self.process(from).write(format!("{line}\n").as_bytes())?;
                let receiver = self.process(other(from));
                let patience = deadline.at_most(PATIENCE);
                let arrived = receiver.wait_for(&line, patience, |transcript| {
                    transcript.stdout_after(0, &line)
                });
                match arrived {
                    Ok(_) => break,
                    Err(failure) if deadline.has_passed() || !receiver.is_running() => {
                        return Err(failure);
                    }
                    Err(_) => {}
                }
            }
        }
        Ok(())
    }

    /// The connection IDs after the handshake of this number, as both ends report them.
    pub(super) fn identities(
        &mut self,
        case: &Case,
        number: usize,
        deadline: Deadline,
    ) -> Outcome<Identities> {
        self.identities_at(case, number, [number; 2], deadline)
    }

    /// The same, where these are the numbers of the handshake in the client's process and in the
    /// server's.
    pub(super) fn identities_at(
        &mut self,
        case: &Case,
        number: usize,
        [of_client, of_server]: [usize; 2],
        deadline: Deadline,
    ) -> Outcome<Identities> {
        let client = self.report(case, Role::Client, of_client, deadline)?;
        let server = self.report(case, Role::Server, of_server, deadline)?;
        let both = [
            (Role::Client, &client, &server),
            (Role::Server, &server, &client),
        ];
        for (role, own, peer) in both {
            let wrong = |what: &str| {
                let text = format!("{role:?} {what}: it reports {own:02x?}, its peer {peer:02x?}");
                Err(Failure::new(text))
            };
            if own.received.len() != case.id_length(role) {
                return wrong("receives an ID of another length");
            }
            if case.stack(role) != Stack::Sealgram && own.received != given(case, role, number) {
                return wrong("receives another ID than it was given");
            }
            if own.sent.as_ref().is_some_and(|id| *id != peer.received) {
                return wrong("sends what its peer does not receive");
            }
        }
        Ok(Identities {
            client: vec![client.received],
            server: vec![server.received],
        })
    }

    fn report(
        &mut self,
        case: &Case,
        role: Role,
        number: usize,
        deadline: Deadline,
    ) -> Outcome<Report> {
        let stack = case.stack(role);
        if stack == Stack::Mbed && number > 1 && case.resume.is_none() {
            // Its program reports the first handshake of an association only.
            return Ok(Report {
                received: given(case, role, number),
                sent: None,
            });
        }
        if stack == Stack::Sealgram && case.client_id + case.server_id == 0 {
            // Our program says nothing about IDs that are not there.
            let complete = |transcript: &Transcript| {
                events(transcript)
                    .filter(|event| event.name() == "handshake_complete")
                    .nth(number - 1)
            };
            self.process(role)
                .wait_for("its handshake", deadline, complete)?;
            return Ok(Report {
                received: Identity::new(),
                sent: None,
            });
        }
        let wanted = format!("its connection IDs, report {number}");
        self.process(role)
            .wait_for(&wanted, deadline, |transcript| {
                lines(stack, transcript)
                    .iter()
                    .filter_map(|line| Report::parse(stack, line))
                    .nth(number - 1)
            })
    }

    /// Starts what replaces the keys.
    pub(super) fn refresh(&mut self, version: Version, by: Role) -> Outcome<()> {
        self.process(by).write(match version {
            Version::V12 => b"R\n",
            Version::V13 => b"K\n",
        })
    }

    /// Waits until our server has reported what its policy says about the new port.
    pub(super) fn wait_for_path(
        &mut self,
        migrate: Migrate,
        left: u16,
        port: u16,
        deadline: Deadline,
    ) -> Outcome<()> {
        if self.stack != Stack::Sealgram {
            return Ok(());
        }
        let change = |transcript: &Transcript| {
            events(transcript).find(|event| event.name() == "path_changed")
        };
        let event = match migrate {
            Migrate::Never => match change(&self.server.transcript()) {
                None => return Ok(()),
                Some(event) => return Err(Failure::new(format!("the path changed: {event:?}"))),
            },
            Migrate::Validated | Migrate::Newest => {
                self.server.wait_for("a change of path", deadline, change)?
            }
        };
        if is_change(&event, migrate, left, port) {
            return Ok(());
        }
        Err(Failure::new(format!(
            "{left} -> {port}, {migrate:?}: the server says {event:?}"
        )))
    }

    /// The client closes; the server must notice, unless its notice may be lost.
    pub(super) fn close(&mut self, case: &Case, deadline: Deadline) -> Outcome<()> {
        match case.client {
            Stack::Sealgram => self.client.close_stdin(),
            Stack::Wolf | Stack::Mbed => self.client.write(b"Q\n")?,
        }
        let status = self.client.wait_for_exit(deadline)?;
        if !status.success() {
            return Err(Failure::new(format!("the client ended with {status}")));
        }
        if case.loss.percent > 0 {
            return Ok(());
        }
        self.server
            .wait_for("its peer's close", deadline, |transcript| {
                let closed = match case.server {
                    Stack::Sealgram => events(transcript).any(|it| it.name() == "peer_closed"),
                    stack => lines(stack, transcript).iter().any(|line| line == "closed"),
                };
                closed.then_some(())
            })
    }

    pub(super) fn blame(&self, failure: Failure) -> Failure {
        failure.with_evidence(format!(
            "{}{}{}",
            self.client.evidence(),
            self.server.evidence(),
            self.proxy.evidence()
        ))
    }
}

/// Whether this is what our server says under this policy when the client's port was `left` and is
/// `port`.
fn is_change(event: &Event, migrate: Migrate, left: u16, port: u16) -> bool {
    let port_of = |key| {
        let address: Option<SocketAddr> = event.value(key).and_then(|text| text.parse().ok());
        address.map(|address| address.port())
    };
    let validated = match event.value("validated") {
        Some("true") => true,
        Some("false") => migrate == Migrate::Newest,
        _ => false,
    };
    (port_of("from"), port_of("to")) == (Some(left), Some(port)) && validated
}

/// What an end says about the connection IDs of a handshake.
#[derive(Debug)]
struct Report {
    received: Identity,
    /// `None` if it says nothing.
    sent: Option<Identity>,
}

impl Report {
    fn parse(stack: Stack, line: &str) -> Option<Self> {
        if stack == Stack::Sealgram {
            let event = Event::parse(line).filter(|event| event.name() == "connection_ids")?;
            return Some(Self {
                received: bytes(event.value("received")?)?,
                sent: Some(bytes(event.value("sent")?)?),
            });
        }
        let (received, sent) = line.strip_prefix("cid rx=")?.split_once(" tx=")?;
        Some(Self {
            received: bytes(received)?,
            sent: Some(bytes(sent.trim())?),
        })
    }
}

/// The lines in which a program reports facts.
fn lines(stack: Stack, transcript: &Transcript) -> Vec<String> {
    match stack {
        Stack::Wolf => transcript.stdout_lines().collect(),
        Stack::Sealgram | Stack::Mbed => transcript.stderr_lines().collect(),
    }
}

fn listening(stack: Stack, transcript: &Transcript) -> Option<Listening> {
    let port = match stack {
        Stack::Sealgram => {
            let event = events(transcript).find(|event| event.name() == "listening")?;
            let address: SocketAddr = event.value("addr")?.parse().ok()?;
            address.port()
        }
        Stack::Wolf | Stack::Mbed => lines(stack, transcript)
            .iter()
            .find_map(|line| line.strip_prefix("ready ")?.parse().ok())?,
    };
    Some(Listening::On(port))
}

fn server_command(case: &Case, pki: &Pki) -> Outcome<Command> {
    let mut command = command(case, Role::Server, &["server"], 1)?;
    match case.server {
        Stack::Sealgram => {
            command.args(["--listen", "127.0.0.1:0", "--stdio"]);
            command.arg("--allow-client-renegotiation=0");
            if let Path::Moves(_, migrate) = case.path {
                command.args(["--migrate", name(migrate)]);
            }
        }
        Stack::Wolf => drop(command.args(["--port", "0"])),
        // Its servers with cookies refuse the cookie that other clients repeat in a renegotiation.
        Stack::Mbed => drop(command.args(["--port", "0", "--no-cookies"])),
    }
    if case.server != Stack::Sealgram && case.path != Path::Stays {
        command.arg("--follow");
    }
    resumption::add_arguments(case, Role::Server, pki, false, &mut command);
    let credential = pki.server_with(KeyType::EcdsaP256, Chain::Leaf);
    command.arg("--cert").arg(&credential.certificate);
    command.arg("--key").arg(&credential.key);
    Ok(command)
}

/// The client's command for its first association, or the next.
fn client_command(case: &Case, server: SocketAddr, pki: &Pki, number: usize) -> Outcome<Command> {
    let (address, port) = (server.to_string(), server.port().to_string());
    let first = match case.client {
        Stack::Sealgram => &["client", &address][..],
        Stack::Wolf | Stack::Mbed => &["client", "--port", &port],
    };
    let mut command = command(case, Role::Client, first, number)?;
    resumption::add_arguments(case, Role::Client, pki, number > 1, &mut command);
    command.args(["--name", Pki::NAME]);
    command.arg("--ca").arg(pki.server_authority());
    Ok(command)
}

/// The program with the first of its arguments, the version and the connection IDs.
fn command(case: &Case, role: Role, first: &[&str], number: usize) -> Outcome<Command> {
    let stack = case.stack(role);
    let mut command = Command::new(match stack {
        Stack::Sealgram => Sealgram::program()?,
        Stack::Wolf => program("wolfssl-peer")?,
        Stack::Mbed => program("mbedtls3-peer")?,
    });
    command.args(first);
    if stack != Stack::Mbed {
        command.args(["--versions", case.version.name()]);
    }
    if stack == Stack::Sealgram {
        command.args(["--cid", &case.id_length(role).to_string()]);
        if case.version == Version::V12 && !case.renews(role) {
            command.arg("--keep-cid");
        }
        return Ok(command);
    }
    command.args(["--cid", &hex(&given(case, role, number))]);
    if case.renews(role) && number == 1 {
        command.args(["--cid-next", &hex(&given(case, role, 2))]);
    }
    Ok(command)
}

/// The connection ID that a foreign end is told to receive after the handshake of this number.
fn given(case: &Case, role: Role, number: usize) -> Identity {
    let first = match role {
        Role::Client => 0xc0,
        Role::Server => 0x50,
    };
    let renewed = if number > 1 && case.renews(role) {
        0x20
    } else {
        0
    };
    (first + renewed..).take(case.id_length(role)).collect()
}

impl Version {
    const fn name(self) -> &'static str {
        match self {
            Self::V12 => "1.2",
            Self::V13 => "1.3",
        }
    }
}

const fn name(migrate: Migrate) -> &'static str {
    match migrate {
        Migrate::Never => "never",
        Migrate::Validated => "validated",
        Migrate::Newest => "newest",
    }
}

fn hex(id: &[u8]) -> String {
    if id.is_empty() {
        return "-".into();
    }
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(text: &str) -> Option<Identity> {
    let digits = if text == "-" { "" } else { text };
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// How long to wait for a line before it is sent again: data that is lost stays lost.
const PATIENCE: Duration = Duration::from_millis(700);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_path_is_read() {
        let is = |line: &str, migrate, left, port| {
            let event = Event::parse(line).expect("an event");
            is_change(&event, migrate, left, port)
        };
        let unproved = "event=path_changed from=127.0.0.1:50 to=127.0.0.1:60 validated=false";
        assert!(is(unproved, Migrate::Newest, 50, 60));
        assert!(!is(unproved, Migrate::Validated, 50, 60));
        assert!(!is(unproved, Migrate::Newest, 60, 50));
        let proved = "event=path_changed from=127.0.0.1:50 to=127.0.0.1:60 validated=true";
        assert!(is(proved, Migrate::Validated, 50, 60));
        assert!(!is(proved, Migrate::Validated, 5, 60));
        assert!(!is("event=path_changed", Migrate::Newest, 50, 60));
    }

    #[test]
    fn reports_of_all_programs_are_read() {
        let ours = "event=connection_ids received=a1a2 sent=- peer=127.0.0.1:5";
        let theirs = "cid rx=a1a2 tx=-";
        for (stack, line) in [(Stack::Sealgram, ours), (Stack::Wolf, theirs)] {
            let report = Report::parse(stack, line).expect("a report");
            assert_eq!(report.received, [0xa1, 0xa2]);
            assert_eq!(report.sent, Some(Vec::new()));
        }
        assert!(Report::parse(Stack::Sealgram, theirs).is_none());
        assert!(Report::parse(Stack::Wolf, "cid rx=a1a2 tx=b").is_some());
        assert!(Report::parse(Stack::Wolf, "cid rx=a1a2 tx=xx").is_none());
    }
}
