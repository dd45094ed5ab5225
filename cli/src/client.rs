//! `sealgram client`.

use crate::address;
use crate::arguments::ClientArguments;
use crate::endpoint::{Endpoint, Happening, TcpEndpoint};
use crate::event_loop::{self, EventLoop, Service, Step};
use crate::input::{Input, Next};
use crate::output;
use crate::problem::Problem;
use crate::report::{self, Line};
use crate::session_file;
use crate::settings;
use sealgram::error::SendError;
use sealgram::net::UdpEndpoint;
use sealgram::pki_types::ServerName;
use sealgram::record::Stats;
use sealgram::{Event, Side};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Connects, and carries lines until one of the ends has no more.
pub(crate) fn run(arguments: &ClientArguments) -> Result<(), Problem> {
    let name = server_name(arguments)?;
    let config = Arc::new(settings::client(arguments)?);
    if let Some(file) = &arguments.session_in {
        session_file::read(file, &config, &name)?;
    }
    let addresses = address::resolve(&arguments.server)?;
    if arguments.common.tls {
        let mut endpoint = TcpEndpoint::new();
        let (id, remote) = address::first_of(&addresses, |remote| {
            let started = endpoint.connect(config.clone(), name.clone(), remote);
            let id = started.map_err(|error| unreachable_from_here(remote, &error))?;
            Ok((id, remote))
        })?;
        talk(arguments, endpoint, id, remote)
    } else {
        let policy = settings::client_endpoint(&arguments.common);
        let (mut endpoint, remote) = address::first_of(&addresses, |remote| {
            let endpoint = UdpEndpoint::connected_to(remote, policy.clone());
            let endpoint = endpoint.map_err(|error| unreachable_from_here(remote, &error))?;
            Ok((endpoint, remote))
        })?;
        let id = endpoint
            .connect(config, name, remote)
            .map_err(Problem::failure)?;
        talk(arguments, endpoint, id, remote)
    }
}

/// The name that the server has to prove.
pub(crate) fn server_name(arguments: &ClientArguments) -> Result<ServerName<'static>, Problem> {
    let host = address::host(&arguments.server)?;
    let named = arguments.trust.name.as_deref().unwrap_or(host);
    let name = address::without_zone(named);
    let parsed = ServerName::try_from(name).map_err(|_| {
        Problem::usage(format!(
            "{name} is neither a DNS name nor an IP address; see --name"
        ))
    })?;
    Ok(parsed.to_owned())
}

fn unreachable_from_here(remote: SocketAddr, error: &dyn fmt::Display) -> Problem {
    Problem::failure(format!("{remote} cannot be reached from here: {error}"))
}

/// Carries lines over a connection that has just been started.
fn talk<E: Endpoint>(
    arguments: &ClientArguments,
    endpoint: E,
    id: E::Id,
    remote: SocketAddr,
) -> Result<(), Problem> {
    let mut event_loop = EventLoop::new(endpoint)?;
    event_loop.handle_signals()?;
    let input = Input::stdin(event_loop.waker()?)?;
    Line::new("connecting").field("peer", remote).print();
    let mut client = Client::<E> {
        id,
        remote,
        input,
        waiting: None,
        phase: Phase::Handshaking,
        shows_certificate: arguments.credential.cert.is_some(),
        session_out: arguments.session_out.clone(),
        lines_refused: 0,
        stats: None,
    };
    let outcome = event_loop.run(&mut client);
    client.tell_counters(event_loop.endpoint());
    outcome?;
    match client.lines_refused {
        0 => Ok(()),
        count => Err(Problem::failure(format!(
            "{count} lines of the input were too long for a datagram; send shorter ones, or raise --mtu"
        ))),
    }
}

/// A running client.
struct Client<E: Endpoint> {
    id: E::Id,
    remote: SocketAddr,
    input: Input,
    /// A line for which the queue had no room.
    waiting: Option<Vec<u8>>,
    phase: Phase,
    shows_certificate: bool,
    session_out: Option<PathBuf>,
    lines_refused: u64,
    /// The counters as they were when the connection was last there.
    stats: Option<Stats>,
}

/// How far the client is.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The handshake is not complete; lines wait in the pipe.
    Handshaking,
    /// Lines are sent.
    Open,
    /// The input has ended; answers may be on their way.
    Lingering {
        /// When the input ended.
        since: Instant,
        /// When data came last, or the input ended.
        heard: Instant,
    },
    /// The close_notify is being sent.
    Closing,
    /// The connection is over.
    Over,
}

/// How long a silence after the end of the input means that nothing more comes.
const SILENCE: Duration = Duration::from_millis(300);

/// The longest time that the client stays after the end of the input, whatever comes.
const LINGER: Duration = Duration::from_secs(2);

impl<E: Endpoint> Service<E> for Client<E> {
    fn observe(&mut self, endpoint: &E) {
        if let Some(connection) = endpoint.connection(self.id) {
            self.stats = Some(connection.stats().clone());
        }
    }

    fn stop(&mut self, endpoint: &mut E) {
        endpoint.close(self.id);
        self.phase = Phase::Closing;
    }

    fn tell_counters(&self, _: &E) {
        if let Some(stats) = &self.stats {
            report::counters(self.remote, stats).print();
        }
    }

    fn handle(&mut self, endpoint: &mut E, event: Happening<E::Id>) -> Result<(), Problem> {
        match event {
            Happening::Connection(_, event) => self.handle_event(endpoint, event)?,
            Happening::Failed(_, problem) => return Err(problem),
            Happening::Closed(_) => {
                Line::new("closed").field("peer", self.remote).print();
                self.phase = Phase::Over;
            }
            Happening::Unreachable { remote, error } => {
                report::unreachable(remote.or(Some(self.remote)), &error).print();
            }
        }
        Ok(())
    }

    fn advance(&mut self, endpoint: &mut E) -> Result<Step, Problem> {
        Ok(match self.phase {
            Phase::Handshaking | Phase::Closing => Step::Wait(None),
            Phase::Open => self.send_line(endpoint),
            Phase::Lingering { since, heard } => {
                let pending = endpoint.connection(self.id).is_some_and(|connection| {
                    connection.renegotiate_pending() || connection.key_update_type().is_some()
                });
                let until = if pending {
                    since + LINGER
                } else {
                    (since + LINGER).min(heard + SILENCE)
                };
                if until > Instant::now() {
                    Step::Wait(Some(until))
                } else {
                    endpoint.close(self.id);
                    self.phase = Phase::Closing;
                    Step::Again
                }
            }
            Phase::Over => Step::Done,
        })
    }
}

impl<E: Endpoint> Client<E> {
    fn handle_event(&mut self, endpoint: &mut E, event: Event) -> Result<(), Problem> {
        match event {
            Event::HandshakeComplete {
                kind,
                renegotiation,
            } => {
                if let Some(connection) = endpoint.connection(self.id) {
                    let (peer, certificate) = (self.remote, self.shows_certificate);
                    report::handshake_complete(connection, peer, kind, renegotiation, certificate)
                        .print();
                    if let Some(ids) = endpoint.connection_ids(self.id) {
                        report::connection_ids(peer, &ids).print();
                    }
                    if let (Some(file), Some(session)) = (&self.session_out, connection.session()) {
                        session_file::write(file, &session)?;
                    }
                }
                if let Phase::Handshaking = self.phase {
                    self.phase = Phase::Open;
                }
            }
            Event::HybridShareLeftOut => {
                let line = Line::new("hybrid_share_left_out");
                line.field("peer", self.remote).print();
            }
            Event::RenegotiationRefused { reason } => {
                report::renegotiation_refused(self.remote, reason).print();
            }
            Event::KeysUpdated { sender } => {
                report::keys_updated(self.remote, sender == Side::Client).print();
            }
            Event::TicketReceived => {
                let connection = endpoint.connection(self.id);
                let session = connection.and_then(|connection| connection.session());
                if let (Some(file), Some(session)) = (&self.session_out, session) {
                    session_file::write(file, &session)?;
                }
            }
            Event::PathChanged(change) => {
                report::path_changed(&change).print();
                self.remote = change.to.remote();
            }
            Event::PathNotValidated(path) => {
                report::path_not_validated(self.remote, &path).print();
            }
            Event::Readable => self.take_data(endpoint)?,
            Event::PeerClosed => {
                self.take_data(endpoint)?;
                Line::new("peer_closed").field("peer", self.remote).print();
                endpoint.close(self.id);
                self.phase = Phase::Closing;
            }
            _ => {}
        }
        Ok(())
    }

    fn take_data(&mut self, endpoint: &mut E) -> Result<(), Problem> {
        while let Some(data) = endpoint.recv(self.id) {
            output::write(&data)?;
            if let Phase::Lingering { heard, .. } = &mut self.phase {
                *heard = Instant::now();
            }
        }
        Ok(())
    }

    /// Sends the next line; over UDP it is one datagram.
    fn send_line(&mut self, endpoint: &mut E) -> Step {
        let next = match self.waiting.take() {
            Some(line) => Next::Line(line),
            None => self.input.next(),
        };
        match next {
            Next::Line(line) => self.take_line(endpoint, line),
            Next::Nothing => Step::Wait(None),
            Next::End => {
                let now = Instant::now();
                self.phase = Phase::Lingering {
                    since: now,
                    heard: now,
                };
                Step::Again
            }
        }
    }

    fn take_line(&mut self, endpoint: &mut E, line: Vec<u8>) -> Step {
        match Input::command(&line) {
            Some(command) => {
                event_loop::command(endpoint, self.id, command);
                Step::Again
            }
            None => match endpoint.send(self.id, &line) {
                Ok(()) => Step::Again,
                // The queue has just been offered to the socket, so the socket is full; an event
                // comes when it has room.
                Err(SendError::Backlog | SendError::Renegotiating) => {
                    self.waiting = Some(line);
                    Step::Wait(None)
                }
                Err(error @ SendError::TooLarge { .. }) => {
                    self.lines_refused += 1;
                    Line::new("lost")
                        .field("reason", error)
                        .field("bytes", line.len())
                        .print();
                    Step::Again
                }
                // Why it is over is reported by another event.
                Err(_) => Step::Wait(None),
            },
        }
    }
}
