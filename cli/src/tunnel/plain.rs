//! Plain UDP sockets, read and written in batches (recvmmsg, UDP_GRO, UDP_SEGMENT), as the
//! library's own are.
//!
//! Buffers belong to the tunnel and not to a socket, so a thousand sockets need no more memory than
//! one, and no datagram is allocated.

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use std::array;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{IpAddr, SocketAddr};

/// The most that one buffer takes: the system gathers at most 64 KiB of one sender's datagrams.
const BUFFER: usize = 1 << 16;

/// The fewest buffers that a receive call is given, where there are several: with two, a socket
/// that held one datagram is known to be empty without another call.
const FEW: usize = if BATCH_SIZE < 2 { BATCH_SIZE } else { 2 };

/// How many bytes the system cuts into datagrams at once: what fits an IPv6 packet.
const MAX_BATCH: usize = 65_000;

/// A plain UDP socket, connected to one peer or not.
pub(super) struct Plain {
    socket: UdpSocket,
    state: UdpSocketState,
    peer: Option<SocketAddr>,
    is_ipv6: bool,
    /// It is bound to no address, so the system must be told which one to answer from.
    has_many_addresses: bool,
}

impl Plain {
    /// Takes a socket, whose buffers shall hold `buffers` bytes; the system may grant less.
    pub(super) fn new(socket: std::net::UdpSocket, buffers: usize) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let options = socket2::SockRef::from(&socket);
        let _less = options.set_recv_buffer_size(buffers);
        let _less = options.set_send_buffer_size(buffers);
        let local = socket.local_addr()?;
        let peer = socket.peer_addr().ok();
        let socket = UdpSocket::from_std(socket);
        Ok(Self {
            state: UdpSocketState::new((&socket).into())?,
            socket,
            peer,
            is_ipv6: local.is_ipv6(),
            has_many_addresses: local.ip().is_unspecified() && peer.is_none(),
        })
    }

    /// A socket that talks to `peer` alone.
    pub(super) fn connected_to(peer: SocketAddr, buffers: usize) -> io::Result<Self> {
        let any: SocketAddr = match peer {
            SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
            SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
        };
        let socket = std::net::UdpSocket::bind(any)?;
        socket.connect(peer)?;
        Self::new(socket, buffers)
    }

    /// Has the event loop tell when something comes.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.socket, token, Interest::READABLE)
    }

    #[cfg(test)]
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Sends datagrams of `size` bytes, the last of which may be shorter, to `to`, or to the peer
    /// that the socket is connected to. Those that the system does not take are lost.
    pub(super) fn send(
        &self,
        to: SocketAddr,
        from: Option<IpAddr>,
        datagrams: &[u8],
        size: usize,
    ) -> Sent {
        let mut sent = Sent::default();
        if datagrams.len() > size {
            match self.send_once(to, from, datagrams, Some(size)) {
                Ok(()) => {
                    sent.datagrams = count(datagrams.len().div_ceil(size.max(1)));
                    sent.bytes = count(datagrams.len());
                    return sent;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    sent.lost = count(datagrams.len().div_ceil(size.max(1)));
                    return sent;
                }
                // The system does not cut batches here, or reports an earlier datagram's fate: each
                // is tried by itself.
                Err(error) => sent.report(error),
            }
        }
        for datagram in datagrams.chunks(size.max(1)) {
            let mut outcome = self.send_once(to, from, datagram, None);
            if let Err(error) = &outcome
                && error.kind() == ErrorKind::ConnectionRefused
            {
                // That was about an earlier one, which is told once.
                sent.error = outcome.err();
                outcome = self.send_once(to, from, datagram, None);
            }
            match outcome {
                Ok(()) => {
                    sent.datagrams += 1;
                    sent.bytes += count(datagram.len());
                }
                Err(error) => {
                    sent.lost += 1;
                    sent.report(error);
                }
            }
        }
        sent
    }

    fn send_once(
        &self,
        to: SocketAddr,
        from: Option<IpAddr>,
        contents: &[u8],
        segment_size: Option<usize>,
    ) -> io::Result<()> {
        let from = from.filter(|_| self.has_many_addresses);
        if segment_size.is_none() && from.is_none() {
            return match self.peer {
                Some(_) => self.socket.send(contents).map(drop),
                None => self.socket.send_to(contents, to).map(drop),
            };
        }
        let transmit = Transmit {
            destination: to,
            ecn: None,
            contents,
            segment_size,
            src_ip: from.map(|ip| self.of_socket(ip)),
        };
        self.socket
            .try_io(|| self.state.try_send((&self.socket).into(), &transmit))
    }

    /// An IPv6 socket knows IPv4 addresses in their mapped form only.
    fn of_socket(&self, ip: IpAddr) -> IpAddr {
        match ip {
            IpAddr::V4(v4) if self.is_ipv6 => v4.to_ipv6_mapped().into(),
            _ => ip,
        }
    }

    /// How many datagrams of one size one call sends.
    fn max_segments(&self) -> usize {
        self.state.max_gso_segments().max(1)
    }
}

/// What became of datagrams that were sent.
#[derive(Default, Debug)]
pub(super) struct Sent {
    pub(super) datagrams: u64,
    pub(super) bytes: u64,
    /// Datagrams that the system has not taken.
    pub(super) lost: u64,
    /// What the system says about them, or about earlier ones.
    pub(super) error: Option<io::Error>,
}

impl Sent {
    fn report(&mut self, error: io::Error) {
        if error.kind() != ErrorKind::WouldBlock {
            self.error = Some(error);
        }
    }
}

/// Receive buffers, for all sockets.
pub(super) struct Intake {
    buffers: Vec<u8>,
    meta: Box<[RecvMeta]>,
    /// How many buffers the next call is given.
    width: usize,
}

/// Datagrams that one sender has sent one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<'a> {
    /// The sender.
    pub(super) from: SocketAddr,
    /// The address of this end that they were sent to, where the system tells.
    pub(super) to: Option<IpAddr>,
    /// The datagrams, one after the other.
    pub(super) datagrams: &'a [u8],
    /// How long each of them is; the last may be shorter. 0 if there is one, and it is empty.
    pub(super) size: usize,
}

impl Intake {
    pub(super) fn new() -> Self {
        Self {
            // The system gives memory to those parts alone that are used.
            buffers: vec![0; BATCH_SIZE * BUFFER],
            meta: vec![RecvMeta::default(); BATCH_SIZE].into(),
            width: FEW,
        }
    }

    /// Receives what one call brings, and hands it to `take` in order. Returns whether the socket
    /// may hold more.
    ///
    /// # Errors
    ///
    /// What the system reports about what was sent earlier. [`ErrorKind::WouldBlock`] is none.
    pub(super) fn receive(
        &mut self,
        plain: &Plain,
        mut take: impl FnMut(Run<'_>),
    ) -> io::Result<bool> {
        let width = self.width;
        let mut buffers = self.buffers.chunks_exact_mut(BUFFER);
        let mut buffers: [_; BATCH_SIZE] =
            array::from_fn(|_| IoSliceMut::new(buffers.next().unwrap_or_default()));
        let (some, meta) = (buffers.get_mut(..width), &mut self.meta);
        let some = some.unwrap_or_default();
        let socket = &plain.socket;
        let received = socket.try_io(|| plain.state.recv(socket.into(), some, meta));
        let filled = match received {
            Ok(filled) => filled,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(true),
            Err(error) => return Err(error),
        };
        self.width = match filled {
            _ if filled == width => (2 * width).min(BATCH_SIZE),
            _ => (filled + 1).next_power_of_two().clamp(FEW, BATCH_SIZE),
        };
        for (meta, buffer) in self
            .meta
            .iter()
            .zip(self.buffers.chunks(BUFFER))
            .take(filled)
        {
            take(Run {
                from: meta.addr,
                to: meta.dst_ip,
                datagrams: buffer.get(..meta.len).unwrap_or_default(),
                size: meta.stride,
            });
        }
        Ok(filled == width)
    }
}

/// Datagrams on their way to a plain socket, gathered while they have one size.
pub(super) struct Outlet {
    buffer: Vec<u8>,
}

impl Outlet {
    pub(super) fn new() -> Self {
        Self {
            buffer: vec![0; 2 * BUFFER],
        }
    }

    /// Sends what `next` writes into the buffer that it is given, until it has nothing more. It
    /// returns how long the datagram is.
    pub(super) fn carry(
        &mut self,
        plain: &Plain,
        mut next: impl FnMut(&mut [u8]) -> Option<usize>,
        mut send: impl FnMut(&[u8], usize),
    ) {
        let most = plain.max_segments();
        let (mut used, mut size, mut held) = (0, 0, 0);
        while let Some(room) = self.buffer.get_mut(used..) {
            let Some(length) = next(room) else {
                break;
            };
            let length = length.min(room.len());
            if held > 0 && length > size {
                send(self.buffer.get(..used).unwrap_or_default(), size);
                self.buffer.copy_within(used..used + length, 0);
                (used, held) = (0, 0);
            }
            if held == 0 {
                size = length;
            }
            used += length;
            held += 1;
            if length < size || held == most || used + size > MAX_BATCH {
                send(self.buffer.get(..used).unwrap_or_default(), size);
                (used, held) = (0, 0);
            }
        }
        if held > 0 {
            send(self.buffer.get(..used).unwrap_or_default(), size);
        }
    }
}

/// A number for a counter.
pub(super) fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_of_one_size_leave_together_and_keep_their_order() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let plain = Plain::new(socket, BUFFER).unwrap();
        let sizes = [3, 3, 2, 3, 5, 5, 9, 1];
        let mut left = sizes.iter().enumerate();
        let mut sent = Vec::new();
        let mut all = Vec::new();
        Outlet::new().carry(
            &plain,
            |room| {
                let (index, &length) = left.next()?;
                room[..length].fill(u8::try_from(index).unwrap());
                Some(length)
            },
            |datagrams, size| {
                sent.push((datagrams.len(), size));
                all.extend(datagrams.chunks(size).map(|it| (it[0], it.len())));
            },
        );
        let expected: Vec<_> = (0..).zip(sizes).collect();
        assert_eq!(all, expected);
        if plain.max_segments() >= 3 {
            assert_eq!(sent, [(8, 3), (3, 3), (10, 5), (10, 9)]);
        }
    }

    #[test]
    fn a_batch_arrives_as_its_datagrams_with_their_sender() {
        let bind = || std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let (sender, receiver) = (
            Plain::new(bind(), BUFFER).unwrap(),
            Plain::new(bind(), BUFFER),
        );
        let receiver = receiver.unwrap();
        let to = receiver.local_addr().unwrap();
        let sent = sender.send(to, None, &[7; 25], 10);
        assert_eq!((sent.datagrams, sent.bytes, sent.lost), (3, 25, 0));
        let mut intake = Intake::new();
        let mut lengths = Vec::new();
        let from = sender.local_addr().unwrap();
        for _ in 0..100 {
            let more = intake.receive(&receiver, |run| {
                assert_eq!(run.from, from);
                lengths.extend(run.datagrams.chunks(run.size).map(<[u8]>::len));
            });
            if !more.unwrap() && lengths.len() == 3 {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        assert_eq!(lengths, [10, 10, 5]);
    }
}
