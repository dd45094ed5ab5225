//! TLS connections, each on a stream of its own.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use sealgram::net::TlsStream;
use sealgram::net::mio::net::TcpListener;
use sealgram::net::mio::{Interest, Poll, Registry, Token};
use sealgram::{Event, KeyUpdate, ServerConfig};
use sealgram_interop::failure::Outcome;

use super::settings::{Settings, Version};
use super::{Command, Connections, Handshake, News, Peer, SOCKET};

pub(super) struct Streams {
    listener: Option<(TcpListener, Arc<ServerConfig>)>,
    registry: Registry,
    streams: Vec<Stream>,
    version: Version,
}

/// A connection, and what is not yet written to it.
struct Stream {
    tls: TlsStream,
    unwritten: VecDeque<Vec<u8>>,
    closing: bool,
    ended: bool,
}

pub(super) fn server(settings: &Settings<'_>, poll: &Poll) -> Outcome<(Streams, SocketAddr)> {
    let mut listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0).into())?;
    let address = listener.local_addr()?;
    let registry = poll.registry().try_clone()?;
    registry.register(&mut listener, SOCKET, Interest::READABLE)?;
    let streams = Streams {
        listener: Some((listener, settings.server()?)),
        registry,
        streams: Vec::new(),
        version: settings.version,
    };
    Ok((streams, address))
}

pub(super) fn client(
    settings: &Settings<'_>,
    server: SocketAddr,
    poll: &Poll,
) -> Outcome<(Streams, SocketAddr)> {
    let mut streams = Streams {
        listener: None,
        registry: poll.registry().try_clone()?,
        streams: Vec::new(),
        version: settings.version,
    };
    let tls = TlsStream::connect(settings.client()?, Settings::name()?, server)?;
    streams.add(tls)?;
    Ok((streams, server))
}

impl Streams {
    fn add(&mut self, mut tls: TlsStream) -> io::Result<()> {
        let token = Token(SOCKET.0 + 1 + self.streams.len());
        let both = Interest::READABLE | Interest::WRITABLE;
        self.registry.register(&mut tls, token, both)?;
        self.streams.push(Stream {
            tls,
            unwritten: VecDeque::new(),
            closing: false,
            ended: false,
        });
        Ok(())
    }

    /// Readiness is reported only when it begins, so all that wait are accepted.
    fn accept(&mut self) -> io::Result<()> {
        while let Some((listener, config)) = &self.listener {
            let accepted = listener.accept();
            match accepted {
                Ok((socket, _)) => {
                    let tls = TlsStream::server(socket, config.clone())?;
                    self.add(tls)?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Stream {
    fn turn(&mut self, peer: Peer, tell: &mut dyn FnMut(News)) -> io::Result<()> {
        self.tls.turn()?;
        self.tell_events(peer, tell);
        self.read(peer, tell)?;
        self.write()?;
        if self.closing && self.unwritten.is_empty() {
            self.tls.close();
        }
        self.tls.turn()?;
        self.tell_events(peer, tell);
        if self.tls.is_ended() {
            self.ended = true;
            tell(News::Ended(format!("peer {peer} has ended")));
        }
        Ok(())
    }

    fn tell_events(&mut self, peer: Peer, tell: &mut dyn FnMut(News)) {
        while let Some(event) = self.tls.poll_event() {
            match event {
                Event::HandshakeComplete { renegotiation, .. } => {
                    if let Some(handshake) = self.agreed(peer, renegotiation) {
                        tell(News::Handshake(handshake));
                    }
                }
                Event::PeerClosed => self.closing = true,
                Event::Readable => {}
                other => tell(News::Remark(format!("peer {peer}: {other:?}"))),
            }
        }
    }

    fn agreed(&self, peer: Peer, renegotiation: bool) -> Option<Handshake> {
        let connection = self.tls.connection();
        Some(Handshake {
            peer,
            version: connection.version()?,
            suite: connection.cipher_suite()?,
            kind: connection.handshake_kind()?,
            renegotiation,
            identified: connection.peer_identity().is_some(),
            srtp: None,
        })
    }

    fn read(&mut self, peer: Peer, tell: &mut dyn FnMut(News)) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        loop {
            match self.tls.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => tell(News::Data(peer, buffer[..length].to_vec())),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// What was sent by one command begins a record, and nothing follows in its last one: some
    /// peers take a record for a message.
    fn write(&mut self) -> io::Result<()> {
        while let Some(piece) = self.unwritten.front_mut() {
            match self.tls.write(piece) {
                Ok(length) if length == piece.len() => drop(self.unwritten.pop_front()),
                Ok(length) => drop(piece.drain(..length)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Connections for Streams {
    fn turn(&mut self, tell: &mut dyn FnMut(News)) -> io::Result<()> {
        self.accept()?;
        for (peer, stream) in self.streams.iter_mut().enumerate() {
            if stream.ended {
                continue;
            }
            // One peer's failure is no reason to stop serving the others.
            if let Err(error) = stream.turn(peer, tell) {
                stream.ended = true;
                tell(News::Ended(format!("peer {peer}: {error}")));
            }
        }
        Ok(())
    }

    fn obey(&mut self, command: Command) {
        let (Command::Send(peer, _) | Command::Renegotiate(peer) | Command::Close(peer)) = command
        else {
            return;
        };
        let Some(stream) = self.streams.get_mut(peer) else {
            return;
        };
        // What cannot be done has no effect, and the effect is what the test waits for.
        match command {
            Command::Send(_, bytes) => stream.unwritten.push_back(bytes),
            Command::Renegotiate(_) if self.version == Version::V1_3 => {
                _ = stream.tls.key_update(KeyUpdate::Requested);
            }
            Command::Renegotiate(_) => _ = stream.tls.renegotiate(),
            Command::Close(_) | Command::Stop => stream.closing = true,
        }
    }

    fn timeout(&self) -> Option<Duration> {
        let streams = self.streams.iter().filter(|stream| !stream.ended);
        streams.filter_map(|stream| stream.tls.poll_timeout()).min()
    }

    fn close_all(&mut self) {
        for stream in &mut self.streams {
            stream.closing = true;
        }
    }
}
