//! socat's `OPENSSL-DTLS-CLIENT` and `OPENSSL-DTLS-SERVER`, and the same over TLS.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use sealgram_interop::algorithm::KeyType;
use sealgram_interop::failure::{Failure, Outcome};
use sealgram_interop::pki::{Credential, Pki};
use sealgram_interop::port::{self, Listening, next_free_port};
use sealgram_interop::process::{Process, Transcript};

use crate::cell::{self, Cell, Surroundings, expect, protocol, with_evidence};
use crate::ours::{End, Settings, Transport, Version};

#[test]
fn socat_and_we_pass_lines() {
    let mut cells = Vec::new();
    for (transport, version) in [
        (Transport::Dtls, Version::V1_2),
        (Transport::Tls, Version::V1_2),
        (Transport::Tls, Version::V1_3),
    ] {
        let what = protocol(transport, version);
        cells.push(Cell::new(format!("socat as client, {what}"), move |it| {
            as_client(it, transport, version)
        }));
        cells.push(Cell::new(format!("socat as server, {what}"), move |it| {
            as_server(it, transport, version)
        }));
    }
    for (role, reason) in [
        ("client", "the OpenSSL below it offers no DTLS 1.3"),
        ("server", "the OpenSSL below it knows no DTLS 1.3"),
    ] {
        cells.push(Cell::empty(
            format!("socat as {role}, DTLS 1.3"),
            reason,
            move |it| no_version_13(it, role == "client"),
        ));
    }
    cell::run("socat", &cells);
}

fn as_client(it: &Surroundings<'_>, transport: Transport, version: Version) -> Outcome<String> {
    let server = End::server(transport, &Settings::new(it.pki, version).mutual())?;
    let mut socat = it.start(client_command(it, transport, server.address())?)?;
    let outcome = (|| {
        let handshake = server.handshake(0, it.deadline)?;
        handshake.mutual()?;
        for line in LINES {
            socat.write(line)?;
            let (peer, received) = server.receive(it.deadline)?;
            expect("what came", received.as_slice(), line)?;
            server.send(peer, line);
        }
        let all = LINES.concat();
        socat.wait_for("its own lines", it.deadline, |transcript| {
            (transcript.stdout == all).then_some(())
        })?;
        socat.close_stdin();
        socat.wait_for_exit(it.deadline)?;
        server.remark("peer 0 has", it.deadline)?;
        Ok(handshake.remark())
    })();
    with_evidence(outcome, &[&server], &[&socat])
}

fn as_server(it: &Surroundings<'_>, transport: Transport, version: Version) -> Outcome<String> {
    let (mut socat, port) = start_server(it, transport)?;
    let settings = Settings::new(it.pki, version).mutual();
    let client = End::client(transport, &settings, ([127, 0, 0, 1], port).into())?;
    let outcome = (|| {
        let handshake = client.handshake(0, it.deadline)?;
        for line in LINES {
            client.send(0, line);
            let (_, received) = client.receive(it.deadline)?;
            expect("what came back", received.as_slice(), line)?;
        }
        client.close(0);
        socat.wait_for_exit(it.deadline)?;
        Ok(handshake.remark())
    })();
    with_evidence(outcome, &[&client], &[&socat])
}

/// Either end says which versions it has, and there is none in common.
fn no_version_13(it: &Surroundings<'_>, socat_is_client: bool) -> Outcome<()> {
    let settings = Settings::new(it.pki, Version::V1_3).mutual();
    if socat_is_client {
        let server = End::server(Transport::Dtls, &settings)?;
        let mut socat = it.start(client_command(it, Transport::Dtls, server.address())?)?;
        let ended = socat.wait_for_exit(it.deadline);
        let said = String::from_utf8_lossy(&socat.transcript().stderr).into_owned();
        let refused = ended.is_ok() && said.contains("protocol version");
        let refused = refused.then_some(()).ok_or(Failure::new("not refused"));
        return with_evidence(refused, &[&server], &[&socat]);
    }
    let (socat, port) = start_server(it, Transport::Dtls)?;
    let client = End::client(Transport::Dtls, &settings, ([127, 0, 0, 1], port).into())?;
    let refused = client.remark("handshake_failure(40)", it.deadline);
    with_evidence(refused, &[&client], &[&socat])
}

fn client_command(
    it: &Surroundings<'_>,
    transport: Transport,
    server: SocketAddr,
) -> Outcome<Command> {
    let kind = match transport {
        Transport::Dtls => "OPENSSL-DTLS-CLIENT",
        Transport::Tls => "OPENSSL",
    };
    let credential = one_file(it, &it.pki.client(KeyType::EcdsaP256))?;
    let options = [
        file("cafile", &it.pki.server_authority()),
        file("cert", &credential),
    ];
    let address = format!("{kind}:{server},commonname={},", Pki::NAME);
    let mut command = Command::new("socat");
    command
        .args(["-d", "-d", "-t", "5", "-"])
        .arg(join(&address, &options));
    Ok(command)
}

fn start_server(it: &Surroundings<'_>, transport: Transport) -> Outcome<(Process, u16)> {
    let credential = one_file(it, &it.pki.server(KeyType::EcdsaP256))?;
    let command = |port: u16| {
        let kind = match transport {
            Transport::Dtls => "OPENSSL-DTLS-SERVER",
            Transport::Tls => "OPENSSL-LISTEN",
        };
        let options = [
            file("cafile", &it.pki.client_authority()),
            file("cert", &credential),
        ];
        let address = format!("{kind}:{port},bind=127.0.0.1,verify=1,");
        let mut command = Command::new("socat");
        command
            .args(["-d", "-d", "-d"])
            .arg(join(&address, &options))
            .arg("PIPE");
        Ok(command)
    };
    port::start("socat", next_free_port, command, listening, it.deadline)
}

fn listening(transcript: &Transcript, port: u16) -> Option<Listening> {
    let said = String::from_utf8_lossy(&transcript.stderr);
    if said.contains("Address already in use") {
        return Some(Listening::Taken);
    }
    let waits = said.contains("accept(") || said.contains("listening on");
    waits.then_some(Listening::On(port))
}

/// socat takes a certificate and its key from one file.
fn one_file(it: &Surroundings<'_>, credential: &Credential) -> Outcome<std::path::PathBuf> {
    let path = it.directory.path().join("credential.pem");
    let mut both = fs::read(&credential.certificate)?;
    both.extend(fs::read(&credential.key)?);
    fs::write(&path, both)?;
    Ok(path)
}

fn file(option: &str, path: &Path) -> OsString {
    let mut text = OsString::from(option);
    text.push("=");
    text.push(path);
    text
}

fn join(address: &str, options: &[OsString]) -> OsString {
    let mut text = OsString::from(address);
    for (index, option) in options.iter().enumerate() {
        if index > 0 {
            text.push(",");
        }
        text.push(option);
    }
    text
}

const LINES: [&[u8]; 3] = [b"hello\n", b"is anybody there?\n", b"goodbye\n"];
