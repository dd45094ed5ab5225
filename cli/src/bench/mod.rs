//! `sealgram bench`: what goes through, how much of it is lost, and how long it takes.
//!
//! ```text
//!   client (a mio loop)                 server (a mio loop)
//!   a socket for each peer  ◄────────►  one socket, or a stream for each peer
//!   one phase after the other           what each association has ordered
//! ```
//!
//! `sealgram bench` has both ends in two threads; `bench server` and `bench client` are one each.
//! What they say to each other is in [`protocol`].

mod figures;
mod handshakes;
mod load;
mod machine;
mod phase;
mod protocol;
mod round_trips;
mod server;
mod sessions;
mod sockets;
mod traffic;
mod transfer;

use crate::address;
use crate::arguments::{
    BenchArguments, BenchClientArguments, BenchEnd, BenchPhase, BenchServerArguments,
    ClientArguments, CommonArguments, CredentialArguments, LimitArguments, ListenerArguments,
    LoadArguments, ServerArguments, TrustArguments,
};
use crate::certificate::SelfSigned;
use crate::client::server_name;
use crate::endpoint::TcpEndpoint;
use crate::event_loop::EventLoop;
use crate::output;
use crate::problem::Problem;
use crate::report::Line;
use crate::settings;
use clap::ValueEnum as _;
use figures::{Figures, HandshakeFigures, LatencyFigures, Settings, TransferFigures};
use handshakes::Handshakes;
use indicatif::{ProgressBar, ProgressStyle};
use mio::Waker;
use phase::{Phase, Target, Work};
use protocol::{Mode, Order};
use round_trips::RoundTrips;
use sealgram::client::ClientConfigBuilder;
use sealgram::identity::{Credential, Roots};
use sealgram::net::UdpEndpoint;
use sealgram::pki_types::ServerName;
use sealgram::{ClientConfig, HandshakeKind};
use server::Server;
use sessions::Sessions;
use sockets::UdpSockets;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use traffic::{Dial, Traffic};
use transfer::{Download, Upload};

/// The size of data messages where none is given: what fits into any path, and what fills a record
/// of a stream together with its length (RFC 8446 §5.1).
const DATAGRAM: u16 = 1200;
const PIECE: u16 = (1 << 14) - 2;

/// The address of a server that is a thread of the same program.
const LOOPBACK: &str = "127.0.0.1:0";

/// Runs one end or both.
pub(crate) fn run(arguments: &BenchArguments) -> Result<(), Problem> {
    match &arguments.end {
        Some(BenchEnd::Server(arguments)) => serve(arguments),
        Some(BenchEnd::Client(arguments)) => measure(arguments),
        None => loop_back(&arguments.load, &arguments.common),
    }
}

/// `sealgram bench server`: serves until a signal ends it.
fn serve(arguments: &BenchServerArguments) -> Result<(), Problem> {
    let longest = Duration::from_secs(arguments.max_duration);
    let arguments = server_arguments(arguments);
    let config = Arc::new(settings::server(&arguments)?);
    let addresses = address::resolve(&arguments.listener.listen)?;
    let refused = |local, error: io::Error| {
        Problem::failure(format!("{local} cannot be listened on: {error}"))
    };
    if arguments.common.tls {
        let endpoint = address::first_of(&addresses, |local| {
            TcpEndpoint::bind(local, config.clone()).map_err(|error| refused(local, error))
        })?;
        let address = endpoint.local_addr();
        serve_on(endpoint, address, longest)
    } else {
        let policy = settings::server_endpoint(&arguments)?;
        let endpoint = address::first_of(&addresses, |local| {
            UdpEndpoint::bind(local, policy.clone(), Some(config.clone()))
                .map_err(|error| refused(local, error))
        })?;
        let address = endpoint.local_addr();
        serve_on(endpoint, address, longest)
    }
}

fn serve_on<E: Traffic>(
    endpoint: E,
    address: io::Result<SocketAddr>,
    longest: Duration,
) -> Result<(), Problem> {
    let mut event_loop = EventLoop::new(endpoint)?;
    event_loop.handle_signals()?;
    let address = address.map_err(no_socket)?;
    Line::new("listening").field("addr", address).print();
    let outcome = event_loop.run(&mut Server::new(longest));
    event_loop.endpoint().counters().print();
    outcome
}

fn no_socket(error: io::Error) -> Problem {
    Problem::failure(format!("no socket for the server: {error}"))
}

/// `sealgram bench client`.
fn measure(arguments: &BenchClientArguments) -> Result<(), Problem> {
    let (load, client) = (&arguments.load, client_arguments(arguments));
    let builder = settings::client_builder(&client)?;
    let addresses = address::resolve(&client.server)?;
    let remote = address::first_of(&addresses, reachable)?;
    let way = (server_name(&client)?, remote);
    Bench::new(builder, way, remote.to_string(), load, &client.common)?.run(&client.common)
}

/// Whether this machine has a way to `remote`.
fn reachable(remote: SocketAddr) -> Result<SocketAddr, Problem> {
    let any: SocketAddr = match remote {
        SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
    };
    let probe = std::net::UdpSocket::bind(any).and_then(|socket| socket.connect(remote));
    match probe {
        Ok(()) => Ok(remote),
        Err(error) => Err(Problem::failure(format!(
            "{remote} cannot be reached from here: {error}"
        ))),
    }
}

/// `sealgram bench`: a server in a thread, and its client in this one.
fn loop_back(load: &LoadArguments, common: &CommonArguments) -> Result<(), Problem> {
    let identity = SelfSigned::make(vec!["localhost".into()])?;
    let mut roots = Roots::new();
    roots.add(&identity.certified.chain()[0])?;
    let arguments = local_server(common);
    let credential = Credential::Certificate(identity.certified);
    let config = Arc::new(settings::server_with(credential, &arguments)?);
    let local = address::resolve(LOOPBACK)?[0];
    let longest = Duration::from_secs(load.duration.into());
    let server = if common.tls {
        let endpoint = TcpEndpoint::bind(local, config).map_err(no_socket)?;
        let remote = endpoint.local_addr();
        LocalServer::start(endpoint, remote, longest)?
    } else {
        let policy = settings::server_endpoint(&arguments)?;
        let endpoint = UdpEndpoint::bind(local, policy, Some(config)).map_err(no_socket)?;
        let remote = endpoint.local_addr();
        LocalServer::start(endpoint, remote, longest)?
    };
    let client = local_client(common);
    let builder = settings::client_with(ClientConfig::with_roots(roots)?, &client)?;
    let way = (server_name(&client)?, server.remote);
    Bench::new(builder, way, "loopback".into(), load, common)?.run(common)?;
    server.end()
}

/// A server in a thread of its own.
struct LocalServer {
    remote: SocketAddr,
    stop: Arc<AtomicBool>,
    waker: Waker,
    thread: JoinHandle<Result<(), Problem>>,
}

impl LocalServer {
    fn start<E: Traffic + Send + 'static>(
        endpoint: E,
        remote: io::Result<SocketAddr>,
        longest: Duration,
    ) -> Result<Self, Problem> {
        let mut event_loop = EventLoop::new(endpoint)?;
        let waker = event_loop.waker()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::Builder::new()
            .name("bench server".into())
            .spawn(move || event_loop.run(&mut Server::quiet(longest, stopped)))
            .map_err(no_socket)?;
        Ok(Self {
            remote: remote.map_err(no_socket)?,
            stop,
            waker,
            thread,
        })
    }

    fn end(self) -> Result<(), Problem> {
        self.stop.store(true, Ordering::Release);
        self.waker.wake().map_err(no_socket)?;
        match self.thread.join() {
            Ok(outcome) => outcome,
            Err(_) => Err(Problem::failure("the thread of the server has panicked")),
        }
    }
}

/// All phases of a client.
struct Bench {
    plan: Plan,
    figures: Figures,
}

/// What the phases do.
struct Plan {
    /// The server, with a configuration under which every handshake is a full one.
    full: Target,
    /// The same, with one under which sessions are resumed.
    resuming: Target,
    load: LoadArguments,
    size: u16,
}

impl Bench {
    fn new(
        builder: ClientConfigBuilder,
        (name, remote): (ServerName<'static>, SocketAddr),
        server: String,
        load: &LoadArguments,
        common: &CommonArguments,
    ) -> Result<Self, Problem> {
        let default = if common.tls { PIECE } else { DATAGRAM };
        let size = load.size.unwrap_or(default);
        let target = |builder: ClientConfigBuilder| {
            Ok::<_, Problem>(Target {
                config: Arc::new(builder.build()?),
                name: name.clone(),
                remote,
            })
        };
        let sessions = Arc::new(Sessions::default());
        let settings = Settings {
            server,
            version: None,
            cipher_suite: None,
            group: None,
            duration_s: load.duration,
            size,
            peers: load.peers,
            burst: load.burst,
            in_flight: load.in_flight,
            rate_mbit: load.rate,
        };
        Ok(Self {
            plan: Plan {
                full: target(builder.clone().session_store(None).tickets(false))?,
                resuming: target(builder.session_store(Some(sessions)))?,
                load: load.clone(),
                size,
            },
            figures: Figures::new(settings),
        })
    }

    fn run(self, common: &CommonArguments) -> Result<(), Problem> {
        match common.tls {
            true => self.run_on(TcpEndpoint::new()),
            false => self.run_on(UdpSockets::new(settings::client_endpoint(common))),
        }
    }

    /// Runs the phases, and shows what they have measured even if one of them has failed.
    fn run_on<E: Dial>(mut self, endpoint: E) -> Result<(), Problem> {
        let mut event_loop = EventLoop::new(endpoint)?;
        event_loop.handle_signals()?;
        let phases = match self.plan.load.phases.as_slice() {
            [] => BenchPhase::value_variants(),
            named => named,
        };
        let mut outcome = Ok(());
        for &phase in phases {
            let measured = self.plan.run(&mut event_loop, phase, &mut self.figures);
            outcome = measured;
            if outcome.is_err() || self.figures.interrupted {
                break;
            }
        }
        if outcome.is_ok() || self.figures.is_measured() {
            let text = self.figures.text(self.plan.load.json)?;
            output::write(text.as_bytes())?;
        }
        outcome
    }
}

impl Plan {
    /// Runs one phase, and notes its figures.
    fn run<E: Dial>(
        &self,
        event_loop: &mut EventLoop<E>,
        phase: BenchPhase,
        figures: &mut Figures,
    ) -> Result<(), Problem> {
        let at_once = self.load.in_flight.try_into().unwrap_or(1);
        let peers = self.load.peers.try_into().unwrap_or(1);
        let common = match phase {
            BenchPhase::Full => {
                let work = Handshakes::new(&self.full, HandshakeKind::Full, at_once)?;
                let (name, target) = ("full handshakes", &self.full);
                let mut phase = self.work(event_loop, name, target, Mode::Discard, 1, work)?;
                figures.full = Some(HandshakeFigures::new(&phase.result, &phase.work.counts));
                phase.work.counts.verdict()?;
                phase.result
            }
            BenchPhase::Resumed => {
                let work = Handshakes::new(&self.resuming, HandshakeKind::Resumed, at_once)?;
                let (name, target) = ("resumptions", &self.resuming);
                let mut phase = self.work(event_loop, name, target, Mode::Discard, 1, work)?;
                figures.resumed = Some(HandshakeFigures::new(&phase.result, &phase.work.counts));
                phase.work.counts.verdict()?;
                phase.result
            }
            BenchPhase::Upload => {
                let work = Upload::new(self.order(Mode::Discard));
                let (name, target) = ("upload", &self.full);
                let phase = self.work(event_loop, name, target, Mode::Discard, peers, work)?;
                let (report, time) = phase.reports();
                let got = (report.received, report.bytes, report.reordered);
                let (result, sent) = (&phase.result, phase.work.sent());
                figures.upload = Some(TransferFigures::new(result, sent, got, time));
                phase.result
            }
            BenchPhase::Download => {
                let (name, target) = ("download", &self.full);
                let phase = self.work(event_loop, name, target, Mode::Source, peers, Download)?;
                let (report, tally) = (phase.reports().0, phase.tally());
                let got = (tally.received, tally.bytes, tally.reordered);
                let (result, sent) = (&phase.result, report.sent);
                figures.download = Some(TransferFigures::new(result, sent, got, tally.time()));
                phase.result
            }
            BenchPhase::Latency => {
                let work = RoundTrips::new(self.size)?;
                let (name, target) = ("round trips", &self.full);
                let phase = self.work(event_loop, name, target, Mode::Echo, peers, work)?;
                let (times, lost) = (&phase.work.times, phase.work.lost);
                figures.latency = Some(LatencyFigures::new(&phase.result, times, lost));
                phase.result
            }
        };
        figures.settings.agree(common.agreed);
        figures.interrupted |= common.interrupted;
        Ok(())
    }

    fn work<'a, E: Dial, W: Work<E>>(
        &self,
        event_loop: &mut EventLoop<E>,
        name: &'static str,
        target: &'a Target,
        mode: Mode,
        peers: usize,
        work: W,
    ) -> Result<Phase<'a, E, W>, Problem> {
        let bar = self.progress(name);
        let mut phase = Phase::new(target, bar, self.order(mode), peers, work);
        event_loop.run(&mut phase)?;
        Ok(phase)
    }

    /// What each peer orders.
    fn order(&self, mode: Mode) -> Order {
        let per_second = self.load.rate.map_or(0, |megabits| {
            let bits = u64::from(self.size) * 8 * u64::from(self.load.peers);
            (u64::from(megabits) * 1_000_000 / bits).max(1)
        });
        Order {
            mode,
            size: self.size,
            burst: self.load.burst,
            milliseconds: self.load.duration.saturating_mul(1000),
            per_second: per_second.try_into().unwrap_or(u32::MAX),
        }
    }

    /// A progress bar on standard error, if that is a terminal.
    fn progress(&self, name: &'static str) -> ProgressBar {
        if self.load.quiet {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(u64::from(self.load.duration) * 1000);
        if let Ok(style) = ProgressStyle::with_template("{msg:16} [{bar:40}] {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message(name);
        bar
    }
}

/// What a server is told on the command line, of which a bench has a part.
fn server_arguments(arguments: &BenchServerArguments) -> ServerArguments {
    ServerArguments {
        listener: arguments.listener.clone(),
        limits: arguments.limits,
        ..local_server(&arguments.common)
    }
}

fn local_server(common: &CommonArguments) -> ServerArguments {
    ServerArguments {
        listener: ListenerArguments {
            listen: LOOPBACK.into(),
            ..ListenerArguments::default()
        },
        limits: LimitArguments::default(),
        client_auth: None,
        echo: false,
        stdio: false,
        allow_client_renegotiation: None,
        threads: None,
        fleet_secret: None,
        member: None,
        common: common.clone(),
    }
}

/// What a client is told on the command line, of which a bench has a part.
fn client_arguments(arguments: &BenchClientArguments) -> ClientArguments {
    ClientArguments {
        server: arguments.server.clone(),
        trust: arguments.trust.clone(),
        credential: arguments.credential.clone(),
        ..local_client(&arguments.common)
    }
}

fn local_client(common: &CommonArguments) -> ClientArguments {
    ClientArguments {
        server: "localhost:0".into(),
        trust: TrustArguments::default(),
        session_out: None,
        session_in: None,
        refuse_hello_requests: false,
        empty_renegotiation_cookie: false,
        credential: CredentialArguments::default(),
        common: common.clone(),
    }
}
