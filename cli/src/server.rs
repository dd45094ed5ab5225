//! `sealgram server`.

use crate::address;
use crate::arguments::ServerArguments;
use crate::endpoint::{Endpoint, Happening, TcpEndpoint};
use crate::event_loop::{self, EventLoop, Service, Step};
use crate::input::{Input, Next};
use crate::output;
use crate::problem::Problem;
use crate::report::{self, Line};
use crate::settings;
use crate::signals;
use sealgram::error::SendError;
use sealgram::net::UdpEndpoint;
use sealgram::server::ClientAuthentication;
use sealgram::{Event, Side};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Serves until a signal ends it.
pub(crate) fn run(arguments: &ServerArguments) -> Result<(), Problem> {
    let config = Arc::new(settings::server(arguments)?);
    let addresses = address::resolve(&arguments.listener.listen)?;
    let refused = |local, error: io::Error| {
        Problem::failure(format!("{local} cannot be listened on: {error}"))
    };
    if arguments.common.tls {
        let endpoint = address::first_of(&addresses, |local| {
            TcpEndpoint::bind(local, config.clone()).map_err(|error| refused(local, error))
        })?;
        let address = endpoint.local_addr();
        serve(arguments, vec![endpoint], address)
    } else {
        let policy = settings::server_endpoint(arguments)?;
        let members = address::first_of(&addresses, |local| {
            let (policy, config) = (policy.clone(), config.clone());
            let bound = match arguments.threads {
                Some(threads) => UdpEndpoint::bind_group(local, threads, policy, config),
                None => UdpEndpoint::bind(local, policy, Some(config)).map(|one| vec![one]),
            };
            bound.map_err(|error| refused(local, error))
        })?;
        let address = members[0].local_addr();
        serve(arguments, members, address)
    }
}

/// Serves at every one of these endpoints, in a thread each.
fn serve<E: Endpoint<Id: Send> + Send>(
    arguments: &ServerArguments,
    endpoints: Vec<E>,
    address: io::Result<SocketAddr>,
) -> Result<(), Problem> {
    let address =
        address.map_err(|error| Problem::failure(format!("the socket has no address: {error}")))?;
    let members = endpoints.into_iter().map(|it| Member::new(arguments, it));
    let members = members.collect::<Result<Vec<_>, _>>()?;
    Line::new("listening").field("addr", address).print();
    if let Some(pause) = settings::client_renegotiation_pause(arguments) {
        Line::new("client_renegotiation")
            .field("min_seconds", pause.as_secs())
            .print();
    }
    let run = |member: Member<E>| {
        let outcome = member.run();
        if outcome.is_err() {
            // Half a server would go unnoticed.
            signals::stop_all();
        }
        outcome
    };
    thread::scope(|scope| {
        let threads: Vec<_> = members
            .into_iter()
            .map(|member| scope.spawn(|| run(member)))
            .collect();
        let outcomes = threads.into_iter().map(|thread| match thread.join() {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        // Every thread is waited for, whatever has become of the others.
        outcomes.fold(Ok(()), Result::and)
    })
}

/// A server with its event loop.
struct Member<E: Endpoint> {
    event_loop: EventLoop<E>,
    server: Server<E>,
}

impl<E: Endpoint> Member<E> {
    fn new(arguments: &ServerArguments, endpoint: E) -> Result<Self, Problem> {
        let mut event_loop = EventLoop::new(endpoint)?;
        event_loop.handle_signals()?;
        let work = match arguments.stdio {
            true => Work::Stdio(Some(Input::stdin(event_loop.waker()?)?)),
            false => Work::Echo,
        };
        let server = Server::<E> {
            work,
            later: settings::later_client_authentication(arguments)?,
            peers: BTreeMap::new(),
            stopping: None,
        };
        Ok(Self { event_loop, server })
    }

    fn run(mut self) -> Result<(), Problem> {
        let outcome = self.event_loop.run(&mut self.server);
        self.event_loop.endpoint().counters().print();
        outcome
    }
}

/// How long closing may take.
const FAREWELL: Duration = Duration::from_secs(3);

/// A running server.
struct Server<E: Endpoint> {
    work: Work,
    /// Which clients' certificates the line `C` asks for.
    later: Option<ClientAuthentication>,
    /// The established connections.
    peers: BTreeMap<E::Id, SocketAddr>,
    /// The server is closing, until this moment at the latest.
    stopping: Option<Instant>,
}

/// What is done with data.
enum Work {
    /// It goes back to its sender.
    Echo,
    /// It goes to standard output, and standard input to every peer, until it has ended.
    Stdio(Option<Input>),
}

impl<E: Endpoint> Service<E> for Server<E> {
    fn stop(&mut self, endpoint: &mut E) {
        self.tell_peers(endpoint);
        endpoint.close_all();
        self.stopping = Some(Instant::now() + FAREWELL);
    }

    fn tell_counters(&self, endpoint: &E) {
        self.tell_peers(endpoint);
        endpoint.counters().print();
    }

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

    /// Lines wait in the pipe while there is no client, or while one of them has no room.
    fn advance(&mut self, endpoint: &mut E) -> Result<Step, Problem> {
        if let Some(until) = self.stopping {
            return Ok(match endpoint.is_empty() || until <= Instant::now() {
                true => Step::Done,
                false => Step::Wait(Some(until)),
            });
        }
        let Work::Stdio(input) = &mut self.work else {
            return Ok(Step::Wait(None));
        };
        let takers = !self.peers.is_empty() && self.peers.keys().all(|&id| endpoint.has_room(id));
        let Some(lines) = input.as_mut().filter(|_| takers) else {
            return Ok(Step::Wait(None));
        };
        match lines.next() {
            Next::Line(line) if line.trim_ascii_end() == b"C" => {
                self.ask_for_certificates(endpoint);
                return Ok(Step::Again);
            }
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
    fn ask_for_certificates(&self, endpoint: &mut E) {
        let Some(policy) = &self.later else {
            let reason = "C needs --client-ca FILE with the roots of clients' certificates";
            Line::new("refused").field("reason", reason).print();
            return;
        };
        for &id in self.peers.keys() {
            if let Err(error) = endpoint.request_client_certificate(id, policy.clone()) {
                Line::new("refused").field("reason", error).print();
            }
        }
    }

    fn tell_peers(&self, endpoint: &E) {
        for (&id, &peer) in &self.peers {
            if let Some(connection) = endpoint.connection(id) {
                report::counters(peer, connection.stats()).print();
            }
        }
    }

    fn handle_event(&mut self, endpoint: &mut E, id: E::Id, event: Event) -> Result<(), Problem> {
        match event {
            Event::HandshakeComplete {
                kind,
                renegotiation,
            } => {
                if let Some((connection, peer)) = endpoint.connection(id).zip(endpoint.peer(id)) {
                    let shown = connection.peer_identity();
                    let certificate = shown.is_some_and(|it| !it.certificates().is_empty());
                    report::handshake_complete(connection, peer, kind, renegotiation, certificate)
                        .print();
                    if let Some(ids) = endpoint.connection_ids(id) {
                        report::connection_ids(peer, &ids).print();
                    }
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
            Event::PathChanged(change) => {
                report::path_changed(&change).print();
                self.peers.insert(id, change.to.remote());
            }
            Event::PathNotValidated(path) => {
                if let Some(&peer) = self.peers.get(&id) {
                    report::path_not_validated(peer, &path).print();
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
            // While nothing can be sent back, data is better left with its sender.
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

/// Sends data if there is room; otherwise it is lost, and that is reported.
fn send<E: Endpoint>(endpoint: &mut E, id: E::Id, peer: SocketAddr, data: &[u8]) {
    match endpoint.send(id, data) {
        // Another event reports a connection that is over.
        Ok(()) | Err(SendError::Closed) => {}
        Err(error) => Line::new("lost")
            .field("reason", error)
            .field("bytes", data.len())
            .field("peer", peer)
            .print(),
    }
}
