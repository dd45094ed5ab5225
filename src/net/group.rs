//! Endpoints that share a port, one for each thread.

use super::udp::UdpEndpoint;
use crate::config::{FleetSecret, ServerConfig};
use crate::endpoint::EndpointPolicy;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;

impl UdpEndpoint {
    /// Binds `members` endpoints to one address, for a server on several cores: give each of them
    /// to a thread with an event loop of its own. The system deals the peers out among them
    /// (`SO_REUSEPORT`). See `examples/dtls_echo_cores.rs`, and the chapter
    /// [`fleets`](crate::docs::fleets).
    ///
    /// Members share `server`, with its tickets and its session store, and the secret of their
    /// cookies: a client may be asked for a cookie by one and served by another, and resumes at
    /// each of them. Everything else is each member's own: the limits of `policy` hold for every
    /// single one, and an [`AssociationId`](crate::endpoint::AssociationId) means something to the
    /// member alone that gave it.
    ///
    /// If the port of `local` is 0, the system chooses one that nobody has, which all members get.
    /// Any other port may also be that of a group in another process of the same user, and peers
    /// are dealt out among all; then both groups need the same
    /// [fleet](crate::server::ServerConfigBuilder::fleet).
    ///
    /// # What the system does
    ///
    /// *Linux* chooses the member by a hash of the addresses and ports of both ends, so a peer
    /// stays with its member as long as the number of members is the same. When one is dropped, or
    /// one joins, peers move, some between members that stay. What a peer that has moved sends
    /// reaches a member without an association for it, which drops it
    /// ([`EndpointStats::strays`](crate::endpoint::EndpointStats::strays)) and has no way to tell.
    /// The peer finds out by its own timeout and connects again, which resumes its session. So a
    /// service binds all members when it starts, and keeps them all until it ends.
    ///
    /// *Other Unix systems* bind the members, but may hand every datagram to the same one: macOS
    /// does. *Windows*, Solaris and illumos have no such groups.
    ///
    /// A group serves. Answers to a client of its own may reach any of the members, so a program
    /// that connects as well binds another endpoint for that.
    ///
    /// # Peers that move
    ///
    /// The number of the first member in its fleet is that of `policy`
    /// ([`EndpointPolicy::member`]), and the others have the numbers that follow. But *the system*
    /// does not look into connection IDs: a peer that has moved may reach another member, which
    /// counts it among `unknown_connection_ids`
    /// ([`EndpointStats`](crate::endpoint::EndpointStats)). Where peers move, each endpoint has a
    /// port of its own, and something in front of them reads the number:
    /// [`fleets`](crate::docs::fleets).
    ///
    /// # Errors
    ///
    /// If the address cannot be bound, also because somebody has it alone; if the system has no
    /// randomness; `ErrorKind::Unsupported` where a system has no groups.
    pub fn bind_group(
        local: SocketAddr,
        members: NonZeroUsize,
        mut policy: EndpointPolicy,
        server: Arc<ServerConfig>,
    ) -> io::Result<Vec<Self>> {
        let secret = FleetSecret::draw(&*server.parameters.random).map_err(io::Error::other)?;
        policy.group = Some(secret);
        let sockets = bind_together(local, members)?;
        let first = policy.member;
        let member = |(number, socket)| {
            let policy = policy.clone().member(first.wrapping_add(number));
            Self::from_socket(socket, policy, Some(server.clone()))
        };
        (0..).zip(sockets).map(member).collect()
    }
}

/// As many sockets at one address.
fn bind_together(
    mut local: SocketAddr,
    members: NonZeroUsize,
) -> io::Result<Vec<std::net::UdpSocket>> {
    let mut sockets = Vec::new();
    for _ in 0..members.get() {
        let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
        // To who is ready to share, the system gives ports that groups of the same user have
        // already. So the first member asks for a port of its own, and shares it then.
        let any_port = local.port() == 0;
        if !any_port {
            share_port(&socket)?;
        }
        socket.bind(&local.into())?;
        if any_port {
            share_port(&socket)?;
        }
        let socket = std::net::UdpSocket::from(socket);
        local.set_port(socket.local_addr()?.port());
        sockets.push(socket);
    }
    Ok(sockets)
}

#[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos"))))]
fn share_port(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)
}

#[cfg(not(all(unix, not(any(target_os = "solaris", target_os = "illumos")))))]
fn share_port(_: &Socket) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "this system does not deal out the datagrams of one port (SO_REUSEPORT): bind one endpoint, \
         or one for each port",
    ))
}
