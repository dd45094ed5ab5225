//! `sealgram server`.

use crate::arguments::ServerArguments;
use crate::event_loop::{self, EventLoop, Service, Step};
use crate::input::{Input, Next};
use crate::output;
use crate::problem::Problem;
use crate::report::{self, Line};
use crate::settings;
use sealgram::endpoint::EndpointPolicy;
use sealgram::net::{UdpEndpoint, UdpEvent};
use sealgram::{AssociationId, EndpointEvent, Event, SendError};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// Serves until the process is ended.
pub(crate) fn run(arguments: &ServerArguments) -> Result<(), Problem> {
    let config = Arc::new(settings::server(arguments)?);
    let endpoint = UdpEndpoint::bind(arguments.listen, EndpointPolicy::default(), Some(config))
        .map_err(|error| {
            Problem::failure(format!(
                "{} cannot be listened on: {error}",
                arguments.listen
            ))
        })?;
    let address = endpoint
        .local_addr()
        .map_err(|error| Problem::failure(format!("the socket has no address: {error}")))?;
    let mut event_loop = EventLoop::new(endpoint)?;
    Line::new("listening").field("addr", address).print();
    let work = match arguments.stdio {
        true => Work::Stdio(Some(Input::stdin(event_loop.waker()?)?)),
        false => Work::Echo,
    };
    event_loop.run(&mut Server {
        work,
        peers: BTreeMap::new(),
    })
}

/// A server at work.
struct Server {
    work: Work,
    /// The established associations.
    peers: BTreeMap<AssociationId, SocketAddr>,
}

/// What is done with data.
enum Work {
    /// It goes back to its sender.
    Echo,
    /// It goes to standard output, and standard input to every peer, until it has ended.
    Stdio(Option<Input>),
}

impl Service for Server {
    fn handle(&mut self, endpoint: &mut UdpEndpoint, event: UdpEvent) -> Result<(), Problem> {
        match event {
            UdpEvent::Association(id, event) => self.handle_association(endpoint, id, event),
            UdpEvent::Unreachable { remote, error } => {
                report::unreachable(remote, &error).print();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Lines wait in the pipe while nobody is there to get them.
    fn advance(&mut self, endpoint: &mut UdpEndpoint) -> Result<Step, Problem> {
        let Work::Stdio(input) = &mut self.work else {
            return Ok(Step::Wait(None));
        };
        let Some(lines) = input.as_mut().filter(|_| !self.peers.is_empty()) else {
            return Ok(Step::Wait(None));
        };
        match lines.next() {
            Next::Line(line) => {
                let command = Input::command(&line);
                for (&id, &peer) in &self.peers {
                    match command {
                        Some(command) => event_loop::command(endpoint, id, command),
                        None => send(endpoint, id, peer, &line),
                    }
                }
                return Ok(Step::Again);
            }
            Next::Nothing => {}
            Next::End => *input = None,
        }
        Ok(Step::Wait(None))
    }
}

impl Server {
    fn handle_association(
        &mut self,
        endpoint: &mut UdpEndpoint,
        id: AssociationId,
        event: EndpointEvent,
    ) -> Result<(), Problem> {
        match event {
            EndpointEvent::Association(event) => self.handle_event(endpoint, id, event)?,
            EndpointEvent::Failed(failure) => {
                // One peer's failure is no reason to stop.
                Problem::from(&failure).line().print();
                self.peers.remove(&id);
            }
            EndpointEvent::Closed => {
                if let Some(peer) = self.peers.remove(&id) {
                    Line::new("closed").field("peer", peer).print();
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn handle_event(
        &mut self,
        endpoint: &mut UdpEndpoint,
        id: AssociationId,
        event: Event,
    ) -> Result<(), Problem> {
        match event {
            Event::HandshakeComplete {
                kind,
                renegotiation,
            } => {
                if let Some(connection) = endpoint.endpoint().connection(id) {
                    let client_certificate = connection.peer_identity().is_some();
                    report::handshake_complete(connection, kind, renegotiation, client_certificate)
                        .print();
                    self.peers.insert(id, connection.path().remote());
                }
            }
            Event::RenegotiationRefused { reason } => {
                if let Some(&peer) = self.peers.get(&id) {
                    report::renegotiation_refused(peer, reason).print();
                }
            }
            Event::Readable => self.take_data(endpoint, id)?,
            Event::PeerClosed => {
                self.take_data(endpoint, id)?;
                if let Some(peer) = self.peers.get(&id) {
                    Line::new("peer_closed").field("peer", peer).print();
                }
                endpoint.close(id);
            }
            _ => {}
        }
        Ok(())
    }

    fn take_data(&self, endpoint: &mut UdpEndpoint, id: AssociationId) -> Result<(), Problem> {
        while let Some(received) = endpoint.recv(id) {
            match self.work {
                Work::Echo => send(endpoint, id, received.path.remote(), &received.data),
                Work::Stdio(_) => output::write(&received.data)?,
            }
        }
        Ok(())
    }
}

/// Sends data if it can be sent; over UDP, what cannot is lost, and that is told.
fn send(endpoint: &mut UdpEndpoint, id: AssociationId, peer: SocketAddr, data: &[u8]) {
    match event_loop::send(endpoint, id, data) {
        // An association that is over tells so by an event of its own.
        Ok(()) | Err(SendError::Closed) => {}
        Err(error) => Line::new("lost")
            .field("reason", error)
            .field("bytes", data.len())
            .field("peer", peer)
            .print(),
    }
}
