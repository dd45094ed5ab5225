//! radsecproxy, which carries RADIUS over DTLS (RFC 7360) and over TLS (RFC 6614): as client of our
//! server with FreeRADIUS's `radclient` before it, as server of our client with a server of ours
//! behind it.

mod packet;

use std::fs;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use sealgram_interop::algorithm::KeyType;
use sealgram_interop::clock::Deadline;
use sealgram_interop::failure::{Failure, Outcome};
use sealgram_interop::pki::Credential;
use sealgram_interop::port::{self, Listening, next_free_port};
use sealgram_interop::process::{Process, Transcript};

use self::packet::{ACCESS_ACCEPT, ACCESS_REQUEST, Packet, REPLY_MESSAGE, USER_NAME};
use crate::cell::{self, Cell, Surroundings, expect, protocol, wait_for_tcp, with_evidence};
use crate::ours::{End, Settings, Transport, Version};

#[test]
fn radsecproxy_and_we_let_a_user_in() {
    let mut cells = Vec::new();
    for (transport, version) in [
        (Transport::Dtls, Version::V1_2),
        (Transport::Tls, Version::V1_2),
        (Transport::Tls, Version::V1_3),
    ] {
        let what = format!("{}, mutual", protocol(transport, version));
        cells.push(Cell::new(
            format!("radsecproxy as client, {what}"),
            move |it| as_client(it, transport, version),
        ));
        cells.push(Cell::new(
            format!("radsecproxy as server, {what}"),
            move |it| as_server(it, transport, version),
        ));
    }
    let reason = "the OpenSSL below it has no DTLS 1.3";
    cells.push(Cell::empty(
        "radsecproxy as client, DTLS 1.3",
        reason,
        offers_no_version_13,
    ));
    cells.push(Cell::empty(
        "radsecproxy as server, DTLS 1.3",
        reason,
        knows_no_version_13,
    ));
    cell::run("radsecproxy", &cells);
}

/// `radclient` asks radsecproxy, and that asks our server.
fn as_client(it: &Surroundings<'_>, transport: Transport, version: Version) -> Outcome<String> {
    let server = End::server(transport, &Settings::new(it.pki, version).mutual())?;
    let (proxy, port) = start_client(it, transport, &server)?;
    let mut command = Command::new("radclient");
    command.args(["-x", "-r", "1", "-t", "10", &format!("127.0.0.1:{port}")]);
    command.args(["auth", PLAIN]);
    let mut radclient = it.start(command)?;
    let outcome = (|| {
        let question = "User-Name=alice,User-Password=wonderland,Message-Authenticator=0x00\n";
        radclient.write(question.as_bytes())?;
        radclient.close_stdin();
        let handshake = server.handshake(0, it.deadline)?;
        handshake.mutual()?;
        let secret = SECURED.as_bytes();
        let (peer, bytes) = server.receive(it.deadline)?;
        let request = Packet::decode(&bytes, secret)?;
        asked(&request, secret)?;
        server.send(
            peer,
            &request.answer(ACCESS_ACCEPT, WELCOME).encode_answer(secret),
        );
        let status = radclient.wait_for_exit(it.deadline)?;
        let said = String::from_utf8_lossy(&radclient.transcript().stdout).into_owned();
        let accepted = said.contains("Access-Accept") && said.contains(WELCOME);
        expect("acceptance", status.success() && accepted, true)?;
        Ok(handshake.remark())
    })();
    with_evidence(outcome, &[&server], &[&radclient, &proxy])
}

/// Our client asks radsecproxy, and that asks a server without DTLS.
fn as_server(it: &Surroundings<'_>, transport: Transport, version: Version) -> Outcome<String> {
    let behind = UdpSocket::bind("127.0.0.1:0")?;
    let (proxy, port) = start_server(it, transport, &behind)?;
    let settings = Settings::new(it.pki, version).mutual();
    let client = End::client(transport, &settings, ([127, 0, 0, 1], port).into())?;
    let outcome = (|| {
        let handshake = client.handshake(0, it.deadline)?;
        let secret = SECURED.as_bytes();
        for identifier in [7, 8] {
            let request = Packet::request(identifier, "alice", "wonderland", secret);
            client.send(0, &request.encode(secret));
            serve(&behind, it.deadline)?;
            let (_, bytes) = client.receive(it.deadline)?;
            let answer = request.decode_answer(&bytes, secret)?;
            expect("the answer", answer.code, ACCESS_ACCEPT)?;
            let message = answer.attribute(REPLY_MESSAGE);
            expect("its message", message, Some(WELCOME.as_bytes()))?;
        }
        client.close(0);
        Ok(handshake.remark())
    })();
    with_evidence(outcome, &[&client], &[&proxy])
}

fn start_client(
    it: &Surroundings<'_>,
    transport: Transport,
    server: &End,
) -> Outcome<(Process, u16)> {
    let kind = kind(transport);
    let remote = server.address().port();
    let credential = it.pki.client(KeyType::EcdsaP256);
    let configuration = |port: u16| {
        format!(
            "ListenUDP 127.0.0.1:{port}\n{}
client plain {{\n type udp\n host 127.0.0.1\n secret {PLAIN}\n}}
server secured {{\n type {kind}\n host 127.0.0.1\n port {remote}\n secret {SECURED}\n}}
realm * {{\n server secured\n}}\n",
            tls(&credential, it.pki.server_authority())
        )
    };
    start(it, configuration)
}

fn start_server(
    it: &Surroundings<'_>,
    transport: Transport,
    behind: &UdpSocket,
) -> Outcome<(Process, u16)> {
    let remote = behind.local_addr()?.port();
    let kind = kind(transport);
    let upper = kind.to_uppercase();
    let credential = it.pki.server(KeyType::EcdsaP256);
    let configuration = |port: u16| {
        format!(
            "Listen{upper} 127.0.0.1:{port}\n{}
client secured {{\n type {kind}\n host 127.0.0.1\n secret {SECURED}\n \
             CertificateNameCheck off\n}}
server plain {{\n type udp\n host 127.0.0.1\n port {remote}\n secret {PLAIN}\n}}
realm * {{\n server plain\n}}\n",
            tls(&credential, it.pki.client_authority())
        )
    };
    let (proxy, port) = start(it, configuration)?;
    if transport == Transport::Tls {
        // It tells before it listens.
        wait_for_tcp(port, it.deadline)?;
    }
    Ok((proxy, port))
}

fn offers_no_version_13(it: &Surroundings<'_>) -> Outcome<()> {
    let settings = Settings::new(it.pki, Version::V1_3).mutual();
    let server = End::server(Transport::Dtls, &settings)?;
    let (proxy, _) = start_client(it, Transport::Dtls, &server)?;
    let refused = server.remark("no protocol version", it.deadline);
    with_evidence(refused, &[&server], &[&proxy])
}

fn knows_no_version_13(it: &Surroundings<'_>) -> Outcome<()> {
    let behind = UdpSocket::bind("127.0.0.1:0")?;
    let (proxy, port) = start_server(it, Transport::Dtls, &behind)?;
    let settings = Settings::new(it.pki, Version::V1_3).mutual();
    let client = End::client(Transport::Dtls, &settings, ([127, 0, 0, 1], port).into())?;
    let refused = client.remark("handshake_failure(40)", it.deadline);
    with_evidence(refused, &[&client], &[&proxy])
}

/// The server behind radsecproxy.
fn serve(socket: &UdpSocket, deadline: Deadline) -> Outcome<()> {
    socket.set_read_timeout(Some(deadline.remaining().max(Duration::from_millis(1))))?;
    let mut buffer = [0; 4096];
    let (length, from) = socket
        .recv_from(&mut buffer)
        .map_err(|error| Failure::from(error).during("the server behind"))?;
    let request = Packet::decode(&buffer[..length], PLAIN.as_bytes())?;
    asked(&request, PLAIN.as_bytes())?;
    let answer = request.answer(ACCESS_ACCEPT, WELCOME);
    socket.send_to(&answer.encode_answer(PLAIN.as_bytes()), from)?;
    Ok(())
}

fn asked(request: &Packet, secret: &[u8]) -> Outcome<()> {
    expect("the request", request.code, ACCESS_REQUEST)?;
    let name = request.attribute(USER_NAME);
    expect("the user", name, Some(b"alice".as_slice()))?;
    expect(
        "the password",
        request.password(secret).as_deref(),
        Some("wonderland"),
    )
}

const fn kind(transport: Transport) -> &'static str {
    match transport {
        Transport::Dtls => "dtls",
        Transport::Tls => "tls",
    }
}

fn tls(credential: &Credential, trusted: PathBuf) -> String {
    format!(
        "LogLevel 2
tls default {{
    CACertificateFile {}
    CertificateFile {}
    CertificateKeyFile {}
}}",
        trusted.display(),
        credential.certificate.display(),
        credential.key.display()
    )
}

/// Its ports are open as soon as it has read its configuration, of which it says nothing.
fn start(it: &Surroundings<'_>, configuration: impl Fn(u16) -> String) -> Outcome<(Process, u16)> {
    let file = it.directory.path().join("radsecproxy.conf");
    let command = |port: u16| {
        fs::write(&file, configuration(port))?;
        let mut command = Command::new("radsecproxy");
        command.args(["-f", "-d", "2", "-c"]).arg(&file);
        Ok(command)
    };
    port::start(
        "radsecproxy",
        next_free_port,
        command,
        listening,
        it.deadline,
    )
}

fn listening(transcript: &Transcript, port: u16) -> Option<Listening> {
    let said = String::from_utf8_lossy(&transcript.stderr);
    if said.contains("Address already in use") {
        return Some(Listening::Taken);
    }
    let listens = said.lines().any(|line| line.contains("listening for"));
    listens.then_some(Listening::On(port))
}

/// The secret between `radclient` or the server behind, and radsecproxy.
const PLAIN: &str = "testing123";
/// The one that is as public as RFC 7360 §2.1 and RFC 6614 §2.3 make it.
const SECURED: &str = "radius/dtls";

const WELCOME: &str = "Hello, alice";
