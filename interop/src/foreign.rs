//! Stacks that have no suitable program of their own: each is used by a program of `peers/`. There
//! are two command lines, and one behaviour.
//!
//! A line of standard input is data, `R` renegotiates, received data goes to standard output, and
//! facts go to standard error: `ready PORT`, `handshake SUITE`, `closed`.

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Failure, Outcome};
use crate::framed::Frame;
use crate::peer::{Handshake, Peer, Service, Settings, Transport};
use crate::pki::{Credential, IDENTITY, KEY, Pki};
use crate::port::Listening;
use crate::process::Transcript;

/// A stack that one of these programs uses.
#[derive(Debug, Clone, Copy)]
pub struct Foreign {
    name: &'static str,
    program: &'static str,
    line: CommandLine,
}

/// What the options of a program are.
#[derive(Debug, Clone, Copy)]
enum CommandLine {
    /// Those of the oldest of these programs, and at a server these before all others.
    Plain(&'static [&'static str]),
    /// Those of `peers/frame`.
    Frame(Frame),
}

/// Erlang/OTP's `ssl`.
pub const ERLANG: Foreign = Foreign::plain("erlang", "erlang-peer", &[]);

/// Botan 2.
pub const BOTAN: Foreign = Foreign::plain("botan", "botan-peer", &[]);

/// Mbed TLS 2.28, whose servers use cookies by default.
pub const MBEDTLS: Foreign = Foreign::plain("mbedtls", "mbedtls-peer", &[]);

/// The same without cookies.
pub const MBEDTLS_WITHOUT_COOKIES: Foreign =
    Foreign::plain("mbedtls-nocookies", "mbedtls-peer", &["--no-cookies"]);

/// webrtc-rs, the crate `dtls`.
pub const WEBRTC: Foreign = Foreign::plain("webrtc", "webrtc-peer", &[]);

/// One that speaks nothing but DTLS, and has all suites.
const DATAGRAMS: Frame = Frame {
    datagrams: &[],
    named_suites: false,
};

/// wolfSSL, over DTLS.
pub const WOLFSSL: Foreign = Foreign::framed("wolfssl", "wolfssl-peer", DATAGRAMS);

/// dimpl, over DTLS.
pub const DIMPL: Foreign = Foreign::framed("dimpl", "dimpl-peer", DATAGRAMS);

/// OpenSSL 3.6.
pub const OPENSSL36: Foreign = Foreign::framed(
    "openssl36",
    "openssl-peer",
    Frame {
        datagrams: &["--udp"],
        named_suites: true,
    },
);

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
    const fn plain(
        name: &'static str,
        program: &'static str,
        server_arguments: &'static [&'static str],
    ) -> Self {
        Self {
            name,
            program,
            line: CommandLine::Plain(server_arguments),
        }
    }

    /// A program with the command line of `peers/frame`.
    const fn framed(name: &'static str, program: &'static str, frame: Frame) -> Self {
        Self {
            name,
            program,
            line: CommandLine::Frame(frame),
        }
    }

    fn command(&self, side: &str, port: u16, settings: &Settings<'_>) -> Outcome<Command> {
        let mut command = Command::new(program(self.program)?);
        command.args([side, "--port", &port.to_string()]);
        match self.line {
            CommandLine::Plain(_) => add_plain(&mut command, settings),
            CommandLine::Frame(frame) => frame.add_to(&mut command, settings),
        }
        Ok(command)
    }
}

impl Peer for Foreign {
    fn name(&self) -> &'static str {
        self.name
    }

    fn server_command(&self, settings: &Settings<'_>, _port: u16) -> Outcome<Command> {
        let mut command = self.command("server", 0, settings)?;
        if let CommandLine::Plain(arguments) = self.line {
            command.args(arguments);
        }
        command.args(&settings.server_arguments);
        if settings.shared_key.is_none() {
            add_credential(&mut command, &settings.server_credential());
        }
        if settings.client_key.is_some() {
            match self.line {
                CommandLine::Plain(_) => command.arg("--client-ca"),
                CommandLine::Frame(_) => command.args(["--client-auth", "--ca"]),
            }
            .arg(settings.pki.client_authority());
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

fn add_plain(command: &mut Command, settings: &Settings<'_>) {
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
