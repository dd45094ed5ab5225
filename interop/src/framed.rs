//! Stacks whose programs of `peers/` have the command line of `peers/frame`, at version 1.2.
//!
//! Told `--plain`, they behave as those of [`crate::foreign`] do: received data goes to standard
//! output as it is, facts go to standard error: `ready PORT`, `handshake …`, `closed`.

use std::net::SocketAddr;
use std::process::Command;

use crate::algorithm::Aead;
use crate::failure::Outcome;
use crate::foreign::{fact, program};
use crate::peer::{Handshake, Peer, Service, Settings, Transport};
use crate::pki::{Credential, Pki};
use crate::port::Listening;
use crate::process::Transcript;
use crate::shared_keys::{IDENTITY, KEY};

/// A stack that one of these programs uses.
#[derive(Debug, Clone, Copy)]
pub struct Framed {
    name: &'static str,
    program: &'static str,
    /// What makes it speak DTLS.
    datagrams: &'static [&'static str],
    /// Whether it is told the suite, by OpenSSL's name; else it has all, and our end has one.
    named_suites: bool,
}

/// wolfSSL, over DTLS.
pub const WOLFSSL: Framed = Framed {
    name: "wolfssl",
    program: "wolfssl-peer",
    datagrams: &[],
    named_suites: false,
};

/// dimpl, over DTLS.
pub const DIMPL: Framed = Framed {
    name: "dimpl",
    program: "dimpl-peer",
    datagrams: &[],
    named_suites: false,
};

/// OpenSSL 3.6.
pub const OPENSSL36: Framed = Framed {
    name: "openssl36",
    program: "openssl-peer",
    datagrams: &["--udp"],
    named_suites: true,
};

impl Peer for Framed {
    fn name(&self) -> &'static str {
        self.name
    }

    fn server_command(&self, settings: &Settings<'_>, _port: u16) -> Outcome<Command> {
        let mut command = self.command("server", 0, settings)?;
        command.args(&settings.server_arguments);
        if settings.shared_key.is_none() {
            add_credential(&mut command, &settings.server_credential());
        }
        if settings.client_key.is_some() {
            command.arg("--client-auth");
            command.arg("--ca").arg(settings.pki.client_authority());
        }
        Ok(command)
    }

    fn client_command(&self, settings: &Settings<'_>, server: SocketAddr) -> Outcome<Command> {
        let mut command = self.command("client", server.port(), settings)?;
        command.args(&settings.client_arguments);
        command.args(["--name", Pki::NAME]);
        if settings.shared_key.is_none() {
            command.arg("--ca").arg(settings.pki.server_authority());
        }
        if let Some(credential) = settings.client_credential() {
            add_credential(&mut command, &credential);
        }
        Ok(command)
    }

    fn listening(&self, transcript: &Transcript, _port: u16) -> Option<Listening> {
        let port = fact(transcript, "ready ")?.parse().ok()?;
        Some(Listening::On(port))
    }

    fn server_handshake(&self, transcript: &Transcript) -> Option<Handshake> {
        handshake(transcript)
    }

    fn client_handshake(&self, transcript: &Transcript) -> Option<Handshake> {
        handshake(transcript)
    }

    fn server_saw_close(&self, transcript: &Transcript) -> Option<bool> {
        Some(fact(transcript, "closed").is_some())
    }

    fn service(&self, _settings: &Settings<'_>) -> Service {
        Service::Stdio
    }

    fn server_reports_handshake(&self) -> bool {
        true
    }
}

impl Framed {
    fn command(&self, side: &str, port: u16, settings: &Settings<'_>) -> Outcome<Command> {
        let mut command = Command::new(program(self.program)?);
        let port = port.to_string();
        command.args([side, "--port", &port, "--versions", "1.2", "--plain"]);
        if settings.transport == Transport::Dtls {
            command.args(self.datagrams);
        }
        let groups = settings.groups.iter();
        let groups: Vec<_> = groups.map(|it| it.name().replace('-', "")).collect();
        command.args(["--groups", &groups.join(",").to_lowercase()]);
        let (aead, suite) = match settings.shared_key {
            Some(suite) => {
                command.args(["--psk", &format!("{IDENTITY}:{KEY}")]);
                (suite.aead, suite.openssl_name())
            }
            None => (settings.suite.aead, settings.suite.openssl_name()),
        };
        match aead {
            _ if !self.named_suites => {}
            // A tag of 64 bits is less than its default asks for.
            Aead::Aes128Ccm8 => {
                command.args(["--ciphers", &format!("{suite}:@SECLEVEL=0")]);
            }
            _ => drop(command.args(["--ciphers", &suite])),
        }
        Ok(command)
    }
}

/// Our end reports what was negotiated.
fn handshake(transcript: &Transcript) -> Option<Handshake> {
    fact(transcript, "handshake").map(|_| Handshake {
        suite: None,
        group: None,
        client_certificate: None,
        data_offset: 0,
    })
}

fn add_credential(command: &mut Command, credential: &Credential) {
    command.arg("--cert").arg(&credential.certificate);
    command.arg("--key").arg(&credential.key);
}
