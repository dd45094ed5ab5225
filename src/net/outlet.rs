//! The sending side of a stream: sealed records that wait for the socket.

use crate::connection::TlsConnection;
use mio::net::TcpStream;
use std::io::{self, ErrorKind, Write as _};
use std::net::Shutdown;
use std::time::Instant;

/// Sealed records on their way into the socket.
#[derive(Default)]
pub(super) struct Outlet {
    sealed: Vec<u8>,
    /// How many bytes of them have been given to the socket.
    sent: usize,
    /// The socket has no room; an event will come when it has some.
    blocked: bool,
    /// This end has ended its direction of the TCP stream.
    ended: bool,
}

impl Outlet {
    /// Gives the socket what `connection` has sealed, until nothing waits or the socket is full.
    /// After the last record of the connection, this end's direction of the TCP stream is ended.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub(super) fn send(
        &mut self,
        now: Instant,
        connection: &mut TlsConnection,
        socket: &mut TcpStream,
    ) -> io::Result<()> {
        match self.send_all(now, connection, socket) {
            Ok(()) => self.blocked = false,
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.blocked = true,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn send_all(
        &mut self,
        now: Instant,
        connection: &mut TlsConnection,
        socket: &mut TcpStream,
    ) -> io::Result<()> {
        if self.ended {
            return Ok(());
        }
        loop {
            if self.sent == self.sealed.len() {
                self.sealed.clear();
                self.sent = 0;
                let transmit = connection.poll_transmit(now, &mut self.sealed);
                if transmit.is_none() {
                    break;
                }
            }
            match socket.write(&self.sealed[self.sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(length) => self.sent += length,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if connection.is_write_closed() {
            self.ended = true;
            return match socket.shutdown(Shutdown::Write) {
                // The peer has already reset the stream, but everything was sent.
                Err(error) if error.kind() == ErrorKind::NotConnected => Ok(()),
                outcome => outcome,
            };
        }
        Ok(())
    }

    /// Notes that the socket accepts nothing more.
    pub(super) fn abandon(&mut self) {
        *self = Self {
            ended: true,
            ..Self::default()
        };
    }

    /// Whether records wait for the socket.
    pub(super) fn wants_write(&self, connection: &TlsConnection) -> bool {
        !self.ended && (self.sent < self.sealed.len() || connection.has_transmit())
    }

    /// Whether there is something to do now: the socket has room, and records wait or this end's
    /// direction is to be ended.
    pub(super) fn is_due(&self, connection: &TlsConnection) -> bool {
        let unended = connection.is_write_closed() && !self.ended;
        !self.blocked && (self.wants_write(connection) || unended)
    }

    /// Whether this end has ended its direction of the TCP stream.
    pub(super) const fn is_ended(&self) -> bool {
        self.ended
    }
}
