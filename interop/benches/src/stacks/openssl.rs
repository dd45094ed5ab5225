//! OpenSSL 3, built from source by the crate `openssl`: DTLS 1.2, which is all it has, and TLS.

use crate::pki::{Pki, SERVER};
use crate::raw::{DATAGRAM, patient};
use crate::ready::Ready;
use crate::rows::{pingpong, server};
use crate::sockets::{self, PATIENCE};
use crate::transfer::{Pace, Rx, Tx};
use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{
    ErrorCode, Ssl, SslContext, SslContextBuilder, SslMethod, SslOptions, SslSessionCacheMode,
    SslStream, SslVerifyMode, SslVersion,
};
use openssl::x509::X509;
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::rc::Rc;

/// Contexts of both ends: AES-128-GCM, no sessions, the client checks the chain and the name.
pub struct Contexts {
    client: SslContext,
    server: SslContext,
}

/// What is spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// DTLS 1.2.
    Dtls,
    /// DTLS 1.2, whose server wants a cookie.
    DtlsWithCookie,
}

/// The size of a datagram, in bytes.
const MTU: u32 = 1400;

/// A cookie: what matters is that it is made and checked. It is an HMAC, as everybody's.
fn cookie() -> ring::hmac::Tag {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &[11; 32]);
    // An address and a port.
    ring::hmac::sign(&key, &[127, 0, 0, 1, 9, 9])
}

impl Contexts {
    /// `groups` as OpenSSL names them. P-256 has to be among them, because the certificate has it.
    pub fn new(pki: &Pki, protocol: Protocol, groups: &str) -> Self {
        Self::build(pki, protocol, groups).expect("OpenSSL has all of it")
    }

    fn build(pki: &Pki, protocol: Protocol, groups: &str) -> Result<Self, ErrorStack> {
        let common = || {
            let mut builder = SslContext::builder(SslMethod::dtls())?;
            builder.set_min_proto_version(Some(SslVersion::DTLS1_2))?;
            builder.set_groups_list(groups)?;
            builder.set_cipher_list("ECDHE-ECDSA-AES128-GCM-SHA256")?;
            builder.set_options(SslOptions::NO_QUERY_MTU | SslOptions::NO_TICKET);
            builder.set_session_cache_mode(SslSessionCacheMode::OFF);
            Ok::<SslContextBuilder, ErrorStack>(builder)
        };
        let mut client = common()?;
        client.set_verify(SslVerifyMode::PEER);
        client
            .cert_store_mut()
            .add_cert(X509::from_der(&pki.root)?)?;
        let mut server = common()?;
        let (leaf, key) = (
            X509::from_der(&pki.leaf)?,
            PKey::private_key_from_der(&pki.key)?,
        );
        server.set_certificate(&leaf)?;
        server.set_private_key(&key)?;
        if protocol == Protocol::DtlsWithCookie {
            server.set_options(SslOptions::COOKIE_EXCHANGE);
            server.set_cookie_generate_cb(|_, out| {
                let cookie = cookie();
                out[..cookie.as_ref().len()].copy_from_slice(cookie.as_ref());
                Ok(cookie.as_ref().len())
            });
            server.set_cookie_verify_cb(|_, shown| cookie().as_ref() == shown);
        }
        Ok(Self {
            client: client.build(),
            server: server.build(),
        })
    }

    /// A client on this transport, before its handshake.
    pub fn client<S: Read + Write>(&self, transport: S) -> SslStream<S> {
        let mut ssl = Ssl::new(&self.client).expect("memory");
        ssl.param_mut().set_host(SERVER).expect("a valid name");
        ssl.set_mtu(MTU).expect("a sensible size");
        ssl.set_connect_state();
        SslStream::new(ssl, transport).expect("memory")
    }

    /// A server on this transport, before its handshake.
    pub fn server<S: Read + Write>(&self, transport: S) -> SslStream<S> {
        let mut ssl = Ssl::new(&self.server).expect("memory");
        ssl.set_mtu(MTU).expect("a sensible size");
        ssl.set_accept_state();
        SslStream::new(ssl, transport).expect("memory")
    }
}

/// Goes on with a handshake; whether it is done.
pub fn advance<S: Read + Write>(stream: &mut SslStream<S>) -> bool {
    match stream.do_handshake() {
        Ok(()) => true,
        Err(error) if error.code() == ErrorCode::WANT_READ => false,
        Err(error) => panic!("{error}"),
    }
}

/// The next datagram that can be opened; `None` if there is none.
pub fn read<S: Read + Write>(stream: &mut SslStream<S>, out: &mut [u8]) -> Option<usize> {
    match stream.ssl_read(out) {
        Ok(length) => Some(length),
        Err(error) if error.code() == ErrorCode::WANT_READ => None,
        Err(error) => panic!("{error}"),
    }
}

/// A connected socket.
pub struct Wire(pub UdpSocket);

impl Read for Wire {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match patient(self.0.recv(out)) {
            Some(length) => Ok(length),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.send(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An association of which each end has a connected socket.
type Stream = SslStream<Wire>;

fn connected(contexts: &Contexts) -> (Stream, Stream) {
    let (one, other) = sockets::pair();
    for socket in [&one, &other] {
        socket.set_nonblocking(true).expect("a new socket");
    }
    let mut client = contexts.client(Wire(one));
    let mut server = contexts.server(Wire(other));
    while !(advance(&mut client) & advance(&mut server)) {}
    for stream in [&client, &server] {
        let socket = &stream.get_ref().0;
        socket.set_nonblocking(false).expect("a working socket");
        let patience = Some(PATIENCE);
        socket
            .set_read_timeout(patience)
            .expect("a time above zero");
    }
    (client, server)
}

struct Sender {
    stream: Stream,
    payload: Vec<u8>,
}

impl Tx for Sender {
    fn send(&mut self, pace: &mut Pace<'_>) -> u64 {
        let mut count = 0;
        while pace.goes_on(count) {
            let sent = self.stream.ssl_write(&self.payload);
            sent.expect("loopback takes it");
            count += 1;
        }
        count
    }
}

struct Receiver(Stream);

impl Rx for Receiver {
    fn receive(&mut self) -> u64 {
        let mut data = [0; MTU as usize];
        u64::from(read(&mut self.0, &mut data).is_some())
    }
}

/// For the row of bulk.
pub fn bulk(pki: &Pki, bytes: usize) -> (Box<dyn Tx>, Box<dyn Rx>) {
    let (stream, server) = connected(&Contexts::new(pki, Protocol::Dtls, GROUPS));
    let payload = vec![3; bytes];
    (
        Box::new(Sender { stream, payload }),
        Box::new(Receiver(server)),
    )
}

/// X25519 first.
pub const GROUPS: &str = "X25519:P-256";

/// Streams at one end, which wait together.
struct Streams {
    ready: Ready,
    streams: Vec<Stream>,
}

impl Streams {
    fn new(streams: Vec<Stream>) -> Self {
        Self {
            ready: Ready::of(streams.iter().map(|stream| &stream.get_ref().0)),
            streams,
        }
    }

    /// What each ready stream has received.
    fn take(&mut self, mut take: impl FnMut(&mut Stream, &[u8])) -> u32 {
        let mut count = 0;
        for place in self.ready.wait() {
            let mut data = [0; MTU as usize];
            let stream = &mut self.streams[place];
            if let Some(length) = read(stream, &mut data) {
                take(stream, &data[..length]);
                count += 1;
            }
        }
        count
    }
}

impl pingpong::Client for Streams {
    fn ask(&mut self, peer: usize) {
        let sent = self.streams[peer].ssl_write(&[3; pingpong::BYTES]);
        sent.expect("loopback takes it");
    }

    fn hear(&mut self) -> u32 {
        self.take(|_, data| assert_eq!(data.len(), pingpong::BYTES))
    }
}

impl pingpong::Server for Streams {
    fn answer(&mut self) -> u32 {
        self.take(|stream, data| {
            stream.ssl_write(data).expect("loopback takes it");
        })
    }
}

/// For the row of ping-pong: each end has a connected socket for each peer.
pub fn pingpong(pki: &Pki, peers: usize) -> (Box<dyn pingpong::Client>, Box<dyn pingpong::Server>) {
    let contexts = Contexts::new(pki, Protocol::Dtls, GROUPS);
    let (clients, servers) = (0..peers).map(|_| connected(&contexts)).unzip();
    (
        Box::new(Streams::new(clients)),
        Box::new(Streams::new(servers)),
    )
}

/// Datagrams on their way in memory, and buffers that have been used before.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<Vec<u8>>,
    spare: Vec<Vec<u8>>,
}

/// One end of a transport in memory.
pub struct Memory {
    incoming: Rc<RefCell<Queue>>,
    outgoing: Rc<RefCell<Queue>>,
}

impl Memory {
    fn pair() -> (Self, Self) {
        let (one, other) = <(Rc<RefCell<Queue>>, Rc<RefCell<Queue>>)>::default();
        let reverse = Self {
            incoming: other.clone(),
            outgoing: one.clone(),
        };
        (
            Self {
                incoming: one,
                outgoing: other,
            },
            reverse,
        )
    }
}

impl Read for Memory {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut queue = self.incoming.borrow_mut();
        let datagram = queue.waiting.pop_front();
        let datagram = datagram.ok_or(io::ErrorKind::WouldBlock)?;
        let length = datagram.len().min(out.len());
        out[..length].copy_from_slice(&datagram[..length]);
        queue.spare.push(datagram);
        Ok(length)
    }
}

impl Write for Memory {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let mut queue = self.outgoing.borrow_mut();
        let mut datagram = queue.spare.pop().unwrap_or_default();
        datagram.clear();
        datagram.extend_from_slice(data);
        queue.waiting.push_back(datagram);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A handshake in memory.
pub fn in_memory(contexts: &Contexts) -> (SslStream<Memory>, SslStream<Memory>) {
    let (one, other) = Memory::pair();
    let (mut client, mut server) = (contexts.client(one), contexts.server(other));
    while !(advance(&mut client) & advance(&mut server)) {}
    (client, server)
}

/// The server's socket, as seen by one association.
struct Shared {
    socket: Rc<UdpSocket>,
    peer: SocketAddr,
    /// What has come for it, if it is not empty.
    incoming: Vec<u8>,
}

impl Read for Shared {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.incoming.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let length = self.incoming.len().min(out.len());
        out[..length].copy_from_slice(&self.incoming[..length]);
        self.incoming.clear();
        Ok(length)
    }
}

impl Write for Shared {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.socket.send_to(data, self.peer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One socket for all, and an association for each address. For the row of servers: with
/// `DTLSv1_listen` there would be another `SSL` for hellos without cookie, and the connected socket
/// of each client would cost system calls; this is the cheaper way.
pub struct Listener {
    contexts: Contexts,
    ready: Ready,
    socket: Rc<UdpSocket>,
    peers: HashMap<SocketAddr, SslStream<Shared>>,
}

impl Listener {
    /// A server that demands cookies.
    pub fn new(pki: &Pki, x25519: bool) -> Self {
        let groups = if x25519 { GROUPS } else { "P-256" };
        Self::with(Contexts::new(pki, Protocol::DtlsWithCookie, groups))
    }

    fn with(contexts: Contexts) -> Self {
        let socket = sockets::bound();
        socket.set_nonblocking(true).expect("a new socket");
        Self {
            contexts,
            ready: Ready::of([&socket]),
            socket: Rc::new(socket),
            peers: HashMap::new(),
        }
    }

    /// Receives a datagram, if there is one, and returns the association that it is for.
    fn receive(&mut self) -> Option<&mut SslStream<Shared>> {
        let mut datagram = [0; DATAGRAM];
        let (length, peer) = patient(self.socket.recv_from(&mut datagram))?;
        let stream = self.peers.entry(peer).or_insert_with(|| {
            let socket = self.socket.clone();
            self.contexts.server(Shared {
                socket,
                peer,
                incoming: Vec::new(),
            })
        });
        let incoming = &mut stream.get_mut().incoming;
        incoming.extend_from_slice(&datagram[..length]);
        Some(stream)
    }
}

impl server::Listener for Listener {
    fn address(&self) -> SocketAddr {
        sockets::address(&self.socket)
    }

    fn serve(&mut self) {
        if self.ready.wait().next().is_some() {
            while let Some(stream) = self.receive() {
                advance(stream);
            }
        }
    }

    fn forget(&mut self) {
        self.peers.clear();
    }
}

impl pingpong::Server for Listener {
    fn answer(&mut self) -> u32 {
        if self.ready.wait().next().is_none() {
            return 0;
        }
        let stream = self.receive().expect("it is ready");
        let mut data = [0; MTU as usize];
        let length = read(stream, &mut data).expect("it was asked");
        let sent = stream.ssl_write(&data[..length]);
        sent.expect("loopback takes it");
        1
    }
}

/// For the row of ping-pong: the server has one socket for all.
pub fn pingpong_on_one_socket(
    pki: &Pki,
    peers: usize,
) -> (Box<dyn pingpong::Client>, Box<dyn pingpong::Server>) {
    let mut listener = Listener::with(Contexts::new(pki, Protocol::Dtls, GROUPS));
    let contexts = Contexts::new(pki, Protocol::Dtls, GROUPS);
    let clients = (0..peers).map(|_| {
        let socket = sockets::connected(sockets::address(&listener.socket));
        socket.set_nonblocking(true).expect("a new socket");
        let mut client = contexts.client(Wire(socket));
        while !advance(&mut client) {
            if let Some(stream) = listener.receive() {
                advance(stream);
            }
        }
        client
    });
    let clients = Streams::new(clients.collect());
    (Box::new(clients), Box::new(listener))
}
