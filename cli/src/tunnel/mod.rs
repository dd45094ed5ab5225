//! `sealgram tunnel`: a UDP service is secured from both ends, without touching it.
//!
//! ```text
//!  program ─┐  plain   ┌────────┐      DTLS: one       ┌────────┐  plain, a socket  ┌─ service
//!  program ─┼────────► │ client │ ◄──────────────────► │ server │ ◄────────────────►│
//!  program ─┘  --listen└────────┘ association for each └────────┘  for each         └─ --forward
//!                        --connect       program         --listen
//! ```
//!
//! A *flow* is what one local address of the client's side sends and receives. It has an
//! association of its own, and the service sees it as an address of its own.

// A file imports from those above it only:
//
// ```text
//  backoff, queue, liveness             what one flow waits for: the next attempt, the handshake,
//                                       an answer
//  timers, slab, crowd, noise           many flows: when, by which number, how many, how loud
//  plain, status, notify                plain sockets; counters; systemd
//  carry                                the data path, in both directions
//  ground, flow                         what the client's flows share, and one of them
//  end                                  the event loop
//  client, server                       the ends
//  config                               the configuration file, beside all of this
// ```

mod backoff;
mod carry;
mod client;
pub(crate) mod config;
mod crowd;
mod end;
mod flow;
mod ground;
mod liveness;
mod noise;
mod notify;
mod plain;
mod queue;
mod server;
mod slab;
mod status;
mod timers;

use crate::address;
use crate::arguments::{CommonArguments, TunnelArguments, TunnelEnd};
use crate::problem::Problem;
use crate::report::Line;
use client::Client;
use end::Running;
use mio::Poll;
use server::Server;
use std::net::UdpSocket;

/// Carries datagrams until a signal ends it.
pub(crate) fn run(arguments: &TunnelArguments) -> Result<(), Problem> {
    let poll = Poll::new().map_err(|error| Problem::failure(format!("no events: {error}")))?;
    match &arguments.end {
        TunnelEnd::Client(arguments) => {
            check(&arguments.common)?;
            let mut arguments = arguments.clone();
            let socket = listen(&mut arguments.listen)?;
            let (listen, flows) = (arguments.listen.clone(), arguments.flows.clone());
            let connect = arguments.connect.clone();
            let client = Client::new(arguments, socket, poll.registry())?;
            let running = Running::new(client, poll, &flows)?;
            Line::new("listening")
                .field("addr", listen)
                .field("connect", connect)
                .print();
            running.run()
        }
        TunnelEnd::Server(arguments) => {
            check(&arguments.common)?;
            let mut arguments = arguments.clone();
            let socket = listen(&mut arguments.listener.listen)?;
            let (listen, flows) = (arguments.listener.listen.clone(), arguments.flows.clone());
            let forward = arguments.forward.clone();
            let server = Server::new(arguments, socket, poll.registry())?;
            let running = Running::new(server, poll, &flows)?;
            Line::new("listening")
                .field("addr", listen)
                .field("forward", forward)
                .print();
            running.run()
        }
    }
}

fn check(common: &CommonArguments) -> Result<(), Problem> {
    match common.tls {
        true => Err(Problem::usage(
            "--tls: a tunnel carries datagrams, and speaks DTLS alone",
        )),
        false => Ok(()),
    }
}

/// The socket to listen at, which `text` then names.
fn listen(text: &mut String) -> Result<UdpSocket, Problem> {
    let socket = match text.as_str() {
        notify::PASSED => notify::passed_socket()?,
        named => {
            let addresses = address::resolve(named)?;
            address::first_of(&addresses, |local| {
                UdpSocket::bind(local).map_err(|error| {
                    Problem::failure(format!("{local} cannot be listened on: {error}"))
                })
            })?
        }
    };
    let bound = socket.local_addr();
    let bound =
        bound.map_err(|error| Problem::failure(format!("the socket has no address: {error}")))?;
    *text = bound.to_string();
    Ok(socket)
}
