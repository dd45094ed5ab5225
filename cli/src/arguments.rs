//! The command line.

mod tunnel;

pub(crate) use tunnel::{
    FlowArguments, StatusTarget, TunnelArguments, TunnelClientArguments, TunnelEnd,
    TunnelServerArguments,
};

use crate::raw_keys::RawKeyArguments;
use crate::shared_keys::SharedKeyArguments;
use clap::{Args, Parser, Subcommand, ValueEnum};
use sealgram::identity::Fingerprint;
use sealgram::{CipherSuite, MaxFragmentLength, NamedGroup, SrtpProfile};
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// DTLS and TLS, 1.2 and 1.3, from the command line.
///
/// Data goes to standard output; events go to standard error, one key=value line each. Counters are
/// reported at the end and, on Unix, on SIGUSR1; SIGINT and SIGTERM close the association with
/// every peer.
#[derive(Debug, Parser)]
#[command(name = "sealgram", version, max_term_width = 100)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Show on standard error what the library does; give it twice for every record.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve many clients, on one UDP socket or over TCP.
    Server(ServerArguments),
    /// Connect to a server: a line of standard input is a datagram (or a piece of the stream), what
    /// comes back goes to standard output. A line that is only `R` renegotiates, and `r` does so
    /// with the session that is in force; at version 1.3 `k` replaces the keys that this end sends
    /// with, and `K` asks the server for the same.
    Client(ClientArguments),
    /// Show and check everything at once: a server, a client and a lossy link between them, all on
    /// this machine.
    Demo(DemoArguments),
    /// Measure handshakes, throughput, loss and latency: on this machine alone, or between a client
    /// and a server of this command on two machines.
    Bench(Box<BenchArguments>),
    /// Secure a UDP service from both ends, without touching it: a tunnel client takes plain
    /// datagrams on the one side, a tunnel server gives them to the service on the other.
    Tunnel(Box<TunnelArguments>),
}

/// `sealgram server`.
#[derive(Debug, Args)]
pub(crate) struct ServerArguments {
    #[command(flatten)]
    pub(crate) listener: ListenerArguments,
    /// Whether clients must show a certificate [default: required with --client-ca, otherwise
    /// none].
    #[arg(long, value_name = "POLICY")]
    pub(crate) client_auth: Option<ClientAuth>,
    /// Send everything back to its sender; this is the default.
    #[arg(long, conflicts_with = "stdio")]
    pub(crate) echo: bool,
    /// Received data goes to standard output; each line of standard input goes to every client. A
    /// line that is only `R` or `r` asks every client to renegotiate instead, and `C` asks every
    /// client to show a certificate in doing so, which --client-ca must accept, even if
    /// --client-auth is none at first; at version 1.3 `k` updates the keys, and `K` asks for the
    /// same.
    #[arg(long)]
    pub(crate) stdio: bool,
    /// Let clients renegotiate of their own accord, each with at least this many seconds between
    /// two handshakes: 10 if none are given. With 0 a single client can keep the server busy.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, value_parser = whole::<u64>("seconds", 0..=86_400))]
    pub(crate) allow_client_renegotiation: Option<Option<u64>>,
    #[command(flatten)]
    pub(crate) limits: LimitArguments,
    /// Serve on this many threads, each with a socket of its own on the one port and with the
    /// limits of a whole server. Other servers of this user can have the port too, if they are
    /// started with this option. Only Linux deals the clients out among them.
    #[arg(long, value_name = "N", conflicts_with_all = ["tls", "stdio"], value_parser = parse_threads)]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Stand in for all servers that have the same secret, the 32 bytes in this file: clients
    /// resume at each of them, also after a restart. `openssl rand -out FILE 32` makes one; keep it
    /// as secret as a private key.
    #[arg(long, value_name = "FILE")]
    pub(crate) fleet_secret: Option<PathBuf>,
    /// The number of this server among those that have the same secret, which stands in connection
    /// IDs of 8 bytes and more: whoever deals out datagrams finds it there [default: 0]. Each
    /// thread has one, and this is the first.
    #[arg(long, value_name = "N", requires = "fleet_secret", conflicts_with = "tls", value_parser = whole::<u16>("members", 0..=65_535))]
    pub(crate) member: Option<u16>,
    #[command(flatten)]
    pub(crate) common: CommonArguments,
}

/// Where a server listens, and who it is.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ListenerArguments {
    /// The address or name and the port to listen on; port 0 lets the system choose. If a name has
    /// several addresses, the first one that belongs to this machine is used.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: String,
    #[command(flatten)]
    pub(crate) credential: CredentialArguments,
    /// Make an ECDSA certificate for localhost, 127.0.0.1, ::1 and the host of --listen.
    #[arg(long, conflicts_with = "cert")]
    pub(crate) self_signed: bool,
    /// Write the self-signed certificate to this file as PEM, for the client's --ca.
    #[arg(
        long,
        value_name = "FILE",
        requires = "self_signed",
        conflicts_with = "cert"
    )]
    pub(crate) cert_out: Option<PathBuf>,
    /// The roots of clients' certificates, as PEM.
    #[arg(long, value_name = "FILE")]
    pub(crate) client_ca: Option<PathBuf>,
}

/// How many peers a server has at most.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct LimitArguments {
    /// How many peers to serve at most over UDP [default: 131072].
    #[arg(long, value_name = "N", conflicts_with = "tls", value_parser = whole::<u64>("peers", 1..=1 << 24))]
    pub(crate) max_associations: Option<u64>,
    /// How many handshakes to have under way at most over UDP [default: 1024].
    #[arg(long, value_name = "N", conflicts_with = "tls", value_parser = whole::<u64>("handshakes", 1..=1 << 24))]
    pub(crate) max_half_open: Option<u64>,
}

/// Whom a client takes for its server.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct TrustArguments {
    /// The name that the server's certificate must have [default: the host].
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The roots of the server's certificate, or that certificate itself, as PEM [default: the
    /// roots that this system trusts].
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub(crate) ca: Option<PathBuf>,
    /// Accept the server whose certificate has this SHA-256 fingerprint, whatever its name, dates
    /// and issuer; may be given several times.
    #[arg(long, value_name = "HEX", conflicts_with_all = ["ca", "insecure"], value_parser = parse_fingerprint)]
    pub(crate) fingerprint: Vec<Fingerprint>,
    /// Accept any certificate: anybody who can alter the traffic can read everything. For tests
    /// only.
    #[arg(long)]
    pub(crate) insecure: bool,
}

/// Whether clients must show a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum ClientAuth {
    /// None is requested.
    None,
    /// One is requested; a client without one is served.
    Optional,
    /// A client without an acceptable one is refused.
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

/// What becomes of data that is sent during a renegotiation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum DataMeanwhile {
    /// It waits for the new keys; OpenSSL and LibreSSL fail if data comes then.
    Hold,
    /// It flows on under the old keys, for peers that accept it.
    Flow,
}

/// Whether a peer is followed whose address changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Migrate {
    /// It is not.
    Never,
    /// Once it has answered at the new address.
    Validated,
    /// Once it has answered there, and does not answer at the old address any more.
    Enhanced,
    /// At once, wherever its newest datagram came from; anybody on the path can then lead what is
    /// sent to another place.
    Newest,
}

/// `sealgram client`.
#[derive(Debug, Args)]
pub(crate) struct ClientArguments {
    /// The server: a name or an IP address, and a port.
    #[arg(value_name = "HOST:PORT")]
    pub(crate) server: String,
    #[command(flatten)]
    pub(crate) trust: TrustArguments,
    /// Write the session to this file whenever a handshake is complete; keep it as secret as a
    /// private key.
    #[arg(long, value_name = "FILE")]
    pub(crate) session_out: Option<PathBuf>,
    /// Offer the session in this file to the server.
    #[arg(long, value_name = "FILE")]
    pub(crate) session_in: Option<PathBuf>,
    /// Ask old servers, which do not know the limit of --record-limit, for records of at most this
    /// many bytes in both directions (max_fragment_length, RFC 6066): 512, 1024, 2048 or 4096
    /// [default: it is not asked for].
    #[arg(long, value_name = "BYTES", value_parser = parse_fragment_length)]
    pub(crate) max_fragment_length: Option<MaxFragmentLength>,
    /// Refuse renegotiations that the server asks for.
    #[arg(long)]
    pub(crate) refuse_hello_requests: bool,
    /// Leave the cookie of renegotiations empty, for a DTLS server of Mbed TLS that is not
    /// recognised by the form of its cookie because its clock is wrong. By default a cookie of any
    /// other form is repeated, as servers of OpenSSL require.
    #[arg(long, conflicts_with = "tls")]
    pub(crate) empty_renegotiation_cookie: bool,
    #[command(flatten)]
    pub(crate) credential: CredentialArguments,
    #[command(flatten)]
    pub(crate) common: CommonArguments,
}

/// The credential with which this end proves its identity.
#[derive(Clone, Default, Debug, Args)]
pub(crate) struct CredentialArguments {
    /// This end's certificate, then its issuers, as PEM.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// The certificate's private key, as PEM.
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
}

/// Options of both servers and clients.
#[derive(Clone, Debug, Args)]
pub(crate) struct CommonArguments {
    /// Speak TLS over TCP instead of DTLS over UDP.
    #[arg(long)]
    pub(crate) tls: bool,
    /// The versions to speak: 1.2, 1.3 [default: both].
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub(crate) versions: Vec<Version>,
    /// The largest datagram to send, in bytes of UDP payload [default: 1400].
    #[arg(long, value_name = "BYTES", conflicts_with = "tls", value_parser = whole::<u64>("bytes", 128..=65_507))]
    pub(crate) mtu: Option<u64>,
    /// The most data that the peer may put into a record, in bytes (record_size_limit, RFC 8449)
    /// [default: 16384].
    #[arg(long, value_name = "BYTES", value_parser = whole::<u64>("bytes", 64..=16_384))]
    pub(crate) record_limit: Option<u64>,
    /// Use connection IDs (RFC 9146, RFC 9147), by which a peer is recognised whose address
    /// changes, if the other end does: the peer puts so many bytes into each record, 4 to 20; with
    /// 0 only this end does, if the peer wants it [default: none are used].
    #[arg(long, value_name = "BYTES", conflicts_with = "tls", value_parser = parse_connection_id_length)]
    pub(crate) cid: Option<usize>,
    /// Announce the same connection ID in each renegotiation of DTLS 1.2, for peers that end when
    /// it changes, as wolfSSL does; whoever has seen it once recognises the peer for ever.
    #[arg(long, requires = "cid", conflicts_with = "tls")]
    pub(crate) keep_cid: bool,
    /// Whether a peer with a connection ID is followed whose address changes [default: validated].
    #[arg(long, value_name = "WHEN", requires = "cid", conflicts_with = "tls")]
    pub(crate) migrate: Option<Migrate>,
    /// The cipher suites to allow, by their IANA names and in order of preference; a version for
    /// which none is given is not spoken [default: all but those that are weaker: those of CCM_8,
    /// whose tags are short, and TLS_PSK_…, which are not forward secret].
    #[arg(long, visible_alias = "ciphers", value_name = "A,B", value_delimiter = ',', value_parser = parse_suite)]
    pub(crate) suites: Vec<CipherSuite>,
    /// The key exchange groups to allow, by their IANA names and in order of preference:
    /// X25519MLKEM768 (version 1.3 only), x25519, secp256r1, secp384r1 [default: all].
    #[arg(long, value_name = "A,B", value_delimiter = ',', value_parser = parse_group)]
    pub(crate) groups: Vec<NamedGroup>,
    /// Send the share of X25519MLKEM768 with a client's first hello, which then takes two
    /// datagrams; some servers and firewalls do not take that [default: only when the server asks
    /// for it; with --tls always].
    #[arg(long, conflicts_with = "tls")]
    pub(crate) hybrid_share: bool,
    /// The application protocols (ALPN) to offer, in order of preference [default: none].
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub(crate) alpn: Vec<String>,
    /// The SRTP protection profiles to offer (use_srtp, RFC 5764), by their IANA names and in order
    /// of preference [default: none].
    #[arg(long, value_name = "A,B", value_delimiter = ',', conflicts_with = "tls", value_parser = parse_profile)]
    pub(crate) srtp: Vec<SrtpProfile>,
    /// After how many seconds a handshake is given up [default: 120; a server with --tls: 10 for
    /// the first handshake].
    #[arg(long, value_name = "SECONDS", value_parser = whole::<u64>("seconds", 1..=86_400))]
    pub(crate) timeout: Option<u64>,
    /// After how many seconds without traffic an association or a connection ends [default: 900].
    #[arg(long, value_name = "SECONDS", value_parser = whole::<u64>("seconds", 1..=31_536_000))]
    pub(crate) idle_timeout: Option<u64>,
    /// The longest handshake message to accept, in bytes; a long certificate chain may need more
    /// [default: 32768, with --tls 65536].
    #[arg(long, value_name = "BYTES", value_parser = whole::<u64>("bytes", 4096..=131_072))]
    pub(crate) max_message: Option<u64>,
    #[command(flatten)]
    pub(crate) raw_keys: RawKeyArguments,
    /// Replace the keys after this many bytes of data, received and sent together; at least 512
    /// [default: never].
    #[arg(long, value_name = "BYTES", value_parser = whole::<u64>("bytes", 512..=u64::MAX))]
    pub(crate) rekey_bytes: Option<u64>,
    /// Replace the keys after this many seconds, at least 60, when data is sent or received
    /// [default: never].
    #[arg(long, value_name = "SECONDS", value_parser = whole::<u64>("seconds", 60..=u64::MAX))]
    pub(crate) rekey_interval: Option<u64>,
    /// What becomes of data that is sent while keys are replaced by a renegotiation.
    #[arg(long, value_name = "WAY", default_value = "hold")]
    pub(crate) data_during_renegotiation: DataMeanwhile,
    /// Renegotiate with full handshakes only, so that certificates are shown again.
    #[arg(long)]
    pub(crate) full_renegotiation: bool,
    /// Let the peer show another certificate in a renegotiation.
    #[arg(long)]
    pub(crate) allow_identity_change: bool,
    /// Refuse peers of version 1.2 that lack extended_master_secret (RFC 7627). By default they are
    /// served, but their sessions are not resumed.
    #[arg(long)]
    pub(crate) require_extended_master_secret: bool,
    /// Also serve peers of version 1.2 that lack renegotiation_info (RFC 5746); they are never
    /// renegotiated with.
    #[arg(long)]
    pub(crate) allow_insecure_renegotiation_peers: bool,
    /// Do not believe fatal alerts that come before there are keys, which anybody can forge over
    /// UDP; a refusal then shows as a timeout.
    #[arg(long, conflicts_with = "tls")]
    pub(crate) ignore_plaintext_alerts: bool,
    /// Neither issue nor use session tickets; sessions are then resumed by session ID, and at
    /// version 1.3 not at all.
    #[arg(long)]
    pub(crate) no_tickets: bool,
    #[command(flatten)]
    pub(crate) shared_keys: SharedKeyArguments,
    /// Append the secrets of each session to the file that SSLKEYLOGFILE names. For debugging only.
    #[arg(long)]
    pub(crate) key_log: bool,
}

/// `sealgram demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// How many datagrams go each way.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = whole::<u32>("datagrams", 1..=1_000_000))]
    pub(crate) datagrams: u32,
    /// How many of the handshake's datagrams the link loses, in percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = whole::<u8>("percent", 0..=50))]
    pub(crate) loss: u8,
    /// Show no progress bar.
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// `sealgram bench`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct BenchArguments {
    /// Which end to be; without one, both are threads of this program.
    #[command(subcommand)]
    pub(crate) end: Option<BenchEnd>,
    #[command(flatten)]
    pub(crate) load: LoadArguments,
    #[command(flatten)]
    pub(crate) common: CommonArguments,
}

/// The ends of a bench.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchEnd {
    /// Serve the clients of benches. Whoever can reach it can use it, within limits, so it belongs
    /// behind a firewall.
    Server(BenchServerArguments),
    /// Measure the way to a server of benches, and that server.
    Client(BenchClientArguments),
}

/// `sealgram bench server`.
#[derive(Debug, Args)]
pub(crate) struct BenchServerArguments {
    #[command(flatten)]
    pub(crate) listener: ListenerArguments,
    /// The longest phase to serve, in seconds; longer ones are cut short.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = whole::<u64>("seconds", 1..=86_400))]
    pub(crate) max_duration: u64,
    #[command(flatten)]
    pub(crate) limits: LimitArguments,
    #[command(flatten)]
    pub(crate) common: CommonArguments,
}

/// `sealgram bench client`.
#[derive(Debug, Args)]
pub(crate) struct BenchClientArguments {
    /// The server: a name or an IP address, and a port.
    #[arg(value_name = "HOST:PORT")]
    pub(crate) server: String,
    #[command(flatten)]
    pub(crate) trust: TrustArguments,
    #[command(flatten)]
    pub(crate) credential: CredentialArguments,
    #[command(flatten)]
    pub(crate) load: LoadArguments,
    #[command(flatten)]
    pub(crate) common: CommonArguments,
}

/// What a bench does, and how it shows the result.
#[derive(Clone, Debug, Args)]
pub(crate) struct LoadArguments {
    /// What to measure, in this order [default: all].
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub(crate) phases: Vec<BenchPhase>,
    /// How long each phase lasts, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = whole::<u32>("seconds", 1..=86_400))]
    pub(crate) duration: u32,
    /// The length of a message of data, in bytes [default: 1200, with --tls 16382, which fills a
    /// record].
    #[arg(long, value_name = "BYTES", value_parser = whole::<u16>("bytes", 9..=65_000))]
    pub(crate) size: Option<u16>,
    /// How many associations carry data at once, each from a port of its own.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole::<u32>("peers", 1..=50_000))]
    pub(crate) peers: u32,
    /// How many messages are sent to a peer before the socket is served again.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = whole::<u16>("messages", 1..=1024))]
    pub(crate) burst: u16,
    /// How many handshakes are under way at once.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = whole::<u32>("handshakes", 1..=1000))]
    pub(crate) in_flight: u32,
    /// How much data to send, in Mbit/s of payload, all peers together [default: as much as the
    /// socket takes, of which some is lost over UDP].
    #[arg(long, value_name = "MBIT", value_parser = whole::<u32>("Mbit/s", 1..=1_000_000))]
    pub(crate) rate: Option<u32>,
    /// Write the result as one line of JSON instead of a table; its keys are stable.
    #[arg(long)]
    pub(crate) json: bool,
    /// Show no progress bar.
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// Something to measure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum BenchPhase {
    /// Full handshakes.
    Full,
    /// Handshakes that resume a session.
    Resumed,
    /// Throughput and loss from the client to the server.
    Upload,
    /// Throughput and loss from the server to the client.
    Download,
    /// Round trips of a message that the server sends back, one at a time and peer.
    Latency,
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

fn parse_profile(text: &str) -> Result<SrtpProfile, String> {
    let named = |profile: &SrtpProfile| {
        let name = profile.name().unwrap_or_default();
        name.eq_ignore_ascii_case(text)
    };
    PROFILES.into_iter().find(named).ok_or_else(|| {
        let names = PROFILES.map(|profile| profile.to_string());
        format!("choose from {}", names.join(", "))
    })
}

fn parse_threads(text: &str) -> Result<NonZeroUsize, String> {
    let threads = whole::<u16>("threads", 1..=1024)(text)?;
    NonZeroUsize::try_from(usize::from(threads)).map_err(|error| error.to_string())
}

fn parse_fragment_length(text: &str) -> Result<MaxFragmentLength, String> {
    let lengths = MaxFragmentLength::ALL.into_iter();
    let named = lengths.map(|length| (length.to_string(), length));
    let found = named.into_iter().find(|(name, _)| name == text);
    found
        .map(|(_, length)| length)
        .ok_or_else(|| "it must be 512, 1024, 2048 or 4096".into())
}

fn parse_connection_id_length(text: &str) -> Result<usize, String> {
    let fits = |length: &usize| matches!(length, 0 | 4..=20);
    let length = text.parse().ok().filter(fits);
    length.ok_or_else(|| "it must be a whole number of bytes, from 4 to 20, or 0".into())
}

fn parse_fingerprint(text: &str) -> Result<Fingerprint, String> {
    text.parse().map_err(|_| {
        "a fingerprint is 64 hexadecimal digits, with or without colons, as `openssl x509 -fingerprint -sha256` prints it"
            .into()
    })
}

/// Parses a whole number of some unit; errors state its range in words.
fn whole<T: TryFrom<u64>>(
    unit: &'static str,
    range: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        let fits = number.and_then(|number| T::try_from(number).ok());
        fits.ok_or_else(|| {
            let least = grouped(*range.start());
            match *range.end() {
                u64::MAX => format!("it must be a whole number of {unit}, at least {least}"),
                most => format!(
                    "it must be a whole number of {unit}, from {least} to {}",
                    grouped(most)
                ),
            }
        })
    }
}

/// A number with separated thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn parse_group(text: &str) -> Result<NamedGroup, String> {
    match text.to_ascii_lowercase().as_str() {
        "x25519mlkem768" => Ok(NamedGroup::X25519MLKEM768),
        "x25519" => Ok(NamedGroup::X25519),
        "p-256" | "p256" | "secp256r1" => Ok(NamedGroup::SECP256R1),
        "p-384" | "p384" | "secp384r1" => Ok(NamedGroup::SECP384R1),
        _ => Err("choose from X25519MLKEM768, x25519, secp256r1, secp384r1".into()),
    }
}

/// Every profile that the library has.
const PROFILES: [SrtpProfile; 4] = [
    SrtpProfile::SRTP_AEAD_AES_128_GCM,
    SrtpProfile::SRTP_AEAD_AES_256_GCM,
    SrtpProfile::SRTP_AES128_CM_HMAC_SHA1_80,
    SrtpProfile::SRTP_AES128_CM_HMAC_SHA1_32,
];

/// Every suite that the library has.
const SUITES: [CipherSuite; 23] = [
    CipherSuite::TLS_AES_128_GCM_SHA256,
    CipherSuite::TLS_AES_256_GCM_SHA384,
    CipherSuite::TLS_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_PSK_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_PSK_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_PSK_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_PSK_WITH_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_AES_128_CCM_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_CCM,
    CipherSuite::TLS_AES_128_CCM_8_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8,
    CipherSuite::TLS_ECDHE_PSK_WITH_AES_128_CCM_SHA256,
    CipherSuite::TLS_ECDHE_PSK_WITH_AES_128_CCM_8_SHA256,
    CipherSuite::TLS_PSK_WITH_AES_128_CCM,
    CipherSuite::TLS_PSK_WITH_AES_128_CCM_8,
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
    fn thousands_are_set_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (86_400, "86,400")] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(grouped(1_234_567), "1,234,567");
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
        let hybrid = Ok(NamedGroup::X25519MLKEM768);
        assert_eq!(parse_group("X25519MLKEM768"), hybrid);
        assert_eq!(parse_group("x25519mlkem768"), hybrid);
        assert_eq!(parse_group("SECP384R1"), Ok(NamedGroup::SECP384R1));
        assert!(parse_group("X448").is_err());
    }
}
