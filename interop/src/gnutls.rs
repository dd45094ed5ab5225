//! `gnutls-serv` and `gnutls-cli`.
//!
//! Habits to know: the server cannot choose a port itself, must be told whether to ask for a client
//! certificate, and does not report a completed handshake. Suites and groups are chosen by a
//! priority string.

use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::process::Command;

use crate::algorithm::{Aead, Authentication, Group, Suite};
use crate::failure::Outcome;
use crate::peer::{Handshake, Peer, Service, Settings, Transport};
use crate::pki::{Credential, IDENTITY, KEY, Pki};
use crate::port::Listening;
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
        match settings.shared_key {
            Some(_) => drop(command.arg("--pskpasswd").arg(settings.pki.shared_key())),
            None => add_credential(&mut command, &settings.server_credential()),
        }
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
            .args(["--sni-hostname", Pki::NAME]);
        match settings.shared_key {
            Some(_) => command.args(["--pskusername", IDENTITY, "--pskkey", KEY]),
            None => command
                .args(["--verify-hostname", Pki::NAME])
                .arg("--x509cafile")
                .arg(settings.pki.server_authority()),
        };
        if let Some(credential) = settings.client_credential() {
            add_credential(&mut command, &credential);
        }
        add_common(&mut command, settings);
        command.arg(settings.connect.trim_matches(['[', ']']));
        Ok(command)
    }

    fn listening(&self, transcript: &Transcript, port: u16) -> Option<Listening> {
        listening(transcript, port)
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

    /// What is printed about each handshake after the first one.
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

/// Reads what `gnutls-serv` says about the port that it was given. It binds IPv4 first and then
/// IPv6, where the machine has it, and keeps running when one of the two fails: it listens when
/// both have been told.
#[must_use]
pub fn listening(transcript: &Transcript, port: u16) -> Option<Listening> {
    let outcomes = ["IPv4 0.0.0.0", "IPv6 ::"].map(|address| {
        let attempt = format!("{address} port {port}...");
        [&transcript.stdout, &transcript.stderr]
            .into_iter()
            .find_map(|stream| {
                let text = String::from_utf8_lossy(stream);
                let outcome = text.split_once(&attempt)?.1;
                if outcome.starts_with("done") {
                    return Some(Listening::On(port));
                }
                let taken = outcome.starts_with("bind() failed: Address already in use");
                taken.then_some(Listening::Taken)
            })
    });
    match outcomes {
        [Some(Listening::Taken), _] | [_, Some(Listening::Taken)] => Some(Listening::Taken),
        [Some(v4), None] if !has_ipv6() => Some(v4),
        [Some(_), v6] => v6,
        [None, _] => None,
    }
}

fn has_ipv6() -> bool {
    UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok()
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
    let (exchange, aead) = match settings.shared_key {
        Some(suite) => (suite.gnutls_name().to_owned(), suite.aead),
        None => {
            let suite = settings.suite;
            (format!("ECDHE-{}", suite.authentication.name()), suite.aead)
        }
    };
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
        "NORMAL:-VERS-ALL:+VERS-{version}:-KX-ALL:+{exchange}:-CIPHER-ALL:+{}:-GROUP-ALL:{}",
        aead.gnutls_name(),
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
        .chain(Aead::CCM)
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
}
