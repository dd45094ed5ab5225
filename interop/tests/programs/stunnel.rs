//! stunnel before our server, and before a server without TLS that our client talks to. At 1.2 the
//! connection is renegotiated on the way, at 1.3 its keys are replaced.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use sealgram_interop::algorithm::KeyType;
use sealgram_interop::clock::Deadline;
use sealgram_interop::failure::Outcome;
use sealgram_interop::pki::Credential;
use sealgram_interop::port::{self, Listening, next_free_port};
use sealgram_interop::process::{Process, Transcript};

use crate::cell::{self, Cell, Surroundings, expect, protocol, with_evidence};
use crate::ours::{End, Settings, Transport, Version};

#[test]
fn stunnel_and_we_carry_a_conversation() {
    let mut cells = Vec::new();
    for version in [Version::V1_2, Version::V1_3] {
        let what = format!("{}, mutual", protocol(Transport::Tls, version));
        cells.push(Cell::new(
            format!("stunnel as client, {what}, new keys"),
            move |it| as_client(it, version),
        ));
        cells.push(Cell::new(
            format!("stunnel as server, {what}, new keys"),
            move |it| as_server(it, version),
        ));
    }
    let what = protocol(Transport::Tls, Version::V1_2);
    cells.push(Cell::new(
        format!("stunnel as server, {what}, which refuses new keys unless it is told"),
        refused,
    ));
    cell::run("stunnel", &cells);
}

fn as_client(it: &Surroundings<'_>, version: Version) -> Outcome<String> {
    let server = End::server(Transport::Tls, &Settings::new(it.pki, version).mutual())?;
    let credential = it.pki.client(KeyType::EcdsaP256);
    let trusted = it.pki.server_authority();
    let (stunnel, port) = start(it, |port| {
        format!(
            "client = yes
accept = 127.0.0.1:{port}
connect = {}
checkHost = localhost
{}",
            server.address(),
            common(version, &credential, &trusted.display().to_string())
        )
    })?;
    let outcome = (|| {
        let mut plain = TcpStream::connect(("127.0.0.1", port))?;
        plain.set_read_timeout(Some(it.deadline.remaining()))?;
        let handshake = server.handshake(0, it.deadline)?;
        handshake.mutual()?;
        let mut pass = |line: &[u8]| {
            plain.write_all(line)?;
            let (peer, received) = server.receive(it.deadline)?;
            expect("what came", received.as_slice(), line)?;
            server.send(peer, line);
            let mut back = vec![0; line.len()];
            plain.read_exact(&mut back)?;
            expect("what came back", back.as_slice(), line)
        };
        pass(b"before\n")?;
        new_keys(&server, version, it.deadline)?;
        pass(b"after\n")?;
        Ok(handshake.remark())
    })();
    with_evidence(outcome, &[&server], &[&stunnel])
}

fn as_server(it: &Surroundings<'_>, version: Version) -> Outcome<String> {
    before_a_server(
        it,
        version,
        "options = ALLOW_CLIENT_RENEGOTIATION",
        |client| new_keys(client, version, it.deadline),
    )
}

/// Its OpenSSL refuses what a client begins, and everything goes on as before.
fn refused(it: &Surroundings<'_>) -> Outcome<String> {
    before_a_server(it, Version::V1_2, "", |client| {
        client.renegotiate(0);
        client.remark("RenegotiationRefused", it.deadline)
    })
}

fn before_a_server(
    it: &Surroundings<'_>,
    version: Version,
    option: &str,
    between: impl Fn(&End) -> Outcome<()>,
) -> Outcome<String> {
    let behind = TcpListener::bind("127.0.0.1:0")?;
    let credential = it.pki.server(KeyType::EcdsaP256);
    let trusted = it.pki.client_authority();
    let to = behind.local_addr()?;
    let (stunnel, port) = start(it, |port| {
        format!(
            "accept = 127.0.0.1:{port}
connect = {to}
{option}
{}",
            common(version, &credential, &trusted.display().to_string())
        )
    })?;
    let settings = Settings::new(it.pki, version).mutual();
    let client = End::client(Transport::Tls, &settings, ([127, 0, 0, 1], port).into())?;
    let outcome = (|| {
        let handshake = client.handshake(0, it.deadline)?;
        let (mut plain, _) = behind.accept()?;
        plain.set_read_timeout(Some(it.deadline.remaining()))?;
        let mut pass = |line: &[u8]| {
            client.send(0, line);
            let mut came = vec![0; line.len()];
            plain.read_exact(&mut came)?;
            expect("what came", came.as_slice(), line)?;
            plain.write_all(line)?;
            let (_, back) = client.receive(it.deadline)?;
            expect("what came back", back.as_slice(), line)
        };
        pass(b"before\n")?;
        between(&client)?;
        pass(b"after\n")?;
        Ok(handshake.remark())
    })();
    with_evidence(outcome, &[&client], &[&stunnel])
}

/// Our end asks for them.
fn new_keys(end: &End, version: Version, deadline: Deadline) -> Outcome<()> {
    end.renegotiate(0);
    match version {
        Version::V1_2 => {
            let again = end.handshake(1, deadline)?;
            expect("that it was a renegotiation", again.renegotiation, true)
        }
        // Those of the other end, which it was asked for.
        Version::V1_3 => end.remark("KeysUpdated", deadline),
    }
}

fn common(version: Version, credential: &Credential, trusted: &str) -> String {
    format!(
        "sslVersion = TLSv{}
cert = {}
key = {}
CAfile = {trusted}
verifyChain = yes
",
        version.name(),
        credential.certificate.display(),
        credential.key.display()
    )
}

fn start(it: &Surroundings<'_>, service: impl Fn(u16) -> String) -> Outcome<(Process, u16)> {
    let file = it.directory.path().join("stunnel.conf");
    let command = |port: u16| {
        let service = service(port);
        fs::write(
            &file,
            format!("foreground = yes\ndebug = 6\npid =\n[carried]\n{service}"),
        )?;
        let mut command = Command::new("stunnel4");
        command.arg(&file);
        Ok(command)
    };
    port::start("stunnel", next_free_port, command, listening, it.deadline)
}

fn listening(transcript: &Transcript, port: u16) -> Option<Listening> {
    let said = String::from_utf8_lossy(&transcript.stderr);
    if said.contains("Address already in use") {
        return Some(Listening::Taken);
    }
    said.contains("Configuration successful")
        .then_some(Listening::On(port))
}
