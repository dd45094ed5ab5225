//! A client and a server over a stream in each direction.

use crate::config::{ClientConfig, ServerConfig};
use crate::connection::{Event, TlsConnection};
use crate::error::Error;
use crate::protocol::Side;
use bytes::BytesMut;
use pki_types::ServerName;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One end of a [`StreamPair`].
#[derive(Debug)]
pub struct StreamEnd {
    /// The connection.
    pub connection: TlsConnection,
    /// Its events.
    pub events: Vec<Event>,
    /// The data that it received.
    pub received: Vec<u8>,
    /// The error that ended it.
    pub error: Option<Error>,
    /// What has arrived and was not taken yet.
    pub input: BytesMut,
    /// What is under way to this end.
    arriving: Vec<u8>,
    /// Nothing arrives at this end.
    held: bool,
}

impl StreamEnd {
    /// An end that has not received anything yet.
    pub fn new(connection: TlsConnection) -> Self {
        Self {
            connection,
            events: Vec::new(),
            received: Vec::new(),
            error: None,
            input: BytesMut::new(),
            arriving: Vec::new(),
            held: false,
        }
    }

    /// Gives the end bytes of its peer.
    pub fn deliver(&mut self, now: Instant, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        if let Err(error) = self.connection.handle_bytes(now, &mut self.input) {
            self.error = Some(error);
        }
        self.collect();
    }

    /// Takes everything that the end has to send.
    pub fn transmit(&mut self, now: Instant) -> Vec<u8> {
        let mut out = Vec::new();
        while self.connection.poll_transmit(now, &mut out).is_some() {}
        self.collect();
        out
    }

    fn collect(&mut self) {
        self.events
            .extend(std::iter::from_fn(|| self.connection.poll_event()));
        while let Some(received) = self.connection.recv() {
            self.received.extend_from_slice(&received.data);
        }
    }
}

/// Two connections whose bytes arrive at once, in pieces of a size that the test chooses.
#[derive(Debug)]
pub struct StreamPair {
    /// The end that connects.
    pub client: StreamEnd,
    /// The end that accepts.
    pub server: StreamEnd,
    /// The present.
    pub now: Instant,
    /// The size of the pieces in which bytes arrive.
    pub piece: usize,
    /// Everything that the client has sent, and the server, if a test has put something here.
    pub seen: Option<[Vec<u8>; 2]>,
}

impl StreamPair {
    /// Two ends that have not exchanged anything yet.
    ///
    /// # Errors
    ///
    /// [`Error::RandomFailed`].
    pub fn new(
        now: Instant,
        client: Arc<ClientConfig>,
        server: Arc<ServerConfig>,
        name: ServerName<'static>,
    ) -> Result<Self, Error> {
        Ok(Self {
            client: StreamEnd::new(TlsConnection::connect(now, client, name)?),
            server: StreamEnd::new(TlsConnection::accept(now, server)?),
            now,
            piece: usize::MAX,
            seen: None,
        })
    }

    /// Sends what an end has to send.
    pub fn transmit(&mut self, side: Side) {
        let (from, to) = match side {
            Side::Client => (&mut self.client, &mut self.server),
            Side::Server => (&mut self.server, &mut self.client),
        };
        let bytes = from.transmit(self.now);
        if let Some([client, server]) = &mut self.seen {
            match side {
                Side::Client => client.extend_from_slice(&bytes),
                Side::Server => server.extend_from_slice(&bytes),
            }
        }
        to.arriving.extend_from_slice(&bytes);
    }

    /// Holds back everything that is under way to an end or will be sent to it, or lets it arrive.
    pub fn hold(&mut self, side: Side, held: bool) {
        match side {
            Side::Client => self.client.held = held,
            Side::Server => self.server.held = held,
        }
    }

    /// Carries bytes in both directions until nothing moves.
    pub fn run(&mut self) {
        loop {
            self.transmit(Side::Client);
            self.transmit(Side::Server);
            let mut moved = false;
            for end in [&mut self.server, &mut self.client] {
                if !end.held && !end.arriving.is_empty() {
                    moved = true;
                    let bytes = std::mem::take(&mut end.arriving);
                    for piece in bytes.chunks(self.piece) {
                        end.deliver(self.now, piece);
                    }
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// Lets time pass; both ends handle their timers when one of them is due.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            self.run();
            let next = [&self.client, &self.server]
                .into_iter()
                .filter_map(|end| end.connection.poll_timeout())
                .min();
            match next {
                Some(next) if next <= end => {
                    self.now = self.now.max(next);
                    for end in [&mut self.client, &mut self.server] {
                        if let Err(error) = end.connection.handle_timeout(self.now) {
                            end.error = Some(error);
                        }
                        end.collect();
                    }
                }
                _ => break,
            }
        }
        self.now = end;
    }
}
