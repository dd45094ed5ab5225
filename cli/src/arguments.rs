//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use sealgram::{CipherSuite, NamedGroup};
use std::net::SocketAddr;
use std::path::PathBuf;

/// DTLS and TLS, 1.2 and 1.3, from the command line.
///
/// Data goes to standard output; events go to standard error, one key=value line each.
#[derive(Debug, Parser)]
#[command(name = "sealgram", version, max_term_width = 100)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Show what the library does on standard error; twice for every record.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve many clients, on one UDP socket or over TCP.
    Server(ServerArguments),
    /// Connect to a server: a line of standard input is a datagram (or a piece of the stream), what comes back goes to
    /// standard output. A line that is only `R` renegotiates, and `r` does so by resuming the session; at version 1.3
    /// `k` replaces the keys that this end sends with, and `K` asks the server for the same.
    Client(ClientArguments),
    /// Show and check everything at once: a server, a client and a lossy link between them, on this machine.
    Demo(DemoArguments),
}

/// `sealgram server`.
#[derive(Debug, Args)]
pub(crate) struct ServerArguments {
    /// The address and port to listen on; port 0 lets the system choose.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: SocketAddr,
    #[command(flatten)]
    pub(crate) credential: CredentialArguments,
    /// Make an ECDSA certificate for localhost, 127.0.0.1, ::1 and the listening address.
    #[arg(long, conflicts_with = "cert")]
    pub(crate) self_signed: bool,
    /// Write the self-signed certificate to this file as PEM, for the client's --ca.
    #[arg(long, value_name = "FILE", requires = "self_signed")]
    pub(crate) cert_out: Option<PathBuf>,
    /// The roots that clients' certificates must end at, as PEM.
    #[arg(long, value_name = "FILE")]
    pub(crate) client_ca: Option<PathBuf>,
    /// Whether clients must show a certificate [default: required with --client-ca, else none].
    #[arg(long, value_name = "POLICY")]
    pub(crate) client_auth: Option<ClientAuth>,
    /// Send everything back to its sender; this is the default.
    #[arg(long, conflicts_with = "stdio")]
    pub(crate) echo: bool,
    /// Received data goes to standard output; each line of standard input goes to every client. A line that is only
    /// `R` or `r` asks every client to renegotiate instead; at version 1.3 `k` updates the keys, and `K` asks for the same.
    #[arg(long)]
    pub(crate) stdio: bool,
    /// Let clients renegotiate of their own accord.
    #[arg(long)]
    pub(crate) allow_client_renegotiation: bool,
    #[command(flatten)]
    pub(crate) common: CommonArguments,
}

/// Whether clients must show a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum ClientAuth {
    /// None is asked for.
    None,
    /// One is asked for; a client without one is served.
    Optional,
    /// A client without an accepted one is refused.
    Required,
}

/// A version of the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Version {
    /// DTLS 1.2 or TLS 1.2.
    #[value(name = "1.2")]
    V12,
    /// DTLS 1.3 or TLS 1.3.
    #[value(name = "1.3")]
    V13,
}

/// `sealgram client`.
#[derive(Debug, Args)]
pub(crate) struct ClientArguments {
    /// The server: a name or an IP address, and a port.
    #[arg(value_name = "HOST:PORT")]
    pub(crate) server: String,
    /// The name that the server's certificate must hold [default: the host].
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The roots that the server's certificate must end at, or that certificate itself, as PEM.
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub(crate) ca: Option<PathBuf>,
    /// Write the session to this file, as secret as a private key, whenever a handshake is complete.
    #[arg(long, value_name = "FILE")]
    pub(crate) session_out: Option<PathBuf>,
    /// Offer the session in this file to the server.
    #[arg(long, value_name = "FILE")]
    pub(crate) session_in: Option<PathBuf>,
    /// Accept any certificate: whoever can alter the traffic can read everything. For tests only.
    #[arg(long)]
    pub(crate) insecure: bool,
    #[command(flatten)]
    pub(crate) credential: CredentialArguments,
    #[command(flatten)]
    pub(crate) common: CommonArguments,
}

/// What this end proves its identity with.
#[derive(Debug, Args)]
pub(crate) struct CredentialArguments {
    /// This end's certificate, then its issuers, as PEM.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// The certificate's private key, as PEM.
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
}

/// What servers and clients set alike.
#[derive(Debug, Args)]
pub(crate) struct CommonArguments {
    /// Speak TLS over TCP instead of DTLS over UDP.
    #[arg(long)]
    pub(crate) tls: bool,
    /// The versions to speak: 1.2, 1.3 [default: both].
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub(crate) versions: Vec<Version>,
    /// The largest datagram to send, in bytes of UDP payload [default: 1400].
    #[arg(long, value_name = "BYTES", conflicts_with = "tls")]
    pub(crate) mtu: Option<usize>,
    /// The cipher suites to allow by their IANA names, the preferred ones first; a version without any is not spoken
    /// [default: all].
    #[arg(long, value_name = "A,B", value_delimiter = ',', value_parser = parse_suite)]
    pub(crate) suites: Vec<CipherSuite>,
    /// The key exchange groups to allow: X25519, P-256, P-384, the preferred ones first [default: all].
    #[arg(long, value_name = "A,B", value_delimiter = ',', value_parser = parse_group)]
    pub(crate) groups: Vec<NamedGroup>,
    /// The application protocols to offer, the preferred ones first [default: none].
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub(crate) alpn: Vec<String>,
    /// After how many seconds a handshake is given up [default: 120].
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: Option<u64>,
    /// Replace the keys after this many bytes of data, received and sent together; at least 512 [default: never].
    #[arg(long, value_name = "BYTES")]
    pub(crate) rekey_bytes: Option<u64>,
    /// Replace the keys after this many seconds, at least 60, when data is sent or received [default: never].
    #[arg(long, value_name = "SECONDS")]
    pub(crate) rekey_interval: Option<u64>,
    /// Neither issue nor take session tickets; sessions are resumed by session ID then, and at version 1.3 not at all.
    #[arg(long)]
    pub(crate) no_tickets: bool,
    /// Append the secrets of each session to the file that SSLKEYLOGFILE names. For debugging only.
    #[arg(long)]
    pub(crate) key_log: bool,
}

/// `sealgram demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// How many datagrams go each way.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) datagrams: u32,
    /// How much of the handshake the link loses, in percent of its datagrams.
    #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u8).range(0..=50))]
    pub(crate) loss: u8,
    /// Show no progress bar.
    #[arg(long)]
    pub(crate) quiet: bool,
}

fn parse_suite(text: &str) -> Result<CipherSuite, String> {
    SUITES
        .into_iter()
        .find(|suite| {
            suite
                .name()
                .is_some_and(|name| name.eq_ignore_ascii_case(text))
        })
        .ok_or_else(|| {
            format!(
                "choose from {}",
                SUITES.map(|suite| suite.to_string()).join(", ")
            )
        })
}

fn parse_group(text: &str) -> Result<NamedGroup, String> {
    match text.to_ascii_lowercase().as_str() {
        "x25519" => Ok(NamedGroup::X25519),
        "p-256" | "p256" | "secp256r1" => Ok(NamedGroup::SECP256R1),
        "p-384" | "p384" | "secp384r1" => Ok(NamedGroup::SECP384R1),
        _ => Err("choose from X25519, P-256, P-384".into()),
    }
}

/// Every suite that the library has.
const SUITES: [CipherSuite; 9] = [
    CipherSuite::TLS_AES_128_GCM_SHA256,
    CipherSuite::TLS_AES_256_GCM_SHA384,
    CipherSuite::TLS_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn suites_and_groups_are_known_by_any_spelling() {
        assert_eq!(
            parse_suite("tls_ecdhe_rsa_with_aes_128_gcm_sha256"),
            Ok(CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256)
        );
        assert!(
            parse_suite("TLS_RSA_WITH_NULL_MD5")
                .unwrap_err()
                .contains("CHACHA20")
        );
        assert_eq!(parse_group("p-256"), Ok(NamedGroup::SECP256R1));
        assert_eq!(parse_group("SECP384R1"), Ok(NamedGroup::SECP384R1));
        assert!(parse_group("X448").is_err());
    }
}
