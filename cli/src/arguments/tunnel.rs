//! The command line of `sealgram tunnel`.
//!
//! Every long flag is a key of the configuration file too (`tunnel/config.rs`), so there is no
//! second list of them.

use super::{
    ClientArguments, ClientAuth, CommonArguments, CredentialArguments, LimitArguments,
    ListenerArguments, ServerArguments, TrustArguments, whole,
};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `sealgram tunnel`.
#[derive(Debug, Args)]
pub(crate) struct TunnelArguments {
    /// Which end to be.
    #[command(subcommand)]
    pub(crate) end: TunnelEnd,
}

/// The ends of a tunnel.
#[derive(Debug, Subcommand)]
pub(crate) enum TunnelEnd {
    /// Take plain datagrams at --listen, and carry those of each local address to --connect in a
    /// DTLS association of its own; answers go back to that address.
    #[command(mut_args(adapt))]
    Client(TunnelClientArguments),
    /// Serve DTLS at --listen, and give what each association carries to the service at --forward
    /// from a plain UDP socket of its own; its answers go back.
    #[command(mut_args(adapt))]
    Server(TunnelServerArguments),
}

/// Where a tunnel differs from the commands that have the same options: it carries datagrams alone,
/// and has limits of its own.
fn adapt(argument: clap::Arg) -> clap::Arg {
    let help = match argument.get_id().as_str() {
        "tls" => return argument.hide(true),
        "timeout" => {
            "After how many seconds a handshake is given up [default: 10 on the client, which begins \
             another one; 120 on the server]"
        }
        "idle_timeout" => {
            "After how many seconds without a datagram a flow ends: on the client without one of its \
             local program, on the server without one in either direction [default: 300]"
        }
        _ => return argument,
    };
    argument.help(help).long_help(help)
}

/// `sealgram tunnel client`.
#[derive(Clone, Debug, Args)]
pub(crate) struct TunnelClientArguments {
    /// Where local programs send their plain datagrams: an address or name and a port, or
    /// `systemd` for the socket that systemd passes.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: String,
    /// The tunnel server: a name or an IP address, and a port.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) connect: String,
    /// The longest pause between two attempts to reach the server, in seconds. The first is half a
    /// second at most, and each is up to twice as long as the one before.
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = whole::<u64>("seconds", 1..=3600))]
    pub(crate) max_backoff: u64,
    /// After how many seconds without an answer to what was sent the server is asked whether it is
    /// still there; after as many again without an answer to that a new association is made. With
    /// 0 it is never asked.
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = whole::<u64>("seconds", 0..=3600))]
    pub(crate) unanswered: u64,
    #[command(flatten)]
    pub(crate) trust: TrustArguments,
    #[command(flatten)]
    pub(crate) credential: CredentialArguments,
    #[command(flatten)]
    pub(crate) flows: FlowArguments,
    #[command(flatten)]
    pub(crate) common: CommonArguments,
}

/// `sealgram tunnel server`.
#[derive(Clone, Debug, Args)]
pub(crate) struct TunnelServerArguments {
    /// The service, which speaks plain UDP: a name or an IP address, and a port.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) forward: String,
    /// After how many seconds without anything of a client to which data was sent it is asked
    /// whether it is still there; after as many again without an answer its association ends. With
    /// 0 it is never asked.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = whole::<u64>("seconds", 0..=3600))]
    pub(crate) unanswered: u64,
    #[command(flatten)]
    pub(crate) listener: ListenerArguments,
    /// Whether clients must show a certificate [default: required with --client-ca, otherwise
    /// none].
    #[arg(long, value_name = "POLICY")]
    pub(crate) client_auth: Option<ClientAuth>,
    /// The 32 bytes in this file keep tickets good over a restart, so that clients resume their
    /// sessions. `openssl rand -out FILE 32` makes one; keep it as secret as a private key.
    #[arg(long, value_name = "FILE")]
    pub(crate) fleet_secret: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) flows: FlowArguments,
    #[command(flatten)]
    pub(crate) common: CommonArguments,
}

/// What both ends do with the flows that they carry: those of one local address or association
/// each.
#[derive(Clone, Debug, Args)]
pub(crate) struct FlowArguments {
    /// A file with these options, in TOML: the long names without dashes in front. The command line
    /// wins.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// How many flows to carry at most; each needs a descriptor. For a newcomer beyond that the
    /// flow ends that was idle for the longest time, if it was idle long enough (--evict-idle);
    /// otherwise the newcomer is not served.
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = whole::<usize>("flows", 1..=1 << 20))]
    pub(crate) max_flows: usize,
    /// How many seconds a flow must have been idle to end for a newcomer. Less suits programs that
    /// take another port for each question, as resolvers do.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = whole::<u64>("seconds", 0..=86_400))]
    pub(crate) evict_idle: u64,
    /// How many handshakes to have under way at most; on the client others wait for their turn.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = whole::<usize>("handshakes", 1..=1 << 20))]
    pub(crate) max_half_open: usize,
    /// How many bytes of datagrams wait at most for the handshake of one flow; what does not fit is
    /// dropped and counted.
    #[arg(long, value_name = "BYTES", default_value_t = 65_536, value_parser = whole::<usize>("bytes", 0..=1 << 30))]
    pub(crate) queue: usize,
    /// The same for all flows together.
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 20, value_parser = whole::<usize>("bytes", 0..=1 << 40))]
    pub(crate) total_queue: usize,
    /// Tell counters: `-` writes a line of JSON to standard output every second; anything else is
    /// the path of a Unix socket, where each connection is given the counters once, as Prometheus
    /// takes them.
    #[arg(long, value_name = "PATH")]
    pub(crate) status: Option<StatusTarget>,
}

/// Where counters are told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum StatusTarget {
    /// Standard output, a line of JSON a second.
    Output,
    /// A Unix socket.
    Socket(PathBuf),
}

impl std::str::FromStr for StatusTarget {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "-" => Self::Output,
            path => Self::Socket(path.into()),
        })
    }
}

impl TunnelClientArguments {
    /// The same as a client without a tunnel is told.
    pub(crate) fn client(&self) -> ClientArguments {
        ClientArguments {
            server: self.connect.clone(),
            trust: self.trust.clone(),
            session_out: None,
            session_in: None,
            max_fragment_length: None,
            refuse_hello_requests: false,
            empty_renegotiation_cookie: false,
            credential: self.credential.clone(),
            common: self.common.clone(),
        }
    }
}

impl TunnelServerArguments {
    /// The same as a server without a tunnel is told.
    pub(crate) fn server(&self) -> ServerArguments {
        ServerArguments {
            listener: self.listener.clone(),
            client_auth: self.client_auth,
            echo: false,
            stdio: false,
            allow_client_renegotiation: None,
            limits: LimitArguments::default(),
            threads: None,
            fleet_secret: self.fleet_secret.clone(),
            member: None,
            common: self.common.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::arguments::Arguments;
    use clap::CommandFactory as _;

    /// `docs/tunnel.md` has every option.
    #[test]
    fn the_manual_of_the_tunnel_has_every_option() {
        let manual = include_str!("../../../docs/tunnel.md");
        let mut command = Arguments::command();
        command.build();
        let tunnel = command.find_subcommand("tunnel").unwrap();
        let mut looked_at = 0;
        for end in ["client", "server"] {
            let end = tunnel.find_subcommand(end).unwrap();
            let longs = end.get_arguments().filter(|it| !it.is_hide_set());
            for long in longs.filter_map(clap::Arg::get_long) {
                looked_at += 1;
                let named = manual
                    .match_indices(&format!("`--{long}"))
                    .any(|(at, name)| {
                        let rest = &manual[at + name.len()..];
                        rest.starts_with(['`', ' ', '='])
                    });
                assert!(named, "--{long}");
            }
        }
        assert!(looked_at > 60, "{looked_at}");
    }
}
