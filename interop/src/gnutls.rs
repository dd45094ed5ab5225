//! `gnutls-serv` and `gnutls-cli`.
//!
//! Habits to know: the server cannot choose a port itself, wants to be told whether it asks for a
//! client certificate, and tells nothing of a completed handshake. Suites and groups are chosen by
//! a priority string.

use std::net::{SocketAddr, UdpSocket};
use std::process::{self, Command};
use std::sync::atomic::{AtomicU16, Ordering};

use crate::algorithm::{Aead, Authentication, Group, Suite};
use crate::failure::{Failure, Outcome};
use crate::peer::{Handshake, Peer, Service, Settings, Transport};
use crate::pki::{Credential, Pki};
use crate::process::Transcript;

/// GnuTLS's command line programs.
#[derive(Debug, Clone, Copy)]
pub struct GnuTls;

impl Peer for GnuTls {
    fn name(&self) -> &'static str {
        "gnutls"
    }

    fn server_command(&self, settings: &Settings<'_>, port: u16) -> Outcome<Command> {
        let mut command = Command::new("gnutls-serv");
        command.args(["--echo", "--port", &port.to_string()]);
        if !settings.tickets {
            command.arg("--noticket");
        }
        command.args(&settings.server_arguments);
        add_credential(&mut command, &settings.pki.server(settings.server_key));
        if settings.client_key.is_some() {
            command
                .args(["--require-client-cert", "--verify-client-cert"])
                .arg("--x509cafile")
                .arg(settings.pki.client_authority());
        } else {
            command.arg("--disable-client-cert");
        }
        add_common(&mut command, settings);
        Ok(command)
    }

    fn client_command(&self, settings: &Settings<'_>, server: SocketAddr) -> Outcome<Command> {
        let mut command = Command::new("gnutls-cli");
        command
            .args(["--port", &server.port().to_string()])
            .args(&settings.client_arguments)
            .args(["--sni-hostname", Pki::NAME, "--verify-hostname", Pki::NAME])
            .arg("--x509cafile")
            .arg(settings.pki.server_authority());
        if let Some(key_type) = settings.client_key {
            add_credential(&mut command, &settings.pki.client(key_type));
        }
        add_common(&mut command, settings);
        command.arg(server.ip().to_string());
        Ok(command)
    }

    fn listening_port(&self, transcript: &Transcript, port: u16) -> Option<u16> {
        let wanted = format!("IPv4 0.0.0.0 port {port}...done");
        [&transcript.stdout, &transcript.stderr]
            .into_iter()
            .any(|stream| String::from_utf8_lossy(stream).contains(&wanted))
            .then_some(port)
    }

    fn server_handshake(&self, _transcript: &Transcript) -> Option<Handshake> {
        None
    }

    fn client_handshake(&self, transcript: &Transcript) -> Option<Handshake> {
        let data_offset = transcript.stdout_after(0, "- Simple Client Mode:\n\n")?;
        let description = transcript
            .stdout_lines()
            .find_map(|line| line.strip_prefix("- Description: ").map(str::to_owned))?;
        Some(Handshake {
            suite: described_suite(&description),
            group: described_group(&description),
            client_certificate: Some(
                transcript
                    .stdout_after(0, "- Successfully sent 1 certificate(s) to server.")
                    .is_some(),
            ),
            data_offset,
        })
    }

    fn server_saw_close(&self, _transcript: &Transcript) -> Option<bool> {
        None
    }

    /// What is printed about each handshake behind the first one.
    fn chatter_beginnings(&self) -> &'static [&'static str] {
        &["*** ", "- ", " - ", "\t", "\n"]
    }

    fn service(&self, _settings: &Settings<'_>) -> Service {
        Service::Echo
    }

    fn server_reports_handshake(&self) -> bool {
        false
    }
}

/// A port that was free a moment ago, for a server that cannot choose one. Each call gives another
/// one, all below the range from which the system takes ports for sockets bound to port 0.
///
/// # Errors
///
/// When a thousand ports in a row are taken.
pub fn next_free_port() -> Outcome<u16> {
    static OFFSET: AtomicU16 = AtomicU16::new(0);
    // Two test binaries at the same time begin at different places.
    let first = u32::from(FIRST_PORT) + process::id() * 197 % u32::from(PORTS);
    for _ in 0..1000 {
        let offset = first + u32::from(OFFSET.fetch_add(1, Ordering::Relaxed));
        let port = FIRST_PORT + u16::try_from(offset % u32::from(PORTS)).expect("below PORTS");
        if UdpSocket::bind(("0.0.0.0", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Failure::new("no free UDP port was found"))
}

fn add_credential(command: &mut Command, credential: &Credential) {
    command.arg("--x509certfile").arg(&credential.certificate);
    command.arg("--x509keyfile").arg(&credential.key);
}

fn add_common(command: &mut Command, settings: &Settings<'_>) {
    if settings.transport == Transport::Dtls {
        command.arg("--udp");
    }
    command.args(["--priority", &priority(settings)]);
    if let Some(mtu) = settings.mtu {
        command.args(["--mtu", &mtu.to_string()]);
    }
}

fn priority(settings: &Settings<'_>) -> String {
    let suite = settings.suite;
    let version = match settings.transport {
        Transport::Dtls => "DTLS1.2",
        Transport::Tls => "TLS1.2",
    };
    let groups: Vec<_> = settings
        .groups
        .iter()
        .map(|group| format!("+GROUP-{}", group.gnutls_name()))
        .collect();
    format!(
        "NORMAL:-VERS-ALL:+VERS-{version}:-KX-ALL:+ECDHE-{}:-CIPHER-ALL:+{}:-GROUP-ALL:{}",
        suite.authentication.name(),
        suite.aead.gnutls_name(),
        groups.join(":")
    )
}

/// Reads the suite out of
/// `(DTLS1.2-X.509)-(ECDHE-SECP256R1)-(ECDSA-SHA256)-(CHACHA20-POLY1305)`.
fn described_suite(description: &str) -> Option<Suite> {
    let [_, _, signature, cipher] = description_parts(description)?;
    let authentication = match signature.split('-').next()? {
        "ECDSA" | "EdDSA" => Authentication::Ecdsa,
        "RSA" => Authentication::Rsa,
        _ => return None,
    };
    Aead::ALL
        .into_iter()
        .find(|aead| aead.gnutls_name() == cipher)
        .map(|aead| Suite {
            aead,
            authentication,
        })
}

fn described_group(description: &str) -> Option<Group> {
    let [_, exchange, ..] = description_parts(description)?;
    Group::from_any_name(exchange.strip_prefix("ECDHE-")?)
}

fn description_parts(description: &str) -> Option<[&str; 4]> {
    let inner = description.trim().strip_prefix('(')?.strip_suffix(')')?;
    inner.split(")-(").collect::<Vec<_>>().try_into().ok()
}

/// The lowest port that [`next_free_port`] gives.
const FIRST_PORT: u16 = 20_000;

/// How many ports it goes round.
const PORTS: u16 = 12_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_read() {
        let description = "(DTLS1.2-X.509)-(ECDHE-SECP256R1)-(ECDSA-SHA256)-(CHACHA20-POLY1305)";
        let suite = described_suite(description).expect("a suite");
        assert_eq!(suite.openssl_name(), "ECDHE-ECDSA-CHACHA20-POLY1305");
        assert_eq!(described_group(description), Some(Group::P256));
    }

    #[test]
    fn ports_differ_from_call_to_call() {
        assert_ne!(next_free_port(), next_free_port());
    }
}
