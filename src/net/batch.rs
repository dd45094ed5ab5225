//! Batched datagram I/O: one system call for many datagrams where the kernel supports it
//! (UDP_SEGMENT, UDP_GRO).

use crate::connection::Transmit;
use crate::protocol::{Ecn, Path};
use bytes::BytesMut;
use quinn_udp::{EcnCodepoint, RecvMeta, UdpSockRef, UdpSocketState};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};

/// The most that one receive call returns: the kernel gathers at most 64 KiB.
const MAX_RECEIVE: usize = 1 << 16;

/// How much is allocated at a time, in bytes. Received data keep alive the allocation that they lie
/// in.
const ARENA: usize = 2 * MAX_RECEIVE;

/// Receives and sends on one socket.
pub(super) struct Batch {
    state: UdpSocketState,
    /// The socket is an IPv6 one, and knows IPv4 addresses in their mapped form only.
    is_ipv6: bool,
    /// Initialised memory for datagrams to come; what is received is split off the front.
    arena: BytesMut,
}

impl Batch {
    /// Sets the socket up: packet information, GRO, no fragmentation.
    ///
    /// On Linux that is `IP_PMTUDISC_PROBE`: the system does not fragment datagrams, and ignores
    /// what ICMP messages have told it about a path, because anybody can forge those
    /// (RFC 6347 §4.1.1.1). So `EMSGSIZE` is about the interface that a datagram leaves by. With
    /// `IP_PMTUDISC_DO` a stranger's ICMP message could shrink the datagrams of an association;
    /// with `IP_PMTUDISC_DONT` datagrams would be fragmented, and one lost fragment loses the
    /// datagram.
    pub(super) fn new(socket: UdpSockRef<'_>, local: SocketAddr) -> io::Result<Self> {
        Ok(Self {
            state: UdpSocketState::new(socket)?,
            is_ipv6: local.is_ipv6(),
            arena: BytesMut::new(),
        })
    }

    /// Forgets what was learned about the socket by sending.
    pub(super) fn renew(&mut self, socket: UdpSockRef<'_>) -> io::Result<()> {
        self.state = UdpSocketState::new(socket)?;
        Ok(())
    }

    /// An address in the form that the socket requires.
    fn of_socket(&self, ip: IpAddr) -> IpAddr {
        match ip {
            IpAddr::V4(v4) if self.is_ipv6 => v4.to_ipv6_mapped().into(),
            _ => ip,
        }
    }

    /// How many datagrams of equal size one call can send.
    pub(super) fn max_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    /// Receives what one call returns and hands each datagram to `take`.
    pub(super) fn receive(
        &mut self,
        socket: UdpSockRef<'_>,
        mut take: impl FnMut(Path, BytesMut),
    ) -> io::Result<()> {
        if self.arena.len() < MAX_RECEIVE {
            // Reclaims the allocation if nothing that was received from it is still alive.
            self.arena.reserve(ARENA);
            self.arena.resize(ARENA, 0);
        }
        let mut meta = [RecvMeta::default()];
        let count = self.state.recv(
            socket,
            &mut [IoSliceMut::new(&mut self.arena[..MAX_RECEIVE])],
            &mut meta,
        )?;
        for meta in &meta[..count] {
            let mut path = Path::new(meta.addr).with_ecn(meta.ecn.map(ecn_from));
            if let Some(local) = meta.dst_ip {
                path = path.with_local(local);
            }
            let mut rest = self.arena.split_to(meta.len);
            // An empty datagram is not the end of anything; it is ignored.
            while !rest.is_empty() {
                take(path, rest.split_to(meta.stride.clamp(1, rest.len())));
            }
        }
        Ok(())
    }

    /// Sends what one call can.
    pub(super) fn send(
        &self,
        socket: UdpSockRef<'_>,
        transmit: &Transmit,
        contents: &[u8],
    ) -> io::Result<()> {
        let remote = transmit.path.remote();
        let destination = match remote {
            SocketAddr::V4(_) => SocketAddr::new(self.of_socket(remote.ip()), remote.port()),
            // With its scope.
            SocketAddr::V6(_) => remote,
        };
        self.state.try_send(
            socket,
            &quinn_udp::Transmit {
                destination,
                ecn: None,
                contents,
                segment_size: transmit.segment_size,
                src_ip: transmit.path.local().map(|ip| self.of_socket(ip)),
            },
        )
    }
}

const fn ecn_from(codepoint: EcnCodepoint) -> Ecn {
    match codepoint {
        EcnCodepoint::Ect0 => Ecn::Ect0,
        EcnCodepoint::Ect1 => Ecn::Ect1,
        EcnCodepoint::Ce => Ecn::Ce,
    }
}
