//! What all peers of this workspace share: the command line, one socket, the loop, and the lines
//! they print.
//!
//! ```text
//! peer server --port P [options]           peer client --port P --name NAME [options]
//!
//!   --versions 1.2,1.3      --groups x25519mlkem768,x25519,p256,p384
//!   --cert FILE --key FILE  --ca FILE
//!   --client-auth           --echo                    --resume N             --default-hello
//!   --cid HEX|-             --follow                 --psk IDENTITY:HEX
//!   --raw-key FILE          --raw-peer               --psk-alone             --ciphers LIST
//!   --max-fragment N        --udp                    --plain                 --raw-public FILE
//! ```
//!
//! `--cid` negotiates connection IDs: this one is received, or none (`-`). With `--follow` datagrams
//! go to wherever the newest came from, whatever it was; without it, to where the first came from,
//! and others are dropped. `--psk` is the only key that both ends share; a client with one takes no
//! certificate. `--psk-alone` uses it without an ephemeral exchange at version 1.3. `--ciphers` has the
//! stack's own names.
//!
//! A peer of [`run_stream`] speaks over TCP, one connection at a time, unless it is told `--udp`: what
//! is called a datagram here is then whatever came at once.
//!
//! `--raw-key` shows the public half of a key by itself (RFC 7250), and `--raw-peer` takes nothing
//! else of the peer, whoever it is: the digest of what came is among what was agreed.
//!
//! A line of standard input is a datagram to send, except for `k` (key update), `K` (key update
//! that asks for the peer's), `R` (renegotiation) and `Q` (close and end). Facts go to standard
//! output, one on each line: `ready PORT`, `handshake …`, `cid rx=HEX|- tx=HEX|-`, `data TEXT`,
//! `closed`, `error TEXT`. With `--plain` data comes as it is on standard output, every line goes with
//! its end, facts go to standard error, and a client closes when its standard input ends.

use std::collections::VecDeque;
use std::io::{self, BufRead as _, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// The options of the command line.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether this end accepts.
    pub server: bool,
    /// The port on 127.0.0.1.
    pub port: u16,
    /// The name that the server must prove.
    pub name: String,
    /// Whether version 1.2 is spoken.
    pub v12: bool,
    /// Whether version 1.3 is spoken.
    pub v13: bool,
    /// The groups by the names `x25519mlkem768`, `x25519`, `p256`, `p384`; the stack's own if
    /// empty.
    pub groups: Vec<String>,
    /// The certificate chain, as PEM.
    pub cert: Option<PathBuf>,
    /// Its key, as PEM.
    pub key: Option<PathBuf>,
    /// The roots to trust, as PEM.
    pub ca: Option<PathBuf>,
    /// A private key, as PEM, whose public half is shown by itself.
    pub raw_key: Option<PathBuf>,
    /// The public half of that key as DER, for a stack that does not make it.
    pub raw_public: Option<PathBuf>,
    /// Whether the peer must show such a key.
    pub raw_peer: bool,
    /// Whether clients must show a certificate.
    pub client_auth: bool,
    /// Whether every datagram is sent back.
    pub echo: bool,
    /// How many more times a client connects, with the session that it received before.
    pub resume: u32,
    /// Whether the stack's own choice of groups is offered.
    pub default_hello: bool,
    /// The connection ID that this end receives, which may be empty; if there is one, connection
    /// IDs are negotiated.
    pub cid: Option<Vec<u8>>,
    /// Whether the peer is where its newest datagram came from.
    pub follow: bool,
    /// The identity of a key that both ends share, and its bytes.
    pub psk: Option<(String, Vec<u8>)>,
    /// Whether that key is used at version 1.3 without an ephemeral exchange (psk_ke).
    pub psk_alone: bool,
    /// The ciphers up to version 1.2 by the stack's own names; its own choice if there are none.
    pub ciphers: Option<String>,
    /// What a client asks for by max_fragment_length (RFC 6066), in bytes.
    pub max_fragment: Option<u16>,
    /// Whether a stack that speaks over both speaks over UDP.
    pub udp: bool,
    /// Whether data is printed as it is, and facts go to standard error.
    pub plain: bool,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            server: match arguments.next().as_deref() {
                Some("server") => true,
                Some("client") => false,
                _ => return Err("the first argument must be server or client".into()),
            },
            v13: true,
            name: "localhost".into(),
            ..Self::default()
        };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--port" => options.port = value()?.parse().map_err(|_| "a port".to_owned())?,
                "--name" => options.name = value()?,
                "--versions" => {
                    let versions = value()?;
                    options.v12 = versions.contains("1.2");
                    options.v13 = versions.contains("1.3");
                }
                "--groups" => options.groups = value()?.split(',').map(str::to_owned).collect(),
                "--cert" => options.cert = Some(value()?.into()),
                "--key" => options.key = Some(value()?.into()),
                "--ca" => options.ca = Some(value()?.into()),
                "--resume" => {
                    options.resume = value()?.parse().map_err(|_| "a number".to_owned())?
                }
                "--raw-key" => options.raw_key = Some(value()?.into()),
                "--raw-public" => options.raw_public = Some(value()?.into()),
                "--raw-peer" => options.raw_peer = true,
                "--client-auth" => options.client_auth = true,
                "--echo" => options.echo = true,
                "--default-hello" => options.default_hello = true,
                "--cid" => options.cid = Some(connection_id(&value()?)?),
                "--follow" => options.follow = true,
                "--psk" => {
                    let given = value()?;
                    let (identity, key) = given.split_once(':').ok_or("IDENTITY:HEX")?;
                    options.psk = Some((identity.to_owned(), digits(key)?));
                }
                "--psk-alone" => options.psk_alone = true,
                "--ciphers" => options.ciphers = Some(value()?),
                "--max-fragment" => {
                    options.max_fragment =
                        Some(value()?.parse().map_err(|_| "a length".to_owned())?);
                }
                "--udp" => options.udp = true,
                "--plain" => options.plain = true,
                _ => return Err(format!("{argument} is unknown")),
            }
        }
        Ok(options)
    }
}

fn connection_id(text: &str) -> Result<Vec<u8>, String> {
    digits(text.strip_prefix('-').unwrap_or(text))
}

fn digits(digits: &str) -> Result<Vec<u8>, String> {
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).map_err(|error| error.to_string())?;
        u8::from_str_radix(pair, 16).map_err(|error| format!("hexadecimal digits: {error}"))
    };
    digits.as_bytes().chunks(2).map(byte).collect()
}

/// A connection ID as it is printed.
#[must_use]
pub fn hex(id: &[u8]) -> String {
    if id.is_empty() {
        return "-".into();
    }
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Something that happened to an association.
#[derive(Clone, Debug)]
pub enum Fact {
    /// The handshake is complete; what was agreed, as `name=value` words.
    Handshake(String),
    /// The connection IDs that it negotiated.
    ConnectionIds {
        /// What this end receives.
        received: Vec<u8>,
        /// What it sends.
        sent: Vec<u8>,
    },
    /// A datagram from the peer.
    Data(Vec<u8>),
    /// The peer has closed.
    Closed,
    /// It has failed.
    Failed(String),
}

/// One association of a stack, which is given datagrams and the passage of time.
pub trait Association {
    /// Takes a datagram.
    fn take(&mut self, datagram: &[u8]);
    /// Proceeds as far as possible, after a datagram, a timeout or nothing at all.
    fn drive(&mut self) -> Vec<Fact>;
    /// What is to be sent.
    fn outgoing(&mut self) -> Vec<Vec<u8>>;
    /// How long it may be left alone.
    fn timeout(&mut self) -> Option<Duration>;
    /// That time has passed.
    fn timed_out(&mut self);
    /// Sends a datagram.
    ///
    /// # Errors
    ///
    /// The error of the stack.
    fn send(&mut self, data: &[u8]) -> Result<(), String>;
    /// Updates the keys, and asks the peer for the same if `request`.
    ///
    /// # Errors
    ///
    /// The error of the stack.
    fn key_update(&mut self, request: bool) -> Result<(), String>;
    /// Renegotiates at version 1.2: a server asks for it.
    ///
    /// # Errors
    ///
    /// The error of the stack.
    fn renegotiate(&mut self) -> Result<(), String> {
        Err("not-supported: renegotiation".into())
    }
    /// Closes the association.
    fn close(&mut self);
    /// The peer has ended the stream.
    fn ended(&mut self) {}
}

/// Runs a peer over UDP whose associations are made by `begin`, one after the other.
pub fn run<A: Association>(begin: impl FnMut(&Options) -> Result<A, String>) {
    run_over(Link::datagrams, begin);
}

/// The same over TCP, or over UDP if the options say so.
pub fn run_stream<A: Association>(begin: impl FnMut(&Options) -> Result<A, String>) {
    let link = |options: &Options| match options.udp {
        true => Link::datagrams(options),
        false => Link::stream(options),
    };
    run_over(link, begin);
}

fn run_over<A: Association>(
    link: fn(&Options) -> io::Result<(Link, u16)>,
    mut begin: impl FnMut(&Options) -> Result<A, String>,
) {
    let outcome = Options::parse(std::env::args().skip(1))
        .and_then(|options| Peer::new(options, link).and_then(|mut peer| peer.run(&mut begin)));
    if let Err(error) = outcome {
        let plain = std::env::args().any(|argument| argument == "--plain");
        say(plain, &format!("error {error}"));
        std::process::exit(1);
    }
}

/// Prints one fact.
fn say(plain: bool, fact: &str) {
    let _gone = match plain {
        true => writeln!(io::stderr().lock(), "{fact}"),
        false => print(format!("{fact}\n").as_bytes()),
    };
}

fn print(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush())
}

/// The way to the peer.
enum Link {
    Datagrams {
        socket: UdpSocket,
        remote: Option<SocketAddr>,
    },
    Stream {
        /// A server's.
        listener: Option<TcpListener>,
        stream: Option<TcpStream>,
    },
}

/// What was received.
enum Received {
    Bytes(usize),
    Nothing,
    End,
}

impl Link {
    fn datagrams(options: &Options) -> io::Result<(Self, u16)> {
        let port = if options.server { options.port } else { 0 };
        let socket = UdpSocket::bind(("127.0.0.1", port))?;
        socket.set_read_timeout(Some(TICK))?;
        let port = socket.local_addr()?.port();
        let server = SocketAddr::from(([127, 0, 0, 1], options.port));
        let remote = (!options.server).then_some(server);
        Ok((Self::Datagrams { socket, remote }, port))
    }

    fn stream(options: &Options) -> io::Result<(Self, u16)> {
        let (mut listener, mut stream) = (None, None);
        let port = if options.server {
            let bound = TcpListener::bind(("127.0.0.1", options.port))?;
            bound.set_nonblocking(true)?;
            let port = bound.local_addr()?.port();
            listener = Some(bound);
            port
        } else {
            stream = Some(prepared(TcpStream::connect(("127.0.0.1", options.port))?)?);
            options.port
        };
        Ok((Self::Stream { listener, stream }, port))
    }

    /// Forgets the peer: the next one may come.
    fn forget(&mut self) {
        match self {
            Self::Datagrams { remote, .. } => *remote = None,
            Self::Stream { stream, .. } => *stream = None,
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        let _lost = match self {
            Self::Datagrams {
                socket,
                remote: Some(remote),
            } => socket.send_to(bytes, *remote).map(|_| ()),
            Self::Stream {
                stream: Some(stream),
                ..
            } => stream.write_all(bytes),
            _ => Ok(()),
        };
    }

    /// Waits for a little while.
    fn receive(&mut self, follow: bool, buffer: &mut [u8]) -> io::Result<Received> {
        match self {
            Self::Datagrams { socket, remote } => {
                let (length, from) = socket.recv_from(buffer)?;
                let remote = remote.get_or_insert(from);
                if follow {
                    *remote = from;
                }
                Ok(if *remote == from {
                    Received::Bytes(length)
                } else {
                    Received::Nothing
                })
            }
            Self::Stream {
                stream: Some(stream),
                ..
            } => match stream.read(buffer)? {
                0 => Ok(Received::End),
                length => Ok(Received::Bytes(length)),
            },
            Self::Stream { listener, stream } => {
                if let Some(listener) = listener {
                    match listener.accept() {
                        Ok((accepted, _)) => *stream = Some(prepared(accepted)?),
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {
                            thread::sleep(TICK);
                        }
                        Err(error) => return Err(error),
                    }
                }
                Ok(Received::Nothing)
            }
        }
    }
}

fn prepared(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TICK))?;
    Ok(stream)
}

struct Peer {
    options: Options,
    link: Link,
    begin_link: fn(&Options) -> io::Result<(Link, u16)>,
    lines: Receiver<String>,
    /// Lines that came before there was a peer to send them to.
    early: VecDeque<String>,
    ended: bool,
}

fn no_socket(error: io::Error) -> String {
    format!("no socket: {error}")
}

/// Why an association is over.
enum End {
    Peer,
    Own,
}

/// The longest wait before everything is checked again.
const TICK: Duration = Duration::from_millis(10);

impl Peer {
    fn new(
        options: Options,
        begin_link: fn(&Options) -> io::Result<(Link, u16)>,
    ) -> Result<Self, String> {
        let (link, port) = begin_link(&options).map_err(no_socket)?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in io::stdin().lock().lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        if options.server {
            say(options.plain, &format!("ready {port}"));
        }
        Ok(Self {
            options,
            link,
            begin_link,
            lines,
            early: VecDeque::new(),
            ended: false,
        })
    }

    fn run<A: Association>(
        &mut self,
        begin: &mut impl FnMut(&Options) -> Result<A, String>,
    ) -> Result<(), String> {
        let mut left = self.options.resume;
        loop {
            let association = begin(&self.options)?;
            match self.serve(association)? {
                End::Own if self.options.server => return Ok(()),
                End::Own if left == 0 => return Ok(()),
                End::Peer if self.options.server => self.link.forget(),
                End::Peer => return Ok(()),
                End::Own => {
                    left -= 1;
                    // A new port, so that the server sees a new client.
                    (self.link, _) = (self.begin_link)(&self.options).map_err(no_socket)?;
                }
            }
        }
    }

    fn serve<A: Association>(&mut self, mut association: A) -> Result<End, String> {
        let plain = self.options.plain;
        let mut connected = false;
        let mut buffer = vec![0; 1 << 16];
        let mut due = None;
        loop {
            for fact in association.drive() {
                match fact {
                    Fact::Handshake(agreed) => {
                        connected = true;
                        say(plain, &format!("handshake {agreed}"));
                    }
                    Fact::ConnectionIds { received, sent } => {
                        say(
                            plain,
                            &format!("cid rx={} tx={}", hex(&received), hex(&sent)),
                        );
                    }
                    Fact::Data(data) => {
                        match plain {
                            true => drop(print(&data)),
                            false => {
                                say(plain, &format!("data {}", String::from_utf8_lossy(&data)))
                            }
                        }
                        if self.options.echo {
                            association.send(&data)?;
                        }
                    }
                    Fact::Closed => {
                        say(plain, "closed");
                        association.close();
                        self.flush(&mut association);
                        return Ok(End::Peer);
                    }
                    Fact::Failed(reason) => {
                        self.flush(&mut association);
                        if !self.options.server {
                            return Err(reason);
                        }
                        say(plain, &format!("error {reason}"));
                        return Ok(End::Peer);
                    }
                }
            }
            if connected && self.obey(&mut association) {
                // Acknowledgements that are due are sent before the association is closed.
                association.close();
                self.flush(&mut association);
                say(plain, "closed");
                return Ok(End::Own);
            }
            self.flush(&mut association);
            let now = Instant::now();
            let wanted = association.timeout().map(|left| now + left);
            if due.is_some_and(|due: Instant| due <= now) && wanted.is_none_or(|at| at <= now) {
                association.timed_out();
            }
            due = wanted;
            self.receive(&mut association, &mut buffer)?;
        }
    }

    fn flush<A: Association>(&mut self, association: &mut A) {
        for datagram in association.outgoing() {
            self.link.send(&datagram);
        }
    }

    fn receive<A: Association>(
        &mut self,
        association: &mut A,
        buffer: &mut [u8],
    ) -> Result<(), String> {
        match self.link.receive(self.options.follow, buffer) {
            Ok(Received::Bytes(length)) => {
                association.take(&buffer[..length]);
                Ok(())
            }
            Ok(Received::Nothing) => Ok(()),
            Ok(Received::End) => {
                association.ended();
                Ok(())
            }
            Err(error)
                if [
                    ErrorKind::WouldBlock,
                    ErrorKind::TimedOut,
                    ErrorKind::ConnectionRefused,
                    ErrorKind::Interrupted,
                ]
                .contains(&error.kind()) =>
            {
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Does what the lines of standard input say; returns whether the peer should end.
    fn obey<A: Association>(&mut self, association: &mut A) -> bool {
        let plain = self.options.plain;
        loop {
            match self.lines.try_recv() {
                Ok(line) => self.early.push_back(line),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    self.ended = true;
                    break;
                }
            }
        }
        while let Some(line) = self.early.pop_front() {
            let outcome = match line.as_str() {
                "Q" => return true,
                "k" => association.key_update(false),
                "K" => association.key_update(true),
                "R" => association.renegotiate(),
                // A stream has no other ends of lines.
                data => match self.link {
                    Link::Datagrams { .. } if !plain => association.send(data.as_bytes()),
                    _ => association.send(format!("{data}\n").as_bytes()),
                },
            };
            if let Err(reason) = outcome {
                say(plain, &format!("error {reason}"));
            }
        }
        self.ended && plain && !self.options.server
    }
}
