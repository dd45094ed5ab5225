//! Our ends, inside this process: the library in a thread that does what it is told and keeps what
//! has happened, so that a test reads from top to bottom.

mod dtls;
mod proof;
mod settings;
mod tls;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sealgram::net::mio::{Events, Poll, Token, Waker};
use sealgram::{CipherSuite, HandshakeKind, ProtocolVersion, SrtpProfile};
use sealgram_interop::clock::Deadline;
use sealgram_interop::failure::{Failure, Outcome};

pub(crate) use proof::{Proof, SharedKey};
pub(crate) use sealgram_interop::peer::Transport;
pub(crate) use settings::{Settings, Version};

/// A client or a server of ours. Dropping it closes every association.
pub(crate) struct End {
    address: SocketAddr,
    mailbox: Arc<Mailbox>,
    commands: Sender<Command>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
}

/// The number of a peer, counted from 0 in the order of the first handshakes.
pub(crate) type Peer = usize;

/// What a handshake has agreed on.
#[derive(Debug, Clone)]
pub(crate) struct Handshake {
    pub(crate) peer: Peer,
    pub(crate) version: ProtocolVersion,
    pub(crate) suite: CipherSuite,
    pub(crate) kind: HandshakeKind,
    pub(crate) renegotiation: bool,
    /// The peer has proved who it is.
    pub(crate) identified: bool,
    /// The protection profile, and 60 bytes of keys and salts (RFC 5764 §4.2).
    pub(crate) srtp: Option<(SrtpProfile, Vec<u8>)>,
}

/// What an end is told to do.
enum Command {
    Send(Peer, Vec<u8>),
    Renegotiate(Peer),
    Close(Peer),
    Stop,
}

/// What an end has to tell.
#[derive(Debug)]
enum News {
    Handshake(Handshake),
    Data(Peer, Vec<u8>),
    /// A key update, or the refusal of a renegotiation: in words.
    Remark(String),
    /// In words: closed, or why it failed.
    Ended(String),
}

/// The connections of an end.
trait Connections: Send + 'static {
    /// Receives and sends what can be received and sent now, and tells what has happened.
    fn turn(&mut self, tell: &mut dyn FnMut(News)) -> io::Result<()>;
    /// Begins what the command says.
    fn obey(&mut self, command: Command);
    /// The longest time until the next turn.
    fn timeout(&self) -> Option<Duration>;
    /// Begins to close everything.
    fn close_all(&mut self);
}

#[derive(Default)]
struct Mailbox {
    kept: Mutex<Kept>,
    grown: Condvar,
}

#[derive(Debug, Default)]
struct Kept {
    handshakes: Vec<Handshake>,
    data: VecDeque<(Peer, Vec<u8>)>,
    words: Vec<String>,
}

impl End {
    /// A server on a port of its own.
    pub(crate) fn server(transport: Transport, settings: &Settings<'_>) -> Outcome<Self> {
        match transport {
            Transport::Dtls => Self::start(|poll| dtls::server(settings, poll)),
            Transport::Tls => Self::start(|poll| tls::server(settings, poll)),
        }
    }

    /// A client of `server`.
    pub(crate) fn client(
        transport: Transport,
        settings: &Settings<'_>,
        server: SocketAddr,
    ) -> Outcome<Self> {
        match transport {
            Transport::Dtls => Self::start(|poll| dtls::client(settings, server, poll)),
            Transport::Tls => Self::start(|poll| tls::client(settings, server, poll)),
        }
    }

    fn start<C: Connections>(
        open: impl FnOnce(&Poll) -> Outcome<(C, SocketAddr)>,
    ) -> Outcome<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let (connections, address) = open(&poll)?;
        let (commands, told) = mpsc::channel();
        let mailbox = Arc::new(Mailbox::default());
        let post = mailbox.clone();
        let thread = thread::spawn(move || {
            if let Err(error) = run(connections, poll, &told, &post) {
                post.put(News::Ended(format!("the end has failed: {error}")));
            }
        });
        Ok(Self {
            address,
            mailbox,
            commands,
            waker,
            thread: Some(thread),
        })
    }

    /// Where a server listens, and where a client connects.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a datagram or a part of the stream.
    pub(crate) fn send(&self, peer: Peer, bytes: &[u8]) {
        self.tell(Command::Send(peer, bytes.to_owned()));
    }

    /// Begins a renegotiation, or at version 1.3 replaces the keys of both directions.
    pub(crate) fn renegotiate(&self, peer: Peer) {
        self.tell(Command::Renegotiate(peer));
    }

    /// Says goodbye.
    pub(crate) fn close(&self, peer: Peer) {
        self.tell(Command::Close(peer));
    }

    fn tell(&self, command: Command) {
        // Both fail only when the thread has ended; whoever waits for an effect gets its words.
        let _ = self.commands.send(command);
        let _ = self.waker.wake();
    }

    /// The next datagram, or what there is of the stream.
    pub(crate) fn receive(&self, deadline: Deadline) -> Outcome<(Peer, Vec<u8>)> {
        self.wait("data", deadline, |kept| kept.data.pop_front())
    }

    /// What there is of a stream, until `complete` finds in all of it what it looks for.
    pub(crate) fn receive_until<T>(
        &self,
        deadline: Deadline,
        mut complete: impl FnMut(&[u8]) -> Option<T>,
    ) -> Outcome<(Peer, T)> {
        let mut stream = Vec::new();
        loop {
            let (peer, bytes) = self.receive(deadline).map_err(|failure| {
                failure.with_evidence(format!("so far: {:?}", String::from_utf8_lossy(&stream)))
            })?;
            stream.extend(bytes);
            if let Some(found) = complete(&stream) {
                return Ok((peer, found));
            }
        }
    }

    /// The handshake with this number, renegotiations included, counted from 0 over all peers.
    pub(crate) fn handshake(&self, number: usize, deadline: Deadline) -> Outcome<Handshake> {
        let wanted = format!("handshake {number}");
        self.wait(&wanted, deadline, |kept| {
            kept.handshakes.get(number).cloned()
        })
    }

    /// Waits for words that contain `part`.
    pub(crate) fn remark(&self, part: &str, deadline: Deadline) -> Outcome<()> {
        self.wait(part, deadline, |kept| {
            let said = kept.words.iter().any(|words| words.contains(part));
            said.then_some(())
        })
    }

    /// How many words contain `part`.
    pub(crate) fn remarks(&self, part: &str) -> usize {
        let kept = self.mailbox.lock();
        let said = kept.words.iter().filter(|words| words.contains(part));
        said.count()
    }

    fn wait<T>(
        &self,
        wanted: &str,
        deadline: Deadline,
        mut find: impl FnMut(&mut Kept) -> Option<T>,
    ) -> Outcome<T> {
        let mut kept = self.mailbox.lock();
        loop {
            if let Some(found) = find(&mut kept) {
                return Ok(found);
            }
            if deadline.has_passed() {
                let reason = format!("our end has waited in vain for {wanted}");
                return Err(Failure::new(reason).with_evidence(&*kept));
            }
            kept = self
                .mailbox
                .grown
                .wait_timeout(kept, deadline.remaining())
                .map_or_else(|poisoned| poisoned.into_inner().0, |(guard, _)| guard);
        }
    }

    /// What it has seen, for a failure report.
    pub(crate) fn evidence(&self) -> String {
        self.mailbox.lock().to_string()
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.tell(Command::Stop);
        if let Some(thread) = self.thread.take() {
            // It fails only if the thread has panicked, which has been printed.
            let _ = thread.join();
        }
    }
}

impl Handshake {
    /// What was agreed on, for the line of a case.
    pub(crate) fn remark(&self) -> String {
        format!("{} {}", self.version, self.suite)
    }

    /// Whether the peer has proved who it is.
    pub(crate) fn mutual(&self) -> Outcome<()> {
        match self.identified {
            true => Ok(()),
            false => Err(Failure::new("the peer has not proved who it is")),
        }
    }
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, news: News) {
        let mut kept = self.lock();
        match news {
            News::Handshake(handshake) => kept.handshakes.push(handshake),
            News::Data(peer, bytes) => kept.data.push_back((peer, bytes)),
            News::Remark(words) | News::Ended(words) => kept.words.push(words),
        }
        self.grown.notify_all();
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "--- our end: {} handshakes", self.handshakes.len())?;
        for handshake in &self.handshakes {
            writeln!(
                f,
                "    {} {:?}, peer {}, renegotiation {}, identified {}",
                handshake.remark(),
                handshake.kind,
                handshake.peer,
                handshake.renegotiation,
                handshake.identified
            )?;
        }
        for (peer, bytes) in &self.data {
            let text = String::from_utf8_lossy(bytes);
            writeln!(f, "    not fetched, of peer {peer}: {text:?}")?;
        }
        for words in &self.words {
            writeln!(f, "    {words}")?;
        }
        Ok(())
    }
}

fn run(
    mut connections: impl Connections,
    mut poll: Poll,
    commands: &Receiver<Command>,
    mailbox: &Mailbox,
) -> io::Result<()> {
    let mut ready = Events::with_capacity(64);
    let mut tell = |news| mailbox.put(news);
    loop {
        match poll.poll(&mut ready, connections.timeout()) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        connections.turn(&mut tell)?;
        loop {
            match commands.try_recv() {
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => {
                    connections.close_all();
                    return connections.turn(&mut tell);
                }
                Ok(command) => connections.obey(command),
                Err(TryRecvError::Empty) => break,
            }
        }
        connections.turn(&mut tell)?;
    }
}

/// Passes on what has come to either of two ends, which have a peer each.
pub(crate) fn relay(one: &End, other: &End, patience: Duration) {
    for (from, to) in [(one, other), (other, one)] {
        while let Ok((_, bytes)) = from.receive(Deadline::after(patience)) {
            to.send(0, &bytes);
        }
    }
}

const WAKER: Token = Token(0);

/// The socket of a client, and the one that a server listens at.
const SOCKET: Token = Token(1);
