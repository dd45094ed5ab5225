//! curl, which fetches from our server, and comes back with what it remembers.

use std::process::Command;

use sealgram::HandshakeKind;
use sealgram_interop::algorithm::KeyType;
use sealgram_interop::failure::Outcome;
use sealgram_interop::pki::Pki;

use crate::cell::{self, Cell, Surroundings, expect, protocol, with_evidence};
use crate::ours::{End, Settings, Transport, Version};

#[test]
fn curl_fetches_and_comes_back() {
    let cells = [Version::V1_2, Version::V1_3].map(|version| {
        let what = protocol(Transport::Tls, version);
        let name = format!("curl as client, {what}, mutual, ALPN, twice");
        Cell::new(name, move |it| fetch(it, version))
    });
    cell::run("curl", &cells);
}

fn fetch(it: &Surroundings<'_>, version: Version) -> Outcome<String> {
    let mut settings = Settings::new(it.pki, version).mutual();
    settings.alpn = Some("http/1.1");
    let server = End::server(Transport::Tls, &settings)?;
    let credential = it.pki.client(KeyType::EcdsaP256);
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--http1.1", "--max-time", "20"]);
    command.args([format!("--tlsv{}", version.name()), "--tls-max".into()]);
    command
        .args([version.name(), "--cacert"])
        .arg(it.pki.server_authority());
    command.arg("--cert").arg(credential.certificate);
    command.arg("--key").arg(credential.key);
    let (name, port) = (Pki::NAME, server.address().port());
    command.args(["--resolve", &format!("{name}:{port}:127.0.0.1")]);
    for path in ["one", "two"] {
        command.arg(format!("https://{name}:{port}/{path}"));
    }
    let mut curl = it.start(command)?;
    let outcome = (|| {
        let body = BODY.repeat(TIMES);
        for path in ["one", "two"] {
            let (peer, request) = server.receive_until(it.deadline, complete)?;
            let line = request.lines().next().unwrap_or_default().to_owned();
            expect("the request", line, format!("GET /{path} HTTP/1.1"))?;
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            server.send(peer, head.as_bytes());
            server.send(peer, body.as_bytes());
            server.close(peer);
        }
        let status = curl.wait_for_exit(it.deadline)?;
        expect("success", status.success(), true)?;
        let whole = curl.transcript().stdout == body.repeat(2).as_bytes();
        expect("that all has arrived", whole, true)?;
        let (first, second) = (
            server.handshake(0, it.deadline)?,
            server.handshake(1, it.deadline)?,
        );
        first.mutual()?;
        expect("the first", first.kind, HandshakeKind::Full)?;
        expect("the second", second.kind, HandshakeKind::Resumed)?;
        Ok(format!("{}, then resumed", first.remark()))
    })();
    with_evidence(outcome, &[&server], &[&curl])
}

/// A request without a body is complete with an empty line.
pub(crate) fn complete(stream: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(stream);
    text.ends_with("\r\n\r\n").then(|| text.into_owned())
}

/// Many records, and more than any queue holds.
const BODY: &str = "what curl fetches\n";
const TIMES: usize = 20_000;
