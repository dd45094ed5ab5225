//! Datagrams without a stack: plain, or sealed and opened by bare `ring`, in each of the ways that
//! the system has to send and receive them.

use crate::floor::Floor12;
use crate::ready::Ready;
use crate::sockets;
use crate::transfer::{Pace, Rx, Tx};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};
use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

/// What is done to a payload.
pub enum Codec {
    /// It is copied.
    Plain,
    /// It is sealed as at version 1.2.
    Ring(Box<Floor12>),
}

impl Codec {
    /// Nothing.
    pub fn plain() -> Self {
        Self::Plain
    }

    /// Bare `ring`.
    pub fn ring() -> Self {
        Self::Ring(Box::new(Floor12::new()))
    }

    /// Appends a datagram to `out`.
    pub fn seal(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Plain => out.extend_from_slice(payload),
            Self::Ring(floor) => floor.seal(payload, out),
        }
    }

    /// Opens a datagram in place.
    pub fn open(&self, datagram: &mut [u8]) -> usize {
        match self {
            Self::Plain => datagram.len(),
            Self::Ring(floor) => floor.open(datagram),
        }
    }
}

/// The largest datagram that is expected here.
pub const DATAGRAM: usize = 2048;

/// One send call a datagram.
pub struct PlainTx {
    /// A connected socket.
    pub socket: UdpSocket,
    /// What is done to the payload.
    pub codec: Codec,
    /// The payload.
    pub payload: Vec<u8>,
}

impl Tx for PlainTx {
    fn send(&mut self, pace: &mut Pace<'_>) -> u64 {
        let mut count = 0;
        let mut datagram = Vec::new();
        while pace.goes_on(count) {
            datagram.clear();
            self.codec.seal(&self.payload, &mut datagram);
            self.socket.send(&datagram).expect("loopback takes it");
            count += 1;
        }
        count
    }
}

/// One receive call a datagram, which waits.
pub struct PlainRx {
    /// A connected socket whose receive calls have an end.
    pub socket: UdpSocket,
    /// What opens a datagram.
    pub codec: Codec,
}

impl Rx for PlainRx {
    fn receive(&mut self) -> u64 {
        let mut datagram = [0; DATAGRAM];
        let Some(length) = patient(self.socket.recv(&mut datagram)) else {
            return 0;
        };
        self.codec.open(&mut datagram[..length]);
        1
    }
}

/// `None` if the wait was over before anything came.
pub fn patient<T>(received: std::io::Result<T>) -> Option<T> {
    match received {
        Ok(value) => Some(value),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
        Err(error) => panic!("{error}"),
    }
}

/// How many datagrams one `sendmmsg` or `recvmmsg` carries.
pub const BATCH: usize = 32;

/// `sendmmsg`.
pub struct ManyTx(pub PlainTx);

impl Tx for ManyTx {
    fn send(&mut self, pace: &mut Pace<'_>) -> u64 {
        let PlainTx {
            socket,
            codec,
            payload,
        } = &mut self.0;
        let mut count = 0;
        let mut headers = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
        let mut datagrams = vec![Vec::new(); BATCH];
        while pace.goes_on(count) {
            for datagram in &mut datagrams {
                datagram.clear();
                codec.seal(payload, datagram);
            }
            count += send_many(socket, &mut headers, &datagrams, &[None; BATCH]) as u64;
        }
        count
    }
}

/// Sends every datagram to its address, or to where the socket is connected, in one call.
pub fn send_many(
    socket: &UdpSocket,
    headers: &mut MultiHeaders<SockaddrIn>,
    datagrams: &[Vec<u8>],
    addresses: &[Option<SockaddrIn>],
) -> usize {
    let slices: Vec<_> = datagrams.iter().map(|one| [IoSlice::new(one)]).collect();
    let flags = MsgFlags::empty();
    let sent = sendmmsg(socket.as_raw_fd(), headers, &slices, addresses, [], flags);
    sent.expect("loopback takes it").count()
}

/// `recvmmsg`, and its buffers.
pub struct Inbox {
    headers: MultiHeaders<SockaddrIn>,
    buffers: Vec<[u8; DATAGRAM]>,
}

impl Inbox {
    /// For [`BATCH`] datagrams.
    pub fn new() -> Self {
        Self {
            headers: MultiHeaders::preallocate(BATCH, None),
            buffers: vec![[0; DATAGRAM]; BATCH],
        }
    }

    /// One call: hands each datagram to `take`, with its sender, and returns how many there were. A
    /// socket that waits waits for the first one only.
    pub fn receive(
        &mut self,
        socket: &UdpSocket,
        mut take: impl FnMut(Option<SockaddrIn>, &mut [u8]),
    ) -> usize {
        let mut slices: Vec<_> = self
            .buffers
            .iter_mut()
            .map(|one| [IoSliceMut::new(one)])
            .collect();
        let flags = MsgFlags::MSG_WAITFORONE;
        let fd = socket.as_raw_fd();
        let received = recvmmsg(fd, &mut self.headers, &mut slices, flags, None);
        let Some(messages) = patient(received.map_err(Into::into)) else {
            return 0;
        };
        let came: Vec<_> = messages
            .map(|message| (message.address, message.bytes))
            .collect();
        for (buffer, (from, length)) in self.buffers.iter_mut().zip(&came) {
            take(*from, &mut buffer[..*length]);
        }
        came.len()
    }
}

/// `recvmmsg`, which waits for the first datagram.
pub struct ManyRx {
    end: PlainRx,
    inbox: Inbox,
}

impl ManyRx {
    /// On a socket whose receive calls have an end.
    pub fn new(end: PlainRx) -> Self {
        Self {
            end,
            inbox: Inbox::new(),
        }
    }
}

impl Rx for ManyRx {
    fn receive(&mut self) -> u64 {
        let PlainRx { socket, codec } = &self.end;
        let open = |_, datagram: &mut [u8]| {
            codec.open(datagram);
        };
        self.inbox.receive(socket, open) as u64
    }
}

/// The most bytes in a datagram that the system cuts into segments.
const SUPERPACKET: usize = 65_507;

/// GSO: one send call for as many datagrams as the system takes.
pub struct SegmentsTx {
    socket: UdpSocket,
    remote: SocketAddr,
    state: UdpSocketState,
    codec: Codec,
    payload: Vec<u8>,
}

impl SegmentsTx {
    /// From a new socket to `remote`.
    pub fn new(remote: SocketAddr, codec: Codec, payload: Vec<u8>) -> Self {
        let socket = sockets::bound();
        let state = UdpSocketState::new(UdpSockRef::from(&socket)).expect("a new socket");
        sockets::enlarge(&socket);
        Self {
            socket,
            remote,
            state,
            codec,
            payload,
        }
    }

    /// Sends as many datagrams as one call can, but at most `most`, and returns how many.
    pub fn send_some(&mut self, contents: &mut Vec<u8>, most: usize) -> usize {
        contents.clear();
        self.codec.seal(&self.payload, contents);
        let segment = contents.len();
        let count = self.state.max_gso_segments().min(SUPERPACKET / segment);
        let count = count.min(most);
        for _ in 1..count {
            self.codec.seal(&self.payload, contents);
        }
        let transmit = Transmit {
            destination: self.remote,
            ecn: None,
            contents,
            segment_size: Some(segment),
            src_ip: None,
        };
        let sent = self
            .state
            .try_send(UdpSockRef::from(&self.socket), &transmit);
        sent.expect("the send buffer is never full on the loopback interface");
        count
    }
}

impl Tx for SegmentsTx {
    fn send(&mut self, pace: &mut Pace<'_>) -> u64 {
        let (mut count, mut contents) = (0, Vec::new());
        while pace.goes_on(count) {
            count += self.send_some(&mut contents, usize::MAX) as u64;
        }
        count
    }
}

/// GRO: one receive call for many datagrams, over a socket that is waited for with epoll.
pub struct SegmentsRx {
    socket: UdpSocket,
    ready: Ready,
    state: UdpSocketState,
    codec: Codec,
    buffers: Vec<Vec<u8>>,
}

/// How many superpackets one receive call takes. More of them leave the second-level cache.
const BUFFERS: usize = 4;

impl SegmentsRx {
    /// On a new socket.
    pub fn new(codec: Codec) -> Self {
        let socket = sockets::bound();
        socket.set_nonblocking(true).expect("a new socket");
        let state = UdpSocketState::new(UdpSockRef::from(&socket)).expect("a new socket");
        sockets::enlarge(&socket);
        Self {
            ready: Ready::of([&socket]),
            socket,
            state,
            codec,
            buffers: vec![vec![0; 1 << 16]; BUFFERS],
        }
    }

    /// Where it receives.
    pub fn address(&self) -> SocketAddr {
        sockets::address(&self.socket)
    }
}

impl Rx for SegmentsRx {
    fn receive(&mut self) -> u64 {
        let mut meta = [RecvMeta::default(); BUFFERS];
        let messages = loop {
            let mut slices: Vec<_> = self
                .buffers
                .iter_mut()
                .map(|one| IoSliceMut::new(one))
                .collect();
            let socket = UdpSockRef::from(&self.socket);
            if let Some(messages) = patient(self.state.recv(socket, &mut slices, &mut meta)) {
                break messages;
            }
            if self.ready.wait().next().is_none() {
                return 0;
            }
        };
        let mut count = 0;
        for (buffer, meta) in self.buffers.iter_mut().zip(&meta[..messages]) {
            for datagram in buffer[..meta.len].chunks_mut(meta.stride) {
                self.codec.open(datagram);
                count += 1;
            }
        }
        count
    }
}
