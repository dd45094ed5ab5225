//! Version 1.3: DTLS with the stacks that are available as crates, TLS with OpenSSL, GnuTLS and
//! rustls. What is tried, and how one case runs.
//!
//! The programs for DTLS, and those of OpenSSL 3.6 and rustls, are those of `interop/peers`, one
//! for each stack, all with the same command line and the same lines. Our server exchanges lines of
//! its standard input and output with its clients; a foreign server sends everything back, except
//! that of Debian's OpenSSL, which sends lines of its own.

mod ends;
mod programs;
mod roles;

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use crate::clock::Deadline;
use crate::failure::Outcome;
use crate::loss::Loss;
use crate::pki::{Chain, Pki};
pub use programs::program;

/// A foreign stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stack {
    /// BoringSSL.
    Boring,
    /// wolfSSL.
    Wolf,
    /// dimpl.
    Dimpl,
    /// OpenSSL, Debian's program, over TCP.
    OpenSsl,
    /// OpenSSL 3.6, as a crate, over TCP.
    OpenSsl36,
    /// rustls over AWS-LC, over TCP.
    Rustls,
    /// GnuTLS, over TCP.
    GnuTls,
    /// Mbed TLS 3.5, over TCP.
    Mbed,
}

/// The role of our program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Our client, their server.
    Client,
    /// Our server, their client.
    Server,
}

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A handshake, data, and closing.
    Plain,
    /// The client's first hello has no share of the server's only group.
    OtherGroup,
    /// The server requires a client certificate.
    ClientCertificate,
    /// As `ClientCertificate`, and both ends show a chain of this length, unless the stack supports
    /// none.
    Chain(Chain),
    /// The client connects again with a ticket.
    Resumed,
    /// We update our keys, with or without a request for theirs.
    OurUpdate {
        /// Whether theirs are asked for.
        request: bool,
    },
    /// They update their keys.
    TheirUpdate {
        /// Whether ours are asked for.
        request: bool,
    },
    /// AES-128-CCM is the only cipher of both ends.
    Ccm {
        /// With tags of eight bytes.
        short: bool,
    },
    /// Both ends share a key and show no certificate; BoringSSL imports it (RFC 9258).
    SharedKey {
        /// Whether the client's first hello has no share of the server's only group.
        other_group: bool,
    },
    /// As `SharedKey`, without an ephemeral exchange (psk_ke), which both ends prefer or insist on.
    SharedKeyAlone,
    /// BoringSSL's own hello, with an ML-KEM share that fills two datagrams.
    DefaultHello,
    /// X25519MLKEM768, whose share the client's first hello has.
    Hybrid,
    /// The server has no other group, and the client prefers X25519.
    HybridRequested,
}

impl Kind {
    /// Whether the server requires a certificate.
    const fn demands_certificate(self) -> bool {
        matches!(self, Self::ClientCertificate | Self::Chain(_))
    }

    /// The only suite of both ends, if the case says which.
    const fn suite(self) -> Option<&'static str> {
        match self {
            Self::Ccm { short: false } => Some("TLS_AES_128_CCM_SHA256"),
            Self::Ccm { short: true } => Some("TLS_AES_128_CCM_8_SHA256"),
            _ => None,
        }
    }

    /// The group that must be agreed on.
    const fn group(self) -> Option<&'static str> {
        match self {
            Self::OtherGroup | Self::SharedKey { other_group: true } => Some("secp384r1"),
            Self::DefaultHello | Self::Hybrid | Self::HybridRequested => Some("X25519MLKEM768"),
            _ => None,
        }
    }

    /// Whether the client's first hello has no share of the server's only group.
    const fn retries(self) -> bool {
        matches!(
            self,
            Self::OtherGroup | Self::SharedKey { other_group: true }
        )
    }

    /// Whether both ends share a key.
    const fn shares_key(self) -> bool {
        matches!(self, Self::SharedKey { .. } | Self::SharedKeyAlone)
    }

    /// How long the chains are.
    const fn chain(self) -> Chain {
        match self {
            Self::Chain(chain) => chain,
            _ => Chain::Leaf,
        }
    }
}

/// One case.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// The peer.
    pub stack: Stack,
    /// Our end.
    pub role: Role,
    /// What is tried.
    pub kind: Kind,
    /// What the path loses.
    pub loss: Loss,
}

impl Display for Case {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            stack,
            role,
            kind,
            loss,
        } = self;
        write!(formatter, "{stack:?}/our-{role:?}/{kind:?}")?;
        if loss.percent > 0 {
            write!(formatter, "/loss-{}-seed-{}", loss.percent, loss.seed)?;
        }
        Ok(())
    }
}

impl Stack {
    /// Whether it speaks TLS here.
    const fn is_tls(self) -> bool {
        matches!(
            self,
            Self::OpenSsl | Self::OpenSsl36 | Self::Rustls | Self::GnuTls | Self::Mbed
        )
    }

    const fn program(self) -> &'static str {
        match self {
            Self::Boring => "boring-peer",
            Self::Wolf => "wolfssl-peer",
            Self::Dimpl => "dimpl-peer",
            Self::OpenSsl => "openssl",
            Self::OpenSsl36 => "openssl-peer",
            Self::Rustls => "rustls-peer",
            Self::GnuTls => "gnutls-serv",
            Self::Mbed => "mbedtls3-peer",
        }
    }
}

const KINDS: [Kind; 18] = [
    Kind::Plain,
    Kind::OtherGroup,
    Kind::ClientCertificate,
    Kind::Chain(Chain::Long),
    Kind::Chain(Chain::Huge),
    Kind::Resumed,
    Kind::OurUpdate { request: false },
    Kind::OurUpdate { request: true },
    Kind::TheirUpdate { request: false },
    Kind::TheirUpdate { request: true },
    Kind::Ccm { short: false },
    Kind::Ccm { short: true },
    Kind::SharedKey { other_group: false },
    Kind::SharedKey { other_group: true },
    Kind::SharedKeyAlone,
    Kind::DefaultHello,
    Kind::Hybrid,
    Kind::HybridRequested,
];

/// The reason why a case does not exist for its stack, if it does not.
#[must_use]
pub const fn empty(stack: Stack, role: Role, kind: Kind) -> Option<&'static str> {
    match (stack, role, kind) {
        (Stack::Wolf, _, Kind::TheirUpdate { request: false }) => {
            Some("wolfSSL_update_keys always asks for the peer's keys too")
        }
        (Stack::Dimpl, _, Kind::TheirUpdate { .. }) => {
            Some("dimpl updates keys at the limits of its algorithms, never by call")
        }
        (Stack::Dimpl, _, Kind::SharedKey { .. } | Kind::SharedKeyAlone) => {
            Some("dimpl has pre-shared keys at 1.2 alone (`shared_keys`)")
        }
        (Stack::GnuTls, Role::Client, Kind::TheirUpdate { .. }) => {
            Some("gnutls-serv has no command for it")
        }
        (Stack::GnuTls, Role::Server, Kind::Resumed) => {
            Some("gnutls-cli connects again without waiting for a ticket")
        }
        (Stack::Boring, _, Kind::Ccm { .. }) => Some("BoringSSL has no CCM suites"),
        (Stack::Rustls, _, Kind::Ccm { .. }) => Some("rustls has no CCM suites"),
        (Stack::Boring, _, Kind::SharedKeyAlone) => Some("BoringSSL has no psk_ke"),
        (Stack::Rustls, _, Kind::SharedKey { .. } | Kind::SharedKeyAlone) => {
            Some("rustls has no pre-shared keys but tickets")
        }
        (Stack::Dimpl, _, Kind::Ccm { .. }) => {
            Some("dimpl has CCM_8 at version 1.2 alone, with a pre-shared key (`shared_keys`)")
        }
        (Stack::Boring, Role::Server, Kind::DefaultHello) => None,
        (_, _, Kind::DefaultHello) => Some("the hello of BoringSSL's client"),
        (Stack::Rustls, _, Kind::TheirUpdate { request: false }) => {
            Some("rustls always asks for the peer's keys too")
        }
        (Stack::Mbed, _, Kind::OtherGroup | Kind::SharedKey { other_group: true }) => {
            Some("its program in peers/ is not told groups")
        }
        (Stack::Mbed, _, Kind::Chain(Chain::Huge)) => Some("its messages have 16 kB at most"),
        (Stack::Mbed, _, Kind::Resumed) => Some("its program makes one connection"),
        (Stack::Mbed, _, Kind::OurUpdate { .. } | Kind::TheirUpdate { .. }) => {
            Some("version 3.5 has no key update")
        }
        (
            Stack::Dimpl | Stack::OpenSsl | Stack::GnuTls | Stack::Mbed,
            _,
            Kind::Hybrid | Kind::HybridRequested,
        ) => Some("it has no ML-KEM"),
        _ => None,
    }
}

/// What their server says in a case that it refuses, and why; the case is tried all the same.
const fn refusal(case: &Case) -> Option<(&'static str, &'static str)> {
    match (case.stack, case.role, case.kind.shares_key()) {
        (Stack::Mbed, Role::Client, true) => Some((
            "error -0x6e00 the handshake",
            "its server finds a wrong binder, of its own client too",
        )),
        _ => None,
    }
}

/// Every case without loss; the empty ones are printed with their reasons.
#[must_use]
pub fn all(stack: Stack) -> Vec<Case> {
    let mut cases = Vec::new();
    for role in [Role::Client, Role::Server] {
        for kind in KINDS {
            let loss = Loss::NONE;
            let case = Case {
                stack,
                role,
                kind,
                loss,
            };
            match empty(stack, role, kind) {
                Some(reason) => println!("empty cell {case}: {reason}"),
                None => {
                    if let Some((_, reason)) = refusal(&case) {
                        println!("empty cell, but tried {case}: {reason}");
                    }
                    cases.push(case);
                }
            }
        }
    }
    cases
}

/// The cases over a path that loses a tenth, with this choice of losses.
#[must_use]
pub fn lossy(stack: Stack, seed: u64) -> Vec<Case> {
    all(stack)
        .into_iter()
        // The proxy connects two addresses; a client that connects again has a new one.
        .filter(|case| !(case.kind == Kind::Resumed && case.role == Role::Server))
        // dimpl has room for thirty waiting records, and then ends with "receive queue full".
        .filter(|case| !(case.stack == Stack::Dimpl && case.kind == Kind::Chain(Chain::Huge)))
        .map(|case| Case {
            loss: Loss::new(10, seed),
            ..case
        })
        .collect()
}

/// Runs a case.
///
/// # Errors
///
/// When any check fails; the error has the output of both programs.
pub fn run(case: &Case, pki: &Pki) -> Outcome<String> {
    let deadline = Deadline::after(LIMIT);
    match case.role {
        Role::Client => roles::as_client(case, pki, deadline),
        Role::Server => roles::as_server(case, pki, deadline),
    }?;
    Ok(String::new())
}

/// How long a case may take. With losses the handshake alone can take half of that.
const LIMIT: Duration = Duration::from_secs(90);
