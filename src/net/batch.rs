//! Batched datagram I/O: one system call for many datagrams where the kernel supports it
//! (recvmmsg, UDP_SEGMENT, UDP_GRO).

use crate::connection::Transmit;
use crate::protocol::address::canonical;
use crate::protocol::{Ecn, Path};
use bytes::BytesMut;
use mio::net::UdpSocket;
use quinn_udp::{BATCH_SIZE, EcnCodepoint, RecvMeta, UdpSocketState};
use std::array;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};

/// The most that one buffer takes: the kernel gathers at most 64 KiB of one sender's datagrams.
const MAX_RECEIVE: usize = 1 << 16;

/// How many buffers a receive call can fill. Where the system has no call for several, one that
/// fills one buffer must not be taken for one that has found the socket's end.
const MANY: usize = if cfg!(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd"
)) {
    BATCH_SIZE
} else {
    1
};

/// How many buffers a call has where a few senders have filled `FEW` of them with a little each.
/// What one sender has sent much of is better left in the socket until it is looked at.
const SEVERAL: usize = if MANY < 8 { MANY } else { 8 };

/// How many buffers a call has while one may be enough. With two, a socket that held one datagram
/// is known to be empty without a second call.
const FEW: usize = if MANY < 2 { MANY } else { 2 };

/// How much is allocated for received datagrams at first, in bytes. They keep alive the allocation
/// that they lie in.
const MIN_ARENA: usize = 1 << 14;

/// How much is allocated at most, when the allocations before are still in use. What a turn brings
/// of one sender fits.
const MAX_ARENA: usize = 1 << 18;

/// Receives and sends on one socket.
///
/// The kernel writes into buffers that stay the same, and what it has written is copied to the end
/// of an arena, of which received data are slices. If they were slices of the buffers, a datagram
/// of 100 bytes would keep 64 KiB alive, and fresh buffers would have to be zeroed, which costs as
/// much as the copy.
pub(super) struct Batch {
    state: UdpSocketState,
    /// The socket is an IPv6 one, and knows IPv4 addresses in their mapped form only.
    is_ipv6: bool,
    /// The socket is bound to no address, so that the system must be told which one to send from.
    has_many_addresses: bool,
    /// The peer that the socket is connected to, if it is.
    peer: Option<SocketAddr>,
    /// Receive buffers. Of those that were never filled, the system has not given the memory yet.
    buffers: Vec<u8>,
    /// What the system says about each of them.
    meta: Box<[RecvMeta]>,
    /// How many buffers the last receive call had, how many of them it has filled, and how many of
    /// those were handed on.
    offered: usize,
    filled: usize,
    handed_on: usize,
    /// The end of the newest allocation, free from the front.
    arena: BytesMut,
    /// How much is allocated next.
    next_arena: usize,
}

/// What a receive call says about the socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Left {
    /// It is empty.
    Nothing,
    /// It may hold more.
    Perhaps,
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
    pub(super) fn new(socket: &UdpSocket) -> io::Result<Self> {
        let local = socket.local_addr()?;
        Ok(Self {
            state: UdpSocketState::new(socket.into())?,
            is_ipv6: local.is_ipv6(),
            has_many_addresses: local.ip().is_unspecified(),
            peer: socket.peer_addr().ok().map(canonical),
            buffers: Vec::new(),
            meta: [RecvMeta::default(); MANY].into(),
            offered: FEW,
            filled: 0,
            handed_on: 0,
            arena: BytesMut::new(),
            next_arena: MIN_ARENA,
        })
    }

    /// Forgets what was learned about the socket by sending.
    pub(super) fn renew(&mut self, socket: &UdpSocket) -> io::Result<()> {
        self.state = UdpSocketState::new(socket.into())?;
        Ok(())
    }

    /// An address in the form that the socket requires.
    fn of_socket(&self, ip: IpAddr) -> IpAddr {
        match ip {
            IpAddr::V4(v4) if self.is_ipv6 => v4.to_ipv6_mapped().into(),
            _ => ip,
        }
    }

    /// The peer that the socket is connected to, if it is.
    pub(super) const fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// How many datagrams of equal size one call can send.
    pub(super) fn max_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    /// Hands to `take` what one sender has sent: datagrams one after the other, and how long each
    /// of them is; the last may be shorter. Calls the system when nothing is left of the call
    /// before.
    pub(super) fn receive(
        &mut self,
        socket: &UdpSocket,
        take: impl FnOnce(Path, BytesMut, usize),
    ) -> io::Result<Left> {
        if self.handed_on == self.filled {
            self.fill(socket)?;
        }
        let index = self.handed_on;
        self.handed_on += 1;
        let meta = self.meta[index];
        // An empty datagram is not the end of anything; it is ignored.
        if meta.len > 0 {
            let mut path = Path::new(meta.addr).with_ecn(meta.ecn.map(ecn_from));
            if let Some(local) = meta.dst_ip {
                path = path.with_local(local);
            }
            let datagrams = self.keep(index * MAX_RECEIVE, meta.len);
            take(path, datagrams, meta.stride.max(1));
        }
        // A call that leaves buffers empty has found the end.
        let is_last = self.handed_on == self.filled && self.filled < self.offered;
        Ok(if is_last {
            Left::Nothing
        } else {
            Left::Perhaps
        })
    }

    /// Calls the system with as many buffers as seem worth it. If it succeeds, one is filled.
    fn fill(&mut self, socket: &UdpSocket) -> io::Result<()> {
        let filled = std::mem::take(&mut self.filled);
        self.handed_on = 0;
        let bytes: usize = self.meta[..filled].iter().map(|meta| meta.len).sum();
        let more = filled == self.offered && bytes <= MAX_RECEIVE;
        self.offered = match filled {
            _ if more && filled == FEW => SEVERAL,
            _ if more || filled > SEVERAL => MANY,
            _ if filled > FEW => SEVERAL,
            _ => FEW,
        };
        // Not by patterns: where one buffer is all that a call fills, these are the same.
        self.filled = if self.offered == FEW {
            self.fill_buffers::<FEW>(socket)?
        } else if self.offered == SEVERAL {
            self.fill_buffers::<SEVERAL>(socket)?
        } else {
            self.fill_buffers::<MANY>(socket)?
        };
        Ok(())
    }

    fn fill_buffers<const WIDTH: usize>(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        if self.buffers.len() < WIDTH * MAX_RECEIVE {
            self.buffers = vec![0; WIDTH * MAX_RECEIVE];
        }
        let mut buffers = self.buffers.chunks_exact_mut(MAX_RECEIVE);
        let mut buffers: [_; WIDTH] =
            array::from_fn(|_| IoSliceMut::new(buffers.next().unwrap_or_default()));
        // On some systems mio has to learn that nothing is left, to tell when there is more.
        socket.try_io(|| self.state.recv(socket.into(), &mut buffers, &mut self.meta))
    }

    /// Copies what the buffer that starts at `start` holds to memory that may outlive the next
    /// call.
    fn keep(&mut self, start: usize, length: usize) -> BytesMut {
        let spare = self.arena.capacity() - self.arena.len();
        // Reclaims the allocation if nothing that was received into it is still alive.
        if spare < length && !self.arena.try_reclaim(length) {
            self.arena = BytesMut::with_capacity(self.next_arena.max(length));
            self.next_arena = MAX_ARENA.min(2 * self.next_arena);
        }
        self.arena
            .extend_from_slice(&self.buffers[start..start + length]);
        self.arena.split()
    }

    /// Sends what one call can. A single datagram goes the shortest way: the system need not look
    /// at anything beside it, and for a connected socket it knows the route already.
    pub(super) fn send(
        &self,
        socket: &UdpSocket,
        transmit: &Transmit,
        contents: &[u8],
    ) -> io::Result<()> {
        let remote = transmit.path.remote();
        let is_single = transmit.segment_size.is_none();
        if is_single && self.peer == Some(remote) {
            return socket.send(contents).map(drop);
        }
        let destination = match remote {
            SocketAddr::V4(_) => SocketAddr::new(self.of_socket(remote.ip()), remote.port()),
            // With its scope.
            SocketAddr::V6(_) => remote,
        };
        let local = transmit.path.local().filter(|_| self.has_many_addresses);
        if is_single && local.is_none() {
            return socket.send_to(contents, destination).map(drop);
        }
        let transmit = quinn_udp::Transmit {
            destination,
            ecn: None,
            contents,
            segment_size: transmit.segment_size,
            src_ip: local.map(|ip| self.of_socket(ip)),
        };
        socket.try_io(|| self.state.try_send(socket.into(), &transmit))
    }
}

const fn ecn_from(codepoint: EcnCodepoint) -> Ecn {
    match codepoint {
        EcnCodepoint::Ect0 => Ecn::Ect0,
        EcnCodepoint::Ect1 => Ecn::Ect1,
        EcnCodepoint::Ce => Ecn::Ce,
    }
}
