//! The programs of a case: their command lines, what the foreign one says, and what both write.

use std::net::SocketAddr;
use std::process::Command;

use super::{Case, Limit, OURS, Stack, THEIRS, Version};
use crate::algorithm::KeyType;
use crate::clock::Deadline;
use crate::failure::Outcome;
use crate::foreign::program;
use crate::gnutls;
use crate::loss::Direction;
use crate::openssl;
use crate::peer::{Role, Transport};
use crate::pki::{Chain, Credential, Pki};
use crate::port::{self, Listening};
use crate::process::{Process, Transcript};
use crate::sealgram::{Sealgram, events};

/// What a case's programs are started with.
pub(super) struct Programs<'a> {
    pub(super) case: &'a Case,
    pub(super) pki: &'a Pki,
}

impl Programs<'_> {
    pub(super) fn start_server(&self, deadline: Deadline) -> Outcome<(Process, u16)> {
        port::start(
            "server",
            port::next_free_port,
            |port| match self.case.role {
                Role::Client => self.foreign_server(port),
                Role::Server => self.our_server(),
            },
            |transcript, port| self.listening(transcript, port),
            deadline,
        )
    }

    pub(super) fn client(&self, server: SocketAddr) -> Outcome<Command> {
        match self.case.role {
            Role::Client => self.our_client(server),
            Role::Server => self.foreign_client(server.port()),
        }
    }

    /// Where a server listens.
    fn listening(&self, transcript: &Transcript, given: u16) -> Option<Listening> {
        if self.case.role == Role::Server {
            let event = events(transcript).find(|event| event.name() == "listening")?;
            let (_, port) = event.value("addr")?.rsplit_once(':')?;
            return Some(Listening::On(port.parse().ok()?));
        }
        let begins = match self.case.stack {
            Stack::GnuTls => return gnutls::listening(transcript, given),
            Stack::OpenSsl => return openssl::listening(transcript, given),
            Stack::Mbed | Stack::Wolf => "ready ",
        };
        let mut lines = transcript.stdout_lines().chain(transcript.stderr_lines());
        let port = lines.find_map(|line| line.strip_prefix(begins)?.parse().ok())?;
        Some(Listening::On(port))
    }

    /// A chain above 3 kB, so that messages are longer than records. Mbed TLS cuts no messages over
    /// TCP, and takes none that are cut. With losses it would take a flight too many tries.
    fn server_credential(&self) -> Credential {
        let chain = match (self.case.stack, self.case.transport) {
            (Stack::Mbed, Transport::Tls) => Chain::Leaf,
            _ if self.case.seed.is_some() => Chain::Leaf,
            _ => Chain::Long,
        };
        self.pki.server_with(KeyType::EcdsaP256, chain)
    }

    fn our_client(&self, server: SocketAddr) -> Outcome<Command> {
        let mut command = Command::new(Sealgram::program()?);
        command.args(["client", &server.to_string(), "--name", Pki::NAME]);
        command.arg("--ca").arg(self.pki.server_authority());
        if let Limit::Fragment(length) = self.case.limit {
            command.args(["--max-fragment-length", &length.to_string()]);
        }
        self.add_ours(&mut command);
        Ok(command)
    }

    fn our_server(&self) -> Outcome<Command> {
        let mut command = Command::new(Sealgram::program()?);
        command.args(["server", "--listen", "127.0.0.1:0", "--stdio"]);
        let credential = self.server_credential();
        command.arg("--cert").arg(&credential.certificate);
        command.arg("--key").arg(&credential.key);
        self.add_ours(&mut command);
        Ok(command)
    }

    fn add_ours(&self, command: &mut Command) {
        if !matches!(self.case.limit, Limit::Fragment(_)) {
            command.args(["--record-limit", &OURS.to_string()]);
        }
        if self.case.transport == Transport::Tls {
            command.arg("--tls");
        }
        command.args(match self.case.version {
            Version::V12 => [
                "--versions",
                "1.2",
                "--suites",
                "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            ],
            Version::V13 => ["--versions", "1.3", "--suites", "TLS_AES_128_GCM_SHA256"],
        });
    }

    fn foreign_server(&self, port: u16) -> Outcome<Command> {
        let Credential {
            certificate,
            key,
            issuers,
            ..
        } = self.server_credential();
        let mut command;
        match self.case.stack {
            Stack::GnuTls => {
                command = Command::new("gnutls-serv");
                command.args(["--port", &port.to_string(), "--disable-client-cert"]);
                command.arg("--x509certfile").arg(&certificate);
                command.arg("--x509keyfile").arg(&key);
                // Over TCP it answers a request with a page, which is longer than a record.
                if self.case.transport == Transport::Dtls {
                    command.arg("--echo");
                }
                self.add_gnutls(&mut command);
            }
            Stack::OpenSsl => {
                command = Command::new("openssl");
                let port = match self.case.transport {
                    Transport::Dtls => port,
                    Transport::Tls => 0,
                };
                let address = format!("127.0.0.1:{port}");
                command.args(["s_server", "-accept", &address, "-tlsextdebug"]);
                command.arg("-cert").arg(&certificate);
                command.arg("-key").arg(&key);
                if let Some(issuers) = &issuers {
                    command.arg("-cert_chain").arg(issuers);
                }
                self.add_openssl(&mut command);
            }
            Stack::Mbed | Stack::Wolf => {
                command = self.of_peers("server", 0)?;
                command.arg("--cert").arg(&certificate);
                command.arg("--key").arg(&key);
            }
        }
        Ok(command)
    }

    fn foreign_client(&self, port: u16) -> Outcome<Command> {
        let authority = self.pki.server_authority();
        let mut command;
        match (self.case.stack, self.case.limit) {
            (Stack::GnuTls, _) => {
                command = Command::new("gnutls-cli");
                command.args(["127.0.0.1", "--port", &port.to_string()]);
                command.args(["--sni-hostname", Pki::NAME, "--verify-hostname", Pki::NAME]);
                command.arg("--x509cafile").arg(authority);
                self.add_gnutls(&mut command);
            }
            (Stack::OpenSsl, limit) => {
                command = Command::new("openssl");
                let server = format!("127.0.0.1:{port}");
                command.args(["s_client", "-connect", &server, "-tlsextdebug"]);
                command.args(["-verify_return_error", "-CAfile"]);
                command.arg(authority);
                if let Limit::Fragment(length) = limit {
                    command.args(["-maxfraglen", &length.to_string()]);
                }
                self.add_openssl(&mut command);
            }
            (Stack::Mbed | Stack::Wolf, limit) => {
                command = self.of_peers("client", port)?;
                command
                    .args(["--name", Pki::NAME])
                    .arg("--ca")
                    .arg(authority);
                if let Limit::Fragment(length) = limit {
                    command.args(["--max-fragment", &length.to_string()]);
                }
            }
        }
        Ok(command)
    }

    fn add_gnutls(&self, command: &mut Command) {
        let version = match (self.case.transport, self.case.version) {
            (Transport::Dtls, _) => "DTLS1.2",
            (Transport::Tls, _) if self.case.limit == Limit::SizeOfBothVersions => {
                "TLS1.2:+VERS-TLS1.3"
            }
            (Transport::Tls, Version::V12) => "TLS1.2",
            (Transport::Tls, Version::V13) => "TLS1.3",
        };
        // Without the first word it takes no limit below 512.
        let priority = format!("NORMAL:%ALLOW_SMALL_RECORDS:-VERS-ALL:+VERS-{version}");
        command.args(["--priority", &priority, "--debug", "4"]);
        command.args(["--recordsize", &THEIRS.to_string()]);
        if self.case.transport == Transport::Dtls {
            command.args(["--udp", "--mtu", MTU]);
        }
    }

    fn add_openssl(&self, command: &mut Command) {
        command.arg(match (self.case.transport, self.case.version) {
            (Transport::Dtls, _) => "-dtls1_2",
            (Transport::Tls, Version::V12) => "-tls1_2",
            (Transport::Tls, Version::V13) => "-tls1_3",
        });
        if self.case.transport == Transport::Dtls {
            command.args(["-mtu", MTU]);
        }
    }

    fn of_peers(&self, side: &str, port: u16) -> Outcome<Command> {
        let (name, version) = match (self.case.stack, self.case.version) {
            (Stack::Mbed, _) => ("mbedtls-peer", None),
            (_, Version::V12) => ("wolfssl-peer", Some("1.2")),
            (_, Version::V13) => ("wolfssl-peer", Some("1.3")),
        };
        let mut command = Command::new(program(name)?);
        command.args([side, "--port", &port.to_string()]);
        match (version, self.case.transport) {
            (Some(version), _) => command.args(["--versions", version, "--plain"]),
            (None, Transport::Tls) => command.arg("--tls"),
            (None, Transport::Dtls) => command.args(["--mtu", MTU]),
        };
        Ok(command)
    }

    /// What the foreign end says about it, and when its handshake is complete.
    pub(super) fn said(&self) -> Vec<String> {
        let (limit, complete) = match (self.case.stack, self.case.role) {
            (Stack::GnuTls, role) => {
                // With the type of the data within.
                let more = usize::from(self.case.version == Version::V13);
                let limit = format!("record_size_limit {} negotiated", OURS + more);
                let complete = match role {
                    Role::Client => "record_size_limit",
                    Role::Server => "- Simple Client Mode",
                };
                (limit, complete)
            }
            (Stack::OpenSsl, role) => {
                let who = match role {
                    Role::Client => "client",
                    Role::Server => "server",
                };
                let limit = format!("TLS {who} extension \"max fragment length\"");
                (limit, "Secure Renegotiation IS ")
            }
            (stack, _) => {
                let length = match self.case.limit {
                    Limit::Fragment(length) => length,
                    Limit::Size | Limit::SizeOfBothVersions => THEIRS,
                };
                let sign = if stack == Stack::Mbed { ' ' } else { '=' };
                (format!("most{sign}{length}"), "handshake")
            }
        };
        vec![limit, complete.to_owned()]
    }

    /// What is written, one after the other.
    pub(super) fn conversation(&self) -> Vec<Step> {
        let gnutls_serves = (self.case.stack, self.case.role) == (Stack::GnuTls, Role::Client);
        let up = self.line(Role::Client);
        match (gnutls_serves, self.case.transport) {
            (false, _) => vec![up, self.line(Role::Server)],
            // It sends back what came, which must not be more than we take, and prints nothing.
            (true, Transport::Dtls) => vec![
                Step::line(Role::Client, 'e', OURS, Some(Role::Client)),
                Step { shown: None, ..up },
            ],
            (true, Transport::Tls) => {
                let field = "x".repeat(THEIRS);
                let request = format!("GET / HTTP/1.0\nX: {field}\n\n");
                vec![Step {
                    from: Role::Client,
                    bytes: request.into_bytes(),
                    shown: Some((Role::Client, "</HTML>".to_owned())),
                }]
            }
        }
    }

    /// As much as a record may have; over a stream our end writes more, and cuts it.
    fn line(&self, from: Role) -> Step {
        let (letter, direction, to) = match from {
            Role::Client => ('u', Direction::ToServer, Role::Server),
            Role::Server => ('w', Direction::ToClient, Role::Client),
        };
        let records = match self.case.transport == Transport::Tls && from == self.case.role {
            true => 3,
            false => 1,
        };
        Step::line(from, letter, records * self.case.most(direction), Some(to))
    }
}

/// What one end writes.
pub(super) struct Step {
    pub(super) from: Role,
    pub(super) bytes: Vec<u8>,
    /// Who prints what of it when it has come, if anybody does.
    pub(super) shown: Option<(Role, String)>,
}

impl Step {
    /// A line of this many bytes, its end included.
    fn line(from: Role, letter: char, length: usize, shown: Option<Role>) -> Self {
        let text: String = (1..length).map(|_| letter).collect();
        Self {
            from,
            shown: shown.map(|role| (role, letter.to_string().repeat(SHOWN))),
            bytes: format!("{text}\n").into_bytes(),
        }
    }
}

/// By how much of a line it is known.
const SHOWN: usize = 16;

const MTU: &str = "1400";
