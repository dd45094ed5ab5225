//! `openssl s_server` and `openssl s_client`.
//!
//! Habits to know: over UDP `s_server` takes its port with SO_REUSEADDR. With port 0 the system may
//! then give it the port of another `s_server`, whose datagrams it gets from then on; so it is
//! given one. It always asks for a cookie, ends when its standard input ends, and splits its
//! flights into datagrams of 228 bytes when no MTU is given. Both take the first letter of a line
//! as a command (`Q`, `R`, `B`, `k`, `q`, `r`, `P`, `S`, …), so test lines begin with other
//! letters.

use std::net::SocketAddr;
use std::process::Command;

use crate::algorithm::{Aead, Group, Suite};
use crate::failure::{Failure, Outcome};
use crate::peer::{Handshake, Peer, Service, Settings, Transport};
use crate::pki::{Credential, IDENTITY, KEY, Pki};
use crate::port::Listening;
use crate::process::Transcript;

/// OpenSSL's command line programs.
#[derive(Debug, Clone, Copy)]
pub struct OpenSsl;

impl OpenSsl {
    /// The version of the installed program, for example `3.0.19`.
    ///
    /// # Errors
    ///
    /// When the program is missing or prints something else.
    pub fn version() -> Outcome<String> {
        let output = Command::new("openssl")
            .arg("version")
            .output()
            .map_err(|error| Failure::from(error).during("openssl version cannot be run"))?;
        String::from_utf8_lossy(&output.stdout)
            .split_whitespace()
            .nth(1)
            .map(str::to_owned)
            .ok_or_else(|| Failure::new("openssl version prints no version"))
    }
}

impl Peer for OpenSsl {
    fn name(&self) -> &'static str {
        "openssl"
    }

    fn server_command(&self, settings: &Settings<'_>, port: u16) -> Outcome<Command> {
        let mut command = Command::new("openssl");
        command.args(["s_server", version(settings)]);
        let port = match settings.transport {
            Transport::Dtls => port,
            Transport::Tls => 0,
        };
        command.args(["-accept", &format!("{}:{port}", settings.listen)]);
        if settings.renegotiation {
            command.arg("-client_renegotiation");
        }
        command.args(&settings.server_arguments);
        match settings.shared_key {
            Some(_) => drop(command.arg("-nocert")),
            None => add_credential(&mut command, &settings.server_credential()),
        }
        if settings.client_key.is_some() {
            command
                .args(["-Verify", "1", "-verify_return_error", "-CAfile"])
                .arg(settings.pki.client_authority());
        }
        add_common(&mut command, settings);
        Ok(command)
    }

    fn client_command(&self, settings: &Settings<'_>, server: SocketAddr) -> Outcome<Command> {
        let mut command = Command::new("openssl");
        command
            .args(["s_client", version(settings)])
            .args([
                "-connect",
                &format!("{}:{}", settings.connect, server.port()),
            ])
            .args(&settings.client_arguments)
            .args(["-servername", Pki::NAME]);
        if settings.shared_key.is_none() {
            command
                .args(["-verify_hostname", Pki::NAME])
                .args(["-verify_return_error", "-CAfile"])
                .arg(settings.pki.server_authority());
        }
        if let Some(credential) = settings.client_credential() {
            add_credential(&mut command, &credential);
        }
        add_common(&mut command, settings);
        Ok(command)
    }

    fn listening(&self, transcript: &Transcript, port: u16) -> Option<Listening> {
        listening(transcript, port)
    }

    fn server_handshake(&self, transcript: &Transcript) -> Option<Handshake> {
        let data_offset = transcript.stdout_after(0, "Secure Renegotiation IS supported\n")?;
        let cipher = text_after(transcript, "CIPHER is ")?;
        Some(Handshake {
            suite: Suite::from_openssl_name(&cipher),
            // It prints the groups that both ends have, and not the one that was used.
            group: None,
            client_certificate: Some(transcript.stdout_after(0, "Client certificate\n").is_some()),
            data_offset,
        })
    }

    fn client_handshake(&self, transcript: &Transcript) -> Option<Handshake> {
        let end_of_session = transcript.stdout_after(0, "Extended master secret: ")?;
        let data_offset = transcript.stdout_after(end_of_session, "---\n")?;
        let cipher = text_after(transcript, "Cipher is ")?;
        Some(Handshake {
            suite: Suite::from_openssl_name(&cipher),
            group: text_after(transcript, "Server Temp Key: ")
                .and_then(|line| temporary_key(&line)),
            client_certificate: None,
            data_offset,
        })
    }

    fn server_saw_close(&self, transcript: &Transcript) -> Option<bool> {
        let data = transcript.stdout_after(0, "Secure Renegotiation IS supported\n")?;
        Some(transcript.stdout_after(data, "\nDONE\n").is_some())
    }

    /// Printed when a record brings no data, a retransmission for example.
    fn chatter(&self) -> &'static [&'static str] {
        &[
            "Read BLOCK",
            "read R BLOCK",
            "write W BLOCK",
            "SSL_do_handshake -> 1",
        ]
    }

    fn service(&self, _settings: &Settings<'_>) -> Service {
        Service::Stdio
    }

    fn server_reports_handshake(&self) -> bool {
        true
    }
}

/// Where `s_server` listens: it says so only if it has chosen the port.
#[must_use]
pub fn listening(transcript: &Transcript, given: u16) -> Option<Listening> {
    let port = transcript
        .stdout_lines()
        .find_map(|line| match line.trim_end() {
            "ACCEPT" => Some(given),
            line => line
                .strip_prefix("ACCEPT ")?
                .rsplit_once(':')?
                .1
                .parse()
                .ok(),
        });
    port.map(Listening::On)
}

fn add_credential(command: &mut Command, credential: &Credential) {
    command.arg("-cert").arg(&credential.certificate);
    command.arg("-key").arg(&credential.key);
    if let Some(issuers) = &credential.issuers {
        command.arg("-cert_chain").arg(issuers);
    }
}

const fn version(settings: &Settings<'_>) -> &'static str {
    match settings.transport {
        Transport::Dtls => "-dtls1_2",
        Transport::Tls => "-tls1_2",
    }
}

fn add_common(command: &mut Command, settings: &Settings<'_>) {
    if !settings.tickets {
        command.arg("-no_ticket");
    }
    let groups: Vec<_> = settings.groups.iter().map(|group| group.name()).collect();
    command.args(["-groups", &groups.join(":")]);
    let (aead, name) = match settings.shared_key {
        None => (settings.suite.aead, settings.suite.openssl_name()),
        Some(suite) => (suite.aead, suite.openssl_name()),
    };
    match aead {
        // A tag of 64 bits is less than its default asks for.
        Aead::Aes128Ccm8 => command.args(["-cipher", &format!("{name}:@SECLEVEL=0")]),
        _ => command.args(["-cipher", &name]),
    };
    if settings.shared_key.is_some() {
        command.args(["-psk", KEY, "-psk_identity", IDENTITY]);
    }
    if let Some(mtu) = settings.mtu {
        command.args(["-mtu", &mtu.to_string()]);
    }
}

fn text_after(transcript: &Transcript, prefix: &str) -> Option<String> {
    transcript.stdout_lines().find_map(|line| {
        let start = line.find(prefix)?;
        Some(line[start + prefix.len()..].to_owned())
    })
}

/// Reads `X25519, 253 bits` or `ECDH, prime256v1, 256 bits`.
fn temporary_key(line: &str) -> Option<Group> {
    line.split(", ").find_map(Group::from_any_name)
}
