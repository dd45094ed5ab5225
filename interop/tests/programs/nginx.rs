//! nginx over TLS, as the server that our client asks, and as the client that asks our server on
//! behalf of another. As a balancer of DTLS it is in `tests/fleet.rs`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use sealgram_interop::algorithm::KeyType;
use sealgram_interop::clock::Deadline;
use sealgram_interop::failure::Outcome;
use sealgram_interop::port::{self, Listening, next_free_port};
use sealgram_interop::process::{Process, Transcript};

use crate::cell::{self, Cell, Surroundings, expect, protocol, with_evidence};
use crate::curl;
use crate::ours::{End, Settings, Transport, Version};

#[test]
fn nginx_and_we_serve_each_other() {
    let mut cells = Vec::new();
    for version in [Version::V1_2, Version::V1_3] {
        let what = format!("{}, mutual", protocol(Transport::Tls, version));
        cells.push(Cell::new(format!("nginx as server, {what}"), move |it| {
            as_server(it, version)
        }));
        cells.push(Cell::new(format!("nginx as client, {what}"), move |it| {
            as_client(it, version)
        }));
    }
    cell::run("nginx", &cells);
}

/// It says what it thinks of the connection.
fn as_server(it: &Surroundings<'_>, version: Version) -> Outcome<String> {
    let credential = it.pki.server(KeyType::EcdsaP256);
    let server = format!(
        "ssl_certificate {};
        ssl_certificate_key {};
        ssl_client_certificate {};
        ssl_verify_client on;
        ssl_protocols TLSv1.2 TLSv1.3;
        location / {{ return 200 \"$ssl_protocol $ssl_client_verify\\n\"; }}",
        credential.certificate.display(),
        credential.key.display(),
        it.pki.client_authority().display()
    );
    let nginx = Nginx::start(it, "ssl", &server)?;
    let mut settings = Settings::new(it.pki, version).mutual();
    settings.alpn = Some("http/1.1");
    let client = End::client(
        Transport::Tls,
        &settings,
        ([127, 0, 0, 1], nginx.port).into(),
    )?;
    let outcome = (|| {
        client.send(0, REQUEST);
        let wanted = format!("TLSv{} SUCCESS\n", version.name());
        client.receive_until(it.deadline, |stream| {
            let text = String::from_utf8_lossy(stream);
            text.ends_with(&wanted).then_some(())
        })?;
        Ok(client.handshake(0, it.deadline)?.remark())
    })();
    with_evidence(outcome, &[&client], &[&nginx.process])
}

/// It asks our server for what it is asked for without TLS.
fn as_client(it: &Surroundings<'_>, version: Version) -> Outcome<String> {
    let server = End::server(Transport::Tls, &Settings::new(it.pki, version).mutual())?;
    let credential = it.pki.client(KeyType::EcdsaP256);
    let location = format!(
        "location / {{
            proxy_pass https://{};
            proxy_ssl_protocols TLSv{};
            proxy_ssl_certificate {};
            proxy_ssl_certificate_key {};
            proxy_ssl_trusted_certificate {};
            proxy_ssl_verify on;
            proxy_ssl_name localhost;
            proxy_ssl_server_name on;
        }}",
        server.address(),
        version.name(),
        credential.certificate.display(),
        credential.key.display(),
        it.pki.server_authority().display()
    );
    let nginx = Nginx::start(it, "", &location)?;
    let outcome = (|| {
        let mut asks = TcpStream::connect(("127.0.0.1", nginx.port))?;
        asks.set_read_timeout(Some(it.deadline.remaining()))?;
        asks.write_all(REQUEST)?;
        let (peer, _) = server.receive_until(it.deadline, curl::complete)?;
        let handshake = server.handshake(0, it.deadline)?;
        handshake.mutual()?;
        let body = "x".repeat(LONG);
        server.send(peer, format!("HTTP/1.0 200 OK\r\n\r\n{body}").as_bytes());
        server.close(peer);
        let mut answer = String::new();
        asks.read_to_string(&mut answer)?;
        let (_, got) = answer.split_once("\r\n\r\n").unwrap_or_default();
        expect("that all has arrived", got == body, true)?;
        Ok(handshake.remark())
    })();
    with_evidence(outcome, &[&server], &[&nginx.process])
}

struct Nginx {
    process: Process,
    port: u16,
    patience: Deadline,
}

impl Nginx {
    fn start(it: &Surroundings<'_>, how: &str, server: &str) -> Outcome<Self> {
        let directory = it.directory.path();
        let file = directory.join("nginx.conf");
        let command = |port: u16| {
            let mut paths = String::new();
            for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
                paths += &format!("{kind}_temp_path {}/{kind};\n    ", directory.display());
            }
            let configuration = format!(
                "daemon off;
user root;
worker_processes 1;
pid {}/nginx.pid;
error_log stderr info;
events {{ worker_connections 64; }}
http {{
    access_log off;
    {paths}server {{
        listen 127.0.0.1:{port} {how};
        {server}
    }}
}}
",
                directory.display()
            );
            fs::write(&file, configuration)?;
            let mut command = Command::new("nginx");
            command.args(["-e", "stderr", "-p"]).arg(directory);
            command.arg("-c").arg(&file);
            Ok(command)
        };
        let (process, port) =
            port::start("nginx", next_free_port, command, listening, it.deadline)?;
        Ok(Self {
            process,
            port,
            patience: it.deadline,
        })
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // If it were killed its worker would go on.
        if self.process.signal("TERM").is_ok() {
            let _ = self.process.wait_for_exit(self.patience);
        }
    }
}

fn listening(transcript: &Transcript, port: u16) -> Option<Listening> {
    let said = String::from_utf8_lossy(&transcript.stderr);
    if said.contains("bind() to") {
        return Some(Listening::Taken);
    }
    said.contains("start worker process ")
        .then_some(Listening::On(port))
}

const REQUEST: &[u8] = b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n";

/// Many records.
const LONG: usize = 300_000;
