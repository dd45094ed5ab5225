//! `sealgram demo`: everything at once, on loopback sockets, once for each version.
//!
//! ```text
//!   client ◄──── socket ────► relay ◄──── sockets ───► echo service
//!   (this thread)             loses handshake          (a thread, an event loop
//!                             datagrams, moves          and an endpoint of its own)
//!                             the client
//! ```

mod client;
mod echo;
mod payload;
mod rekeying;
mod relay;
mod summary;

use crate::arguments::DemoArguments;
use crate::certificate::SelfSigned;
use crate::event_loop::EventLoop;
use crate::output;
use crate::problem::Problem;
use client::Client;
use echo::EchoService;
use indicatif::{ProgressBar, ProgressStyle};
use relay::Relay;
use sealgram::config::{ClientRenegotiation, DatagramPolicy, RekeyPolicy, Versions};
use sealgram::endpoint::EndpointPolicy;
use sealgram::identity::{Credential, Fingerprint, Roots};
use sealgram::net::UdpEndpoint;
use sealgram::pki_types::ServerName;
use sealgram::{ClientConfig, ProtocolVersion, ServerConfig};
use std::sync::Arc;
use std::time::{Duration, Instant};
use summary::Summary;

/// How long the demonstration of one version may take.
const TIME_LIMIT: Duration = Duration::from_secs(180);

/// What fits into a datagram of 1,400 bytes with the first suite of the list.
const EXPECTED_PAYLOAD: usize = 1363;

/// The name in the certificate, which the client asks for.
const NAME: &str = "localhost";

/// Runs the demonstration and prints its result.
///
/// # Errors
///
/// The first check that failed.
pub(crate) fn run(arguments: &DemoArguments) -> Result<(), Problem> {
    run_version(arguments, Versions::V1_2, ProtocolVersion::DTLS12)?;
    run_version(arguments, Versions::V1_3, ProtocolVersion::DTLS13)
}

fn run_version(
    arguments: &DemoArguments,
    versions: Versions,
    version: ProtocolVersion,
) -> Result<(), Problem> {
    let deadline = Instant::now() + TIME_LIMIT;
    let identity = SelfSigned::make(vec![NAME.into()])?;
    let leaf = identity.certified.chain()[0].clone();
    let mut roots = Roots::new();
    roots.add(&leaf)?;

    let echo = EchoService::start(server_config(identity, versions)?, arguments.datagrams)?;
    let moves = rekeying::is_planned(arguments.datagrams);
    let half = moves.then_some(u64::from(arguments.datagrams) / 2);
    let relay = Relay::start(echo.address(), arguments.loss, half)?;
    let endpoint = UdpEndpoint::connected_to(relay.address(), EndpointPolicy::default())
        .map_err(|error| Problem::failure(format!("no socket for the client: {error}")))?;
    let mut event_loop = EventLoop::new(endpoint)?;
    let name = ServerName::try_from(NAME).map_err(Problem::failure)?;
    let id = event_loop
        .endpoint()
        .connect(
            client_config(roots, arguments.datagrams, versions)?,
            name,
            relay.address(),
        )
        .map_err(Problem::failure)?;
    let mut client = Client::new(id, arguments.datagrams, progress(arguments), deadline);
    event_loop.run(&mut client)?;

    let summary = Summary {
        version,
        loss: arguments.loss,
        datagrams: arguments.datagrams.into(),
        rekeying: rekeying::is_planned(arguments.datagrams),
        moves,
        certificate: Fingerprint::of(&leaf),
        client: client.report(),
        server: echo.report(deadline)?,
        link: relay.report(),
    };
    let table = format!("sealgram demo: {version} through a lossy link on this machine\n{summary}");
    output::write(table.as_bytes())?;
    summary.verdict()
}

/// RFC 6347 §4.2.4.1 starts at one second and doubles; here it stops at two, so that the
/// demonstration ends in time even over a very lossy link. Each end recognises the other elsewhere.
fn datagram_policy() -> Result<DatagramPolicy, Problem> {
    let policy = DatagramPolicy::default().connection_ids(Some(8))?;
    Ok(policy.retransmission_timeouts(Duration::from_secs(1), Duration::from_secs(2))?)
}

fn server_config(identity: SelfSigned, versions: Versions) -> Result<Arc<ServerConfig>, Problem> {
    let config = ServerConfig::with_credential(Credential::Certificate(identity.certified))
        .versions(versions)
        .datagram(datagram_policy()?)
        .rekey(
            RekeyPolicy::default().client_renegotiation(ClientRenegotiation::Allow {
                min_interval: Duration::ZERO,
            }),
        )
        .build()?;
    Ok(Arc::new(config))
}

fn client_config(
    roots: Roots,
    datagrams: u32,
    versions: Versions,
) -> Result<Arc<ClientConfig>, Problem> {
    let bytes = rekeying::automatic_bytes(datagrams, EXPECTED_PAYLOAD);
    let config = ClientConfig::with_roots(roots)?
        .versions(versions)
        .datagram(datagram_policy()?)
        .rekey(RekeyPolicy::default().bytes(bytes)?)
        .build()?;
    Ok(Arc::new(config))
}

/// A progress bar on standard error, if that is a terminal.
fn progress(arguments: &DemoArguments) -> ProgressBar {
    if arguments.quiet {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(arguments.datagrams.into());
    if let Ok(style) = ProgressStyle::with_template("{msg:24} [{bar:40}] {pos}/{len} datagrams") {
        bar.set_style(style);
    }
    bar
}
