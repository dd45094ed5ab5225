//! Stacks that have no suitable program of their own: each is used by a program of `peers/`, all
//! with the same command line.
//!
//! A line of standard input is data, `R` renegotiates, received data goes to standard output, and
//! facts go to standard error: `ready PORT`, `handshake SUITE`, `closed`.

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Failure, Outcome};
use crate::peer::{Handshake, Peer, Service, Settings, Transport};
use crate::pki::{Credential, Pki};
use crate::port::Listening;
use crate::process::Transcript;
use crate::shared_keys::{IDENTITY, KEY};

/// A stack that one of these programs uses.
#[derive(Debug, Clone, Copy)]
pub struct Foreign {
    name: &'static str,
    program: &'static str,
    server_arguments: &'static [&'static str],
}

/// Erlang/OTP's `ssl`.
pub const ERLANG: Foreign = Foreign::new("erlang", "erlang-peer", &[]);

/// Botan 2.
pub const BOTAN: Foreign = Foreign::new("botan", "botan-peer", &[]);

/// Mbed TLS 2.28, whose servers use cookies by default.
pub const MBEDTLS: Foreign = Foreign::new("mbedtls", "mbedtls-peer", &[]);

/// The same without cookies.
pub const MBEDTLS_WITHOUT_COOKIES: Foreign =
    Foreign::new("mbedtls-nocookies", "mbedtls-peer", &["--no-cookies"]);

/// webrtc-rs, the crate `dtls`.
pub const WEBRTC: Foreign = Foreign::new("webrtc", "webrtc-peer", &[]);

/// Where a program of `peers/` is: in the directory that `SEALGRAM_PEERS` names, which
/// `interop/run` sets.
///
/// # Errors
///
/// When it is not there.
pub fn program(name: &str) -> Outcome<PathBuf> {
    let directory = env::var_os("SEALGRAM_PEERS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/target/release"),
        PathBuf::from,
    );
    let path = directory.join(name);
    if path.is_file() {
        Ok(path)
    } else {
        Err(Failure::new(format!(
            "the program {} is missing: `interop/run` builds it",
            path.display()
        )))
    }
}

impl Foreign {
    const fn new(
        name: &'static str,
        program: &'static str,
        server_arguments: &'static [&'static str],
    ) -> Self {
        Self {
            name,
            program,
            server_arguments,
        }
    }
}

impl Peer for Foreign {
    fn name(&self) -> &'static str {
        self.name
    }

    fn server_command(&self, settings: &Settings<'_>, _port: u16) -> Outcome<Command> {
        let mut command = Command::new(program(self.program)?);
        command.args(["server", "--port", "0"]);
        command.args(self.server_arguments);
        command.args(&settings.server_arguments);
        if settings.shared_key.is_none() {
            add_credential(&mut command, &settings.server_credential());
        }
        if settings.client_key.is_some() {
            command
                .arg("--client-ca")
                .arg(settings.pki.client_authority());
        }
        add_common(&mut command, settings);
        Ok(command)
    }

    fn client_command(&self, settings: &Settings<'_>, server: SocketAddr) -> Outcome<Command> {
        let mut command = Command::new(program(self.program)?);
        command.args(["client", "--port", &server.port().to_string()]);
        command.args(&settings.client_arguments);
        command.args(["--name", Pki::NAME]);
        if settings.shared_key.is_none() {
            command.arg("--ca").arg(settings.pki.server_authority());
        }
        if let Some(credential) = settings.client_credential() {
            add_credential(&mut command, &credential);
        }
        add_common(&mut command, settings);
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

/// Our end reports what was negotiated, because each of these stacks has its own names for suites.
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

fn add_common(command: &mut Command, settings: &Settings<'_>) {
    if settings.transport == Transport::Tls {
        command.arg("--tls");
    }
    if let Some(mtu) = settings.mtu {
        command.args(["--mtu", &mtu.to_string()]);
    }
    if let Some(suite) = settings.shared_key {
        command.args(["--psk", KEY, "--psk-identity", IDENTITY]);
        command.args(["--suite", &suite.iana_name().replace('_', "-")]);
    }
}

/// What follows `name` in the first line of standard error that begins with it.
pub(crate) fn fact(transcript: &Transcript, name: &str) -> Option<String> {
    transcript
        .stderr_lines()
        .find_map(|line| line.strip_prefix(name).map(|rest| rest.trim().to_owned()))
}
