//! `sealgram server`.

use crate::arguments::ServerArguments;
use crate::endpoint::{Endpoint, Happening, TcpEndpoint};
use crate::event_loop::{self, EventLoop, Service, Step};
use crate::input::{Input, Next};
use crate::output;
use crate::problem::Problem;
use crate::report::{self, Line};
use crate::settings;
use sealgram::endpoint::EndpointPolicy;
use sealgram::net::UdpEndpoint;
use sealgram::{Event, SendError, Side};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// Serves until the process is ended.
pub(crate) fn run(arguments: &ServerArguments) -> Result<(), Problem> {
    let config = Arc::new(settings::server(arguments)?);
    let local = arguments.listen;
    let refused = |error| Problem::failure(format!("{local} cannot be listened on: {error}"));
    if arguments.common.tls {
        let endpoint = TcpEndpoint::bind(local, config).map_err(refused)?;
        let address = endpoint.local_addr();
        serve(arguments, endpoint, address)
    } else {
        let endpoint =
            UdpEndpoint::bind(local, EndpointPolicy::default(), Some(config)).map_err(refused)?;
        let address = endpoint.local_addr();
        serve(arguments, endpoint, address)
    }
}

fn serve<E: Endpoint>(
    arguments: &ServerArguments,
    endpoint: E,
    address: io::Result<SocketAddr>,
) -> Result<(), Problem> {
    let address =
        address.map_err(|error| Problem::failure(format!("the socket has no address: {error}")))?;
    let mut event_loop = EventLoop::new(endpoint)?;
    Line::new("listening").field("addr", address).print();
    let work = match arguments.stdio {
        true => Work::Stdio(Some(Input::stdin(event_loop.waker()?)?)),
        false => Work::Echo,
    };
    event_loop.run(&mut Server::<E> {
        work,
        peers: BTreeMap::new(),
    })
}

/// A server at work.
struct Server<E: Endpoint> {
    work: Work,
    /// The established connections.
    peers: BTreeMap<E::Id, SocketAddr>,
}

/// What is done with data.
enum Work {
    /// It goes back to its sender.
    Echo,
    /// It goes to standard output, and standard input to every peer, until it has ended.
    Stdio(Option<Input>),
}

impl<E: Endpoint> Service<E> for Server<E> {
    fn handle(&mut self, endpoint: &mut E, event: Happening<E::Id>) -> Result<(), Problem> {
        match event {
            Happening::Connection(id, event) => self.handle_event(endpoint, id, event)?,
            Happening::Failed(id, problem) => {
                // One peer's failure is no reason to stop.
                problem.line().print();
                self.peers.remove(&id);
            }
            Happening::Closed(id) => {
                if let Some(peer) = self.peers.remove(&id) {
                    Line::new("closed").field("peer", peer).print();
                }
            }
            Happening::Unreachable { remote, error } => {
                report::unreachable(remote, &error).print();
            }
        }
        Ok(())
    }

    /// Lines wait in the pipe while nobody is there to get them, or somebody cannot take more.
    fn advance(&mut self, endpoint: &mut E) -> Result<Step, Problem> {
        let Work::Stdio(input) = &mut self.work else {
            return Ok(Step::Wait(None));
        };
        let takers = !self.peers.is_empty() && self.peers.keys().all(|&id| endpoint.has_room(id));
        let Some(lines) = input.as_mut().filter(|_| takers) else {
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

impl<E: Endpoint> Server<E> {
    fn handle_event(&mut self, endpoint: &mut E, id: E::Id, event: Event) -> Result<(), Problem> {
        match event {
            Event::HandshakeComplete {
                kind,
                renegotiation,
            } => {
                if let Some((connection, peer)) = endpoint.connection(id).zip(endpoint.peer(id)) {
                    let certificate = connection.peer_identity().is_some();
                    report::handshake_complete(connection, peer, kind, renegotiation, certificate)
                        .print();
                    self.peers.insert(id, peer);
                }
            }
            Event::RenegotiationRefused { reason } => {
                if let Some(&peer) = self.peers.get(&id) {
                    report::renegotiation_refused(peer, reason).print();
                }
            }
            Event::KeysUpdated { sender } => {
                if let Some(&peer) = self.peers.get(&id) {
                    report::keys_updated(peer, sender == Side::Server).print();
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

    fn take_data(&self, endpoint: &mut E, id: E::Id) -> Result<(), Problem> {
        let Some(&peer) = self.peers.get(&id) else {
            return Ok(());
        };
        match self.work {
            // What cannot be sent back yet is better left with its sender.
            Work::Echo => {
                while endpoint.has_room(id)
                    && let Some(data) = endpoint.recv(id)
                {
                    send(endpoint, id, peer, &data);
                }
            }
            Work::Stdio(_) => {
                while let Some(data) = endpoint.recv(id) {
                    output::write(&data)?;
                }
            }
        }
        Ok(())
    }
}

/// Sends data if it can be sent; what cannot is lost, and that is told.
fn send<E: Endpoint>(endpoint: &mut E, id: E::Id, peer: SocketAddr, data: &[u8]) {
    match endpoint.send(id, data) {
        // A connection that is over tells so by an event of its own.
        Ok(()) | Err(SendError::Closed) => {}
        Err(error) => Line::new("lost")
            .field("reason", error)
            .field("bytes", data.len())
            .field("peer", peer)
            .print(),
    }
}
