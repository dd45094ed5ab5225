//! What a program needs in order to take part: a command for either role, and output that shows
//! when it listens, when its handshake is complete, and what was negotiated.

use std::net::SocketAddr;
use std::process::Command;

use crate::algorithm::{Group, KeyType, SharedSuite, Suite};
use crate::clock::Deadline;
use crate::failure::Outcome;
use crate::foreign;
use crate::gnutls::GnuTls;
use crate::openssl::OpenSsl;
use crate::pki::{Chain, Credential, Pki};
use crate::port::{self, Listening};
use crate::process::{Process, Transcript};
use crate::sealgram::Sealgram;

/// The programs that these tests know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Implementation {
    /// The program of this workspace.
    Sealgram,
    /// `openssl s_server` and `openssl s_client`.
    OpenSsl,
    /// `gnutls-serv` and `gnutls-cli`.
    GnuTls,
    /// Erlang/OTP's `ssl`.
    Erlang,
    /// Botan 2.
    Botan,
    /// Mbed TLS 2.28; its servers use cookies.
    MbedTls,
    /// Mbed TLS 2.28 with servers that use none.
    MbedTlsWithoutCookies,
    /// webrtc-rs.
    WebRtc,
    /// wolfSSL, over DTLS.
    WolfSsl,
    /// OpenSSL 3.6.
    OpenSsl36,
    /// dimpl, over DTLS.
    Dimpl,
}

/// Which end of an association a program plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The end that sends the first ClientHello.
    Client,
    /// The other end.
    Server,
}

/// What carries the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Transport {
    /// DTLS over UDP.
    #[default]
    Dtls,
    /// TLS over TCP.
    Tls,
}

/// What the server does with what it receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// Sends each datagram back.
    Echo,
    /// Writes it to the standard output, and sends lines of the standard input.
    Stdio,
}

/// The settings of both ends of a case.
#[derive(Debug, Clone)]
pub struct Settings<'a> {
    /// The files.
    pub pki: &'a Pki,
    /// The only suite that a foreign peer offers or accepts.
    pub suite: Suite,
    /// With this suite instead, both ends have the key of [`crate::shared_keys`] and nobody has a
    /// certificate.
    pub shared_key: Option<SharedSuite>,
    /// The groups of both peers, preferred first.
    pub groups: Vec<Group>,
    /// The server's certificate.
    pub server_key: KeyType,
    /// The client's certificate; if there is one, the server requires it.
    pub client_key: Option<KeyType>,
    /// The length of both certificate chains.
    pub chain: Chain,
    /// Where the server listens, an IPv6 address in brackets. The stacks of [`foreign`] support
    /// 127.0.0.1 only, and GnuTLS's server listens everywhere.
    pub listen: &'static str,
    /// Where the client connects: a name or an address of the same form.
    pub connect: &'static str,
    /// The MTU of both peers in bytes, if not each program's default.
    pub mtu: Option<u16>,
    /// Whether our own program is restricted to the suite as well.
    pub pin_our_suite: bool,
    /// What our own server does with data. Foreign ones do what they can.
    pub service: Service,
    /// What carries the records.
    pub transport: Transport,
    /// Whether tickets are used; without them sessions are resumed by ID.
    pub tickets: bool,
    /// Whether the server lets clients renegotiate.
    pub renegotiation: bool,
    /// Arguments of this case alone, for the client.
    pub client_arguments: Vec<String>,
    /// The same for the server.
    pub server_arguments: Vec<String>,
}

impl Settings<'_> {
    /// What the server shows.
    #[must_use]
    pub fn server_credential(&self) -> Credential {
        self.pki.server_with(self.server_key, self.chain)
    }

    /// What the client shows, if it shows anything.
    #[must_use]
    pub fn client_credential(&self) -> Option<Credential> {
        let key_type = self.client_key?;
        Some(self.pki.client_with(key_type, self.chain))
    }
}

/// What a program's output says about its completed handshake. `None` if it says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handshake {
    /// The negotiated suite.
    pub suite: Option<Suite>,
    /// The negotiated group.
    pub group: Option<Group>,
    /// Whether the client showed a certificate.
    pub client_certificate: Option<bool>,
    /// The offset at which application data begins in the standard output.
    pub data_offset: usize,
}

/// A program that can play both roles.
pub trait Peer: Sync {
    /// The name in case names.
    fn name(&self) -> &'static str;

    /// The command that starts a server on a free port of the loopback address. A program that
    /// cannot choose a port is given `port`.
    ///
    /// # Errors
    ///
    /// When the program is missing.
    fn server_command(&self, settings: &Settings<'_>, port: u16) -> Outcome<Command>;

    /// The command that starts a client of `server`.
    ///
    /// # Errors
    ///
    /// When the program is missing.
    fn client_command(&self, settings: &Settings<'_>, server: SocketAddr) -> Outcome<Command>;

    /// The address at which the server listens, or that `port` is taken, once its output says so.
    fn listening(&self, transcript: &Transcript, port: u16) -> Option<Listening>;

    /// What the server's output says about its handshake, once that is complete.
    fn server_handshake(&self, transcript: &Transcript) -> Option<Handshake>;

    /// What the client's output says about its handshake, once that is complete.
    fn client_handshake(&self, transcript: &Transcript) -> Option<Handshake>;

    /// Whether the server's output shows that the peer has closed. `None` if it never shows that.
    fn server_saw_close(&self, transcript: &Transcript) -> Option<bool>;

    /// Lines that the program mixes with the application data on its standard output.
    fn chatter(&self) -> &'static [&'static str] {
        &[]
    }

    /// Beginnings of such lines; test lines begin differently.
    fn chatter_beginnings(&self) -> &'static [&'static str] {
        &[]
    }

    /// What this program's server does with data under `settings`.
    fn service(&self, settings: &Settings<'_>) -> Service;

    /// Whether the server's output reports completed handshakes at all.
    fn server_reports_handshake(&self) -> bool;
}

/// A started program together with what can be read from its output.
pub struct Endpoint {
    peer: &'static dyn Peer,
    role: Role,
    /// The program.
    pub process: Process,
}

impl Implementation {
    /// The program with this name.
    #[must_use]
    pub fn peer(self) -> &'static dyn Peer {
        match self {
            Self::Sealgram => &Sealgram,
            Self::OpenSsl => &OpenSsl,
            Self::GnuTls => &GnuTls,
            Self::Erlang => &foreign::ERLANG,
            Self::Botan => &foreign::BOTAN,
            Self::MbedTls => &foreign::MBEDTLS,
            Self::MbedTlsWithoutCookies => &foreign::MBEDTLS_WITHOUT_COOKIES,
            Self::WebRtc => &foreign::WEBRTC,
            Self::WolfSsl => &foreign::WOLFSSL,
            Self::OpenSsl36 => &foreign::OPENSSL36,
            Self::Dimpl => &foreign::DIMPL,
        }
    }

    /// Whether it is one of [`foreign`].
    #[must_use]
    pub const fn is_behind_a_program_of_ours(self) -> bool {
        !matches!(self, Self::Sealgram | Self::OpenSsl | Self::GnuTls)
    }

    /// Whether its program has the command line of `peers/frame`, and so is told more than others.
    #[must_use]
    pub const fn is_framed(self) -> bool {
        matches!(self, Self::WolfSsl | Self::OpenSsl36 | Self::Dimpl)
    }

    /// The name in case names.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.peer().name()
    }

    /// Starts a server and waits until it listens. Returns its address as well.
    ///
    /// # Errors
    ///
    /// When it does not start, or reports nothing before `deadline`.
    pub fn start_server(
        self,
        settings: &Settings<'_>,
        deadline: Deadline,
    ) -> Outcome<(Endpoint, SocketAddr)> {
        let peer = self.peer();
        let (process, port) = port::start(
            &format!("{} server", peer.name()),
            port::next_free_port,
            |port| peer.server_command(settings, port),
            |transcript, port| peer.listening(transcript, port),
            deadline,
        )?;
        let endpoint = Endpoint {
            peer,
            role: Role::Server,
            process,
        };
        Ok((endpoint, SocketAddr::from(([127, 0, 0, 1], port))))
    }

    /// Starts a client of `server`.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn start_client(self, settings: &Settings<'_>, server: SocketAddr) -> Outcome<Endpoint> {
        let peer = self.peer();
        let command = peer.client_command(settings, server)?;
        Ok(Endpoint {
            peer,
            role: Role::Client,
            process: Process::spawn(&format!("{} client", peer.name()), command)?,
        })
    }
}

impl Endpoint {
    /// Waits for the end of this side's handshake.
    ///
    /// # Errors
    ///
    /// When it does not come before `deadline`.
    pub fn wait_for_handshake(&self, deadline: Deadline) -> Outcome<Handshake> {
        self.process.wait_for(
            "the end of its handshake",
            deadline,
            |transcript| match self.role {
                Role::Client => self.peer.client_handshake(transcript),
                Role::Server => self.peer.server_handshake(transcript),
            },
        )
    }

    /// Waits until this server reports that its peer has closed, if it ever reports that.
    ///
    /// # Errors
    ///
    /// When it could report that and does not before `deadline`.
    pub fn wait_for_peer_close(&self, deadline: Deadline) -> Outcome<()> {
        self.process
            .wait_for("its peer's close_notify", deadline, |transcript| {
                self.peer
                    .server_saw_close(transcript)
                    .unwrap_or(true)
                    .then_some(())
            })
    }

    /// The application data in `stdout`, which begins at `offset`: everything but the program's own
    /// lines.
    #[must_use]
    pub fn application_data(&self, stdout: &[u8], offset: usize) -> Vec<u8> {
        stdout
            .get(offset..)
            .unwrap_or_default()
            .split_inclusive(|&byte| byte == b'\n')
            .filter(|line| !self.is_chatter(line))
            .collect::<Vec<_>>()
            .concat()
    }

    fn is_chatter(&self, line: &[u8]) -> bool {
        let whole = |chatter: &&str| line.strip_suffix(b"\n") == Some(chatter.as_bytes());
        let begun = |chatter: &&str| line.starts_with(chatter.as_bytes());
        self.peer.chatter().iter().any(whole) || self.peer.chatter_beginnings().iter().any(begun)
    }

    /// What this server does with data.
    #[must_use]
    pub fn service(&self, settings: &Settings<'_>) -> Service {
        self.peer.service(settings)
    }

    /// Whether this side's output reports a completed handshake.
    #[must_use]
    pub fn reports_handshake(&self) -> bool {
        match self.role {
            Role::Client => true,
            Role::Server => self.peer.server_reports_handshake(),
        }
    }
}
