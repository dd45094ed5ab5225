//! The server of the demonstration: sends back what it receives, and checks it.

use super::payload;
use super::rekeying;
use crate::endpoint::{Endpoint, Happening};
use crate::event_loop::{EventLoop, Service, Step};
use crate::problem::Problem;
use sealgram::endpoint::{AssociationId, EndpointPolicy};
use sealgram::net::UdpEndpoint;
use sealgram::{Event, KeyUpdate, ServerConfig};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Instant;

/// An echo service in a thread of its own. It ends when its first client has closed its
/// association.
#[derive(Debug)]
pub(super) struct EchoService {
    address: SocketAddr,
    outcome: Receiver<Result<EchoReport, Problem>>,
}

/// What the server saw.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct EchoReport {
    /// How many clients were asked to prove their address.
    pub(super) cookies: u64,
    /// How many flights of the handshake were sent again.
    pub(super) flights_retransmitted: u64,
    /// Datagrams that came.
    pub(super) received: u64,
    /// The sum of their lengths.
    pub(super) bytes: u64,
    /// How many did not have the right contents.
    pub(super) mismatches: u64,
    /// How often the client was followed to another address, after a check.
    pub(super) followed: u64,
}

impl EchoService {
    /// Starts the service on a port that the system chooses.
    pub(super) fn start(config: Arc<ServerConfig>, datagrams: u32) -> Result<Self, Problem> {
        let failed = |error| Problem::failure(format!("no socket for the server: {error}"));
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let endpoint =
            UdpEndpoint::bind(any_port, EndpointPolicy::default(), Some(config)).map_err(failed)?;
        let address = endpoint.local_addr().map_err(failed)?;
        let (sender, outcome) = sync_channel(1);
        thread::Builder::new()
            .name("echo service".into())
            .spawn(move || {
                // Nothing waits for the outcome if the client has failed first.
                let _unread = sender.send(serve(endpoint, datagrams));
            })
            .map_err(failed)?;
        Ok(Self { address, outcome })
    }

    /// Where the service listens.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the server saw, once its client has gone.
    pub(super) fn report(&self, deadline: Instant) -> Result<EchoReport, Problem> {
        let patience = deadline.saturating_duration_since(Instant::now());
        self.outcome
            .recv_timeout(patience)
            .map_err(|_| Problem::failure("the server did not notice that its client had left"))?
    }
}

fn serve(endpoint: UdpEndpoint, datagrams: u32) -> Result<EchoReport, Problem> {
    let mut echo = Echo {
        datagrams,
        ..Echo::default()
    };
    let mut event_loop = EventLoop::new(endpoint)?;
    event_loop.run(&mut echo)?;
    let stats = event_loop.endpoint().endpoint().stats();
    echo.report.cookies = stats.hello_verify_requests + stats.retry_requests;
    Ok(echo.report)
}

/// The running service.
#[derive(Default)]
struct Echo {
    /// How many datagrams will come.
    datagrams: u32,
    /// The server has asked for new keys.
    asked: bool,
    report: EchoReport,
    over: bool,
}

impl Service<UdpEndpoint> for Echo {
    fn handle(
        &mut self,
        endpoint: &mut UdpEndpoint,
        event: Happening<AssociationId>,
    ) -> Result<(), Problem> {
        match event {
            Happening::Connection(id, Event::Readable) => self.answer(endpoint, id)?,
            Happening::Connection(id, Event::PeerClosed) => {
                self.answer(endpoint, id)?;
                endpoint.close(id);
            }
            Happening::Connection(_, Event::PathChanged(change)) => {
                self.report.followed += u64::from(change.validated);
            }
            Happening::Failed(_, problem) => return Err(problem),
            Happening::Closed(_) => self.over = true,
            _ => {}
        }
        Ok(())
    }

    fn advance(&mut self, _: &mut UdpEndpoint) -> Result<Step, Problem> {
        Ok(if self.over {
            Step::Done
        } else {
            Step::Wait(None)
        })
    }
}

impl Echo {
    fn answer(&mut self, endpoint: &mut UdpEndpoint, id: AssociationId) -> Result<(), Problem> {
        if let Some(connection) = endpoint.endpoint().connection(id) {
            self.report.flights_retransmitted = connection.stats().flights_retransmitted();
        }
        while let Some(data) = Endpoint::recv(endpoint, id) {
            self.report.received += 1;
            self.report.bytes += data.len() as u64;
            if payload::number_if_genuine(&data).is_none() {
                self.report.mismatches += 1;
            }
            Endpoint::send(endpoint, id, &data).map_err(|error| {
                Problem::failure(format!(
                    "the server could not send a datagram back: {error}"
                ))
            })?;
        }
        let due = rekeying::is_planned(self.datagrams)
            && self.report.received >= rekeying::by_server(self.datagrams);
        if due
            && !self.asked
            && let Some(mut peer) = endpoint.association(id)
        {
            // While another one is under way the call is refused, and made again later.
            self.asked =
                peer.renegotiate().is_ok() || peer.key_update(KeyUpdate::Requested).is_ok();
        }
        Ok(())
    }
}
